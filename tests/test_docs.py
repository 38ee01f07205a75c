"""The examples of the README and of docs/ run as they stand, and their links and commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    (f"{page.relative_to(ROOT)}-{number}", code)
    for page in PAGES
    for number, code in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    )
]


def test_the_readme_has_short_examples() -> None:
    ours = [code for name, code in BLOCKS if name.startswith("README")]
    assert len(ours) == 5
    assert all(len([x for x in code.splitlines() if x.strip()]) <= 22 for code in ours)


@pytest.mark.parametrize(("name", "code"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_an_example_runs(name: str, code: str, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if "iris-report" in code:
        assert (tmp_path / "iris-report" / "report.html").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:\s]+)\)", text):
        assert (page.parent / target).exists(), target
    for file in re.findall(r"`((?:metaopt|tests|studies|strategies)/[\w/.]+)`", text):
        assert (ROOT / file).exists(), file


def test_files_that_the_architecture_page_names_in_short_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for file in re.findall(r"`(\w+/[\w/]*(?:\.py)?)`", text):
        known = [ROOT / "metaopt", ROOT, ROOT / "metaopt" / "train", ROOT / "metaopt" / "report"]
        assert any((folder / file).exists() for folder in known), file


def test_every_command_line_in_the_readme_is_understood() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for line in re.findall(r"^metaopt (.+)$", text, re.MULTILINE):
        command = line.split()[0]
        done = subprocess.run(
            [sys.executable, "-m", "metaopt.cli", command, "--help"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for option in re.findall(r"--[a-z-]+", line):
            assert option in done.stdout
