"""How operations are done for K members at once, so that none sees how many others there are.

Notation: an operation is written down for one member; here its tensors are either shared, as one
member has them, or stacked, (K, ...). A rule returns a function of the operation's own arguments
that computes all rows, or None where it cannot: then the operation is called member by member,
which is always right.

A member's numbers must be the same bit for bit whatever K is. Sums are over a member's own
dimensions only, and elementwise functions that are not rounded exactly want members of whole
vectors: PyTorch computes the last few numbers of a tensor by other code. `program.prove` tests
each operation at its sizes, and calls those member by member of which this is not true.
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
