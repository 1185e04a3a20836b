"""PPO on the tensor CartPole with many seeds at once, on an accelerator: environment steps per second of the clock.

    python -m benchmarks.accelerator                          10, 100 and 1,000 seeds on the first CUDA device
    python -m benchmarks.accelerator --device cpu --seeds 10  the same on the CPU, with one thread

Four copies × 128 steps a seed and update, 4 epochs × 4 minibatches, 2 × 64 tanh units for actor and critic each. The
first update warms up and does not count. The lengths are those of the episodes that ended in the last update: their
mean is the mean return.

`training` is what everybody calls. `bare` is its iteration alone, with noise that is drawn on the device and without
the questions that wait for it (whether an episode has ended, whether a gradient is finite). `graph` is the same
iteration, acting and update, captured once as a CUDA graph and replayed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

import pgcourse as pg
from pgcourse.algorithms import default_critic, default_policy, rollout
from pgcourse.envs import CartPole
from pgcourse.envs.base import Step

ALGORITHM = pg.PPO(envs=4, horizon=128, epochs=4, minibatches=4, lr=2.5e-4, critic_lr=2.5e-4, anneal=False)
PER_UPDATE = ALGORITHM.envs * ALGORITHM.horizon  # steps of a seed


def training(seeds: int, updates: int, device: str) -> tuple[float, float]:
    """Environment steps per second of all seeds together, and how long episodes are at the end."""
    iterations = pg.training(ALGORITHM, "CartPole-v1", seeds, (updates + 1) * PER_UPDATE, device=device)
    next(iterations)
    begun = time.perf_counter()
    for iteration in iterations:
        last = iteration
    length = (last.total_length.sum() / last.episodes.sum()).item()  # which waits for the device
    return updates * PER_UPDATE * seeds / (time.perf_counter() - begun), length


class Unasked(CartPole):
    """CartPole that makes new episodes in every step, to be taken where one has ended: a graph cannot ask whether."""

    def step(self, action: Tensor, noise: Tensor) -> Step:
        state, reward, terminated = self.transition(self.current, action, noise[..., :0])
        elapsed = self.elapsed + 1
        truncated = elapsed >= self.time_limit
        done = terminated | truncated
        self.current = self.initial(noise).where(done.unsqueeze(-1), state)
        self.elapsed = elapsed.masked_fill(done, 0)
        return Step(self.current, reward, state, terminated, truncated)


class Places(pg.Streams):
    """Streams whose numbers stay at their places on the device, so that a graph finds new ones there."""

    def __init__(self, seeds: int, device: str) -> None:
        super().__init__(seeds, device=device)
        self.places: list[Tensor] = []
        self.next = 0

    def uniform(self, *shape: int) -> Tensor:
        if self.next == len(self.places):
            self.places.append(torch.rand(len(self), *shape, device=self.device))
        self.next += 1
        return self.places[self.next - 1]

    def refill(self) -> None:
        for place in self.places:
            place.uniform_()


def clipped_unasked(gradients: Sequence[Tensor], max_norm: float, jointly: bool = False) -> tuple[Any, Any]:
    """Each gradient clipped by itself, whether or not it is finite."""
    norms = tuple(torch.linalg.vector_norm(gradient, dim=1) for gradient in gradients)
    scales = [(max_norm / norm.clamp_min(1e-12)).clamp_max(1.0).unsqueeze(1) for norm in norms]
    return tuple(gradient * scale for gradient, scale in zip(gradients, scales, strict=True)), norms


def copied(state: Any) -> Any:
    """The same with tensors of its own, no two of them one."""
    if isinstance(state, Tensor):
        return state.clone()
    return type(state)(*map(copied, state)) if isinstance(state, tuple) else state


def tensors(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    return [tensor for part in state for tensor in tensors(part)] if isinstance(state, tuple) else []


def in_place(seeds: int, device: str) -> tuple[Callable[[], Tensor], Places, Any]:
    """An iteration that changes its state in place and gives how many episodes ended; its noise; the state."""
    world, streams, places = (
        Unasked(ALGORITHM.envs, device=device),
        pg.Streams(seeds, device=device),
        Places(seeds, device),
    )
    obs, elapsed = world.reset(streams.child("reset")).clone(), world.elapsed.clone()
    state = copied(ALGORITHM.init(default_policy(world), default_critic(world), streams.child("init")))

    def iteration() -> Tensor:
        places.next = 0
        world.load({"current": obs, "elapsed": elapsed})
        batch, _ = rollout(state.policy, state.theta, world, obs, ALGORITHM.horizon, places)
        after, _ = ALGORITHM.update(state, batch, 0.0, places)
        before_and_after = (state, obs, elapsed), (after, world.current, world.elapsed)
        for place, new in zip(*map(tensors, before_and_after), strict=True):
            place.copy_(new)
        return batch.done.sum()

    return iteration, places, state


def captured(iteration: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The iteration as a CUDA graph, after three that let libraries make their workspaces."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            iteration()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        ended = iteration()

    def replay() -> Tensor:
        graph.replay()
        return ended

    return replay


def bare(seeds: int, updates: int, device: str, as_graph: bool = False) -> tuple[float, float]:
    """As `training`, of the bare iteration."""
    with patch("pgcourse.algorithms.ppo.clipped", clipped_unasked):
        iteration, places, _ = in_place(seeds, device)
        iteration = captured(iteration) if as_graph else iteration
        iteration().item()
        begun = time.perf_counter()
        for _ in range(updates):
            places.refill()
            ended = iteration()
        length = PER_UPDATE * seeds / ended.item()
        return updates * PER_UPDATE * seeds / (time.perf_counter() - begun), length


def graph(seeds: int, updates: int, device: str) -> tuple[float, float]:
    return bare(seeds, updates, device, as_graph=True)


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
    print(f"{name}: seeds, how, environment steps per second, length of episodes after {given.updates} updates")
    for seeds in given.seeds:
        for how in (training, bare, *([graph] if device.type == "cuda" else [])):
            try:
                steps, length = how(seeds, given.updates, given.device)
                print(f"{seeds:>6,} {how.__name__:>9} {steps:>12,.0f} {length:>8.1f}", flush=True)
            except RuntimeError as error:  # of CUDA: what cannot be captured, memory
                print(f"{seeds:>6,} {how.__name__:>9} failed: {error}".splitlines()[0], flush=True)


if __name__ == "__main__":
    main()
