"""What an analysis found, how sure it is and what it cannot show, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from metaopt.analysis.standings import AnalysisData, Standing, Verdict
from metaopt.core.text import p_sentence


def sentences(a: AnalysisData) -> list[str]:
    """The finding, its uncertainty and its limits; a difference is only claimed if a test shows it.

    The words for the tests come from the plan.

    Args:
        a: the analysis of one problem, or over several.
    """
    if a.empty:
        return [f"No run on {a.title} has a value, so nothing is compared there."]
    if a.plan is None:
        return [
            f"A single strategy over {a.blocks}: there is nothing to compare it with and no test"
            f" was made."
        ]
    if not any(s.p is not None for s in a.standings):
        return [_first(a), _untested(a)]
    return [_first(a), *_claims(a), *_hidden(a), *_posterior(a), _limit(a)]


def _untested(a: AnalysisData) -> str:
    assert a.plan is not None
    if a.most is not None and a.plan.pairs is not None:
        return (
            f"Nothing is decided yet after {a.blocks}, and repeats go on until all is decided, up"
            f" to {a.most}."
        )
    if a.problems == 1 and a.family and a.most is None:
        return f"{a.blocks} are too few for tests on single problems."
    return f"No test was made here. {a.plan.advice}".strip()


def _first(a: AnalysisData) -> str:
    best = a.standings[0]
    tied = [s.label for s in a.standings if s.rank == best.rank]
    who = " and ".join(tied) + (" rank" if len(tied) > 1 else " ranks")
    where = f"On {a.title}, over" if a.problems == 1 else "Over"
    return f"{where} {a.blocks}, {who} first (mean rank {best.rank:.2f} of {len(a.standings)})."


def better(a: AnalysisData) -> list[Standing]:
    """Strategies that the test shows to be better than the control.

    Args:
        a: of one problem, or over several.
    """
    return [s for s in _shown(a) if _verdict(s).better]


def worse(a: AnalysisData) -> list[Standing]:
    """Strategies that the test shows to be worse than the control.

    Args:
        a: of one problem, or over several.
    """
    return [s for s in _shown(a) if not _verdict(s).better]


def _verdict(s: Standing) -> Verdict:
    assert s.contrast is not None and s.contrast.verdict is not None
    return s.contrast.verdict


def equivalent(a: AnalysisData) -> list[Standing]:
    """Strategies whose difference from the control is shown to lie within the stated margin.

    Args:
        a: of one problem, or over several.
    """
    return [
        s
        for s in a.standings
        if s.contrast and s.contrast.equivalent is not None and s.contrast.equivalent <= a.level
    ]


def _shown(a: AnalysisData) -> list[Standing]:
    return [s for s in a.standings if s.p is not None and s.p <= a.level]


def open_questions(a: AnalysisData) -> list[Standing]:
    """Strategies that are tested, but shown neither to differ from the control nor to equal it.

    Args:
        a: of one problem, or over several.
    """
    settled = [*_shown(a), *equivalent(a)]
    return [s for s in a.standings if s.p is not None and s not in settled]


def _claims(a: AnalysisData) -> list[str]:
    out = []
    if found := better(a):
        out.append(f"Better than {a.control}: {_with_effects(found)}.")
    if found := worse(a):
        out.append(f"Worse than {a.control}: {_with_effects(found)}.")
    if found := equivalent(a):
        out.append(f"No relevant difference from {a.control} ({_margins(a)}): {_labels(found)}.")
    if found := open_questions(a):
        out.append(
            f"Not shown to differ from {a.control} (which is no proof that they are equal):"
            f" {_labels(found)}."
        )
    return out


def _labels(found: Sequence[Standing]) -> str:
    return ", ".join(s.label for s in found)


def _with_effects(found: Sequence[Standing]) -> str:
    """Labels with the effect sizes and the p-value."""
    texts = []
    for s in found:
        assert s.contrast is not None and s.p is not None
        size = f"better in {100 * s.contrast.wins.estimate:.0f} % of repeats"
        if s.contrast.difference is not None:
            size = f"typical difference {s.contrast.difference.estimate:.3g}, {size}"
        texts.append(f"{s.label} ({size}, {p_sentence(s.p)})")
    return ", ".join(texts)


def _margins(a: AnalysisData) -> str:
    values = {margin for _, margin in a.margins}
    if len(values) == 1:
        return f"a difference within ±{values.pop():g} does not matter"
    each = ", ".join(f"±{margin:g} on {title}" for title, margin in a.margins)
    return f"differences within these margins do not matter: {each}"


def _hidden(a: AnalysisData) -> list[str]:
    """What the hidden test values say about each claimed difference."""
    claimed = [s for s in _shown(a) if s.contrast and s.contrast.test]
    groups: dict[str, list[str]] = {"confirm": [], "contradict": [], "open": []}
    for s in claimed:
        assert s.contrast is not None and s.contrast.test is not None
        test, same = s.contrast.test, s.contrast.test.better == _verdict(s).better
        kind = "open" if test.p > a.level else "confirm" if same else "contradict"
        groups[kind].append(f"{s.label} ({p_sentence(test.p)})")
    out = []
    if groups["confirm"]:
        out.append(f"The hidden test values confirm it: {', '.join(groups['confirm'])}.")
    if groups["contradict"]:
        out.append(
            f"The hidden test values contradict it, with a difference in the other direction:"
            f" {', '.join(groups['contradict'])}."
        )
    if groups["open"]:
        out.append(f"The hidden test values do not show it: {', '.join(groups['open'])}.")
    return out


def _posterior(a: AnalysisData) -> list[str]:
    found = a.posterior
    if found is None or a.plan is None or a.plan.posterior is None:
        return []
    other = next(s.label for s in a.standings if s.label != a.control)
    edge = (
        100 * found.rope / 2
    )  # in percent of repeats: shares differ by twice their distance to 1/2
    text = (
        f"On problems of this kind, that {other} is practically better than {a.control} is the most"
        f" probable result with probability {found.below:.2f}; that it is worse, with"
        f" {found.above:.2f}; that both are equal, with {found.equivalent:.2f}"
        f" ({a.plan.posterior.short}; equal: better in {50 - edge:.0f} to {50 + edge:.0f} % of"
        f" repeats)."
    )
    if found.next_block is None:
        return [text]
    below, equal, above = found.next_block
    return [
        text,
        f"On the next problem of this kind {other} is better with probability {below:.2f}, worse"
        f" with {above:.2f}, and equal with {equal:.2f}.",
    ]


def _limit(a: AnalysisData) -> str:
    """Say what the finding holds for, and what this number of units can show at best."""
    assert a.plan is not None and a.plan.pairs is not None
    test, unit = a.plan.pairs, a.plan.unit
    if a.most == a.repeats:
        return (
            f"All {a.most} planned repeats were made, and judged by {test.title}, which allows for"
            f" looking after each."
        )
    if a.most is not None:
        return (
            f"Repeats were added until every strategy was decided, at most {a.most}, and judged by"
            f" {test.title}, which allows for looking after each. The estimates of differences are"
            f" somewhat too large where repeats ended early."
        )
    if unit == "repeat of a problem":
        return (
            f"The finding holds for these {a.problems} problems, judged by {test.title}; other"
            f" problems may differ."
        )
    if unit == "problem":
        return (
            f"The finding holds for problems of which these {a.problems} are a fair sample, judged"
            f" by {test.title}."
        )
    if test.smallest_p is None:
        return f"{a.blocks} were judged by {test.title}."
    least = test.smallest_p(a.repeats)
    if least * a.plan.comparisons < 1e-4:  # so many repeats set no limit that matters
        return f"The finding holds for {a.title}, judged by {test.title}."
    text = f"{a.blocks} cannot show less than p = {least:.2g} for a pair"
    if a.plan.comparisons > 1 and a.family == a.plan.comparisons:
        adjusted = min(1.0, a.plan.comparisons * least)
        text += f", {adjusted:.2g} after Holm's correction for {a.plan.comparisons} comparisons"
    return text + "."
