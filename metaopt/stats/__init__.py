"""Statistics for comparing strategies and models: arrays in, numbers out.

Importing it loads numpy alone; scipy is loaded by the functions that need it. All functions assume
minimisation where the direction matters.

- Which test: `Design`, `recommend`, `power`; the table that `recommend` picks from is
  `PLANNED_TESTS`.
- Two treatments by pairs: `wilcoxon`, `paired_t`, `permutation`, `sign_test`, `smallest_p`,
  `fewest_pairs`; without pairs: `rank_sum`.
- Repeats added one by one, with a look after each: `sequential_signed_rank`,
  `sequential_against_control`, `sequential_interval`.
- Two treatments on several problems: `stratified_signed_rank`, `van_elteren`,
  `signed_rank_of_wins`, `win_shares`.
- Two models on resampled data: `corrected_t`, `repeated_kfold_t`, `five_by_two_f`; models on one
  test set: `mcnemar`, `cochran_q`.
- With a region of practical equivalence: `correlated_t`, `bayes_signed_rank`.
- Many treatments by blocks: `block_ranks`, `mean_ranks`, `friedman`, `friedman_permutation`; which
  of them differ: `pairwise`, `against_control`, `nemenyi`, `conover`, `rank_z`, `holm`,
  `holm_levels`, `shaffer`, `shaffer_levels`, `critical_groups`, `groups_of`,
  `critical_difference`.
- Effects: `a12`, `cliffs_delta`, `magnitude`, `median_difference`, `shift`. Intervals that hold
  their level with few values: `median_interval`, `median_difference_interval`, `shift_interval`,
  `a12_interval`, `wins`, `rank_biserial`; of any other statistic `bootstrap`, `bootstrap_two`.
- Convergence: `best_so_far`, `at_times`, `band`, `area`, `rank_over_time`, `runtimes`,
  `runtime_distribution`, `expected_runtime`, `performance_profile`.
- Few repeats of many problems: `interquartile_mean`, `improvement`.
- Problems as a sample of their kind: `hierarchical`, `random_effects`.
- Hidden test values of a search: `overtuning`.
"""

from metaopt.core.errors import StatisticsError
from metaopt.stats.aggregate import Improvement, improvement, interquartile_mean
from metaopt.stats.anytime import (
    Profile,
    RuntimeDistribution,
    area,
    expected_runtime,
    performance_profile,
    rank_over_time,
    runtime_distribution,
    runtimes,
)
from metaopt.stats.bayes import Posterior, bayes_signed_rank, correlated_t
from metaopt.stats.corrected_t import FiveByTwo, corrected_t, five_by_two_f, repeated_kfold_t
from metaopt.stats.critical_difference import CriticalDifference, critical_groups, groups_of
from metaopt.stats.curves import Band, at_times, band, best_so_far
from metaopt.stats.design import Design, PlannedTest, Recommendation
from metaopt.stats.effect import (
    Interval,
    a12,
    bootstrap,
    bootstrap_two,
    cliffs_delta,
    magnitude,
    median_difference,
    shift,
)
from metaopt.stats.friedman import (
    AgainstControl,
    Friedman,
    against_control,
    block_ranks,
    friedman,
    holm,
    holm_levels,
    mean_ranks,
)
from metaopt.stats.hierarchical import OverProblems, hierarchical
from metaopt.stats.location_intervals import (
    median_difference_interval,
    median_interval,
    shift_interval,
)
from metaopt.stats.mcnemar import CochranQ, McNemar, cochran_q, mcnemar
from metaopt.stats.overtuning import Overtuning, overtuning
from metaopt.stats.paired import SignTest, TTest, paired_t, sign_test
from metaopt.stats.permutation import PermutationTest, friedman_permutation, permutation
from metaopt.stats.planned_tests import PLANNED_TESTS
from metaopt.stats.posthoc import (
    Pair,
    Pairwise,
    conover,
    critical_difference,
    nemenyi,
    pairwise,
    rank_z,
)
from metaopt.stats.power import Power, power
from metaopt.stats.random_effects import Mixture, RandomEffects, random_effects
from metaopt.stats.rank_sum import RankSum, rank_sum
from metaopt.stats.recommend import recommend
from metaopt.stats.sequential import (
    Look,
    sequential_against_control,
    sequential_interval,
    sequential_signed_rank,
)
from metaopt.stats.shaffer import shaffer, shaffer_levels
from metaopt.stats.signed_rank import Wilcoxon, fewest_pairs, smallest_p, wilcoxon
from metaopt.stats.stratified import (
    VanElteren,
    signed_rank_of_wins,
    stratified_signed_rank,
    van_elteren,
    win_shares,
)
from metaopt.stats.superiority_intervals import a12_interval, rank_biserial, wins

__all__ = [
    "PLANNED_TESTS",
    "AgainstControl",
    "Band",
    "CochranQ",
    "CriticalDifference",
    "Design",
    "FiveByTwo",
    "Friedman",
    "Improvement",
    "Interval",
    "Look",
    "McNemar",
    "Mixture",
    "OverProblems",
    "Overtuning",
    "Pair",
    "Pairwise",
    "PermutationTest",
    "PlannedTest",
    "Posterior",
    "Power",
    "Profile",
    "RandomEffects",
    "RankSum",
    "Recommendation",
    "RuntimeDistribution",
    "SignTest",
    "StatisticsError",
    "TTest",
    "VanElteren",
    "Wilcoxon",
    "a12",
    "a12_interval",
    "against_control",
    "area",
    "at_times",
    "band",
    "bayes_signed_rank",
    "best_so_far",
    "block_ranks",
    "bootstrap",
    "bootstrap_two",
    "cliffs_delta",
    "cochran_q",
    "conover",
    "corrected_t",
    "correlated_t",
    "critical_difference",
    "critical_groups",
    "expected_runtime",
    "fewest_pairs",
    "five_by_two_f",
    "friedman",
    "friedman_permutation",
    "groups_of",
    "hierarchical",
    "holm",
    "holm_levels",
    "improvement",
    "interquartile_mean",
    "magnitude",
    "mcnemar",
    "mean_ranks",
    "median_difference",
    "median_difference_interval",
    "median_interval",
    "nemenyi",
    "overtuning",
    "paired_t",
    "pairwise",
    "performance_profile",
    "permutation",
    "power",
    "random_effects",
    "rank_biserial",
    "rank_over_time",
    "rank_sum",
    "rank_z",
    "recommend",
    "repeated_kfold_t",
    "runtime_distribution",
    "runtimes",
    "sequential_against_control",
    "sequential_interval",
    "sequential_signed_rank",
    "shaffer",
    "shaffer_levels",
    "shift",
    "shift_interval",
    "sign_test",
    "signed_rank_of_wins",
    "smallest_p",
    "stratified_signed_rank",
    "van_elteren",
    "wilcoxon",
    "win_shares",
    "wins",
]
