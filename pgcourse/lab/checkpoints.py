"""Checkpoints of long runs: a run that was killed goes on from its last one, and gives the same bits.

A checkpoint is kept until the run's record is stored, in the file NAME.pt, called as the record will be: the SHA-256 of
the rest as a first line, then what `torch.save` wrote.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from pgcourse.algorithms import Checkpoint
from pgcourse.algorithms.curves import Episodes
from pgcourse.lab.configurations import canonical, world_changes
from pgcourse.lab.provenance import SUSPECTS, machine
from pgcourse.lab.records import sweep, write_whole

SCHEMA = 2


class Checkpointed(Protocol):
    """What a checkpoint has to know of the run that it is of."""

    @property
    def name(self) -> str: ...

    @property
    def env(self) -> str: ...

    @property
    def configuration(self) -> Any: ...

    @property
    def world(self) -> dict[str, Any]: ...

    @property
    def own_algorithm(self) -> dict[str, str | None]: ...

    @property
    def code(self) -> str: ...


class UnusableCheckpoint(Exception):
    """A checkpoint that a run cannot go on from; the run starts anew."""


class OtherWorld(UnusableCheckpoint):
    """One of a world that is not the same any more: whoever changed it should know before anything is lost."""


@dataclass(frozen=True)
class Saved:
    """A run in the middle."""

    checkpoint: Checkpoint
    iterations: dict[str, Tensor]  # of its `Curves`
    wall_seconds: float
    cpu_seconds: float
    resumed: int  # how often the run has been taken up again
    stages: dict[str, Tensor] = dataclasses.field(default_factory=dict)  # θ as it was earlier, to be kept


class Checkpoints:
    """The checkpoints of a study's runs, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, run: Checkpointed, saved: Saved) -> None:
        """Replace the run's checkpoint; a process killed meanwhile leaves the one before.

        Raises:
            OSError: the disk is full or not writable; the checkpoint before is still there.
        """
        buffer = io.BytesIO()
        state = {name: getattr(saved, name) for name in (field.name for field in dataclasses.fields(saved))}
        checkpoint = {field.name: getattr(saved.checkpoint, field.name) for field in dataclasses.fields(Checkpoint)}
        checkpoint["episodes"] = tuple(saved.checkpoint.episodes)
        torch.save({"origin": _origin(run), **state, "checkpoint": checkpoint}, buffer)
        payload = buffer.getvalue()
        write_whole(self._path(run.name), f"{hashlib.sha256(payload).hexdigest()}\n".encode() + payload)

    def load(self, run: Checkpointed) -> Saved | None:
        """The run's checkpoint, None where there is none.

        Raises:
            UnusableCheckpoint: it is torn or changed, or was written by another version of the code, in a world that is
                not the same any more, or on a machine on which the rest of the run could not be expected to give the
                same bits. The message says which.
        """
        try:
            digest, _, payload = self._path(run.name).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        if digest.decode(errors="replace") != hashlib.sha256(payload).hexdigest():
            raise UnusableCheckpoint("its checkpoint is torn or changed")
        state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        there, here = json.loads(state.pop("origin")), json.loads(_origin(run))
        if "world" in there and (changes := world_changes(there.pop("world"), here.pop("world"))):
            raise OtherWorld(f"its checkpoint is of another {run.env}: {'; '.join(changes)}")
        if changed := sorted(key for key in here if there.get(key) != here[key]):
            raise UnusableCheckpoint(f"its checkpoint was written elsewhere: {', '.join(changed)} differ")
        kept = state.pop("checkpoint")
        return Saved(Checkpoint(**kept | {"episodes": Episodes(*kept["episodes"])}), **state)

    def discard(self, name: str) -> None:
        """Delete a run's checkpoint, if there is one, and what killed writers have left behind."""
        self._path(name).unlink(missing_ok=True)
        sweep(self.folder)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.pt"


def _origin(run: Checkpointed) -> str:
    """What must be the same for a run to go on as if nothing had happened."""
    here = machine()
    return json.dumps(
        {
            "checkpoint format": SCHEMA,
            "configuration": canonical(run.configuration),
            "source code": run.code,
            "world": run.world,
            **({"algorithm": own} if (own := run.own_algorithm) else {}),
            **{key: here[key] for key in SUSPECTS},
        }
    )
