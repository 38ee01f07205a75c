"""An exact Gaussian process: likelihood and its gradient, MAP fit, posterior and its gradient.

Notation: n observations, g length scales, p features, q trend features; Z (n, p); Phi (n, q);
w (n,) standardised outcomes; theta = [log length (g), log sf, log noise, log sl], where sf, noise
and sl are the variances of kernel, noise and trend;
K = sf k(r2) + sl Phi Phi' + noise I = L L'; alpha = K^-1 w; P = n (n - 1) / 2 pairs i > j;
D (g, P) squared unscaled distances; r2 = exp(-2 log length) D.

Rasmussen and Williams (2006), chapters 2 and 5; the prior mean of the length scales grows with the
dimension (Hvarfner et al. 2024). Only the lower triangle of K is used, in Fortran order, as LAPACK
expects.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.blas import dtrmm
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtri
from scipy.optimize import fmin_l_bfgs_b

from metaopt.core.types import FloatArray
from metaopt.space.values import IntArray
from metaopt_strategies.bayes.kernels import matern52, matern52_slope

JITTER = 1e-10  # relative to the mean of the diagonal; ten times larger after each failure
ENOUGH = 1e10  # `factr` of L-BFGS-B: a fit ends when the relative gain of a step is below 2e-6
LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Prior:
    """Independent normal priors on theta, its bounds, and the starting points of fits.

    Attributes:
        mean, sd: of the normal priors, shape (g + 3,).
        low, high: bounds of theta, shape (g + 3,).
        starts: starting points, shape (g + 3,) each.
    """

    mean: FloatArray
    sd: FloatArray
    low: FloatArray
    high: FloatArray
    starts: tuple[FloatArray, ...]

    @classmethod
    def standard(cls, g: int) -> Prior:
        """Return the usual prior for `g` length scales: little noise, a weak trend.

        Length scales are shorter and their prior is narrower than in Hvarfner et al. (2024).
        """
        return cls._make(g, (0.0, math.log(1e-3), -4.0), (1.0, 2.0, 1.5))

    @classmethod
    def rich(cls, g: int, determined: bool) -> Prior:
        """Return a prior for a trend with many features, where the kernel models the residual.

        A fit that starts from a strong kernel may end in a local optimum, where the kernel explains
        a quadratic that the trend would predict exactly. So fits also start from a weak kernel, but
        only with more points than coefficients: with fewer points, the trend fits any data.

        Args:
            g: number of length scales.
            determined: whether there are more points than trend coefficients.
        """
        if not determined:
            return cls._make(g, (0.0, math.log(1e-3), 0.0), (1.0, 2.0, 1.5))
        prior = cls._make(g, (0.0, math.log(1e-3), 0.0), (2.5, 2.0, 2.5))
        weak = prior.mean.copy()
        weak[g:] = -4.0, -9.0, 2.0
        return replace(prior, starts=(prior.mean, weak))

    @classmethod
    def _make(
        cls, g: int, mean: tuple[float, float, float], sd: tuple[float, float, float]
    ) -> Prior:
        length = math.sqrt(2.0) + 0.5 * math.log(max(g, 1)) - 2.0
        low = np.r_[np.full(g, math.log(0.02)), -14.0, math.log(1e-8), -16.0]
        high = np.r_[np.full(g, math.log(20.0)), 6.0, 2.0, 8.0]
        center = np.r_[np.full(g, length), mean]
        return cls(center, np.r_[np.full(g, 0.7), sd], low, high, (center,))


def pair_indices(n: int) -> tuple[IntArray, IntArray]:
    """Return indices i > j of all pairs, in the memory order of a Fortran lower triangle."""
    j, i = np.triu_indices(n, 1)
    return i.astype(np.int64), j.astype(np.int64)


def factor(K: FloatArray) -> tuple[FloatArray, float]:
    """Factorise K, adding jitter to its diagonal if needed.

    Args:
        K: covariance, shape (n, n), Fortran order; the lower triangle is read, and the diagonal
            is overwritten if jitter is needed.

    Returns:
        The lower Cholesky factor and the jitter.

    Raises:
        ArithmeticError: no jitter helps, because K contains NaN or infinity.
    """
    diagonal = K.diagonal().copy()
    jitter = 0.0
    for power in range(12):
        L, failed = dpotrf(K, lower=1, clean=1)
        if not failed:
            return L, jitter
        jitter = JITTER * 10.0**power * float(diagonal.mean())
        np.fill_diagonal(K, diagonal + jitter)
    raise ArithmeticError("the covariance is not positive definite")  # it holds NaN or inf


class Pairs:
    """Distances and trend products of all pairs; independent of theta and w, so computed once.

    Args:
        Z: kernel features, shape (n, p).
        groups: index of the first feature of each length scale, shape (g,).
        Phi: trend features, shape (n, q).
    """

    def __init__(self, Z: FloatArray, groups: IntArray, Phi: FloatArray) -> None:
        self.n, self.g = len(Z), len(groups)
        self.i, self.j = pair_indices(self.n)
        columns = np.ascontiguousarray(Z.T)
        D = columns[:, self.i] - columns[:, self.j]
        D *= D
        self.D = D if self.g == len(D) else np.add.reduceat(D, groups, axis=0)
        T = Phi @ Phi.T
        self.T, self.t = T[self.i, self.j], T.diagonal().copy()
        self.place = self.j * self.n + self.i


class Likelihood:
    """Negative log posterior of theta and its gradient, given outcomes w (n,)."""

    def __init__(self, pairs: Pairs, w: FloatArray, prior: Prior) -> None:
        self.pairs, self.w, self.prior = pairs, w, prior

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return the value and the gradient, shape (g + 3,)."""
        pairs = self.pairs
        n, g, D, T = pairs.n, pairs.g, pairs.D, pairs.T
        weights = np.exp(-2.0 * theta[:g])
        sf, noise, sl = np.exp(theta[g:]).tolist()
        k, slope = matern52_slope(weights @ D)
        K = np.zeros((n, n), order="F")
        K.T.reshape(-1)[pairs.place] = sf * k + sl * T  # writes into K: reshape gives a view
        np.fill_diagonal(K, sf + noise + sl * pairs.t)
        L, _ = factor(K)
        alpha, _ = dpotrs(L, self.w, lower=1)
        logdet = 2.0 * float(np.log(L.diagonal()).sum())
        value = 0.5 * (float(self.w @ alpha) + logdet + n * LOG_2PI)

        inverse, _ = dpotri(L, lower=1, overwrite_c=1)
        # d(-log likelihood) / dK = (K^-1 - alpha alpha') / 2; each pair stands for two entries.
        G = inverse.T.reshape(-1).take(pairs.place)
        G -= alpha.take(pairs.i) * alpha.take(pairs.j)
        G0 = 0.5 * (inverse.diagonal() - alpha * alpha)
        slope *= G
        trace = float(G0.sum())
        gradient = np.empty(g + 3)
        gradient[:g] = (-2.0 * sf) * weights * (D @ slope)
        gradient[g] = sf * (float(G @ k) + trace)
        gradient[g + 1] = noise * trace
        gradient[g + 2] = sl * (float(G @ T) + float(G0 @ pairs.t))

        off = (theta - self.prior.mean) / self.prior.sd
        return value + 0.5 * float(off @ off), gradient + off / self.prior.sd


