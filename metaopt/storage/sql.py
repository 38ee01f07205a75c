"""Studies in a database: SQLite by default, others by URL (SQLAlchemy Core).

Tables:
- `metaopt_studies`: one row per study, with its header as JSON.
- `metaopt_events`: one row per event, numbered from 0 within its study.
- `metaopt_notes`: JSON notes that concern several studies; older files lack this table.

Rows are only added, never changed or deleted. They hold JSON, so reading a file cannot run code.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from metaopt.core.errors import StoreError, StudyError, unknown_name
from metaopt.storage.base import StudyHeader
from metaopt.storage.events import Event, event_from_text, event_to_text
from metaopt.trials.records import Json

FORMAT = 1
BUSY_SECONDS = 60.0  # how long a writer waits for the lock of another writer
BUFFER_SECONDS = 1.0  # longest time for which events with durable=False stay in the buffer

METADATA = sa.MetaData()
STUDIES = sa.Table(
    "metaopt_studies",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(512), unique=True, nullable=False),
    sa.Column("format", sa.Integer, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("header", sa.Text, nullable=False),
)
EVENTS = sa.Table(
    "metaopt_events",
    METADATA,
    sa.Column("study", sa.ForeignKey("metaopt_studies.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),  # a second writer violates the key
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
NEEDED = {STUDIES.name, EVENTS.name}
NOTES = sa.Table(
    "metaopt_notes",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)


class SqlStore:
    """A database of studies.

    Args:
        storage: a path (SQLite) or a database URL.
        create: whether to create a missing file and missing tables; if False, they are an error.

    Raises:
        StoreError: the file is not a study file, or the database cannot be reached.
    """

    def __init__(self, storage: str | Path, *, create: bool = True) -> None:
        if not isinstance(storage, (str, Path)):
            raise StoreError(f"storage must be a path or a database URL, got {storage!r}")
        self.storage = str(storage)
        self._path = None if "://" in self.storage else Path(self.storage).expanduser()
        if self._path is not None:
            self._check_path(self._path, create)
        if create and self._path is not None and not self._path.exists():
            with contextlib.suppress(OSError):
                _make_file(self._path)
        self.engine = self._make_engine()
        with self._translated():
            self._prepare(create)

    def _check_path(self, path: Path, create: bool) -> None:
        if path.is_dir():
            raise StoreError(f"{path} is a folder; storage must be a file such as {path}/study.db")
        if not path.parent.is_dir():
            raise StoreError(f"the folder {path.parent} does not exist; create it first")
        if not path.exists() and not create:
            raise StoreError(f"there is no file {path}")

    def _make_engine(self) -> sa.Engine:
        url: str | sa.URL = self.storage
        if self._path is not None:
            url = sa.URL.create("sqlite", database=str(self._path.resolve()))
        try:
            engine = sa.create_engine(url)
        except (SQLAlchemyError, ImportError) as error:
            raise StoreError(
                f"storage {self.storage!r} is not a usable database URL: {error}"
            ) from None
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _set_up_sqlite)
        return engine

    def _prepare(self, create: bool) -> None:
        """Create the tables in an empty database; refuse any other database that lacks them."""
        names = set(sa.inspect(self.engine).get_table_names())
        if not names >= NEEDED:
            if names - set(METADATA.tables) or not create:
                raise StoreError(
                    f"{self.storage} is a database but not a study file"
                    f" (its tables: {', '.join(sorted(names)) or 'none'}); choose another file"
                )
            with self.engine.begin() as connection:
                for table in METADATA.sorted_tables:  # another process may create them, too
                    connection.execute(CreateTable(table, if_not_exists=True))
        if self.engine.dialect.name == "sqlite":
            # This setting is stored in the file, so set it only after the checks above.
            with self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            if "not a database" in str(error.orig):
                raise StoreError(
                    f"{self.storage} is not a study file (not a database); choose another file"
                ) from None
            raise StoreError(f"{self.storage}: {error.orig}") from error
        except SQLAlchemyError as error:
            raise StoreError(f"{self.storage}: {error}") from error

    # -- notes -----------------------------------------------------------------------------------

    def notes(self, kind: str) -> list[Json]:
        """Return the notes of one kind, oldest first.

        Args:
            kind: of the notes, such as "comparison".

        Raises:
            StoreError: a note is damaged, or the database cannot be read.
        """
        query = sa.select(NOTES.c.body).where(NOTES.c.kind == kind).order_by(NOTES.c.id)
        with self._translated(), self.engine.connect() as connection:
            if not sa.inspect(connection).has_table(NOTES.name):
                return []
            bodies = connection.execute(query).scalars().all()
        try:
            return [json.loads(body) for body in bodies]
        except ValueError as error:
            raise StoreError(f"{self.storage}: a note {kind!r} is damaged: {error}") from None

    def note(self, kind: str, body: Json) -> None:
        """Add a note.

        Args:
            kind: of the note, by which it is found again.
            body: the note, as JSON.

        Raises:
            StoreError: the database cannot be written.
        """
        row = {"time": time.time(), "kind": kind, "body": json.dumps(body, allow_nan=False)}
        with self._translated(), self.engine.begin() as connection:
            connection.execute(CreateTable(NOTES, if_not_exists=True))
            connection.execute(NOTES.insert(), row)

    # -- studies ---------------------------------------------------------------------------------

    def studies(self) -> list[StudyHeader]:
        """Return the headers of all studies, oldest first.

        Raises:
            StoreError: a header is damaged or of a later version.
        """
        query = sa.select(STUDIES).order_by(STUDIES.c.id)
        with self._translated(), self.engine.connect() as connection:
            return [_header(row) for row in connection.execute(query)]

    def find(self, name: str) -> StudyHeader | None:
        """Return the header of a study, or None if there is no study of this name.

        Args:
            name: of the study.

        Raises:
            StoreError: the header is damaged or of a later version.
        """
        query = sa.select(STUDIES).where(STUDIES.c.name == name)
        with self._translated(), self.engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else _header(row)

    def create(self, name: str, header: dict[str, Json]) -> StudyHeader:
        """Add a study without events.

        Args:
            name: of the study; must be new.
            header: the settings of the study, as JSON.

        Returns:
            The header as stored.

        Raises:
            StoreError: another process created a study of this name at the same time.
        """
        text = json.dumps(header, allow_nan=False)
        made = StudyHeader(name, time.time(), header)
        row = {"name": name, "format": FORMAT, "created": made.created, "header": text}
        with self._translated():
            try:
                with self.engine.begin() as connection:
                    connection.execute(STUDIES.insert().values(**row))
            except IntegrityError:
                raise StoreError(
                    f"a study {name!r} was created at the same time; try again"
                ) from None
        return made

    def open(self, name: str) -> SqlEvents:
        """Return the events of a study, for reading and appending.

        Args:
            name: of the study.

        Raises:
            UnknownNameError: there is no study of this name.
        """
        query = sa.select(STUDIES.c.id).where(STUDIES.c.name == name)
        with self._translated(), self.engine.connect() as connection:
            found = connection.execute(query).scalar()
        if found is None:
            raise unknown_name("study", name, [s.name for s in self.studies()])
        return SqlEvents(self, int(found), name)

    def events(self, name: str, start: int = 0) -> list[Event]:
        """Return the events of a study from a position on; for readers, which do not append.

        Args:
            name: of the study; if there is no such study, the list is empty.
            start: position of the first event to return; 0 is the oldest.

        Raises:
            StoreError: an event is damaged or of a later version.
        """
        query = (
            sa.select(EVENTS.c.kind, EVENTS.c.time, EVENTS.c.body)
            .join(STUDIES)
            .where((STUDIES.c.name == name) & (EVENTS.c.position >= start))
            .order_by(EVENTS.c.position)
        )
        with self._translated(), self.engine.connect() as connection:
            rows = connection.execute(query).all()
        return [event_from_text(row.kind, row.time, row.body) for row in rows]

    def close(self) -> None:
        """Close the connections to the database."""
        self.engine.dispose()


class SqlEvents:
    """The events of one study in a database; one writer at a time.

    Args:
        store: the database.
        study: number (primary key) of the study in its table.
        name: of the study, for messages.
    """

    def __init__(self, store: SqlStore, study: int, name: str) -> None:
        self._store = store
        self._study = study
        self._name = name
        self._waiting: list[tuple[Event, str]] = []
        self._written = time.monotonic()
        # There is one writer, so the position of the next event is known after the first read.
        self._position: int | None = None

    def __iter__(self) -> Iterator[Event]:
        query = sa.select(EVENTS).where(EVENTS.c.study == self._study).order_by(EVENTS.c.position)
        with self._store._translated(), self._store.engine.connect() as connection:
            rows = connection.execute(query).all()
        if self._position is None:
            self._position = len(rows)
        events = [event_from_text(row.kind, row.time, row.body) for row in rows]
        return iter(events + [event for event, _ in self._waiting])

    def append(self, *events: Event, durable: bool = True) -> None:
        """Add events at the end.

        Args:
            *events: to add, in this order.
            durable: if True, these events and all earlier ones are on the disk when the call
                returns; if False, they are written with a later event or after about a second.

        Raises:
            StudyError: another process writes to the study.
            StoreError: the database cannot be written.
        """
        self._waiting += [(e, event_to_text(e)) for e in events]  # fails here if not JSON
        if durable or time.monotonic() - self._written > BUFFER_SECONDS:
            self._commit()

    def _commit(self) -> None:
        if not self._waiting:
            return
        if self._position is None:
            iter(self)
        with self._store._translated():
            try:
                self._insert()
            except IntegrityError:
                self._forget_written()
                self._insert()
        assert self._position is not None
        self._position += len(self._waiting)
        self._waiting.clear()
        self._written = time.monotonic()

    def _rows(self) -> list[dict[str, Any]]:
        """Buffered events as rows of the table."""
        assert self._position is not None
        columns = ("study", "position", "time", "kind", "body")
        return [
            dict(zip(columns, (self._study, position, e.time, e.kind, text), strict=True))
            for position, (e, text) in enumerate(self._waiting, self._position)
        ]

    def _insert(self) -> None:
        if rows := self._rows():
            with self._store.engine.begin() as connection:
                connection.execute(EVENTS.insert(), rows)

    def _forget_written(self) -> None:
        """Drop buffered events that are already in the database.

        Ctrl-C may come after the commit, before the buffer is cleared.

        Raises:
            StudyError: the database holds other events there, so another process writes the study.
        """
        rows = self._rows()
        mine = (EVENTS.c.study == self._study) & (EVENTS.c.position >= self._position)
        query = sa.select(EVENTS).where(mine).order_by(EVENTS.c.position)
        with self._store.engine.connect() as connection:
            there = [dict(row) for row in connection.execute(query).mappings()]
        if there != rows[: len(there)]:
            self._waiting.clear()  # report the conflict once, not again in close()
            raise StudyError(
                f"another process has written to the study {self._name!r}; only one process may"
                f" run a study: stop the other one, then open the study again"
            )
        self._position = rows[0]["position"] + len(there)
        del self._waiting[: len(there)]

    def close(self) -> None:
        """Write buffered events and close the database."""
        self._commit()
        self._store.close()


def _make_file(path: Path) -> None:
    """Create an empty study file atomically: readers see either no file or a complete one.

    Raises:
        OSError: the disk is full, the file system has no hard links, or another process created
            the file first. The caller then opens the path as it is, which creates the tables in
            place or reports the problem.
    """
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        whole = Path(folder) / path.name
        whole.touch()
        SqlStore(whole).close()
        os.link(whole, path)


def _header(row: Any) -> StudyHeader:
    if row.format > FORMAT:
        raise StoreError(f"the study {row.name!r} was written by a later metaopt; upgrade metaopt")
    try:
        header = json.loads(row.header)
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise StoreError(f"the study {row.name!r} is damaged: its header is not a JSON object")
    return StudyHeader(row.name, row.created, header)


def _set_up_sqlite(connection: sqlite3.Connection, record: object) -> None:
    """Make commits survive a power loss, wait for locks, and enforce foreign keys."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
