"""From numbers to intervals: aggregates, confidence intervals, tests of differences, how many seeds one needs."""

from pgcourse.stats.bootstrap import (
    Improvement,
    bootstrap_interval,
    performance_profile,
    probability_of_improvement,
    stratified_interval,
)
from pgcourse.stats.intervals import Interval, mean_interval, standard_error, student_t
from pgcourse.stats.iqm import iqm, optimality_gap, task_median
from pgcourse.stats.power import seeds_needed, welch_power
from pgcourse.stats.tables import mean_over_training, on_common_steps, sample_efficiency, score_matrix
from pgcourse.stats.tests import MeanDifference, effects, permutation_test, welch_test, z_threshold

__all__ = [
    "Improvement",
    "Interval",
    "MeanDifference",
    "bootstrap_interval",
    "effects",
    "iqm",
    "mean_interval",
    "mean_over_training",
    "on_common_steps",
    "optimality_gap",
    "performance_profile",
    "permutation_test",
    "probability_of_improvement",
    "sample_efficiency",
    "score_matrix",
    "seeds_needed",
    "standard_error",
    "stratified_interval",
    "student_t",
    "task_median",
    "welch_power",
    "welch_test",
    "z_threshold",
]
