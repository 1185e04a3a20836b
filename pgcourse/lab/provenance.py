"""Where a number came from: machine, versions, commit; and digests that say whether two results are the same bits."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pgcourse.lab.repository import code_repository

# What floating-point results depend on. Between machines that agree on these, the same run gives the same bits.
ARITHMETIC = ("system", "machine", "libc", "torch", "numpy", "gymnasium", "cpu_capability", "threads")
# What else may explain different bits: libraries choose their kernels by processor, and simulators are libraries.
SUSPECTS = (*ARITHMETIC, "cpu_model", "box2d", "mujoco")
SIMULATORS = {"box2d": ("box2d", "box2d-py"), "mujoco": ("mujoco",)}


def machine() -> dict[str, Any]:
    """The machine and the versions that compute in this process.

    Keys: `system`, `machine`, `libc`, `python`, `torch`, `numpy`, `gymnasium`, `pandas`, `box2d`, `mujoco` (None if not
    installed), `cpu_model`, `cpu_capability` (the vector instructions that torch uses) and `threads` (torch's, in this
    process).
    """
    return _machine() | {"threads": torch.get_num_threads()}


def differences(here: dict[str, Any], there: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Where two machines differ in what may change bits, as {key: (here, there)}; empty where they are expected."""
    return {key: (here.get(key), there.get(key)) for key in SUSPECTS if here.get(key) != there.get(key)}


def commit() -> dict[str, Any]:
    """Git commit and whether the package or its constraints differ from it; both None where git cannot tell."""
    root = code_repository()
    head = root and _git(root, "rev-parse", "HEAD")
    changes = root and _git(root, "status", "--porcelain", "--", "pgcourse", "constraints.txt")
    return {"commit": head or None, "dirty": None if changes is None else changes != ""}


def constraints_hash() -> str | None:
    """SHA-256 of constraints.txt, None where there is none; line ends do not matter."""
    root = code_repository()
    if root is None or not (root / "constraints.txt").is_file():
        return None
    return hashlib.sha256((root / "constraints.txt").read_text("utf-8").encode()).hexdigest()


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


def package_version(*packages: str) -> str | None:
    """Of the first of these packages that is installed."""
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:
            pass
    return None


@cache
def _machine() -> dict[str, Any]:
    """What stays the same as long as this process lives."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "numpy", "gymnasium", "pandas")},
        **{name: package_version(*packages) for name, packages in SIMULATORS.items()},
        "cpu_model": _cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _git(root: Path, *arguments: str) -> str | None:
    environment = os.environ | {
        "GIT_OPTIONAL_LOCKS": "0"
    }  # `git status` must not take a lock that a user's git waits for
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, env=environment, capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    try:
        sysctl = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(sysctl, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return platform.processor()
