"""The import layers: who may import whom, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from import_graph import faults, graph, imported, modules

import metaopt
import metaopt_strategies

ROOT = Path(metaopt.__file__).parent
STRATEGIES = Path(metaopt_strategies.__file__).parent

# From the lowest layer to the highest. A member imports from lower layers and its own row only.
LAYERS = {
    "metaopt": [
        ["core"],
        ["errors", "stats", "space"],
        ["trials"],
        ["strategy", "pruning"],
        ["storage", "testing"],
        ["execution"],
        ["train"],
        ["problems"],
        ["analysis", "importance", "integrations"],
        ["plots"],
        ["report"],
        ["study"],
        ["comparison"],
        ["cli"],
    ],
    "metaopt.train": [
        ["runtime"],
        ["data", "settings"],
        ["engines"],
        ["population", "traced"],
        ["scheduling"],
        ["results"],
        ["trainer"],
        ["estimators"],
    ],
}
CONTRACT = {"core", "space", "trials", "strategy", "pruning", "errors"}


def _members(path: Path) -> set[str]:
    """Subpackages of metaopt that a file imports."""
    parts = [name.split(".") for name in imported(path)]
    return {p[1] for p in parts if p[0] == "metaopt" and len(p) > 1 and p[1] in _KNOWN}


_KNOWN = {member for row in LAYERS["metaopt"] for member in row}


def test_imports_run_downwards_and_in_no_circle() -> None:
    assert faults(ROOT, LAYERS) == []


def test_few_files_lie_loose_at_the_top_and_none_in_train_but_the_front_doors() -> None:
    loose = {p.name for p in ROOT.glob("*.py")}
    assert loose == {"__init__.py", "errors.py", "study.py"}
    assert {p.name for p in (ROOT / "train").glob("*.py")} == {
        "__init__.py", "estimators.py", "trainer.py",
    }  # fmt: skip


def test_tests_mirror_the_package() -> None:
    here = Path(__file__).parent
    folders = {p.name for p in here.iterdir() if p.is_dir() and not p.name.startswith((".", "__"))}
    assert folders - {"helpers", "strategies", "studies", "docs"} <= _KNOWN


PLANTED = {
    "upwards": ("core/seeds.py", "from metaopt.study import Study\n"),
    "upwards for typing": (
        "storage/view.py",
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from metaopt.study import Study\n",
    ),
    "upwards in a function": ("core/seeds.py", "def f():\n    import metaopt.study\n"),
    "upwards by string": (
        "storage/view.py",
        "from importlib import import_module\nimport_module('metaopt.study')\n",
    ),
    "upwards in train": ("train/data/arrays.py", "from metaopt.train.results.fitted import x\n"),
    "circle of files": ("space/cells.py", "from metaopt.space.space import Space\n"),
    "circle for typing": (
        "space/cells.py",
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from metaopt.space.space import Space\n",
    ),
    "circle of subpackages": ("pruning/base.py", "import metaopt.strategy.base\n"),
    "unknown subpackage": ("attic/old.py", ""),
}


def _plant(root: Path, changes: dict[str, str]) -> Path:
    """A small sound tree, and a change to it."""
    files = {
        "__init__.py": "",
        "core/seeds.py": "",
        "space/cells.py": "from metaopt.core.seeds import derive\n",
        "space/space.py": "from metaopt.space.cells import Cells\n",
        "strategy/base.py": "from metaopt.pruning.other import x\n",
        "pruning/base.py": "",
        "pruning/other.py": "",
        "storage/view.py": "",
        "study.py": "from metaopt.storage.view import StudyView\n",
        "train/data/arrays.py": "",
        "train/results/fitted.py": "from metaopt.train.data.arrays import x\n",
    }
    for name, text in {**files, **changes}.items():
        path = root / "metaopt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root / "metaopt"


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_fault_of_each_kind_is_found(kind: str, tmp_path: Path) -> None:
    assert faults(_plant(tmp_path / "sound", {}), LAYERS) == []
    found = faults(_plant(tmp_path / "planted", dict([PLANTED[kind]])), LAYERS)
    word = {"circle": "circle", "upwards": "higher layer", "unknown": "in no layer"}
    assert any(word[kind.split()[0]] in fault for fault in found), found


def test_relative_imports_are_refused(tmp_path: Path) -> None:
    root = _plant(tmp_path, {"space/space.py": "from .cells import Cells\n"})
    with pytest.raises(AssertionError, match="imports relatively"):
        graph(modules(root))


def test_statistics_import_nothing_of_metaopt_but_statistics_and_core() -> None:
    for path in (ROOT / "stats").rglob("*.py"):
        assert _members(path) <= {"stats", "core"}, path


def test_strategies_know_the_contract_only_and_metaopt_knows_no_strategy() -> None:
    for path in STRATEGIES.rglob("*.py"):
        assert _members(path) <= CONTRACT, path
    for path in ROOT.rglob("*.py"):
        assert not any(name.startswith("metaopt_strategies") for name in imported(path)), path


def test_torch_is_imported_in_train_only() -> None:
    for path in ROOT.rglob("*.py"):
        if path.relative_to(ROOT).parts[0] != "train":
            assert "torch" not in {name.split(".")[0] for name in imported(path)}, path


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
    assert {"Study", "Space", "compare", "__version__", "stats"} <= set(metaopt.__all__)
    assert dir(metaopt) == sorted(metaopt.__all__)
    for name in metaopt.__all__:
        assert getattr(metaopt, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        metaopt.no_such_name  # noqa: B018


def test_versions_agree() -> None:
    from importlib.metadata import version

    assert version("metaopt-engine") == metaopt.__version__
