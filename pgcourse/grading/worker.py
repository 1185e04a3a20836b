"""The process that runs a submission. It answers with values, never with verdicts.

Run as a program (`python -I worker.py LIMITS`) it imports nothing of pgcourse and reads requests from standard input
until that closes. A frame is its length (4 bytes, big endian) and a JSON object; a reply carries the request's `id`.

    {"do": "ping"}                                                  -> {}
    {"do": "load", "cells": [{"name", "source", "keep"}]}           -> {"failed": {name: reason}}
    {"do": "call", "entry", "names", "args", ...}                   -> {"values", "gradients"} or {"error"}

A call's "through" is an expression of the answer `f` and the arguments by name; without it the answer is called. With
"keep" the result stays here under that name, and a later call's "on" and "method" call a method of it.

The in-notebook check and the grader import this file for `perform` and for the encoding, so that all of them see the
same bytes.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import json
import math
import os
import queue
import struct
import sys
import threading
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

REPLY_BYTES = 8 << 20  # of one frame
DTYPES = {"<f4": 4, "<f8": 8, "<f2": 2, "<i8": 8, "<i4": 4, "<i2": 2, "|i1": 1, "|u1": 1, "|b1": 1}
ABSENT = "is not available while grading: an answer must stand on its own"


class Refused(Exception):
    """A result of the answer that cannot be sent."""


def encode(array: np.ndarray) -> dict[str, Any]:
    """An array as JSON. Raises `Refused` for a dtype or size that cannot be sent."""
    if array.dtype.str not in DTYPES:
        raise Refused(f"dtype {array.dtype} is not one of real numbers or booleans")
    if array.nbytes > REPLY_BYTES // 2:
        raise Refused(f"an array of {array.nbytes / 1e6:.0f} MB is too large to send")
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def decode(value: object) -> np.ndarray:
    """The array that `encode` made. Raises ValueError for anything else; whoever sent it is not trusted."""
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data"}:
        raise ValueError("not an array")
    dtype, shape, data = value["dtype"], value["shape"], value["data"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError("dtype not allowed")
    if not isinstance(shape, list) or len(shape) > 8 or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("shape not allowed")
    if not isinstance(data, str):
        raise ValueError("data not allowed")
    content = base64.b64decode(data, validate=True)
    if math.prod(shape) * DTYPES[dtype] != len(content):
        raise ValueError("data and shape disagree")
    return np.frombuffer(content, dtype).reshape(shape).copy()


def pack(value: Any, depth: int = 0) -> Any:
    """A value as JSON: numbers, texts, arrays, and lists and dictionaries of them. Raises `Refused` for all else."""
    if depth > 8:
        raise Refused("returned lists in lists, more than 8 deep")
    if value is None or type(value) in (bool, float):
        return value
    if type(value) is int and abs(value) < 1 << 63:
        return value
    if type(value) is str and len(value) <= 10_000:
        return value
    if type(value) in (torch.Tensor, torch.nn.Parameter):
        return encode(value.detach().resolve_conj().numpy())
    if type(value) is np.ndarray or (isinstance(value, np.generic) and type(value).__module__ == "numpy"):
        return encode(np.asarray(value))
    if type(value) is Code:
        return {"code": value.source, "scope": pack(dict(value.scope), depth + 1)}
    if type(value) in (list, tuple) or (isinstance(value, tuple) and hasattr(value, "_fields")):  # or a namedtuple
        return [pack(item, depth + 1) for item in value]
    if type(value) is dict and all(type(key) in (str, int) for key in value):
        return {"items": [[key, pack(item, depth + 1)] for key, item in value.items()]}
    raise Refused(f"returned {_kind(value)}")


def unpack(value: Any, tensors: bool = False, depth: int = 0) -> Any:
    """What `pack` made, with arrays as tensors if so wanted. Raises ValueError for anything else.

    Code is only ever run by the process that was sent it, never by the one that sends.
    """
    if depth > 9:
        raise ValueError("too deep")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [unpack(item, tensors, depth + 1) for item in value]
    if isinstance(value, dict) and set(value) == {"items"} and isinstance(value["items"], list):
        pairs = value["items"]
        if not all(isinstance(pair, list) and len(pair) == 2 and type(pair[0]) in (str, int) for pair in pairs):
            raise ValueError("not a dictionary")
        return {key: unpack(item, tensors, depth + 1) for key, item in pairs}
    array = decode(value)
    return torch.from_numpy(array) if tensors else array


class Code(NamedTuple):
    """An argument that only code can be, such as a function: an expression of `torch`, `np` and its own scope."""

    source: str
    scope: Mapping[str, Any]

    def value(self, convert: Callable[[Any], Any] = lambda x: x) -> Any:
        return run(self.source, {name: convert(x) for name, x in self.scope.items()})


def run(source: str, scope: Mapping[str, Any]) -> Any:
    """The value of an expression of the course's own."""
    return eval(source, {"torch": torch, "np": np, "math": math, **scope})


