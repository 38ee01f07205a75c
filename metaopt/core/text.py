"""Numbers and counts in sentences and tables, the same way everywhere."""

from __future__ import annotations

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


def p_sentence(p: float) -> str:
    """Return a p-value for a sentence: "p = 0.031", "p < 0.001"."""
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def p_cell(p: float | None) -> str:
    """Return a p-value for a table: "0.031", "< 0.001"; empty where no test was made."""
    if p is None:
        return ""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
