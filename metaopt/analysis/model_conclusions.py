"""What a comparison of models found, how sure it is and what it cannot show, in plain words."""

from __future__ import annotations

from metaopt.analysis.family import LEVEL
from metaopt.analysis.model_comparison import ModelComparisonData, ModelPair
from metaopt.core.text import p_sentence

SURE = 0.95  # probability from which a practical difference or equality is called so


def sentences(c: ModelComparisonData, level: float = LEVEL) -> list[str]:
    """The finding, its uncertainty and its limits."""
    failed = [f"{label} failed ({why}) and is not tested." for label, why in c.errors.items()]
    best = next((k for k in c.ranking if k not in c.errors), None)
    if best is None or not c.pairs:
        return [*failed, "Fewer than 2 models were scored on all folds: no test was made."]
    mean = c.scores[best].mean()
    out = [
        f"Over {c.repeats} x {c.folds} folds, {best} has the highest mean {c.scoring}, {mean:.4g}."
    ]
    reference = best if c.control is None else c.control
    told = [p for p in c.pairs if reference in (p.first, p.second)]
    out += [_word(p, reference, level) for p in told]
    others = [p for p in c.pairs if p not in told and p.p is not None and p.p < level]
    if others:
        listed = ", ".join(
            f"{p.first} above {p.second}" if p.difference > 0 else f"{p.second} above {p.first}"
            for p in others
        )
        out.append(f"Of the other pairs these differ beyond chance: {listed}.")
    out += failed
    out.append(
        f"The finding holds for this data set of {c.samples} samples and these models; training"
        f" sets overlap, which the tests allow for.{_adjustment(c)}"
    )
    return out


def _adjustment(c: ModelComparisonData) -> str:
    if not any(p.test is not None for p in c.pairs):
        return ""
    if len(c.pairs) < 2:
        return " Intervals have the level 95 %."
    return (
        f" The p-values are adjusted for {len(c.pairs)} pairs (Holm), and each interval has the"
        f" level at which its pair was tested, at least 95 %."
    )


def _word(p: ModelPair, reference: str, level: float) -> str:
    other = p.second if p.first == reference else p.first
    sign = 1 if p.first == reference else -1
    side = "above" if sign * p.difference > 0 else "below"
    if p.test is None or p.p is None:
        return (
            f"{reference} scores {abs(p.difference):.3g} {side} {other} on every fold; the"
            f" difference does not vary, so that no t test can be computed."
        )
    size, t = f"{abs(p.difference):.3g}", p.test
    if p.p < level:
        low, high = sorted((abs(t.low), abs(t.high)))
        between = f"{size}, interval {low:.3g} to {high:.3g}, {p_sentence(p.p)}"
        return f"{reference} scores {side} {other}, beyond chance ({between}){_practical(p)}."
    low, high = sorted((sign * t.low, sign * t.high))
    between = f"{sign * p.difference:.3g}, interval {low:.3g} to {high:.3g}, {p_sentence(p.p)}"
    return f"{reference} and {other} are not shown to differ ({between}){_practical(p)}."


def _practical(p: ModelPair) -> str:
    found = p.posterior
    if found is None:
        return ""
    if found.equivalent >= SURE:
        return f"; they are practically equal with probability {found.equivalent:.2f}"
    better, chance = (
        (p.first, found.above) if found.above >= found.below else (p.second, found.below)
    )
    return (
        f"; {better} is better by more than {found.rope:g} with probability {chance:.2f}, and they"
        f" are practically equal with {found.equivalent:.2f}"
    )
