"""Training: `training` adds curves and checkpoints to `iterate`; `train` runs it to its end and returns a `Run`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pgcourse.algorithms.architecture import parts
from pgcourse.algorithms.curves import Curves, Episodes
from pgcourse.algorithms.iterate import Algorithm, Iteration, iterate, placed, whole_steps
from pgcourse.algorithms.state import plain, rebuilt
from pgcourse.algorithms.trained import TrainedPolicy
from pgcourse.algorithms.trial import Bounds, bounds_of, require_ready, trial
from pgcourse.core import Critic, Policy, Streams
from pgcourse.envs import Env, close, make, name_of, spaces_of, versioned
from pgcourse.envs.registry import require_arguments

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to resume after an iteration; a world that is not restorable is reset instead."""

    number: int  # of the iteration
    steps: Tensor  # [seed]
    final: Tensor  # θ, for each seed that has used up its steps the one it had then
    state: dict[str, Any]  # the algorithm's, as `plain` gives it
    obs: Tensor  # what the policy sees next
    episodes: Episodes
    world: dict[str, Tensor] | None  # None: the worlds start anew


@dataclass(frozen=True)
class Progress:
    """One iteration of every seed, as it is reported. All tensors are [seed]."""

    number: int
    steps: Tensor  # environment steps so far
    active: Tensor  # False once a seed has used up its steps: its policy is final
    episodes: Tensor  # episodes that ended in this iteration
    total_return: Tensor  # and the sums of their undiscounted returns
    total_length: Tensor  # and of their lengths
    metrics: dict[str, Tensor]
    policy: TrainedPolicy
    checkpoint: Checkpoint | None  # where one is due after this iteration


@dataclass(frozen=True)
class Run:
    """A training, finished or stopped.

    `curves` has a row per seed and report: seed, step, episodes, return, length, metrics.
    """

    algorithm: Algorithm
    policy: TrainedPolicy
    curves: pd.DataFrame

    def __repr__(self) -> str:
        """Five lines: algorithm and world, seeds, steps, latest returns, the policy and its size."""
        seeds, steps = self.policy.seeds, int(self.curves["step"].max())
        latest = self.curves.dropna(subset="return").groupby("seed")["return"].last()
        returns = "no episode of every seed has ended"
        if len(latest) == len(seeds):
            returns = f"{latest.mean():.4g}, from {latest.min():.4g} to {latest.max():.4g} over seeds"
        shown = ", ".join(map(str, seeds)) if len(seeds) <= 5 else f"{seeds[0]}, {seeds[1]}, …, {seeds[-1]}"
        return (
            f"<Run: {type(self.algorithm).__name__} on {name_of(self.policy.env)}\n"
            f"  seeds    {len(seeds)}: {shown}\n"
            f"  steps    {steps:,} each\n"
            f"  returns  {returns}\n"
            f"  policy   {self.policy.policy}, {self.policy.theta.shape[-1]:,} parameters each>"
        )


