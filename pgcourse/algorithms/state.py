"""Conversion of algorithms' states to plain data for checkpoints, and back."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def plain(state: Any) -> Any:
    """The tensors and numbers of a state, in dictionaries, without what holds no numbers, such as a policy.

    A state may hold tensors, numbers, None, other NamedTuples, and objects that have `plain` and `rebuilt` themselves.
    """
    if isinstance(state, Tensor):
        return state.detach()
    if state is None or isinstance(state, int | float):
        return state
    if hasattr(state, "plain"):
        return state.plain()
    named = {name: getattr(state, name) for name in getattr(state, "_fields", ()) if is_data(getattr(state, name))}
    return {name: plain(value) for name, value in named.items()}


def rebuilt(like: Any, data: Any) -> Any:
    """The state from the `data` that `plain` returned; `like` is any state of the same algorithm."""
    if hasattr(like, "rebuilt"):
        return like.rebuilt(data)
    if not isinstance(data, dict):
        return data
    return like._replace(**{name: rebuilt(getattr(like, name), value) for name, value in data.items()})


def is_data(value: Any) -> bool:
    return (
        value is None or isinstance(value, Tensor | int | float) or hasattr(value, "_fields") or hasattr(value, "plain")
    )
