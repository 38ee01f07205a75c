"""The figures of one study with their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from metaopt.importance import parameter_importance
from metaopt.importance.columns import LEAST
from metaopt.plots import parameters, slices_and_contours, surrogates, trials
from metaopt.plots.spec import FigureSpec, by_name, counted, listed, number
from metaopt.trials.records import TrialRecord, completed

if TYPE_CHECKING:
    from metaopt.storage.study_view import StudyView

MODEL = (
    "The model is the strategy's own where it has one, else a Gaussian process fitted to the trials"
)
LEAST_USE = 0.01  # a trial that takes fewer seconds (or MB) than that measures noise
MEMORY = ("gpu_memory_mb", "memory_mb")


class Look:
    """A study, and what several of its figures need, computed once."""

    def __init__(self, study: StudyView) -> None:
        self.study = study
        self.complete = completed(study.trials)
        space = study.strategy.space
        self.free = [name for name in space.names if space[name].count != 1]

    @cached_property
    def importances(self) -> dict[str, dict[str, float]] | None:
        """Both measures, or None where there are too few trials or nothing to explain."""
        differ = len({r.value for r in self.complete}) > 1
        if len(self.complete) < LEAST or not differ or len(self.free) < 2:
            return None
        return {
            "fanova": parameter_importance(self.study, "fanova"),
            "ped-anova": parameter_importance(self.study, "ped-anova"),
        }

    @cached_property
    def model(self) -> Any | None:
        """The study's surrogate, or one fitted to its trials."""
        return surrogates.model_of(self.study)

    def pair(self) -> tuple[str, str] | None:
        """The two most important parameters that are active together in a complete trial."""
        names = self.free if self.importances is None else list(self.importances["fanova"])
        for j in range(1, len(names)):
            for i in range(j):
                if any(names[i] in r.params and names[j] in r.params for r in self.complete):
                    return names[i], names[j]
        return None


def history(look: Look) -> Iterator[FigureSpec]:
    """Every trial and the best so far."""
    study = look.study
    status = Counter(r.status for r in study.trials if r.result is not None)
    if not status:
        return
    falls = "falls" if study.direction == "minimize" else "rises"
    yield FigureSpec(
        "history",
        "History",
        f"The value of every trial in the order of the trials (to {study.direction}), and the best"
        f" so far as a line. While the line still {falls} in steps, more trials are likely to help;"
        " a long flat end says that the search has settled.",
        f"{counted(sum(status.values()), 'trial')}: "
        + listed(f"{n} {name}" for name, n in status.items())
        + f". {_best(study)}",
        partial(trials.history, study),
    )


def _best(study: StudyView) -> str:
    best = study.best_record
    if best is None:
        return "No trial is complete."
    return f"The best value, {number(best.value or 0.0)}, came in trial {best.number}."


def intermediate(look: Look) -> Iterator[FigureSpec]:
    """Reports by step."""
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
        "What every trial reported on its way, by step; the best one is thick, and triangles mark"
        " where trials were pruned. Pruning is too eager if curves cross after the steps at which"
        " others were stopped.",
        f"Reports of {counted(len(reported), 'trial')}.{saved}",
        partial(trials.intermediate, study),
    )


def importance(look: Look) -> Iterator[FigureSpec]:
    """Which parameters matter."""
    found = look.importances
    if found is None:
        return
    facts = [
        f"{method}: {listed(f'{k} {v:.2f}' for k, v in shares.items())}."
        for method, shares in found.items()
    ]
    yield FigureSpec(
        "importance",
        "Parameter importance",
        "Left, the share of the variance of the value over the whole space that each parameter"
        " explains alone (fANOVA, Hutter et al. 2014); what is missing to 1 is explained by"
        " parameters together, or is noise. Right, each parameter's share in whether a trial is"
        " among the best tenth (PED-ANOVA, Watanabe et al. 2023). A parameter can matter left and"
        " not right: it can ruin a result, but tells good from very good no more.",
        " ".join(facts),
        partial(parameters.draw_importances, found),
    )


def parallel(look: Look) -> Iterator[FigureSpec]:
    """All parameters at once."""
    if not look.free or not look.complete:
        return
    yield FigureSpec(
        "parallel-coordinates",
        "Parallel coordinates",
        "Every complete trial is a line through its parameters to its value at the right; light"
        " lines are good ones. Where light lines run together, good configurations agree; where"
        " they cross an axis anywhere, that parameter matters little. A trial that lacks a"
        " parameter passes below its axis.",
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
        "The value of complete trials against each parameter, and what the model expects along it"
        " if all else stays as in the best configuration (line: mean; band: one standard"
        f" deviation). {MODEL}. Dots away from the line differ in other parameters.",
        f"{_best(study)} There: {_config(study.best)}.",
        lambda: slices_and_contours.slices(study, model=look.model or False),
    )
    pair = look.pair()
    if pair is None or len(look.complete) < 2:
        return
    first, second = pair
    yield FigureSpec(
        "contours",
        f"Contours: {first} and {second}",
        f"What the model expects over {first} and {second}, the two parameters that matter most, if"
        " all else stays as in the best configuration that has both (left, light is good), and how"
        f" unsure it is (right, one standard deviation). {MODEL}.",
        f"Mean and standard deviation of a model over {first} and {second}. {_best(study)}",
        lambda: slices_and_contours.contours(study, first, second, model=look.model),
    )


def resources(look: Look) -> Iterator[FigureSpec]:
    """Seconds and memory against quality."""
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
            f"The value of complete trials against the {word} that they took. On the Pareto front,"
            " the line, are the trials than which no other is both cheaper and better: the choice"
            f" lies among these.{note}",
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


def study_figures(study: StudyView) -> dict[str, FigureSpec]:
    """The figures that apply to a study, by name, each with caption and text alternative.

    Empty while no trial is finished.
    """
    look = Look(study)
    return by_name(spec for make in SPECS for spec in make(look))
