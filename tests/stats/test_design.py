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
        # Demsar (2006): over data sets, signed ranks for two and Friedman for more; a pair is
        # judged by its own values (Benavoli et al. 2016).
        (Design(2, 14), ("signed_rank_of_wins", "bayes_signed_rank"), "problem", 14),
        (Design(4, 24), ("friedman", "pairwise", "signed_rank_of_wins"), "problem", 24),
        (
            Design(4, 14),
            ("friedman_permutation", "pairwise", "signed_rank_of_wins"), "problem", 14,
        ),
        # Few problems are strata.
        (
            Design(3, 8),
            ("friedman", "pairwise", "stratified_signed_rank"), "repeat of a problem", 80,
        ),
        (Design(2, 5, 4, paired=False), ("van_elteren",), "repeat of a problem", 20),
        (Design(2, 1, 10), ("wilcoxon",), "repeat", 10),
        (Design(4, 1, 12), ("friedman_permutation", "pairwise"), "repeat", 12),
        (Design(4, 1, 30), ("friedman", "pairwise"), "repeat", 30),
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
    assert found.effects == ("wins", "median_difference")
    assert recommend(Design(5, 1, 8, control=True)).enough
    alone = recommend(Design(2, 1, 1))
    assert "interval" not in alone.advice and alone.advice.startswith("1 paired repeat cannot")
    loose = recommend(Design(2, 1, 3, paired=False))
    assert "at least 4 are needed" in loose.advice and "shift" in loose.effects


def test_too_few_problems_are_tested_each_on_its_own_under_one_correction():
    folds = {"resampling": "repeated k-fold", "test_fraction": 0.1}
    found = recommend(Design(3, 4, 10, **folds))
    assert found.unit == "split" and found.enough
    assert found.correction.startswith("Holm (1979) over all 12 comparisons of 4 problems")
    assert found.tests == ("pairwise", "repeated_kfold_t", "correlated_t", "holm")
    assert "needs at least 10 problems" in found.advice and "there are 4" in found.advice


def test_strata_need_so_many_repeats_that_all_together_can_reject():
    assert not recommend(Design(3, 4, 1)).enough
    assert "at least 2 are needed" in recommend(Design(3, 4, 1)).advice
    assert recommend(Design(3, 4, 2)).enough  # 8 differences, 3 comparisons


@given(designs)
def test_a_recommended_rank_test_can_reject_after_its_correction(design):
    found = recommend(design)
    if found.pairs is None or found.pairs.smallest_p is None:
        return
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
