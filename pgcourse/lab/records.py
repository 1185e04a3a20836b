"""The record store: a run's result under its configuration's hash, there whole or not at all, verified when read.

A record is the folder STUDY/RUN_ID with config.json, manifest.json, a CSV file for each table and perhaps policy.pt.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pgcourse.lab import files
from pgcourse.lab.provenance import metrics_digest, tensor_digest

SCHEMA = 2
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


def plain(value: Any) -> Any:
    """A configuration as JSON values: a dataclass becomes {"type": its name, **fields}, an infinity {"float": "inf"}.

    Raises:
        ValueError: NaN.
        TypeError: a key that is no string, or a value that JSON has no form for.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **plain(fields)}
    if isinstance(value, Mapping):
        if bad := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"a configuration's keys must be strings, got {bad[0]!r}")
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            raise ValueError("a configuration may not contain NaN")
        return {"float": repr(float(value))}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a configuration holds numbers, strings, lists, mappings and dataclasses, got {value!r}")


def canonical(config: Any) -> str:
    """The one JSON text of a configuration: keys sorted, no spaces, floats as their shortest exact decimals."""
    return json.dumps(plain(config), sort_keys=True, separators=(",", ":"), allow_nan=False)


def run_id(config: Any) -> str:
    """The first 16 hex digits of the SHA-256 of the canonical configuration and the schema version."""
    return _sha256(canonical({"schema": SCHEMA, "config": config}).encode())[:16]


@dataclass(frozen=True)
class Record:
    """A run's stored result, verified.

    `tables` have the columns and dtypes that were written. `tensors` is empty without a kept policy.
    """

    run_id: str
    config: dict[str, Any]
    manifest: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    tensors: dict[str, torch.Tensor]


class Store:
    """The records of one study, in the folder `root`."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def run_ids(self) -> list[str]:
        """All records present, readable or not."""
        if not self.root.is_dir():
            return []
        return sorted(folder.name for folder in self.root.iterdir() if folder.is_dir() and folder.name[0] != ".")

    def __contains__(self, run_id: str) -> bool:
        return (self.root / run_id).is_dir()

    def write(
        self,
        config: Any,
        tables: Mapping[str, pd.DataFrame],
        manifest: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor] | None = None,
        *,
        replace: bool = False,
    ) -> Record:
        """Store a run and return its record as read back.

        A process killed at any moment leaves the whole record or none. Where the record is already there it stays, and
        is what is returned, unless `replace`.

        Args:
            tables: tables of numbers by name; their index is not kept.
            manifest: what to note of the run beside what the store adds itself (format version, digests, dtypes).
            tensors: a policy's parameters, `POLICY_LIMIT` bytes at most.

        Raises:
            TypeError, ValueError: a configuration without canonical form, a column that is not of numbers, or tensors
                over the limit.
            OSError: the disk is full or not writable; nothing is left behind.
        """
        run = run_id(config)
        content = _encode(run, plain(config), tables, plain(manifest), tensors)
        self.root.mkdir(parents=True, exist_ok=True)
        staging = files.staging(self.root)
        try:
            staging.mkdir()
            for name, each in content.items():
                files.write_through(staging / name, each)
            files.flush_folder(staging)
            record = _read(staging, run)  # what is published has been read back once
            if replace and run in self:
                self._remove(run)
            first = self._publish(staging, run)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return record if first else self.read(run)

    def read(self, run_id: str) -> Record:
        """A record, every file checked against its digest.

        Raises:
            MissingRecord, CorruptRecord, UnknownSchema: naming the record, what is wrong with it, and the remedy.
        """
        if run_id not in self:
            raise MissingRecord(f"no record {self.root / run_id}; `pgcourse study {self.root.name}` computes it")
        return _read(self.root / run_id, run_id)

    def remove(self, run_id: str) -> None:
        """Delete a record. Raises `MissingRecord`."""
        if run_id not in self:
            raise MissingRecord(f"no record {self.root / run_id}")
        self._remove(run_id)

    def sweep(self) -> None:
        """Delete what killed writers have left behind."""
        files.sweep(self.root)

    def _publish(self, staging: Path, run_id: str) -> bool:
        """Move a finished record to its place; False where another writer's is there already."""
        try:
            staging.rename(self.root / run_id)
        except OSError:
            if run_id not in self:
                raise
            return False
        files.flush_folder(self.root)
        return True

    def _remove(self, run_id: str) -> None:
        doomed = files.staging(self.root)
        (self.root / run_id).rename(doomed)  # at once: no reader sees half of it
        shutil.rmtree(doomed)


def _encode(
    run: str,
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
        "run_id": run,
        "columns": {
            name: {column: str(dtype) for column, dtype in table.dtypes.items()} for name, table in tables.items()
        },
        "metrics": {name: metrics_digest(table) for name, table in tables.items()},
        "tensors": {name: tensor_digest(tensor) for name, tensor in (tensors or {}).items()},
        "files": {name: _sha256(content) for name, content in contents.items()},
    }
    return contents | {"manifest.json": _dump(manifest | {"digest": _sha256(canonical(manifest).encode())})}


def _read(folder: Path, run: str) -> Record:
    def require(holds: bool, what: str) -> None:
        if not holds:
            raise CorruptRecord(folder, what)

    manifest = _read_manifest(folder)
    require(manifest["run_id"] == run, f"manifest.json is that of run {manifest['run_id']}")
    contents = {name: _read_file(folder, name) for name in manifest["files"]}
    for name, digest in manifest["files"].items():
        require(_sha256(contents[name]) == digest, f"{name} differs from its digest in manifest.json")
    config = json.loads(contents["config.json"])
    require(run_id(config) == run, f"config.json is that of run {run_id(config)}")
    tables = {name: _from_csv(contents[f"{name}.csv"], columns) for name, columns in manifest["columns"].items()}
    for name, table in tables.items():
        require(metrics_digest(table) == manifest["metrics"][name], f"{name}.csv does not give the numbers of the run")
    tensors = _from_pt(contents["policy.pt"]) if "policy.pt" in contents else {}
    digests = {name: tensor_digest(tensor) for name, tensor in tensors.items()}
    require(digests == manifest["tensors"], "policy.pt does not give the tensors of the run")
    return Record(run, config, manifest, tables, tensors)


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
