"""Parameter importance of a study."""

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
    """Importance of each parameter of a study.

    "fanova" (Hutter et al. 2014) gives the share of the variance of the value over the whole space
    that the parameter explains alone; the rest to 1 is interactions and noise. It is reliable if
    trials are spread over the space. "ped-anova" (Watanabe et al. 2023) gives the parameter's share
    in whether a trial is among the best tenth; the shares add up to 1. It suits searches that
    concentrate on good regions, and outliers have no influence. Only complete trials count.

    Args:
        study: the study to analyse, with at least 10 complete trials.
        method: "fanova" or "ped-anova".
        seed: of the forest of "fanova"; the same seed gives the same shares.

    Returns:
        Share of each parameter with more than one value, by name, largest first.

    Raises:
        StudyError: `method` or `seed` is not valid, fewer than 10 complete trials, all values are
            equal, or no parameter has more than one value.

    Source: Hutter et al. (2014); Watanabe et al. (2023).

    Example:
        >>> from metaopt import Float, Space, Study, parameter_importance
        >>> study = Study(Space(x=Float(0, 1), y=Float(0, 1)), "random", seed=0)
        >>> _ = study.optimize(lambda trial: trial["x"] + 0.1 * trial["y"], 50)
        >>> list(parameter_importance(study))
        ['x', 'y']
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
