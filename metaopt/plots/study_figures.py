"""The figures of one study with their captions and alt texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.core.text import counted
from metaopt.importance import Importance, parameter_importance, words
from metaopt.importance.columns import LEAST
from metaopt.plots import parameters, slices_and_contours, surrogates, trials
from metaopt.plots.arguments import of_study
from metaopt.plots.spec import FigureSpec, by_name, listed, number
from metaopt.trials.records import TrialRecord, completed

if TYPE_CHECKING:
    from metaopt.storage.study_view import StudyView

MODEL = (
    "The model is the strategy's own where it has one, else a Gaussian process fitted to the trials"
)
LEAST_USE = 0.01  # seconds or MB; smaller measurements are mostly noise
MEMORY = ("gpu_memory_mb", "memory_mb")


class Look:
    """A study with the results that several figures share, each computed once."""

    def __init__(self, study: StudyView) -> None:
        self.study = study
        self.complete = completed(study.trials)
        space = study.strategy.space
        self.free = [name for name in space.names if space[name].count != 1]

    @cached_property
    def importances(self) -> dict[str, Importance] | None:
        """Importances by both methods, or None if they cannot be computed."""
        differ = len({r.value for r in self.complete}) > 1
        if len(self.complete) < LEAST or not differ or len(self.free) < 2:
            return None
        return {
            "fanova": parameter_importance(self.study, "fanova"),
            "ped-anova": parameter_importance(self.study, "ped-anova"),
        }

    @cached_property
    def model(self) -> Any | None:
        """The model of the study's strategy, or one fitted to its trials."""
        return surrogates.model_of(self.study)

    def pair(self) -> tuple[str, str] | None:
        """The two parameters with the largest shares that are active together in a trial."""
        names = self.free if self.importances is None else list(self.importances["fanova"])
        for j in range(1, len(names)):
            for i in range(j):
                if any(names[i] in r.params and names[j] in r.params for r in self.complete):
                    return names[i], names[j]
        return None


def history(look: Look) -> Iterator[FigureSpec]:
    """The value of each trial and the best value so far."""
    study = look.study
    status = Counter(r.status for r in study.trials if r.result is not None)
    if not status:
        return
    falls = "falls" if study.direction == "minimize" else "rises"
    yield FigureSpec(
        "history",
        "History",
        f"The value of each trial (to {study.direction}) by trial number, and the best value so far"
        f" as a line. While the line still {falls} in steps, more trials are likely to help; a long"
        " flat end means that the search has settled.",
        f"{counted(sum(status.values()), 'trial')}: "
        + listed(f"{n} {name}" for name, n in status.items())
        + f". {_best(study)}",
        partial(trials.history, study),
    )


def _best(study: StudyView) -> str:
    best = study.best_record
    if best is None:
        return "No trial is complete."
    return f"The best value, {number(best.value or 0.0)}, is that of trial {best.number}."


def intermediate(look: Look) -> Iterator[FigureSpec]:
    """Intermediate values by step."""
    study = look.study
    reported = [r for r in study.trials if r.result is not None and r.curve]
    if not any(len(r.curve) > 1 for r in reported):
        return
    pruned = [r for r in reported if r.status == "pruned"]
    saved = ""
    if pruned:
        steps = float(np.median([r.curve[-1][0] for r in pruned]))
        saved = f" {counted(len(pruned), 'trial')} pruned, half of them by step {steps:g}."
    yield FigureSpec(
        "intermediate",
        "Intermediate values",
        "The intermediate values that each trial reported, by step. The best trial is thick;"
        " triangles mark where trials were pruned. Pruning is too aggressive if curves still cross"
        " after the steps at which others were pruned.",
        f"Intermediate values of {counted(len(reported), 'trial')}.{saved}",
        partial(trials.intermediate, study),
    )


def importance(look: Look) -> Iterator[FigureSpec]:
    """The importance of each parameter."""
    found = look.importances
    if found is None:
        return
    yield FigureSpec(
        "importance",
        "Parameter importance",
        words.caption(found),
        words.alternative(found),
        partial(parameters.draw_importances, found),
    )


