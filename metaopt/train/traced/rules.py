"""Table of batching rules: how each ATen operation is computed for K members at once.

Notation: an operation was traced for one member. Here each of its tensors is either shared by all
members, or stacked, (K, ...). A rule, like a batching rule of vmap, returns a function of the
operation's arguments that computes all rows. It returns None if it does not support the call: then
the operation is called once per member, which is always correct.

Each member must get the same bits for any K. Sums run over a member's own dimensions only. For
elementwise functions that are not exactly rounded, the size of a member must be a multiple of the
vector width, because PyTorch computes the last few numbers of a tensor with other code.
`program.prove` tests each operation at its sizes; one that fails is called once per member.
"""

from __future__ import annotations

from metaopt.train.traced.convolutions import convolution, convolution_backward
from metaopt.train.traced.elementwise import EXACT, ROUNDED, elementwise
from metaopt.train.traced.layers import (
    batch_norm,
    batch_norm_backward,
    by_sample,
    embedding,
    layer_norm,
    layer_norm_backward,
)
from metaopt.train.traced.products import product
from metaopt.train.traced.shapes import (
    alias,
    along,
    expanded,
    joined,
    new,
    permuted,
    reshaped,
    softmax_backward,
    summed,
    turned,
    unselected,
)
from metaopt.train.traced.site import Rule

RULES: dict[str, Rule] = {
    **dict.fromkeys(EXACT | ROUNDED, elementwise),
    **dict.fromkeys(("detach", "alias", "lift_fresh"), alias),
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "squeeze", "unsqueeze"), reshaped),
    "expand": expanded,
    "t": turned,
    "transpose": along(1, 2),
    "select": along(1),
    "slice": along(1, default=0),
    "split": along(2, default=0),
    "unsafe_split": along(2, default=0),
    "split_with_sizes": along(2, default=0),
    "unbind": along(1, default=0),
    "cumsum": along(1),
    "_softmax": along(1),
    "_log_softmax": along(1),
    "amax": along(1),
    "amin": along(1),
    **dict.fromkeys(("sum", "mean"), summed),
    **dict.fromkeys(("cat", "stack"), joined),
    **dict.fromkeys(("select_backward", "slice_backward"), unselected),
    **dict.fromkeys(("new_zeros", "new_ones", "new_empty", "new_full"), new),
    **dict.fromkeys(("mm", "bmm", "addmm", "baddbmm"), product),
    **dict.fromkeys(
        (
            "max_pool2d_with_indices", "max_pool2d_with_indices_backward", "avg_pool2d",
            "avg_pool2d_backward", "_adaptive_avg_pool2d", "_adaptive_avg_pool2d_backward",
            "adaptive_max_pool2d", "adaptive_max_pool2d_backward", "constant_pad_nd",
            "reflection_pad2d", "replication_pad2d", "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_flash_attention_for_cpu_backward",
        ),
        by_sample,
    ),
    "native_layer_norm": layer_norm,
    "native_layer_norm_backward": layer_norm_backward,
    "native_batch_norm": batch_norm,
    "native_batch_norm_backward": batch_norm_backward,
    "embedding": embedding,
    "convolution": convolution,
    "convolution_backward": convolution_backward,
    "permute": permuted,
    "_softmax_backward_data": softmax_backward,
    "_log_softmax_backward_data": softmax_backward,
}  # fmt: skip
