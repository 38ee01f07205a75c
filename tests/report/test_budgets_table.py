"""The table of results at several budgets shows the values of the runs at those trials."""

from __future__ import annotations

import numpy as np
import pytest
from plotting import comparison

from metaopt.report import budgets_table

RUNS = {
    "a": [[4.0, 2.0, 2.0, 1.0], [4.0, 3.0, 1.0, 1.0], [4.0, 2.0, 3.0, 0.0]],
    "b": [[4.0, 4.0, 4.0, 3.0], [4.0, 5.0, 2.0, 2.0], [4.0, 4.0, 4.0, 4.0]],
}


def table(**changes):
    (found,) = budgets_table.blocks(comparison({"p": RUNS}, **changes))
    return found


def test_medians_are_of_the_best_values_after_so_many_trials() -> None:
    found = table()
    assert found.header == ("problem", "strategy", "after 1 trial", "after 2 trials",
                            "after 4 trials", "area")  # fmt: skip
    values = {row[1].text: [c.value for c in row[2:5]] for row in found.rows}
    assert values == {"a": [4.0, 2.0, 1.0], "b": [4.0, 4.0, 3.0]}
    assert found.rows[0][4].text == "1 [0, 1]"
    assert "at least 75 %" in found.caption  # three repeats


def test_the_area_is_that_of_the_scaled_curves() -> None:
    best = np.minimum.accumulate(RUNS["a"], axis=1)  # from 4, a typical first trial, to 0
    expected = np.median((best / 4).mean(axis=1))
    cells = {row[1].text: row[-1] for row in table().rows}
    assert cells["a"].value == pytest.approx(expected)
    assert cells["b"].value > cells["a"].value


def test_runs_of_one_trial_have_no_smaller_budget() -> None:
    one = {k: [row[:1] for row in rows] for k, rows in RUNS.items()}
    assert not list(budgets_table.blocks(comparison({"p": one})))