def fit(likelihood: Likelihood, start: FloatArray, iterations: int) -> tuple[FloatArray, float]:
    """Maximise the posterior of theta by L-BFGS-B.

    Args:
        likelihood: the objective.
        start: starting point, shape (g + 3,); clipped to the bounds.
        iterations: at most this many.

    Returns:
        theta and its negative log posterior.
    """
    prior = likelihood.prior
    theta, value, _ = fmin_l_bfgs_b(
        likelihood,
        np.clip(start, prior.low, prior.high),
        maxiter=iterations,
        factr=ENOUGH,
        bounds=list(zip(prior.low.tolist(), prior.high.tolist(), strict=True)),
    )
    return np.asarray(theta, dtype=np.float64), float(value)


class GPPosterior:
    """The process for given theta and data, in units of standardised outcomes.

    Args:
        theta: hyperparameters, shape (g + 3,).
        Z: kernel features, shape (n, p).
        groups: index of the first feature of each length scale, shape (g,).
        Phi: trend features, shape (n, q).
        w: standardised outcomes, shape (n,).
    """

    def __init__(
        self,
        theta: FloatArray,
        Z: FloatArray,
        groups: IntArray,
        Phi: FloatArray,
        w: FloatArray,
    ) -> None:
        g = len(groups)
        self.theta, self.w = theta, w
        self.sf, self.noise, self.sl = (float(v) for v in np.exp(theta[g:]))
        width = np.diff(np.r_[groups, Z.shape[1]])
        self._scale = np.repeat(np.exp(-theta[:g]), width)
        # Distances are computed from inner products, which are most accurate near the origin.
        # So the best point becomes the origin.
        self._origin = Z[int(np.argmin(w))]
        self._X = (Z - self._origin) * self._scale
        self._X2 = np.einsum("ij,ij->i", self._X, self._X)
        self._Phi = Phi
        K = self.sf * matern52(self._r2(self._X)) + self.sl * (Phi @ Phi.T)
        np.fill_diagonal(K, self.sf + self.noise + self.sl * np.einsum("ij,ij->i", Phi, Phi))
        L, jitter = factor(K.T)  # K is symmetric; its transpose is in Fortran order without a copy
        self.alpha, _ = dpotrs(L, w, lower=1)
        self._nugget = self.noise + jitter
        self._Linv, _ = dtrtri(L, lower=1, overwrite_c=1)
        self._beta = self.sl * (Phi.T @ self.alpha)

    def _r2(self, X: FloatArray) -> FloatArray:
        r2 = X @ self._X.T
        r2 *= -2.0
        r2 += np.einsum("ij,ij->i", X, X)[:, None]
        r2 += self._X2
        positive: FloatArray = np.maximum(r2, 0.0, out=r2)
        return positive

    def at_data(self) -> FloatArray:
        """Return the posterior mean at the data, (K - nugget I) alpha, shape (n,)."""
        mean: FloatArray = self.w - self._nugget * self.alpha
        return mean

    def pessimistic_at_data(self) -> FloatArray:
        """Return posterior mean plus one sd at the data, shape (n,).

        Under noise, the point with the smallest such value is the best choice: the "effective best
        solution" of Huang et al. (2006). The variance at the data is s - s^2 diag(K^-1), where s is
        the nugget.
        """
        precision = self._precision()
        variance = self._nugget * np.maximum(1.0 - self._nugget * precision, 0.0)
        return self.at_data() + np.sqrt(variance)

    def predict(self, Z: FloatArray, Phi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and sd of the latent function at features (m, p) and (m, q)."""
        c = matern52(self._r2((Z - self._origin) * self._scale))
        c *= self.sf
        c += (self.sl * Phi) @ self._Phi.T
        return c @ self.alpha, self._deviation(Phi, self._solve(c))

    def _solve(self, c: FloatArray) -> FloatArray:
        """Return L^-1 c', shape (n, m); the triangular product costs half of a full one."""
        return np.asarray(dtrmm(1.0, self._Linv, c.T, lower=1))

    def _deviation(self, Phi: FloatArray, v: FloatArray) -> FloatArray:
        prior = self.sf + self.sl * np.einsum("ij,ij->i", Phi, Phi)
        variance = prior - np.einsum("ij,ij->j", v, v)
        sd: FloatArray = np.sqrt(np.maximum(variance, 1e-10 * prior))
        return sd

    def predict_with_slopes(
        self, Z: FloatArray, Phi: FloatArray
    ) -> tuple[FloatArray, FloatArray, Pull]:
        """Return mean, sd and `pull`, their vector-Jacobian product.

        `pull` maps derivatives with respect to mean and sd, (m,) each, to derivatives with respect
        to Z, (m, p), and to Phi, (m, q).
        """
        X = (Z - self._origin) * self._scale
        k, slope = matern52_slope(self._r2(X))
        k *= self.sf
        k += (self.sl * Phi) @ self._Phi.T
        v = self._solve(k)
        sd = self._deviation(Phi, v)
        slope *= 2.0 * self.sf

        def pull(by_mean: FloatArray, by_sd: FloatArray) -> tuple[FloatArray, FloatArray]:
            # variance = prior - c K^-1 c' has the derivative -2 c K^-1 dc'; that of sd is
            # the derivative of the variance divided by 2 sd.
            a, b = by_mean[:, None], (by_sd / sd)[:, None]
            solved = b * dtrmm(1.0, self._Linv, v, lower=1, trans_a=1).T  # b c K^-1, (m, n)
            C = slope * (a * self.alpha - solved)
            # The sum over the data points i of C_i (x - x_i) / length.
            by_z = (X * C.sum(axis=1)[:, None] - C @ self._X) * self._scale
            return by_z, a * self._beta + self.sl * (b * Phi - solved @ self._Phi)

        return k @ self.alpha, sd, pull

    def _precision(self) -> FloatArray:
        """Return the diagonal of K^-1, shape (n,)."""
        diagonal: FloatArray = np.einsum("ij,ij->j", self._Linv, self._Linv)
        return diagonal

    def leave_one_out(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and sd of each outcome given all others, shape (n,) each.

        Rasmussen and Williams (2006), equation 5.12.
        """
        precision = self._precision()
        return self.w - self.alpha / precision, 1.0 / np.sqrt(precision)


Pull = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
