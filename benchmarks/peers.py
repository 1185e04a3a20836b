"""The same work done by this library and by others, side by side on one core: environment steps per CPU second.

    python -m benchmarks.peers                        everything; some 20 minutes
    python -m benchmarks.peers cartpole-ppo --quick   one piece of work, a fifth of the steps
    python -m benchmarks.peers --json peers.json      keep the numbers, too

Each measurement is a process of its own with one thread. Rounds alternate between those who are compared, so that a
busy machine hurts all alike, and the median round counts. Time is CPU time from the first step to the last, without
imports; beside every rate stands the mean return of the last training episodes, so that nobody is fast and wrong.
Absolute numbers are this machine's: compare the rows of one run. Peers: `pip install "pgcourse[bench]"`.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

ROUNDS = 3
HIDDEN = 64  # units of each of two tanh layers, in policy and critic alike


@dataclass(frozen=True)
class Work:
    """One training, in terms that all sides understand."""

    env: str
    algorithm: str  # ppo or trpo
    steps: int  # of each seed
    envs: int
    rollout: int
    epochs: int = 4
    minibatches: int = 4
    lr: float = 2.5e-4
    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    max_kl: float = 0.01

    @property
    def batch_size(self) -> int:
        return self.envs * self.rollout // self.minibatches


WORK = {
    "cartpole-ppo": Work("CartPole-v1", "ppo", 100_352, 4, 128),
    "cartpole-trpo": Work("CartPole-v1", "trpo", 100_352, 4, 128, lr=1e-3),
    "pendulum-ppo": Work("Pendulum-v1", "ppo", 100_352, 4, 256, epochs=10, minibatches=16, lr=1e-3, gamma=0.9),
    "reacher-ppo": Work("Reacher-v5", "ppo", 51_200, 4, 256, epochs=10, minibatches=16, lr=3e-4),
    "walker-ppo": Work("BipedalWalker-v3", "ppo", 65_536, 16, 256, epochs=10, minibatches=16, lr=3e-4),
}


def ours(work: Work) -> Any:
    """The algorithm with this library's names."""
    import pgcourse as pg

    shared = {"envs": work.envs, "rollout": work.rollout, "gamma": work.gamma, "lam": work.lam}
    if work.algorithm == "trpo":
        # As sb3-contrib: 15 steps of conjugate gradients, the whole batch for the Fisher matrix, 10 fits of the critic.
        options = {"cg_steps": 15, "fisher_every": 1, "max_kl": work.max_kl, "critic_lr": work.lr, "critic_steps": 10}
        return pg.TRPO(**shared, **options)
    passes = {"epochs": work.epochs, "minibatches": work.minibatches, "clip": work.clip}
    return pg.PPO(**shared, **passes, lr=work.lr, critic_lr=work.lr, anneal=False)


def theirs(work: Work) -> dict[str, Any]:
    """The same with the names of Stable-Baselines3."""
    arguments = {
        "n_steps": work.rollout,
        "learning_rate": work.lr,
        "gamma": work.gamma,
        "gae_lambda": work.lam,
        "policy_kwargs": {"net_arch": {"pi": [HIDDEN, HIDDEN], "vf": [HIDDEN, HIDDEN]}},
    }
    if work.algorithm == "trpo":
        batch = work.envs * work.rollout
        return arguments | {"batch_size": batch, "target_kl": work.max_kl, "n_critic_updates": 10, "cg_max_steps": 15}
    return arguments | {"batch_size": work.batch_size, "n_epochs": work.epochs, "clip_range": work.clip}


@dataclass(frozen=True)
class Measured:
    steps: int
    cpu_seconds: float
    last_return: float | None  # mean over the last training episodes; None where nobody learns

    @property
    def rate(self) -> float:
        return self.steps / self.cpu_seconds


def train_here(work: Work, seeds: int, env: str | None = None) -> Measured:
    import pgcourse as pg

    begun = time.process_time()
    run = pg.train(ours(work), env or work.env, seeds, work.steps)
    seconds = time.process_time() - begun
    late = run.curves[run.curves["step"] > 0.9 * work.steps]
    return Measured(int(run.curves.groupby("seed")["step"].max().sum()), seconds, float(late["return"].mean()))


