"""Returns over [seed, time, env], with `terminated` and `truncated` apart.

A terminated episode is worth nothing more; a truncated one goes on unseen, so its last step bootstraps from the value
of its true successor. The same holds for the last step of a rollout that is cut in the middle of an episode.

All functions raise ValueError for arguments of unlike shapes (which would broadcast to a wrong number) and for γ
outside [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from pgcourse.rl.trajectory import require


def discounted_return(reward: Tensor, gamma: float, mask: Tensor | None = None) -> Tensor:
    """G_0 = Σ_t γ^t r_t over the time axis: [seed, time, env] to [seed, env]. Sutton & Barto (2018), eq. 3.8.

    One episode a column; `mask` leaves out padding.
    """
    require(reward, gamma=gamma)
    discount = gamma ** torch.arange(reward.shape[1], dtype=reward.dtype, device=reward.device).view(1, -1, 1)
    if mask is not None:
        reward = reward.where(mask, 0.0)
    return (discount * reward).sum(1)


def reward_to_go(
    reward: Tensor, terminated: Tensor, truncated: Tensor, gamma: float, next_value: Tensor | None = None
) -> Tensor:
    """G_t = r_t + γ G_{t+1} up to the episode's end, then γ v(s'). [seed, time, env]. Sutton & Barto (2018), eq. 3.9.

    `next_value` is v at every step's true successor; it counts only where an episode is truncated or the rollout stops
    in the middle of one. Without it what was not seen counts as 0: the return of the time-limited episode.
    """
    require(reward, terminated=terminated, truncated=truncated, next_value=next_value, gamma=gamma)
    unseen = torch.zeros_like(reward) if next_value is None else next_value.where(~terminated, 0.0)
    ends = terminated | truncated
    ret = torch.empty_like(reward)
    after = unseen[:, -1]
    for t in reversed(range(reward.shape[1])):
        after = reward[:, t] + gamma * torch.where(ends[:, t], unseen[:, t], after)
        ret[:, t] = after
    return ret
