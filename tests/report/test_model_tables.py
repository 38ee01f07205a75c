"""The report of a model comparison shows the numbers of the comparison."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from nasty import FORMULA, SCRIPT, models


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_files_and_page_contain_the_scores_and_the_finding(tmp_path: Path) -> None:
    c = models()
    page = c.report(tmp_path)
    folds = rows(tmp_path / "tables" / "folds.csv")
    for label, name in ((SCRIPT, SCRIPT), (FORMULA, f"'{FORMULA}")):
        read = np.array([float(r[name]) for r in folds]).reshape(3, 4)
        np.testing.assert_array_equal(read, c.scores[label])
    (pair,) = rows(tmp_path / "tables" / "pairs.csv")
    assert float(pair["difference"]) == c.pairs[0].test.difference
    assert float(pair["p"]) == c.pairs[0].p
    assert float(pair["above"]) == c.pairs[0].posterior.above
    html = page.read_text(encoding="utf-8")
    assert html.count("<script") == 1
    assert "beyond chance" in html
    assert "@inproceedings{bouckaert2004" in (tmp_path / "references.bib").read_text()
    assert (tmp_path / "figures" / "scores.pdf").is_file()
    assert page.read_bytes() == models().report(tmp_path / "again").read_bytes()


@pytest.mark.parametrize("failed", [1, 12], ids=["a fold", "all folds"])
def test_failed_folds_are_reported_and_do_not_break_the_report(failed: int, tmp_path: Path) -> None:
    scores = {k: v.copy() for k, v in models().scores.items()}
    scores[SCRIPT].ravel()[:failed] = np.nan
    c = models(scores=scores, errors={SCRIPT: "ValueError: singular"})
    html = c.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "ValueError: singular" in html
    assert html.count(">failed</td>") >= failed
    assert "no test was made" in html
