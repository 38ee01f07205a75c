"""The README's examples run as they stand, and are as short as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_there_are_five_examples_of_some_twenty_lines() -> None:
    assert len(BLOCKS) == 5
    assert all(len([x for x in b.splitlines() if x.strip()]) <= 22 for b in BLOCKS)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_an_example_runs(number: int, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(BLOCKS[number], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if number == 1:
        assert (tmp_path / "iris-report" / "report.html").is_file()


def test_every_command_line_in_the_readme_is_understood() -> None:
    text = README.read_text(encoding="utf-8")
    for line in re.findall(r"^metaopt (.+)$", text, re.MULTILINE):
        command = line.split()[0]
        done = subprocess.run(
            [sys.executable, "-m", "metaopt.cli", command, "--help"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for option in re.findall(r"--[a-z-]+", line):
            assert option in done.stdout
