"""Look-up and construction of worlds by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from importlib import import_module, metadata
from typing import Any

import gymnasium

from pgcourse.envs.adapters.envpool import EnvPoolEnv
from pgcourse.envs.adapters.gymnasium import GymnasiumEnv
from pgcourse.envs.adapters.minatar import MinAtar
from pgcourse.envs.base import Env
from pgcourse.envs.worlds.arm import Arm
from pgcourse.envs.worlds.breakout import Breakout
from pgcourse.envs.worlds.cartpole import CartPole
from pgcourse.envs.worlds.diver import Diver
from pgcourse.envs.worlds.lqr import DoubleIntegrator, ScalarLQR
from pgcourse.envs.worlds.pendulum import Pendulum
from pgcourse.envs.worlds.positions import CartPolePositions
from pgcourse.envs.worlds.probes import PROBES, Forever
from pgcourse.envs.worlds.tabular import GridWorld
from pgcourse.envs.worlds.tour import Tour

WORLDS: dict[str, Callable[..., Env]] = {
    **{
        world.name: world
        for world in (CartPole, CartPolePositions, Pendulum, Diver, GridWorld, ScalarLQR, DoubleIntegrator)
    },
    **{f"Arm{joints}-v0": partial(Arm, joints=joints) for joints in range(1, Arm.most_joints + 1)},
    **{f"Tour{cities}-v0": partial(Tour, cities=cities) for cities in (5, 10, 20)},
    **{world.name: world for world in (Breakout, *PROBES, Forever)},
}


# The distribution behind a module; of several that fit, the first.
PACKAGES = {
    "gymnasium.envs.box2d": ("gymnasium", "Box2D"),
    "gymnasium.envs.mujoco": ("gymnasium", "mujoco"),
    "gymnasium": ("gymnasium",),
    "minatar": ("MinAtar",),
    "envpool": ("envpool",),
}


def names() -> list[str]:
    """Every name that `make` knows: our tensor worlds, then the ids registered with Gymnasium."""
    return [*WORLDS, *(id for id in gymnasium.registry if id not in WORLDS)]


def make(env: str | Callable[[int], Env], envs: int = 1, **options: Any) -> Env:
    """A world with `envs` copies for each seed.

    `env` is the name of one of our `WORLDS`, any other Gymnasium id, or a world of your own: a function from `envs` to
    it, such as its class, or "module:Class".
    CartPole-v1, Pendulum-v1 and MinAtar/Breakout-v1 are tensor worlds that agree with the originals step for step;
    "gymnasium:CartPole-v1", Gymnasium's own way to write module and id, gives Gymnasium's; "envpool:BipedalWalker-v3"
    gives EnvPool's. `options` go to the world: `dtype` (of observations and rewards), `device` (tensor worlds only) and
    what its class takes.

    Raises:
        ValueError: a name that nobody knows, with the nearest ones; spaces that are not supported; a `device` for a
            world that knows only the CPU.
        TypeError: neither a name nor a function.
        gymnasium.error.DependencyNotInstalled: the environment needs a package that is not there.
    """
    if not isinstance(env, str):
        if not callable(env):
            raise TypeError(
                f"env must be a name or a function from envs to a world, got {env!r}; try `lambda envs: env`"
            )
        return env(envs, **options)
    if env in WORLDS:
        return WORLDS[env](envs, **options)
    if kind := own(env):
        return kind(envs, **options)
    if "device" in options:
        raise ValueError(f"{env} is computed on the CPU, not on {options['device']}; there, take {', '.join(WORLDS)}")
    if env.startswith("envpool:"):
        return EnvPoolEnv(env.removeprefix("envpool:"), envs, **options)
    try:
        world = MinAtar if env.startswith("MinAtar/") else GymnasiumEnv
        return world(env, envs, **options)
    except gymnasium.error.DependencyNotInstalled:
        raise
    except gymnasium.error.Error as error:
        near = difflib.get_close_matches(env, names(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"{error} Our own are {', '.join(WORLDS)}."
        raise ValueError(f"unknown environment {env!r}; {hint}") from error


def own(env: str) -> Callable[..., Env] | None:
    """The world that "module:Class" names; None for an id of Gymnasium's, before which a module may stand, too."""
    module, _, name = env.rpartition(":")
    if not (module and name.isidentifier()):
        return None
    try:
        kind = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise ValueError(f"{env}: {error}; a module of your own is looked for in the working folder") from error
    return kind if hasattr(kind, "noise") else None


def origin(world: Env) -> dict[str, Any]:
    """Where the code comes from that decides what a world does.

        {"kind": "package", "source": "gymnasium.envs.mujoco.reacher_v5:ReacherEnv",
         "packages": {"gymnasium": "1.4.0", "mujoco": "3.17.0"}}

    `source` is the class of the simulated environment, not of the adapter around it. It is of the kind "package" if it
    is part of one of `packages`, and these say all; of the kind "module" if it is ours or one's own, and then its file
    says what `packages`, on whose classes it builds, do not.
    """
    source = getattr(world, "source", type(world))
    of_bases = [_packages(base.__module__) for base in source.__mro__]
    return {
        "kind": "package" if of_bases[0] else "module",
        "source": f"{source.__module__}:{source.__qualname__}",
        "packages": {name: metadata.version(name) for name in sorted({name for some in of_bases for name in some})},
    }


def _packages(module: str) -> tuple[str, ...]:
    return next((names for start, names in PACKAGES.items() if f"{module}.".startswith(f"{start}.")), ())
