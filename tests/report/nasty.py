"""A study and a comparison whose names attack every language that a report is written in."""

from __future__ import annotations

from typing import Any

import metaopt
from metaopt import Categorical, Float, Problem, Result, Space, Study
from metaopt.comparison import Comparison

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
    """Fail now and then, with a message that attacks, too."""
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
