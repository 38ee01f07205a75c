"""Maximise the acquisition function: random candidates, gradient ascent, discrete local search.

Notation: U (m, d) coordinates, A (m, d) mask of active parameters, a (m,) acquisition values;
S starts of the ascent; x, g (S, k) the k movable coordinates of a start and its gradient;
H (S, k, k) inverse Hessians. All ascents run together, with one batched evaluation per iteration.
"Snapped" points are rounded to values that exist in the space (`Features.snap`).

BFGS update: Nocedal and Wright (2006), equation 6.17; steps are projected onto the box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metaopt.core.types import FloatArray
from metaopt.space.encoding import BoolArray
from metaopt.space.values import IntArray
from metaopt_strategies.bayes.acquisition import Acquisition
from metaopt_strategies.bayes.features import Features

UNIFORM = 300
ANCHORS, COPIES, SCALES = 5, 20, (0.2, 0.05, 0.01)
STARTS, APART = 6, 0.05
ASCENT, ENOUGH = 25, 1e-4  # maximal number of steps; an ascent ends when a step gains less
ROUNDS, CLIMBERS = 4, 3
OFFERED = 64  # number of points returned, in case the first ones are forbidden or not new


@dataclass(frozen=True)
class Box:
    """Bounds of the search.

    Attributes:
        low, high: bounds of the coordinates, shape (d,).
        frozen: mask of the coordinates that keep the value of the best anchor, shape (d,).
    """

    low: FloatArray
    high: FloatArray
    frozen: BoolArray

    @classmethod
    def whole(cls, d: int) -> Box:
        """Return the unit cube in d dimensions."""
        return cls(np.zeros(d), np.ones(d), np.zeros(d, dtype=bool))


def mutate(
    columns: Features, U: FloatArray, A: BoolArray, scale: float, rng: np.random.Generator
) -> FloatArray:
    """Return a changed copy of each row; how many coordinates change is random for each row."""
    m, d = U.shape
    U = np.where(A, U, rng.random((m, d)))  # newly activated parameters are sampled
    share = rng.choice([1.0 / d, 2.0 / d, 0.5, 1.0], size=(m, 1))
    change = rng.random((m, d)) < share
    change[np.arange(m), rng.integers(d, size=m)] = True
    moved = U + scale * rng.standard_normal((m, d))
    moved = np.abs(moved)
    moved = np.where(moved > 1.0, 2.0 - moved, moved)  # reflected at both ends
    hot = columns.categorical
    moved[:, hot] = rng.random((m, len(hot)))
    return np.where(change, moved, U)


def candidates(
    columns: Features, anchors: tuple[FloatArray, BoolArray], box: Box, rng: np.random.Generator
) -> tuple[FloatArray, BoolArray]:
    """Return uniform points and changed copies of the anchors, in the box, snapped and allowed."""
    U0, A0 = anchors
    parts = [box.low + (box.high - box.low) * rng.random((UNIFORM, columns.d))]
    for scale in SCALES:
        rows = np.repeat(np.arange(len(U0)), COPIES)
        parts.append(mutate(columns, U0[rows], A0[rows], scale, rng))
    U = np.clip(np.concatenate(parts), box.low, box.high)
    U[:, box.frozen] = U0[0, box.frozen]
    U, A, allowed = columns.snap(U)
    return U[allowed], A[allowed]


def spread(U: FloatArray, a: FloatArray, count: int) -> IntArray:
    """Return the indices of the best rows that are more than APART from each other."""
    rows = np.argsort(-a, kind="stable")[: 30 * count]
    chosen: list[int] = []
    while len(rows) and len(chosen) < count:
        chosen.append(int(rows[0]))
        rows = rows[np.abs(U[rows] - U[rows[0]]).max(axis=1) > APART]
    return np.array(chosen, dtype=np.int64)


def ascend(
    acquisition: Acquisition, U: FloatArray, A: BoolArray, movable: IntArray, box: Box
) -> FloatArray:
    """Maximise the acquisition function from each row of U by BFGS, within the box.

    Only the coordinates `movable` change. The points returned, shape (m, d), are not snapped.
    """
    low, high = box.low[movable], box.high[movable]
    on = A[:, movable]
    U = U.copy()
    S, k = len(U), len(movable)
    a, g = acquisition.slopes(U, A)
    g = np.where(on, g[:, movable], 0.0)
    # The first step has length 0.1 in its largest coordinate, whatever the gradient's size.
    H = np.eye(k) * _tenth(g)[:, None]
    step, done = np.ones(S), np.zeros(S, dtype=bool)
    for _ in range(ASCENT):
        x = U[:, movable]
        blocked = ((x <= low) & (g < 0.0)) | ((x >= high) & (g > 0.0))
        free = np.where(blocked, 0.0, g)
        p = np.where(blocked, 0.0, (H @ free[:, :, None])[:, :, 0])
        uphill = np.einsum("si,si->s", p, free) > 0.0
        if not uphill.all():
            p = np.where(uphill[:, None], p, free * _tenth(free))
        longest = np.abs(p).max(axis=1)
        p *= (step * np.minimum(1.0, 0.5 / np.maximum(longest, 1e-300)))[:, None]
        new = np.clip(x + p, low, high)
        moved = new - x
        V = U.copy()
        V[:, movable] = new
        b, h = acquisition.slopes(V, A)
        h = np.where(on, h[:, movable], 0.0)
        gain = b - a
        good = gain >= 1e-4 * np.einsum("si,si->s", g, moved)  # False where b is NaN
        _update(H, moved, g - h, good)
        step = np.where(good, 1.0, 0.3 * step)
        U = np.where(good[:, None], V, U)
        a, g = np.where(good, b, a), np.where(good[:, None], h, g)
        done |= np.where(good, gain < ENOUGH, step < 1e-3)
        if done.all():
            break
    return U


def _tenth(g: FloatArray) -> FloatArray:
    """Return the factor of each row that makes its largest entry 0.1, shape (S, 1)."""
    factor: FloatArray = 0.1 / np.maximum(np.abs(g).max(axis=1, keepdims=True), 1e-12)
    return factor


def _update(H: FloatArray, s: FloatArray, y: FloatArray, good: BoolArray) -> None:
    """Update H in place by BFGS; only rows with an accepted step and positive curvature."""
    sy = np.einsum("si,si->s", s, y)
    size = np.einsum("si,si->s", s, s) * np.einsum("si,si->s", y, y)
    use = good & (sy > 1e-8 * np.sqrt(size)) & (sy > 1e-300)
    rho = np.where(use, 1.0 / np.where(use, sy, 1.0), 0.0)[:, None]
    Hy = (H @ y[:, :, None])[:, :, 0]
    yHy = np.einsum("si,si->s", y, Hy)[:, None]
    # (1 + rho yHy) ss' - s Hy' - Hy s' = s t' + t s' with t = (1 + rho yHy) s / 2 - Hy
    t = rho * (0.5 * (1.0 + rho * yHy) * s - Hy)
    change = s[:, :, None] * t[:, None, :]
    H += change
    H += change.transpose(0, 2, 1)


def neighbours(columns: Features, u: FloatArray, box: Box) -> FloatArray:
    """Return points one step up or down in a discrete number, or with another choice."""
    rows = []
    for j in columns.discrete.tolist():
        if box.frozen[j]:
            continue
        n = int(columns.counts[j])
        k = int(columns.indices(u[None])[0, j])
        targets = range(n) if j in columns.categorical else (k - 1, k + 1)
        for t in targets:
            if 0 <= t < n and t != k:
                row = u.copy()
                row[j] = columns.unit(j, t)
                rows.append(row)
    return np.array(rows).reshape(-1, columns.d)


class Pool:
    """The best new points found so far, with their acquisition values.

    Args:
        seen: bytes of the coordinates of points that must not be proposed again.
    """

    def __init__(self, seen: set[bytes]) -> None:
        self._seen = seen
        self._known: dict[bytes, tuple[float, FloatArray, BoolArray]] = {}

    def add(self, U: FloatArray, A: BoolArray, a: FloatArray) -> None:
        """Add the best OFFERED of the points that are new and whose value is not NaN."""
        kept = 0
        for i in np.argsort(-a, kind="stable").tolist():
            key = U[i].tobytes()
            if kept == OFFERED or a[i] != a[i]:  # NaNs are sorted last
                return
            if key not in self._seen and key not in self._known:
                self._known[key] = float(a[i]), U[i], A[i]
                kept += 1

    def best(self, count: int) -> list[tuple[float, FloatArray, BoolArray]]:
        """Return the `count` best points, best first; of equal ones the earlier first."""
        return sorted(self._known.values(), key=lambda entry: -entry[0])[:count]


def climb(
    acquisition: Acquisition, columns: Features, pool: Pool, box: Box, rng: np.random.Generator
) -> None:
    """Add to the pool by local search over discrete parameters, from its best points."""
    done: set[bytes] = set()
    for _ in range(ROUNDS):
        fresh = [e for e in pool.best(CLIMBERS) if e[1].tobytes() not in done]
        if not fresh:
            return
        done |= {e[1].tobytes() for e in fresh}
        rows = []
        for _, u, on in fresh:
            near = neighbours(columns, u, box)
            asleep = np.broadcast_to(~on, near.shape)
            rows.append(np.where(asleep, rng.random(near.shape), near))
        U, A, allowed = columns.snap(np.concatenate(rows))
        U, A = U[allowed], A[allowed]
        if len(U):
            pool.add(U, A, acquisition.value(U, A))


def maximise(
    acquisition: Acquisition,
    columns: Features,
    anchors: tuple[FloatArray, BoolArray],
    seen: set[bytes],
    rng: np.random.Generator,
    box: Box,
) -> Iterator[FloatArray]:
    """Yield new points, shape (d,) each, with the largest acquisition value first.

    Args:
        acquisition: the function to maximise.
        columns: the features of the space.
        anchors: coordinates and masks of the best points so far, best first; candidates are drawn
            around them.
        seen: bytes of the coordinates of points that must not be proposed again.
        rng: random generator.
        box: bounds of the search.
    """
    U, A = candidates(columns, anchors, box, rng)
    pool = Pool(seen)
    if len(U):
        a = acquisition.value(U, A)
        pool.add(U, A, a)
        movable = columns.movable[~box.frozen[columns.movable]]
        if len(movable):
            start = spread(U, a, STARTS)
            found = ascend(acquisition, U[start], A[start], movable, box)
            found, on, _ = columns.snap(found)
            pool.add(found, on, acquisition.value(found, on))
    if len(columns.discrete):
        climb(acquisition, columns, pool, box, rng)
    for _, u, _ in pool.best(OFFERED):
        yield u
