"""The figures of one study with their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from metaopt.plots.spec import FigureSpec, counted, listed, number
from metaopt.plots.trials import history

if TYPE_CHECKING:
    from metaopt.view import StudyView


def over_trials(study: StudyView) -> Iterator[FigureSpec]:
    """Every trial and the best so far."""
    status = Counter(r.status for r in study.trials if r.result is not None)
    if not status:
        return
    best = study.best_record
    found = (
        "No trial is complete."
        if best is None
        else f"The best value, {number(best.value or 0.0)}, came in trial {best.number}."
    )
    yield FigureSpec(
        "history",
        "History",
        f"The value of every trial in the order of the trials (to {study.direction}), and the best"
        " so far as a line. While the line still falls in steps, more trials are likely to help;"
        " a long flat end says that the search has settled.".replace(
            "falls", "falls" if study.direction == "minimize" else "rises"
        ),
        f"{counted(sum(status.values()), 'trial')}: "
        + listed(f"{n} {name}" for name, n in status.items())
        + f". {found}",
        partial(history, study),
    )


SPECS: tuple[Callable[[StudyView], Iterator[FigureSpec]], ...] = (over_trials,)
