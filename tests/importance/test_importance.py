"""fANOVA and PED-ANOVA against analytic indices, brute force, and Optuna's evaluators."""

import itertools
import math

import numpy as np
import pytest

import metaopt
from metaopt import Categorical, Constant, Float, Int, Ordinal, Space, Study
from metaopt.core.errors import SpaceError, StudyError
from metaopt.importance import fanova, parameter_importance, ped_anova
from metaopt.importance.columns import read
from metaopt.importance.effects import effects, joint_variance
from metaopt.importance.forest import grow


def trials(space, n, function, seed=0):
    configs = space.sample(np.random.default_rng(seed), n)
    return configs, np.array([function(c) for c in configs])


def ishigami(c):
    return math.sin(c["a"]) + 7 * math.sin(c["b"]) ** 2 + 0.1 * c["c"] ** 4 * math.sin(c["a"])


def test_the_indices_of_ishigamis_function():
    """Ishigami and Homma (1990): S = 0.3139, 0.4424, 0; S_ac = 0.2437; mean 3.5."""
    space = Space({k: Float(-math.pi, math.pi) for k in "abc"})
    found = fanova(space, *trials(space, 2000, ishigami), pairs=True)
    for name, index in (("a", 0.3139), ("b", 0.4424), ("c", 0.0)):
        assert found.main[name] == pytest.approx(index, abs=0.03)
        low, high = found.intervals[name]
        assert low - 0.005 <= index <= high
    # The forest does not see all of the interaction; what it misses counts as unexplained.
    assert found.pairs["a", "c"] <= 0.2437 <= found.pairs["a", "c"] + found.unexplained + 0.03
    assert sum(found.pairs.values()) <= found.interactions + 1e-12
    assert max(found.pairs["a", "b"], found.pairs["b", "c"]) < 0.02
    assert found.mean == pytest.approx(3.5, abs=0.1)
    assert list(found.main) == ["b", "a", "c"] and next(iter(found.pairs)) == ("a", "c")


def test_an_additive_function_with_log_scale_and_categories():
    space = Space(lr=Float(1e-4, 1, log=True), kind=Categorical(["x", "y", "z"]), idle=Int(1, 9))
    worth = {"x": 0.0, "y": 3.0, "z": 0.0}

    def function(c):
        return math.log10(c["lr"]) + worth[c["kind"]]

    found = fanova(space, *trials(space, 600, function), pairs=True)
    lr, kind = 16 / 12, 2.0  # variances of a uniform on [-4, 0], and of (0, 3, 0)
    assert found.main["lr"] == pytest.approx(lr / (lr + kind), abs=0.02)
    assert found.main["kind"] == pytest.approx(kind / (lr + kind), abs=0.02)
    assert found.main["idle"] < 0.005
    assert sum(found.pairs.values()) < 0.02 and found.r2 > 0.95


def test_a_conditional_parameter_explains_its_effect_where_it_is_active():
    """The value is s m, s in {0, 1}, m uniform if s is 1: V = 5/48, V_s = 3/48, V_m = 1/48."""
    space = Space(s=Categorical([0, 1]), m=Float(0, 1, when={"s": [1]}))
    found = fanova(space, *trials(space, 600, lambda c: c.get("m", 0.0)), pairs=True)
    assert found.main["s"] == pytest.approx(0.6, abs=0.03)
    assert found.main["m"] == pytest.approx(0.2, abs=0.03)
    assert found.pairs["s", "m"] == pytest.approx(0.2, abs=0.03)


def test_integration_over_leaves_equals_the_sum_over_all_configurations():
    space = Space(a=Int(1, 40, log=True), b=Categorical(["x", "y", "z"]), c=Ordinal([1, 2, 5, 9]))
    configs, y = trials(space, 60, lambda c: c["a"] * (c["b"] == "y") + c["c"] ** 2)
    data = read(space, configs, y)
    rng = np.random.default_rng(3)
    grown = grow(data, 8, rng)
    found = effects(data, grown, rng)
    at = np.array(list(itertools.product(*(c.at for c in data.columns))), dtype=np.float32)
    shape = [len(c.at) for c in data.columns]
    f = np.mean([g.tree.predict(at)[:, 0] for g in grown], axis=0).reshape(shape)
    wa, wb, wc = (c.width for c in data.columns)
    mean = np.einsum("abc,a,b,c", f, wa, wb, wc)
    variance = np.einsum("abc,a,b,c", (f - mean) ** 2, wa, wb, wc)
    fa = np.einsum("abc,b,c->a", f, wb, wc) - mean
    fb = np.einsum("abc,a,c->b", f, wa, wc) - mean
    fab = np.einsum("abc,c->ab", f, wc) - mean - fa[:, None] - fb
    assert found.mean == pytest.approx(mean, rel=1e-9)
    assert found.variances.sum() == pytest.approx(variance, rel=0.01)
    assert found.alone[0] == pytest.approx(fa) and found.alone[1] == pytest.approx(fb)
    assert found.variances[0] == pytest.approx(wa @ fa**2, rel=1e-9)
    assert joint_variance(found, 0, 1) == pytest.approx(wa @ fab**2 @ wb, rel=1e-9)


