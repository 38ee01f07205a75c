"""What an analysis found, how sure it is and what it cannot show, in plain words."""

from __future__ import annotations

from metaopt import stats
from metaopt.analysis.standings import AnalysisData


def sentences(analysis: AnalysisData, level: float) -> list[str]:
    """The finding, its uncertainty and its limits; no word of difference without a test."""
    plan = analysis.plan
    if plan is None:
        return [
            f"A single strategy over {counted(analysis.blocks, analysis.over)}: there is nothing to"
            f" compare it with and no test was made."
        ]
    tested = any(s.p is not None for s in analysis.standings)
    if not tested:
        return [_first(analysis), f"No test was made here. {plan.advice}"]
    out = [_first(analysis), *_whole(analysis, level), *_pairs(analysis, level)]
    return [*out, *_posterior(analysis), _limit(analysis)]


def _first(a: AnalysisData) -> str:
    best = a.standings[0]
    tied = [s.label for s in a.standings if s.rank == best.rank]
    who = " and ".join(tied) + (" rank" if len(tied) > 1 else " ranks")
    where = f"over {counted(a.blocks, a.over)}"
    where = f"On {a.title}, {where}" if a.over != "problems" else where.capitalize()
    return f"{where}, {who} first (mean rank {best.rank:.2f} of {len(a.standings)})."


def _whole(a: AnalysisData, level: float) -> list[str]:
    p = a.friedman_p
    if p is None:
        return []
    if p < level:
        return [f"The strategies differ beyond chance (Friedman, {_p(p)})."]
    return [f"That the strategies differ at all is not shown (Friedman, {_p(p)})."]


def _pairs(a: AnalysisData, level: float) -> list[str]:
    others = [s for s in a.standings if s.p is not None]
    control = next(s for s in a.standings if s.label == a.control)
    shown = [s for s in others if s.p is not None and s.p < level]
    better = [s.label for s in shown if s.rank < control.rank]
    worse = [s.label for s in shown if s.rank >= control.rank]
    open_ = [s.label for s in others if s not in shown]
    out = []
    if better:
        out.append(f"Better than {a.control}: {', '.join(better)}.")
    if worse:
        out.append(f"Worse than {a.control}: {', '.join(worse)}.")
    if open_:
        out.append(
            f"Not shown to differ from {a.control} (which is no proof that they are equal):"
            f" {', '.join(open_)}."
        )
    return out


def _posterior(a: AnalysisData) -> list[str]:
    found = a.posterior
    if found is None:
        return []
    other = next(s.label for s in a.standings if s.label != a.control)
    edge = found.rope / 4
    return [
        f"On another problem of this kind {other} is practically better than {a.control} with"
        f" probability {found.below:.2f}, worse with {found.above:.2f}, and equal with"
        f" {found.equivalent:.2f} (Bayesian signed-rank test; equal: a better value in"
        f" {50 - 100 * edge:.0f} to {50 + 100 * edge:.0f} % of repeats)."
    ]


def _limit(a: AnalysisData) -> str:
    """Say what this number of blocks can show at best."""
    assert a.plan is not None
    least, m = stats.smallest_p(a.blocks), a.plan.comparisons
    text = f"{counted(a.blocks, a.over)} cannot show less than p = {least:.2g} for a pair"
    if m > 1:
        text += f", {min(1.0, m * least):.2g} after Holm's correction for {m} comparisons"
    return text + "."


def counted(n: int, what: str) -> str:
    """A number and its noun, in the singular for one."""
    return f"{n} {what if n != 1 else what.removesuffix('s')}"


def _p(p: float) -> str:
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"