def training(
    algorithm: Algorithm,
    env: str | Callable[..., Any],
    seeds: int | Iterable[int] = 10,
    steps: int = 100_000,
    policy: Policy | None = None,
    critic: Critic | None = None,
    checkpoint_steps: int | None = None,
    resume: Checkpoint | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    env_args: Mapping[str, Any] | None = None,
) -> Iterator[Progress]:
    """Train all seeds side by side, yielding after every update until each seed has seen `steps` environment steps.

    Saving, showing progress and stopping early belong to the caller. What a seed does depends on no other seed: where
    whole episodes use up one seed's steps earlier than another's, the first one's policy is kept from that moment on.

    A `checkpoint` is due each time that all seeds have passed another `checkpoint_steps` steps. Training that resumes
    from it, with all other arguments as they were, gives the same bits as if it had never stopped. Worlds that can give
    their state back are saved with the episodes under way. Others start anew at every checkpoint that is due, whether
    or not anybody keeps it, and nothing of a seed is counted until each of its copies has ended an episode, and for as
    long again: short ones end first, and the curve would dip.

    On another `device` than the CPU everything but the random numbers is computed there, the tensor world included, and
    so are the tensors of an iteration. Its numbers are those of the CPU up to rounding. With `dtype` float64
    everything, the random numbers included, is computed in float64: another training, whose numbers are the same on
    every machine up to a rounding that takes long to grow.

    Before anything is computed, `pgcourse.algorithms.trial` plays the world's first steps twice: parts that do not fit
    are refused, and of a world that gives other numbers the second time warns `NotRepeatable`.

    Raises:
        ValueError: unknown environment, unsupported space, steps or checkpoint_steps below 1, a policy or critic that
            does not fit, a world that is not as it declares, or that knows only the CPU on another device.
        FloatingPointError: a reward, observation or gradient that is NaN or infinite.
    """
    if checkpoint_steps is not None and checkpoint_steps < 1:
        raise ValueError(f"checkpoint_steps must be 1 or more, got {checkpoint_steps}")
    require_ready(algorithm)
    streams = Streams(seeds, device=device, dtype=dtype)
    arguments = dict(env_args or {})
    require_arguments(arguments)
    env = versioned(env) if isinstance(env, str) else env
    begin: Callable[[int], Env] = partial(make, env, **arguments, **placed(streams))
    world = begin(algorithm.envs)
    limits = bounds_of(trial(algorithm, begin, streams, policy, critic), world)
    spaces = spaces_of(world)
    after, final, ends = None, None, None
    try:
        if resume is not None:
            state = rebuilt(algorithm.init(*parts(world, policy, critic), streams.child("init")), resume.state)
            after = Iteration(resume.number, None, state, None, resume.steps, resume.obs)
            final, ends = resume.final, resume.episodes
            if resume.world is None:
                after = _in_a_fresh_world(after, world, streams)
            else:
                world.load(resume.world)
        while True:
            for it in iterate(algorithm, world, streams, steps, policy, critic, after):
                before = it.steps - it.batch.mask.sum((1, 2))
                active = before < steps
                if ends is None or algorithm.horizon is None:
                    ends = Episodes.start(it.batch.reward[:, 0])
                ends, ended = ends.follow(it.batch)
                theta = it.state.theta.detach()
                final = theta if final is None else theta.where(active.unsqueeze(1), final)
                checkpoint = None
                if checkpoint_steps and _is_due(checkpoint_steps, before, it.steps) and (it.steps < steps).any():
                    saved = world.state() if getattr(world, "restorable", False) else None
                    ends = ends.restarted() if saved is None else ends
                    checkpoint = Checkpoint(it.number, it.steps, final, plain(it.state), it.obs, ends, saved)
                trained = TrainedPolicy(it.state.policy, final, streams.seeds, env, arguments, spaces)
                yield Progress(it.number, it.steps, active, *ended, _metrics(it, limits), trained, checkpoint)
                if checkpoint and checkpoint.world is None:
                    close(world)
                    world = begin(algorithm.envs)
                    after = _in_a_fresh_world(it, world, streams)
                    break
            else:
                return
    finally:
        close(world)


def _in_a_fresh_world(it: Iteration, world: Env, streams: Streams) -> Iteration:
    """An iteration to go on from in a world that starts anew after it."""
    return it._replace(obs=world.reset(streams.child(f"reset {it.number}")))


def _metrics(it: Iteration, limits: Bounds | None) -> dict[str, Tensor]:
    """The algorithm's metrics, and the share of actions that bounds clip, where there are such."""
    metrics = {name: metric for name, metric in it.metrics._asdict().items() if metric is not None}
    if limits is None:
        return metrics
    return metrics | {"clipped_actions": limits.clipped(it.batch.action, it.batch.mask)}


def _is_due(every: int, before: Tensor, now: Tensor) -> bool:
    """Whether all seeds have passed another multiple of `every` steps."""
    return int(now.min()) // every > int(before.min()) // every


def train(
    algorithm: Algorithm,
    env: str | Callable[..., Any],
    seeds: int | Iterable[int] = 10,
    steps: int = 100_000,
    policy: Policy | None = None,
    critic: Critic | None = None,
    device: str | torch.device = "cpu",
    watch: Callable[[Progress], bool] = lambda progress: True,
    env_args: Mapping[str, Any] | None = None,
) -> Run:
    """Drain `training` and keep about 100 rows of curves for each seed. Arguments and errors as `training`.

    What comes back is on the CPU. `watch` is shown every iteration; training ends where it returns False.
    `pgcourse.train` is this with somebody who watches.
    """
    steps = whole_steps(steps)
    curves = Curves(steps)
    progress = None
    for progress in training(algorithm, env, seeds, steps, policy, critic, device=device, env_args=env_args):
        curves.add(progress)
        if not watch(progress):
            break
    assert progress is not None
    trained = replace(progress.policy, theta=progress.policy.theta.cpu())
    return Run(algorithm, trained, curves.frame(trained.seeds))
