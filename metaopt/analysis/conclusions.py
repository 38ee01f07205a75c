"""What an analysis found, how sure it is and what it cannot show, in plain words."""

from __future__ import annotations

from metaopt.analysis.standings import AnalysisData
from metaopt.core.text import counted, p_sentence


def sentences(analysis: AnalysisData, level: float) -> list[str]:
    """The finding, its uncertainty and its limits; a difference is only claimed if a test shows it.

    The words for the tests come from the plan.
    """
    plan = analysis.plan
    if plan is None:
        return [
            f"A single strategy over {blocks_text(analysis)}: there is nothing to"
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
    where = f"over {blocks_text(a)}"
    where = f"On {a.title}, {where}" if a.over != "problems" else where.capitalize()
    return f"{where}, {who} first (mean rank {best.rank:.2f} of {len(a.standings)})."


def _whole(a: AnalysisData, level: float) -> list[str]:
    p = a.friedman_p
    test = None if a.plan is None else a.plan.omnibus
    if p is None or test is None:
        return []
    if p < level:
        return [f"The strategies differ beyond chance ({test.short}, {p_sentence(p)})."]
    return [f"That the strategies differ at all is not shown ({test.short}, {p_sentence(p)})."]


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
    if found is None or a.plan is None or a.plan.posterior is None:
        return []
    other = next(s.label for s in a.standings if s.label != a.control)
    edge = found.rope / 4
    return [
        f"On another problem of this kind {other} is practically better than {a.control} with"
        f" probability {found.below:.2f}, worse with {found.above:.2f}, and equal with"
        f" {found.equivalent:.2f} ({a.plan.posterior.short}; equal: a better value in"
        f" {50 - 100 * edge:.0f} to {50 + 100 * edge:.0f} % of repeats)."
    ]


def _limit(a: AnalysisData) -> str:
    """Say what this number of blocks can show at best, or by which test it was judged."""
    assert a.plan is not None and a.plan.pairs is not None
    test = a.plan.pairs
    if test.smallest_p is None:
        return f"{blocks_text(a)} were judged by {test.title}."
    least, m = test.smallest_p(a.blocks), a.plan.comparisons
    text = f"{blocks_text(a)} cannot show less than p = {least:.2g} for a pair"
    if m > 1:
        text += f", {min(1.0, m * least):.2g} after Holm's correction for {m} comparisons"
    return text + "."


def blocks_text(a: AnalysisData) -> str:
    """The blocks with their number: "10 paired repeats", "1 problem"."""
    return counted(a.blocks, a.over.removesuffix("s"), a.over)
