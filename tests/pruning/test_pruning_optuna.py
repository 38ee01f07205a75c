"""The pruners of Optuna and metaopt decide equally where they have the same rule."""

import warnings

import pytest
from reports import noisy, play

from metaopt.pruning import PatientPruner, SuccessiveHalvingPruner, ThresholdPruner

optuna = pytest.importorskip("optuna")


def lengths_with_optuna(pruner, curves, direction):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction=direction, pruner=pruner)
    lengths = []
    for curve in curves.values():
        trial = study.ask()
        for k, (step, value) in enumerate(curve, start=1):  # noqa: B007 -- used below
            trial.report(value, step)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1][1])
        lengths.append(k)
    return lengths


def theirs(name, *args, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls some of them experimental
        return getattr(optuna.pruners, name)(*args, **settings)


CASES = {
    "asha": lambda: (
        theirs("SuccessiveHalvingPruner", min_resource=1, reduction_factor=3),
        SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    ),
    "asha, later": lambda: (
        theirs("SuccessiveHalvingPruner", 2, 2, 1), SuccessiveHalvingPruner(2, 2, 1),
    ),
    "asha, bootstrapped": lambda: (
        theirs("SuccessiveHalvingPruner", 1, 3, bootstrap_count=4),
        SuccessiveHalvingPruner(1, 3, bootstrap_count=4),
    ),
    "threshold": lambda: (
        theirs("ThresholdPruner", lower=0.3, upper=2.0, n_warmup_steps=2),
        ThresholdPruner(lower=0.3, upper=2.0, warmup_steps=2),
    ),
    "patience": lambda: (theirs("PatientPruner", None, 1), PatientPruner(None, 1)),
    "patience, tolerant": lambda: (
        theirs("PatientPruner", None, 0, min_delta=0.02), PatientPruner(None, 0, min_delta=0.02),
    ),
    "patient asha": lambda: (
        theirs("PatientPruner", theirs("ThresholdPruner", upper=0.8), 1),
        PatientPruner(ThresholdPruner(upper=0.8), 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("case", CASES)
def test_the_same_decisions_as_optuna(case, direction):
    optunas, ours = CASES[case]()
    curves = noisy(40, 27, seed=1)
    sign = 1 if direction == "minimize" else -1
    offset = 0 if direction == "minimize" else 2.5  # so that the bounds are in range
    shown = {n: tuple((s, offset + sign * v) for s, v in c) for n, c in curves.items()}
    minimised = {n: tuple((s, sign * v) for s, v in c) for n, c in shown.items()}
    expected = lengths_with_optuna(optunas, shown, direction)
    assert [len(c) for c in play(ours, minimised, direction=direction).values()] == expected
    assert len(set(expected)) > 1
