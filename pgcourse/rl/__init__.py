"""The mathematics of policy gradients: pure functions."""

from pgcourse.rl.estimators import episode_gradients, scores
from pgcourse.rl.mdp import Gridworld, TabularMDP, cliff_gridworld, corridor, random_mdp, two_state_chain
from pgcourse.rl.returns import (
    discounted_return,
    gae,
    leave_one_out_mean,
    n_step_advantage,
    reward_to_go,
    td_residual,
)
from pgcourse.rl.theorem import PolicyGradientCheck, check_policy_gradient
from pgcourse.rl.trajectory import Trajectory

__all__ = [
    "Gridworld",
    "PolicyGradientCheck",
    "TabularMDP",
    "Trajectory",
    "check_policy_gradient",
    "cliff_gridworld",
    "corridor",
    "discounted_return",
    "episode_gradients",
    "gae",
    "leave_one_out_mean",
    "n_step_advantage",
    "random_mdp",
    "reward_to_go",
    "scores",
    "td_residual",
    "two_state_chain",
]
