"""The record store: what runs gave, there whole or not at all, found by configuration, verified when read.

A record is a folder with config.json, manifest.json, a CSV file for each table and perhaps policy.pt. Its name is for
people: which run it is of, its config.json says.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pgcourse.lab.configurations import canonical, differences, plain

SCHEMA = 3
STAGING = ".staging-"
ABANDONED = 3600.0  # seconds after which something staged is a dead writer's: writing takes less than one
POLICY_LIMIT = 1_000_000  # bytes of parameters that one record may hold: records are committed


class RecordError(Exception):
    """A record cannot be used."""


class MissingRecord(RecordError):
    """There is no such record."""


class CorruptRecord(RecordError):
    """A record's files are not what was written: `path` is the record, `what` differs."""

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = path, what
        remedy = f"restore it from git, or compute it again: pgcourse study {path.parent.name} --refresh"
        super().__init__(f"{path}: {what}; {remedy}")


class UnknownSchema(RecordError):
    """A record of another format version."""


class Changed(RecordError):
    """A record is of code that is not the same any more: `path` is the record, `what` differs."""

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = path, what
        remedy = f"have the old one again, or compute it anew: pgcourse study {path.parent.name} --refresh"
        super().__init__(f"{path}: {what}; {remedy}")


class ChangedWorld(Changed):
    """Of a world that is not the same any more."""


class ChangedAlgorithm(Changed):
    """Of an algorithm of one's own that is not the same any more."""


@dataclass(frozen=True)
class Record:
    """A run's stored result, verified. `name` is its folder's.

    `tables` have the columns and dtypes that were written. `tensors` is empty without a kept policy.
    """

    name: str
    config: dict[str, Any]
    manifest: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    tensors: dict[str, torch.Tensor]


