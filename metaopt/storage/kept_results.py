"""Results that a study's store keeps beside the trials, as notes: those of `Study.confirm`.

The events of the study are not touched, so its trials, its best one and its replay stay as they
are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from metaopt.core.errors import StoreError
from metaopt.space import Config, Space
from metaopt.storage.base import Store
from metaopt.storage.opening import open_store
from metaopt.trials.records import Json, Result

NOTE = "confirm"  # kind of the notes


class KeptResults:
    """Results of one study by configuration and seed; a context manager that closes the store.

    Args:
        storage: of the study: a path or a database URL; with None, nothing outlives this object.
        study: its name.
        space: of the configurations.
        reuse: whether to read what was kept before; if False, new results take its place.

    Raises:
        StoreError: the storage cannot be read, or a note is damaged.
    """

    def __init__(self, storage: str | None, study: str, space: Space, *, reuse: bool) -> None:
        self._study, self._space = study, space
        self._store: Store | None = None if storage is None else open_store(storage)
        self._found: dict[tuple[str, int], Result] = {}
        if self._store is not None and reuse:
            for body in self._store.notes(NOTE):
                self._read(body)

    def _read(self, body: Json) -> None:
        try:
            if body["study"] == self._study:
                result = Result.from_json(body["result"])
                self._found[self._space.key(body["config"]), body["seed"]] = result
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"a note {NOTE!r} of {self._study!r} is damaged: {error!r}") from None

    def find(self, config: Config, seed: int) -> Result | None:
        """Return the result of a configuration under a seed, or None if none is kept."""
        return self._found.get((self._space.key(config), seed))

    def keep(self, config: Config, seed: int, result: Result) -> None:
        """Keep a result, without its curve and its other data.

        Raises:
            StoreError: the storage cannot be written.
        """
        result = replace(result, curve=(), data={})
        self._found[self._space.key(config), seed] = result
        if self._store is not None:
            body = {"study": self._study, "config": dict(config), "seed": seed}
            self._store.note(NOTE, {**body, "result": result.to_json()})

    def __enter__(self) -> KeptResults:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._store is not None:
            self._store.close()
