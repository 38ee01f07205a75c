"""An exact Gaussian process: likelihood and its gradient, MAP fit, posterior and its gradient.

Notation: n observations, g length scales, p features, q trend features; Z (n, p); Phi (n, q);
w (n,) standardised outcomes; theta = [log length (g), log sf, log noise, log sl];
K = sf k(r2) + sl Phi Phi' + noise I = L L'; alpha = K^-1 w; P = n (n - 1) / 2 pairs i > j;
D (P, g) squared unscaled distances; r2 = D exp(-2 log length).

Rasmussen and Williams (2006), chapters 2, 5; the prior on length scales grows with the dimension
(Hvarfner et al. 2024). One triangle of K is kept, in Fortran order, as LAPACK wants it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.blas import dtrmm
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtri
from scipy.optimize import fmin_l_bfgs_b

from metaopt.space.parameters import FloatArray, IntArray
from metaopt_strategies.bayes.kernels import Kernel

JITTER = 1e-10  # relative to the mean of the diagonal; ten times more at each failure
ENOUGH = 1e10  # a fit ends when a step gains less than this many eps, relatively: 2e-6
LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Prior:
    """Independent normal priors on theta within a box, and where fits start; all (g + 3,)."""

    mean: FloatArray
    sd: FloatArray
    low: FloatArray
    high: FloatArray
    starts: tuple[FloatArray, ...]

    @classmethod
    def standard(cls, g: int) -> Prior:
        """Length scales shorter and tighter than Hvarfner's; little noise, a weak trend."""
        return cls._make(g, (0.0, math.log(1e-3), -4.0), (1.0, 2.0, 1.5))

    @classmethod
    def rich(cls, g: int, determined: bool) -> Prior:
        """For a rich trend, which may explain all: the kernel is then there for the residual.

        A fit that starts from a strong kernel ends where the kernel explains a quadratic and the
        trend, which would predict it exactly, goes unused; so a fit starts from a weak one too,
        where there are more points than coefficients (`determined`), else a trend fits anything.
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
    """Rows i > j of all pairs, in the order in which a Fortran lower triangle lies in memory."""
    j, i = np.triu_indices(n, 1)
    return i.astype(np.int64), j.astype(np.int64)


def factor(K: FloatArray) -> tuple[FloatArray, float]:
    """Cholesky factor of the lower triangle of K (Fortran order) and the jitter that it needed."""
    diagonal = K.diagonal().copy()
    jitter = 0.0
    for power in range(12):
        L, failed = dpotrf(K, lower=1, clean=0)
        if not failed:
            return L, jitter
        jitter = JITTER * 10.0**power * float(diagonal.mean())
        np.fill_diagonal(K, diagonal + jitter)
    raise ArithmeticError("the covariance is not positive definite")  # holds non-finite numbers


class Likelihood:
    """Negative log posterior of theta and its gradient, for one set of data."""

    def __init__(
        self,
        Z: FloatArray,
        groups: IntArray,
        Phi: FloatArray,
        w: FloatArray,
        prior: Prior,
        kernel: Kernel,
    ) -> None:
        self.n, self.g = len(w), len(groups)
        i, j = pair_indices(self.n)
        difference = Z[i] - Z[j]
        difference *= difference
        self.D = (
            difference
            if self.g == Z.shape[1]
            else np.ascontiguousarray(np.add.reduceat(difference, groups, axis=1))
        )
        T = Phi @ Phi.T
        self.T, self.t = T[i, j], T.diagonal().copy()
        self.w, self.prior, self.kernel = w, prior, kernel
        self._place = j * self.n + i

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Value and gradient (g + 3,)."""
        n, g = self.n, self.g
        weights = np.exp(-2.0 * theta[:g])
        sf, noise, sl = np.exp(theta[g:])
        k, slope = self.kernel(self.D @ weights)
        K = np.zeros((n, n), order="F")
        flat = K.T.reshape(-1)  # a view: memory order
        flat[self._place] = sf * k + sl * self.T
        np.fill_diagonal(K, sf + noise + sl * self.t)
        L, _ = factor(K)
        alpha, _ = dpotrs(L, self.w, lower=1)
        logdet = 2.0 * float(np.log(L.diagonal()).sum())
        value = 0.5 * (float(self.w @ alpha) + logdet + n * LOG_2PI)

        inverse, _ = dpotri(L, lower=1, overwrite_c=1)
        # d(-log likelihood) / dK = (K^-1 - alpha alpha') / 2; a pair stands for two entries.
        pairs = inverse.T.reshape(-1)[self._place]
        outer = np.outer(alpha, alpha).reshape(-1)[self._place]
        G = pairs - outer
        G0 = 0.5 * (inverse.diagonal() - alpha * alpha)
        gradient = np.empty(g + 3)
        gradient[:g] = -2.0 * sf * weights * ((G * slope) @ self.D)
        gradient[g] = sf * (float(G @ k) + float(G0.sum()))
        gradient[g + 1] = noise * float(G0.sum())
        gradient[g + 2] = sl * (float(G @ self.T) + float(G0 @ self.t))

        off = (theta - self.prior.mean) / self.prior.sd
        return value + 0.5 * float(off @ off), gradient + off / self.prior.sd


