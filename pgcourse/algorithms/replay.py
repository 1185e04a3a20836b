"""An immutable replay memory: adding steps returns a new memory and leaves the old one as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Replay:
    """The latest `capacity` steps of every seed, in columns [seed, capacity, ...].

    Copying a memory for every few steps that are added would take longer than learning from it. So all versions share
    one set of columns, which is the newest version's; each older one keeps the rows that its successor has written over
    (Baker, 1991, "Shallow binding makes arrays fast"), and makes columns of its own when it is read all the same.

    `seen` counts the steps of each seed that were ever added.
    """

    def __init__(self, capacity: int, columns: Mapping[str, Tensor] | None = None, seen: int = 0) -> None:
        self.capacity = capacity
        self.seen = seen
        self._columns = dict(columns or {})
        self._newer: tuple[Replay, Tensor, dict[str, Tensor]] | None = None

    def __len__(self) -> int:
        """Steps of each seed that it holds."""
        return min(self.seen, self.capacity)

    def added(self, steps: Mapping[str, Tensor]) -> Replay:
        """The memory with steps [seed, sample, ...] in the place of the oldest, at most `capacity` of them."""
        columns = self.columns()
        (count,) = {rows.shape[1] for rows in steps.values()}
        for name, rows in steps.items():
            if name not in columns:
                columns[name] = rows.new_zeros(len(rows), self.capacity, *rows.shape[2:])
        place = (self.seen + torch.arange(count, device=next(iter(steps.values())).device)) % self.capacity
        before = {name: column[:, place] for name, column in columns.items()}
        for name, rows in steps.items():
            columns[name][:, place] = rows
        newer = Replay(self.capacity, columns, self.seen + count)
        self._columns, self._newer = {}, (newer, place, before)
        return newer

    def take(self, index: Tensor) -> dict[str, Tensor]:
        """The steps with these indices [seed, sample], each seed its own."""
        flat = (index + self.capacity * torch.arange(len(index), device=index.device).unsqueeze(1)).flatten()
        return {
            name: column.flatten(0, 1).index_select(0, flat).unflatten(0, index.shape)
            for name, column in self.columns().items()
        }

    def columns(self) -> dict[str, Tensor]:
        """The stored steps by field name, [seed, capacity, ...]."""
        if self._newer is not None:
            newest, written = self, []
            while newest._newer is not None:
                newer, place, before = newest._newer
                written.append((place, before))
                newest = newer
            columns = {name: column.clone() for name, column in newest._columns.items()}
            for place, before in reversed(written):
                for name, rows in before.items():
                    columns[name][:, place] = rows
            self._columns, self._newer = columns, None
        return self._columns

    def plain(self) -> dict[str, Any]:
        """Its columns and how many steps it has seen, for a checkpoint."""
        return {"seen": self.seen, "columns": {name: column.clone() for name, column in self.columns().items()}}

    def rebuilt(self, data: Mapping[str, Any]) -> Replay:
        """The memory of this capacity from the `data` that `plain` returned."""
        return Replay(self.capacity, {name: column.clone() for name, column in data["columns"].items()}, data["seen"])
