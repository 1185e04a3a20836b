"""PPO on the tensor CartPole with many seeds at once, on an accelerator: environment steps per second of the clock.

    python -m benchmarks.accelerator                          10, 100 and 1,000 seeds on the first CUDA device
    python -m benchmarks.accelerator --device cpu --seeds 10  the same on the CPU, with one thread

Four copies × 128 steps a seed and update, 4 epochs × 4 minibatches, 2 × 64 tanh units for actor and critic each. The
first update warms up and does not count. The returns are those of the episodes that ended in the last update.
"""

from __future__ import annotations

import argparse
import time

import torch

import pgcourse as pg


def rate(seeds: int, updates: int, device: str) -> tuple[float, float]:
    """Environment steps per second of all seeds together, and their mean return at the end."""
    algorithm = pg.PPO(envs=4, rollout=128, epochs=4, minibatches=4, lr=2.5e-4, critic_lr=2.5e-4)
    per_update = algorithm.envs * algorithm.rollout
    iterations = pg.training(algorithm, "CartPole-v1", seeds, (updates + 1) * per_update, device=device)
    next(iterations)
    begun = time.perf_counter()
    for iteration in iterations:
        last = iteration
    mean_return = (last.total_return.sum() / last.episodes.sum()).item()  # which waits for the device
    return updates * per_update * seeds / (time.perf_counter() - begun), mean_return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="(default cuda)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 100, 1000], help="(default 10 100 1000)")
    parser.add_argument("--updates", type=int, default=50, help="measured updates of each (default 50)")
    given = parser.parse_args()
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here; --device cpu measures the CPU")
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
    print(f"{name}: seeds, environment steps per second, mean return after {given.updates} updates")
    for seeds in given.seeds:
        steps, mean_return = rate(seeds, given.updates, given.device)
        print(f"{seeds:>6,} {steps:>12,.0f} {mean_return:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