def parallel(look: Look) -> Iterator[FigureSpec]:
    """All parameters in one figure."""
    if not look.free or not look.complete:
        return
    yield FigureSpec(
        "parallel-coordinates",
        "Parallel coordinates",
        "Each complete trial is a line through its parameters to its value at the right; light"
        " lines are good trials. Where light lines run close together, good configurations agree on"
        " the parameter; where they are spread over an axis, that parameter matters little. The"
        " line of a trial without a parameter passes below its axis.",
        f"The best of {counted(len(look.complete), 'complete trial')} has"
        f" {_config(look.study.best)}.",
        partial(parameters.parallel_coordinates, look.study),
    )


def _config(record: TrialRecord) -> str:
    pairs = record.params.items()
    return listed(f"{k} = {f'{v:.4g}' if isinstance(v, float) else v}" for k, v in pairs)


def shape(look: Look) -> Iterator[FigureSpec]:
    """Slices and contours through the best configuration, with one model for both."""
    if not look.free or not look.complete:
        return
    study = look.study
    yield FigureSpec(
        "slices",
        "Slices",
        "The value of complete trials against each parameter, and the prediction of the model along"
        " this parameter if all others stay as in the best configuration (line: mean; band: one"
        f" standard deviation). {MODEL}. Dots away from the line differ in other parameters.",
        f"{_best(study)} Its configuration: {_config(study.best)}.",
        lambda: slices_and_contours.slices(study, model=look.model or False),
    )
    pair = look.pair()
    if pair is None or len(look.complete) < 2:
        return
    first, second = pair
    largest = (
        ", the parameters with the largest shares of the variance," if look.importances else ""
    )
    yield FigureSpec(
        "contours",
        f"Contours: {first} and {second}",
        f"The prediction of the model over {first} and {second}{largest}"
        " if all others stay as in the best configuration that has both. Left: the mean,"
        f" light is good. Right: its uncertainty, one standard deviation. {MODEL}.",
        f"Mean and standard deviation of a model over {first} and {second}. {_best(study)}",
        lambda: slices_and_contours.contours(study, first, second, model=look.model),
    )


def resources(look: Look) -> Iterator[FigureSpec]:
    """The value against seconds and against memory."""
    study, found = look.study, look.complete
    memory = [m for m in MEMORY if any(m in r.metrics for r in found)][:1]
    for resource in ["seconds", *memory]:
        use = np.array([trials.resource_of(r, resource) for r in found])
        known = np.isfinite(use)
        if known.sum() < 2 or np.ptp(use[known]) == 0 or use[known].max() < LEAST_USE:
            continue
        sign = 1 if study.direction == "minimize" else -1
        y = np.array([sign * (r.value or 0.0) for r in found])[known]
        front = trials.pareto(use[known], y)
        points = [f"{number(sign * y[i])} for {number(use[known][i])}" for i in front]
        word = "seconds" if resource == "seconds" else "MB of memory"
        note = "" if resource != "memory_mb" else " Memory is the peak of the whole process."
        yield FigureSpec(
            "resources-" + ("seconds" if resource == "seconds" else "memory"),
            f"Quality against {word}",
            f"The value of complete trials against the {word} that they used. The line is the"
            " Pareto front, the trials for which no other trial is both cheaper and better: choose"
            f" among these.{note}",
            f"Pareto front, value for {word}: {listed(points[:8])}"
            + (f" and {len(points) - 8} more." if len(points) > 8 else "."),
            partial(trials.resources, study, resource),
        )


SPECS: tuple[Callable[[Look], Iterator[FigureSpec]], ...] = (
    history,
    intermediate,
    importance,
    parallel,
    shape,
    resources,
)


@of_study
def study_figures(study: StudyView) -> dict[str, FigureSpec]:
    """Return all figures that apply to a study, with captions and alt texts.

    A figure is drawn only when its `draw` is called.

    Args:
        study: the study to draw.

    Returns:
        The figures by name, in the order of a report; empty while no trial is finished.
    """
    look = Look(study)
    return by_name(spec for make in SPECS for spec in make(look))
