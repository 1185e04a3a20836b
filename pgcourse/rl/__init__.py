"""The mathematics of policy gradients: pure functions."""

from pgcourse.rl.advantages import gae, leave_one_out_mean, n_step_advantage, td_residual
from pgcourse.rl.returns import discounted_return, reward_to_go
from pgcourse.rl.trajectory import Trajectory

__all__ = [
    "Trajectory",
    "discounted_return",
    "gae",
    "leave_one_out_mean",
    "n_step_advantage",
    "reward_to_go",
    "td_residual",
]
