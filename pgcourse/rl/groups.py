"""Advantages without a critic: several responses to one prompt are each other's baseline."""

from __future__ import annotations

from torch import Tensor

BASELINES = ("leave_one_out", "group", "batch")
SCALES = ("none", "group", "batch")


def group_advantage(score: Tensor, baseline: str = "leave_one_out", scale: str = "none", eps: float = 1e-4) -> Tensor:
    """A = (score - b) / (σ + eps), or score - b where `scale` is `none`: [seed, prompt, response] to the same.

    | method | b | σ | |
    | --- | --- | --- | --- |
    | RLOO | `leave_one_out`, the mean of the prompt's other responses | `none` | Kool et al. (2019) |
    | GRPO | `group`, the mean of all the prompt's responses | `group` | Shao et al. (2024), section 4.1.2 |
    | Dr. GRPO | `group` | `none` | Liu et al. (2025) |
    | REINFORCE++ | `batch`, the mean of all the seed's responses | `batch` | Hu et al. (2025) |
    | REINFORCE++ with a baseline | `group` | `batch` | Hu et al. (2025) |

    The leave-one-out baseline knows nothing of the response itself, so that the policy gradient's mean stays. The
    group's mean contains it: in the mean the gradient is (G-1)/G of the right one, with G responses to a prompt.
    Standard deviations are those of samples (G-1 in the denominator). Where all scores that are compared are equal,
    advantages are exactly 0, and nothing is learned.

    Raises:
        ValueError: scores that are not [seed, prompt, response], fewer than two responses to compare, or another word
            for `baseline` or `scale`.
    """
    if score.ndim != 3:
        raise ValueError(f"score must be [seed, prompt, response], got shape {list(score.shape)}")
    if baseline not in BASELINES or scale not in SCALES:
        raise ValueError(
            f"baseline must be one of {', '.join(BASELINES)} and scale one of {', '.join(SCALES)}, "
            f"got {baseline!r} and {scale!r}"
        )
    responses = score.shape[2]
    compared = score[0].numel() if baseline == "batch" and scale != "group" else responses
    if compared < 2:
        raise ValueError(f"two responses to a prompt or more are needed to compare, got {responses}")
    # Equal scores give exactly 0. Their mean has a rounding error that σ + eps blows up; their differences have none.
    in_batch, in_group = score - score[:, :1, :1], score - score[..., :1]
    if baseline == "batch":
        advantage = in_batch - in_batch.mean((1, 2), keepdim=True)
    else:
        advantage = in_group - in_group.mean(2, keepdim=True)
        if baseline == "leave_one_out":
            advantage = advantage * (responses / (responses - 1))
    if scale == "none":
        return advantage
    std = in_group.std(2, keepdim=True) if scale == "group" else in_batch.std((1, 2), keepdim=True)
    return advantage / (std + eps)
