"""Reads which module of a source tree imports which, and says what breaks the import layers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = re.compile(r"metaopt(_strategies)?(\.\w+)+")


def modules(root: Path) -> dict[str, Path]:
    """The modules of a package by name; a package itself stands for its `__init__.py`."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = [root.name, *path.relative_to(root).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> Iterator[str]:
    """Every dotted name that a file imports: at run time, for typing, in functions, by string."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"{path} imports relatively; write the full name")
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Call) and _imports_by_string(node):
            yield from (
                a.value
                for a in node.args
                if isinstance(a, ast.Constant) and PACKAGE.fullmatch(str(a.value))
            )


def _imports_by_string(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in ("import_module", "__import__")


def graph(known: Mapping[str, Path]) -> dict[str, set[str]]:
    """For each module, the modules of the same tree that it imports."""
    out = {}
    for module, path in known.items():
        needs = set()
        for name in imported(path):
            while name and name not in known:
                name = name.rpartition(".")[0]
            needs.add(name)
        out[module] = needs - {module, ""}
    return out


def circle(edges: Mapping[str, set[str]]) -> list[str]:
    """The members of the circles of a graph; empty if it has none."""
    left = {k: set(v) for k, v in edges.items()}
    while True:
        free = [k for k, needs in left.items() if not needs & (left.keys() - {k})]
        if not free:
            break
        for k in free:
            del left[k]
    while True:  # what only leads into a circle is not part of it
        needed = {n for needs in left.values() for n in needs}
        outside = [k for k in left if k not in needed]
        if not outside:
            return sorted(left)
        for k in outside:
            del left[k]


def grouped(edges: Mapping[str, set[str]], prefix: str) -> dict[str, set[str]]:
    """The graph of the members of a package: its subpackages and its single files."""

    def member(module: str) -> str | None:
        return module.removeprefix(prefix + ".").split(".")[0] if module != prefix else None

    out: dict[str, set[str]] = {}
    for module, needs in edges.items():
        if not module.startswith(prefix + ".") or member(module) is None:
            continue
        mine = member(module)
        found = {member(n) for n in needs if n.startswith(prefix + ".")}
        out.setdefault(str(mine), set()).update(f for f in found if f and f != mine)
    return out


def faults(root: Path, layers: Mapping[str, list[list[str]]]) -> list[str]:
    """Say what is wrong with the imports of a package.

    Args:
        root: the folder of the package.
        layers: by package, its members from the lowest layer to the highest. Members of one
            layer may import each other, but not in a circle.
    """
    edges = graph(modules(root))
    out = [f"modules import each other in a circle: {', '.join(c)}" for c in [circle(edges)] if c]
    for package, rows in layers.items():
        level = {member: i for i, row in enumerate(rows) for member in row}
        members = grouped(edges, package)
        for mine, needs in members.items():
            if mine not in level:
                out.append(f"{package}.{mine} is in no layer: add it to the list of layers")
                continue
            out += [
                f"{package}.{mine} imports {package}.{other} from a higher layer"
                for other in sorted(needs)
                if level.get(other, -1) > level[mine]
            ]
        found = circle(members)
        if found:
            out.append(f"members of {package} import each other in a circle: {', '.join(found)}")
    return out
