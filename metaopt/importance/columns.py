"""The free parameters of a space as columns of the unit cube, with the measure of each cell.

Notation: n trials, d columns. A column is divided into cells, each with a coordinate `at` and a
measure `width`, its probability under uniform sampling from the space; the widths of a column add
up to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import StudyError
from metaopt.core.types import FloatArray
from metaopt.space import Space
from metaopt.space.cells import Cells
from metaopt.space.encoding import BoolArray

LEAST = 10  # with fewer trials with a value, importances are not reliable
CELLS = 128  # of a continuous parameter, and of a discrete one with more values


@dataclass(frozen=True, eq=False)
class ParameterColumn:
    """One free parameter.

    Attributes:
        name: of the parameter.
        at: coordinates of its cells, ascending, shape (c,).
        width: probabilities of the cells under uniform sampling, shape (c,).
        ordered: whether neighbouring coordinates are similar; False for categories.
    """

    name: str
    at: FloatArray
    width: FloatArray
    ordered: bool


@dataclass(frozen=True, eq=False)
class TrialTable:
    """Encoded trials with their values.

    Attributes:
        columns: the d columns.
        U: coordinates, shape (n, d).
        A: mask of active parameters, shape (n, d).
        y: values minus `center`, divided by `scale`, shape (n,); avoids overflow and makes results
            independent of the unit of the values; +inf for a trial without a value.
        center: median of the values.
        scale: a power of two of the order of the largest deviation from `center`.
    """

    columns: tuple[ParameterColumn, ...]
    U: FloatArray
    A: BoolArray
    y: FloatArray
    center: float
    scale: float


def columns_of(space: Space) -> list[ParameterColumn]:
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
            found.append(ParameterColumn(name, cells.unit(k), width / width.sum(), ordered))
    return found


def read(
    space: Space, configs: Sequence[Mapping[str, Any]], values: Any, *, infinite: bool = False
) -> TrialTable:
    """Encode n configurations and their values, shape (n,); `infinite` allows +inf.

    Raises:
        StudyError: fewer than 10 trials, values that are not finite or all equal, or no parameter
            with more than one value.
        SpaceError: a configuration is not in the space.
    """
    y = _values(values, len(configs), infinite)
    known = y[np.isfinite(y)]
    if len(known) < LEAST:
        raise StudyError(
            f"parameter importance needs at least {LEAST} complete trials, got {len(known)};"
            f" it becomes reliable with several trials per parameter"
        )
    if known.min() == known.max():
        raise StudyError(
            f"all {len(known)} values are equal: no parameter can explain a difference"
        )
    columns = columns_of(space)
    if not columns:
        raise StudyError("no parameter of the space has more than one value")
    U, A = space.encode(configs)
    kept = [space.names.index(c.name) for c in columns]
    snapped = [_nearest(c.at, U[:, j]) for c, j in zip(columns, kept, strict=True)]
    # Halves, because a sum or difference of the largest floats overflows.
    center = float(np.median(known))
    away = y / 2 - center / 2
    scale = 2.0 ** np.floor(np.log2(np.abs(known / 2 - center / 2).max()))
    U = np.stack(snapped, axis=1)
    return TrialTable(tuple(columns), U, A[:, kept], away / scale, center, float(2 * scale))


def _values(values: Any, n: int, infinite: bool) -> FloatArray:
    """The values as an array of n numbers; +inf is allowed only if `infinite`."""
    try:
        given = np.asarray(values)
        y = given.astype(np.float64)
    except (TypeError, ValueError):
        given = y = np.array("")
    if given.dtype.kind not in "biufO":  # numpy would read numbers from strings
        raise StudyError(f"values must be numbers, one for each trial, got {values!r:.60}")
    if y.shape != (n,):
        raise StudyError(f"expected one value for each of {n} trials, got {y.shape}")
    if infinite and (np.isnan(y).any() or (y == -np.inf).any()):
        raise StudyError("values must be finite, or +inf for a trial without a value")
    if not infinite and not np.isfinite(y).all():
        raise StudyError("values must be finite: leave out failed trials")
    return y


def _nearest(at: FloatArray, u: FloatArray) -> FloatArray:
    """Coordinate of the nearest cell for each of u, shape (n,)."""
    cell = np.searchsorted((at[1:] + at[:-1]) / 2, u, side="right")
    nearest: FloatArray = at[cell]
    return nearest


def cells_of(columns: Sequence[ParameterColumn], U: FloatArray) -> NDArray[np.int64]:
    """Cell of each coordinate that is the coordinate of a cell, shape (n, d)."""
    found = [np.searchsorted(c.at, U[:, j]) for j, c in enumerate(columns)]
    return np.stack(found, axis=1)


def filled(data: TrialTable, rng: np.random.Generator) -> FloatArray:
    """U with uniform random coordinates for inactive parameters, shape (n, d).

    The value of a configuration does not depend on inactive parameters; with random coordinates the
    forest finds no dependence on them.
    """
    U = data.U.copy()
    for j, column in enumerate(data.columns):
        off = ~data.A[:, j]
        U[off, j] = rng.choice(column.at, size=off.sum(), p=column.width)
    return U
