"""Compute the hash of everything that determines a training run; equal hash, equal result."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from metaopt.core.version import __version__
from metaopt.train.data.preparation import Prepared
from metaopt.train.data.streams import Streamed
from metaopt.train.engines.base import Member
from metaopt.train.settings.metrics import WeightedCrossEntropy


def fingerprint(member: Member, *settings: object) -> str:
    """Return the hash of a member that has not been trained yet.

    It covers the recipe, the seeds, the epochs, the task, the type of the device and the versions
    of PyTorch and metaopt; the training and validation samples; the `repr` of the network and its
    initial weights. Of user-defined losses and metrics it covers the bytecode, but neither the
    functions that they call nor variables in their closure. Of user-defined modules it does not
    cover the code of `forward`.

    Args:
        member: before its first epoch.
        settings: other values that change the result; their `repr` is hashed.

    Returns:
        32 hexadecimal digits.

    """
    task = member.task
    facts: list[object] = [
        asdict(member.recipe), member.seed, member.data_seed, member.epochs, member.device.type,
        torch.__version__, __version__, task.loss, code_of(task.loss_function), task.metric.name,
        task.metric.direction, code_of(task.metric.function), task.stopping,
        task.evaluation_rows, task.precision, task.compile, settings,
        str(member.network),
    ]  # fmt: skip
    if isinstance(task.loss_function, WeightedCrossEntropy):
        facts.append(task.loss_function.weights.tolist())
    text = json.dumps(facts, default=repr, sort_keys=True)
    text = re.sub(r"0x[0-9a-fA-F]{6,}", "", text)  # memory addresses
    hashed = hashlib.blake2b(text.encode(), digest_size=16)
    hashed.update(digest_of(member.data).encode())
    for name, tensor in member.network.state_dict().items():
        hashed.update(name.encode())
        if isinstance(tensor, Tensor):
            _absorb(hashed, [tensor])
    return hashed.hexdigest()


def code_of(function: Any) -> object:
    """Return the name of a function and, if it is a user's Python function, its bytecode.

    A function of metaopt stands for itself by its name; the version of metaopt is hashed, too.
    """
    if str(getattr(function, "__module__", "")).startswith("metaopt."):
        return str(getattr(function, "__qualname__", type(function).__qualname__))
    name = getattr(function, "__module__", ""), getattr(function, "__qualname__", type(function))
    code = getattr(function, "__code__", None)
    if code is None:
        return [str(name), repr(function), repr(getattr(function, "__dict__", None))]
    constants = [repr(c) for c in code.co_consts if not hasattr(c, "co_code")]
    return [str(name), code.co_code.hex(), code.co_names, constants]


def digest_of(split: Prepared) -> str:
    """Return a hash of the training and validation samples; computed once per split."""
    found = split.__dict__.get("_digest")
    if found is None:
        hashed = hashlib.blake2b(digest_size=16)
        X, y = split.train
        if isinstance(X, Streamed):
            hashed.update(X.digest.encode())
        else:
            _absorb(hashed, [X])
        _absorb(hashed, [y, *split.validation])
        found = hashed.hexdigest()
        object.__setattr__(split, "_digest", found)
    return str(found)


def _absorb(hashed: Any, tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        hashed.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        array: Any = raw.numpy()
        hashed.update(array)
