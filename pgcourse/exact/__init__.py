"""Finite MDPs whose values and gradients are computed exactly, and gradient estimators compared with them."""

from pgcourse.exact.bounds import Penalty, fisher, performance_difference, surrogate_gain, surrogate_penalty
from pgcourse.exact.builders import Gridworld, cliff_gridworld, corridor, ledge, random_mdp, two_state_chain
from pgcourse.exact.estimators import (
    at,
    episode_gradients,
    gae_weight,
    n_step_weight,
    optimal_baseline,
    optimal_return_baseline,
    reward_to_go_weight,
    scores,
    table_weight,
    total_return_weight,
)
from pgcourse.exact.ledger import Estimator, Ledger, catalogue, ledger
from pgcourse.exact.mdp import Optimum, TabularMDP
from pgcourse.exact.sampling import independent_batches, z_scores
from pgcourse.exact.theorem import PolicyGradientCheck, check_policy_gradient
from pgcourse.exact.variance import (
    GradientMoments,
    gae_moments,
    least_variance_baseline,
    table_moments,
    total_return_moments,
    variance_ratio,
)

__all__ = [
    "Estimator",
    "GradientMoments",
    "Gridworld",
    "Ledger",
    "Optimum",
    "Penalty",
    "PolicyGradientCheck",
    "TabularMDP",
    "at",
    "catalogue",
    "check_policy_gradient",
    "cliff_gridworld",
    "corridor",
    "episode_gradients",
    "fisher",
    "gae_moments",
    "gae_weight",
    "independent_batches",
    "least_variance_baseline",
    "ledge",
    "ledger",
    "n_step_weight",
    "optimal_baseline",
    "optimal_return_baseline",
    "performance_difference",
    "random_mdp",
    "reward_to_go_weight",
    "scores",
    "surrogate_gain",
    "surrogate_penalty",
    "table_moments",
    "table_weight",
    "total_return_moments",
    "total_return_weight",
    "two_state_chain",
    "variance_ratio",
    "z_scores",
]
