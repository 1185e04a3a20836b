"""A Gymnasium environment held to what it declares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

RETURNS = {"reset": "(observation, info)", "step": "(observation, reward, terminated, truncated, info)"}


class Declared(gymnasium.Wrapper):
    """The same environment, whose faults are named where they arise: by environment, method, declared and given.

    Otherwise they come to light in a library, far from where they were made: "Output array is the wrong shape". An
    error of the environment's own stays what it is, with a note of where it comes from.

    An observation is a copy, because an environment may return the very array that its next reset overwrites.

    Raises:
        ValueError: `reset` or `step` returned something else than declared.
    """

    def __init__(self, env: gymnasium.Env, name: str) -> None:
        super().__init__(env)
        self._name = name
        given: Any = env.metadata
        self.metadata = dict(given) if isinstance(given, dict) else {}  # libraries read it as a dictionary
        for each in ("observation_space", "action_space"):
            space = getattr(env, each, None)
            if not isinstance(space, spaces.Space):
                raise ValueError(
                    f"{name}: its {each} is {_brief(space)}; it must be one of gymnasium.spaces, given in the class or "
                    "in __init__"
                )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        with self._noted("reset"):
            returned: Any = self.env.reset(seed=seed, options=options)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise self._fault("reset", f"returned {_brief(returned)}; it must return {RETURNS['reset']}")
        obs, info = returned
        return self._observation("reset", obs), self._info("reset", info)

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        with self._noted("step"):
            returned: Any = self.env.step(action)
        if not isinstance(returned, tuple) or len(returned) != 5:
            raise self._fault("step", f"returned {_brief(returned)}; it must return {RETURNS['step']}")
        obs, reward, terminated, truncated, info = returned
        told: tuple[tuple[str, Any, str], ...] = (
            ("reward", reward, "biuf"),
            ("terminated", terminated, "biu"),
            ("truncated", truncated, "biu"),
        )
        for name, value, kinds in told:
            if type(value) not in (float, bool) and not (np.size(value) == 1 and np.asarray(value).dtype.kind in kinds):
                wanted = "a number" if name == "reward" else "True or False"
                raise self._fault("step", f"returned {name} = {_brief(value)}; it must be {wanted}")
        return (
            self._observation("step", obs),
            reward if type(reward) is float else np.asarray(reward).item(),
            *(each if type(each) is bool else bool(np.asarray(each).item()) for each in (terminated, truncated)),
            self._info("step", info),
        )

    def _observation(self, method: str, obs: Any) -> Any:
        space = self.observation_space
        if isinstance(space, spaces.Box | spaces.MultiBinary):
            array = np.array(obs)
            if array.shape == space.shape and np.can_cast(array.dtype, space.dtype, "same_kind"):
                return array
            given = f"an observation of shape {array.shape} and type {array.dtype}"
        elif not isinstance(space, spaces.Discrete) or space.contains(obs):
            return obs
        else:
            given = f"the observation {_brief(obs)}"
        what = f"returned {given}; declared is observation_space = {space}"
        raise self._fault(method, f"{what}: return one of these, or declare what it is")

    def _info(self, method: str, info: Any) -> dict[str, Any]:
        if not isinstance(info, dict):
            raise self._fault(method, f"returned info = {_brief(info)}; it must be a dictionary")
        return info

    @contextmanager
    def _noted(self, method: str) -> Iterator[None]:
        """Errors of the method with a note; those of a wrapper that could not unpack what it returned in our words."""
        try:
            yield
        except Exception as error:
            if method == "reset" and isinstance(error, TypeError) and _is_of_a_call(error, "reset"):
                remedy = "reset(self, *, seed=None, options=None), and hand seed to super().reset(seed=seed)"
                raise self._fault(method, f"does not take what it is given: {error}; it must be {remedy}") from error
            if "unpack" in str(error) and raised_in(error).startswith(("gymnasium.core", "gymnasium.wrappers.")):
                what = f"did not return {RETURNS[method]}, as it must: {error}"
                remedy = "; an old Gym environment's `done` has become terminated and truncated"
                raise self._fault(method, what + remedy * (method == "step")) from error
            error.add_note(f"(raised by {method}() of {self._name})")
            raise

    def _fault(self, method: str, what: str) -> ValueError:
        return ValueError(f"{self._name}: {method}() {what}")


def _is_of_a_call(error: TypeError, method: str) -> bool:
    """Whether a method was called with other arguments than it has, by somebody else than the environment."""
    return f".{method}() " in str(error) and raised_in(error).startswith(("gymnasium.", "pgcourse."))


def raised_in(error: BaseException) -> str:
    """The module whose code raised an error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return str(trace.tb_frame.f_globals.get("__name__", "")) if trace else ""


def _brief(value: Any) -> str:
    said = " ".join(repr(value).split())
    return said if len(said) <= 80 else f"{said[:77]}..."
