"""Random responses of a language model, for tests: [seed, response, token], with anything at all in the padding."""

import math

import torch

F64 = torch.float64


def lengths_to_mask(lengths, longest=None):
    """True on the first tokens of each response: lengths [seed, response] to [seed, response, token]."""
    longest = int(lengths.max()) if longest is None else longest
    return torch.arange(longest) < lengths.unsqueeze(-1)


def random_mask(seed, seeds=2, responses=4, longest=6):
    generator = torch.Generator().manual_seed(seed)
    return lengths_to_mask(torch.randint(1, longest + 1, (seeds, responses), generator=generator), longest)


def random_tokens(mask, seed, padding=math.nan):
    """Standard normal numbers on the tokens, and `padding` elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(mask.shape, generator=generator, dtype=F64).where(mask, padding)


def rows(x, mask):
    """The real tokens of every response as lists of numbers: [seed][response][token]."""
    return [[row[real].tolist() for row, real in zip(*pair, strict=True)] for pair in zip(x, mask, strict=True)]
