"""Repeats added one by one, with a look at the data after each: a group-sequential test.

Notation: d[p, r] = x[p, r] - y[p, r] for repeat r of problem p; W is W+ - W-, the difference of the
two signed-rank sums, added up over the problems. `most` is the planned largest number of repeats.

Whoever looks at an ordinary p-value after every repeat and stops when it is below 0.05 rejects true
hypotheses far too often. Here the level is spent little by little: after n repeats at most
f(n / most) of it, where f grows from 0 to the level (Lan and DeMets 1983). Under the null
hypothesis the signs of the differences are fair coins, whatever their sizes. So at each look all
vectors of signs that were not rejected before compete, with the sizes seen so far, and those with
the largest |W| are rejected: as many as the level spent so far allows. What a look cannot use is
left for later looks.

Not all 2^(n P) vectors compete but a group of 2^15 of them: the observed signs with certain sets of
them flipped, the same sets at every look. Under the null hypothesis each member of the group is
equally likely to be the observed one, so the level holds exactly and has no simulation error
(Hemerik and Goeman 2018). Up to 15 differences the group holds all vectors.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import StatisticsError
from metaopt.core.types import FloatArray
from metaopt.stats.checks import as_choice, as_floats, as_level, as_whole, shown
from metaopt.stats.effect import Interval
from metaopt.stats.extremes import unit_of
from metaopt.stats.signed_rank import signed_ranks

Decision = Literal["better", "worse", "open"]
Spending = Literal["obrien-fleming", "pocock"]

BITS = 14
MEMBERS = 2**BITS  # one of each two opposite members of the group: both have the same |W|


@dataclass(frozen=True)
class Look:
    """What is known after n repeats.

    Attributes:
        n: number of repeats of each problem so far.
        statistic: W; below 0 if x tends to be lower, that is better.
        boundary: smallest |statistic| that decides at this look, if none did before; inf if none
            does.
        level: level of this comparison at this look; with several treatments a part of the
            family-wise level.
        spent: probability of a false decision up to this look.
        decision: "better" or "worse" from the look on that decides, "open" before.
        p: p-value in the stage-wise ordering: an earlier decision counts as stronger evidence than
            a later one, and within a look a larger |statistic| does. It exists once repeats have
            ended, with a decision or after the last planned repeat; before that None.
    """

    n: int
    statistic: float
    boundary: float
    level: float
    spent: float
    decision: Decision
    p: float | None


def sequential_signed_rank(
    x: Any,
    y: Any,
    *,
    most: int,
    looks: Sequence[int] | None = None,
    level: float = 0.05,
    spending: Spending = "obrien-fleming",
) -> tuple[Look, ...]:
    """Test after each repeat whether x and y differ; repeats may end with the first decision.

    If the signs of all differences are independent fair coins, the probability of a decision, at
    whatever look, is at most `level`. So different problems need different seeds, too. With one
    problem and one look, after all planned repeats, the test is `wilcoxon`. Nothing is random and
    nothing is remembered: called again with more repeats, the function gives the earlier looks
    unchanged. Therefore `most`, `looks`, `level` and `spending` must be fixed before the first
    look.

    "obrien-fleming" spends almost nothing early. It loses little power against a test without
    looks, but at level 0.05 it decides nothing in the first quarter of the planned repeats, however
    large the difference. "pocock" spends evenly: large differences are decided after few repeats,
    small ones are missed more often.

    Args:
        x, y: paired scores so far, shape (repeats,) or (problems, repeats), finite; lower is
            better. Differences are ranked within each problem, so that problems may have different
            units.
        most: planned largest number of repeats.
        looks: numbers of repeats after which one looks, rising; None looks after every repeat.
        level: probability of a decision if x and y do not differ, between 0 and 1.
        spending: how the level is spread over the looks, "obrien-fleming" or "pocock".

    Returns:
        One entry for each look up to the repeats so far.

    Raises:
        StatisticsError: x and y have different shapes, a value is not finite, there are more
            repeats than planned, or another argument is not valid.

    Source: Lan and DeMets (1983); the boundaries from a group of sign flips after Hemerik and
        Goeman (2018); zeros after Pratt (1959).

    Example:
        >>> from metaopt.stats import sequential_signed_rank
        >>> x = [0.31, 0.28, 0.35, 0.30, 0.27, 0.33, 0.29, 0.32]
        >>> y = [0.36, 0.34, 0.42, 0.38, 0.36, 0.43, 0.40, 0.44]
        >>> looks = sequential_signed_rank(x, y, most=12)  # x is lower in all 8 repeats
        >>> [look.decision for look in looks][-2:]
        ['open', 'better']
    """
    x, y = _as_repeats(x, y, "x", "y")
    plan = _as_plan(most, looks, level, spending)
    return plan.run(_sums(x, y, plan.reached(x.shape[1])), plan.level)


def sequential_against_control(
    treatments: Sequence[Any],
    control: Any,
    *,
    most: int,
    looks: Sequence[int] | None = None,
    level: float = 0.05,
    spending: Spending = "obrien-fleming",
) -> tuple[tuple[Look, ...], ...]:
    """Test m treatments against one control after each repeat, at a family-wise level.

    The probability of any decision about a treatment that does not differ from the control is at
    most `level`. Each treatment is tested at level / m at first; one that is decided passes its
    part on to those that are still open, as in Holm's procedure, and needs no more repeats.

    Precisely this is the closed test with Bonferroni's correction. A treatment is decided once, for
    each s = 1, ..., m, every set of s treatments that contains it holds one that
    `sequential_signed_rank` has decided at level / s.

    Args:
        treatments: scores so far of the m treatments, each of shape (repeats,) or (problems,
            repeats), finite; a treatment that is decided may have fewer repeats than the others.
        control: scores of the control, with at least as many repeats; repeat r of a treatment is
            paired with repeat r of the control.
        most: planned largest number of repeats.
        looks: numbers of repeats after which one looks, rising; None looks after every repeat.
        level: family-wise level, between 0 and 1.
        spending: how the level is spread over the looks, "obrien-fleming" or "pocock".

    Returns:
        The looks at each treatment, in the order of `treatments`. Boundary, spent and p are those
        of a test at the level of the look, level / s; with a factor of s, p refers to the family.

    Raises:
        StatisticsError: as `sequential_signed_rank`, or there is no treatment.

    Source: Marcus, Peritz and Gabriel (1976); Holm's procedure with looks: Ye et al. (2013).
    """
    m = len(treatments) if isinstance(treatments, Sized) else 0
    if m < 1:
        raise StatisticsError(
            f"treatments must hold the scores of at least one treatment, got {shown(treatments)}"
        )
    plan = _as_plan(most, looks, level, spending, parts=m)
    runs = []
    for i, scores in enumerate(treatments):
        x, y = _as_repeats(scores, control, f"treatments[{i}]", "control", longer=True)
        sums = list(_sums(x, y, plan.reached(x.shape[1])))
        runs.append([plan.run(sums, plan.level / s) for s in range(1, m + 1)])
    return _closed(runs)


def sequential_interval(
    x: Any,
    y: Any,
    *,
    most: int,
    looks: Sequence[int] | None = None,
    level: float = 0.05,
    spending: Spending = "obrien-fleming",
) -> Interval:
    """Repeated confidence interval of the typical difference x - y, at the last look.

    It holds the shifts t for which this look does not tell x - t and y apart. With probability
    1 - level the intervals of all looks cover the true difference, so it does not matter when and
    why repeats ended; each is therefore wider than an ordinary interval. The boundary changes a
    little with the shift, so the bounds are approximate: now and then the interval holds 0 at a
    look that decides. The estimate is not corrected for early stopping, which on average makes the
    difference look too large.

    Args:
        x, y: paired scores so far, shape (repeats,) or (problems, repeats), finite. With several
            problems the difference is taken to be the same on all of them.
        most: planned largest number of repeats.
        looks: numbers of repeats after which one looks, rising; None looks after every repeat.
        level: 1 minus the confidence level; of one treatment among several, the level of its last
            look.
        spending: as in the test.

    Returns:
        The Hodges-Lehmann estimate with its interval; a bound is infinite as long as this look
        cannot decide.

    Raises:
        StatisticsError: as `sequential_signed_rank`, or there was no look yet.

    Source: Jennison and Turnbull (1989).
    """
    x, y = _as_repeats(x, y, "x", "y")
    plan = _as_plan(most, looks, level, spending)
    at = plan.reached(x.shape[1])
    if not at:
        raise StatisticsError(f"looks must hold one of at most the {x.shape[1]} repeats so far")
    unit = unit_of(np.stack([x, y]))  # sums and shifts then stay far from the largest float
    x, y = x / unit, y / unit
    means = _walsh(x[:, : at[-1]] - y[:, : at[-1]])
    estimate, edges = float(np.median(means)), np.unique(means)
    left, right = (int(np.searchsorted(edges, estimate, side)) for side in ("left", "right"))
    edges = np.concatenate([[-np.inf], edges, [np.inf]])

    def accepts(gap: int) -> bool:  # W changes at the edges only, and falls as the shift grows
        last = plan.run(_sums(x - _between(edges, gap), y, at), plan.level)[-1]
        return abs(last.statistic) < last.boundary

    first = bisect_left(range(left + 1), True, key=accepts)
    past = bisect_left(range(right, len(edges) - 1), True, key=lambda gap: not accepts(gap))
    low, high = float(edges[first]), float(edges[right + past])
    method = f"repeated confidence interval, {at[-1]} of {most} repeats, {spending} spending"
    low, high = min(low, estimate) * unit, max(high, estimate) * unit
    return Interval(estimate * unit, low, high, 1 - plan.level, method)


def _walsh(d: FloatArray) -> FloatArray:
    """Means of all pairs of differences of a problem, for all problems; d is (problems, n)."""
    i, j = np.triu_indices(d.shape[1])
    means: FloatArray = ((d[:, i] + d[:, j]) / 2).ravel()
    return means


def _between(edges: FloatArray, gap: int) -> float:
    """Return a number between edges[gap] and edges[gap + 1]; the outermost edges are infinite."""
    low, high = float(edges[gap]), float(edges[gap + 1])
    if math.isinf(low):
        return high - 1
    return low + 1 if math.isinf(high) else low + (high - low) / 2


@dataclass(frozen=True)
class _Plan:
    most: int
    looks: Sequence[int]
    level: float
    spending: Callable[[float, float], float]

    def reached(self, n: int) -> list[int]:
        """Return the looks up to n repeats."""
        if n > self.most:
            raise StatisticsError(
                f"at most {self.most} repeats were planned, got {n}; the plan cannot change after"
                f" the first look, so leave out the later repeats"
            )
        return list(self.looks[: bisect_right(self.looks, n)])

    def run(self, sums: Iterable[tuple[int, FloatArray]], level: float) -> tuple[Look, ...]:
        """All looks at one level, from W of all members; member 0 has the observed signs."""
        alive, spent, looks = np.ones(MEMBERS, dtype=bool), 0, list[Look]()
        decision: Decision = "open"
        p = None
        for n, w in sums:
            size = np.abs(w)
            # 1e-9: rounding must not take a member from a level that is a multiple of 1 / MEMBERS.
            allowed = int(self.spending(level, n / self.most) * MEMBERS + 1e-9) - spent
            boundary = _boundary(size, alive, allowed)
            rejected = alive & (size >= boundary)
            if alive[0] and (rejected[0] or n == self.most):
                p = (spent + int(np.sum(alive & (size >= size[0])))) / MEMBERS
            if rejected[0]:
                decision = "better" if w[0] < 0 else "worse"
            spent += int(np.sum(rejected))
            alive &= ~rejected
            looks.append(Look(n, float(w[0]), boundary, level, spent / MEMBERS, decision, p))
        return tuple(looks)


def _boundary(size: FloatArray, alive: NDArray[np.bool_], allowed: int) -> float:
    """Smallest value above those of the members that stay when `allowed` may be rejected, or inf.

    Members that were rejected before count as values, too: the interval needs to know whether they
    would be rejected here.
    """
    left = size[alive]
    place = len(left) - 1 - allowed
    return float(np.min(size, where=size > np.partition(left, place)[place], initial=np.inf))


def _sums(x: FloatArray, y: FloatArray, looks: Iterable[int]) -> Iterator[tuple[int, FloatArray]]:
    """At each look n, and W of all members of the group, shape (MEMBERS,)."""
    flips = _flips(x.size)
    for n in looks:
        signed = np.array([signed_ranks(*pair) for pair in zip(x[:, :n], y[:, :n], strict=True)])
        # Repeat by repeat, so that more repeats leave the places of the earlier signs as they are.
        by_flips: FloatArray = np.zeros(MEMBERS)
        np.add.at(by_flips, flips[: signed.size], signed.T.ravel())
        yield n, _over_group(by_flips)


def _flips(n: int) -> NDArray[np.int64]:
    """Which members flip each of n signs: member a flips sign i if a & flips[i] has odd parity.

    The first sign is never flipped, because each member stands for its opposite as well; the next
    14 signs are flipped in all 2^14 ways, the later ones by fixed random bits.
    """
    rng = np.random.Generator(np.random.PCG64(0))
    later = rng.integers(1, MEMBERS, size=max(0, n - 1 - BITS))
    return np.concatenate([[0], 1 << np.arange(BITS), later])[:n]


def _over_group(by_flips: FloatArray) -> FloatArray:
    """W of all members, from the sum of the signed ranks with flips b for each b, both (MEMBERS,).

    The Walsh-Hadamard transform: entry a is the sum of all by_flips[b], negated where a & b has odd
    parity.
    """
    w = by_flips
    for bit in range(BITS):
        pairs = w.reshape(-1, 2, 1 << bit)
        without, with_bit = pairs[:, :1], pairs[:, 1:]
        w = np.concatenate([without + with_bit, without - with_bit], axis=1).ravel()
    return w


def _closed(runs: list[list[tuple[Look, ...]]]) -> tuple[tuple[Look, ...], ...]:
    """Looks at each treatment in the closed test; runs[i][s - 1]: treatment i at level / s."""
    first = np.array([[_first_decision(run) for run in row] for row in runs])
    out = []
    for i, row in enumerate(runs):
        decided, s, looks = False, len(runs), list[Look]()
        for at in range(len(row[0])):
            if not decided:
                decided, s = _step(first, i, row[0][at].n)
            look = row[s - 1][at]
            if not decided and look.decision != "open":
                look = replace(look, decision="open", p=None)
            looks.append(look)
        out.append(tuple(looks))
    return tuple(out)


def _first_decision(run: tuple[Look, ...]) -> float:
    return next((float(look.n) for look in run if look.decision != "open"), math.inf)


def _step(first: FloatArray, i: int, n: int) -> tuple[bool, int]:
    """Whether treatment i is decided after n repeats, and the s of its level / s.

    first[j, s - 1] is the number of repeats after which treatment j was decided at level / s.
    """
    is_open = first > n
    others = is_open.sum(axis=0) - is_open
    # s treatments that are all open at level / s keep each other open.
    kept = (is_open & (others >= np.arange(len(first)))).any(axis=1)
    s = 1 + int(np.sum(np.delete(kept, i)))
    if kept[i]:
        return False, s
    return True, max(k for k in range(1, s + 1) if not is_open[i, k - 1])


def _obrien_fleming(level: float, fraction: float) -> float:
    """Two one-sided tests at level / 2 each, which is the usual meaning for two-sided tests."""
    if fraction >= 1:
        return level
    z = NormalDist().inv_cdf(1 - level / 4)
    return min(level, 2 * math.erfc(z / math.sqrt(2 * fraction)))


def _pocock(level: float, fraction: float) -> float:
    return level * math.log(1 + (math.e - 1) * fraction) if fraction < 1 else level


SPENDING: dict[str, Callable[[float, float], float]] = {
    "obrien-fleming": _obrien_fleming,
    "pocock": _pocock,
}


def _as_repeats(
    x: Any, y: Any, x_name: str, y_name: str, *, longer: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Both samples as (problems, repeats); with `longer`, what y has beyond x is left out."""
    x, y = as_floats(x, x_name), as_floats(y, y_name)
    if x.ndim not in (1, 2) or x.ndim != y.ndim or not x.size:
        raise StatisticsError(
            f"{x_name} and {y_name} must both have the shape (repeats,) or (problems, repeats) with"
            f" at least one repeat, got {x.shape} and {y.shape}"
        )
    used = y[..., : x.shape[-1]] if longer else y
    if x.shape != used.shape:
        raise StatisticsError(
            f"{x_name} and {y_name} must be paired, one value each per problem and repeat,"
            f" got {x.shape} and {y.shape}"
        )
    return np.atleast_2d(x), np.atleast_2d(used)


def _as_looks(looks: Any, most: int) -> tuple[int, ...]:
    if not isinstance(looks, Iterable):
        raise StatisticsError(
            f"looks must be numbers of repeats such as [10, 20], got {shown(looks)}"
        )
    at = tuple(as_whole(k, "looks") for k in looks)
    if not at or at[-1] > most or any(b <= a for a, b in pairwise(at)):
        raise StatisticsError(f"looks must rise and end at {most} or before, got {list(at)}")
    return at


def _as_plan(
    most: Any, looks: Sequence[int] | None, level: Any, spending: Any, parts: int = 1
) -> _Plan:
    most, level = as_whole(most, "most"), as_level(level)
    at = range(1, most + 1) if looks is None else _as_looks(looks, most)
    if level / parts < 1 / MEMBERS:
        raise StatisticsError(
            f"the level of each comparison must be at least {1 / MEMBERS:.1e}, the resolution of"
            f" the sequential test, got {level} / {parts}; raise the level or compare fewer"
        )
    return _Plan(most, at, level, SPENDING[as_choice(spending, "spending", SPENDING)])
