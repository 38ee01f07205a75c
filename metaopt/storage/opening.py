"""Find and open stored studies, and check that their settings match those of the caller."""

from __future__ import annotations

import warnings
from pathlib import Path

from metaopt.core.errors import StudyError, unknown_name
from metaopt.storage.base import Store, StudyEvents, StudyHeader
from metaopt.storage.memory import MemoryEvents
from metaopt.storage.sql import SqlStore
from metaopt.trials.records import Json, same_json


def open_store(storage: str | Path, *, create: bool = True) -> Store:
    """Open a file or database of studies; the backend follows from `storage`.

    Args:
        storage: a path (SQLite) or a database URL.
        create: whether a missing file is created.

    Raises:
        StoreError: there is no such file, it is not a study file, or the database is not reached.
    """
    return SqlStore(storage, create=create)


def open_events(storage: str | Path | None, name: str, header: dict[str, Json]) -> StudyEvents:
    """Return the events of the study `name`; create the study if it does not exist.

    Args:
        storage: None (memory), a path (SQLite) or a database URL.
        name: of the study.
        header: settings of the study; those of an existing study must be the same.

    Raises:
        StudyError: the study exists with other settings; the message names the difference.
        StoreError: the storage cannot be used.
    """
    if storage is None:
        return MemoryEvents()
    store = open_store(storage)
    try:
        stored = store.find(name)
        if stored is None:
            store.create(name, header)
        else:
            _check_same(stored, header, str(storage))
        return store.open(name)
    except BaseException:
        store.close()
        raise


def _check_same(stored: StudyHeader, header: dict[str, Json], storage: str) -> None:
    for what, mine in header.items():
        theirs = stored.header.get(what)
        if same_json(theirs, mine):
            continue
        if what != "version":
            raise StudyError(
                f"the study {stored.name!r} in {storage} was created with another {what}:"
                f" stored {_short(theirs)}, given {_short(mine)};"
                f" pass the same {what}, or another name for a new study"
            )
        warnings.warn(
            f"the study {stored.name!r} was created with metaopt {theirs}, this is {mine}:"
            f" further proposals may differ from those of the old version",
            stacklevel=5,
        )


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."


def studies(storage: str | Path) -> list[StudyHeader]:
    """Return the headers of the studies in a file or database, oldest first.

    Args:
        storage: a path or a database URL.

    Raises:
        StoreError: there is no such file, or it is not a study file.
    """
    store = open_store(storage, create=False)
    try:
        return store.studies()
    finally:
        store.close()


def find_study(storage: str | Path, name: str | None = None) -> StudyHeader:
    """Return the header of a stored study.

    Args:
        storage: a path or a database URL.
        name: of the study; may be omitted if the storage holds exactly one.

    Raises:
        StoreError: there is no such file, or it is not a study file.
        StudyError: `name` was omitted, and the storage holds no study or several.
        UnknownNameError: there is no study of this name.
    """
    found = {s.name: s for s in studies(storage)}
    if name is not None and name not in found:
        raise unknown_name("study", name, found)
    if name is None and len(found) != 1:
        raise StudyError(
            f"{storage} holds {len(found)} studies; name one: {', '.join(list(found)[:8])}"
        )
    return found[name or next(iter(found))]
