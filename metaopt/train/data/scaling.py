"""Standardisation by the training part's statistics."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Scaler(NamedTuple):
    """x -> (x - mean) / std, with statistics of the training part."""

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, x: Tensor) -> Scaler:
        """Per column of (n, d); per channel of (n, c, h, w, ...); over all of (n, h, w), (n,)."""
        dims = [0] if x.ndim == 2 else [0, *range(2 if x.ndim >= 4 else 1, x.ndim)]
        wide = x.double()
        mean = wide.mean(dims, keepdim=True)
        std = (wide - mean).square().mean(dims, keepdim=True).sqrt()
        # A constant column stays at 0 instead of becoming rounding noise of size 1.
        std[std <= 1e-12 * mean.abs().clamp(min=1)] = 1.0
        return cls(mean.to(x.dtype), std.to(x.dtype))

    def apply(self, x: Tensor) -> Tensor:
        return (x - self.mean.to(x.device)) / self.std.to(x.device)

    def undo(self, x: Tensor) -> Tensor:
        """Back to the units of the data; an (n, 1) output of an (n,) target comes back as it is."""
        mean, std = self.mean.to(x.device), self.std.to(x.device)
        return x * std.reshape(-1) + mean.reshape(-1) if mean.numel() == 1 else x * std + mean
