"""Standardisation with the mean and the deviation of the training part."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Scaler(NamedTuple):
    """Maps x to (x - mean) / std, with mean and std of the training part."""

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, x: Tensor) -> Scaler:
        """Return the scaler of the data.

        Statistics are per column of (n, d), per channel of (n, c, h, w, ...), and over all values
        of (n, h, w) and (n,).
        """
        dims = [0] if x.ndim == 2 else [0, *range(2 if x.ndim >= 4 else 1, x.ndim)]
        wide = x.double()
        mean = wide.mean(dims, keepdim=True)
        std = (wide - mean).square().mean(dims, keepdim=True).sqrt()
        # A constant column becomes 0; divided by its tiny std it would be rounding noise.
        std[std <= 1e-12 * mean.abs().clamp(min=1)] = 1.0
        return cls(mean.to(x.dtype), std.to(x.dtype))

    def apply(self, x: Tensor) -> Tensor:
        return (x - self.mean.to(x.device)) / self.std.to(x.device)

    def undo(self, x: Tensor) -> Tensor:
        """Return to the units of the data; outputs (n, 1) for targets (n,) keep their shape."""
        mean, std = self.mean.to(x.device), self.std.to(x.device)
        return x * std.reshape(-1) + mean.reshape(-1) if mean.numel() == 1 else x * std + mean
