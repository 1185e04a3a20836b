"""How far a policy is from its reference: estimators of KL(π_θ ‖ π_ref) from samples of π_θ, and its exact value.

With d = log π_θ(a|s) - log π_ref(a|s) of a sampled action or token, Schulman (2020), "Approximating KL divergence":

    k1 = d                   unbiased, of either sign
    k2 = ½ d²                biased, never negative
    k3 = exp(-d) - 1 + d     unbiased, never negative

An estimate of a value is not yet an estimate of its gradient. Differentiated with the samples held fixed, on-policy and
in the mean, k1 gives 0, k2 the gradient of KL(π_θ ‖ π_ref), and k3 that of KL(π_ref ‖ π_θ). Everything is elementwise,
except `full_kl` and `kl_optimum`, which sum over the last axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def k1(log_prob: Tensor, ref_log_prob: Tensor) -> Tensor:
    """d = log π_θ - log π_ref."""
    return log_prob - ref_log_prob


def k2(log_prob: Tensor, ref_log_prob: Tensor) -> Tensor:
    """½ d²."""
    return 0.5 * (log_prob - ref_log_prob).square()


def k3(log_prob: Tensor, ref_log_prob: Tensor) -> Tensor:
    """exp(-d) - 1 + d. The ratio is π_ref / π_θ, that of the other measure to the one which sampled."""
    d = log_prob - ref_log_prob
    return torch.expm1(-d) + d


ESTIMATORS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"k1": k1, "k2": k2, "k3": k3}


def kl_loss(log_prob: Tensor, ref_log_prob: Tensor, estimator: str, ratio: Tensor | None = None) -> Tensor:
    """An estimate of KL(π_θ ‖ π_ref) as a term of a loss; with `ratio` = π_θ / π_old right after further passes, too.

    Samples come from π_old. Without a ratio this is the bare estimator, whose gradient is the one said above on-policy
    and another one as π_θ moves away. With it the gradient is that of KL(π_θ ‖ π_ref) in the mean, whichever is chosen:
    r k1 and r k3 are unbiased in value, so that their gradient, r's included, is that of the value (DeepSeek-AI, 2025,
    for k3); k2 has the right gradient already and is weighted by r without r's gradient.

    Raises:
        ValueError: an estimator that is not k1, k2 or k3.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}")
    estimate = ESTIMATORS[estimator](log_prob, ref_log_prob)
    if ratio is None:
        return estimate
    return (ratio.detach() if estimator == "k2" else ratio) * estimate


def full_kl(log_probs: Tensor, ref_log_probs: Tensor) -> Tensor:
    """KL(π_θ ‖ π_ref) = Σ_v π_θ(v) (log π_θ(v) - log π_ref(v)), exactly: [..., vocabulary] to [...].

    Both arguments are normalised (log-softmax). Tokens of probability 0 under π_θ count 0, whatever the reference says.
    """
    prob = log_probs.exp()
    return (prob * (log_probs - ref_log_probs).where(prob > 0, 0.0)).sum(-1)


def kl_optimum(ref_log_probs: Tensor, reward: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """What maximises E_π[r] - β KL(π ‖ π_ref), and its value: log π* [..., answer] and β log Z [...].

    π*(y) = π_ref(y) exp(r(y) / β) / Z, in closed form over answers that can be enumerated. Rafailov et al. (2023), eq.
    4. Solved for r it is β log π*(y) / π_ref(y) + β log Z, whose differences DPO compares.

    Raises:
        ValueError: β not above 0, where all weight would go to the best answer.
    """
    if not beta > 0:
        raise ValueError(f"beta must be above 0, got {beta}")
    tilted = ref_log_probs + reward / beta
    log_z = tilted.logsumexp(-1)
    return tilted - log_z.unsqueeze(-1), beta * log_z


def _inverted(log_prob: Tensor, ref_log_prob: Tensor) -> Tensor:
    return k3(ref_log_prob, log_prob)


def _negative(log_prob: Tensor, ref_log_prob: Tensor) -> Tensor:
    return k1(ref_log_prob, log_prob)


def _no_grad(log_prob: Tensor, ref_log_prob: Tensor) -> Tensor:
    return k3(log_prob, ref_log_prob).detach()


# Forms in circulation that are wrong, to be recognised by what they do; nothing in this library trains with them.
#   inverted   exp(d) - 1 - d is never negative, so it looks right; its mean is χ² - KL, its gradient that of ½ χ²
#   sign       -d in the place of k1 makes the reward +β d, which pays for leaving the reference
#   no_grad    as a term of a loss it is a number in the log that moves nothing
WRONG_FORMS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "inverted": _inverted,
    "sign": _negative,
    "no_grad": _no_grad,
}
