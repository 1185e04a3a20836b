"""A model of what raters prefer, which is what the policy will be trained on: the proxy for what is really wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pgcourse.algorithms.options import check, option
from pgcourse.core import Streams
from pgcourse.core.adam import Adam, clipped, gradient
from pgcourse.rl.preference_losses import bradley_terry_loss
from pgcourse.rlhf.corpus import PAD
from pgcourse.rlhf.gpt import GPT, ScalarHead
from pgcourse.rlhf.preferences import Comparisons
from pgcourse.rlhf.pretraining import REVIEWERS, Learned


@dataclass(frozen=True)
class RewardModel:
    """r_ψ(x, y): the number that a GPT with a scalar head says at the response's last token."""

    network: ScalarHead
    psi: Tensor  # [seed, parameter]

    def __call__(self, prompt: Tensor, response: Tensor) -> Tensor:
        """[seed, row, token] to [seed, row]."""
        length = int((response != PAD).sum(-1).max())  # what stands behind is padding in every row
        ids = torch.cat([prompt, response[:, :, :length]], 2)
        last = (ids != PAD).sum(-1, keepdim=True) - 1
        return self.network(self.psi, ids).gather(-1, last).squeeze(-1)

    def of(
        self, seeds: Sequence[int], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> RewardModel:
        """Those of these seeds. Raises `ValueError` for a seed that has none."""
        if strange := [seed for seed in seeds if seed >= len(self.psi)]:
            raise ValueError(f"there are reward models of seeds 0 to {len(self.psi) - 1}, none of {strange[0]}")
        return replace(self, psi=self.psi[list(seeds)].to(device, dtype))


@dataclass(frozen=True)
class RewardModelling:
    """The Bradley-Terry loss of comparisons is made small by Adam, from a language model's trunk on.

    The head's weights start normal with variance 1/(width + 1), as those of Stiennon et al. (2020); the step size
    falls linearly to 0.
    """

    pairs: int = option(2_048, "comparisons to learn from", low=1)
    temperature: float = option(0.5, "of the rater: P(a ≻ b) = σ((gold(a) - gold(b)) / temperature)", above=0)
    hot_share: float = option(0.25, "part of the comparisons that is sampled at a higher temperature", low=0, high=1)
    hot_temperature: float = option(1.5, "and that temperature of the model", above=0)
    epochs: int = option(3, "passes over the comparisons", low=1)
    batch: int = option(32, "comparisons of a step", low=1)
    lr: float = option(2e-3, "Adam's step size at first", above=0)
    max_grad_norm: float = option(1.0, "clip gradients to this norm", above=0, infinite=True)

    def __post_init__(self) -> None:
        check(self)

    @property
    def steps(self) -> int:
        return self.epochs * (self.pairs // self.batch)

    def training(
        self, trunk: Tensor, pairs: Comparisons, streams: Streams, model: GPT = REVIEWERS
    ) -> Iterator[Learned]:
        """Every step; `trunk` is θ of the language model, [seed, parameter]."""
        network = ScalarHead(model)
        head = streams.child("head").normal(model.width) / (model.width + 1) ** 0.5
        psi = network.on(trunk, head)
        adam, number, orders = Adam(self.lr), 0, streams.child("order")
        learning = adam.init(psi)
        both = torch.stack([pairs.chosen, pairs.rejected])
        for _ in range(self.epochs):
            order = orders.uniform(pairs.prompt.shape[1]).argsort(1)
            for rows in order[:, : self.batch * (pairs.prompt.shape[1] // self.batch)].split(self.batch, 1):
                at = rows.unsqueeze(-1)
                prompt = pairs.prompt.gather(1, at.expand(-1, -1, pairs.prompt.shape[2]))
                chosen, rejected = (x.gather(1, at.expand(-1, -1, x.shape[2])) for x in both)
                psi = psi.detach().requires_grad_()
                score = RewardModel(network, psi)(torch.cat([prompt, prompt], 1), torch.cat([chosen, rejected], 1))
                loss = bradley_terry_loss(score[:, : rows.shape[1]], score[:, rows.shape[1] :]).mean(1)
                (step,), _ = clipped(gradient(loss, psi), self.max_grad_norm)
                psi, learning = adam.step(psi, step, learning, 1 - number / self.steps)
                number += 1
                yield Learned(psi.detach(), loss.detach())


@torch.no_grad()
def standardized_reward(reward: RewardModel, prompt: Tensor, response: Tensor) -> RewardModel:
    """The same with mean 0 and standard deviation 1 over these responses, which should be the reference policy's.

    Comparisons leave a reward's level free, and its scale depends on how sure the raters are.
    """
    std, mean = torch.std_mean(reward(prompt, response), 1)
    return replace(reward, psi=reward.network.standardized(reward.psi, mean, std))
