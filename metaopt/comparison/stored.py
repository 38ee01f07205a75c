"""What a store knows of a comparison besides the studies of its runs."""

from __future__ import annotations

from pathlib import Path

from metaopt.analysis.setup import EXPLORATORY, NOTE, PURPOSES, ComparisonSetup
from metaopt.core.errors import StudyError, did_you_mean
from metaopt.stats.checks import shown
from metaopt.storage.opening import open_store


def purpose_of(
    given: str, setup: ComparisonSetup, earlier: ComparisonSetup | None, storage: str | None
) -> str:
    """Return the purpose; what began as exploratory cannot become confirmatory after the fact.

    Args:
        given: by the caller.
        setup: of the call.
        earlier: that the storage holds, or None.
        storage: for the message.

    Raises:
        StudyError: there is no such purpose, or the stored comparison began as exploratory.
    """
    if not isinstance(given, str) or given not in PURPOSES:
        known = " or ".join(map(repr, PURPOSES))
        hint = did_you_mean(given, PURPOSES) if isinstance(given, str) else ""
        raise StudyError(f"purpose must be {known}, got {shown(given)}{hint}")
    if given == EXPLORATORY or earlier is None or earlier.purpose == given:
        return given
    if _same_runs(earlier, setup):
        raise StudyError(
            "the stored comparison began as exploratory, and its data have been seen; to"
            " confirm its findings, run a new one with another storage and another seed"
        )
    return given


def _same_runs(earlier: ComparisonSetup, setup: ComparisonSetup) -> bool:
    return bool(set(earlier.study_names()) & set(setup.study_names()))


def stored_setup(storage: str) -> ComparisonSetup | None:
    """The setup that the storage holds; None if it holds no comparison."""
    if "://" not in storage and not Path(storage).exists():
        return None
    store = open_store(storage)
    try:
        notes = store.notes(NOTE)
    finally:
        store.close()
    return ComparisonSetup.from_json(notes[-1]) if notes else None


def check_plan(setup: ComparisonSetup, earlier: ComparisonSetup | None, storage: str) -> None:
    """Refuse a change of the plan after data were stored, where the plan is what makes it right.

    Args:
        setup: of the call.
        earlier: that the storage holds, or None.
        storage: for the message.

    Raises:
        StudyError: the rule for adding repeats changed, or a confirmatory comparison's level,
            margin or control.
    """
    if earlier is None or not _same_runs(earlier, setup):
        return
    if (earlier.added or setup.added) and (
        (earlier.added, earlier.repeats) != (setup.added, setup.repeats)
        or earlier.level != setup.level
    ):
        raise StudyError(
            f"the comparison in {storage} was planned with"
            f" {'repeats added up to' if earlier.added else 'a fixed number of repeats,'}"
            f" {earlier.repeats} at the level {earlier.level:g}; the rule cannot change once its"
            f" data have been seen, so give the same repeats, max_repeats and alpha, or another"
            f" storage"
        )
    if setup.purpose != EXPLORATORY and (
        (earlier.level, earlier.margin, earlier.control)
        != (setup.level, setup.margin, setup.control)
    ):
        raise StudyError(
            "the stored comparison is confirmatory, and its data have been seen: alpha,"
            " margin and control cannot change any more"
        )


def keep(setup: ComparisonSetup, storage: str) -> None:
    """Keep in the store what the studies themselves do not hold, for `load_comparison`."""
    store = open_store(storage)
    try:
        if store.notes(NOTE)[-1:] != [setup.to_json()]:
            store.note(NOTE, setup.to_json())
    finally:
        store.close()
