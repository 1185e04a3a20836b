"""Look-up and construction of worlds by name."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module, metadata
from inspect import Parameter, signature
from typing import Any

import gymnasium
import numpy as np

from pgcourse.envs.adapters.declared import raised_in
from pgcourse.envs.adapters.envpool import EnvPoolEnv
from pgcourse.envs.adapters.gymnasium import GymnasiumEnv
from pgcourse.envs.adapters.minatar import MinAtar
from pgcourse.envs.base import Env, TensorWorld
from pgcourse.envs.elsewhere import package_of
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


SAID = frozenset({"env", "envs", "dtype", "device", "self", "id"})  # names that are no argument's of an environment
OWN_MODULE = "a module of your own is looked for in the working folder"
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


def make(env: str | Callable[..., Any] | gymnasium.Env, envs: int = 1, **options: Any) -> Env:
    """A world with `envs` copies for each seed.

    `env` is the name of one of our `WORLDS`, any other Gymnasium id (the newest version of one without), or a world of
    your own. That is a subclass of `gymnasium.Env`, a function that makes one, such an environment itself if
    `gymnasium.make` has made it, or a function from `envs` to a world of our kind (`Env`), such as its class; a class
    may be named, too, as "module:Class".

        make(Mine, gravity=5.0)
        make(lambda: TimeLimit(Mine(gravity=5.0), 200))

    CartPole-v1, Pendulum-v1 and MinAtar/Breakout-v1 are tensor worlds that agree with the originals step for step;
    "gymnasium:CartPole-v1", Gymnasium's own way to write module and id, gives Gymnasium's; "envpool:BipedalWalker-v3"
    gives EnvPool's. `options` go to the world: `dtype` (of observations and rewards), `device` (tensor worlds only) and
    what its class or function takes; `max_episode_steps` is a time limit for any of Gymnasium's, and for a tensor world
    in place of its own.

    Raises:
        ValueError: a name that nobody knows, with the nearest ones; an argument that the world does not take; spaces
            that are not supported; a `device` for a world that knows only the CPU.
        TypeError: nothing of this kind; a single environment, of which no copies can be made.
        gymnasium.error.DependencyNotInstalled: the environment needs a package that is not there.
    """
    _require_limit(options.get("max_episode_steps"))
    try:
        return _named_world(versioned(env), envs, options) if isinstance(env, str) else _own_world(env, envs, options)
    except TypeError as error:
        none = str(error).endswith("() takes no arguments")
        unknown = [name for name in options if none or f"unexpected keyword argument '{name}'" in str(error)]
        missing = re.search(r"missing \d+ required (?:positional|keyword-only) arguments?: '(\w+)'", str(error))
        if missing and raised_in(error).startswith(("gymnasium.", "pgcourse.")):  # not in the world's own code
            name = missing[1]
            raise ValueError(
                f"{name_of(env)} needs the argument {name!r}: {error}; give it with env_args={{{name!r}: ...}}, on the "
                f"command line --env-arg {name}=..."
            ) from error
        if not unknown:
            raise
        raise ValueError(f"{name_of(env)} takes no argument {unknown[0]!r}: {error}{_known_arguments(env)}") from error


def require_arguments(arguments: Iterable[str]) -> None:
    """Raises `ValueError` for what is no argument of an environment, but said by whoever makes its copies."""
    if taken := sorted(set(arguments) & SAID):
        raise ValueError(
            f"{taken[0]!r} is no argument of an environment: copies, devices and types of numbers are options of the "
            "training itself. If your environment has one of that name, give it another"
        )


def _require_limit(steps: Any) -> None:
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1):
        raise ValueError(f"max_episode_steps must be an integer, 1 or more, got {steps!r}")


def _known_arguments(env: Any) -> str:
    """What a world of ours takes beside what all take, and where Gymnasium's own is that may take more."""
    if not isinstance(env, str) or versioned(env) not in WORLDS:
        return ""
    parameters = signature(WORLDS[versioned(env)]).parameters.values()
    handed_on = any(each.kind is Parameter.VAR_KEYWORD for each in parameters)  # to whom, the signature does not say
    taken = ", ".join(
        each.name
        for each in parameters
        if each.kind is not Parameter.VAR_KEYWORD and each.name not in ("envs", "dtype", "device")
    )
    said = f"; {'among others ' * handed_on}it takes {taken or 'none'}" if taken or not handed_on else ""
    there = versioned(env) in gymnasium.registry
    return said + f". This one is computed by tensors; Gymnasium's own is 'gymnasium:{versioned(env)}'" * there


def _named_world(env: str, envs: int, options: dict[str, Any]) -> Env:
    if env in WORLDS:
        limit = {name: value for name, value in options.items() if name == "max_episode_steps"}
        return _limited(WORLDS[env](envs, **{name: options[name] for name in options if name not in limit}), **limit)
    if kind := own(env):
        return _own_world(kind, envs, options)
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
        hint = (
            f"did you mean {' or '.join(near)}?" if near else _held(env) or f"{error} Our own are {', '.join(WORLDS)}."
        )
        if found := package_of(env):
            hint = f"it comes with the package {found[0]}: `pip install {found[0]}`, and call it {found[1]!r}"
        raise ValueError(f"unknown environment {env!r}; {hint}") from error
    except ModuleNotFoundError as error:
        said = error.__cause__ or error  # Gymnasium adds words of its own
        remedy = f"`pip install {found[0]}`" if (found := package_of(env)) else OWN_MODULE
        raise ValueError(f"{env}: {said}; {remedy}") from error
    except ImportError as error:
        newest = versioned(env.rpartition("-v")[0])
        if newest == env or newest not in gymnasium.registry:
            raise
        raise ValueError(f"{env}: {error} The newest one here is {newest}") from error