def perform(function: Any, request: dict[str, Any], objects: dict[str, Any] | None = None) -> dict[str, Any]:
    """Call the answer, `times` times on the same arguments; the results, and gradients of the last one.

    `gradient` lists the positions of the arguments to differentiate by; a gradient that does not exist is null. As in
    training, these arguments are no leaves. `objects` are what earlier calls were told to keep.
    """
    tensors = request["arrays"] == "torch"
    args = [_argument(arg, tensors) for arg in request["args"]]
    leaves = {position: args[position].requires_grad_() for position in request["gradient"]}
    args = [arg.clone() if position in leaves else arg for position, arg in enumerate(args)]
    if request["on"]:
        function = getattr((objects or {})[request["on"]], request["method"])
    if request["through"]:
        scope = {"f": function, **dict(zip(request["names"], args, strict=True))}
        values = [run(request["through"], scope) for _ in range(request["times"])]
    else:
        values = [function(*args) for _ in range(request["times"])]
    if request["keep"]:
        assert objects is not None
        objects[request["keep"]] = values[-1]
        return {"values": [None] * request["times"], "gradients": []}
    gradients: list[torch.Tensor | None] = [None] * len(leaves)
    if leaves and (total := weighted_sum(values[-1])) is not None and total.requires_grad:
        gradients = list(torch.autograd.grad(total, list(leaves.values()), allow_unused=True))
    return {
        "values": [pack(value) if request["on"] else _result(value) for value in values],  # a method may only act
        "gradients": [None if gradient is None else encode(gradient.numpy()) for gradient in gradients],
    }


def weighted_sum(value: Any) -> torch.Tensor | None:
    """What gradients are taken of: the scalar itself, and of more numbers a sum that tells each from the others."""
    if isinstance(value, torch.Tensor):
        if not value.is_floating_point():
            return None
        return (value * torch.arange(value.numel(), dtype=value.dtype).cos().reshape(value.shape)).sum()
    if isinstance(value, list | tuple | dict):
        parts = [weighted_sum(item) for item in (value.values() if isinstance(value, dict) else value)]
        found = [part for part in parts if part is not None and part.requires_grad]
        return sum(found[1:], found[0]) if found else None
    return None


def _argument(value: Any, tensors: bool) -> Any:
    if isinstance(value, dict) and set(value) == {"code", "scope"}:
        return run(value["code"], unpack(value["scope"], tensors))
    return unpack(value, tensors)


def _result(value: Any) -> Any:
    if value is None:
        raise Refused(f"returned {_kind(value)}")
    return pack(value)


def _kind(value: object) -> str:
    return "None (is a `return` missing?)" if value is None else f"an object of type {type(value).__name__}"


def describe(error: BaseException) -> dict[str, str]:
    """An exception as short strings: its type, message, and the deepest line of a notebook cell on its way."""
    where = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith("cell ") or "ipykernel_" in file:
            where = f"{file}, line {trace.tb_lineno}" if file.startswith("cell ") else f"line {trace.tb_lineno}"
        trace = trace.tb_next
    try:
        message = str(error)[:500]
    except Exception:
        message = "(its message could not be read)"
    return {"type": type(error).__name__[:100], "message": message, "where": where, "name": _missing_name(error)}


def _missing_name(error: BaseException) -> str:
    name = getattr(error, "name", None) if isinstance(error, NameError) else None
    return name if isinstance(name, str) else ""


def load(cells: list[dict[str, Any]], module: types.ModuleType) -> dict[str, str]:
    """Execute the statements to keep, one by one; for those that fail, the names they would have bound and why."""
    failed = {}
    for cell in cells:
        body = ast.parse(cell["source"]).body
        for index, names in cell["keep"]:
            try:  # compile inherits this file's `annotations` future: annotations are not evaluated
                exec(compile(ast.Module([body[index]], []), cell["name"], "exec"), module.__dict__)
            except Exception as error:
                info = describe(error)
                failed.update(dict.fromkeys(names, f"{cell['name']}: {info['type']}: {info['message']}"))
            else:
                for name in names:
                    failed.pop(name, None)
    return failed


class _Absent:
    """An import hook: the course's own package holds the answers."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "pgcourse":
            raise ModuleNotFoundError(f"pgcourse {ABSENT}", name=name)


def _limit_resources(limits: dict[str, Any]) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    wanted = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 16 << 20, "RLIMIT_CPU": limits["cpu_seconds"]}
    if limits["alone"]:
        wanted["RLIMIT_NPROC"] = 0  # no further process or thread: the limit of memory is one of each process
    # What importing torch maps is not the submission's doing, and differs by gigabytes between torch's builds.
    with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        wanted["RLIMIT_AS"] = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE") + limits["memory"]
    for name, value in wanted.items():
        _, hard = resource.getrlimit(getattr(resource, name))
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, name), (value, value))


def main() -> None:
    limits = json.loads(sys.argv[1])
    inbox, outbox = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what the submission prints goes to the log
    torch.set_num_threads(1)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(inbox, requests), daemon=True).start()
    _limit_resources(limits)
    sys.meta_path.insert(0, _Absent())  # type: ignore[arg-type]
    module = types.ModuleType("submission")
    sys.modules["submission"] = module
    objects: dict[str, Any] = {}
    while True:
        request = requests.get()
        reply: dict[str, Any] = {}
        try:
            if request["do"] == "load":
                reply = {"failed": load(request["cells"], module)}
            elif request["do"] == "call":
                reply = perform(getattr(module, request["entry"]), request, objects)
        except Exception as error:
            reply = {"error": describe(error)}
        frame = json.dumps({"id": request["id"], **reply}).encode()
        frame = struct.pack(">I", len(frame)) + frame
        while frame:
            frame = frame[os.write(outbox, frame) :]


def _receive(inbox: int, requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Read requests as they come; when the grader is gone, so is this process, even out of an endless loop."""
    with open(inbox, "rb") as pipe:
        while len(header := pipe.read(4)) == 4:
            requests.put(json.loads(pipe.read(struct.unpack(">I", header)[0])))
    os._exit(0)


if __name__ == "__main__":
    main()