class Store:
    """The records of one study, in the folder `root`."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def names(self) -> list[str]:
        """All records present, readable or not."""
        if not self.root.is_dir():
            return []
        return sorted(folder.name for folder in self.root.iterdir() if folder.is_dir() and folder.name[0] != ".")

    def __contains__(self, name: str) -> bool:
        return (self.root / name).is_dir()

    def find(self, config: Any, name: str) -> str | None:
        """The name of the record with this configuration, None where there is none. Looked at first is `name`.

        Raises:
            CorruptRecord, UnknownSchema: the record `name` does not say what its configuration is.
        """
        for each in dict.fromkeys([name, *self.names()]):
            try:
                if each in self and not differences(_read_config(self.root / each)[0], config):
                    return each
            except RecordError:
                if each == name:
                    raise
        return None

    def write(
        self,
        config: Any,
        name: str,
        tables: Mapping[str, pd.DataFrame],
        manifest: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor] | None = None,
        *,
        replace: bool = False,
    ) -> Record:
        """Store a run as `name` and return its record as read back.

        A process killed at any moment leaves the whole record or none. Where there is a record of this configuration it
        stays, and is what is returned, unless `replace`. Where `name` is that of another configuration's, the new one
        is called `name`.2, or by the next number that is free.

        Args:
            tables: tables of numbers by name; their index is not kept.
            manifest: what to note of the run beside what the store adds itself (format version, digests, dtypes).
            tensors: a policy's parameters, `POLICY_LIMIT` bytes at most.

        Raises:
            TypeError, ValueError: a configuration without canonical form, a column that is not of numbers, or tensors
                over the limit.
            OSError: the disk is full or not writable; nothing is left behind.
            RecordError: as `find`, unless `replace`.
        """
        content = _encode(plain(config), tables, plain(manifest), tensors)
        self.root.mkdir(parents=True, exist_ok=True)
        staging = staging_path(self.root)
        try:
            staging.mkdir()
            for file, each in content.items():
                write_through(staging / file, each)
            flush_folder(staging)
            record = _read(staging)  # what is published has been read back once
            if replace:
                self._make_way(config, name)
            kept, first = self._publish(staging, config, name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return dataclasses.replace(record, name=kept) if first else self.read(kept)

    def read(self, name: str) -> Record:
        """A record, every file checked against its digest.

        Raises:
            MissingRecord, CorruptRecord, UnknownSchema: naming the record, what is wrong with it, and the remedy.
        """
        if name not in self:
            raise MissingRecord(f"no record {self.root / name}; `pgcourse study {self.root.name}` computes it")
        return _read(self.root / name)

    def remove(self, name: str) -> None:
        """Delete a record. Raises `MissingRecord`."""
        if name not in self:
            raise MissingRecord(f"no record {self.root / name}")
        doomed = staging_path(self.root)
        (self.root / name).rename(doomed)  # at once: no reader sees half of it
        shutil.rmtree(doomed)

    def sweep(self) -> None:
        """Delete what killed writers have left behind."""
        sweep(self.root)

    def _make_way(self, config: Any, name: str) -> None:
        """Delete the record of this configuration, or the one of its name that cannot be read."""
        try:
            old = self.find(config, name)
        except RecordError:
            old = name
        if old:
            self.remove(old)

    def _publish(self, staging: Path, config: Any, name: str) -> tuple[str, bool]:
        """Move a finished record to its place; its name and True, or that of a record of this run that is there."""
        while True:
            numbered = (f"{name}.{number}" for number in count(2))
            free = next(each for each in chain([name], numbered) if each not in self)
            if there := self.find(config, name):
                return there, False
            try:
                staging.rename(self.root / free)
            except OSError:
                if free not in self:
                    raise
                continue  # another writer was faster
            flush_folder(self.root)
            return free, True


def tensor_digest(tensor: torch.Tensor | np.ndarray) -> str:
    """SHA-256 of dtype, shape and the values' little-endian bytes; every NaN counts as the same NaN.

    Digest tensors, not files: the bytes that `torch.save` writes depend on the file's name.
    """
    array = np.asarray(tensor.detach().cpu() if isinstance(tensor, torch.Tensor) else tensor)
    if array.dtype.hasobject:
        raise TypeError(f"only arrays of numbers have a digest, got dtype {array.dtype}")
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    digest = hashlib.sha256(f"{array.dtype.name}{list(array.shape)}".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def metrics_digest(metrics: pd.DataFrame) -> str:
    """SHA-256 over the columns of a frame of numbers, by name; neither their order nor the index matters."""
    digest = hashlib.sha256()
    for name in sorted(metrics.columns):
        digest.update(f"{name}:{tensor_digest(metrics[name].to_numpy())}\n".encode())
    return digest.hexdigest()


def staging_path(folder: Path) -> Path:
    """A name in `folder` that nobody else uses, for what is not finished yet."""
    return folder / f"{STAGING}{uuid.uuid4().hex}"


def sweep(folder: Path) -> None:
    """Delete what killed writers have left behind."""
    for path in folder.glob(f"{STAGING}*"):
        try:
            if time.time() - path.stat().st_mtime < ABANDONED:
                continue
        except FileNotFoundError:  # its writer lives, and has just finished
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file or replace it; a process killed at any moment leaves what was there before, or all of the new one.

    Raises:
        OSError: the disk is full or not writable; what was there before still is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = staging_path(path.parent)
    try:
        write_through(staging, content)
        os.replace(staging, path)
    finally:
        staging.unlink(missing_ok=True)
    flush_folder(path.parent)


def write_through(path: Path, content: bytes) -> None:
    """Write a new file and wait until the disk has it."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Wait until the disk has what was created and renamed in `folder`."""
    if os.name == "nt":  # Windows cannot open a folder, and needs no flush for a rename to last
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _encode(
    config: dict[str, Any],
    tables: Mapping[str, pd.DataFrame],
    manifest: dict[str, Any],
    tensors: Mapping[str, torch.Tensor] | None,
) -> dict[str, bytes]:
    """A record's files by name, the manifest last."""
    contents = {"config.json": _dump(config)}
    for name, table in tables.items():
        contents[f"{name}.csv"] = _to_csv(table)
    if tensors:
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        if size > POLICY_LIMIT:
            raise ValueError(f"{size:,} bytes of parameters: a record holds {POLICY_LIMIT:,} at most")
        contents["policy.pt"] = _to_pt(tensors)
    manifest = manifest | {
        "schema": SCHEMA,
        "columns": {
            name: {column: str(dtype) for column, dtype in table.dtypes.items()} for name, table in tables.items()
        },
        "metrics": {name: metrics_digest(table) for name, table in tables.items()},
        "tensors": {name: tensor_digest(tensor) for name, tensor in (tensors or {}).items()},
        "files": {name: _sha256(content) for name, content in contents.items()},
    }
    return contents | {"manifest.json": _dump(manifest | {"digest": _sha256(canonical(manifest).encode())})}