def test_effects_on_unseen_trials_come_from_the_trees_that_did_not_see_them():
    space = Space(a=Float(0, 1), b=Float(0, 1))
    configs, y = trials(space, 30, lambda c: c["a"] * c["b"])
    data = read(space, configs, y)
    grown = grow(data, 16, np.random.default_rng(0))
    found = effects(data, grown, np.random.default_rng(0))
    for i in range(30):
        blind = [t for t, g in enumerate(grown) if g.unseen[i]]
        assert found.judged[i] == bool(blind)
        only = [grown[t] for t in blind]
        part = effects(data, only, np.random.default_rng(0))
        expected = part.mean + part.alone[0][grown[0].cells[i, 0]]
        expected += part.alone[1][grown[0].cells[i, 1]] + found.unseen[i, 2]
        assert np.mean([g.predicted[i] for g in only]) == pytest.approx(expected)


def test_ped_anova_of_a_box_is_the_variance_of_its_indicator():
    """The best lie in x < 0.2 and y < 0.5: V_x = 0.5^2 0.2 0.8, V_y = 0.2^2 0.5 0.5, ratio 4."""
    space = Space(x=Float(0, 1), y=Float(1, 100, log=True), idle=Float(0, 1))
    function = lambda c: 1.0 - (c["x"] < 0.2 and c["y"] < 10)  # noqa: E731
    found = ped_anova(space, *trials(space, 6000, function))
    assert found["x"] == pytest.approx(0.8, abs=0.03)
    assert found["y"] == pytest.approx(0.2, abs=0.03)
    assert found["idle"] < 0.005 and sum(found.values()) == pytest.approx(1)


def test_ped_anova_counts_a_conditional_parameter_where_it_is_active():
    """The best have s = 1, m < 0.4: s has (1 - 1/2)^2 / (1/2) + 1/2 = 1, and m has 2 * 1.5."""
    space = Space(s=Categorical([0, 1]), m=Float(0, 1, when={"s": [1]}))
    found = ped_anova(
        space, *trials(space, 6000, lambda c: -1.0 * (c.get("m", 1.0) < 0.4)), top=0.2
    )
    assert found["m"] / found["s"] == pytest.approx(3.0, rel=0.15)


def test_ped_anova_uses_only_the_order_of_values():
    space = Space(x=Float(0, 1), y=Float(0, 1))
    configs, y = trials(space, 80, lambda c: c["x"] + 0.3 * c["y"])
    assert ped_anova(space, configs, y) == ped_anova(space, configs, np.exp(50 * y))


def optuna_study(space, configs, y):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    d = optuna.distributions
    kinds = {
        "float": lambda p: d.FloatDistribution(p.low, p.high, log=p.log),
        "int": lambda p: d.IntDistribution(p.low, p.high, log=p.log),
        "categorical": lambda p: d.CategoricalDistribution(p.choices),
    }
    made = {name: kinds[p.kind](p) for name, p in space.parameters.items()}
    study = optuna.create_study()
    study.add_trials(
        [
            optuna.create_trial(params=c, distributions={k: made[k] for k in c}, value=float(v))
            for c, v in zip(configs, y, strict=True)
        ]
    )
    return optuna.importance, study


@pytest.mark.filterwarnings("ignore")
def test_fanova_agrees_with_optunas_on_the_same_trials():
    space = Space(x=Float(0, 1), y=Float(0, 1), k=Categorical(["a", "b", "c"]), n=Int(1, 5))
    worth = {"a": 0.0, "b": 0.5, "c": 0.2}
    configs, y = trials(space, 300, lambda c: 2 * c["x"] ** 2 + c["y"] + worth[c["k"]])
    importance, study = optuna_study(space, configs, y)
    evaluator = importance.FanovaImportanceEvaluator(seed=0)
    theirs = importance.get_param_importances(study, evaluator=evaluator)
    ours = fanova(space, configs, y).main
    total = sum(ours.values())
    assert list(ours)[:3] == list(theirs)[:3] == ["x", "y", "k"]
    # Variances of 2 x^2, y and the three worths: ours is closer, because it is corrected.
    true = {"x": 16 / 45, "y": 1 / 12, "k": np.var(list(worth.values())), "n": 0.0}
    for name, share in theirs.items():
        exact = true[name] / sum(true.values())
        assert ours[name] / total == pytest.approx(exact, abs=0.03)
        assert ours[name] / total == pytest.approx(share, abs=0.08)


