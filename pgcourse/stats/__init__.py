"""From numbers to intervals: aggregates, confidence intervals, tests of differences, how many seeds one needs."""

from pgcourse.stats.bootstrap import (
    Improvement,
    bootstrap_interval,
    performance_profile,
    probability_of_improvement,
    stratified_interval,
)
from pgcourse.stats.few_seeds import (
    Optimism,
    Share,
    coverage,
    disagreeing,
    false_winners,
    mean_share,
    order_weights,
    right_rankings,
    tuning_optimism,
)
from pgcourse.stats.intervals import Interval, mean_interval, standard_error, student_t
from pgcourse.stats.iqm import iqm, optimality_gap, task_median
from pgcourse.stats.power import paired_power, plan, seeds_needed, welch_power
from pgcourse.stats.sequential import Decision, adastop
from pgcourse.stats.tables import mean_over_training, on_common_steps, sample_efficiency, score_matrix
from pgcourse.stats.tests import MeanDifference, effects, holm, paired_test, permutation_test, welch_test, z_threshold

__all__ = [
    "Decision",
    "Improvement",
    "Interval",
    "MeanDifference",
    "Optimism",
    "Share",
    "adastop",
    "bootstrap_interval",
    "coverage",
    "disagreeing",
    "effects",
    "false_winners",
    "holm",
    "iqm",
    "mean_interval",
    "mean_over_training",
    "mean_share",
    "on_common_steps",
    "optimality_gap",
    "order_weights",
    "paired_power",
    "paired_test",
    "performance_profile",
    "permutation_test",
    "plan",
    "probability_of_improvement",
    "right_rankings",
    "sample_efficiency",
    "score_matrix",
    "seeds_needed",
    "standard_error",
    "stratified_interval",
    "student_t",
    "task_median",
    "tuning_optimism",
    "welch_power",
    "welch_test",
    "z_threshold",
]
