"""Wrong arguments of every public function of `metaopt.stats` end in errors of ours, or are legal.

`CALLS` holds one valid call of each function, with the kind of each argument. Each argument is
replaced by each bad value in turn. What a kind allows must give a result, everything else must
raise an error of ours; other exceptions and warnings fail the test.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from metaopt import stats
from metaopt.core.errors import MetaoptError
from metaopt.stats.stratified import win_shares

RNG = np.random.default_rng(3)
X, Y = (RNG.normal(size=8).round(2).tolist() for _ in range(2))
BLOCKS = RNG.normal(size=(8, 3)).round(2)
TABLE, OTHER = RNG.normal(size=(2, 4, 5)).round(2)
CUBE = RNG.normal(size=(3, 4, 3)).round(2)
FIVE, MORE = RNG.normal(size=(2, 5, 2)).round(2)
LABELS, FIRST, SECOND = RNG.integers(0, 2, size=(3, 12))
RUNTIMES = np.array([[2.0, 5.0], [3.0, np.inf], [1.0, 4.0]])
PAIRS = stats.pairwise(BLOCKS)
PLAN = stats.recommend(stats.Design(3, 1, 30))
SPLITS = stats.recommend(stats.Design(2, 1, 4, resampling="repeated k-fold", test_fraction=0.2))
POSTERIOR = stats.correlated_t(X, Y, 0.1, 0.2)
T = stats.paired_t(X, Y)
WILCOXON = next(t for t in stats.PLANNED_TESTS if t.name == "wilcoxon")

# What each kind of argument allows among the bad values. "shorter" lacks the last row.
ARRAYS: dict[str, set[str]] = {
    "paired": set(),
    "paired, infinite": {"an infinity"},
    "finite": {"shorter"},
    "infinite": {"shorter", "an infinity"},
    "paired or None": {"None"},
    "finite or None": {"shorter", "None"},
    "p": {"shorter", "empty", "empty list"},
    "labels": {"truth values", "an infinity", "a huge int"},
    "values": {
        "shorter", "deeper", "an infinity", "a NaN", "a None", "only None", "empty", "empty list",
    },
    "curves": {"shorter", "deeper", "an infinity", "a NaN", "a None", "only None"},
    "curve": {"an infinity", "a NaN", "a None", "only None"},
    "trials": {"an infinity", "a NaN", "a None"},
    "runs": {"shorter", "an infinity", "a NaN", "a None", "only None"},
    "runtimes": {"shorter", "deeper", "an infinity"},
    "looks": {"None"},
    "treatments": {"shorter"},
}  # fmt: skip
SCALARS: dict[str, set[str]] = {
    "level": {"0.5", "a fraction"},
    "share": {"0.5", "a fraction", "almost 1"},
    "fraction of folds": {"0.5", "a fraction"},
    "probability": {"0", "1", "0.5", "a fraction", "almost 1"},
    "whole": {"1", "95"},
    "whole from 2": {"95"},
    "whole from 9": {"95"},
    "fixed": set(),
    "whole or None": {"1", "95", "None"},
    "whole from 2 or None": {"95", "None"},
    "None": {"None"},
    "seed": {"0", "1", "95", "2 ** 70"},
    "flag": {"True"},
    "true": {"True"},
    "word": set(),
    "column": {"0", "1"},
    "column or None": {"0", "1", "None"},
    "size": {"0", "1", "0.5", "2.5", "95", "2 ** 70", "a fraction", "almost 1"},
    "above 0": {"1", "0.5", "2.5", "95", "2 ** 70", "a fraction", "almost 1"},
    "size or None": {"0", "1", "0.5", "2.5", "95", "2 ** 70", "a fraction", "almost 1", "None"},
    "number": {"0", "1", "0.5", "2.5", "95", "-1", "2 ** 70", "a fraction", "almost 1"},
    "effect": {"0", "1", "0.5", "2.5", "95", "-1", "2 ** 70", "a fraction", "almost 1"},
    "budget": {"95", "2 ** 70"},
    "function": set(),
    "result": set(),
}


class Call:
    """A valid call: the function, and for each argument its kind and a valid value."""

    def __init__(self, function: Callable[..., Any], **arguments: tuple[str, Any]) -> None:
        self.function = function
        self.name = function.__name__
        self.kinds = {name: kind for name, (kind, _) in arguments.items()}
        self.valid = {name: value for name, (_, value) in arguments.items()}

    def __call__(self, **changes: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return self.function(**{**self.valid, **changes})


def _two(kind: str, x: Any = X, y: Any = Y) -> dict[str, tuple[str, Any]]:
    return {"x": (kind, x), "y": (kind, y)}


LEVEL = ("level", 0.9)
SEED, SAMPLES = ("seed", 7), ("whole", 100)
DIRECTION = ("word", "minimize")
SEQUENTIAL: dict[str, tuple[str, Any]] = {
    "most": ("whole from 9", 8), "looks": ("looks", [4, 8]), "level": LEVEL,
    "spending": ("word", "pocock"),
}  # fmt: skip

CALLS = {
    "a12": Call(stats.a12, **_two("infinite")),
    "a12_interval": Call(
        stats.a12_interval, **_two("infinite"), level=LEVEL, method=("word", "newcombe")
    ),
    "against_control": Call(
        stats.against_control, scores=("finite", BLOCKS), control=("column", 1)
    ),
    "area": Call(
        stats.area, curves=("curves", TABLE), best=("number", -3.0), worst=("number", 3.0)
    ),
    "at_times": Call(
        stats.at_times, times=("paired", [1.0, 4.0, 2.0]), values=("curve", [3.0, 1.0, 2.0]),
        grid=("finite", [1.5, 3.0]), direction=DIRECTION,
    ),
    "band": Call(stats.band, curves=("runs", TABLE), direction=DIRECTION),
    "bayes_signed_rank": Call(
        stats.bayes_signed_rank, **_two("paired"), rope=("size", 0.1), prior=("above 0", 0.5),
        samples=SAMPLES, seed=SEED,
    ),
    "best_so_far": Call(stats.best_so_far, values=("values", TABLE), direction=DIRECTION),
    "block_ranks": Call(stats.block_ranks, scores=("infinite", BLOCKS)),
    "bootstrap": Call(
        stats.bootstrap, x=("finite", X), statistic=("function", np.mean), level=LEVEL, n=SAMPLES,
        seed=SEED,
    ),
    "bootstrap_two": Call(
        stats.bootstrap_two, **_two("paired"), effect=("function", stats.shift),
        paired=("flag", True), level=LEVEL, n=SAMPLES, seed=SEED,
    ),
    "cliffs_delta": Call(stats.cliffs_delta, **_two("infinite")),
    "cochran_q": Call(
        stats.cochran_q, truth=("labels", LABELS), samples=SAMPLES, seed=SEED,
        predictions=("labels", np.stack([FIRST, SECOND, LABELS], axis=1)),
    ),
    "conover": Call(stats.conover, scores=("infinite", BLOCKS), control=("column or None", 1)),
    "corrected_t": Call(
        stats.corrected_t, **_two("paired"), test_fraction=("share", 0.2), level=LEVEL
    ),
    "correlated_t": Call(
        stats.correlated_t, **_two("paired"), rope=("size", 0.1), test_fraction=("share", 0.2)
    ),
    "critical_difference": Call(
        stats.critical_difference, k=("whole from 2", 4), n=("whole", 20), level=LEVEL
    ),
    "critical_groups": Call(
        stats.critical_groups, scores=("finite", BLOCKS), level=LEVEL, test=("word", "wilcoxon")
    ),
    "expected_runtime": Call(
        stats.expected_runtime, found=("infinite", RUNTIMES), spent=("budget", 10)
    ),
    "fewest_pairs": Call(stats.fewest_pairs, level=LEVEL, comparisons=("whole", 3)),
    "five_by_two_f": Call(stats.five_by_two_f, **_two("paired", FIVE, MORE)),
    "friedman": Call(
        stats.friedman, scores=("infinite", BLOCKS), correct_ties=("flag", False)
    ),
    "friedman_permutation": Call(
        stats.friedman_permutation, scores=("infinite", BLOCKS), samples=SAMPLES, seed=SEED
    ),
    "groups_of": Call(
        stats.groups_of, ranks=("paired", [1.0, 2.5, 2.5]), found=("result", PAIRS), level=LEVEL,
        difference=("size or None", 0.7),
    ),
    "hierarchical": Call(
        stats.hierarchical, scores=("infinite", CUBE), control=("column", 1), level=LEVEL,
        margin=("size", 0.1),
    ),
    "holm": Call(
        stats.holm, p=("paired", [0.01, 0.2]), weights=("paired or None", [1.0, 2.0])
    ),
    "holm_levels": Call(
        stats.holm_levels, p=("paired", [0.01, 0.2]), level=LEVEL,
        weights=("paired or None", [1.0, 2.0]),
    ),
    "improvement": Call(
        stats.improvement, scores=("infinite", CUBE), paired=("flag", True), level=LEVEL
    ),
    "interquartile_mean": Call(stats.interquartile_mean, scores=("finite", TABLE), level=LEVEL),
    "magnitude": Call(stats.magnitude, a=("probability", 0.7)),
    "mcnemar": Call(
        stats.mcnemar, truth=("labels", LABELS), x=("labels", FIRST), y=("labels", SECOND)
    ),
    "mean_ranks": Call(stats.mean_ranks, scores=("infinite", BLOCKS)),
    "median_difference": Call(stats.median_difference, **_two("paired")),
    "median_difference_interval": Call(
        stats.median_difference_interval, **_two("paired"), level=LEVEL
    ),
    "median_interval": Call(stats.median_interval, x=("infinite", X), level=LEVEL),
    "nemenyi": Call(stats.nemenyi, scores=("infinite", BLOCKS)),
    "overtuning": Call(
        stats.overtuning, validation=("trials", [3.0, 2.0, 1.0]), tests=("trials", [1.0, 2.0, 4.0])
    ),
    "paired_t": Call(stats.paired_t, **_two("paired"), level=LEVEL),
    "pairwise": Call(
        stats.pairwise, scores=("finite", BLOCKS), test=("function", stats.wilcoxon),
        control=("column or None", 1),
    ),
    "performance_profile": Call(
        stats.performance_profile, costs=("infinite", np.exp(BLOCKS)),
        factor=("finite or None", [1.0, 2.0]),
    ),
    "permutation": Call(
        stats.permutation, **_two("paired", np.arange(25) / 7, np.zeros(25)), samples=SAMPLES,
        seed=SEED,
    ),
    "power": Call(
        stats.power, test=("word", "wilcoxon"), effect=("effect", 0.9), n=("whole or None", 12),
        target=LEVEL, level=LEVEL, comparisons=("whole", 2),
        test_fraction=("None", None), samples=SAMPLES, seed=SEED,
    ),
    "power of the corrected t": Call(
        stats.power, test=("word", "corrected t"), effect=("effect", 0.9),
        n=("whole from 2 or None", 12),
        target=LEVEL, level=LEVEL, comparisons=("whole", 2), test_fraction=("share", 0.1),
    ),
    "random_effects": Call(
        stats.random_effects, effects=("paired", X), variances=("paired", np.exp(X)), level=LEVEL
    ),
    "rank_biserial": Call(stats.rank_biserial, **_two("paired, infinite"), level=LEVEL),
    "rank_over_time": Call(
        stats.rank_over_time, curves=("runs", CUBE), direction=DIRECTION
    ),
    "rank_sum": Call(stats.rank_sum, **_two("infinite")),
    "rank_z": Call(stats.rank_z, scores=("infinite", BLOCKS), control=("column or None", 1)),
    "recommend": Call(
        stats.recommend, design=("result", stats.Design()), level=LEVEL, families=("whole", 2)
    ),
    "repeated_kfold_t": Call(
        stats.repeated_kfold_t, **_two("paired", TABLE, OTHER), level=LEVEL
    ),
    "runtime_distribution": Call(
        stats.runtime_distribution, found=("runtimes", RUNTIMES),
        budget=("finite or None", [1.0, 5.0]),
    ),
    "runtimes": Call(
        stats.runtimes, curves=("curve", TABLE), targets=("finite", [0.5, 0.0]),
        direction=DIRECTION, times=("paired or None", np.cumsum(np.ones((4, 5)), axis=1)),
    ),
    "sequential_against_control": Call(
        stats.sequential_against_control, treatments=("treatments", [X, Y]),
        control=("paired", X[::-1]), **SEQUENTIAL,
    ),
    "sequential_interval": Call(stats.sequential_interval, **_two("paired"), **SEQUENTIAL),
    "sequential_signed_rank": Call(
        stats.sequential_signed_rank, **_two("paired"), **SEQUENTIAL
    ),
    "shaffer": Call(stats.shaffer, p=("paired", [0.01, 0.2, 0.3]), k=("fixed", 3)),
    "shaffer_levels": Call(
        stats.shaffer_levels, p=("paired", [0.01, 0.2, 0.3]), k=("fixed", 3), level=LEVEL
    ),
    "shift": Call(stats.shift, **_two("finite")),
    "shift_interval": Call(stats.shift_interval, **_two("finite"), level=LEVEL),
    "sign_test": Call(stats.sign_test, **_two("paired, infinite")),
    "signed_rank_of_wins": Call(
        stats.signed_rank_of_wins, **_two("paired, infinite", TABLE, OTHER), paired=("flag", True)
    ),
    "smallest_p": Call(stats.smallest_p, n=("whole", 6)),
    "stratified_signed_rank": Call(stats.stratified_signed_rank, **_two("paired", TABLE, OTHER)),
    "van_elteren": Call(stats.van_elteren, **_two("paired, infinite", TABLE, OTHER)),
    "wilcoxon": Call(stats.wilcoxon, **_two("paired")),
    "win_shares": Call(
        win_shares, **_two("paired, infinite", TABLE, OTHER), paired=("flag", True)
    ),
    "wins": Call(stats.wins, **_two("paired, infinite"), level=LEVEL),
    # Classes and methods.
    "Design": Call(
        stats.Design, treatments=("whole from 2", 3), problems=("whole", 2), repeats=("whole", 4),
        paired=("true", True), resampling=("word", "repeated k-fold"),
        test_fraction=("fraction of folds", 0.2), control=("flag", False), looks=("word", False),
    ),
    "Posterior.verdict": Call(POSTERIOR.verdict, level=LEVEL),
    "TTest.at_level": Call(T.at_level, level=LEVEL),
    "PlannedTest.fewest": Call(WILCOXON.fewest, level=LEVEL, comparisons=("whole", 3)),
    "Recommendation.test_any": Call(PLAN.test_any, scores=("infinite", BLOCKS)),
    "Recommendation.test_pair": Call(PLAN.test_pair, **_two("paired")),
    "Recommendation.probability": Call(
        SPLITS.probability, **_two("paired", TABLE, OTHER), rope=("size", 0.1)
    ),
    "Recommendation.adjust": Call(PLAN.adjust, p=("p", [0.01, 0.2])),
}  # fmt: skip


class _Rude:
    """An object that fails whatever is done with it."""

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise RuntimeError("no array")

    def __repr__(self) -> str:
        raise RuntimeError("no text")


def _scalars() -> dict[str, Any]:
    """Single values, none of which every kind allows."""
    return {
        "None": None, "text": "x", "empty text": "", "a number as text": "1", "bytes": b"x",
        "True": True, "complex": 1 + 2j, "NaN": math.nan, "inf": math.inf, "-inf": -math.inf,
        "-1": -1, "almost 1": 1 - 1e-16, "0": 0, "1": 1, "0.5": 0.5, "2.5": 2.5, "95": 95,
        "2 ** 70": 2**70,
        "10 ** 400": 10**400, "10 ** 5000": 10**5000, "a fraction": np.float32(0.5),
        "decimal": Decimal("0.5"), "complex of numpy": np.complex64(1),
        "duration": np.timedelta64(1, "s"), "date": np.datetime64("2020-01-01"), "object": object(),
        "rude": _Rude(), "class": int, "function": lambda: 1, "dict": {"a": 1}, "set": {1.0},
        "generator": (i for i in [1.0, 2.0]), "list": [0.5], "empty list": [],
        "array": np.array([0.5]), "words": ["a", "b"],
    }  # fmt: skip


def _arrays(valid: Any) -> dict[str, Any]:
    """Arrays in the shape of a valid one, spoiled; and single values."""
    good = np.array(valid, dtype=np.float64)
    known = np.where(np.isfinite(good), good, 0)  # dates know no infinity

    def first(value: Any, kind: Any = object) -> Any:
        out = good.astype(kind)
        out[(0,) * out.ndim] = value
        return out

    masked = np.ma.masked_array(good, mask=first(1, bool) & (first(0, bool) ^ first(1, bool)))
    rows = good.tolist()
    return {
        **{k: v for k, v in _scalars().items() if k not in ("list", "array", "generator")},
        "strings": good.astype(str).tolist(), "one string": first("1.5").tolist(),
        "bytes inside": good.astype("S"), "complex numbers": good + 0j,
        "truth values": good > 0, "one object": first(object()).tolist(),
        "one rude object": first(_Rude()), "decimals": first(Decimal(1)).tolist(),
        "dates": known.astype("datetime64[s]"), "durations": known.astype("timedelta64[s]"),
        "a NaN": first(np.nan, float), "a None": first(None).tolist(),
        "an infinity": first(np.inf, float), "a huge int": first(10**400).tolist(),
        "masked": masked, "shorter": good[:-1], "deeper": good[None], "empty": good[:0],
        "ragged": [*rows[:-1], [rows[-1], [1.0]]], "lists of lists": [[], [[]]],
        "only None": np.full(good.shape, None),
    }  # fmt: skip


def _replaced() -> Iterator[tuple[str, str]]:
    for name, call in CALLS.items():
        for parameter in call.valid:
            yield name, parameter


def _bad(call: Call, parameter: str) -> tuple[dict[str, Any], set[str]]:
    """The bad values for a parameter, and which of them are legal there."""
    kind = call.kinds[parameter]
    if kind in ARRAYS:
        return _arrays(call.valid[parameter]), ARRAYS[kind]
    return _scalars(), SCALARS[kind]


def test_every_public_function_has_a_valid_call() -> None:
    functions = {n for n in stats.__all__ if inspect.isfunction(getattr(stats, n))}
    assert functions <= CALLS.keys()
    for name, call in CALLS.items():
        parameters = inspect.signature(call.function).parameters
        missing = parameters.keys() - call.valid.keys()
        assert missing <= ({"samples", "seed"} if "corrected" in name else set()), name
        call()


@pytest.mark.parametrize(("name", "parameter"), list(_replaced()))
def test_a_bad_argument_raises_an_error_of_ours_or_is_legal(name: str, parameter: str) -> None:
    call = CALLS[name]
    values, legal = _bad(call, parameter)
    faults = []
    for label, value in values.items():
        try:
            result = call(**{parameter: value})
        except MetaoptError as error:
            message = str(error)
            if label in legal:
                faults.append(f"{label}: legal, but raised: {message}")
            if not message or "\n" in message or len(message) > 500:
                faults.append(f"{label}: a message that nobody can read: {message[:100]!r}")
        except Exception as error:
            faults.append(f"{label}: raised {type(error).__name__}: {error}")
        else:
            if label not in legal:
                faults.append(f"{label}: accepted in silence, gave {str(result)[:80]}")
    assert not faults, "\n".join(faults)


M = float(np.finfo(np.float64).max)
# What scores may be, too. Functions of the size of a value, and not of its order alone, may refuse.
EXTREMES: dict[str, Callable[[Any], Any]] = {
    "all up to the largest float": lambda good: good / max(1.0, np.abs(good).max()) * M,
    "all beyond 1e308, of both signs": lambda good: np.where(good > 0, 1.0, -1.0) * 1e308,
    "all the largest float": lambda good: np.full(good.shape, M),
    "the largest float of both signs": lambda good: np.where(good > 0, M, -M),
    "one huge": lambda good: np.where(good == good.max(), M, good),
    "all tiny": lambda good: good * 1e-310,
    "all below 1e-150": lambda good: good * 1e-160,
    "tiny and huge": lambda good: np.where(good > 0, 1e307 * good, 1e-320),
    "all 0": lambda good: np.zeros(good.shape),
    "all equal": lambda good: np.full(good.shape, 0.1),
    "equal but for the last digit": lambda good: 1.0 + (good > 0) * 2**-52,
    "whole numbers of 8 bits": lambda good: (100 * np.sign(good)).astype(np.int8),
    "half precision": lambda good: good.astype(np.float16),
}
SCORES = {"x", "y", "scores", "curves", "values", "validation", "tests"}
MAY_BE_NAN = ("area", "at_times", "band", "best_so_far", "overtuning", "rank_over_time")


def _numbers(result: Any) -> Iterator[float]:
    """All numbers in a result."""
    if dataclasses.is_dataclass(result):
        result = [getattr(result, field.name) for field in dataclasses.fields(result)]
    if isinstance(result, (list, tuple)):
        for part in result:
            yield from _numbers(part)
    elif isinstance(result, np.ndarray):
        yield from result.ravel().tolist()
    elif isinstance(result, float):
        yield result


def _faults(call: Call, changes: dict[str, Any]) -> str:
    try:
        result = call(**changes)
    except MetaoptError:
        return ""
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    if any(math.isnan(v) for v in _numbers(result)) and call.name not in MAY_BE_NAN:
        return f"gave NaN in {str(result)[:200]}"
    return ""


@pytest.mark.parametrize("name", [n for n, c in CALLS.items() if SCORES & c.valid.keys()])
@pytest.mark.parametrize("extreme", EXTREMES)
def test_extreme_scores_give_a_result_or_an_error_of_ours(name: str, extreme: str) -> None:
    call, spoil = CALLS[name], EXTREMES[extreme]
    scores = {k: np.array(v, np.float64) for k, v in call.valid.items() if k in SCORES}
    faults = [_faults(call, {k: spoil(v)}) for k, v in scores.items()]
    faults += [_faults(call, {k: spoil(v) for k, v in scores.items()})]
    faults += [_faults(call, {k: spoil(scores["x" if "x" in scores else k]) for k in scores})]
    assert not any(faults), "\n".join(filter(None, faults))


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-500, 2.0**900, 2.0**1021])
@pytest.mark.parametrize(
    "name",
    [
        "paired_t", "corrected_t", "repeated_kfold_t", "five_by_two_f", "permutation", "wilcoxon",
        "sign_test", "stratified_signed_rank", "correlated_t", "bayes_signed_rank",
    ],
)  # fmt: skip
def test_the_verdict_does_not_depend_on_the_unit_of_the_scores(name: str, unit: float) -> None:
    call = CALLS[name]
    scaled = {k: np.array(call.valid[k]) / 8 * unit for k in ("x", "y")}
    if "rope" in call.valid:
        scaled["rope"] = call.valid["rope"] / 8 * unit
    one, other = call(), call(**scaled)
    for field in ("p", "statistic", "below", "equivalent", "above"):
        if hasattr(one, field) and (name, field) != ("permutation", "statistic"):
            assert getattr(other, field) == getattr(one, field)
    if hasattr(one, "difference"):
        assert other.difference == pytest.approx(one.difference / 8 * unit, rel=1e-12)


@dataclasses.dataclass
class _Outcome:
    statistic: Any
    p: Any


@pytest.mark.parametrize(
    "test",
    [
        lambda x, y: None,
        lambda x, y: 0.03,
        lambda x, y: _Outcome("1.0", 0.5),
        lambda x, y: _Outcome(1.0, None),
        lambda x, y: _Outcome(1.0, 1.5),
        lambda x, y: _Outcome(1.0, math.nan),
        lambda x, y: 1 / 0,
        lambda x: x,
        stats.Wilcoxon,
    ],
)
def test_a_test_of_the_caller_that_gives_no_p_value_is_named(test: Any) -> None:
    with pytest.raises(stats.StatisticsError):
        stats.pairwise(BLOCKS, test)


@pytest.mark.parametrize(
    "function",
    [
        lambda *samples: None,
        lambda *samples: "0.5",
        lambda *samples: math.nan,
        lambda *samples: math.inf,
        lambda *samples: 1j,
        lambda *samples: [1.0, 2.0],
        lambda *samples: 1 / 0,
        lambda *samples: samples[9],
        lambda *samples, axis=None: 1.0,
        lambda: 1.0,
    ],
)
def test_a_statistic_of_the_caller_that_gives_no_number_is_named(function: Any) -> None:
    with pytest.raises(stats.StatisticsError, match="statistic"):
        stats.bootstrap(X, function, n=5)
    if "axis" not in inspect.signature(function).parameters:  # of two samples it is a number
        with pytest.raises(stats.StatisticsError, match="effect"):
            stats.bootstrap_two(X, Y, function, n=5)


def test_what_a_function_of_the_caller_raised_stays_readable_as_its_cause() -> None:
    with pytest.raises(stats.StatisticsError, match="KeyError: 'a'") as caught:
        stats.bootstrap(X, lambda sample: {}["a"])
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble])
def test_numbers_of_numpy_are_numbers(kind: Any) -> None:
    half = kind(0.5)
    assert stats.magnitude(half) == "negligible"
    assert stats.correlated_t(X, Y, half, half).rope == 0.5
    assert stats.wins(X, Y, half).level == 0.5
    assert stats.power("t", half, np.int8(9), level=half).n == 9
    assert stats.bootstrap(X, n=np.uint8(9), seed=np.int16(3)).low <= np.median(X)


def test_bars_need_the_tests_of_all_pairs() -> None:
    with pytest.raises(stats.StatisticsError, match="all pairs, got 2 of 3"):
        stats.groups_of([1, 2, 3], stats.pairwise(BLOCKS, control=0))


ENTRY = {"name": "t", "role": "pairs", "suits": lambda s: True, "run": lambda x, y, d: None}
TEXTS = {"title": "t", "short": "t", "why": "t", "sources": ("wilcoxon1945",)}


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(stats.PlannedTest)])
def test_a_planned_test_of_wrong_parts_is_refused(field: str) -> None:
    stats.PlannedTest(**ENTRY, **TEXTS)
    allowed = {"smallest_p": (None,), "name": ("x",)}
    for value in (None, 1, 1j, ["a"], {"a": 1}, (), (1,), ("nobody1900",), b"x", _Rude()):
        if value not in allowed.get(field, ()):
            with pytest.raises(stats.StatisticsError):
                stats.PlannedTest(**{**ENTRY, **TEXTS, field: value})
    smallest: list[Any] = [lambda n: 1.0, lambda n: None, lambda n: 1 / 0, lambda: 0.0]
    for function in smallest:
        test = stats.PlannedTest(**ENTRY, **TEXTS, smallest_p=function)
        with pytest.raises(stats.StatisticsError):
            test.fewest(0.05, 3)


def test_more_resamples_than_memory_holds_are_refused_before_any_is_drawn() -> None:
    with pytest.raises(stats.StatisticsError, match="n must be at most"):
        stats.bootstrap(np.ones(100_000), n=10**5)
