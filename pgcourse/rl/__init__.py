"""The mathematics of policy gradients: pure functions."""

from pgcourse.rl.returns import discounted_return, gae, leave_one_out_mean, reward_to_go, td_residual
from pgcourse.rl.trajectory import Trajectory

__all__ = ["Trajectory", "discounted_return", "gae", "leave_one_out_mean", "reward_to_go", "td_residual"]
