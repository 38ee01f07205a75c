"""Numbers and counts in sentences and tables, the same way everywhere."""

from __future__ import annotations

import math
from typing import Any


def counted(n: int, one: str, several: str = "") -> str:
    """Return a count with its noun: "1 trial", "2 trials".

    Args:
        n: the count.
        one: the noun in the singular.
        several: the noun in the plural, if it is not the singular with an s.
    """
    return f"{n} {one if n == 1 else several or one + 's'}"


def brief(value: Any) -> str:
    """Return a value of a configuration in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def estimate(value: float, low: float, high: float) -> str:
    """Return an estimate with its interval: "0.398 [0.396, 0.402]".

    All three have so many digits that the ends differ visibly from each other and from the
    estimate.

    Args:
        value: the estimate.
        low: lower end.
        high: upper end.
    """
    for digits in range(3, 16):
        texts = [f"{x:.{digits}g}" for x in (value, low, high)]
        apart = all(
            a != b or x == y
            for (a, x), (b, y) in (
                ((texts[0], value), (texts[1], low)),
                ((texts[0], value), (texts[2], high)),
                ((texts[1], low), (texts[2], high)),
            )
        )
        if apart:
            break
    return texts[0] if low == high == value else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def percent(level: float) -> str:
    """Return a confidence level in percent, rounded down: "97.8 %"."""
    return f"{math.floor(1000 * level + 1e-9) / 10:g} %"


def p_sentence(p: float) -> str:
    """Return a p-value for a sentence: "p = 0.031", "p < 0.001"."""
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def p_cell(p: float | None) -> str:
    """Return a p-value for a table: "0.031", "< 0.001"; empty where no test was made."""
    if p is None:
        return ""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
