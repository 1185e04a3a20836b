"""A numerical check of the policy gradient theorem: one gradient computed in four independent ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pgcourse.core import Streams
from pgcourse.exact.estimators import episode_gradients, reward_to_go_weight
from pgcourse.exact.mdp import TabularMDP
from pgcourse.exact.sampling import batch_errors, rollouts_in_parts, z_scores
from pgcourse.rl.trajectory import Trajectory
from pgcourse.stats import z_threshold

BLOCKS = 32  # independent parts of the sample, by whose spread the slope's error is known
STEP = 1e-4  # of the finite differences: rounding 1e-16/h and truncation h⁴ both far below the tolerance


@dataclass(frozen=True)
class PolicyGradientCheck:
    """What `check_policy_gradient` found. Relative errors are ‖difference‖ / ‖exact‖, the largest over the seeds.

    Attributes:
        exact: d_π(s) π(a|s) A_π(s, a) by linear solves, [seed, parameter].
        autograd_error: of differentiating J = ρ₀ᵀ (I - γP_π)⁻¹ r_π through the solve.
        difference_error: of central differences of J.
        estimate, standard_error: Monte Carlo, [seed, parameter].
        max_z: largest |estimate - exact| / standard error.
        z_threshold: what `max_z` has to stay below (see `pgcourse.stats.z_threshold`).
        batch_sizes: n, [size].
        error: root mean square of ‖ĝ_n - exact‖ / ‖exact‖ over batches of n episodes, [seed, size].
        slope, slope_error: d log error / d log n, mean over the seeds, and its standard error; theory says -1/2.
        tolerance: of the two exact comparisons.
    """

    exact: Tensor
    autograd_error: float
    difference_error: float
    estimate: Tensor
    standard_error: Tensor
    max_z: float
    z_threshold: float
    batch_sizes: Tensor
    error: Tensor
    slope: float
    slope_error: float
    tolerance: float

    @property
    def exact_holds(self) -> bool:
        """Linear solve, autograd and central differences agree."""
        return max(self.autograd_error, self.difference_error) <= self.tolerance

    @property
    def sampling_holds(self) -> bool:
        """The Monte Carlo mean is the exact gradient, and its error falls as 1/√n, both to three standard errors."""
        return self.max_z <= self.z_threshold and abs(self.slope + 0.5) <= 3 * self.slope_error

    @property
    def holds(self) -> bool:
        return self.exact_holds and self.sampling_holds


def check_policy_gradient(
    mdp: TabularMDP,
    theta: Tensor,
    streams: Streams,
    episodes: int = 20_000,
    weight: Callable[[Trajectory, float], Tensor] = reward_to_go_weight,
    tolerance: float = 1e-8,
) -> PolicyGradientCheck:
    """∇J four times: by the theorem, by autograd, by central differences, and from `episodes` sampled episodes a seed.

    `weight(trajectory, gamma)` is the estimator under test (see `pgcourse.exact.estimators`).

    Raises:
        ValueError: too few episodes for a slope, or what `TabularMDP.rollouts` raises.
    """
    block = 2 ** int(math.log2(max(1, episodes // BLOCKS)))
    if block < 32:
        raise ValueError(f"episodes must be {32 * BLOCKS} or more for a slope over batch sizes, got {episodes}")
    theta = theta.detach().to(torch.float64)
    exact = mdp.gradient(theta)
    size = exact.norm(dim=1)
    autograd, difference = _autograd(mdp, theta), _central_difference(mdp, theta)
    parts = rollouts_in_parts(mdp, theta, streams, episodes)
    gradients = torch.cat(
        [episode_gradients(mdp.policy, theta, part, weight(part, mdp.gamma)) for part in parts], 1
    )  # [seed, episode, parameter]
    z = z_scores(gradients, exact)

    batch_sizes = torch.tensor([n for n in (2**k for k in range(block.bit_length())) if block // 64 < n <= block])
    whole = gradients[:, : episodes // block * block]  # [seed, block · episode, parameter]
    square_error = torch.stack([_block_errors(whole, exact, int(n), block) for n in batch_sizes], -1)
    slope, slope_error = _jackknife(lambda blocks: _slope(batch_sizes, blocks.mean(1)), square_error)
    return PolicyGradientCheck(
        exact=exact,
        autograd_error=((autograd - exact).norm(dim=1) / size).max().item(),
        difference_error=((difference - exact).norm(dim=1) / size).max().item(),
        estimate=gradients.mean(1),
        standard_error=gradients.std(1) / math.sqrt(episodes),
        max_z=z.abs().max().item(),
        z_threshold=z_threshold(int((gradients.std(1) > 0).sum())),
        batch_sizes=batch_sizes,
        error=square_error.mean(1).sqrt(),
        slope=slope,
        slope_error=slope_error,
        tolerance=tolerance,
    )


def _autograd(mdp: TabularMDP, theta: Tensor) -> Tensor:
    theta = theta.clone().requires_grad_()
    return torch.autograd.grad(mdp.objective(theta).sum(), theta)[0]


@torch.no_grad()
def _central_difference(mdp: TabularMDP, theta: Tensor) -> Tensor:
    """[8 (J(θ+h) - J(θ-h)) - (J(θ+2h) - J(θ-2h))] / 12h along every parameter: the error is O(h⁴)."""
    shifts = STEP * torch.eye(theta.shape[1], dtype=theta.dtype)

    def difference(width: int) -> Tensor:
        ends = [(theta.unsqueeze(1) + sign * width * shifts).flatten(0, 1) for sign in (1, -1)]
        return (mdp.objective(ends[0]) - mdp.objective(ends[1])).view(theta.shape)

    return (8 * difference(1) - difference(2)) / (12 * STEP)


def _block_errors(gradients: Tensor, exact: Tensor, size: int, block: int) -> Tensor:
    """Mean square relative error of batches of `size` episodes, for each block of the sample, [seed, block]."""
    return batch_errors(gradients, exact, size).square().unflatten(1, (-1, block // size)).mean(2)


def _slope(batch_sizes: Tensor, square_error: Tensor) -> float:
    """Least-squares slope of log root-mean-square error on log n, mean over the seeds; [seed, size]."""
    x = batch_sizes.to(square_error.dtype).log()
    x = x - x.mean()
    return float((0.5 * square_error.log() @ x / x.square().sum()).mean())


def _jackknife(statistic: Callable[[Tensor], float], sample: Tensor) -> tuple[float, float]:
    """A statistic of [seed, block, ...] and its standard error over the blocks. Efron & Tibshirani (1993), ch. 11."""
    blocks = sample.shape[1]
    without = torch.tensor([statistic(torch.cat([sample[:, :i], sample[:, i + 1 :]], 1)) for i in range(blocks)])
    return statistic(sample), float(without.std(correction=0) * math.sqrt(blocks - 1))
