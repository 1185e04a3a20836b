"""Environment steps per CPU second of a study's training, beside EnvPool alone with the same number of copies.

    python -m benchmarks.simulators                             bipedal-walker's PPO with 1, 5 and 10 seeds, a table
    python -m benchmarks.simulators --study bipedal-walker --seeds 1 10 --json

One thread. EnvPool alone is stepped with random actions, without this library around it and with its own resets. Rounds
interleave what is compared, and medians are given. Absolute numbers are this machine's; the fraction says what learning
costs beside simulating.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from typing import Any

import numpy as np
import torch

import pgcourse as pg
from pgcourse.lab import Study, machine
from pgcourse.lab.studies import Block

WHOLE = 1000  # steps an iteration, where an algorithm plays whole episodes


def simulator_alone(block: Block, copies: int, steps: int) -> float:
    """Steps per CPU second of EnvPool itself under random actions."""
    import envpool

    with warnings.catch_warnings(action="ignore", category=UserWarning):
        world: Any = envpool.make_gymnasium(block.env.removeprefix("envpool:"), num_envs=copies, num_threads=1, seed=1)
        space = world.action_space
    rng = np.random.default_rng(0)
    actions = [rng.uniform(space.low, space.high, (copies, *space.shape)).astype(space.dtype) for _ in range(16)]
    world.reset()
    begun = time.process_time()
    for t in range(steps):
        world.step(actions[t % len(actions)])
    return copies * steps / (time.process_time() - begun)


def training(block: Block, seeds: int, iterations: int) -> float:
    """Steps per CPU second of all seeds' training, after the first iteration, which pays for making the worlds."""
    world = pg.make(block.env, block.algorithm.envs, **block.environment.arguments)
    policy, critic = block.networks()
    trained = pg.iterate(block.algorithm, world, pg.Streams(seeds), policy=policy, critic=critic)
    begun, before = 0.0, 0
    for it in trained:
        steps = int(it.steps.sum())
        if it.number == 0:
            begun, before = time.process_time(), steps
        if it.number == iterations:
            return (steps - before) / (time.process_time() - begun)
    raise AssertionError("training without a limit does not end")


def measure(block: Block, seeds: list[int], rounds: int, iterations: int) -> list[dict[str, float]]:
    """A row for each number of seeds: seeds, copies, simulator, training, fraction."""
    rates: dict[int, list[tuple[float, float]]] = {number: [] for number in seeds}
    for _ in range(rounds):
        for number in seeds:
            copies = number * block.algorithm.envs
            steps = iterations * (block.algorithm.horizon or WHOLE)
            rates[number].append((simulator_alone(block, copies, steps), training(block, number, iterations)))
    rows = []
    for number, pairs in rates.items():
        alone, learning = (statistics.median(each) for each in zip(*pairs, strict=True))
        copies = number * block.algorithm.envs
        row = {"seeds": number, "copies": copies, "simulator": alone, "training": learning}
        rows.append({**row, "fraction": learning / alone})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--study", default="bipedal-walker", help="whose first variant is trained (default %(default)s)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 5, 10], help="how many at once (default 1 5 10)")
    parser.add_argument("--rounds", type=int, default=3, help="of which medians are given (default 3)")
    parser.add_argument("--iterations", type=int, default=4, help="updates a measurement (default 4)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    block = Study.read(arguments.study).blocks()[0]
    if not block.env.startswith("envpool:"):
        parser.error(f"{arguments.study} trains in {block.env}, not in one of EnvPool's worlds")
    torch.set_num_threads(1)
    rows = measure(block, arguments.seeds, arguments.rounds, arguments.iterations)
    if arguments.json:
        print(json.dumps({"machine": machine(), "study": arguments.study, "steps_per_cpu_second": rows}, indent=2))
        return
    print(f"environment steps per CPU second, {arguments.study}'s {block.variant}")
    print(f"{'seeds':>8}{'copies':>8}{'simulator':>12}{'training':>12}{'fraction':>10}")
    for row in rows:
        print(
            f"{row['seeds']:8}{row['copies']:8}{row['simulator']:12,.0f}{row['training']:12,.0f}{row['fraction']:10.2f}"
        )


if __name__ == "__main__":
    main()
