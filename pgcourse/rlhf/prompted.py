"""The world of prompts of one's own, for any language model and any judge."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.rlhf.language import LanguageCritic
from pgcourse.rlhf.writing import Writing


class _Nothing:
    """The network of no critic: without parameters, and 0 everywhere."""

    size = 0

    def __call__(self, phi: Tensor, ids: Tensor) -> Tensor:
        return phi.new_zeros(ids.shape)


# What takes a critic's place in algorithms that compare responses with each other.
NO_CRITIC = LanguageCritic(_Nothing(), torch.empty(0))  # type: ignore[arg-type]


class Prompted(Writing):
    """The world of prompts of one's own: one is drawn for each group, a response is judged, and the episode is over.

    Args:
        prompts: tokens [prompt, token], padded on the left; `HFCausalLM.encode` makes them of texts.
        others: as those of `Writing`.

    Raises:
        ValueError: prompts that are not [prompt, token]; prompts and responses that the model has no room for.
    """

    name = "Prompted"

    def __init__(self, envs: int = 1, *, prompts: Tensor, **others: Any) -> None:
        super().__init__(envs, **others)
        if prompts.ndim != 2 or not len(prompts):
            raise ValueError(f"prompts must be [prompt, token], got shape {list(prompts.shape)}")
        network: Any = self.policy.network
        wanted, room = prompts.shape[1] + self.policy.longest, getattr(network, "context", None)
        if room is not None and wanted > room:
            raise ValueError(f"the model reads {room} tokens, prompts and responses have up to {wanted}")
        self.prompts = prompts.to(self.device)
        self.work = self.policy.longest
        self.observation_space = spaces.MultiDiscrete([network.vocabulary] * prompts.shape[1])
        self.action_space = spaces.MultiDiscrete([network.vocabulary] * self.policy.longest)

    def initial(self, noise: Tensor) -> Tensor:
        drawn = noise[..., :: self.group, 0].repeat_interleave(self.group, -1)[..., : self.envs]
        return self.prompts[(drawn * len(self.prompts)).long()]
