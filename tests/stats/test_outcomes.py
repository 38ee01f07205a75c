"""Properties that the results of all statistical functions share."""

import dataclasses
from types import NoneType

import numpy as np
import pytest

from metaopt import stats

X, Y = np.random.default_rng(0).normal([[0.0], [0.5]], size=(2, 10))
S = np.random.default_rng(1).normal([0, 0.3, 1], size=(9, 3))
TRUTH = np.tile([0, 1], 10)
GUESS = np.where(np.random.default_rng(2).random((20, 3)) < 0.7, TRUTH[:, None], 1 - TRUTH[:, None])

TESTS = {
    "wilcoxon": lambda: stats.wilcoxon(X, Y),
    "paired_t": lambda: stats.paired_t(X, Y),
    "sign_test": lambda: stats.sign_test(X, Y),
    "permutation": lambda: stats.permutation(X, Y),
    "rank_sum": lambda: stats.rank_sum(X, Y),
    "corrected_t": lambda: stats.corrected_t(X, Y, 0.1),
    "repeated_kfold_t": lambda: stats.repeated_kfold_t(X.reshape(2, 5), Y.reshape(2, 5)),
    "five_by_two_f": lambda: stats.five_by_two_f(X.reshape(5, 2), Y.reshape(5, 2)),
    "mcnemar": lambda: stats.mcnemar(TRUTH, GUESS[:, 0], GUESS[:, 1]),
    "cochran_q": lambda: stats.cochran_q(TRUTH, GUESS),
    "friedman": lambda: stats.friedman(S),
    "friedman_permutation": lambda: stats.friedman_permutation(S),
}
OTHERS = {
    "correlated_t": lambda: stats.correlated_t(X, Y, 0.1, 0.1),
    "bayes_signed_rank": lambda: stats.bayes_signed_rank(X, Y, 0.1, samples=500),
    "nemenyi": lambda: stats.nemenyi(S),
    "conover": lambda: stats.conover(S),
    "rank_z": lambda: stats.rank_z(S, control=np.int64(0)),
    "pairwise": lambda: stats.pairwise(S),
    "critical_groups": lambda: stats.critical_groups(S, test="nemenyi"),
    "bootstrap_two": lambda: stats.bootstrap_two(X, Y, n=50),
    "interquartile_mean": lambda: stats.interquartile_mean(S.T),
    "power": lambda: stats.power("wilcoxon", 1.0),
    "recommend": lambda: stats.recommend(stats.Design(3, 1, 4)),
}


def leaves(value):
    """All values in nested dicts and tuples."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


@pytest.mark.parametrize("call", TESTS.values(), ids=TESTS)
def test_a_test_reports_its_statistic_p_n_and_method(call):
    outcome = call()
    assert 0 < outcome.p <= 1 and np.isfinite(outcome.statistic)
    assert np.min(outcome.n) > 0 and len(outcome.method) > 10


@pytest.mark.parametrize("call", [*TESTS.values(), *OTHERS.values()], ids=[*TESTS, *OTHERS])
def test_a_result_is_frozen_repeatable_and_made_of_native_types(call):
    outcome = call()
    assert outcome == call()
    assert set(map(type, leaves(dataclasses.asdict(outcome)))) <= {int, float, str, bool, NoneType}
    with pytest.raises(dataclasses.FrozenInstanceError):
        outcome.method = "another"


@pytest.mark.parametrize("call", [*TESTS.values(), *OTHERS.values()], ids=[*TESTS, *OTHERS])
def test_no_global_generator_is_used(call):
    before = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    call()
    after = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    assert np.array_equal(before["key"], after["key"]) and before["pos"] == after["pos"]


def test_inputs_are_not_modified():
    given = {"X": X.copy(), "Y": Y.copy(), "S": S.copy(), "GUESS": GUESS.copy()}
    for call in [*TESTS.values(), *OTHERS.values()]:
        call()
    assert all(np.array_equal(globals()[name], value) for name, value in given.items())


def test_all_public_names_exist_and_are_documented():
    for name in stats.__all__:
        assert getattr(stats, name).__doc__, name
        if name.islower():
            assert f"`{name}`" in stats.__doc__, name
