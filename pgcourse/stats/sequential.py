"""Testing while seeds come in: AdaStop, a group-sequential permutation test. Mathieu et al. (2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgcourse.stats.intervals import checked


class Decision(NamedTuple):
    """Of two algorithms: `>` or `<`, after so many seeds of each; `=` where no look saw it; `?` while looks remain."""

    sign: str
    seeds: int


def adastop(
    scores: Mapping[str, ArrayLike],
    block: int,
    looks: int,
    rng: np.random.Generator,
    alpha: float = 0.05,
    comparisons: Sequence[tuple[str, str]] | None = None,
    resamples: int = 10_000,
) -> dict[tuple[str, str], Decision]:
    """Compare algorithms after every `block` seeds of each, at most so many times, and stop where a difference is
    clear.

    The statistic of a comparison at look k is |Σ_{i≤k} (x̄_i - ȳ_i)|, with the means of the i-th blocks. Its
    distribution, where nothing differs, is that over relabellings of the seeds within each block. Of these only the
    ones count that had crossed no boundary before; look k's boundary is the smallest b with which all looks so far have
    crossed with probability α k/looks at most, for the largest statistic of all comparisons that are still open. Where
    it is crossed, that comparison is decided and the others are tested again without it (step-down). So the probability
    that any two equal algorithms are called different is α at most. Mathieu et al. (2024), algorithm 1, without early
    acceptance.

    Where there are more relabellings than `resamples`, so many are drawn, with the one that happened among them.

    Args:
        scores: each algorithm's seeds in the order of their training, [seed]; as many blocks as there are by now. An
            algorithm whose comparisons are all decided needs no more.
        comparisons: pairs of names; all pairs, if not given.

    Raises:
        ValueError: a block under 2 seeds, no looks, α outside (0, 1), fewer relabellings than α and the looks can use,
            an
            unknown name, scores that fill no block.
    """
    values = {name: checked(each) for name, each in scores.items()}
    pairs = list(combinations(values, 2)) if comparisons is None else [(a, b) for a, b in comparisons]
    _check(values, pairs, block, looks, alpha)
    signs = _relabellings(block, looks, rng, resamples)  # [relabelling, look, seed]
    total, alive = np.zeros((len(pairs), len(signs))), np.ones(len(signs), dtype=bool)
    decided: dict[tuple[str, str], Decision] = {}
    spent = 0.0
    for look in range(looks):
        open_pairs = [pair for pair in pairs if pair not in decided]
        now = slice(look * block, (look + 1) * block)
        if not open_pairs or any(len(values[name]) < now.stop for pair in open_pairs for name in pair):
            break
        for row, (a, b) in enumerate(pairs):
            if (a, b) not in decided:
                total[row] += signs[:, look] @ np.concatenate([values[a][now], values[b][now]]) / block
        while open_pairs:
            rows = [pairs.index(pair) for pair in open_pairs]
            largest = np.abs(total[rows]).max(0)
            bound, crossed = _boundary(largest[alive], len(signs), alpha * (look + 1) / looks - spent)
            seen = total[rows, 0]  # the first relabelling is the one that happened
            best = int(np.abs(seen).argmax())
            if abs(seen[best]) <= bound:
                spent += crossed
                alive &= largest <= bound
                break
            decided[open_pairs[best]] = Decision(">" if seen[best] > 0 else "<", now.stop)
            open_pairs = [pair for pair in open_pairs if pair not in decided]
    for a, b in pairs:
        if (a, b) not in decided:
            seeds = min(len(values[a]), len(values[b]), block * looks) // block * block
            decided[a, b] = Decision("=" if seeds == block * looks else "?", seeds)
    return {pair: decided[pair] for pair in pairs}


def _check(
    values: Mapping[str, NDArray], pairs: Sequence[tuple[str, str]], block: int, looks: int, alpha: float
) -> None:
    if block < 2 or looks < 1:
        raise ValueError(f"a block has 2 seeds or more, looks are 1 or more; got block = {block}, looks = {looks}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    if unknown := sorted({name for pair in pairs for name in pair} - set(values)):
        raise ValueError(f"no scores of {unknown[0]!r}; there are those of {', '.join(values)}")
    for name, each in values.items():
        if each.ndim != 1 or len(each) < block:
            raise ValueError(f"scores of {name} are [seed], a block of {block} at least, got shape {each.shape}")
    if 2 / comb(2 * block, block) ** looks > alpha:
        raise ValueError(
            f"{looks} looks at blocks of {block} seeds have too few relabellings for α = {alpha}: take larger blocks"
        )


def _relabellings(block: int, looks: int, rng: np.random.Generator, resamples: int) -> NDArray:
    """Signs [relabelling, look, seed], all or a sample: +1 on one side, -1 on the other; the first is what happened."""
    ways = comb(2 * block, block)
    if ways**looks <= resamples:
        each = -np.ones((ways, 2 * block))
        for row, chosen in enumerate(combinations(range(2 * block), block)):
            each[row, list(chosen)] = 1
        return each[list(product(range(ways), repeat=looks))]
    signs = np.tile(np.repeat([1.0, -1.0], block), (resamples, looks, 1))
    signs[1:] = rng.permuted(signs[1:], axis=-1)
    return signs


def _boundary(statistic: NDArray, total: int, allowed: float) -> tuple[float, float]:
    """The smallest of these values that a share of at most `allowed` (of `total`) exceeds, and that share.

    Values that differ by rounding only are equal.
    """
    ordered = np.sort(statistic)
    if not len(ordered):
        return np.inf, 0.0
    above = (len(ordered) - np.searchsorted(ordered, ordered + 1e-9 * ordered[-1], side="right")) / total
    fits = np.flatnonzero(above <= allowed + 1e-12)
    if not len(fits):
        return np.inf, 0.0
    last = ordered[fits[0]] + 1e-9 * ordered[-1]
    return float(last), float(above[fits[0]])
