"""Studies and comparisons with malicious names: HTML, LaTeX, Markdown, spreadsheet formulas."""

from __future__ import annotations

from typing import Any

import numpy as np

import metaopt
from metaopt import Categorical, Float, Problem, Result, Space, Study
from metaopt.comparison.models import ModelComparison
from metaopt.comparison.strategies import Comparison

SCRIPT = "<script>document.title = 'owned'</script>"
IMAGE = "\"><img src=http://example.invalid/x onerror=console.log('owned')>"
FORMULA = "=SUM(1,2)*cmd|calc!A0"
LATEX = r"\input{secret} 100% $x_1$ $\bad$ & #{~^}"
PIPES = "a|b\n| c | `d` [e](javascript:alert(1))"
RIGHT_TO_LEFT = "safe\u202eelif"
NAMES = (SCRIPT, IMAGE, FORMULA, LATEX, PIPES, RIGHT_TO_LEFT)
SPACE = Space(
    {SCRIPT: Float(-1, 1), FORMULA: Float(1e-3, 1, log=True), PIPES: Categorical([IMAGE, LATEX])}
)


def objective(trial: Any) -> Result:
    """Fail in every fifth trial, with a malicious message."""
    if trial.number % 5 == 3:
        raise ValueError(f"{IMAGE} {LATEX} {PIPES}")
    value = trial[SCRIPT] ** 2 + trial[FORMULA]
    return Result(value, metrics={IMAGE: value, "test": 2 * value})


def study(**given: Any) -> Study:
    made = Study(SPACE, "random", seed=1, name=IMAGE, **given)
    made.optimize(objective, 24)
    return made


def comparison(**given: Any) -> Comparison:
    problems = [
        Problem(name, SPACE, objective, description=LATEX) for name in (SCRIPT, IMAGE, LATEX)
    ]
    strategies = {name: {"name": "random"} for name in (FORMULA, PIPES.replace("/", ""))}
    return metaopt.compare(strategies, problems, 6, 6, **given)


def models(**changes: Any) -> ModelComparison:
    rng = np.random.default_rng(0)
    scores = {SCRIPT: rng.uniform(0.7, 0.8, (3, 4)), FORMULA: rng.uniform(0.8, 0.9, (3, 4))}
    given = {
        "scores": scores, "seconds": {k: np.ones((3, 4)) for k in scores}, "errors": {},
        "scoring": "accuracy", "control": None, "rope": 0.01, "seed": 3, "samples": 60,
    } | changes  # fmt: skip
    return ModelComparison(**given)
