"""Numbers in sentences and tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaopt.core.text import counted, estimate, p_cell, p_sentence, percent

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.398, 0.3964, 0.4021), "0.398 [0.396, 0.402]"),
        ((0.39804, 0.39791, 0.39822), "0.398 [0.3979, 0.3982]"),
        ((2.0, 2.0, 2.0), "2"),
        ((14.5, 11.0, 18.0), "14.5 [11, 18]"),
    ],
)
def test_an_interval_has_digits_enough_to_tell_its_ends_apart(numbers, text):
    assert estimate(*numbers) == text


@given(st.lists(NUMBERS, min_size=3, max_size=3))
def test_different_numbers_are_written_differently(numbers):
    low, value, high = sorted(numbers)
    if high - low > 1e-9 and value - low > 1e-9 and high - value > 1e-9:
        _, ends = estimate(value, low, high)[:-1].split(" [")
        assert float(ends.split(", ")[0]) < float(ends.split(", ")[1])


def test_levels_are_rounded_down_and_p_values_have_a_floor():
    assert percent(0.97852) == "97.8 %" and percent(0.95) == "95 %"
    assert p_sentence(0.0004) == "p < 0.001" and p_cell(None) == ""
    assert counted(1, "trial") == "1 trial" and counted(2, "trial") == "2 trials"
