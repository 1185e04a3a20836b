"""Environment steps per CPU second: A2C on CartPole with 1, 10 and 32 seeds, beside the world alone.

    python -m benchmarks.throughput                 a table of medians over three interleaved rounds
    python -m benchmarks.throughput --json          one JSON document

One thread. The world alone is stepped with random actions, same number of seeds and copies, noise drawn in the same
blocks; the policy alone adds the forward passes and the sampling of a rollout. Absolute numbers are this machine's;
compare columns and rows of one run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

import pgcourse as pg
from pgcourse.algorithms import rollout
from pgcourse.algorithms.architecture import default_policy
from pgcourse.lab import machine

SEEDS = (1, 10, 32)
ROUNDS = 3


def world_alone(seeds: int, algorithm: pg.A2C, iterations: int) -> int:
    """Steps of the world under random actions."""
    world, streams = pg.make("CartPole-v1", algorithm.envs), pg.Streams(seeds)
    world.reset(streams.child("reset"))
    action = streams.integers(2, algorithm.horizon, algorithm.envs)
    for _ in range(iterations):
        noise = world.noise(streams, algorithm.horizon)
        for t in range(algorithm.horizon):
            world.step(action[:, t], noise[:, t])
    return iterations * algorithm.horizon * algorithm.envs * seeds


def rollouts_alone(seeds: int, algorithm: pg.A2C, iterations: int) -> int:
    """Rollouts of a policy that does not learn."""
    world, streams = pg.make("CartPole-v1", algorithm.envs), pg.Streams(seeds)
    policy = default_policy(world)
    theta = policy.init(streams.child("theta"))
    obs = world.reset(streams.child("reset"))
    for number in range(iterations):
        _, obs = rollout(policy, theta, world, obs, algorithm.horizon, streams.child(number))
    return iterations * algorithm.horizon * algorithm.envs * seeds


def training(seeds: int, algorithm: pg.A2C, iterations: int) -> int:
    """All of A2C."""
    steps = iterations * algorithm.horizon * algorithm.envs
    for _ in pg.training(algorithm, "CartPole-v1", seeds, steps):
        pass
    return steps * seeds


MEASURED: dict[str, Callable[[int, pg.A2C, int], int]] = {
    "world alone": world_alone,
    "rollouts": rollouts_alone,
    "A2C": training,
}


def measure(iterations: int) -> dict[str, dict[int, float]]:
    """Median rate over the rounds, {what: {seeds: steps per CPU second}}; rounds interleave what is compared."""
    rates: dict[str, dict[int, list[float]]] = {name: {seeds: [] for seeds in SEEDS} for name in MEASURED}
    for _ in range(ROUNDS):
        for seeds in SEEDS:
            for name, run in MEASURED.items():
                begun = time.process_time()
                steps = run(seeds, pg.A2C(), iterations)
                rates[name][seeds].append(steps / (time.process_time() - begun))
    return {
        name: {seeds: statistics.median(values) for seeds, values in by_seeds.items()}
        for name, by_seeds in rates.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--iterations", type=int, default=200, help="updates a measurement (default 200)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    measure(5)  # the first calls pay for loading
    rates = measure(arguments.iterations)
    if arguments.json:
        print(json.dumps({"machine": machine(), "steps_per_cpu_second": rates}, indent=2))
        return
    algorithm = pg.A2C()
    shape = f"{algorithm.envs} copies × {algorithm.horizon} steps a seed and update"
    print(f"environment steps per CPU second, CartPole, {shape}")
    print(f"{'seeds':>12}" + "".join(f"{name:>14}" for name in rates) + f"{'A2C / world':>14}")
    for seeds in SEEDS:
        row = "".join(f"{rates[name][seeds]:14,.0f}" for name in rates)
        print(f"{seeds:>12}{row}{rates['A2C'][seeds] / rates['world alone'][seeds]:14.2f}")


if __name__ == "__main__":
    main()
