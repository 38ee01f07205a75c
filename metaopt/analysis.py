"""From the runs of a comparison to standings, tests and sentences in plain words.

The unit is the repeat on one problem: all strategies share its seeds, initial points and data, so
repeats are blocks. Over several problems the unit is the problem (Demsar 2006): a block is the
mean rank of each strategy within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaopt import stats

FloatArray = NDArray[np.float64]

LEVEL = 0.05
SHARP = 10  # blocks from which the Iman-Davenport F keeps its level; below, ranks are permuted


@dataclass(frozen=True)
class Standing:
    """One strategy in a comparison. Intervals are 95 % bootstrap intervals of the median.

    Attributes:
        label: of the strategy.
        rank: mean rank by validation value; 1 is best.
        value: median best validation value over repeats, None where no repeat has one.
        test: the same for the hidden test value of the configuration chosen by validation.
        test_rank: mean rank by that.
        p: of the signed-rank test against the control, adjusted by Holm; None for the control.
        a12: probability of a better value than the control's, ties counting half.
        without: repeats in which no trial was complete; they rank last.
    """

    label: str
    rank: float
    value: stats.Interval | None
    test: stats.Interval | None
    test_rank: float | None
    p: float | None
    a12: float | None
    without: int


@dataclass(frozen=True)
class Analysis:
    """Standings on one problem, or over several (`over` says of what the blocks are)."""

    title: str
    over: str
    blocks: int
    standings: tuple[Standing, ...]
    control: str
    friedman_p: float | None

    def sentences(self) -> list[str]:
        """The finding, its uncertainty and its limits, in plain words."""
        if self.blocks < 2 or len(self.standings) < 2:
            return [
                f"{counted(self.blocks, self.over)} of {len(self.standings)} strategies cannot be"
                f" told from chance: no test was made. Use at least 2 strategies and 6 repeats."
            ]
        return [self._first(), self._whole(), *self._pairs(), self._limit()]

    def _first(self) -> str:
        best = self.standings[0]
        tied = [s.label for s in self.standings if s.rank == best.rank]
        who = " and ".join(tied) + (" rank" if len(tied) > 1 else " ranks")
        where = f"over {counted(self.blocks, self.over)}"
        where = f"On {self.title}, {where}" if self.over != "problems" else where.capitalize()
        return f"{where}, {who} first (mean rank {best.rank:.2f} of {len(self.standings)})."

    def _whole(self) -> str:
        p = self.friedman_p
        assert p is not None
        if p < LEVEL:
            return f"The strategies differ beyond chance (Friedman, {_p(p)})."
        return f"That the strategies differ at all is not shown (Friedman, {_p(p)})."

    def _pairs(self) -> list[str]:
        others = [s for s in self.standings if s.p is not None]
        if not others:
            return []
        control = next(s for s in self.standings if s.label == self.control)
        shown = [s for s in others if s.p is not None and s.p < LEVEL]
        better = [s.label for s in shown if s.rank < control.rank]
        worse = [s.label for s in shown if s.rank >= control.rank]
        open_ = [s.label for s in others if s not in shown]
        out = []
        if better:
            out.append(f"Better than {self.control}: {', '.join(better)}.")
        if worse:
            out.append(f"Worse than {self.control}: {', '.join(worse)}.")
        if open_:
            out.append(
                f"Not shown to differ from {self.control} (which is no proof that they are equal):"
                f" {', '.join(open_)}."
            )
        return out

    def _limit(self) -> str:
        """Say what this number of blocks can show at best."""
        least = stats.smallest_p(self.blocks)
        m = len(self.standings) - 1
        text = f"{counted(self.blocks, self.over)} cannot show less than p = {least:.2g} for a pair"
        if m > 1:
            text += f", {min(1.0, m * least):.2g} after Holm's correction for {m} pairs"
        if min(1.0, m * least) >= LEVEL:
            need = stats.fewest_pairs(LEVEL, m)
            text += f": too few for p < {LEVEL}, which needs at least {need}"
        return text + "."


def counted(n: int, what: str) -> str:
    return f"{n} {what if n != 1 else what.removesuffix('s')}"


def _p(p: float) -> str:
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def filled(values: FloatArray) -> FloatArray:
    """Give runs without a value (NaN) one that is worse than all others; lower is better."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.zeros_like(values)
    worst = float(known.max() + max(1.0, float(np.ptp(known))))
    return np.where(np.isfinite(values), values, worst)


