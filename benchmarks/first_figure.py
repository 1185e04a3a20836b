"""How long a reader waits after "Restart kernel and run all": for a chapter's first figure, and for its first training.

    python -m benchmarks.first_figure            every chapter
    python -m benchmarks.first_figure 00 03      two of them, three times each: --repeat 3

A fresh kernel is started as Jupyter starts it, with one thread; all cells are sent to it at once; the clock runs from
the start of the kernel. Taken are the first picture that arrives, and the first line that a training shows (one that
takes longer than half a second shows one, and a loop on the page prints its own). Then the kernel is killed. A dash
says that no code of the chapter trains, a question mark that nothing came by the chapter's end, or in time.

Beside the seconds of the wall clock stand those of the processor, of the kernel and what it starts: where other
programs are at work, they say what a quiet machine would need, or less where two processes can run side by side. Of
several repetitions the fastest counts.

Asked for on two cores: a figure within 6 s, a training's line within 8 s.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import time
from pathlib import Path
from queue import Empty

import psutil
from jupyter_client.manager import start_new_kernel
from rich.console import Console
from rich.table import Table

from pgcourse.course.runner import find_chapters, find_root

TRAINS = re.compile(r"pg\.(?:train|iterate)\(|update \{")  # the code of a training: the library's, or one on the page
LINE = re.compile(r"^\w+ on \S+: [\d,]+ (?:of [\d,]+ )?steps|^update +\d+: mean return", re.MULTILINE)
POLL = 0.05  # seconds


def seconds(process: psutil.Process, ended: dict[int, float]) -> float:
    """Processor seconds of a process and of all that it has started so far."""
    for child in [process, *process.children(recursive=True)]:
        try:
            times = child.cpu_times()
            ended[child.pid] = times.user + times.system
        except psutil.Error:
            continue
    return sum(ended.values())


def code(chapter: Path) -> list[str]:
    cells = json.loads(chapter.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def trains(chapter: Path) -> bool:
    return any(TRAINS.search(source) for source in code(chapter))


def measure(chapter: Path, patience: float) -> dict[str, tuple[float, float]]:
    """{"figure", "training": (wall, processor) seconds}, as far as they came within `patience` seconds."""
    sources = code(chapter)
    sought = ["figure", "training"] if trains(chapter) else ["figure"]
    began, found, ended = time.monotonic(), {}, {}
    manager, client = start_new_kernel(120, "python3", cwd=str(chapter.parent), stderr=subprocess.DEVNULL)
    try:
        process = psutil.Process(manager.provisioner.pid)
        last = [client.execute(source, stop_on_error=True) for source in sources][-1]
        while len(found) < len(sought) and time.monotonic() - began < patience:
            used = seconds(process, ended)
            try:
                message = client.get_iopub_msg(timeout=POLL)
            except Empty:
                continue
            content, kind = message["content"], message["msg_type"]
            now = (time.monotonic() - began, used)
            data = content.get("data", {})
            if "image/png" in data:
                found.setdefault("figure", now)
            if LINE.search(data.get("text/plain", "") or content.get("text", "")):
                found.setdefault("training", now)
            if kind == "error":
                raise RuntimeError(f"{chapter.name}: {content['ename']}: {content['evalue']}")
            if kind == "status" and content["execution_state"] == "idle" and message["parent_header"]["msg_id"] == last:
                break
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="number, name or notebook; without one, all")
    parser.add_argument("--repeat", type=int, default=1, metavar="N")
    parser.add_argument("--patience", type=float, default=120, metavar="SECONDS", help="for one chapter")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    root = find_root()
    table = Table("chapter", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("figure, s", "of processor", "training, s", "of processor"):
        table.add_column(column, justify="right")
    for chapter in find_chapters(root, options.chapters):
        runs = [measure(chapter, options.patience) for _ in range(options.repeat)]
        row = []
        for what, missing in (("figure", "?"), ("training", "?" if trains(chapter) else "-")):
            times = [run[what] for run in runs if what in run]
            row += [f"{min(each):.1f}" for each in zip(*times, strict=True)] or [missing, missing]
        table.add_row(chapter.stem, *row)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    console = Console()
    console.print(table)
    console.print(f"{len(psutil.Process().cpu_affinity())} cores; the load of the last minute was {load:.1f}")


if __name__ == "__main__":
    main()
