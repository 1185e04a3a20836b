"""How the kept policies of a steered machine follow its joystick, and a ride of each seed, for chapter 09c.

    python -m benchmarks.steering            plays, and writes results/go1/tracking.csv and rides.npz: minutes
    python -m benchmarks.steering --check    plays again and compares

It needs EnvPool; what it writes does not, and is what the chapter shows. A row of the table is a seed in one case, with
the columns of `pgcourse.gait.tracking`. The cases are stages of the training, and for the final policies sampled
actions, other noise of the sensors, and motors that are weaker or stronger than those of the training.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import pgcourse as pg
from pgcourse import gait
from pgcourse.algorithms import TrainedPolicy
from pgcourse.lab.studies import results_folder

STUDY, VARIANT = "go1", "PPO"
EPISODES = 10  # of 20 s, of each seed in each case
STIFF = 35.0  # N m/rad, Go1's own `kp`


def cases() -> dict[str, tuple[float, bool, dict[str, float]]]:
    """Part of the training, most probable actions or not, and what is changed in the world."""
    stages = [0.0, *pg.lab.load(STUDY).study.stages, 1.0]
    return {
        **{f"after {stage:.0%}": (stage, True, {}) for stage in stages},
        "sampled": (1.0, False, {}),
        **{f"noise × {factor:g}": (1.0, True, {"noise_level": factor}) for factor in (0.0, 2.0, 4.0)},
        **{f"stiffness × {factor:g}": (1.0, True, {"kp": STIFF * factor}) for factor in (0.7, 1.3)},
    }


def policy(stage: float, changed: dict[str, float]) -> TrainedPolicy:
    kept = pg.lab.load(STUDY).policy(VARIANT, at=stage)
    return replace(kept, env_args={**kept.env_args, **changed})


def tracking(episodes: int = EPISODES, only: list[str] | None = None) -> pd.DataFrame:
    """A row for each case and seed."""
    tables = []
    for name, (stage, deterministic, changed) in cases().items():
        if only is None or name in only:
            print(f"{name} …", file=sys.stderr, flush=True)
            table = gait.tracking(policy(stage, changed), episodes, deterministic)
            tables.append(table.assign(case=name))
    table = pd.concat(tables, ignore_index=True)
    return table[["case", *table.columns.drop("case")]]


def rides() -> list[gait.Ride]:
    """The episode that `pgcourse watch` shows: of the first seed at each stage, then of all seeds in the end."""
    before = [gait.ride(policy(stage, {}))[0] for stage in pg.lab.load(STUDY).study.stages]
    final = policy(1.0, {})
    return before + [gait.ride(final, seed)[0] for seed in final.seeds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is there, and write nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder: Path = results_folder() / STUDY
    table, played = tracking(), rides()
    if not arguments.check:
        table.to_csv(folder / "tracking.csv", index=False, float_format="%.6g")
        gait.keep(played, folder / "rides.npz")
        print(table.to_string(index=False))
        return
    there, kept = pd.read_csv(folder / "tracking.csv"), gait.kept(folder / "rides.npz")
    numbers = table.select_dtypes("number").columns
    equal = np.allclose(table[numbers], there[numbers], rtol=1e-5) and all(
        len(one) == len(other) and np.allclose(one.velocity, other.velocity, atol=1e-5)
        for one, other in zip(played, kept, strict=True)
    )
    print("repeated" if equal else "not repeated: on another processor rounding can change where a machine goes")
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
