"""A language model as a policy: what it sees is a prompt, its action is a whole response.

So a response is one step of a world, and what acts, iterates, trains and keeps records does so as for CartPole.
An update that looks at single tokens asks for them with `tokens`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pgcourse.core import Categorical, Policy, Streams
from pgcourse.rlhf.corpus import EOS, LONGEST, PAD
from pgcourse.rlhf.gpt import ScalarHead

NEVER = -1e9  # a logit whose probability is 0, and whose logarithm is a number all the same
Gold = Callable[[Tensor, Tensor], Tensor]  # prompt and response to what the response is really worth


class LanguageModel(Protocol):
    """What a network has to do to be trained here; tokens are [seed, row, token]."""

    @property
    def size(self) -> int: ...

    def __call__(self, theta: Tensor, ids: Tensor) -> Tensor:
        """Logits at every token, [seed, row, token, vocabulary]; those at a token are of the one that follows."""

    def reader(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """A function that is given the next tokens, and returns the logits at the last one, [seed, row, vocabulary]."""


class Tokens(NamedTuple):
    """What a model says of the tokens of given responses."""

    log_prob: Tensor  # log π(token | all before it) [seed, row, token]; on padding it means nothing
    log_probs: Tensor  # of every word of the vocabulary there [seed, row, token, vocabulary]


@dataclass(frozen=True)
class LanguagePolicy(Policy):
    """π_θ(y|x) = Π_t π_θ(y_t | x, y_<t), over responses of at most `longest` tokens that end with `eos`.

    What stands behind the end is `pad`, which the policy itself never writes: its logit counts as `NEVER`. Prompts are
    [seed, ..., token], all of one length.
    """

    network: LanguageModel
    start: Tensor  # θ of the model that training starts from, [size]
    longest: int = LONGEST
    eos: int = EOS
    pad: int = PAD
    gold: Gold | None = None  # where somebody knows it: for the metrics alone, nothing learns from it

    @property
    def size(self) -> int:
        return self.network.size

    def init(self, streams: Streams) -> Tensor:
        """`start` in every row: nothing is random."""
        return self.start.to(streams.device, streams.dtype).expand(len(streams), -1).clone()

    def __call__(self, theta: Tensor, obs: Tensor) -> Responses:  # type: ignore[override]
        return Responses(self, theta, obs)

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        """A uniform number for each token of a response."""
        return streams.uniform(*shape, self.longest)

    def allowed(self, logits: Tensor) -> Tensor:
        """The logits [..., word], that of the padding aside."""
        padding = torch.arange(logits.shape[-1], device=logits.device) == self.pad
        return logits.masked_fill(padding, NEVER)

    def tokens(self, theta: Tensor, prompt: Tensor, response: Tensor) -> Tokens:
        """log-probabilities of the responses' tokens: [seed, row, token] each."""
        ids = torch.cat([prompt, response], 2)
        logits = self.network(theta, ids[:, :, :-1])[:, :, prompt.shape[2] - 1 :]
        log_probs = self.allowed(logits).log_softmax(-1)
        return Tokens(log_probs.gather(-1, response.unsqueeze(-1)).squeeze(-1), log_probs)


@dataclass(frozen=True)
class Responses:
    """The distribution over whole responses to prompts [seed, ..., token]; responses are [seed, ..., longest].

    Its entropy and KL divergences are sums over all responses, and have no closed form: metrics estimate them.
    """

    policy: LanguagePolicy
    theta: Tensor
    prompt: Tensor

    def sample(self, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """Token by token, each the one that its uniform number [seed, ..., longest] points at. Temperature divides
        the logits."""
        columns = iter(noise.flatten(1, -2).unbind(-1))
        return self._written(lambda logits: Categorical(logits / temperature).sample(next(columns)))

    @property
    def mode(self) -> Tensor:
        """The most probable token at every place, which need not be the most probable response ("greedy")."""
        return self._written(lambda logits: logits.argmax(-1))

    def log_prob(self, action: Tensor) -> Tensor:
        """log π_θ(y|x) = Σ_t log π_θ(y_t | x, y_<t): [seed, ..., longest] to [seed, ...]."""
        response = action.flatten(1, -2)
        log_prob = self.policy.tokens(self.theta, self._rows, response).log_prob
        return log_prob.where(response != self.policy.pad, 0.0).sum(-1).view(action.shape[:-1])

    @property
    def _rows(self) -> Tensor:
        return self.prompt.flatten(1, -2)

    @torch.no_grad()
    def _written(self, choose: Callable[[Tensor], Tensor]) -> Tensor:
        eos, pad, prompt = self.policy.eos, self.policy.pad, self._rows
        response = torch.full((*prompt.shape[:2], self.policy.longest), pad, device=prompt.device)
        running = torch.ones(prompt.shape[:2], dtype=torch.bool, device=prompt.device)
        read = self.policy.network.reader(self.theta)
        unread = prompt
        for place in range(self.policy.longest):
            token = choose(self.policy.allowed(read(unread)))
            response[:, :, place] = token.where(running, pad)
            running = running & (token != eos)
            if not running.any():
                break
            unread = token.unsqueeze(-1)
        return response.view(*self.prompt.shape[:-1], -1)


@dataclass(frozen=True)
class LanguageCritic:
    """v_φ(x, y_<t), the value of what stands before each token of a response: [seed, row, token]."""

    network: ScalarHead
    start: Tensor  # φ to begin with [size]

    @property
    def size(self) -> int:
        return self.network.size

    def init(self, streams: Streams) -> Tensor:
        """`start` in every row: nothing is random."""
        return self.start.to(streams.device, streams.dtype).expand(len(streams), -1).clone()

    def at(self, phi: Tensor) -> Callable[[Tensor], Tensor]:
        """x ↦ v_φ(x), the value of a prompt before anything is written: [seed, ..., token] to [seed, ...]."""
        return lambda prompt: self.network(phi, prompt.flatten(1, -2))[:, :, -1].view(prompt.shape[:-1])

    def __call__(self, phi: Tensor, prompt: Tensor, response: Tensor) -> Tensor:
        ids = torch.cat([prompt, response], 2)
        return self.network(phi, ids[:, :, :-1])[:, :, prompt.shape[2] - 1 :]
