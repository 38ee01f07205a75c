"""Use DEAP and PySwarms without global side effects: private random generators, silent import.

DEAP's operators draw from the module `random`, PySwarms' from `numpy.random`. This module makes
copies of such functions that draw from a private generator. No global generator is seeded, saved or
restored, so results are reproducible whatever other code and other threads do. PySwarms also
configures logging for the whole process; see `pyswarms_parts`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from metaopt.core.errors import StrategyError

_lock = threading.Lock()


def rebind(function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """Return a copy of a Python function in which some global names have other values.

    Functions that it calls keep their own globals: rebind those as well and pass them in.

    Args:
        function: a function written in Python.
        names: the global names and their new values.

    Raises:
        StrategyError: `function` is not a Python function, or does not use one of the names; then
            the copy would silently draw from the global generator (another library version).
    """
    if not isinstance(function, FunctionType):
        raise StrategyError(f"rebind needs a Python function, got {function!r}")
    for name in names:
        if name not in function.__globals__ or name not in _names(function.__code__):
            raise StrategyError(
                f"{function.__module__}.{function.__qualname__} has no global {name!r} to replace;"
                f" this version of the library is not supported"
            )
    own = {**function.__globals__, **names}
    copy = FunctionType(
        function.__code__, own, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _names(code: CodeType) -> set[str]:
    """Return the names that code looks up, including comprehensions and inner functions."""
    inner = (_names(c) for c in code.co_consts if isinstance(c, CodeType))
    return set(code.co_names).union(*inner)


def python_random(rng: np.random.Generator) -> random.Random:
    """Return a generator with the functions of the module `random`, seeded from `rng`."""
    return random.Random(int(rng.integers(2**63)))


def numpy_state(rng: np.random.Generator) -> np.random.RandomState:
    """Return a generator with the functions of `numpy.random`, seeded from `rng`."""
    return np.random.RandomState(int(rng.integers(2**32)))


class PrivateNumpy:
    """The module numpy, except that `random` is a private generator."""

    def __init__(self, state: np.random.RandomState) -> None:
        self.random = state

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def pyswarms_parts() -> SimpleNamespace:
    """Return the parts of PySwarms that are needed, without side effects on the process.

    PySwarms configures the root logger and opens `report.log` in the working directory whenever a
    `Reporter` is created: on import, and in every topology and handler. So the reporter is loaded
    first and silenced while the parts are created, once; copying them creates no reporter.
    """
    with _lock:
        return _parts()


@functools.cache
def _parts() -> SimpleNamespace:
    reporter = _reporter()
    original = reporter._setup_logger
    reporter._setup_logger = lambda self, path=None: None
    try:
        from pyswarms.backend import handlers, operators, swarms
        from pyswarms.backend.topology import Ring, Star

        return SimpleNamespace(
            Swarm=swarms.Swarm,
            compute_velocity=operators.compute_velocity,
            compute_position=operators.compute_position,
            reflect=handlers.BoundaryHandler(strategy="reflective"),
            free=handlers.VelocityHandler(strategy="unmodified"),
            topologies={"star": Star(), "ring": Ring(static=False)},
        )
    finally:
        reporter._setup_logger = original


def _reporter() -> Any:
    """Return PySwarms' class `Reporter` without running the package's `__init__`."""
    name = "pyswarms.utils.reporter.reporter"
    if "pyswarms" in sys.modules:  # already imported by the user's code
        return importlib.import_module(name).Reporter
    package = importlib.util.find_spec("pyswarms")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "utils" / "reporter" / "reporter.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module  # so that the package does not load it again
    return module.Reporter
