"""Wrong arguments of `compare`, `compare_models` and what they return end in errors of ours.

As in the test of the statistics, each argument of a valid call is replaced by each bad value in
turn: what is legal gives a result, everything else an error of ours before anything runs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metaopt
from metaopt import Float, Problem, Space, Study, plots, stats
from metaopt.core.errors import MetaoptError, StudyError
from metaopt.strategy.base import Strategy

SPACE = Space(x=Float(0, 1))
CALLS: list[float] = []


def _cheap(trial: Any) -> float:
    CALLS.append(trial["x"])
    return float(trial["x"])


CHEAP = Problem("cheap", SPACE, _cheap)


class _Rude:
    """An object that fails whatever is done with it."""

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise RuntimeError("no array")

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __repr__(self) -> str:
        raise RuntimeError("no text")


def _bad() -> dict[str, Any]:
    return {
        "None": None, "text": "x", "empty text": "", "spaces": "  ", "null": "a\0b", "line": "a\nb",
        "a number as text": "1", "bytes": b"x", "True": True, "complex": 1 + 2j, "NaN": math.nan,
        "inf": math.inf, "-1": -1, "0": 0, "1": 1, "0.5": 0.5, "2": 2, "3": np.int64(3),
        "2 ** 70": 2**70, "10 ** 400": 10**400, "10 ** 5000": 10**5000, "decimal": Decimal("0.5"),
        "duration": np.timedelta64(1, "s"), "object": object(), "rude": _Rude(), "class": int,
        "strategy class": Strategy, "function": lambda: 1, "dict": {"a": 1}, "set": {"random"},
        "empty list": [], "empty dict": {}, "numbers": [1, 2], "texts": ["a", "b"],
        "array": np.array([1, 2]), "ragged": [[1], [2, 3]], "space": SPACE, "a folder": Path(),
        "a bad path": Path("a\0b"), "table": np.ones((2, 2)),
    }  # fmt: skip


def _faults(
    call: Callable[[Any], Any], legal: set[str], without: tuple[str, ...] = ()
) -> Iterator[str]:
    for label, value in _bad().items():
        if label in without:
            continue
        CALLS.clear()
        try:
            call(value)
        except MetaoptError as error:
            if label in legal:
                yield f"{label}: legal, but raised: {error}"
            if not str(error) or len(str(error)) > 1000:
                yield f"{label}: a message that nobody can read: {str(error)[:100]!r}"
            if CALLS:
                yield f"{label}: the objective was called before the error"
        except Exception as error:
            yield f"{label}: raised {type(error).__name__}: {error}"
        else:
            if label not in legal:
                yield f"{label}: accepted in silence"


WHOLE = {"1", "2", "3"}
COMPARE: dict[str, tuple[Any, set[str]]] = {
    "strategies": (["random", "sobol"], set()),
    "problems": (CHEAP, set()),
    "n_trials": (2, WHOLE),
    "repeats": (2, WHOLE),
    "seed": (0, WHOLE | {"0"}),
    "storage": (None, {"None"}),
    "control": (None, {"None"}),
    "margin": (None, WHOLE | {"None", "0.5", "2 ** 70"}),
    "purpose": ("exploratory", set()),
    "pruner": (None, {"None"}),
    "workers": (1, {"1"}),
    "progress": (False, {"True"}),
}


@pytest.mark.parametrize("parameter", COMPARE)
def test_a_bad_argument_of_compare_is_refused_before_anything_runs(
    parameter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    valid, legal = {k: v for k, (v, _) in COMPARE.items()}, COMPARE[parameter][1]
    # Left out is what is legal and slow, or an unusual name of a file.
    out = {"workers": ("2", "3"), "storage": ("text", "a number as text", "line")}

    def call(value: Any) -> Any:
        return metaopt.compare(**{**valid, parameter: value})

    faults = list(_faults(call, legal, out.get(parameter, ())))
    assert not faults, "\n".join(faults)


def _factory(space: Space, seed: int = 0, budget: int | None = None) -> Strategy:
    return metaopt.make_strategy("random", space, seed, budget)


@pytest.mark.parametrize(
    ("strategies", "words"),
    [
        ([Strategy], "dict such as"),
        ([_factory], "dict such as"),
        ({"a": Strategy}, r"factory\(space, seed=, budget=\)"),
        ({"a": int}, r"factory\(space, seed=, budget=\)"),
        ({"a": lambda space: _factory(space)}, "it raised TypeError"),
        ({"a": lambda space, seed, budget: None}, "must return a metaopt.Strategy"),
        ({"a": lambda space, seed, budget: _factory(Space(y=Float(0, 1)))}, "on this space"),
        ({"a": lambda space, seed, budget: 1 / 0}, "ZeroDivisionError"),
        ({"a": {"name": 3}}, "'name'"),
        ({"a": {1: 2, "name": "random"}}, "it raised TypeError"),
        ({"a": None}, "must be a name"),
        ({"": "random"}, "1 to 200 characters"),
        ({" ": "random"}, "1 to 200 characters"),
        ({"a\0b": "random"}, "1 to 200 characters"),
        ({"a" * 500: "random"}, "1 to 200 characters"),
        ({1: "random"}, "must be a text, got 1"),
        ({None: "random"}, "must be a text, got None"),
    ],
)
def test_wrong_strategies_are_named_before_anything_runs(strategies: Any, words: str) -> None:
    CALLS.clear()
    with pytest.raises(StudyError, match=words):
        metaopt.compare(strategies, CHEAP, 2, 2)
    assert not CALLS


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"name": 3}, {"name": "a\nb"}, {"optimum": "0"}, {"optimum": math.nan}],
)
def test_a_problem_with_a_wrong_name_or_optimum_is_refused(change: dict[str, Any]) -> None:
    given = {"name": "p", "space": SPACE, "objective": _cheap} | change
    with pytest.raises(MetaoptError):
        metaopt.compare(["random"], Problem(**given), 2, 2)


def test_what_is_legal_is_accepted() -> None:
    made = metaopt.compare(
        iter(["random"]), (CHEAP,), np.int64(2), np.int32(2), seed=np.uint8(7), margin=np.float32(1)
    )
    assert made.values("cheap").shape == (2, 1)
    assert metaopt.compare({"mine": _factory}, CHEAP, 2, 2).strategies == ("mine",)


# -- results of compare ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared() -> metaopt.Comparison:
    problems = [CHEAP, Problem("other", SPACE, _cheap, "maximize", 1.0)]
    return metaopt.compare(["random", "sobol"], problems, 4, 8)


@pytest.mark.parametrize("method", ["pairwise", "scores", "problem", "values", "tests", "curves"])
def test_an_unknown_problem_is_named(compared: metaopt.Comparison, method: str) -> None:
    legal = {"None"} if method in ("pairwise", "scores") else set()
    faults = list(_faults(getattr(compared, method), legal))
    assert not faults, "\n".join(faults)


FIGURES: dict[str, dict[str, set[str]]] = {
    "anytime": {"problem": set(), "by": set()},
    "rank_over_time": {"problem": {"None"}},
    "performance_profiles": {"gap": {"0.5"}},
    "runtime_distribution": {},
    "critical_difference": {"problem": {"None"}, "level": {"0.5"}, "test": {"None"}},
    "improvement": {},
    "interquartile_means": {},
    "validation_against_test": {"problem": set()},
    "comparison_figures": {},
}


@pytest.mark.parametrize("name", FIGURES)
def test_wrong_arguments_of_a_figure_of_a_comparison(
    compared: metaopt.Comparison, name: str
) -> None:
    draw = getattr(plots, name)
    faults = list(_faults(draw, set()))
    for parameter, legal in FIGURES[name].items():
        given: dict[str, Any] = {"problem": "cheap"} if name == "anytime" else {}

        def call(value: Any, given: dict[str, Any] = given, key: str = parameter) -> Any:
            return draw(compared, **{**given, key: value})

        faults += _faults(call, legal)
    assert not faults, "\n".join(faults)


STUDY_FIGURES: dict[str, dict[str, set[str]]] = {
    "history": {},
    "intermediate": {},
    "resources": {"resource": set()},
    "parallel_coordinates": {"names": {"None", "text", "space"}},
    "importances": {"methods": set()},
    "slices": {"names": {"None", "text", "space"}, "model": {"None"}, "columns": WHOLE},
    "contours": {"first": {"text"}, "second": set()},
    "study_figures": {},
}


@pytest.mark.parametrize("name", STUDY_FIGURES)
def test_wrong_arguments_of_a_figure_of_a_study(name: str) -> None:
    study = Study(Space(x=Float(0, 1), z=Float(0, 1)), "random")
    study.optimize(lambda trial: trial["x"], n_trials=6)
    draw = getattr(plots, name)
    faults = list(_faults(draw, set()))
    for parameter, legal in STUDY_FIGURES[name].items():
        given: dict[str, Any] = {"first": "x", "second": "z"} if name == "contours" else {}

        def call(value: Any, given: dict[str, Any] = given, key: str = parameter) -> Any:
            return draw(study, **{**given, key: value})

        faults += _faults(call, legal)
    assert not faults, "\n".join(faults)


RUNS = {"a": [[3.0, 2.0], [2.0, 1.0]], "b": [[1.0, 1.0], [4.0, 3.0]]}
GROUPS = stats.critical_groups([[1.0, 2.0], [1.0, 3.0], [2.0, 3.0]])
TEXT = {"text", "empty text", "spaces", "line", "a number as text"}
ARRAY_FIGURES: dict[str, tuple[dict[str, Any], dict[str, set[str]]]] = {
    "curves": (
        {"repeats": RUNS},
        {
            "repeats": set(), "at": {"None", "numbers", "array"}, "colors": {"None", "texts"},
            "direction": set(), "title": TEXT, "xlabel": TEXT, "ylabel": TEXT | {"None"},
            "optimum": WHOLE | {"None", "-1", "0", "0.5", "2 ** 70"},
        },
    ),
    "ranks": (
        {"means": {"a": 1.0, "b": 2.0}},
        {
            "means": {"dict"}, "intervals": {"None", "empty dict"}, "colors": {"None", "texts"},
            "title": TEXT, "xlabel": TEXT,
        },
    ),
    "values": (
        {"finals": {"p": {"a": [1.0, 2.0], "b": [1.0, math.nan]}}},
        {"finals": set(), "colors": {"None", "texts"}, "columns": WHOLE, "xlabel": TEXT},
    ),
    "cd_diagram": (
        {"found": GROUPS, "labels": ["a", "b"]},
        {"found": set(), "labels": {"texts"}, "colors": {"None", "texts"}},
    ),
    "styles": (
        {"labels": ["a", "b"]},
        {"labels": {"texts", "set", "dict", "space"}, "colors": {"None", "texts"}},
    ),
    "spread_apart": (
        {"wanted": np.array([0.1, 0.2]), "gap": 0.1},
        {
            "wanted": {"numbers", "array", "empty list"},
            "gap": WHOLE | {"0", "0.5", "2 ** 70"},
        },
    ),
    "wants_log": ({}, {"values": {"numbers", "array", "empty list", "table"}}),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAY_FIGURES)
def test_wrong_arguments_of_a_figure_of_arrays(name: str) -> None:
    valid, parameters = ARRAY_FIGURES[name]
    faults = []
    for parameter, legal in parameters.items():

        def call(value: Any, key: str = parameter) -> Any:
            return getattr(plots, name)(**{**valid, key: value})

        faults += [f"{parameter}: {fault}" for fault in _faults(call, legal)]
    assert not faults, "\n".join(faults)


def test_wrong_arguments_of_save_and_svg(tmp_path: Path) -> None:
    figure = plots.ranks({"a": 1.0})
    good = str(tmp_path / "f")
    faults = list(_faults(lambda v: plots.save(v, good), set()))
    faults += _faults(lambda v: plots.save(figure, good, v), set())
    faults += _faults(lambda v: plots.save(figure, good, transparent=v), {"True"})
    for wrong in (None, "", "a\0b", 3, b"x", ["a"], tmp_path / "f.png", "x" * 300, "/dev/null/f"):
        with pytest.raises(StudyError):
            plots.save(figure, wrong)  # type: ignore[arg-type]
    faults += _faults(lambda v: plots.svg(v, "x"), set())
    faults += _faults(lambda v: plots.svg(figure, v), {"text", "a number as text"})
    faults += _faults(lambda v: plots.svg(figure, "x", v), TEXT | {"null"})
    assert not faults, "\n".join(faults)
    assert not list(tmp_path.glob("*.png.png"))


@pytest.mark.parametrize(
    "path", [None, "", " ", "a\0b", 3, b"x", ["a"], "x" * 300, "/dev/null/page.html", "/dev/null/x"]
)
def test_a_report_that_cannot_be_written_says_where_and_why(
    compared: metaopt.Comparison, path: Any
) -> None:
    with pytest.raises(StudyError, match=r"path must be|cannot be written|is a file"):
        compared.report(path)


@pytest.mark.parametrize(
    "path", [None, "", " ", "a\0b", 3, b"x", ["a"], "x" * 300, "foo://bar", "."]
)
def test_a_storage_that_holds_nothing_is_refused(path: Any) -> None:
    with pytest.raises(MetaoptError):
        metaopt.load_comparison(path)


# -- values at the ends of the floats --------------------------------------------------------------

M = sys.float_info.max
EXTREMES: dict[str, Callable[[float], float]] = {
    "up to the largest float": lambda x: M * x,
    "the largest float of both signs": lambda x: M if x < 0.3 else (-M if x < 0.6 else 1e-300),
    "all the largest float": lambda x: M,
    "all equal": lambda x: 0.1,
    "from the smallest to the largest float": lambda x: float(10 ** (-320 + 628 * x)),
    "tiny": lambda x: 5e-324 if x < 0.5 else 1e-310,
}


@pytest.mark.parametrize("extreme", EXTREMES)
def test_extreme_values_are_compared_printed_reported_and_drawn(
    extreme: str, tmp_path: Path
) -> None:
    direction: Any = "minimize" if extreme.startswith("the") else "maximize"
    problem = Problem("p", SPACE, lambda t: EXTREMES[extreme](t["x"]), direction)
    made = metaopt.compare(["random", "sobol"], [problem, CHEAP], 5, 8, margin=1.0)
    made.print()
    assert made.conclusion()
    assert made.report(tmp_path / "page.html").exists()


# -- compare_models --------------------------------------------------------------------------------

RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(24, 2)), np.arange(24) % 2


def _dummy(**options: Any) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(**options)


MODELS: dict[str, set[str]] = {
    "models": set(),
    "X": set(),
    "y": set(),
    "folds": {"2", "3"},
    "repeats": WHOLE,
    "scoring": {"None"},
    "groups": {"None"},
    "control": {"None"},
    "rope": WHOLE | {"None", "0", "0.5", "2 ** 70"},
    "seed": WHOLE | {"0"},
    "workers": {"1"},
    "progress": {"True"},
}


@pytest.mark.parametrize("parameter", MODELS)
def test_a_bad_argument_of_compare_models_is_refused(parameter: str) -> None:
    valid = {
        "models": {"a": _dummy(), "b": _dummy(strategy="stratified")}, "X": X, "y": Y, "folds": 2,
        "repeats": 2,
    }  # fmt: skip
    out = ("2", "3") if parameter == "workers" else ()  # legal and slow

    def call(value: Any) -> Any:
        return metaopt.compare_models(**{**valid, parameter: value})

    faults = list(_faults(call, MODELS[parameter], out))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"models": {1: _dummy(), 2: _dummy()}}, "must be a text, got 1"),
        ({"models": {"a/b": _dummy(), "c": _dummy()}}, "must not contain '/'"),
        ({"y": [*Y[:-1], None]}, "y must hold classes"),
        ({"y": [*Y[:-1], "x"], "folds": 3}, "at least 3 samples of every class, got"),
        ({"y": np.array([*Y[:-1], "x"], dtype=object)}, "of one kind"),
        ({"y": Y + 1j}, "y must hold classes"),
        ({"y": Y / 2 + 0.25}, "y must hold classes for the classifier 'a'"),
        ({"y": Y[:, None]}, "one class or number per sample"),
        ({"X": X[:-1]}, "same length"),
        ({"groups": np.arange(3)}, "groups must have the length of y, 24, got 3"),
        ({"groups": [None] * 24}, "groups must hold texts or numbers"),
        ({"groups": X}, "one label per sample"),
        ({"groups": [[1], [2, 3]] * 12}, "one label per sample"),
        ({"scoring": lambda: 1}, "every fit of every model failed"),
        ({"X": [["a", "b"]] * 24}, "every fit of every model failed"),
        ({"rope": math.inf}, "rope must be at least 0 and finite"),
    ],
)
def test_wrong_data_for_models_are_named(changes: dict[str, Any], words: str) -> None:
    from sklearn.linear_model import LogisticRegression

    valid = {"models": {"a": LogisticRegression(), "b": LogisticRegression(C=2)}, "X": X, "y": Y}
    with pytest.raises(MetaoptError, match=words):
        metaopt.compare_models(**{**valid, "folds": 2, "repeats": 1, **changes})


def test_an_estimator_that_cannot_be_copied_is_named() -> None:
    class Stubborn:
        def fit(self, X: Any, y: Any) -> None: ...

        def get_params(self, deep: bool = True) -> Any:
            raise RuntimeError("no parameters")

    with pytest.raises(StudyError, match="'b' must be a scikit-learn estimator"):
        metaopt.compare_models({"a": _dummy(), "b": Stubborn()}, X, Y, folds=2)
