"""The same work done by this library and by others, side by side on one core: environment steps per CPU second.

    python -m benchmarks.peers                           everything, in more than an hour
    python -m benchmarks.peers cartpole-ppo --quick      one piece of work, a fifth of the steps, one round
    python -m benchmarks.peers cartpole-475              CPU time to a mean return of 475 over 10 seeds
    python -m benchmarks.peers walker-ppo --json w.json  keep the numbers, too
    pip install "pgcourse[bench,fast]"                   the peers, and EnvPool; who is missing is left out

Each measurement is a process of its own with one thread. Rounds alternate between those who are compared, so that a
busy machine hurts all alike, and the median round counts. Absolute numbers are this machine's: compare the rows of one
run. Ctrl-C shows what has been measured so far. What an accelerator does is measured by `benchmarks.accelerator`.

The clock is the process's CPU time. A training of one iteration warms the process up; then the clock runs from before
the world and the networks are made to after the last update. Who trains seeds one after another spends the sum. Of a
world alone only the steps count, under random actions.

The return beside a rate, so that nobody is fast and wrong: for each seed the mean return of the training episodes that
ended in the last 10 % of its steps, and of these the mean over seeds. "A mean return of 475" is the same with a window
of the last 5,000 steps of each seed, looked at after every iteration: what counts are the steps of each seed, and the
CPU seconds of all seeds together, up to the first iteration after which it is 475 or more. Windows are rounded up to
whole iterations.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

QUICK = 0.2  # of the steps
LAST = 0.1  # of the steps: the window of the return beside a rate
GOAL_WINDOW = 5_000  # steps of a seed; one episode in each of the copies is at most 8 × 500
HIDDEN = (64, 64)  # tanh units, in policy and critic alike: what this library takes unless it is told otherwise
PEERS = {"ppo": ("Stable-Baselines3", "stable_baselines3"), "trpo": ("sb3-contrib", "sb3_contrib")}


@dataclass(frozen=True)
class Target:
    """The least rate that a row is to have: times that of another row, or in steps per CPU second."""

    row: str
    least: float
    beside: str | None = None


@dataclass(frozen=True)
class Work:
    """One training, in terms that all sides understand."""

    env: str
    algorithm: str  # ppo or trpo
    steps: int  # of each seed
    envs: int
    horizon: int
    epochs: int = 4
    minibatches: int = 4
    lr: float = 2.5e-4
    anneal: bool = False  # the step size to 0, linearly
    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    max_kl: float = 0.01
    max_grad_norm: float = 0.5  # of PPO
    both_clips: bool = False  # whether our training takes part a second time, with that norm clipped as theirs
    envpool: bool = False  # whether EnvPool takes part
    goal: float | None = None  # a mean return; then only the time to it is compared, over 10 seeds on both sides
    rounds: int = 3
    targets: tuple[Target, ...] = ()

    @property
    def iteration(self) -> int:
        """Steps of a seed between two updates."""
        return self.envs * self.horizon

    @property
    def peer(self) -> str:
        """The row that the others are compared with."""
        return f"{PEERS[self.algorithm][0]}, {10 if self.goal else 3} seeds"


ONE, TEN, MANY = "pgcourse, 1 seed", "pgcourse, 10 seeds", "pgcourse, 32 seeds"
JOINTLY = f"{TEN}, clipped jointly"
SB3 = "Stable-Baselines3, 3 seeds"
CARTPOLE = (Target(TEN, 11.5, SB3), Target(ONE, 2.3, SB3), Target(MANY, 90_000))
WALKER = tuple(
    Target(f"pgcourse, EnvPool, {seeds}", 0.6, f"EnvPool alone, {seeds}") for seeds in ("1 seed", "10 seeds")
)
WORK = {
    "cartpole-ppo": Work("CartPole-v1", "ppo", 100_352, 4, 128, both_clips=True, targets=CARTPOLE),
    "cartpole-trpo": Work(
        "CartPole-v1", "trpo", 100_352, 4, 128, lr=1e-2, targets=(Target(TEN, 9, "sb3-contrib, 3 seeds"),)
    ),
    # The hyper-parameters of the study results/ppo-cartpole. Ten seeds are enough of an average for one round.
    "cartpole-475": Work("CartPole-v1", "ppo", 200_000, 8, 32, epochs=10, lr=1e-3, anneal=True, goal=475, rounds=1),
    "pendulum-ppo": Work("Pendulum-v1", "ppo", 100_352, 4, 256, epochs=10, minibatches=16, lr=1e-3, gamma=0.9),
    "reacher-ppo": Work("Reacher-v5", "ppo", 51_200, 4, 256, epochs=10, minibatches=16, lr=3e-4, both_clips=True),
    "walker-ppo": Work(
        "BipedalWalker-v3", "ppo", 65_536, 16, 256, epochs=10, minibatches=16, lr=3e-4, envpool=True, targets=WALKER
    ),
}


def ours(work: Work, jointly: bool = False) -> Any:
    """The algorithm with this library's names. Everything that matters is named, also where it is the default.

    Of PPO the gradients of actor and critic are each clipped to the norm, as is usual here, or `jointly`, as theirs.
    """
    import pgcourse as pg

    shared: dict[str, Any] = {"envs": work.envs, "horizon": work.horizon, "gamma": work.gamma, "lam": work.lam}
    if work.algorithm == "trpo":
        # The whole batch for the Fisher matrix; 9 backtracks are 10 tries. The critic's gradient is not clipped.
        region: dict[str, Any] = {"max_kl": work.max_kl, "damping": 0.1, "fisher_every": 1, "cg_steps": 15}
        search: dict[str, Any] = {"search": True, "backtracks": 9, "shrink": 0.8, "normalize_advantage": True}
        return pg.TRPO(**shared, **region, **search, critic_lr=work.lr, critic_steps=10, adam_eps=5e-6)
    passes: dict[str, Any] = {
        "epochs": work.epochs,
        "minibatches": work.minibatches,
        "normalize_advantage": "minibatch",
    }
    clip: dict[str, Any] = {"objective": "clip", "clip": work.clip, "anneal_clip": False, "value_clip": math.inf}
    steps: dict[str, Any] = {"lr": work.lr, "critic_lr": work.lr, "anneal": work.anneal}
    limits: dict[str, Any] = {"max_grad_norm": work.max_grad_norm, "clip_jointly": jointly, "max_kl": math.inf}
    return pg.PPO(**shared, **passes, **clip, **steps, **limits, entropy=0.0, adam_eps=1e-5)


def theirs(work: Work) -> dict[str, Any]:
    """The same with the names of Stable-Baselines3 and sb3-contrib.

    With `ours(work, jointly=True)` an update of PPO is the same to rounding: tests/frozen. (One Adam for both networks
    or one for each is the same: it is elementwise.) What remains different in TRPO: they bound KL(new ‖ old), here it
    is KL(old ‖ new). Its critic's loss is there twice that of here, which Adam does not see with half the ε.
    """
    network = {"net_arch": {"pi": list(HIDDEN), "vf": list(HIDDEN)}, "activation_fn": torch.nn.Tanh, "ortho_init": True}
    shared = {
        "n_steps": work.horizon,
        "gamma": work.gamma,
        "gae_lambda": work.lam,
        "normalize_advantage": True,  # PPO: in each minibatch
        "policy_kwargs": network | {"optimizer_kwargs": {"eps": 1e-5}},  # of Adam; ours has the same
    }
    if work.algorithm == "trpo":
        region = {"target_kl": work.max_kl, "cg_damping": 0.1, "cg_max_steps": 15, "sub_sampling_factor": 1}
        search = {"line_search_max_iter": 10, "line_search_shrinking_factor": 0.8}
        critic = {"learning_rate": work.lr, "n_critic_updates": 10, "batch_size": work.iteration}
        return shared | region | search | critic
    passes = {"n_epochs": work.epochs, "batch_size": work.iteration // work.minibatches}
    objective = {"clip_range": work.clip, "clip_range_vf": None, "ent_coef": 0.0, "vf_coef": 0.5}
    # They ask for the step size after a rollout, with the part of the training that remains; we set it before.
    rate = (lambda remaining: work.lr * (remaining + work.iteration / work.steps)) if work.anneal else work.lr
    limits = {"max_grad_norm": work.max_grad_norm, "target_kl": None}
    return shared | passes | objective | limits | {"learning_rate": rate}


@dataclass(frozen=True)
class Measured:
    """What one process measured; without episodes, or without a goal, the rest is None."""

    steps: int  # of all seeds
    cpu_seconds: float
    last_return: float | None = None
    goal_steps: int | None = None  # of each seed
    goal_seconds: float | None = None  # of all seeds together

    @property
    def rate(self) -> float:
        """Environment steps per CPU second."""
        return self.steps / self.cpu_seconds


class Curve(NamedTuple):
    """A training of several seeds, iteration by iteration."""

    episodes: Tensor  # [seed, iteration]: how many ended in it
    total_return: Tensor  # [seed, iteration]: the sum of their returns
    seconds: Tensor  # [iteration]: CPU seconds of all seeds together, from the beginning to after its update

    def late_return(self, width: int) -> Tensor:
        """[iteration]: the mean over seeds of the mean return of a seed's episodes that ended in the last `width`
        iterations; NaN where a seed has none."""

        def recent(amount: Tensor) -> Tensor:
            so_far = amount.double().cumsum(1)
            return so_far - functional.pad(so_far, (width, 0))[:, : amount.shape[1]]

        return (recent(self.total_return) / recent(self.episodes)).mean(0)

    def measured(self, work: Work) -> Measured:
        seeds, iterations = self.episodes.shape
        steps, seconds = seeds * iterations * work.iteration, float(self.seconds[-1])
        last = float(self.late_return(math.ceil(LAST * work.steps / work.iteration))[-1])
        last_return = None if math.isnan(last) else last
        if work.goal is None:
            return Measured(steps, seconds, last_return)
        reached = self.late_return(math.ceil(GOAL_WINDOW / work.iteration)) >= work.goal
        if not reached.any():
            return Measured(steps, seconds, last_return)
        first = int(reached.int().argmax())
        return Measured(steps, seconds, last_return, (first + 1) * work.iteration, float(self.seconds[first]))


def train_here(work: Work, seeds: int, env: str | None = None, jointly: bool = False) -> Measured:
    """All seeds side by side."""
    import pgcourse as pg

    episodes, returns, seconds = [], [], []
    begun = time.process_time()
    for iteration in pg.training(ours(work, jointly), env or work.env, seeds, work.steps):
        episodes.append(iteration.episodes)
        returns.append(iteration.total_return)
        seconds.append(time.process_time() - begun)
    clock = torch.tensor(seconds, dtype=torch.float64)
    return Curve(torch.stack(episodes, 1), torch.stack(returns, 1), clock).measured(work)


def peer_model(work: Work, seed: int) -> Any:
    """A model of the peer's, with its worlds, each behind a Monitor."""
    from stable_baselines3.common.env_util import make_vec_env

    kind = getattr(importlib.import_module(PEERS[work.algorithm][1]), work.algorithm.upper())
    return kind("MlpPolicy", make_vec_env(work.env, work.envs, seed=seed), seed=seed, device="cpu", **theirs(work))


