"""Everything in a state, a metric or a batch that is a tensor or a number, by its path."""

import dataclasses

import torch

from pgcourse.algorithms.replay import Replay


def leaves(value, path=""):
    """Policies and critics hold no numbers of their own, and are left out."""
    if isinstance(value, torch.Tensor | int | float):
        return {path: value}
    if isinstance(value, Replay):
        parts = {"seen": value.seen, **value.columns()}
    elif hasattr(value, "_asdict"):
        parts = value._asdict()
    elif dataclasses.is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    else:
        parts = value if isinstance(value, dict) else {}
    hidden = ("policy", "critic")
    found = [leaves(part, f"{path}.{name}" if path else name) for name, part in parts.items() if name not in hidden]
    return {name: leaf for each in found for name, leaf in each.items()}


def copied(value):
    return {name: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for name, leaf in leaves(value).items()}


def assert_same(one, other):
    """Bit for bit, NaN where NaN is; both are values or what `copied` made of them."""
    one, other = leaves(one), leaves(other)
    assert set(one) == set(other)
    for name in one:
        if isinstance(one[name], torch.Tensor):
            assert one[name].dtype == other[name].dtype, name
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=0, equal_nan=True, msg=name)
        else:
            assert one[name] == other[name], name
