"""The result of `parameter_importance`: a mapping from names to shares, with what is left over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from metaopt.core.text import counted, percent

SMALL = 0.05  # level of the test that the forest explains anything
NOTHING = "These trials do not show that any parameter matters."
NO_SEPARATION = "No parameter separates the best trials from the others more than chance does."


def _refuse(self: Any, *_: Any, **__: Any) -> NoReturn:
    raise TypeError("an Importance does not change; dict(importance) makes a copy that may")


class _Fixed(dict[str, float]):
    """A dict that refuses changes; it stays a dict so that JSON and other tools accept it."""

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


@dataclass(frozen=True, eq=False, repr=False)
class Importance(_Fixed):
    """The importance of each parameter: a mapping name -> share, largest first.

    Attributes:
        shares: name -> share. With "fanova": of the variance of the observed values that the
            parameter explains alone. With "ped-anova": in what separates the best trials from
            chance; they add up to 1, or all are 0.
        method: "fanova" or "ped-anova".
        used: number of trials that the shares rest on.
        pruned, failed: number of trials of the study without a value; "fanova" leaves them out,
            "ped-anova" counts them as not among the best.
        intervals: name -> ends of the interval of the share; empty for "ped-anova".
        level: confidence level of the intervals; None for "ped-anova".
        r2: share of the variance of the observed values that the forest explains on trials that
            its trees did not see (out-of-bag R2); None for "ped-anova".
        interactions: share that several parameters explain only together; None for "ped-anova".
        unexplained: 1 - r2, noise and what the forest cannot see; None for "ped-anova".
    """

    shares: dict[str, float]
    method: str
    used: int
    pruned: int = 0
    failed: int = 0
    intervals: dict[str, tuple[float, float]] = None  # type: ignore[assignment]
    level: float | None = None
    r2: float | None = None
    interactions: float | None = None
    unexplained: float | None = None

    def __post_init__(self) -> None:
        dict.update(self, self.shares)
        if self.intervals is None:
            object.__setattr__(self, "intervals", {})

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, f.name) for f in fields(self))

    @property
    def beyond_chance(self) -> tuple[str, ...]:
        """Parameters whose share is above 0 beyond chance, the largest share first."""
        if self.method == "fanova":
            return tuple(k for k in self if self.intervals[k][0] > 0)
        return tuple(k for k, share in self.items() if share > 0)

    @property
    def conclusion(self) -> str:
        """What the trials show, in one or two sentences."""
        names = self.beyond_chance
        end = "s" if len(names) == 1 else ""
        if self.method != "fanova":
            return f"{listed(names)} separate{end} the best trials." if names else NO_SEPARATION
        if names and not self.explains:
            return (
                f"{listed(names)} may have an effect, but the forest explains {self.r2:.2f} of the"
                " variance, no more than it would by chance."
            )
        if names:
            rest = [name for name in self if name not in names]
            unsure = f"; whether {listed(rest, 'or')} has one stays open" if rest else ""
            return f"{listed(names)} ha{'s' if end else 've'} an effect{unsure}."
        if self.explains and len(self) > 1:
            return (
                "No parameter is shown to have an effect alone; together they explain"
                f" {self.r2:.2f} of the variance."
            )
        return NOTHING

    @property
    def explains(self) -> bool:
        """Whether the forest explains more than chance would: an F test of its parts."""
        from scipy.special import fdtrc

        k = len(self) + 1  # the parameters and the interaction
        free, r2 = self.used - k - 1, self.r2 or 0.0
        if r2 == 0 or free < 1:
            return False
        return r2 == 1 or bool(fdtrc(k, free, r2 / k / ((1 - r2) / free)) < SMALL)

    @property
    def lost(self) -> str:
        """The trials without a value: "2 pruned and 1 failed trials"; empty if there are none."""
        counts = ((self.pruned, "pruned"), (self.failed, "failed"))
        parts = [f"{n} {word}" for n, word in counts if n]
        end = "s" if self.pruned + self.failed > 1 else ""
        return f"{listed(parts)} trial{end}" if parts else ""

    @property
    def numbers(self) -> str:
        """All shares with their intervals, and what is left over."""
        parts = []
        for name, share in self.items():
            low, high = self.intervals.get(name, (share, share))
            ends = f" [{low:.2f}, {high:.2f}]" if name in self.intervals else ""
            parts.append(f"{name} {share:.2f}{ends}")
        if self.interactions is not None and len(self) > 1:
            parts.append(f"interactions {self.interactions:.2f}")
        if self.unexplained is not None:
            parts.append(f"not explained {self.unexplained:.2f}")
        return ", ".join(parts)

    def __repr__(self) -> str:
        level = "" if self.level is None else f", {percent(self.level)} intervals"
        what = "left out" if self.method == "fanova" else "not among the best"
        lost = f" ({self.lost} {what})" if self.lost else ""
        trials = f"{counted(self.used, 'trial')}{lost}"
        return f"Importance({self.method} of {trials}{level}: {self.numbers})"


def listed(names: Iterable[str], last: str = "and") -> str:
    """Join names for a sentence: "a, b and c"."""
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
