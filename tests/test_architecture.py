"""The floors of the house: who may import whom, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import metaopt
import metaopt_strategies

ROOT = Path(metaopt.__file__).parent
STRATEGIES = Path(metaopt_strategies.__file__).parent

# A room may import rooms of lower floors and of its own. `stats` stands alone.
FLOORS = {
    "errors": 0, "seeds": 0, "space": 0, "records": 0, "version": 0,
    "trial": 1, "initial": 1, "strategy": 1, "registry": 1, "pruning": 1,
    "progress": 2, "store": 2, "execute": 2, "stopping": 2,
    "journal": 2, "driver": 2, "slots": 2,
    "view": 2, "opening": 2, "optimization": 2, "study": 2,
    "train": 3,
    "stats": 4, "problems": 4, "importance": 4, "findings": 4, "analysis": 4,
    "plots": 4, "report": 4, "comparison": 4, "stored": 4, "folds": 4, "models": 4,
    "testing": 5, "integrations": 5, "watch": 5, "cli": 5,
}  # fmt: skip
CONTRACT = {room for room, floor in FLOORS.items() if floor <= 1}

Import = tuple[str, bool]  # module, and whether only for type checking


def _imports(path: Path) -> list[Import]:
    found: list[Import] = []

    def visit(node: ast.AST, typing_only: bool) -> None:
        for child in ast.iter_child_nodes(node):
            only = typing_only or (
                isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            )
            if isinstance(child, ast.Import):
                found.extend((alias.name, only) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                assert child.level == 0, f"{path} imports relatively"
                found.append((child.module, only))
                found.extend((f"{child.module}.{alias.name}", only) for alias in child.names)
            visit(child, only)

    visit(ast.parse(path.read_text(encoding="utf-8")), False)
    return found


def _rooms(path: Path) -> set[str]:
    """Rooms of metaopt that a file imports at run time."""
    rooms = set()
    for module, typing_only in _imports(path):
        parts = module.split(".")
        if parts[0] == "metaopt" and not typing_only and len(parts) > 1 and parts[1] in FLOORS:
            rooms.add(parts[1])
    return rooms


def _files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def _room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", _files(ROOT), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_from_lower_floors(path: Path) -> None:
    room = _room_of(path)
    if room == "__init__":
        return
    assert room in FLOORS, f"the room {room} stands on no floor: add it to the list"
    for other in _rooms(path):
        assert FLOORS[other] <= FLOORS[room], f"{room} imports {other} from a higher floor"


def test_rooms_of_one_floor_do_not_import_in_circles() -> None:
    graph = {room: set() for room in FLOORS}
    for path in _files(ROOT):
        if _room_of(path) in FLOORS:
            graph[_room_of(path)] |= _rooms(path) - {_room_of(path)}
    done: set[str] = set()
    while len(done) < len(graph):
        free = {room for room, needs in graph.items() if room not in done and needs <= done}
        assert free, f"a circle among {sorted(set(graph) - done)}"
        done |= free


@pytest.mark.parametrize("path", _files(ROOT / "stats"), ids=lambda p: p.name)
def test_statistics_import_nothing_of_metaopt_but_statistics(path: Path) -> None:
    assert _rooms(path) <= {"stats"}


@pytest.mark.parametrize("path", _files(STRATEGIES), ids=lambda p: p.name)
def test_strategies_know_the_contract_only(path: Path) -> None:
    assert _rooms(path) <= CONTRACT


@pytest.mark.parametrize("path", _files(ROOT), ids=lambda p: str(p.relative_to(ROOT)))
def test_metaopt_never_imports_a_strategy_and_torch_only_in_the_workshop(path: Path) -> None:
    tops = {module.split(".")[0] for module, _ in _imports(path)}
    assert "metaopt_strategies" not in tops
    if _room_of(path) != "train":
        assert "torch" not in tops


HEAVY = ("torch", "sklearn", "pandas", "matplotlib", "scipy", "sqlalchemy", "rich", "typer",
         "skopt", "deap", "pyswarms", "pebble", "jinja2")  # fmt: skip


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import metaopt", ()),
        ("import metaopt; metaopt.Space; metaopt.Strategy; metaopt.make_strategy", ()),
        ("import metaopt; metaopt.Study", ("sqlalchemy",)),
        ("import metaopt; metaopt.strategies()", ("scipy",)),
        ("import metaopt; metaopt.problems.describe()", ()),
        ("import metaopt.stats", ()),
        ("import metaopt.importance", ()),
        ("import metaopt.plots", ()),
    ],
)
def test_importing_loads_no_heavy_package(code: str, allowed: tuple[str, ...]) -> None:
    script = f"import sys; {code}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert set(ast.literal_eval(done.stdout)) <= set(allowed)


def test_public_names_all_exist() -> None:
    for name in metaopt.__all__:
        assert getattr(metaopt, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        metaopt.no_such_name  # noqa: B018


def test_versions_agree() -> None:
    from importlib.metadata import version

    assert version("metaopt-engine") == metaopt.__version__
