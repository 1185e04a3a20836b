"""The world in which a language model acts: a prompt comes, a response is judged, and that was the episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.core import Streams
from pgcourse.envs import TensorWorld
from pgcourse.rlhf.corpus import LONGEST, PROMPT, WORDS, prompts
from pgcourse.rlhf.language import LanguageCritic, LanguagePolicy

Judge = Callable[[Tensor, Tensor], Tensor]  # prompt and response [seed, row, token] to a score [seed, row]


class Writing(TensorWorld):
    """Write a review. The observation is a prompt, the action a whole response, the reward its score.

    Copies come in groups of `group`, which get one prompt, for algorithms that compare responses to the same prompt.

    Args:
        judge: scores the responses: a `RewardModel`, of which each seed has its own, or any function, such as a
            checker.
        policy: the model that starts to learn here.
        critic: and the one that learns its values.

    Raises:
        ValueError: `group` below 1; a seed without a reward model.
    """

    name = "Writing"
    time_limit = 1
    work = LONGEST  # a step here is as many tokens at most
    initial_noise = 1
    observation_space = spaces.MultiDiscrete([len(WORDS)] * PROMPT)
    action_space = spaces.MultiDiscrete([len(WORDS)] * LONGEST)

    def __init__(
        self,
        envs: int = 1,
        *,
        judge: Judge,
        policy: LanguagePolicy,
        critic: LanguageCritic,
        group: int = 8,
        **placed: Any,
    ) -> None:
        super().__init__(envs, **placed)
        if group < 1:
            raise ValueError(f"group must be 1 or more, got {group}")
        self.judge, self.policy, self.critic, self.group = judge, policy, critic, group

    def reset(self, streams: Streams) -> Tensor:
        self._take(torch.tensor(streams.seeds).unsqueeze(1))
        return super().reset(streams)

    def initial(self, noise: Tensor) -> Tensor:
        noise = noise[..., :: self.group, 0].repeat_interleave(self.group, -1)[..., : self.envs]
        return prompts(noise)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad():
            score = self._judging(state, action).to(self.dtype)
        return state, score, torch.ones_like(score, dtype=torch.bool)

    def state(self) -> dict[str, Tensor]:
        return super().state() | {"seeds": self._seeds}

    def load(self, state: dict[str, Tensor]) -> None:
        super().load(state)
        self._take(state["seeds"])

    def _take(self, seeds: Tensor) -> None:
        """The judge of each of these seeds [seed, 1]."""
        of: Any = getattr(self.judge, "of", None)
        self._judging: Judge = of(seeds.flatten().tolist(), self.device, self.dtype) if of else self.judge
        self._seeds = seeds