@pytest.mark.filterwarnings("ignore")
def test_ped_anova_agrees_with_optunas_on_the_same_trials():
    space = Space(
        x=Float(0, 1), k=Categorical(["a", "b", "c"]), n=Int(1, 9), m=Float(0, 1, when={"k": ["b"]})
    )
    worth = {"a": 0.3, "b": 0.0, "c": 0.5}
    configs, y = trials(space, 400, lambda c: 2 * c["x"] ** 2 + worth[c["k"]] + c.get("m", 0) / 2)
    importance, study = optuna_study(space, configs, y)
    evaluator = importance.PedAnovaImportanceEvaluator()
    theirs = importance.get_param_importances(study, evaluator=evaluator)
    ours = ped_anova(space, configs, y)
    # Optuna smooths categories (0.7 of the weight stays, with three), so only numbers are compared.
    assert ours["m"] / ours["x"] == pytest.approx(theirs["m"] / theirs["x"], rel=0.1)
    assert max(ours["n"], theirs["n"]) < 0.01
    assert next(iter(ours)) == next(iter(theirs)) == "x"


def make_study(direction="minimize", n=40):
    space = Space(
        lr=Float(1e-4, 1, log=True), width=Ordinal([8, 16]), task=Constant("t"),
        opt=Categorical(["a", "b"]), momentum=Float(0, 1, when={"opt": ["a"]}),
    )  # fmt: skip
    study = Study(space, "random", direction)
    sign = 1 if direction == "minimize" else -1

    def objective(trial):
        if trial.number % 9 == 5:
            raise ValueError
        return sign * ((math.log10(trial["lr"]) + 2) ** 2 + trial["width"] / 80)

    study.optimize(objective, n)
    return study


@pytest.mark.parametrize("method", ["fanova", "ped-anova"])
def test_a_study_has_reproducible_importances_in_both_directions(method, caplog):
    found = parameter_importance(make_study(), method)
    assert set(found) == {"lr", "width", "opt", "momentum"} and next(iter(found)) == "lr"
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert min(found.values()) >= 0 and sum(found.values()) <= 1 + 1e-9
    assert (found.used, found.failed) == ((36, 4) if method == "fanova" else (40, 4))
    np.random.seed(1)  # noqa: NPY002 - the global generator must not matter
    again = metaopt.parameter_importance(make_study("maximize"), method)
    assert again == pytest.approx(found, abs=1e-9)
    assert all(type(v) is float for v in found.values())


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 2.0**900), (0.0, 2.0**-900), (2.0**20, 1.0)])
def test_shares_depend_neither_on_the_unit_nor_on_the_origin_of_the_values(shift, scale):
    space = Space(x=Float(0, 1), y=Float(0, 1))
    configs, y = trials(space, 40, lambda c: round(c["x"] + c["y"] ** 2, 3))
    assert fanova(space, configs, (y + shift) * scale).main == pytest.approx(
        fanova(space, configs, y).main,
        abs=0.02,  # rounding can move a cut
    )


ONE = Space(x=Float(0, 1))
TEN = [{"x": i / 10} for i in range(10)]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fanova(ONE, TEN[:9], range(9)), StudyError, "at least 10 complete trials, got 9"),
        (lambda: ped_anova(ONE, TEN, [1] * 10), StudyError, "all 10 values are equal"),
        (lambda: fanova(ONE, TEN, [math.nan] * 10), StudyError, "values must be finite"),
        (lambda: fanova(ONE, TEN, range(3)), StudyError, "one value for each of 10 trials"),
        (lambda: fanova(ONE, [{"x": 2.0}] * 10, range(10)), SpaceError, "between 0.0 and 1.0"),
        (
            lambda: fanova(Space(t=Constant(1)), [{"t": 1}] * 10, range(10)),
            StudyError,
            "no parameter of the space has more than one value",
        ),
        (lambda: fanova(ONE, TEN, ["a"] * 10), StudyError, "values must be numbers"),
        (lambda: fanova(ONE, TEN, ["1"] * 10), StudyError, "values must be numbers"),
        (lambda: fanova(ONE, TEN, [math.inf] * 10), StudyError, "leave out failed trials"),
        (lambda: fanova(ONE, TEN, range(10), trees=7), StudyError, "trees must be .* at least 8"),
        (lambda: ped_anova(ONE, TEN, [math.nan] * 10), StudyError, r"or \+inf for a trial"),
        (lambda: ped_anova(ONE, TEN, [math.inf, *range(9)]), StudyError, "trials, got 9"),
        (lambda: ped_anova(ONE, TEN, range(10), top=1.5), StudyError, "top must lie between"),
        (lambda: ped_anova(ONE, TEN, range(10), top="a"), StudyError, "top must lie .* got 'a'"),
        (lambda: fanova(ONE, TEN, range(10), seed=-1), StudyError, "seed must be"),
        (lambda: ped_anova(ONE, TEN, range(10), seed="x"), StudyError, "seed must be"),
        (lambda: parameter_importance({"a": 1}), StudyError, "must be a metaopt.Study, got {'a'"),
        (lambda: parameter_importance(make_study(n=12), seed="x"), StudyError, "seed must be"),
        (lambda: parameter_importance(make_study(n=12), None), StudyError, "one of .* got None"),
        (lambda: parameter_importance(make_study(n=12), "fanowa"), StudyError, "mean 'fanova'"),
        (lambda: parameter_importance(make_study(n=5)), StudyError, "at least 10 complete"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()
