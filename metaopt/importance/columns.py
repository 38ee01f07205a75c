"""The free parameters of a space as columns of the unit cube, with the measure of each.

Notation: n trials, d columns. A column is cut into cells, each with a point `at` and a measure
`width`; widths add up to 1, so that they are the shares of uniform sampling from the space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaopt.core.errors import StudyError
from metaopt.core.types import FloatArray
from metaopt.space import Space
from metaopt.space.cells import Cells
from metaopt.space.encoding import BoolArray

LEAST = 10  # trials with a value, below which importances are guesses
CELLS = 128  # of a continuum, and of a discrete parameter with more values


@dataclass(frozen=True, eq=False)
class Column:
    """One free parameter.

    Attributes:
        name: of the parameter.
        at: coordinates of its cells, ascending, (c,).
        width: their shares of uniform sampling, (c,).
        ordered: whether neighbouring coordinates are alike; False for categories.
    """

    name: str
    at: FloatArray
    width: FloatArray
    ordered: bool


@dataclass(frozen=True, eq=False)
class Data:
    """Trials with values.

    Attributes:
        columns: d of them.
        U: coordinates, (n, d).
        A: mask of active parameters, (n, d).
        y: values, (n,), less `center` and divided by `scale`, so that their size plays no part.
        center: of the values.
        scale: of the values, a power of two.
    """

    columns: tuple[Column, ...]
    U: FloatArray
    A: BoolArray
    y: FloatArray
    center: float
    scale: float


def columns_of(space: Space) -> list[Column]:
    """Columns of all parameters with more than one value, in the order of the space."""
    found = []
    for name, p in space.parameters.items():
        if p.cells is None or p.cells.count > CELLS:
            cells, ordered = Cells(CELLS), True
        else:
            cells, ordered = p.cells, p.kind != "categorical"
        if cells.count > 1:
            k = np.arange(cells.count)
            width = cells.width(k)
            found.append(Column(name, cells.unit(k), width / width.sum(), ordered))
    return found


def read(space: Space, configs: Sequence[Mapping[str, Any]], values: Any) -> Data:
    """Encode configurations (n) and their values (n,).

    Raises:
        StudyError: fewer than 10 trials, values that are not finite or all equal, or no parameter
            has more than one value.
        SpaceError: a configuration is not in the space.
    """
    y = np.asarray(values, dtype=np.float64)
    if y.shape != (len(configs),):
        raise StudyError(f"expected one value for each of {len(configs)} trials, got {y.shape}")
    if not np.isfinite(y).all():
        raise StudyError("values must be finite: leave out trials that failed")
    if len(y) < LEAST:
        raise StudyError(
            f"parameter importance needs at least {LEAST} complete trials, got {len(y)};"
            f" with several per parameter it becomes reliable"
        )
    if y.min() == y.max():
        raise StudyError(f"all {len(y)} values are equal: there is nothing to explain")
    columns = columns_of(space)
    if not columns:
        raise StudyError("no parameter of the space has more than one value")
    U, A = space.encode(configs)
    kept = [space.names.index(c.name) for c in columns]
    snapped = [_nearest(c.at, U[:, j]) for c, j in zip(columns, kept, strict=True)]
    # Halves, since a sum or difference of the largest floats overflows.
    center = float(np.median(y))
    away = y / 2 - center / 2
    scale = 2.0 ** np.floor(np.log2(np.abs(away).max()))
    U = np.stack(snapped, axis=1)
    return Data(tuple(columns), U, A[:, kept], away / scale, center, float(2 * scale))


def _nearest(at: FloatArray, u: FloatArray) -> FloatArray:
    """The cell's coordinate next to each of u, (n,)."""
    cell = np.searchsorted((at[1:] + at[:-1]) / 2, u, side="right")
    nearest: FloatArray = at[cell]
    return nearest


def filled(data: Data, rng: np.random.Generator) -> FloatArray:
    """U with uniform draws where parameters are inactive, (n, d).

    A configuration does not depend on the coordinates of inactive parameters; random ones say so.
    """
    U = data.U.copy()
    for j, column in enumerate(data.columns):
        off = ~data.A[:, j]
        U[off, j] = rng.choice(column.at, size=off.sum(), p=column.width)
    return U
