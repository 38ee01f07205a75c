"""Studies in a database: SQLite by default, others by URL (SQLAlchemy Core).

Tables: `metaopt_studies`, a row a study with its header as JSON, `metaopt_events`, a row an event,
numbered from 0 within its study, and `metaopt_notes`, JSON about several studies together, which
older files do not have. Nothing is ever changed or deleted, and nothing that is read is executed:
rows hold JSON.
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
BUSY_SECONDS = 60.0  # how long a writer waits for another one
BUFFER_SECONDS = 1.0  # how long an event that need not be durable may wait for the next commit

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
    sa.Column("position", sa.Integer, primary_key=True),  # one writer a study: a second collides
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
    """A database of studies. `storage` is a path (SQLite) or a database URL.

    Raises:
        StoreError: the file is no study file, or the database cannot be reached.
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
            raise StoreError(f"the folder {path.parent} does not exist; make it first")
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
                f"storage {self.storage!r} is no usable database URL: {error}"
            ) from None
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _set_up_sqlite)
        return engine

    def _prepare(self, create: bool) -> None:
        """Make the tables in an empty database; refuse one that belongs to something else."""
        names = set(sa.inspect(self.engine).get_table_names())
        if not names >= NEEDED:
            if names - set(METADATA.tables) or not create:
                raise StoreError(
                    f"{self.storage} is a database but no study file"
                    f" (it holds {', '.join(sorted(names)) or 'nothing'}); choose another file"
                )
            with self.engine.begin() as connection:
                for table in METADATA.sorted_tables:  # another process may be making them too
                    connection.execute(CreateTable(table, if_not_exists=True))
        if self.engine.dialect.name == "sqlite":
            # Kept in the file, and so set only once it is known to be ours.
            with self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            if "not a database" in str(error.orig):
                raise StoreError(
                    f"{self.storage} is no study file (not a database); choose another file"
                ) from None
            raise StoreError(f"{self.storage}: {error.orig}") from error
        except SQLAlchemyError as error:
            raise StoreError(f"{self.storage}: {error}") from error

    # -- notes -----------------------------------------------------------------------------------

    def notes(self, kind: str) -> list[Json]:
        """Return the notes of a kind, oldest first.

        Raises:
            StoreError: one is damaged.
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
        """Add a note."""
        row = {"time": time.time(), "kind": kind, "body": json.dumps(body, allow_nan=False)}
        with self._translated(), self.engine.begin() as connection:
            connection.execute(CreateTable(NOTES, if_not_exists=True))
            connection.execute(NOTES.insert(), row)

    # -- studies ---------------------------------------------------------------------------------

    def studies(self) -> list[StudyHeader]:
        """Return all studies, oldest first."""
        query = sa.select(STUDIES).order_by(STUDIES.c.id)
        with self._translated(), self.engine.connect() as connection:
            return [_header(row) for row in connection.execute(query)]

    def find(self, name: str) -> StudyHeader | None:
        """Return the study of that name, or None."""
        query = sa.select(STUDIES).where(STUDIES.c.name == name)
        with self._translated(), self.engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else _header(row)

    def create(self, name: str, header: dict[str, Json]) -> StudyHeader:
        """Add a study."""
        text = json.dumps(header, allow_nan=False)
        made = StudyHeader(name, time.time(), header)
        row = {"name": name, "format": FORMAT, "created": made.created, "header": text}
        with self._translated():
            try:
                with self.engine.begin() as connection:
                    connection.execute(STUDIES.insert().values(**row))
            except IntegrityError:
                raise StoreError(f"a study {name!r} was made at the same time; try again") from None
        return made

    def open(self, name: str) -> SqlEvents:
        """Return the events of a study, to be read and continued.

        Raises:
            UnknownNameError: there is none of that name.
        """
        query = sa.select(STUDIES.c.id).where(STUDIES.c.name == name)
        with self._translated(), self.engine.connect() as connection:
            found = connection.execute(query).scalar()
        if found is None:
            raise unknown_name("study", name, [s.name for s in self.studies()])
        return SqlEvents(self, int(found), name)

    def events(self, name: str, start: int = 0) -> list[Event]:
        """Return the events of a study from a position on, for those who only look; [] if none."""
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
        """Let go of the database."""
        self.engine.dispose()


class SqlEvents:
    """The events of one study in a database; one writer at a time."""

    def __init__(self, store: SqlStore, study: int, name: str) -> None:
        self._store = store
        self._study = study
        self._name = name
        self._waiting: list[tuple[Event, str]] = []
        self._written = time.monotonic()
        # Only the monitor writes, so the position is known once it has been read.
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
        """Add events. When a durable append returns, they and all before them are on the disk."""
        self._waiting += [(e, event_to_text(e)) for e in events]  # what is no JSON fails here
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
        """What waits, as rows."""
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
        """Drop what waits and is in the database: Ctrl-C came between the commit and its noting.

        Raises:
            StudyError: what is there is not ours, so another process drives the study.
        """
        rows = self._rows()
        mine = (EVENTS.c.study == self._study) & (EVENTS.c.position >= self._position)
        query = sa.select(EVENTS).where(mine).order_by(EVENTS.c.position)
        with self._store.engine.connect() as connection:
            there = [dict(row) for row in connection.execute(query).mappings()]
        if there != rows[: len(there)]:
            self._waiting.clear()  # it is said once
            raise StudyError(
                f"another process has gone on with the study {self._name!r}; only one may"
                f" drive it: stop the other, then open the study again"
            )
        self._position = rows[0]["position"] + len(there)
        del self._waiting[: len(there)]

    def close(self) -> None:
        """Write what waits and let go of the database."""
        self._commit()
        self._store.close()


def _make_file(path: Path) -> None:
    """Make an empty study file in one step: who looks meanwhile finds no file or a whole one.

    Raises:
        OSError: a full disk, a file system without links, or another process was first. Opening
            the file makes its tables in place, or says what is wrong.
    """
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        whole = Path(folder) / path.name
        whole.touch()
        SqlStore(whole).close()
        os.link(whole, path)


def _header(row: Any) -> StudyHeader:
    if row.format > FORMAT:
        raise StoreError(f"the study {row.name!r} was written by a later metaopt; upgrade")
    try:
        header = json.loads(row.header)
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise StoreError(f"the study {row.name!r} is damaged: its header is no JSON object")
    return StudyHeader(row.name, row.created, header)


def _set_up_sqlite(connection: sqlite3.Connection, record: object) -> None:
    """Settings under which a commit survives power loss, and readers do not block the writer."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
