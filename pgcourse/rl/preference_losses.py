"""Losses of comparisons: a reward model from pairs (Bradley-Terry), and policies from pairs without one.

Elementwise over pairs or responses, [...] to [...]; the mean over them is the loss. log-probabilities are those of
whole responses, Σ_t log π(y_t | x, y_<t), and `ref_...` those of the reference, which are data. h stands for
log π_θ(y|x) - log π_ref(y|x).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry_loss(chosen: Tensor, rejected: Tensor, margin: float = 0.0, centering: float = 0.0) -> Tensor:
    """-log σ(r_chosen - r_rejected - margin) + centering · (r_chosen + r_rejected)².

    The first term is minus the log-likelihood where P(chosen ≻ rejected) = σ(r_chosen - r_rejected): Bradley & Terry
    (1952), and Ouyang et al. (2022), eq. 1. It sees differences alone. The second keeps the level near 0, which the
    first leaves free (Eisenstein et al., 2024).
    """
    _same(chosen=chosen, rejected=rejected)
    loss = -logsigmoid(chosen - rejected - margin)
    return loss + centering * (chosen + rejected).square() if centering else loss


def dpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    beta: float,
    label_smoothing: float = 0.0,
) -> Tensor:
    """-(1-ε) log σ(β (h_chosen - h_rejected)) - ε log σ(-β (h_chosen - h_rejected)). Rafailov et al. (2023), eq. 7.

    The Bradley-Terry loss of the reward β h, which is that whose KL-regularised optimum is π_θ (`kl_optimum`). With
    label smoothing ε a part of the labels counts as wrong (Mitchell, 2023).
    """
    margin = beta * _log_ratio_difference(chosen, rejected, ref_chosen, ref_rejected)
    loss = -logsigmoid(margin)
    return (1 - label_smoothing) * loss - label_smoothing * logsigmoid(-margin) if label_smoothing else loss


def ipo_loss(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, beta: float) -> Tensor:
    """(h_chosen - h_rejected - 1/(2β))². Azar et al. (2024), eq. 17.

    The margin has a target, where DPO's grows without bound on pairs whose order is certain. As in the paper h are sums
    over tokens; the TRL library divides each by its response's length, which is done here by dividing the arguments.
    """
    return (_log_ratio_difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)).square()


def kto_loss(
    log_prob: Tensor,
    ref_log_prob: Tensor,
    desirable: Tensor,
    kl: Tensor,
    beta: float,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """w (1 - σ(β (h - z))) of a desirable response, w (1 - σ(β (z - h))) of an undesirable one.

    Ethayarajh et al. (2024), section 4: single responses with a thumb up or down instead of pairs. z is `kl`, an
    estimate of KL(π_θ ‖ π_ref), cut below at 0 and without gradient: see `kto_reference`.
    """
    _same(log_prob=log_prob, ref_log_prob=ref_log_prob, desirable=desirable)
    gap = beta * (log_prob - ref_log_prob - kl.detach().clamp_min(0))
    loss = 1 - torch.where(desirable, gap, -gap).sigmoid()
    return torch.where(desirable, desirable_weight, undesirable_weight) * loss


def kto_reference(log_prob: Tensor, ref_log_prob: Tensor) -> Tensor:
    """z of KTO: max(0, mean h), [seed, response] to [seed, 1]. Ethayarajh et al. (2024), section 4.

    Over responses that belong to other prompts of the batch, so that z does not move with the responses it is held
    against.
    """
    _same(log_prob=log_prob, ref_log_prob=ref_log_prob)
    return (log_prob - ref_log_prob).detach().mean(-1, keepdim=True).clamp_min(0)


def _log_ratio_difference(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor) -> Tensor:
    """h_chosen - h_rejected."""
    _same(chosen=chosen, rejected=rejected, ref_chosen=ref_chosen, ref_rejected=ref_rejected)
    return (chosen - ref_chosen.detach()) - (rejected - ref_rejected.detach())


def _same(**tensors: Tensor) -> None:
    """Raise ValueError for tensors of unlike shapes."""
    (first, reference), *rest = tensors.items()
    for name, other in rest:
        if other.shape != reference.shape:
            raise ValueError(f"{name} must have the shape of {first}, {list(reference.shape)}; got {list(other.shape)}")