def analyse(
    title: str,
    labels: Sequence[str],
    values: FloatArray,
    tests: FloatArray | None,
    control: str,
    sign: int,
    seed: int = 0,
) -> Analysis:
    """Analyse one problem.

    Args:
        title: the problem's name.
        labels: of the k strategies.
        values: best validation values (repeats, k), NaN where a run has none.
        tests: hidden test values of the same configurations, or None.
        control: the label that all others are compared with.
        sign: 1 if lower is better, -1 if higher is.
        seed: of the bootstrap.
    """
    n, k = values.shape
    scores = filled(sign * values)
    enough = n >= 2 and k >= 2
    ranks = _ranks(scores)
    test_ranks = stats.mean_ranks(filled(sign * tests)) if enough and tests is not None else None
    p, a12 = _against(scores, labels, control) if enough else ({}, {})
    standings = [
        Standing(
            label,
            float(ranks[j]),
            interval(values[:, j], seed),
            None if tests is None else interval(tests[:, j], seed),
            None if test_ranks is None else float(test_ranks[j]),
            p.get(label),
            a12.get(label),
            int(np.isnan(values[:, j]).sum()),
        )
        for j, label in enumerate(labels)
    ]
    standings.sort(key=lambda s: s.rank)
    friedman_p = _friedman(scores) if enough else None
    return Analysis(title, "paired repeats", n, tuple(standings), control, friedman_p)


def analyse_problems(analyses: Sequence[Analysis], labels: Sequence[str]) -> Analysis:
    """Analyse several problems together; each problem's mean ranks are one block."""
    first = analyses[0]
    rank = [{s.label: s.rank for s in a.standings} for a in analyses]
    test = [{s.label: s.test_rank for s in a.standings} for a in analyses]
    scores = np.array([[r[label] for label in labels] for r in rank])
    p, _ = _against(scores, labels, first.control)
    standings = []
    for j, label in enumerate(labels):
        tested = [t[label] for t in test if t[label] is not None]
        standings.append(
            Standing(
                label,
                float(scores[:, j].mean()),
                None,
                None,
                float(np.mean(np.array(tested, dtype=float))) if tested else None,
                p.get(label),
                None,
                0,
            )
        )
    standings.sort(key=lambda s: s.rank)
    return Analysis(
        "all problems",
        "problems",
        len(analyses),
        tuple(standings),
        first.control,
        _friedman(scores),
    )


def _ranks(scores: FloatArray) -> FloatArray:
    """Mean ranks; with one block or one strategy, where there is no mean, its own."""
    if scores.shape[1] < 2:
        return np.ones(1)
    return stats.mean_ranks(np.repeat(scores, 2, axis=0) if len(scores) < 2 else scores)


def _against(
    scores: FloatArray, labels: Sequence[str], control: str
) -> tuple[dict[str, float], dict[str, float]]:
    found = stats.against_control(scores, list(labels).index(control))
    return (
        {labels[c.treatment]: c.p_holm for c in found},
        {labels[c.treatment]: c.a12 for c in found},
    )


def _friedman(scores: FloatArray) -> float:
    if len(scores) < SHARP:
        return stats.friedman_permutation(scores).p
    return stats.friedman(scores).f_p


def interval(values: FloatArray, seed: int) -> stats.Interval | None:
    """Median and bootstrap interval of the runs that have a value."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    if len(known) == 1:
        v = float(known[0])
        return stats.Interval(v, v, v, 0.0, "one value")
    return stats.bootstrap(known, seed=seed)
