"""Configurations as points of the unit cube: one row each, one column per parameter.

Notation: U (n, d) coordinates; A (n, d) mask of active parameters; k index of a discrete value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import SpaceError
from metaopt.core.types import FloatArray
from metaopt.space.definition import SpaceDefinition
from metaopt.space.parameter import Parameter
from metaopt.space.values import Config, typed

BoolArray = NDArray[np.bool_]

INACTIVE = 0.5  # the coordinate of an inactive parameter
REJECTIONS = 200  # rounds of rejection sampling before the allowed combinations are listed
LISTED = 10**5  # at most so many combinations are listed


def encode(
    space: SpaceDefinition, configs: Sequence[Mapping[str, Any]]
) -> tuple[FloatArray, BoolArray]:
    """Return coordinates and mask of valid configurations; see `Space.encode`."""
    U = np.full((len(configs), len(space)), INACTIVE)
    A = np.zeros(U.shape, dtype=bool)
    for j, name in enumerate(space.names):
        rows = [i for i, config in enumerate(configs) if name in config]
        A[rows, j] = True
        if rows:
            U[rows, j] = space.parameters[name].to_unit(configs[i][name] for i in rows)
    return U, A


def decode(space: SpaceDefinition, U: FloatArray) -> tuple[list[Config], BoolArray]:
    """Return the configurations at the rows of U, and the mask of forbidden rows, shape (n,)."""
    U = np.asarray(U, dtype=np.float64)
    if U.ndim != 2 or U.shape[1] != len(space):
        raise SpaceError(f"U must have shape (n, {len(space)}), got {U.shape}")
    if np.isnan(U).any():
        raise SpaceError("U must hold numbers in [0, 1], got NaN")
    index, A = _indices(space, U)
    columns = [
        p.from_unit(U[:, j]) if p.cells is None else p.take(index[name])
        for j, (name, p) in enumerate(space.parameters.items())
    ]
    return _assemble(space.names, columns, A), _forbidden(space, index, A)


def _indices(
    space: SpaceDefinition, U: FloatArray
) -> tuple[dict[str, NDArray[np.int64]], BoolArray]:
    """Return the indices of the discrete values by name, and the mask of active parameters."""
    index: dict[str, NDArray[np.int64]] = {}
    column = {name: j for j, name in enumerate(space.names)}
    A = np.ones(U.shape, dtype=bool)
    for name in space.order:  # parents first
        p = space.parameters[name]
        if p.cells is not None:
            index[name] = p.cells.index(U[:, column[name]])
        for parent, values in p.when.items():
            match = _among(index[parent], space.parameters[parent], values)
            A[:, column[name]] &= A[:, column[parent]] & match
    return index, A


def _among(k: NDArray[np.int64], parameter: Parameter, values: Sequence[Any]) -> BoolArray:
    return np.isin(k, [parameter.index(v) for v in values])


def _forbidden(
    space: SpaceDefinition, index: dict[str, NDArray[np.int64]], A: BoolArray
) -> BoolArray:
    column = {name: j for j, name in enumerate(space.names)}
    out = np.zeros(len(A), dtype=bool)
    for entry in space.forbid:
        match = np.ones(len(A), dtype=bool)
        for name, values in entry.items():
            hit = _among(index[name], space.parameters[name], values)
            match &= A[:, column[name]] & hit
        out |= match
    return out


def _assemble(names: Sequence[str], columns: list[list[Any]], A: BoolArray) -> list[Config]:
    """Build the configurations; rows with the same active parameters are handled together."""
    if A.all():
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    configs: list[Config] = [{} for _ in range(len(A))]
    patterns, group = np.unique(A, axis=0, return_inverse=True)
    for g, pattern in enumerate(patterns):
        some = [j for j, on in enumerate(pattern) if on]
        chosen = [names[j] for j in some]
        for i in np.flatnonzero(group.reshape(-1) == g).tolist():
            configs[i] = {name: columns[j][i] for name, j in zip(chosen, some, strict=True)}
    return configs


def sample(space: SpaceDefinition, rng: np.random.Generator, n: int) -> list[Config]:
    """Draw n configurations uniformly, rejecting forbidden ones; see `Space.sample`."""
    configs: list[Config] = []
    for _ in range(REJECTIONS):
        drawn, bad = decode(space, rng.random((n - len(configs), len(space))))
        configs += [c for c, out in zip(drawn, bad.tolist(), strict=True) if not out]
        if len(configs) == n:
            return configs
    return configs + _sample_listed(space, rng, n - len(configs))


def _sample_listed(space: SpaceDefinition, rng: np.random.Generator, n: int) -> list[Config]:
    """Draw from the list of allowed combinations; draw all other parameters uniformly."""
    listed = [c for c, _ in zip(space._assignments(), range(LISTED), strict=False)]
    # Relative probabilities of the allowed combinations are the same as without `forbid`.
    weight = np.array([_share(space, config) for config in listed])
    configs = []
    for i in rng.choice(len(listed), size=n, p=weight / weight.sum()).tolist():
        u = rng.random(len(space))
        for j, name in enumerate(space.names):
            if name in listed[i]:
                u[j] = space.parameters[name].to_unit([listed[i][name]])[0]
        configs += decode(space, u[None])[0]
    return configs


def _share(space: SpaceDefinition, config: Config) -> float:
    """Return the volume of the unit cube that decodes to these values of discrete parameters."""
    share = 1.0
    for name, value in config.items():
        p = space.parameters[name]
        assert p.cells is not None
        share *= float(p.cells.width(np.array([p.index(value)]))[0])
    return share


def neighbours(
    space: SpaceDefinition, config: Config, rng: np.random.Generator, scale: float
) -> list[Config]:
    """Return the configurations that differ in one parameter; see `Space.neighbours`."""
    U, A = encode(space, [config])
    moves: list[tuple[int, float]] = []
    for j, name in enumerate(space.names):
        if A[0, j]:
            moves += [(j, u) for u in _moves(space.parameters[name], config[name], rng, scale)]
    if not moves:
        return []
    rows = np.repeat(U, len(moves), axis=0)
    # Parameters that a move activates have no value yet: they get a random one.
    rows = np.where(A, rows, rng.random(rows.shape))
    for i, (j, u) in enumerate(moves):
        rows[i, j] = u
    found, bad = decode(space, rows)
    seen, out = {_identity(config)}, []
    for (j, _), other, forbidden in zip(moves, found, bad.tolist(), strict=True):
        # Parameters that did not move keep their exact value: decoding may round a float.
        moved = space.names[j]
        other = {k: config[k] if k in config and k != moved else v for k, v in other.items()}
        if not forbidden and _identity(other) not in seen:
            seen.add(_identity(other))
            out.append(other)
    return out


def _identity(config: Config) -> tuple[Any, ...]:
    return tuple((name, typed(value)) for name, value in config.items())


def _moves(p: Parameter, value: Any, rng: np.random.Generator, scale: float) -> list[float]:
    """Return the coordinates of the neighbours of `value` in the column of `p`."""
    if p.cells is None:
        here = float(p.to_unit([value])[0])
        jump = np.abs(rng.normal(0.0, scale, size=2)) + 1e-6
        return [_reflect(here - float(jump[0])), _reflect(here + float(jump[1]))]
    n, k = p.cells.count, p.index(value)
    if p.kind == "categorical":
        targets = [i for i in range(n) if i != k]
    elif p.cells.log:
        u = p.cells.unit(np.array([k]))[0] + np.array([-1, 1]) * np.abs(rng.normal(0, scale, 2))
        low, high = p.cells.index(u).tolist()
        targets = [min(low, k - 1), max(high, k + 1)]
    else:
        jump = np.maximum(1, np.round(np.abs(rng.normal(0.0, scale * n, size=2)))).astype(int)
        targets = [max(k - int(jump[0]), min(k - 1, 0)), min(k + int(jump[1]), max(k + 1, n - 1))]
    return [float(p.cells.unit(np.array([t]))[0]) for t in targets if 0 <= t < n]


def _reflect(u: float) -> float:
    u = abs(u) % 2.0
    return 2.0 - u if u > 1.0 else u
