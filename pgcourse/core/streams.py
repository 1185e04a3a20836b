"""One random stream per seed.

Every random number of the course is drawn here and handed to whoever needs it as a tensor of *noise*: policies,
worlds and estimators are deterministic functions of their arguments. A seed's numbers never depend on which other
seeds run beside it, because each seed owns its generator.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

MOST = 1_000_000  # seeds that are given by their number


class Streams:
    """Independent random streams, one for each seed.

    `Streams(10)` has the seeds 0..9; `Streams([3, 7])` has the seeds 3 and 7. `streams.child("rollout")` derives
    streams that are independent of their parent and of children with another name, and depend on nothing but the
    seeds and the names on the way: drawing more or fewer numbers elsewhere changes nothing in a child.

    Draws have shape `[seed, *shape]`, are drawn in `dtype` and end up on `device`; children inherit both. Generators
    live on the CPU, so that the numbers do not depend on the device.

    Raises:
        ValueError: no seeds, the same seed twice, a seed that is no integer of 0..2³²-1, or a child without a name.
    """

    def __init__(
        self,
        seeds: int | Iterable[int],
        path: tuple[str, ...] = (),
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.seeds = _checked(seeds)
        self.path = path
        self.device = torch.device(device)
        self.dtype = dtype
        if "" in path:
            raise ValueError(f"a child must have a name, got {path}")
        self._generators = [torch.Generator().manual_seed(_entropy(seed, path)) for seed in self.seeds]

    def __len__(self) -> int:
        return len(self.seeds)

    def __repr__(self) -> str:
        return f"Streams({list(self.seeds)}, path={self.path})"

    def child(self, name: object) -> Streams:
        """Streams of the same seeds for one purpose: `streams.child("init")`, `streams.child(iteration)`."""
        return Streams(self.seeds, (*self.path, str(name)), self.device, self.dtype)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform on [0, 1), `[seed, *shape]`."""
        draws = torch.empty(len(self), *shape, dtype=self.dtype, device="cpu")
        for row, generator in zip(draws, self._generators, strict=True):
            row.uniform_(generator=generator)
        return draws.to(self.device)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, `[seed, *shape]`."""
        draws = torch.empty(len(self), *shape, dtype=self.dtype, device="cpu")
        for row, generator in zip(draws, self._generators, strict=True):
            row.normal_(generator=generator)
        return draws.to(self.device)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Uniform integers 0..high-1, `[seed, *shape]`, int64."""
        draws = torch.empty(len(self), *shape, dtype=torch.int64, device="cpu")
        for row, generator in zip(draws, self._generators, strict=True):
            row.random_(high, generator=generator)
        return draws.to(self.device)

    def generators(self) -> tuple[torch.Generator, ...]:
        """The generators themselves, for library functions that want one (such as `torch.nn.init.orthogonal_`)."""
        return tuple(self._generators)


def _checked(seeds: Any) -> tuple[int, ...]:
    """The seeds themselves; of a number, so many from 0 on."""
    plain = seeds.tolist() if hasattr(seeds, "tolist") else seeds  # numpy's, torch's and pandas' integers
    found: tuple[int, ...] = ()
    with suppress(TypeError):  # something that is no integer
        found = tuple(map(_integer, plain)) if isinstance(plain, Iterable) else _from_zero(_integer(plain))
    # The bounds keep seeds and names apart in the generator's entropy, of which trailing zeros do not count.
    if not found or min(found) < 0 or max(found) >= 2**32:
        raise ValueError(
            "seeds must be their number, 1 or more, or a list of integers from 0 to 2**32 - 1 such as [3, 7]; got "
            f"{seeds!r}"
        )
    if len({*found}) < len(found):
        twice = next(seed for seed in found if found.count(seed) > 1)
        raise ValueError(f"seeds must be different: {twice} twice would be one training in two rows, got {seeds!r}")
    return found


def _from_zero(number: int) -> tuple[int, ...]:
    """So many seeds, unless it is one seed that was meant: 20261128, say."""
    if number > MOST:
        raise ValueError(
            f"{number} is a number of seeds, 0 to {number - 1}, and {MOST:,} are the most; the one seed {number} is "
            f"[{number}]"
        )
    return tuple(range(number))


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def _entropy(seed: int, path: tuple[str, ...]) -> int:
    words = [word for name in path for word in (len(name.encode()), *name.encode())]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1, np.uint64)[0] >> 1)