def train_there(work: Work, seeds: int) -> Measured:
    """One seed after another. Episodes are those of the Monitors' records."""
    from stable_baselines3.common.callbacks import BaseCallback

    times: list[float] = []

    class Clock(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:  # the update before it is done
            times.append(time.process_time())

        def _on_training_end(self) -> None:
            times.append(time.process_time())

    curves = []
    for seed in range(seeds):
        times.clear()
        begun = time.process_time()
        model = peer_model(work, seed)
        model.learn(work.steps, callback=Clock())
        lengths, returns = (model.get_env().env_method(f"get_episode_{what}") for what in ("lengths", "rewards"))
        seconds = torch.tensor(times[1:], dtype=torch.float64) - begun
        curves.append(Curve(*binned(lengths, returns, work.horizon, len(seconds)), seconds))
    episodes, total_return, seconds = (torch.stack(part) for part in zip(*curves, strict=True))
    return Curve(episodes, total_return, seconds.sum(0)).measured(work)


def binned(
    lengths: Sequence[Sequence[int]], returns: Sequence[Sequence[float]], rollout: int, iterations: int
) -> tuple[Tensor, Tensor]:
    """Number and summed returns, [iteration], of the episodes that each copy of the world has played on end."""
    ends = np.concatenate([np.cumsum(copy, dtype=np.int64) for copy in lengths])  # the copy's steps, from 1
    number = torch.from_numpy((ends - 1) // rollout)
    amount = torch.tensor(np.concatenate(returns), dtype=torch.float64)
    return torch.bincount(number, minlength=iterations), torch.bincount(number, amount, minlength=iterations)


def random_actions(space: spaces.Space, *shape: int) -> np.ndarray:
    """[*shape, *action]: uniform, or standard normal within the bounds, as of a policy that has not learnt."""
    random = np.random.default_rng(0)
    if isinstance(space, spaces.Discrete):
        return random.integers(int(space.n), size=shape)
    assert isinstance(space, spaces.Box)
    return random.standard_normal((*shape, *space.shape), dtype=np.float32).clip(space.low, space.high)


def step_here(work: Work, seeds: int, env: str | None = None) -> Measured:
    """A world behind this library's interface, alone."""
    import pgcourse as pg

    world, streams = pg.make(env or work.env, work.envs), pg.Streams(seeds)
    world.reset(streams.child("reset"))
    actions = torch.from_numpy(random_actions(world.action_space, work.horizon, seeds, work.envs))

    def rollout() -> None:
        noise = world.noise(streams, work.horizon)
        for t in range(work.horizon):
            world.step(actions[t], noise[:, t])

    return repeated(rollout, work, seeds)


def step_raw(work: Work, library: str, seeds: int = 1) -> Measured:
    """As many copies as so many seeds have, as Gymnasium or EnvPool makes them, alone: what no training can exceed."""
    copies = seeds * work.envs
    if library == "envpool":
        world: Any = importlib.import_module("envpool").make_gymnasium(work.env, num_envs=copies, num_threads=1)
        actions = random_actions(world.action_space, work.horizon, copies)
    else:
        world = gymnasium.make_vec(work.env, copies, vectorization_mode="sync")
        actions = random_actions(world.single_action_space, work.horizon, work.envs)
    world.reset()

    def rollout() -> None:
        for action in actions:
            world.step(action)

    return repeated(rollout, work, seeds)


def repeated(rollout: Callable[[], None], work: Work, seeds: int) -> Measured:
    """As many rollouts as a training makes."""
    rollouts = math.ceil(work.steps / work.iteration)
    begun = time.process_time()
    for _ in range(rollouts):
        rollout()
    return Measured(rollouts * work.iteration * seeds, time.process_time() - begun)


class Contestant(NamedTuple):
    measure: Callable[[Work], Measured]
    needs: str | None = None  # a package

    @property
    def missing(self) -> bool:
        return self.needs is not None and importlib.util.find_spec(self.needs) is None


def contestants(work: Work) -> dict[str, Contestant]:
    """Who does this piece of work, the peer first."""
    package = PEERS[work.algorithm][1]
    if work.goal:
        there, here = partial(train_there, seeds=10), partial(train_here, seeds=10)
        return {work.peer: Contestant(there, package), TEN: Contestant(here)}
    found = {
        work.peer: Contestant(partial(train_there, seeds=3), package),
        ONE: Contestant(partial(train_here, seeds=1)),
        TEN: Contestant(partial(train_here, seeds=10)),
        "Gymnasium alone": Contestant(partial(step_raw, library="gymnasium")),
        "our world alone, 1 seed": Contestant(partial(step_here, seeds=1)),
        "our world alone, 10 seeds": Contestant(partial(step_here, seeds=10)),
    }
    if work.both_clips:
        found[JOINTLY] = Contestant(partial(train_here, seeds=10, jointly=True))
    if MANY in {target.row for target in work.targets}:
        found[MANY] = Contestant(partial(train_here, seeds=32))
    if work.envpool:
        pool = f"envpool:{work.env}"
        for seeds, number in (("1 seed", 1), ("10 seeds", 10)):
            found |= {
                f"pgcourse, EnvPool, {seeds}": Contestant(partial(train_here, seeds=number, env=pool), "envpool"),
                f"EnvPool alone, {seeds}": Contestant(partial(step_raw, library="envpool", seeds=number), "envpool"),
                f"our EnvPool alone, {seeds}": Contestant(partial(step_here, seeds=number, env=pool), "envpool"),
            }
    return found


def measure_here(name: str, contestant: str, share: float) -> Measured:
    """In this process, one thread, after a warm-up."""
    torch.set_num_threads(1)
    work, measured = WORK[name], contestants(WORK[name])[contestant].measure
    measured(dataclasses.replace(work, steps=work.iteration))
    return measured(dataclasses.replace(work, steps=round(work.steps * share)))


def measure(name: str, contestant: str, share: float) -> Measured:
    """In a process of its own.

    Raises:
        RuntimeError: it failed, with what it said.
    """
    command = [sys.executable, "-m", "benchmarks.peers", name, "--one", contestant, "--share", str(share)]
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}, {contestant} ended with status {done.returncode}:\n{done.stderr}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


Rows = dict[str, dict[str, Any]]  # of each contestant the medians over its rounds


def compare(name: str, share: float, rounds: int, screen: Console) -> tuple[Rows, bool]:
    """Who was measured, without those that are not installed; and whether Ctrl-C ended it early."""
    measured: dict[str, list[Measured]] = {}
    for row, contestant in contestants(WORK[name]).items():
        if contestant.missing:
            remedy = f'pip install "pgcourse[{"fast" if contestant.needs == "envpool" else "bench"}]"'
            say(screen, f"{row}: not measured, {contestant.needs} is not installed: {remedy}")
        else:
            measured[row] = []
    interrupted = False
    try:
        with screen.status(name) as status:
            for number in range(rounds):
                for place, row in enumerate(measured, 1 + number * len(measured)):
                    status.update(f"{name}: {row} ({place} of {rounds * len(measured)})")
                    measured[row].append(measure(name, row, share))
    except KeyboardInterrupt:
        interrupted = True
    return {row: medians(several) for row, several in measured.items() if several}, interrupted


def medians(several: Sequence[Measured]) -> dict[str, Any]:
    """The median rate and time; steps and returns are the same in all rounds."""
    rates, times = [each.rate for each in several], [each.goal_seconds for each in several]
    goal_seconds = None if None in times else statistics.median(filter(None, times))
    same = {name: getattr(several[0], name) for name in ("steps", "last_return", "goal_steps")}
    return same | {"rate": statistics.median(rates), "rates": rates, "goal_seconds": goal_seconds}


def verdict(target: Target, rows: Rows) -> dict[str, Any]:
    """The target with what was `measured` and whether it is `reached`; None where a row is missing."""
    found = [rows[row]["rate"] for row in (target.row, target.beside) if row in rows]
    measured = None
    if len(found) == 1 + (target.beside is not None):
        measured = found[0] / found[1] if target.beside else found[0]
    reached = None if measured is None else measured >= target.least
    return dataclasses.asdict(target) | {"measured": measured, "reached": reached}


def verdict_line(judged: dict[str, Any]) -> str:
    unit, digits = (f" × {judged['beside']}", ".2f") if judged["beside"] else (" steps / CPU s", ",.0f")
    target = f"target {judged['least']:,}{unit}"
    if judged["measured"] is None:
        return f"{judged['row']}: {target}: not measured"
    return f"{judged['row']}: {judged['measured']:{digits}}, {target}: {'' if judged['reached'] else 'not '}reached"


def goal_lines(work: Work, rows: Rows) -> list[str]:
    """When who had the mean return, and how the times compare."""
    lines = []
    for row, each in rows.items():
        when = f"not reached in {each['steps']:,} steps of all seeds"
        if each["goal_steps"]:
            when = f"after {each['goal_steps']:,} steps of each seed, {each['goal_seconds']:,.1f} CPU s of all"
        lines.append(f"{row}: mean return of {work.goal:g} {when}")
    times = [each["goal_seconds"] for each in rows.values()]
    if len(times) == 2 and None not in times:
        lines.append(f"{times[0] / times[1]:.2f} × the CPU time of this library")
    return lines


def show(work: Work, title: str, rows: Rows, screen: Console) -> None:
    shape = f"{work.envs} × {work.horizon} steps"
    if work.algorithm == "ppo":
        shape += f", {work.epochs} epochs × {work.minibatches} minibatches"
    table = Table("", "steps / CPU s", "ratio", "last return", title=f"{title}: {work.env}, {shape}")
    for row, each in rows.items():
        ratio = f"{each['rate'] / rows[work.peer]['rate']:.2f} ×" if work.peer in rows else ""
        last = "" if each["last_return"] is None else f"{each['last_return']:.1f}"
        table.add_row(row, f"{each['rate']:,.0f}", ratio, last)
    screen.print(table)
    for line in goal_lines(work, rows) if work.goal else []:
        say(screen, line)
    for target in work.targets:
        say(screen, verdict_line(verdict(target, rows)))


def say(screen: Console, line: str) -> None:
    screen.print(line, markup=False, highlight=False, soft_wrap=True)


def not_measured() -> dict[str, str]:
    """What this benchmark has no process for, and why."""
    return {
        "a compiled JAX implementation": "there is no row for one yet",
        'device="cuda"': "not in this table" if torch.cuda.is_available() else "no accelerator",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORK)}")
    parser.add_argument("--quick", action="store_true", help="a fifth of the steps, one round")
    parser.add_argument("--share", type=float, default=1.0, help="this part of the steps (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    names = given.names or list(WORK)
    if unknown := [name for name in names if name not in WORK]:
        parser.error(f"there is no {', '.join(unknown)}; there is {', '.join(WORK)}")
    if not 0 < given.share <= 1:
        parser.error(f"--share must be above 0 and at most 1, got {given.share}")
    if given.json and not given.json.parent.is_dir():
        parser.error(f"--json {given.json}: there is no folder {given.json.parent}")
    if given.one:
        print(json.dumps(dataclasses.asdict(measure_here(names[0], given.one, given.share))))
        return 0
    from pgcourse.lab import machine

    screen = Console()
    share = given.share * (QUICK if given.quick else 1)
    document: dict[str, Any] = {"machine": machine(), "share": share, "not_measured": not_measured(), "results": {}}
    interrupted = False
    for name in names:
        work = WORK[name]
        rows, interrupted = compare(name, share, 1 if given.quick else work.rounds, screen)
        verdicts = [verdict(target, rows) for target in work.targets]
        document["results"][name] = {"work": dataclasses.asdict(work), "rows": rows, "targets": verdicts}
        show(work, name if share == 1 else f"{name}, {share:g} of the steps", rows, screen)
        if given.json:  # now, so that what follows cannot lose it
            given.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        if interrupted:
            say(screen, "Interrupted: these are the measurements so far.")
            break
    for what, why in not_measured().items():
        say(screen, f"{what}: not measured ({why})")
    return 130 if interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
