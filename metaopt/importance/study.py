"""Parameter importance of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metaopt.core.errors import StudyError, did_you_mean
from metaopt.importance.density import ped_anova
from metaopt.importance.result import Importance
from metaopt.importance.variance import fanova
from metaopt.trials.records import completed

if TYPE_CHECKING:
    from metaopt.storage.study_view import StudyView

METHODS = ("fanova", "ped-anova")


def parameter_importance(
    study: StudyView, method: Literal["fanova", "ped-anova"] = "fanova", *, seed: int = 0
) -> Importance:
    """Importance of each parameter of a study.

    "fanova" (Hutter et al. 2014) gives the share of the variance of the observed values that the
    parameter explains alone, over the whole space, with an interval. The rest to 1 is
    `interactions` and `unexplained`: noise, and what the forest cannot see. It is reliable if
    trials are spread over the space. "ped-anova" (Watanabe et al. 2023) gives the parameter's share
    in whether a trial is among the best tenth; the shares add up to 1, or all are 0 if the best
    trials are no different from any others. It suits searches that concentrate on good regions, and
    outliers have no influence.

    "fanova" needs values, so it leaves out pruned and failed trials: what they would tell about
    bad regions is lost. "ped-anova" counts them as not among the best.

    Args:
        study: the study to analyse, with at least 10 complete trials.
        method: "fanova" or "ped-anova".
        seed: of the forest of "fanova", and of the random choices that "ped-anova" compares with;
            the same seed gives the same shares.

    Returns:
        Share of each parameter with more than one value, by name, largest first: a mapping that
        also holds the intervals and what is left over.

    Raises:
        StudyError: `study`, `method` or `seed` is not valid, fewer than 10 complete trials, all
            values are equal, or no parameter has more than one value.

    Source: Hutter et al. (2014); Watanabe et al. (2023).

    Example:
        >>> from metaopt import Float, Space, Study, parameter_importance
        >>> study = Study(Space(x=Float(0, 1), y=Float(0, 1)), "random", seed=0)
        >>> _ = study.optimize(lambda trial: trial["x"] + 0.1 * trial["y"], 50)
        >>> found = parameter_importance(study)
        >>> list(found), found["x"] > 0.9
        (['x', 'y'], True)
        >>> found.conclusion
        'x and y have an effect.'
    """
    study = _checked(study)
    if method not in METHODS:
        hint = did_you_mean(method, METHODS)
        raise StudyError(f"method must be one of {', '.join(METHODS)}, got {method!r}{hint}")
    sign = 1 if study.direction == "minimize" else -1
    found, space = completed(study.trials), study.strategy.space
    lost = [r for r in study.trials if r.status in ("pruned", "failed")]
    pruned = sum(r.status == "pruned" for r in lost)
    configs = [r.params for r in found]
    costs = [sign * (r.value or 0.0) for r in found]
    if method == "ped-anova":
        configs += [r.params for r in lost]
        shares = ped_anova(space, configs, costs + [np.inf] * len(lost), seed=seed)
        return Importance(shares, method, len(configs), pruned, len(lost) - pruned)
    result = fanova(space, configs, costs, seed=seed)
    return Importance(
        result.main,
        method,
        len(found),
        pruned,
        len(lost) - pruned,
        result.intervals,
        result.level,
        result.r2,
        result.interactions,
        result.unexplained,
    )


def _checked(study: Any) -> StudyView:
    from metaopt.storage.study_view import StudyView

    if not isinstance(study, StudyView):
        raise StudyError(f"study must be a metaopt.Study, got {study!r:.60}")
    return study
