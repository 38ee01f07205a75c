import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as oracle
from statsmodels.stats import contingency_tables

from metaopt.stats import StatisticsError, cochran_q, mcnemar, pairwise


def answers(both, only_x, only_y, neither):
    """Truth, which is 1 for all examples, and predictions of two models."""
    x = [1] * (both + only_x) + [0] * (only_y + neither)
    y = [1] * both + [0] * only_x + [1] * only_y + [0] * neither
    return np.ones(len(x), dtype=int), np.array(x), np.array(y)


counts = st.tuples(*[st.integers(0, 12)] * 4).filter(any)
tables = hnp.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(2, 3)),
                    elements=st.integers(0, 1))  # fmt: skip


def test_fagerland_2013_prints_these_p_values_for_bentur_2009():
    # Airway hyper-responsiveness before and after transplantation: 1, 1, 7, 12.
    outcome = mcnemar(*answers(1, 1, 7, 12))
    assert outcome.p == pytest.approx(0.070, abs=5e-4)
    assert outcome.mid_p == pytest.approx(0.039, abs=5e-4)
    assert (outcome.only_x, outcome.only_y, outcome.statistic) == (1, 7, 1)
    assert outcome.difference == pytest.approx(-6 / 21)


@given(counts)
def test_mcnemar_equals_statsmodels_and_the_definition_of_mid_p(table):
    outcome = mcnemar(*answers(*table))
    a, b, c, d = table
    if b + c:
        theirs = contingency_tables.mcnemar([[a, b], [c, d]], exact=True)
        assert outcome.p == pytest.approx(theirs.pvalue, rel=1e-10)
        point = oracle.binom.pmf(b, b + c, 0.5)
        # P(further from the middle) + P(as far) / 2
        chances = oracle.binom.pmf(np.arange(b + c + 1), b + c, 0.5)
        far = np.abs(np.arange(b + c + 1) - (b + c) / 2) - abs(b - c) / 2
        mid = chances[far > 1e-9].sum() + chances[np.abs(far) < 1e-9].sum() / 2
        assert outcome.mid_p == pytest.approx(mid, rel=1e-10)
        assert point / 2 <= outcome.mid_p < outcome.p or b == c
    else:
        assert outcome.p == outcome.mid_p == 1.0
    turned = mcnemar(*answers(a, c, b, d))
    assert (turned.p, turned.mid_p) == (outcome.p, outcome.mid_p)
    assert turned.difference == -outcome.difference


def test_many_examples_equal_mcnemars_chi_square():
    # Dietterich (1998, section 3.1): (|b - c| - 1)^2 / (b + c) against chi-square with 1 df.
    outcome = mcnemar(*answers(500, 160, 120, 220))
    chi = (abs(160 - 120) - 1) ** 2 / 280
    assert outcome.p == pytest.approx(oracle.chi2.sf(chi, 1), rel=0.02)


def test_labels_may_be_of_any_kind():
    truth = ["cat", "dog", "cat", "cow"]
    x, y = ["cat", "dog", "dog", "cow"], ["cat", "cat", "cat", "cat"]
    number = {"cat": 0, "dog": 1, "cow": 2}
    as_numbers = [[number[v] for v in labels] for labels in (truth, x, y)]
    assert mcnemar(truth, x, y) == mcnemar(*as_numbers)
    assert mcnemar([True, False], [True, True], [False, False]).n == 2
    assert mcnemar(truth, np.array(x, dtype=object), y) == mcnemar(truth, x, y)


@given(tables)
@settings(max_examples=60, deadline=None)
def test_cochrans_q_equals_statsmodels_and_the_p_an_enumeration(right):
    from itertools import permutations, product

    outcome = cochran_q(np.ones(len(right), dtype=int), right)
    if (right != right[:, :1]).any():
        theirs = contingency_tables.cochrans_q(right)
        assert outcome.statistic == pytest.approx(theirs.statistic, abs=1e-10)
        assert outcome.chi2_p == pytest.approx(theirs.pvalue, rel=1e-9)
    arrangements = product(*([list(p) for p in permutations(row)] for row in right.tolist()))
    spread = [np.var(np.sum(a, axis=0)) for a in arrangements]
    expected = np.mean(np.array(spread) >= np.var(right.sum(axis=0)) - 1e-9)
    assert outcome.p == pytest.approx(expected, rel=1e-9)
    assert outcome.right == pytest.approx(right.mean(axis=0))


@given(counts)
def test_cochrans_q_of_two_models_is_mcnemars_test(table):
    truth, x, y = answers(*table)
    b, c = table[1:3]
    outcome = cochran_q(truth, np.stack([x, y], axis=1))
    assert outcome.p == pytest.approx(mcnemar(truth, x, y).p, rel=1e-9)
    assert outcome.statistic == pytest.approx((b - c) ** 2 / (b + c) if b + c else 0.0)


def test_models_that_are_right_on_the_same_examples_give_p_one():
    outcome = cochran_q([0, 1, 1], [[0, 0, 0], [0, 0, 0], [1, 1, 1]])
    assert (outcome.statistic, outcome.p, outcome.chi2_p) == (0.0, 1.0, 1.0)


def test_under_the_null_they_keep_their_level(rejections):
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.2, 1, size=(2000, 40, 1))  # examples of different difficulty
    right = (rng.random((2000, 40, 3)) < hard).astype(int)
    truth = np.ones(40, dtype=int)
    pairs = [mcnemar(truth, r[:, 0], r[:, 1]) for r in right]
    rejections([o.p for o in pairs])
    # Fagerland et al. (2013) found the mid-p below its level in all of 9,595 settings.
    rejections([o.mid_p for o in pairs])
    rejections([cochran_q(truth, r).p for r in right])


def test_a_better_model_is_found():
    rng = np.random.default_rng(1)
    right = (rng.random((200, 200, 3)) < [0.7, 0.7, 0.85]).astype(int)
    truth = np.ones(200, dtype=int)
    assert np.mean([mcnemar(truth, r[:, 0], r[:, 2]).p <= 0.05 for r in right]) > 0.9
    assert np.mean([cochran_q(truth, r, samples=200).p <= 0.05 for r in right[:60]]) > 0.9
    found = pairwise(right[0], lambda x, y: mcnemar(truth, x, y))
    assert found.pairs[1].p_adjusted >= found.pairs[1].p
    assert found.pairs[1].difference == pytest.approx(right[0, :, 0].mean() - right[0, :, 2].mean())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mcnemar([1, 0], [1], [1, 0]), "x must have one label for each of the 2.*got 1"),
        (lambda: mcnemar([], [], []), "sequence of labels, got shape"),
        (lambda: mcnemar([1, 0], [1, 0], [1, None]), r"y must have a label .* none at \[1\]"),
        (lambda: mcnemar([1.0, np.nan], [1, 0], [1, 0]), "truth must have a label"),
        (lambda: mcnemar([1, 0], ["1", "0"], [1, 0]), "the same kind, got '1' and 1"),
        (lambda: mcnemar([[1, 0]], [1, 0], [1, 0]), r"truth .* got shape \(1, 2\)"),
        (lambda: cochran_q([1, 0], [1, 0]), r"\(examples, models\)"),
        (lambda: cochran_q([1, 0], [[1], [0]]), r"at least 2 models, got shape \(2, 1\)"),
        (lambda: cochran_q([1], [[1, 0], [0, 1]]), "column 0 of predictions must have"),
        (lambda: cochran_q([1], [[1, 0]], samples=0), "samples"),
    ],
)
def test_bad_input_raises_an_error_that_states_what_was_expected(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