def _read(folder: Path) -> Record:
    config, manifest = _read_config(folder)
    contents = {name: _read_file(folder, name) for name in manifest["files"]}
    for name, content in contents.items():
        _check_digest(folder, name, content, manifest)
    tables = {name: _from_csv(contents[f"{name}.csv"], columns) for name, columns in manifest["columns"].items()}
    for name, table in tables.items():
        if metrics_digest(table) != manifest["metrics"][name]:
            raise CorruptRecord(folder, f"{name}.csv does not give the numbers of the run")
    tensors = _from_pt(contents["policy.pt"]) if "policy.pt" in contents else {}
    if {name: tensor_digest(tensor) for name, tensor in tensors.items()} != manifest["tensors"]:
        raise CorruptRecord(folder, "policy.pt does not give the tensors of the run")
    return Record(folder.name, config, manifest, tables, tensors)


def _read_config(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A record's configuration and manifest, verified."""
    manifest = _read_manifest(folder)
    content = _read_file(folder, "config.json")
    _check_digest(folder, "config.json", content, manifest)
    return json.loads(content), manifest


def _check_digest(folder: Path, name: str, content: bytes, manifest: dict[str, Any]) -> None:
    if _sha256(content) != manifest["files"][name]:
        raise CorruptRecord(folder, f"{name} differs from its digest in manifest.json")


def _read_manifest(folder: Path) -> dict[str, Any]:
    text = _read_file(folder, "manifest.json")
    try:
        manifest = json.loads(text)
        schema = manifest["schema"]
    except (ValueError, KeyError, TypeError):
        raise CorruptRecord(folder, "manifest.json is no manifest") from None
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        remedy = "update pgcourse" if newer else f"compute it again: pgcourse study {folder.parent.name} --refresh"
        raise UnknownSchema(f"{folder}: format version {schema!r}; this version of pgcourse reads {SCHEMA}; {remedy}")
    signed = {key: value for key, value in manifest.items() if key != "digest"}
    if text != _dump(manifest) or manifest.get("digest") != _sha256(canonical(signed).encode()):
        raise CorruptRecord(folder, "manifest.json differs from its own digest")
    return manifest


def _read_file(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise CorruptRecord(folder, f"{name} is missing") from None


def _dump(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _to_csv(table: pd.DataFrame) -> bytes:
    for name, dtype in table.dtypes.items():
        if not isinstance(dtype, np.dtype) or dtype.kind not in "iuf":
            raise TypeError(f"a record's tables hold numbers only, column {name!r} has dtype {dtype}")
        if not str(name).isidentifier():
            raise ValueError(f"a record's columns are named by one word each, got {name!r}")
    return table.to_csv(index=False, na_rep="nan", lineterminator="\n").encode()


def _from_csv(content: bytes, columns: Mapping[str, str]) -> pd.DataFrame:
    # numpy's reader is exact to the last bit; that of pandas is not in every version.
    lines = io.StringIO(content.decode())
    names = lines.readline().rstrip("\n").split(",")
    return pd.DataFrame(np.loadtxt(lines, [(name, columns[name]) for name in names], delimiter=",", ndmin=1))


def _to_pt(tensors: Mapping[str, torch.Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, buffer)
    return buffer.getvalue()


def _from_pt(content: bytes) -> dict[str, torch.Tensor]:
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
