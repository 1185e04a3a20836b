"""Learning curves: returns and lengths of the episodes that end during a training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pgcourse.rl import Trajectory

if TYPE_CHECKING:
    import pandas as pd

    from pgcourse.algorithms.train import Progress

REPORTS = 100  # rows of a seed's curve, at most about, unless somebody asks for fewer or more


class Ended(NamedTuple):
    """The episodes that ended in a batch, each [seed]."""

    number: Tensor
    total_return: Tensor  # the sum of their undiscounted returns
    total_length: Tensor  # and of their lengths


class Episodes(NamedTuple):
    """Follows returns and lengths of episodes that run across batches: what every copy has collected so far."""

    ret: Tensor  # [seed, env]
    length: Tensor  # [seed, env]
    first: Tensor  # [seed, env], whether a copy has not ended an episode since it was `restarted`
    wait: Tensor  # [seed], steps of a copy that are yet to pass before a seed's episodes count

    @classmethod
    def start(cls, like: Tensor) -> Episodes:
        """New episodes in all copies, for tensors of the shape [seed, env]."""
        zero = torch.zeros_like(like)
        return cls(
            zero, zero, torch.zeros_like(like, dtype=torch.bool), torch.zeros_like(like[:, 0], dtype=torch.int64)
        )

    def restarted(self) -> Episodes:
        """New episodes in all copies in the middle of a training.

        Short ones end first, so the mean over those that end would dip. Nothing of a seed counts until every copy has
        ended an episode, and then for as long again: only then are copies as far apart as if none had been restarted.
        """
        zero = torch.zeros_like(self.ret)
        return Episodes(zero, zero, torch.ones_like(self.first), torch.zeros_like(self.wait))

    def follow(self, batch: Trajectory) -> tuple[Episodes, Ended]:
        """The state after a batch, and the episodes that ended in it."""
        ended = batch.done & batch.mask
        steps = torch.arange(ended.shape[1], device=ended.device).view(1, -1, 1).expand_as(ended)
        ends_before = torch.where(ended, steps, -1).cummax(1).values.roll(1, 1)
        ends_before[:, 0] = -1
        reset = ends_before >= 0

        def since_start(amount: Tensor, carried: Tensor) -> Tensor:
            total = carried.unsqueeze(1) + amount.cumsum(1)
            return total - total.gather(1, ends_before.clamp_min(0)).where(reset, 0.0)

        ret = since_start(batch.reward.where(batch.mask, 0.0), self.ret)
        length = since_start(batch.mask.to(ret.dtype), self.length)
        running = ~ended[:, -1]
        growing = self.first.any(1)
        wait = torch.where(growing, self.wait + ended.shape[1], (self.wait - ended.shape[1]).clamp_min(0))
        after = Episodes(
            ret[:, -1].where(running, 0.0), length[:, -1].where(running, 0.0), self.first & ~ended.any(1), wait
        )
        counted = ended & ~(growing | (self.wait > 0)).view(-1, 1, 1)
        return after, Ended(counted.sum((1, 2)), *(x.where(counted, 0.0).sum((1, 2)) for x in (ret, length)))


class Curves:
    """Gathers iterations into a tidy table: a row per seed and report, about so many `reports` over the whole training.

    Columns: `seed`, `step` (environment steps so far), `episodes` (that ended since the last report), `return` and
    `length` (their means, undiscounted; NaN where no episode ended), and the means of the algorithm's metrics.
    """

    def __init__(self, steps: int, iterations: dict[str, Tensor] | None = None, reports: int = REPORTS) -> None:
        self.width = max(1, steps // reports)
        self._stacked = dict(iterations or {})
        self._rows: list[dict[str, Tensor]] = []  # added since those were stacked

    def add(self, progress: Progress) -> None:
        """Raises ValueError where a metric has the name of another column."""
        own = {
            "step": progress.steps,
            "active": progress.active,
            "episodes": progress.episodes,
            "return": progress.total_return,
            "length": progress.total_length,
        }
        if taken := sorted({"seed", *own} & progress.metrics.keys()):
            raise ValueError(
                f"curves have columns of their own called {', '.join(taken)}; give the metrics other names"
            )
        self._rows.append(own | progress.metrics)

    def iterations(self) -> dict[str, Tensor]:
        """Everything gathered so far, each [seed, iteration], to resume another `Curves` from."""
        if self._rows:
            added = {name: torch.stack([row[name] for row in self._rows], 1) for name in self._rows[0]}
            before = self._stacked
            self._stacked = {name: torch.cat([before[name], added[name]], 1) for name in added} if before else added
            self._rows = []
        return self._stacked

    def frame(self, seeds: Iterable[int]) -> pd.DataFrame:
        import pandas as pd

        columns = {name: column.cpu().numpy() for name, column in self.iterations().items()}
        seed = np.repeat(list(seeds), columns["step"].shape[1])
        table = pd.DataFrame({"seed": seed, **{name: column.ravel() for name, column in columns.items()}})
        table = table[table.pop("active")]
        report = ((table["step"] - 1) // self.width).rename("report")
        how = dict.fromkeys(table.columns.drop("seed"), "mean") | {
            "step": "max", "episodes": "sum", "return": "sum", "length": "sum",
        }  # fmt: skip
        table = table.groupby(["seed", report]).agg(how).reset_index().drop(columns="report")
        ended = table["episodes"].where(table["episodes"] > 0)
        return table.assign(**{"return": table["return"] / ended, "length": table["length"] / ended})


class LatestReturn:
    """The latest point of the learning curve: the mean over seeds of the returns that ended in the last `width` steps.

    Or in more, as many as it takes until every seed has ended an episode; None until then.
    """

    def __init__(self, width: int) -> None:
        self._width = self._due = width
        self._total, self._count = torch.zeros(()), torch.zeros(())
        self._latest: float | None = None

    def follow(self, iteration: Progress) -> float | None:
        self._total = self._total + iteration.total_return
        self._count = self._count + iteration.episodes
        steps = int(iteration.steps.min())
        if steps >= self._due and self._count.all():
            self._latest = float((self._total / self._count).mean())
            self._total, self._count, self._due = torch.zeros(()), torch.zeros(()), steps + self._width
        return self._latest
