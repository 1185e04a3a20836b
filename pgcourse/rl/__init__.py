"""The mathematics of policy gradients: pure functions."""

from pgcourse.rl.advantages import (
    Samples,
    explained_variance,
    gae,
    judged,
    leave_one_out_mean,
    n_step_advantage,
    standardized,
    td_residual,
)
from pgcourse.rl.groups import group_advantage
from pgcourse.rl.returns import discounted_return, reward_to_go
from pgcourse.rl.rewards import RewardScale
from pgcourse.rl.tokens import aggregated, policy_log_ratio, token_gae, token_reward
from pgcourse.rl.trajectory import Trajectory

__all__ = [
    "RewardScale",
    "Samples",
    "Trajectory",
    "aggregated",
    "discounted_return",
    "explained_variance",
    "gae",
    "group_advantage",
    "judged",
    "leave_one_out_mean",
    "n_step_advantage",
    "policy_log_ratio",
    "reward_to_go",
    "standardized",
    "td_residual",
    "token_gae",
    "token_reward",
]