def _held(env: str) -> str:
    """Which worlds a module of one's own has, where one of another name is asked for; "" for any other name."""
    module = sys.modules.get(env.rpartition(":")[0])
    if module is None or _packages(module.__name__):
        return ""
    held = [
        name for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, gymnasium.Env) and each.__module__ == module.__name__
    ]  # fmt: skip
    return f"{module.__name__} registers no such id, and its environments are {', '.join(held) or 'none'}"


def name_of(env: Any) -> str:
    """What a world is called that is given as `make` takes it."""
    if isinstance(env, str):
        return env
    if isinstance(env, gymnasium.Env):
        return env.spec.id if env.spec else type(env.unwrapped).__name__
    return str(getattr(env, "__name__", type(env).__name__))


def close(world: Any) -> None:
    """Let go of what a world holds beside memory: simulators may hold windows, files and processes."""
    getattr(world, "close", lambda: None)()


def spaces_of(world: Env) -> tuple[gymnasium.Space, gymnasium.Space]:
    """Of observations and actions, as the environment behind a world gives and takes them."""
    return getattr(world, "spaces", (world.observation_space, world.action_space))


def versioned(env: str) -> str:
    """An id of Gymnasium's without a version, with its newest one; any other name as it is."""
    if env in WORLDS or env in gymnasium.registry or ":" in env:
        return env
    versions = [spec.version or 0 for spec in gymnasium.registry.values() if spec.id == f"{env}-v{spec.version}"]
    return f"{env}-v{max(versions)}" if versions else env


def _own_world(env: Any, envs: int, options: dict[str, Any]) -> Env:
    """A world that is given as a class, a function or an environment."""
    if isinstance(env, gymnasium.Env):
        return _like(env, envs, options)
    if isinstance(env, gymnasium.vector.VectorEnv):
        raise TypeError(f"env must be one environment, of which copies are made here, got {env!r}: give its id")
    if not callable(env):
        remedy = f"; give its class, {type(env).__name__}" if hasattr(env, "noise") else ""
        raise TypeError(f"env must be a name, a class or a function that makes a world, got {env!r}{remedy}")
    if isinstance(env, type) and issubclass(env, gymnasium.Env):
        return GymnasiumEnv(env, envs, **options)
    if not _takes_envs(env):
        return GymnasiumEnv(env, envs, **options)
    for_adapter = {name for name in ("dtype", "max_episode_steps") if name in options} - set(_keywords(env))
    world = env(envs, **{name: value for name, value in options.items() if name not in for_adapter})
    if isinstance(world, gymnasium.Env):
        world.close()
        return GymnasiumEnv(_named(partial(env, envs), name_of(env)), envs, **options)
    if isinstance(world, TensorWorld) and "max_episode_steps" in for_adapter:
        for_adapter.remove("max_episode_steps")
        world = _limited(world, options["max_episode_steps"])
    if for_adapter:
        raise ValueError(f"{name_of(env)} must take {' and '.join(sorted(for_adapter))} and hand it on to its world")
    if not hasattr(world, "noise"):
        raise TypeError(f"{name_of(env)} made {world!r}, which is neither an environment of Gymnasium's nor a world")
    return world


def _limited(world: Any, max_episode_steps: int | None = None) -> Any:
    """A tensor world, with another time limit than its own."""
    if max_episode_steps is not None:
        world.time_limit = max_episode_steps
    return world


def _takes_envs(make: Callable[..., Any]) -> bool:
    """Whether a function is one from `envs` to a world: it must be given it, or calls an argument so."""
    try:
        parameters = signature(make).parameters.values()
    except (TypeError, ValueError):  # a function written in C
        return False
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    first = next((each for each in parameters if each.kind in positional), None)
    if first is None:
        return any(each.kind is Parameter.VAR_POSITIONAL for each in parameters)
    return first.name == "envs" or first.default is Parameter.empty


def _keywords(make: Callable[..., Any]) -> Iterable[str]:
    """The arguments that a function takes by name; of all that may be asked for, where it takes any."""
    parameters = signature(make).parameters
    any_name = any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values())
    return ("dtype", "max_episode_steps") if any_name else parameters


def _like(env: gymnasium.Env, envs: int, options: dict[str, Any]) -> Env:
    """Copies of an environment, by the specification under which Gymnasium has made it."""
    remedy = f"give its class, or a function that makes one: `lambda: {type(env.unwrapped).__name__}(...)`"
    if env.spec is None:
        raise TypeError(f"copies are needed of {env!r}, which gymnasium.make has not made; {remedy}")
    try:
        return GymnasiumEnv(_named(partial(gymnasium.make, env.spec), env.spec.id), envs, **options)
    except ValueError as error:
        if "RecordConstructorArgs" not in str(error):
            raise
        raise TypeError(f"copies are needed of {env!r}, but {error}; {remedy}") from error


def _named(make: partial[Any], name: str) -> partial[Any]:
    make.__name__ = name  # type: ignore[attr-defined]
    return make


def own(env: str) -> Callable[..., Any] | None:
    """The world that "module:Class" names; None for an id of Gymnasium's, before which a module may stand, too."""
    module, _, name = env.rpartition(":")
    if not (module and name.isidentifier()):
        return None
    if module.endswith(".py") or "/" in module or "\\" in module:
        right = re.split(r"[/\\]", module.removesuffix(".py"))[-1]
        raise ValueError(f"{env}: a module is written without folder and .py: {right}:{name}, from the folder it is in")
    try:
        kind = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise ValueError(f"{env}: {error}; {OWN_MODULE}") from error
    if name in gymnasium.registry:  # the module has registered an id without a version
        return None
    return kind if hasattr(kind, "noise") or (isinstance(kind, type) and issubclass(kind, gymnasium.Env)) else None


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
