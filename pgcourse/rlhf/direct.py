"""Learning from comparisons without a reward model and without sampling: DPO, IPO and KTO."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.algorithms.options import check, option
from pgcourse.core import Streams
from pgcourse.core.adam import Adam, clipped, gradient
from pgcourse.rl.advantages import minibatches
from pgcourse.rl.preference_losses import dpo_loss, ipo_loss, kto_loss, kto_reference
from pgcourse.rlhf.language import LanguagePolicy
from pgcourse.rlhf.preferences import Comparisons


class Pair(NamedTuple):
    """A minibatch of comparisons, and what the reference thinks of both responses."""

    prompt: Tensor  # [seed, pair, token]
    chosen: Tensor
    rejected: Tensor
    ref_chosen: Tensor  # log π_ref(y|x), [seed, pair]
    ref_rejected: Tensor


class Aligned(NamedTuple):
    """One step along the gradient; all but θ [seed], of the minibatch before the step."""

    theta: Tensor  # [seed, parameter], after it
    loss: Tensor
    accuracy: Tensor  # the part of the pairs whose chosen response has gained more on the reference than the other
    chosen: Tensor  # the mean of log π_θ - log π_ref of the chosen responses, in nats
    rejected: Tensor  # and of the rejected


def _kto(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, beta: float) -> Tensor:
    """Both responses of a pair as single ones, the chosen with a thumb up."""
    good = torch.ones_like(chosen, dtype=torch.bool)
    # A response of another prompt is what z asks for: the pairs are shifted by one.
    others = (x.roll(1, 1) for x in (rejected, ref_rejected))
    z = kto_reference(*others)
    up = kto_loss(chosen, ref_chosen, good, z, beta)
    return (up + kto_loss(rejected, ref_rejected, ~good, z, beta)) / 2


LOSSES: Mapping[str, Callable[..., Tensor]] = {"dpo": dpo_loss, "ipo": ipo_loss, "kto": _kto}


@dataclass(frozen=True)
class DirectAlignment:
    """A loss of comparisons is made small by Adam, with the policy's own log-probabilities in the reward's place."""

    loss: str = option("dpo", "`dpo`, `ipo` or `kto`", choices=tuple(LOSSES))
    beta: float = option(0.1, "β: the price of a nat of KL from the reference", above=0)
    epochs: int = option(6, "passes over the comparisons", low=1)
    batch: int = option(64, "comparisons of a step", low=2)
    lr: float = option(3e-4, "Adam's step size", above=0)
    max_grad_norm: float = option(1.0, "clip gradients to this norm", above=0, infinite=True)

    def __post_init__(self) -> None:
        check(self)

    def training(
        self, policy: LanguagePolicy, theta: Tensor, pairs: Comparisons, streams: Streams
    ) -> Iterator[Aligned]:
        """Every step from the reference `theta` [seed, parameter] on.

        Raises:
            ValueError: comparisons that do not divide into batches.
        """
        size = pairs.prompt.shape[1]
        if size % self.batch:
            raise ValueError(f"DirectAlignment: batch must divide the {size} comparisons, got {self.batch}")
        with torch.no_grad():
            known = [log_prob_of(policy, theta, pairs.prompt, y) for y in (pairs.chosen, pairs.rejected)]
        everything = Pair(pairs.prompt, pairs.chosen, pairs.rejected, *known)
        adam, order = Adam(self.lr), streams.child("order")
        learning = adam.init(theta)
        for _ in range(self.epochs):
            for part in minibatches(everything, order.uniform(size).argsort(1), size // self.batch):
                theta = theta.detach().requires_grad_()
                both = torch.cat([part.chosen, part.rejected], 1)
                log_prob = log_prob_of(policy, theta, part.prompt.repeat(1, 2, 1), both)
                chosen, rejected = log_prob.chunk(2, 1)
                loss = LOSSES[self.loss](chosen, rejected, part.ref_chosen, part.ref_rejected, self.beta).mean(1)
                (step,), _ = clipped(gradient(loss, theta), self.max_grad_norm)
                theta, learning = adam.step(theta, step, learning)
                gained = (chosen - part.ref_chosen).detach(), (rejected - part.ref_rejected).detach()
                accuracy = (gained[0] > gained[1]).to(loss.dtype).mean(1)
                yield Aligned(theta.detach(), loss.detach(), accuracy, *(x.mean(1) for x in gained))


def log_prob_of(policy: LanguagePolicy, theta: Tensor, prompt: Tensor, response: Tensor) -> Tensor:
    """log π_θ(y|x), [seed, row, token] to [seed, row]; computed on no more tokens than the longest response has."""
    longest = int((response != policy.pad).sum(-1).max())
    return policy(theta, prompt).log_prob(response[:, :, :longest])
