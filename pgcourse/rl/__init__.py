"""The mathematics of policy gradients: pure functions."""

from pgcourse.rl.comparison import Estimator, Ledger, catalogue, ledger
from pgcourse.rl.estimators import (
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
from pgcourse.rl.mdp import Gridworld, Optimum, TabularMDP, cliff_gridworld, corridor, random_mdp, two_state_chain
from pgcourse.rl.moments import (
    GradientMoments,
    gae_moments,
    least_variance_baseline,
    table_moments,
    total_return_moments,
)
from pgcourse.rl.returns import discounted_return, gae, leave_one_out_mean, n_step_advantage, reward_to_go, td_residual
from pgcourse.rl.sampling import z_scores, z_threshold
from pgcourse.rl.theorem import PolicyGradientCheck, check_policy_gradient
from pgcourse.rl.trajectory import Trajectory
from pgcourse.rl.trust import Penalty, fisher, ledge, performance_difference, surrogate_gain, surrogate_penalty

__all__ = [
    "Estimator",
    "GradientMoments",
    "Gridworld",
    "Ledger",
    "Optimum",
    "Penalty",
    "PolicyGradientCheck",
    "TabularMDP",
    "Trajectory",
    "at",
    "catalogue",
    "check_policy_gradient",
    "cliff_gridworld",
    "corridor",
    "discounted_return",
    "episode_gradients",
    "fisher",
    "gae",
    "gae_moments",
    "gae_weight",
    "least_variance_baseline",
    "leave_one_out_mean",
    "ledge",
    "ledger",
    "n_step_advantage",
    "n_step_weight",
    "optimal_baseline",
    "optimal_return_baseline",
    "performance_difference",
    "random_mdp",
    "reward_to_go",
    "reward_to_go_weight",
    "scores",
    "surrogate_gain",
    "surrogate_penalty",
    "table_moments",
    "table_weight",
    "td_residual",
    "total_return_moments",
    "total_return_weight",
    "two_state_chain",
    "z_scores",
    "z_threshold",
]
