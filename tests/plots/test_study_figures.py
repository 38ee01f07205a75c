"""Figures of a study show its trials and its model."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import LineCollection, QuadMesh
from plotting import lines, overlapping_texts

import metaopt
from metaopt import (
    Categorical,
    Constant,
    Float,
    Int,
    MedianPruner,
    Ordinal,
    Result,
    Space,
    Study,
    parameter_importance,
    plots,
)
from metaopt.core.errors import StudyError, UnknownNameError
from metaopt.plots.parameters import ABSENT
from metaopt.plots.surrogates import Base, model_of
from metaopt.plots.trials import pareto

SPACE = Space(
    lr=Float(1e-4, 1, log=True), n=Int(1, 6), width=Ordinal([8, 16, 32]), task=Constant("t"),
    opt=Categorical(["adam", "sgd"]), momentum=Float(0, 1, when={"opt": ["sgd"]}),
)  # fmt: skip


def smooth(c):
    return (math.log10(c["lr"]) + 2) ** 2 + c["n"] / 10 + 8 / c["width"] - c.get("momentum", 0.5)


def study_of(values, direction="minimize", space=SPACE, strategy="random", curves=None):
    """A study with the results `values`: numbers, Results, or None for a failed trial."""
    study = Study(space, strategy, direction)
    for i, value in enumerate(values):
        trial = study.ask()
        if value is None:
            value = Result.failed("exception", "boom")
        elif curves is not None and not isinstance(value, Result):
            value = Result(value, curve=curves[i])
        study.tell(trial, value)
    return study


def searched(n=30, direction="minimize", strategy="random", space=SPACE, function=smooth):
    study = Study(space, strategy, direction)
    sign = 1 if direction == "minimize" else -1
    study.optimize(lambda t: sign * function(t.params), n)
    return study


def pruned(last):
    return Result(status="pruned", curve=[(1, last + 1), (2, last)])


def test_history_shows_values_the_best_so_far_and_trials_without_a_value():
    values = [3.0, None, 1.0, pruned(4.0), 2.0, Result(status="pruned")]
    (axes,) = plots.history(study_of(values)).axes
    drawn = lines(axes)
    assert drawn["complete"].get_xdata().tolist() == [0, 2, 4]
    assert drawn["complete"].get_ydata().tolist() == [3, 1, 2]
    assert drawn["best so far"].get_ydata().tolist() == [3, 3, 1, 1, 1, 1]
    assert drawn["pruned (last report)"].get_ydata().tolist() == [4]
    assert drawn["without a value"].get_xdata().tolist() == [1, 5]


def test_history_of_a_maximised_study_shows_the_largest_value_so_far():
    (axes,) = plots.history(study_of([1.0, 3.0, 2.0], "maximize")).axes
    assert lines(axes)["best so far"].get_ydata().tolist() == [1, 3, 3]


def test_a_few_very_bad_values_do_not_flatten_the_rest_and_are_counted():
    good = np.linspace(-1, 1, 30).tolist()
    for direction, sign in (("minimize", 1), ("maximize", -1)):
        values = [sign * v for v in [*good, 1e6, 1e5]]
        (axes,) = plots.history(study_of(values, direction)).axes
        low, high = axes.get_ylim()
        assert high - low < 10 and low < -1 < 1 < high
        assert [t.get_text() for t in axes.texts] == ["worse values beyond the axis: 2"]


def test_intermediate_shows_the_reports_of_each_trial_and_a_thick_best():
    curves = [[(1, 5.0), (2, 3.0)], [(1, 4.0), (2, 1.0)]]
    study = study_of([3.0, 1.0, pruned(6.0), None], curves=curves)
    (axes,) = plots.intermediate(study).axes
    drawn = {line.get_gid(): line for line in axes.get_lines() if line.get_gid()}
    assert list(drawn) == ["trial-0", "trial-1", "trial-2"]
    assert drawn["trial-0"].get_xydata().tolist() == [[1, 5], [2, 3]]
    assert drawn["trial-2"].get_ydata().tolist() == [7, 6]
    assert drawn["trial-1"].get_label() == "best (trial 1)"
    assert drawn["trial-1"].get_linewidth() > drawn["trial-0"].get_linewidth()
    (end,) = [line for line in axes.get_lines() if line.get_label() == "_end"]
    assert end.get_xydata().tolist() == [[2, 6]] and end.get_marker() == "v"


def panel(figure, name):
    return next(a for a in figure.axes if a.get_xlabel() == name)


def test_slices_show_trials_and_the_strategys_model_through_the_best():
    study = searched(24, strategy="bayes")
    figure = plots.slices(study)
    assert [a.get_xlabel() for a in figure.axes if a.get_visible()] == [
        "lr", "n", "width", "opt", "momentum",
    ]  # fmt: skip
    axes, best = panel(figure, "lr"), study.best
    drawn = lines(axes)
    assert axes.get_xscale() == "log"
    assert drawn["trials"].get_xdata().tolist() == [r.params["lr"] for r in study.trials]
    assert drawn["best"].get_xydata().tolist() == [[best.params["lr"], best.value]]
    x, y = drawn["model, ± one sd"].get_data()
    mean, sd = study.strategy.model.predict([{**best.params, "lr": v} for v in x.tolist()])
    assert y == pytest.approx(mean)
    (band,) = axes.collections
    (path,) = band.get_paths()
    assert path.vertices[:, 1].max() == pytest.approx((mean + sd).max())


def test_slices_of_a_maximised_study_keep_the_sign_of_its_values():
    study = searched(24, "maximize", "bayes")
    x, y = lines(panel(plots.slices(study), "n"))["model, ± one sd"].get_data()
    mean, _ = study.strategy.model.predict([{**study.best.params, "n": int(v)} for v in x])
    assert y == pytest.approx(-mean)


def test_a_model_is_fitted_if_the_strategy_has_none():
    study = searched(40)
    x, y = lines(panel(plots.slices(study), "lr"))["model, ± one sd"].get_data()
    truth = [smooth({**study.best.params, "lr": v}) for v in x.tolist()]
    assert np.abs(y - truth).max() < 0.2 * np.ptp(truth)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_values_over_several_orders_of_magnitude_are_modelled_as_logarithms(direction):
    space = Space(x=Float(0, 1), y=Float(0, 1))
    study = Study(space, "random", direction)
    study.optimize(lambda t: 10 ** (4 * t["x"]), 25)
    axes = panel(plots.slices(study), "x")
    x, y = lines(axes)["model, ± one sd"].get_data()
    assert axes.get_yscale() == "log"
    assert np.abs(np.log10(y) - 4 * x).max() < 0.2


def test_a_slice_along_a_conditional_parameter_uses_the_best_trial_that_has_it():
    study = searched(30)
    first = min((r for r in study.trials if "momentum" in r.params), key=lambda r: r.value)
    base = Base(study)
    config = SPACE.decode(base.through("momentum")[None])[0]
    assert config == pytest.approx(first.params)
    # If the parent activates the child, the child gets the value of the best trial that has it.
    u = base.through("lr").copy()
    u[SPACE.names.index("opt")] = 0.75
    assert SPACE.decode(u[None])[0]["momentum"] == pytest.approx(first.params["momentum"])


def test_contours_show_mean_and_deviation_at_every_pair_of_values():
    study = searched(30, strategy="bayes")
    mean_axes, sd_axes = (a for a in plots.contours(study, "n", "width").axes if a.get_xlabel())
    configs = [{**study.best.params, "n": n, "width": w} for w in (8, 16, 32) for n in range(1, 7)]
    mean, sd = study.strategy.model.predict(configs)
    for axes, expected in ((mean_axes, mean), (sd_axes, sd)):
        (mesh,) = [c for c in axes.collections if isinstance(c, QuadMesh)]
        assert np.asarray(mesh.get_array()).ravel() == pytest.approx(expected)
        assert lines(axes)["best"].get_xdata().tolist() == [study.best.params["n"]]


def test_contours_are_the_same_each_time_they_are_drawn():
    figure = plots.contours(searched(12, strategy="bayes"), "lr", "n")
    assert plots.svg(figure, "a") == plots.svg(figure, "a")


def test_contours_are_empty_where_a_parameter_is_not_active():
    figure = plots.contours(searched(30), "opt", "momentum")
    (mesh,) = [c for c in figure.axes[0].collections if isinstance(c, QuadMesh)]
    shown = ~np.ma.getmaskarray(mesh.get_array()).reshape(-1, 2)
    assert shown[:, 1].all() and not shown[:, 0].any()


def test_parallel_coordinates_show_the_encoded_parameters():
    study = searched(20)
    (axes,) = plots.parallel_coordinates(study).axes
    (collection,) = [c for c in axes.collections if isinstance(c, LineCollection)]
    names = ["lr", "n", "width", "opt", "momentum"]
    U, A = SPACE.encode([r.params for r in study.trials])
    at = [SPACE.names.index(name) for name in names]
    expected = np.where(A[:, at], U[:, at], ABSENT)
    got = np.array([path.vertices[:, 1] for path in collection.get_paths()])
    y = np.array([r.value for r in study.trials])
    order = np.argsort(-y, kind="stable")  # the best is drawn last, on top
    assert got[:, :-1] == pytest.approx(expected[order])
    assert np.all(np.diff(got[:, -1]) <= 1e-12) and got[-1, -1] == 0
    assert np.all(np.diff(collection.get_array()) >= -1e-12)  # lighter is better
    assert [t.get_text() for t in axes.get_xticklabels()] == [*names, "value"]


def test_the_bars_show_the_importances_and_what_is_left_over():
    study = searched(40)
    figure = plots.importances(study)
    rows = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    left, right = (parameter_importance(study, m) for m in ("fanova", "ped-anova"))
    assert rows == [*left, "interactions", "not explained"]
    bars, other = ([b.get_width() for b in axes.patches] for axes in figure.axes)
    assert bars == pytest.approx([*left.values(), left.interactions, left.unexplained])
    assert sum(bars) == pytest.approx(1)
    assert other == pytest.approx([right[name] for name in left])
    (ordered,) = plots.importances(study, ["ped-anova"]).axes
    assert [t.get_text() for t in ordered.get_yticklabels()] == list(right)


def test_intervals_are_lines_and_shares_that_may_be_0_are_pale():
    study = searched(40)
    found = parameter_importance(study)
    (axes,) = plots.importances(study, ["fanova"]).axes
    drawn = [line.get_xdata() for line in axes.get_lines()]
    assert [tuple(ends) for ends in drawn] == [found.intervals[name] for name in found]
    solid = [bar.get_alpha() == 1 for bar in axes.patches[: len(found)]]
    assert solid == [found.intervals[name][0] > 0 for name in found]
    assert True in solid and False in solid
    assert axes.get_xlabel() == "share of the variance\nof the observed values"


def test_a_single_parameter_has_no_interactions():
    study = searched(20, space=Space(x=Float(0, 1)), function=lambda c: c["x"])
    (axes,) = plots.importances(study, ["fanova"]).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["x", "not explained"]
    assert len(axes.patches) == 2


def test_resources_show_the_pareto_front():
    values = [Result(v, metrics={"memory_mb": m}) for v, m in [(3, 1), (2, 2), (2.5, 3), (1, 9)]]
    (axes,) = plots.resources(study_of(values), "memory_mb").axes
    assert lines(axes)["Pareto front"].get_xydata().tolist() == [[1, 3], [2, 2], [9, 1]]
    assert lines(axes)["trials"].get_xdata().tolist() == [1, 2, 3, 9]
    (axes,) = plots.resources(study_of(values, "maximize"), "memory_mb").axes
    assert lines(axes)["Pareto front"].get_xydata().tolist() == [[1, 3]]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_the_front_holds_each_point_that_is_not_dominated_once(points):
    cost, loss = np.array(points, dtype=np.float64).T
    beaten = {
        (a, b) for a, b in points for c, d in points if c <= a and d <= b and (c, d) != (a, b)
    }
    got = [(cost[i], loss[i]) for i in pareto(cost, loss)]
    assert got == sorted(set(points) - beaten)


def test_only_the_figures_that_apply_are_returned():
    assert plots.study_figures(study_of([])) == {}
    assert list(plots.study_figures(study_of([None, None]))) == ["history"]
    plain = searched(12)
    assert list(plots.study_figures(plain)) == [
        "history", "importance", "parallel-coordinates", "slices", "contours",
    ]  # fmt: skip
    reporting = study_of([1.0, 2.0], curves=[[(1, 2.0), (2, 1.0)]] * 2)
    assert "intermediate" in plots.study_figures(reporting)
    slow = [Result(v, seconds=v, metrics={"memory_mb": 9 - v}) for v in (1.0, 2.0, 3.0)]
    assert {"resources-seconds", "resources-memory"} <= set(plots.study_figures(study_of(slow)))
    for name, spec in plots.study_figures(plain).items():
        assert spec.name == name and spec.title and len(spec.caption) > 40 and len(spec.alt) > 20
        spec.draw().draw_without_rendering()


def test_alt_texts_state_the_numbers():
    specs = plots.study_figures(study_of([3.0, None, 1.5]))
    assert specs["history"].alt == (
        "3 trials: 2 complete and 1 failed. The best value, 1.5, is that of trial 2."
    )
    assert "lr = " in specs["parallel-coordinates"].alt


AWKWARD = Space(
    {
        "the learning rate of the encoder": Float(1e-6, 1, log=True),
        "$kernel$": Categorical(["radial basis function", "polynomial of degree 3", None, True]),
        "layers": Int(1, 1000, log=True),
        "q": Float(0, 1, step=0.25, when={"$kernel$": [None, True]}),
        "deep": Float(-1e9, 1e9, when={"q": [0.5, 1.0]}),
    }
)


@pytest.mark.parametrize("n", [3, 60])
def test_no_texts_overlap_or_leave_the_figure(n):
    study = Study(AWKWARD, "random", pruner=MedianPruner())

    def objective(trial):
        value = 10 ** abs(math.log10(trial["the learning rate of the encoder"]) + 3)
        for step in range(1, 4):
            trial.report(value + 1 / step, step)
            if trial.should_stop():
                raise metaopt.TrialPruned
        return value

    study.optimize(objective, n)
    for name, spec in plots.study_figures(study).items():
        if name != "parallel-coordinates" or n == 3:
            assert overlapping_texts(spec.draw()) == ([], []), name


EMPTY = study_of([])
FEW = study_of([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plots.history(EMPTY), StudyError, "no trial of the study 'study' is finished"),
        (lambda: plots.slices(study_of([None])), StudyError, "is complete: nothing to draw"),
        (lambda: plots.slices(FEW, ["momentun"]), UnknownNameError, "did you mean 'momentum'"),
        (
            lambda: plots.contours(FEW, "lr", "lr"),
            StudyError,
            "two parameters, got 'lr' twice",
        ),
        (lambda: plots.contours(FEW, "lr", "depth"), UnknownNameError, "unknown parameter 'depth'"),
        (lambda: plots.intermediate(FEW), StudyError, "call trial.report"),
        (lambda: plots.resources(FEW, "memory"), UnknownNameError, "unknown resource 'memory'"),
        (lambda: plots.importances(FEW), StudyError, "at least 10 complete trials, got 3"),
        (lambda: plots.parallel_coordinates(FEW, []), StudyError, "nothing to draw"),
    ],
)
def test_invalid_input_is_rejected_with_the_expected_values(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_model_is_found_for_every_kind_of_study():
    assert model_of(searched(12, strategy="bayes")) is not None
    assert model_of(study_of([1.0])) is None
    assert lines(plots.slices(study_of([1.0])).axes[0]).keys() == {"trials", "best"}