def train_there(work: Work) -> Measured:
    """One seed with Stable-Baselines3, which knows one at a time."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    kind: Any = PPO
    if work.algorithm == "trpo":
        from sb3_contrib import TRPO as kind
    model = kind("MlpPolicy", make_vec_env(work.env, work.envs, seed=0), seed=0, device="cpu", **theirs(work))
    begun = time.process_time()
    model.learn(work.steps)
    seconds = time.process_time() - begun
    returns = [episode["r"] for episode in model.ep_info_buffer]  # the last 100
    return Measured(model.num_timesteps, seconds, statistics.fmean(returns) if returns else None)


def step_here(work: Work, seeds: int, env: str | None = None) -> Measured:
    """The world alone under random actions: what no training can exceed."""
    import pgcourse as pg

    world, streams = pg.make(env or work.env, work.envs), pg.Streams(seeds)
    world.reset(streams.child("reset"))
    space: Any = world.action_space
    shape = (work.rollout, work.envs)
    discrete = hasattr(space, "n")
    action = streams.integers(int(space.n), *shape) if discrete else streams.normal(*shape, *space.shape)
    iterations = max(1, work.steps // (work.envs * work.rollout))
    begun = time.process_time()
    for _ in range(iterations):
        noise = world.noise(streams, work.rollout)
        for t in range(work.rollout):
            world.step(action[:, t], noise[:, t])
    return Measured(iterations * work.rollout * work.envs * seeds, time.process_time() - begun, None)


def contestants(name: str) -> dict[str, Callable[[Work], Measured]]:
    """Who does this piece of work."""
    found: dict[str, Callable[[Work], Measured]] = {
        "Stable-Baselines3, 1 seed": train_there,
        "pgcourse, 1 seed": lambda work: train_here(work, 1),
        "pgcourse, 10 seeds": lambda work: train_here(work, 10),
        "world alone, 1 seed": lambda work: step_here(work, 1),
        "world alone, 10 seeds": lambda work: step_here(work, 10),
    }
    if name == "walker-ppo":
        pool = f"envpool:{WORK[name].env}"
        found |= {
            "pgcourse, EnvPool, 1 seed": lambda work: train_here(work, 1, pool),
            "EnvPool alone, 1 seed": lambda work: step_here(work, 1, pool),
        }
    return found


def missing(contestant: str, name: str) -> str | None:
    """What would have to be installed for this one, if it is not."""
    needed = ["stable_baselines3"] if "Stable" in contestant else ["envpool"] if "EnvPool" in contestant else []
    if needed == ["stable_baselines3"] and WORK[name].algorithm == "trpo":
        needed.append("sb3_contrib")
    return next((package for package in needed if importlib.util.find_spec(package) is None), None)


def measure(name: str, contestant: str, share: float) -> Measured:
    """In a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peers", name, "--one", contestant, "--share", str(share)]
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def compare(name: str, share: float, rounds: int, screen: Console) -> dict[str, dict[str, Any]]:
    """Median rates of all contestants, {contestant: {rate, rates, last_return}}; who is missing is left out."""
    present = []
    for contestant in contestants(name):
        if package := missing(contestant, name):
            screen.print(f'{contestant}: not measured, {package} is not installed (pip install "pgcourse[bench]")')
        else:
            present.append(contestant)
    rounds_of: dict[str, list[Measured]] = {contestant: [] for contestant in present}
    with screen.status(name) as status:
        for number in range(rounds):
            for contestant in present:
                status.update(f"{name}: {contestant}, round {number + 1} of {rounds}")
                rounds_of[contestant].append(measure(name, contestant, share))
    return {
        contestant: {
            "rate": statistics.median(each.rate for each in several),
            "rates": [each.rate for each in several],
            "last_return": several[0].last_return,
        }
        for contestant, several in rounds_of.items()
    }


def show(name: str, found: dict[str, dict[str, Any]], screen: Console) -> None:
    work = WORK[name]
    shape = f"{work.envs} × {work.rollout} steps"
    if work.algorithm == "ppo":
        shape += f", {work.epochs} epochs × {work.minibatches} minibatches"
    table = Table("", "steps / CPU s", "ratio", "last return", title=f"{name}: {work.env}, {shape}")
    peer = next((each["rate"] for contestant, each in found.items() if "Stable" in contestant), None)
    for contestant, each in found.items():
        ratio = f"{each['rate'] / peer:.1f} ×" if peer else ""
        last = "" if each["last_return"] is None else f"{each['last_return']:.1f}"
        table.add_row(contestant, f"{each['rate']:,.0f}", ratio, last)
    screen.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*WORK, []], metavar="NAME", help=f"of {', '.join(WORK)}")
    parser.add_argument("--quick", action="store_true", help="a fifth of the steps, one round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--share", type=float, default=1.0, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    names = given.names or list(WORK)
    torch.set_num_threads(1)
    if given.one:
        work = WORK[names[0]]
        work = dataclasses.replace(work, steps=round(work.steps * given.share))
        print(json.dumps(dataclasses.asdict(contestants(names[0])[given.one](work))))
        return
    from pgcourse.lab import fingerprint

    screen = Console()
    share, rounds = (0.2, 1) if given.quick else (1.0, ROUNDS)
    results = {}
    for name in names:
        results[name] = compare(name, share, rounds, screen)
        show(name, results[name], screen)
    if given.json:
        works = {name: dataclasses.asdict(WORK[name]) for name in names}
        document = {"machine": fingerprint(), "share": share, "rounds": rounds, "work": works, "results": results}
        given.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
