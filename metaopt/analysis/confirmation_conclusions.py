"""What `Study.confirm` found, how sure it is and what it cannot show, in plain words."""

from __future__ import annotations

import math

from metaopt import stats
from metaopt.analysis.confirmation import ConfirmationData, ConfirmedConfig
from metaopt.core.text import brief, counted, estimate, p_sentence, percent

ROUNDING = 1e-9  # ends of an interval that differ by less, relatively, are equal


def sentences(c: ConfirmationData) -> list[str]:
    """The configuration to use, the others, the optimism of the search, and the limits."""
    parts = [*_counts(c), _choice(c), *_others(c), _searched(c), *_average(c)]
    return [*parts, *_selection(c), *_failures(c), *_noise(c), *_kept(c)]


def with_interval(x: stats.Interval) -> str:
    """Return "0.038 [0.035, 0.041]", or the estimate alone if there is no interval."""
    if x.level == 0 or math.isclose(x.low, x.high, rel_tol=ROUNDING, abs_tol=0):
        return brief(x.estimate)
    return estimate(x.estimate, x.low, x.high)


def _stated(x: stats.Interval) -> str:
    """Return an estimate with its interval and the level that the interval attains."""
    return with_interval(x) + (f" (level {percent(x.level)})" if x.level else "")


def _counts(c: ConfirmationData) -> list[str]:
    if len(c.configs) == c.asked:
        return []
    found = counted(len(c.configs), "different complete configuration")
    return [f"The study has {found}, so not {c.asked} but {len(c.configs)} were evaluated again."]


def _choice(c: ConfirmationData) -> str:
    best, n, what = c.best, len(c.configs), _middle(c)
    params = ", ".join(f"{k}={brief(v)}" for k, v in best.params.items())
    who = f"trial {best.trial} ({params})"
    over = f"over {counted(len(c.seeds), 'fresh seed')}"
    text = (
        f"Use {who}: {over}, it has the best {what} of {n} configurations, {_stated(best.median)}"
    )
    if n == 1:
        text = f"The {what} of {who} {over} is {_stated(best.median)}"
    test = (
        ""
        if best.test is None
        else f"; the median of its hidden test values is {_stated(best.test)}"
    )
    return f"{text}{test}."


def _others(c: ConfirmationData) -> list[str]:
    """Which configurations are worse than the chosen one, and which are not shown to be."""
    tested = [(o, o.p) for o in c.configs if o.p is not None]
    if not tested:
        return []
    m, alpha = len(c.configs) * (len(c.configs) - 1) // 2, 1 - c.level
    needed = stats.fewest_pairs(alpha, m)
    if len(c.seeds) < needed:
        return [
            f"No test can show a difference between {len(c.configs)} configurations with"
            f" {counted(len(c.seeds), 'seed')}; {needed} would be the fewest."
        ]
    worse = [_against(o, p) for o, p in tested if p <= alpha]
    open_ = [_against(o, p) for o, p in tested if p > alpha]
    out = [f"Shown to be worse: {'; '.join(worse)}."] if worse else []
    if open_:
        out.append(
            f"Not shown to be worse than trial {c.best.trial}: {'; '.join(open_)}."
            f" If another property matters, such as cost, use one of these instead."
        )
    return out


def _against(o: ConfirmedConfig, p: float) -> str:
    gap = "" if o.difference is None else f"difference {with_interval(o.difference)}, "
    return f"trial {o.trial} ({gap}{p_sentence(p)})"


def _searched(c: ConfirmationData) -> str:
    """Set the value that the search reported against the fresh ones."""
    first = c.search_best
    mean = f" (the mean of {first.replicates} seeds)" if first.replicates > 1 else ""
    return (
        f"The search reported {brief(first.search)}{mean} for trial {first.trial}; over"
        f" {counted(len(c.seeds), 'fresh seed')} its {_middle(c)} is"
        f" {with_interval(first.median)}: {_verdict(first.optimism, c.level)}."
    )


def _middle(c: ConfirmationData) -> str:
    return "value" if len(c.seeds) == 1 else "median"


def _verdict(x: stats.Interval, level: float) -> str:
    if x.low == x.high == 0:
        return "it is confirmed exactly"
    if x.level == 0:
        word = "better" if x.estimate >= 0 else "worse"
        return (
            f"the search's value was {word} by {brief(abs(x.estimate))}; one seed gives no interval"
        )
    if x.level < level and not x.low <= 0 <= x.high:
        return (
            f"the search's value differs by {with_interval(x)}, but so few seeds reach only the"
            f" level {percent(x.level)}, which shows nothing"
        )
    if x.low > 0:
        return f"the search's value was too optimistic, by {with_interval(x)}"
    if x.high < 0:
        return f"the search's value was too pessimistic; the optimism is {with_interval(x)}"
    return f"that the search's value was too optimistic is not shown (by {with_interval(x)})"


def _average(c: ConfirmationData) -> list[str]:
    x = c.optimism
    if x is None or len(c.configs) == 1:
        return []
    over = "Averaged over the configurations"
    if c.failed:
        over += f" and over the {counted(c.complete.shape[1], 'seed')} without a failure"
    return [f"{over}, its optimism is {_stated(x)}."]


def _selection(c: ConfirmationData) -> list[str]:
    if c.held_out is None or not c.varies:
        return []
    return [
        f"The median of trial {c.best.trial} is itself a little too good, since it was chosen by"
        f" it. Chosen on one half of the seeds and measured on the other, both ways, the value is"
        f" {brief(c.held_out)}, which is almost unbiased but less precise."
    ]


def _failures(c: ConfirmationData) -> list[str]:
    if not c.failed:
        return []
    each = "; ".join(
        f"trial {o.trial}: {len(o.errors)}, the first with: {o.errors[0]}"
        for o in c.configs
        if o.errors
    )
    return [
        f"{c.failed} of {len(c.configs) * len(c.seeds)} evaluations failed and count as worse than"
        f" every value ({each})."
    ]


def _noise(c: ConfirmationData) -> list[str]:
    if c.varies or len(c.seeds) == 1:
        return []
    return [
        "The fresh values do not vary over the seeds, so no test was made: the objective has no"
        " noise, or does not use trial.seed."
    ]


def _kept(c: ConfirmationData) -> list[str]:
    if not c.reused:
        return []
    total = len(c.configs) * len(c.seeds)
    return [f"{c.reused} of {total} evaluations were kept from an earlier call."]
