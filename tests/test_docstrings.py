"""Public names have docstrings that a user can work from: Args, Returns, Raises, Attributes."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PUBLIC = (
    "metaopt", "metaopt.comparison", "metaopt.execution", "metaopt.importance",
    "metaopt.integrations", "metaopt.plots", "metaopt.problems", "metaopt.pruning",
    "metaopt.space", "metaopt.stats", "metaopt.storage", "metaopt.strategy", "metaopt.testing",
    "metaopt.train", "metaopt.trials",
)  # fmt: skip
STRATEGIES = {
    "metaopt_strategies.bayes": "Bayes", "metaopt_strategies.random": "Random",
    "metaopt_strategies.grid": "Grid", "metaopt_strategies.sobol": "Sobol",
    "metaopt_strategies.hosted_skopt": "HostedSkopt", "metaopt_strategies.genetic": "Genetic",
    "metaopt_strategies.swarm": "ParticleSwarm", "metaopt_strategies.tabu": "Tabu",
}  # fmt: skip
SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Example|Examples):$", re.MULTILINE)


def _objects() -> dict[str, Any]:
    """Public functions and classes, each once, by the name under which users find it."""
    found: dict[int, tuple[str, Any]] = {}
    for module in PUBLIC:
        room = importlib.import_module(module)
        for name in room.__all__:
            thing = getattr(room, name)
            ours = str(getattr(thing, "__module__", "")).startswith("metaopt")
            if ours and (inspect.isclass(thing) or inspect.isfunction(thing)):
                found.setdefault(id(thing), (f"{module}.{name}", thing))
    for module, name in STRATEGIES.items():
        thing = getattr(importlib.import_module(module), name)
        found[id(thing)] = (f"{module}.{name}", thing)
    return dict(found.values())


def sections(doc: str) -> dict[str, str]:
    """The sections of a docstring in Google's style, by title."""
    parts = SECTION.split(doc)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _described(section: str) -> set[str]:
    """Names that a section describes; several may share a line: ``a, b: ...``."""
    lines = re.findall(r"^    (\*{0,2}[\w, *]+):", section, re.MULTILINE)
    return {name.strip(" *") for line in lines for name in line.split(",")}


def _parameters(function: Callable[..., Any]) -> list[str]:
    names = [p for p in inspect.signature(function).parameters if p not in ("self", "cls")]
    return [n for n in names if not n.startswith("_")]


def _raises_itself(function: Callable[..., Any]) -> bool:
    """Whether the body holds a `raise` of a new error; of an abstract or private one it may."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


def _function_faults(name: str, function: Callable[..., Any]) -> Iterator[str]:
    doc = inspect.getdoc(function) or ""
    if not doc:
        yield f"{name} has no docstring"
        return
    found = sections(doc)
    parameters = _parameters(function)
    missing = set(parameters) - _described(found.get("Args", ""))
    if missing:
        yield f"{name}: Args says nothing of {', '.join(sorted(missing))}"
    annotation = inspect.signature(function).return_annotation
    returns = annotation not in (None, "None", "NoReturn", inspect.Signature.empty)
    said = {"Returns", "Yields"} & found.keys() or re.match(r"(Return|Yield|Whether)", doc)
    if returns and parameters and not said:
        yield f"{name} does not say what it returns"
    if _raises_itself(function) and "Raises" not in found:
        yield f"{name} raises and has no Raises"


def _class_faults(name: str, cls: type) -> Iterator[str]:
    doc = inspect.cleandoc(cls.__doc__ or "")
    if not doc:
        yield f"{name} has no docstring"
        return
    found = sections(doc)
    told = _described(found.get("Args", "")) | _described(found.get("Attributes", ""))
    if dataclasses.is_dataclass(cls):
        needed = [f.name for f in dataclasses.fields(cls) if not f.name.startswith("_")]
        for base in cls.__mro__[1:]:  # what a base describes needs no second description
            inherited = sections(inspect.cleandoc(base.__doc__ or ""))
            told |= _described(inherited.get("Attributes", "") + inherited.get("Args", ""))
    elif "__init__" in vars(cls) and not getattr(cls, "_is_protocol", False):
        needed = _parameters(cls.__init__)
    else:
        needed = []
    if issubclass(cls, _strategy()) and cls is not _strategy():
        told |= {"space", "seed", "budget"}  # of every strategy: the base describes them
    if set(needed) - told:
        yield f"{name}: nothing is said of {', '.join(sorted(set(needed) - told))}"
    fields = getattr(cls, "__dataclass_fields__", {})  # a default may be a function
    for method_name, method in vars(cls).items():
        if method_name[0] != "_" and method_name not in fields and inspect.isfunction(method):
            overridden = any(hasattr(base, method_name) for base in cls.__mro__[1:])
            if not (overridden and method.__doc__ is None):
                yield from _function_faults(f"{name}.{method_name}", method)


def _strategy() -> type:
    from metaopt import Strategy

    return Strategy


OBJECTS = _objects()


@pytest.mark.parametrize("name", OBJECTS)
def test_a_public_name_is_described(name: str) -> None:
    thing = OBJECTS[name]
    check = _class_faults if inspect.isclass(thing) else _function_faults
    faults = list(check(name, thing))
    assert not faults, "\n".join(faults)


EXAMPLES = [
    pytest.param(found, id=found.name)
    for name, thing in OBJECTS.items()
    for found in doctest.DocTestFinder(recurse=True).find(thing, name)
    if found.examples
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_a_docstring_runs(
    example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some write a study file
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    told: list[str] = []
    assert runner.run(example, out=told.append).failed == 0, "".join(told)


def test_the_classes_and_functions_that_users_meet_first_have_an_example() -> None:
    shown = {param.values[0].name for param in EXAMPLES}
    first = ("Study", "Space", "Float", "Trial", "Result", "Strategy", "Stall", "load", "compare",
             "make_pruner", "parameter_importance")  # fmt: skip
    assert {f"metaopt.{name}" for name in first} <= shown


def test_planted_gaps_are_found() -> None:
    def bare(x: int, y: int) -> int:
        """Add two numbers.

        Args:
            x: the first.
        """
        if x < 0:
            raise ValueError
        return x + y

    assert list(_function_faults("bare", bare)) == [
        "bare: Args says nothing of y",
        "bare does not say what it returns",
        "bare raises and has no Raises",
    ]

    @dataclasses.dataclass
    class Pair:
        """Two numbers.

        Attributes:
            a, b: both.
        """

        a: int
        b: int
        c: int

    assert list(_class_faults("Pair", Pair)) == ["Pair: nothing is said of c"]
