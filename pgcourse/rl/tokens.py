"""Responses of a language model as episodes: a token is an action, and a response ends with its last token.

Tensors are [seed, response, token], and the mask is True on a response's tokens, its end-of-sequence token included,
and False behind it. Padding may hold anything. All functions raise ValueError for arguments of unlike shapes (which
would broadcast to a wrong number), for a mask that is not boolean, and for a response without a token.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pgcourse.rl.advantages import gae
from pgcourse.rl.objectives import masked_mean, masked_sum

LEVELS = ("token", "sequence", "product")
AGGREGATIONS = ("token", "sequence", "constant")


def token_reward(
    score: Tensor, kl: Tensor, mask: Tensor, beta: float, ended: Tensor | None = None, eos_penalty: float = 0.0
) -> Tensor:
    """r_t = -β kl_t, and at the last token of a response also its score, less a penalty if it did not end by itself.

    Ziegler et al. (2019), eq. 2, written per token; Stiennon et al. (2020), section 3.4. Summed over a response's
    tokens it is score - β Σ_t kl_t, the reward of methods that take the whole response as one action.

    Args:
        score: what the response as a whole is worth, [seed, response].
        kl: an estimate of the divergence from the reference at each token, [seed, response, token]; usually k1 =
            log π_old(a_t|s_t) - log π_ref(a_t|s_t) of `pgcourse.rl.divergences`. No gradient flows through it.
        mask: the tokens, [seed, response, token].
        beta: β, the price of divergence in units of the score per nat.
        ended: whether the response has an end-of-sequence token, [seed, response], instead of being cut at its limit.
        eos_penalty: what is taken from the score of one that has not, in units of the score.
    """
    require_tokens(mask, kl=kl)
    if eos_penalty and ended is None:
        raise ValueError(f"ended must say which responses came to their end, for an eos_penalty of {eos_penalty}")
    for name, x in (("score", score), ("ended", ended)):
        if x is not None and x.shape != mask.shape[:-1]:
            raise ValueError(f"{name} must be [seed, response], {list(mask.shape[:-1])}; got {list(x.shape)}")
    if ended is not None:
        score = score - eos_penalty * (~ended).to(score.dtype)
    paid = -beta * kl.detach().where(mask, 0.0)
    return paid + score.detach().unsqueeze(-1).where(last_token(mask), 0.0)


def token_gae(reward: Tensor, value: Tensor, mask: Tensor, gamma: float, lam: float) -> Tensor:
    """GAE(γ, λ) of `pgcourse.rl.gae` over a response's tokens, 0 on padding; [seed, response, token].

    `value` is v of what stands before each token, the prompt and the tokens so far. Nothing follows the last token,
    also where a response was cut at its limit: the score judges it as it is. λ = 1 with values of 0 is reward to go.
    """
    require_tokens(mask, reward=reward, value=value)
    reward, value = reward.where(mask, 0.0), value.where(mask, 0.0)
    next_value = torch.cat([value[..., 1:], torch.zeros_like(value[..., :1])], -1)
    columns = (x.transpose(1, 2) for x in (reward, value, next_value, last_token(mask)))  # [seed, time, env]
    reward, value, next_value, ends = columns
    return gae(reward, value, next_value, ends, torch.zeros_like(ends), gamma, lam).transpose(1, 2)


def policy_log_ratio(log_prob: Tensor, old_log_prob: Tensor, mask: Tensor, level: str = "token") -> Tensor:
    """log r of each token, r = π_θ / π_old of its `level`; 0 on padding. [seed, response, token].

    * `token`: log π_θ(a_t|s_t) - log π_old(a_t|s_t), as PPO and GRPO have it.
    * `sequence`: the mean of these over the response, the same at all its tokens. GSPO: Zheng et al. (2025), eq. 7.
    * `product`: their sum, the ratio of the whole response's probabilities, as RLOO has it. Ahmadian et al. (2024).
    """
    require_tokens(mask, log_prob=log_prob, old_log_prob=old_log_prob)
    difference = (log_prob - old_log_prob).where(mask, 0.0)
    if level == "token":
        return difference
    total = difference.sum(-1, keepdim=True)
    if level == "sequence":
        total = total / mask.sum(-1, keepdim=True)
    elif level != "product":
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    return total.expand_as(difference).where(mask, 0.0)


def aggregated(loss: Tensor, mask: Tensor, by: str = "token", longest: int | None = None) -> Tensor:
    """One number a seed of a loss per token: [seed, response, token] to [seed].

    * `token`: Σ loss / Σ |y|, every token counts the same. DAPO: Yu et al. (2025), eq. 8; the masked mean of PPO.
    * `sequence`: the mean over responses of their means: a token counts 1/|y|. GRPO: Shao et al. (2024), eq. 3.
    * `constant`: Σ loss / (responses · longest): a long response counts more. Dr. GRPO: Liu et al. (2025).

    `longest` is the limit of a response's length, needed by `constant` alone.
    """
    require_tokens(mask, loss=loss)
    if by == "token":
        return masked_mean(loss, mask)
    if by == "sequence":
        return (loss.where(mask, 0.0).sum(-1) / mask.sum(-1)).mean(1)
    if by != "constant":
        raise ValueError(f"by must be one of {', '.join(AGGREGATIONS)}, got {by!r}")
    if longest is None or longest < int(mask.sum(-1).max()):
        raise ValueError(
            f"longest must be the limit of a response's length, {mask.sum(-1).max()} or more; got {longest}"
        )
    return masked_sum(loss, mask) / (mask.shape[1] * longest)


def last_token(mask: Tensor) -> Tensor:
    """Where a response's last token stands, [..., token]."""
    return mask & (mask.cumsum(-1) == mask.sum(-1, keepdim=True))


def require_tokens(mask: Tensor, **others: Tensor) -> None:
    """Raise ValueError for tensors not shaped like the mask, for one that is not boolean, for an empty response."""
    if mask.dtype != torch.bool or mask.ndim != 3:
        raise ValueError(f"mask must be boolean [seed, response, token], got {mask.dtype} of shape {list(mask.shape)}")
    for name, other in others.items():
        if other.shape != mask.shape:
            raise ValueError(f"{name} must have the mask's shape {list(mask.shape)}, got {list(other.shape)}")
    if not bool(mask.any(-1).all()):
        seed, response = (~mask.any(-1)).nonzero()[0].tolist()
        raise ValueError(f"every response must have a token; response {response} of seed {seed} has none")
