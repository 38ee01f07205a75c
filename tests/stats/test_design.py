import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaopt import stats
from metaopt.stats import Design, StatisticsError, fewest_pairs, pairwise, rank_sum, recommend

designs = st.builds(
    Design,
    treatments=st.integers(2, 6),
    problems=st.integers(1, 15),
    repeats=st.integers(1, 30),
    paired=st.booleans(),
    control=st.booleans(),
)


def every_design():
    sources = [
        {"resampling": "independent", "repeats": 1},
        {"resampling": "independent", "repeats": 20},
        {"resampling": "independent", "repeats": 20, "paired": False},
        {"resampling": "repeated k-fold", "repeats": 10, "test_fraction": 0.1},
        {"resampling": "5x2cv", "repeats": 5},
        {"resampling": "holdout", "repeats": 1},
        {"resampling": "holdout", "repeats": 15, "test_fraction": 0.2},
    ]
    shapes = itertools.product((2, 5), (1, 3, 12), (False, True), sources)
    for treatments, problems, control, source in shapes:
        yield Design(treatments, problems, control=control, **source)


@pytest.mark.parametrize("design", list(every_design()), ids=str)
def test_every_design_gets_tests_that_exist_or_advice_and_a_correction(design):
    found = recommend(design)
    for name in (*found.tests, *found.effects):
        assert callable(getattr(stats, name)), name
    assert found.why and found.citations and all("(" in c for c in found.citations)
    assert found.enough == bool(found.tests) and (found.enough or found.advice)
    assert found.comparisons >= design.comparisons
    corrected = found.comparisons > 1
    assert corrected == ("Holm" in found.correction) == any("Holm" in c for c in found.citations)
    if corrected and found.tests:  # a family goes through a function that corrects it
        assert "pairwise" in found.tests or design.treatments == 2
        assert (found.tests[-1] == "holm") == (found.comparisons > design.comparisons)


@pytest.mark.parametrize(
    ("design", "tests", "unit", "n"),
    [
        # Demsar (2006): over data sets, signed ranks for two and Friedman for more.
        (Design(2, 14), ("wilcoxon", "bayes_signed_rank"), "problem", 14),
        (Design(4, 14), ("friedman", "pairwise"), "problem", 14),
        (Design(3, 8), ("friedman_permutation", "pairwise"), "problem", 8),
        (Design(2, 1, 10), ("wilcoxon",), "repeat", 10),
        (Design(4, 1, 12), ("friedman", "pairwise"), "repeat", 12),
        (Design(2, 1, 10, paired=False), ("rank_sum",), "repeat", 10),
        (Design(3, 1, 10, paired=False), ("pairwise", "rank_sum"), "repeat", 10),
        # Bouckaert and Frank (2004), Nadeau and Bengio (2003), Alpaydin (1999).
        (
            Design(2, 1, 10, resampling="repeated k-fold", test_fraction=0.1),
            ("repeated_kfold_t", "correlated_t"), "split", 100,
        ),
        (
            Design(2, 1, 15, resampling="holdout", test_fraction=0.2),
            ("corrected_t", "correlated_t"), "split", 15,
        ),
        (Design(2, 1, 5, resampling="5x2cv"), ("five_by_two_f",), "split", 10),
        (Design(3, 1, 5, resampling="5x2cv"), ("pairwise", "five_by_two_f"), "split", 10),
        # Dietterich (1998): trained once, so the examples are all there is.
        (Design(2, 1, 1, resampling="holdout"), ("mcnemar",), "example", 0),
        (Design(4, 1, 1, resampling="holdout"), ("cochran_q", "pairwise", "mcnemar"), "example", 0),
        (Design(2, 14, 1, resampling="holdout"), ("wilcoxon", "bayes_signed_rank"), "problem", 14),
    ],
)  # fmt: skip
def test_the_recommendation_is_that_of_the_literature(design, tests, unit, n):
    found = recommend(design)
    assert (found.tests, found.unit, found.n) == (tests, unit, n)
    assert found.enough and not found.advice


