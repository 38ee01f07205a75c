"""The importance of a study's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from metaopt.core.errors import StudyError, did_you_mean
from metaopt.importance.density import ped_anova
from metaopt.importance.variance import fanova
from metaopt.trials.records import completed

if TYPE_CHECKING:
    from metaopt.storage.study_view import StudyView

METHODS = ("fanova", "ped-anova")


def parameter_importance(
    study: StudyView, method: Literal["fanova", "ped-anova"] = "fanova", *, seed: int = 0
) -> dict[str, float]:
    """Share of each parameter in what decides the value, by name, largest first.

    "fanova" (Hutter et al. 2014): the share of the value's variance over the whole space that the
    parameter explains alone; what is missing to 1 is interactions and noise. Trust it where trials
    are spread over the space. "ped-anova" (Watanabe et al. 2023): the parameter's share in whether
    a trial is among the best tenth; shares add up to 1. Made for searches that look where it is
    good, and not moved by outliers. Parameters with a single value are left out; only complete
    trials count.

    Raises:
        StudyError: no such method, fewer than 10 complete trials, or all of them equal.
    """
    if method not in METHODS:
        hint = did_you_mean(method, METHODS)
        raise StudyError(f"method must be one of {', '.join(METHODS)}, got {method!r}{hint}")
    sign = 1 if study.direction == "minimize" else -1
    found = completed(study.trials)
    configs = [r.params for r in found]
    costs = [sign * (r.value or 0.0) for r in found]
    space = study.strategy.space
    if method == "ped-anova":
        return ped_anova(space, configs, costs)
    return fanova(space, configs, costs, seed=seed).main