def fit(likelihood: Likelihood, start: FloatArray, iterations: int) -> tuple[FloatArray, float]:
    """Maximise the posterior of theta from `start`: theta and its negative log posterior."""
    prior = likelihood.prior
    theta, value, _ = fmin_l_bfgs_b(
        likelihood,
        np.clip(start, prior.low, prior.high),
        maxiter=iterations,
        factr=ENOUGH,
        bounds=list(zip(prior.low.tolist(), prior.high.tolist(), strict=True)),
    )
    return np.asarray(theta, dtype=np.float64), float(value)


class Posterior:
    """The process given theta and data; all in standardised outcomes."""

    def __init__(
        self,
        theta: FloatArray,
        Z: FloatArray,
        groups: IntArray,
        Phi: FloatArray,
        w: FloatArray,
        kernel: Kernel,
    ) -> None:
        g = len(groups)
        self.theta, self.kernel, self.w = theta, kernel, w
        self.sf, self.noise, self.sl = (float(v) for v in np.exp(theta[g:]))
        width = np.diff(np.r_[groups, Z.shape[1]])
        self._scale = np.repeat(np.exp(-theta[:g]), width)
        # Distances come from inner products: an origin near the best points keeps them accurate.
        self._origin = Z[int(np.argmin(w))]
        self._X = (Z - self._origin) * self._scale
        self._X2 = np.einsum("ij,ij->i", self._X, self._X)
        self._Phi = Phi
        k, _ = kernel(self._r2(self._X, self._X2))
        K = np.asfortranarray(self.sf * k + self.sl * (Phi @ Phi.T))
        np.fill_diagonal(K, self.sf + self.noise + self.sl * np.einsum("ij,ij->i", Phi, Phi))
        L, jitter = factor(K)
        self.alpha, _ = dpotrs(L, w, lower=1)
        self._nugget = self.noise + jitter
        L[np.triu_indices(len(w), 1)] = 0.0
        self._Linv, _ = dtrtri(L, lower=1, overwrite_c=1)
        self._beta = self.sl * (Phi.T @ self.alpha)

    def _r2(self, X: FloatArray, X2: FloatArray) -> FloatArray:
        r2 = X @ self._X.T
        r2 *= -2.0
        r2 += X2[:, None]
        r2 += self._X2
        positive: FloatArray = np.maximum(r2, 0.0, out=r2)
        return positive

    def at_data(self) -> FloatArray:
        """Posterior mean at the data (n,): K alpha without the nugget's part."""
        mean: FloatArray = self.w - self._nugget * self.alpha
        return mean

    def predict(self, Z: FloatArray, Phi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of the latent function at (m, p), (m, q)."""
        X = (Z - self._origin) * self._scale
        k, _ = self.kernel(self._r2(X, np.einsum("ij,ij->i", X, X)))
        c = self.sf * k + self.sl * (Phi @ self._Phi.T)
        v = self._solve(c)
        return c @ self.alpha, self._deviation(Phi, v)

    def _solve(self, c: FloatArray) -> FloatArray:
        """L^-1 c' as (n, m), c kept; the triangular product costs half of a full one."""
        return np.asarray(dtrmm(1.0, self._Linv, c.T, lower=1))

    def _deviation(self, Phi: FloatArray, v: FloatArray) -> FloatArray:
        prior = self.sf + self.sl * np.einsum("ij,ij->i", Phi, Phi)
        variance = prior - np.einsum("ij,ij->j", v, v)
        sd: FloatArray = np.sqrt(np.maximum(variance, 1e-10 * prior))
        return sd

    def predict_with_slopes(
        self, Z: FloatArray, Phi: FloatArray
    ) -> tuple[FloatArray, FloatArray, Slopes]:
        """As `predict`, and the derivatives of both by Z and by Phi."""
        X = (Z - self._origin) * self._scale
        k, slope = self.kernel(self._r2(X, np.einsum("ij,ij->i", X, X)))
        c = self.sf * k + self.sl * (Phi @ self._Phi.T)
        v = self._solve(c)
        sd = self._deviation(Phi, v)
        b = dtrmm(1.0, self._Linv, v, lower=1, trans_a=1)  # K^-1 c', (n, m)
        slope *= 2.0 * self.sf
        mean_z = self._contract(X, slope * self.alpha)
        # variance = prior - c K^-1 c', so its derivative is -2 b' dc, and sd has half of that / sd
        sd_z = -self._contract(X, slope * b.T) / sd[:, None]
        sd_phi = self.sl * (Phi - b.T @ self._Phi) / sd[:, None]
        mean_phi = np.broadcast_to(self._beta, Phi.shape)
        return c @ self.alpha, sd, Slopes(mean_z, mean_phi, sd_z, sd_phi)

    def _contract(self, X: FloatArray, C: FloatArray) -> FloatArray:
        """Sum of C_i (x - x_i) / length over the data, (m, p)."""
        total: FloatArray = (X * C.sum(axis=1)[:, None] - C @ self._X) * self._scale
        return total

    def leave_one_out(self) -> tuple[FloatArray, FloatArray]:
        """Mean and sd of each outcome given all others (Rasmussen and Williams, 5.12)."""
        precision = np.einsum("ij,ij->j", self._Linv, self._Linv)
        return self.w - self.alpha / precision, 1.0 / np.sqrt(precision)


@dataclass(frozen=True)
class Slopes:
    """Derivatives of the posterior's mean and sd by features (m, p) and trend features (m, q)."""

    mean_z: FloatArray
    mean_phi: FloatArray
    sd_z: FloatArray
    sd_phi: FloatArray