def test_too_few_repeats_get_what_is_needed_and_what_is_reported_instead():
    found = recommend(Design(5, 1, 7, control=True))
    assert not found.tests and not found.enough
    assert "at least 8 are needed" in found.advice and "Instead the size" in found.advice
    assert found.effects == ("a12", "median_difference", "bootstrap_two")
    assert recommend(Design(5, 1, 8, control=True)).enough
    alone = recommend(Design(2, 1, 1))
    assert "interval" not in alone.advice and "bootstrap_two" not in alone.effects
    loose = recommend(Design(2, 1, 3, paired=False))
    assert "at least 4 are needed" in loose.advice and "shift" in loose.effects


def test_too_few_problems_are_tested_each_on_its_own_under_one_correction():
    found = recommend(Design(3, 4, 20))
    assert found.unit == "repeat" and found.enough
    assert found.correction.startswith("Holm (1979) over all 12 comparisons of 4 problems")
    assert found.tests == ("friedman", "pairwise", "holm")
    assert "4 problems cannot show p <= 0.05" in found.advice and "at least 7" in found.advice
    both = recommend(Design(3, 4, 5))
    assert not both.enough and "4 problems cannot" in both.advice and "5 paired" in both.advice


@given(designs)
def test_a_recommended_rank_test_can_reject_after_its_correction(design):
    found = recommend(design)
    if found.unit == "problem" or (found.enough and design.paired):
        assert found.n >= fewest_pairs(0.05, found.comparisons)
    elif found.enough:
        n = found.n
        best = rank_sum(np.arange(n), np.arange(n) + n).p
        assert best * found.comparisons <= 0.05 + 1e-12


@given(designs)
def test_more_repeats_never_lose_the_test(design):
    more = Design(
        design.treatments, design.problems, design.repeats + 5, design.paired,
        control=design.control,
    )  # fmt: skip
    assert recommend(more).enough or not recommend(design).enough


def test_the_least_repeats_are_those_at_which_the_family_can_reject():
    apart = np.arange(8.0)[:, None] + np.array([0.0, 100.0, 200.0])
    need = fewest_pairs(0.05, 3)
    assert need == 7
    for n, rejects in ((7, True), (6, False)):
        assert (min(p.p_adjusted for p in pairwise(apart[:n]).pairs) <= 0.05) == rejects
        assert recommend(Design(3, 1, n)).enough == rejects


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"treatments": 1}, "treatments must be a whole number of at least 2, got 1"),
        ({"problems": 0}, "problems must be"),
        ({"repeats": 2.5}, "repeats must be .* got 2.5"),
        ({"resampling": "bootstrap"}, "'repeated k-fold', '5x2cv', 'holdout', got 'bootstrap'"),
        ({"resampling": "5x2cv"}, "5 repeats of 2 folds, got repeats=10"),
        ({"resampling": "5x2cv", "repeats": 5, "paired": False}, "same splits"),
        ({"resampling": "repeated k-fold"}, "test_fraction must lie between 0 and 1"),
        ({"resampling": "repeated k-fold", "test_fraction": 0.3}, "1 / k, such as 0.1, got 0.3"),
        ({"resampling": "holdout", "repeats": 9}, "test_fraction"),
        ({"test_fraction": 0.1}, "belongs to 'repeated k-fold' and 'holdout', got 0.1"),
    ],
)
def test_what_is_no_design_is_refused(options, message):
    with pytest.raises(StatisticsError, match=message):
        Design(**options)


def test_recommend_takes_designs_and_levels_only():
    with pytest.raises(StatisticsError, match="must be a stats"):
        recommend({"treatments": 2})
    with pytest.raises(StatisticsError, match="between 0 and 1"):
        recommend(Design(), level=5)
