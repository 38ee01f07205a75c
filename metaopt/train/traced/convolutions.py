"""Batching rules for small convolutions: matrix products of unfolded patches (im2col).

Notation: images x (K, n, c, h, w), weights (K, o, c, i, j), outputs (K, o, h', w', n) within this
file. Samples come last, so that the rows of a patch matrix, (K, c i j, h' w' n), are copied in
long contiguous pieces. If the patch matrix does not fit into the CPU caches, PyTorch's convolution
is called for each member instead.

Source: Chellapilla, Puri and Simard 2006 (unrolled convolution). Gradients with respect to images
are sums of shifted patches in a fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor

from metaopt.train.population.ops import multiply
from metaopt.train.traced.site import Function, Site

MOST_PATCHES = 2**18  # numbers in the patch matrix of one member


@dataclass(frozen=True)
class Geometry:
    """Sizes of the convolution of one member.

    Attributes:
        image: (c, h, w).
        kernel: (o, i, j).
        stride, padding, dilation: along height and width.

    """

    image: tuple[int, int, int]
    kernel: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the images with padding."""
        h, w = (s + 2 * p for s, p in zip(self.image[1:], self.padding, strict=True))
        return h, w

    @property
    def out(self) -> tuple[int, int]:
        """Height and width of the outputs."""
        sides = zip(self.padded, self.kernel[1:], self.stride, self.dilation, strict=True)
        h, w = ((side - d * (k - 1) - 1) // s + 1 for side, k, s, d in sides)
        return h, w

    def patches(self, x: Tensor) -> Tensor:
        """Return the patches (K, c i j, h' w' n) of images (K, n, c, h, w)."""
        (c, h, w), (_, i, j), (p, q) = self.image, self.kernel, self.padding
        k, n = x.shape[:2]
        whole = x.new_zeros(k, c, *self.padded, n)
        whole[:, :, p : p + h, q : q + w] = x.permute(0, 2, 3, 4, 1)
        by_member, by_channel, by_row, by_column, _ = whole.stride()
        windows = whole.as_strided(
            (k, c, i, j, *self.out, n),
            (
                by_member, by_channel, self.dilation[0] * by_row, self.dilation[1] * by_column,
                self.stride[0] * by_row, self.stride[1] * by_column, 1,
            ),
        )  # fmt: skip
        return windows.reshape(k, c * i * j, -1)

    def images(self, patches: Tensor, n: int) -> Tensor:
        """Sum patches (K, c i j, h' w' n) at their positions, to images (K, n, c, h, w)."""
        (c, h, w), (_, i, j), (p, q) = self.image, self.kernel, self.padding
        (high, wide), (s, t), (a, b) = self.out, self.stride, self.dilation
        k = len(patches)
        parts = patches.reshape(k, c, i, j, high, wide, n)
        whole = patches.new_zeros(k, c, *self.padded, n)
        for row in range(i):
            for column in range(j):
                top, left = row * a, column * b
                rows = slice(top, top + s * (high - 1) + 1, s)
                columns = slice(left, left + t * (wide - 1) + 1, t)
                whole[:, :, rows, columns].add_(parts[:, :, row, column])
        return whole[:, :, p : p + h, q : q + w].permute(0, 4, 1, 2, 3)


def _geometry(x: Any, w: Any, options: Any, site: Site) -> Geometry | None:
    """Return the sizes of a convolution; None if this rule does not support it.

    Not supported are transposed, grouped and large convolutions, other than 1 or 2 dimensions,
    and matrix products with a side of 1.
    """
    stride, padding, dilation, transposed, _, groups = options
    image, kernel = site.shape(x), site.shape(w)
    flat = len(image) == 3  # a 1-d convolution; its dimension becomes the width
    if transposed or groups != 1 or len(image) not in (3, 4) or not site.is_stacked(w):
        return None
    n, c, *sides = image
    o, _, *window = kernel
    one = [1] if flat else []
    found = Geometry(
        (c, *one, *sides),  # type: ignore[arg-type]
        (o, *one, *window),  # type: ignore[arg-type]
        (*one, *stride),
        (*([0] if flat else []), *padding),
        (*one, *dilation),
    )
    patches = n * c * prod(found.kernel[1:]) * prod(found.out)
    ones = 1 in (o, c * prod(found.kernel[1:]), n * prod(found.out))
    return None if ones or patches > MOST_PATCHES else found


def _patches(x: Tensor, stacked: bool, k: int, geometry: Geometry) -> Tensor:
    """Return the patches of each member's images, or k times those of shared images."""
    if stacked:
        return geometry.patches(x.reshape(k, x.shape[1], *geometry.image))
    found = geometry.patches(x.reshape(1, len(x), *geometry.image))
    return found.expand(k, *found.shape[1:])


def convolution(site: Site) -> Function | None:
    """Multiply the kernels of all members with the patches of their images."""
    x, w, bias, *options = site.call.args
    geometry = _geometry(x, w, options, site)
    if geometry is None or (bias is not None and not site.is_stacked(bias)):
        return None
    own, result = site.is_stacked(x), site.result

    def run(x: Tensor, w: Tensor, b: Tensor | None, *_: Any) -> Tensor:
        k = len(w)
        patches, kernel = _patches(x, own, k, geometry), w.reshape(k, w.shape[1], -1)
        y = multiply(kernel, patches, None if b is None else b.unsqueeze(2))
        y = y.reshape(k, y.shape[1], *geometry.out, -1).permute(0, 4, 1, 2, 3)
        return y.reshape(k, *result)

    return run


def convolution_backward(site: Site) -> Function | None:
    """Compute the gradients with respect to images, kernels and biases by matrix products."""
    d, x, w, _, *options, wanted = site.call.args
    geometry = _geometry(x, w, options, site)
    if geometry is None or not site.is_stacked(d):
        return None
    own, shape = site.is_stacked(x), site.shape(x)

    def run(d: Tensor, x: Tensor, w: Tensor, *_: Any) -> Any:
        k, n, o = d.shape[:3]
        columns = d.reshape(k, n, o, *geometry.out).permute(0, 2, 3, 4, 1)
        columns = columns.reshape(k, o, -1)
        by_x = by_w = by_b = None
        if wanted[0]:
            patches = multiply(w.reshape(k, o, -1).transpose(1, 2), columns)
            by_x = geometry.images(patches, n).reshape(k, *shape)
        if wanted[1]:
            patches = _patches(x, own, k, geometry)
            by_w = multiply(columns, patches.transpose(1, 2)).reshape(w.shape)
        if wanted[2]:
            by_b = columns.sum(2)
        return by_x, by_w, by_b

    return run
