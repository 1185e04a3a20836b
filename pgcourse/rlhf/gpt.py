"""A small GPT over a flat θ, for all seeds at once; and the same with one number for each token instead of logits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import embedding, gelu, layer_norm, scaled_dot_product_attention

from pgcourse.core import Streams
from pgcourse.core.networks import pieces

BLOCK = 12  # tensors of a block


class KVCache:
    """Keys and values of the tokens that were read so far, of one block. It grows as it is used."""

    def __init__(self) -> None:
        self.kept: tuple[Tensor, Tensor] | None = None

    def with_all(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Those of all tokens, [row, head, token, unit], from those of the tokens that are new."""
        if self.kept is not None:
            key, value = (torch.cat(pair, 2) for pair in zip(self.kept, (key, value), strict=True))
        self.kept = key, value
        return key, value


@dataclass(frozen=True)
class GPT:
    """A decoder-only transformer with learned positions, normalisation before each part, and tied embeddings.

    Radford et al. (2019). x = token + position; in each block x ← x + attention(norm(x)), x ← x + W₂ gelu(W₁ norm(x));
    logits are norm(x) times the embeddings. Tokens are [seed, row, token], logits [seed, row, token, vocabulary]: those
    at a token are of the token that follows it.

    Raises:
        ValueError: a width that the heads do not divide; more tokens than `context`.
    """

    vocabulary: int
    context: int
    width: int = 48
    layers: int = 2
    heads: int = 4

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"heads = {self.heads} must divide width = {self.width}")

    @cached_property
    def _starts(self) -> list[tuple[tuple[int, ...], str]]:
        """Shapes of the pieces of θ in their order, and how each starts."""
        d = self.width
        norm = [((d,), "one"), ((d,), "zero")]
        attention = [((d, 3 * d), "normal"), ((3 * d,), "zero"), ((d, d), "added"), ((d,), "zero")]
        feed = [((d, 4 * d), "normal"), ((4 * d,), "zero"), ((4 * d, d), "added"), ((d,), "zero")]
        embeddings = [((self.vocabulary, d), "normal"), ((self.context, d), "normal")]
        return [*embeddings, *self.layers * [*norm, *attention, *norm, *feed], *norm]

    @cached_property
    def layout(self) -> list[tuple[int, ...]]:
        """Shapes of the pieces of θ in their order."""
        return [shape for shape, _ in self._starts]

    @property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self.layout)

    @property
    def outputs(self) -> int:
        return self.vocabulary

    def init(self, streams: Streams) -> Tensor:
        """Normal with σ = 0.02, and 0.02 / √(2 · layers) where a part adds to x; biases 0, gains 1. [seed, size]."""
        std = {"normal": 0.02, "added": 0.02 / math.sqrt(2 * self.layers)}
        parts = []
        for shape, start in self._starts:
            size = math.prod(shape)
            if start in std:
                parts.append(streams.normal(size) * std[start])
            else:
                row = torch.full(
                    (len(streams), size), float(start == "one"), dtype=streams.dtype, device=streams.device
                )
                parts.append(row)
        return torch.cat(parts, 1)

    def __call__(self, theta: Tensor, ids: Tensor) -> Tensor:
        """Logits at every token."""
        weights = pieces(theta, self.layout)
        return self._logits(weights, self._hidden(weights, ids))

    def at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """ids ↦ logits, for one θ."""
        return lambda ids: self(theta, ids)

    def reader(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """A function that is given the next tokens [seed, row, token], and returns the logits at the last of them.

        It remembers the keys and values of what it has read: reading one token more costs one token's work. Its logits
        are those of reading everything at once, up to rounding.
        """
        weights, caches = pieces(theta, self.layout), [KVCache() for _ in range(self.layers)]
        read = 0

        def read_on(ids: Tensor) -> Tensor:
            nonlocal read
            x = self._hidden(weights, ids, read, caches)[:, :, -1:]
            read += ids.shape[2]
            return self._logits(weights, x)[:, :, 0]

        return read_on

    def hidden(self, theta: Tensor, ids: Tensor) -> Tensor:
        """What the logits are computed from, [seed, row, token, width]."""
        return self._hidden(pieces(theta, self.layout), ids)

    def _hidden(self, weights: list[Tensor], ids: Tensor, read: int = 0, caches: list[KVCache] | None = None) -> Tensor:
        seeds, rows, tokens = ids.shape
        if read + tokens > self.context:
            raise ValueError(f"a text has {self.context} tokens at most, got {read + tokens}")
        words, positions = weights[:2]
        first = self.vocabulary * torch.arange(seeds, device=ids.device).view(-1, 1, 1)
        x = embedding(ids + first, words.reshape(-1, self.width)) + positions[:, None, read : read + tokens]
        x = x.reshape(seeds, rows * tokens, self.width)
        for layer in range(self.layers):
            gain, shift, w_qkv, b_qkv, w_out, b_out, gain2, shift2, w_up, b_up, w_down, b_down = weights[
                2 + BLOCK * layer : 2 + BLOCK * (layer + 1)
            ]
            qkv = _linear(_norm(x, gain, shift), w_qkv, b_qkv)
            qkv = qkv.view(seeds * rows, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            query, key, value = qkv.unbind(0)
            if caches is not None:
                key, value = caches[layer].with_all(key, value)
            seen = scaled_dot_product_attention(query, key, value, is_causal=tokens > 1)
            x = x + _linear(seen.transpose(1, 2).reshape(seeds, rows * tokens, self.width), w_out, b_out)
            up = gelu(_linear(_norm(x, gain2, shift2), w_up, b_up), approximate="tanh")
            x = x + _linear(up, w_down, b_down)
        return _norm(x, *weights[-2:]).view(seeds, rows, tokens, self.width)

    def _logits(self, weights: list[Tensor], x: Tensor) -> Tensor:
        flat = torch.bmm(x.flatten(1, 2), weights[0].transpose(1, 2))
        return flat.view(*x.shape[:3], self.vocabulary)


@dataclass(frozen=True)
class ScalarHead:
    """A GPT with one number at each token instead of logits: a critic's values, or a reward model at its last token.

    A row of θ is the GPT's, the head's weights and its bias.
    """

    trunk: GPT

    @property
    def size(self) -> int:
        return self.trunk.size + self.trunk.width + 1

    def on(self, trunk: Tensor, weight: Tensor | None = None) -> Tensor:
        """θ with this trunk [seed, trunk.size] and head [seed, width]; without one every value is 0."""
        head = trunk.new_zeros(len(trunk), self.trunk.width + 1)
        if weight is not None:
            head[:, :-1] = weight
        return torch.cat([trunk, head], 1)

    def __call__(self, theta: Tensor, ids: Tensor) -> Tensor:
        """[seed, row, token] to [seed, row, token]."""
        trunk, weight, bias = theta.split([self.trunk.size, self.trunk.width, 1], 1)
        x = self.trunk.hidden(trunk, ids)
        return (x * weight[:, None, None]).sum(-1) + bias.unsqueeze(-1)

    def standardized(self, theta: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """θ whose values are (v - mean) / std; mean and std are [seed]."""
        trunk, weight, bias = theta.split([self.trunk.size, self.trunk.width, 1], 1)
        return torch.cat([trunk, weight / std.unsqueeze(1), (bias - mean.unsqueeze(1)) / std.unsqueeze(1)], 1)


def _norm(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    if len(gain) == 1:
        return layer_norm(x, x.shape[-1:], gain[0], shift[0])
    return torch.addcmul(shift.unsqueeze(1), layer_norm(x, x.shape[-1:]), gain.unsqueeze(1))


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x W + b: [seed, sample, in] and [seed, in, out]."""
    return torch.baddbmm(bias.unsqueeze(1), x, weight)
