"""How many files of the package one has to open to follow a training: those whose functions are called.

`python -m benchmarks.files_entered` counts, in all processes, the files under pgcourse/ of which a function is called,
from `pgcourse train ppo` to curves.csv and from `pg.train(PPO())` to its curves. What merely happens while modules are
imported (class bodies, decorators, tables of names) does not count; nor does what the command does once a record with
curves.csv is in its place: the summary, the figure, the look for something to film.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = "from pgcourse.app.console import main; main()"
TRAINING = "import pgcourse as pg; pg.train(pg.PPO(), 'CartPole-v1', seeds=2, steps=1_000).curves"
# Python runs a sitecustomize.py that it finds on its path at every start, in the processes of the engine, too.
WATCH = """
import glob, os, sys, threading

package, curves, entered = os.environ["WATCHED"], os.environ["CURVES"], set()

def watch(frame, event, argument):
    name = frame.f_code.co_filename
    if event == "call" and name.startswith(package) and name not in entered and frame.f_code.co_flags & 1:
        while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
            frame = frame.f_back
        if frame is None:
            entered.add(name)
            if glob.glob(curves):  # names with a dot, of records that are not finished, are not found
                return
            with open(os.environ["ENTERED"], "a", encoding="utf-8") as file:
                file.write(f"{name[len(package) + 1:]}\\n")

sys.setprofile(watch)
threading.setprofile(watch)
"""


def files_entered(code: str, *arguments: str) -> list[str]:
    """The files that are entered when Python executes `code` with these arguments, in the order of their names."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
        log = Path(folder) / "entered.txt"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([folder, str(ROOT)]),
            "PGCOURSE_RUNS": f"{folder}/runs",
            "CURVES": f"{folder}/runs/*/*/curves.csv",
            "WATCHED": str(ROOT / "pgcourse"),
            "ENTERED": str(log),
        }
        subprocess.run([sys.executable, "-c", code, *arguments], env=environment, check=True, capture_output=True)
        return sorted(set(log.read_text("utf-8").split()))


def main() -> None:
    command = ["train", "ppo", "--env", "CartPole-v1", "--seeds", "2", "--steps", "1000"]
    for title, found in (
        (f"pgcourse {' '.join(command)}", files_entered(COMMAND, *command)),
        ("pg.train(pg.PPO(), ...)", files_entered(TRAINING)),
    ):
        print(f"{title}: {len(found)} files\n  {'  '.join(found)}")


if __name__ == "__main__":
    main()
