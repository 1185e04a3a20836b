"""Worlds, all behind one interface: tensor worlds over [seed, env], and any Gymnasium id."""

from pgcourse.envs.base import Env, Step, TensorWorld
from pgcourse.envs.cartpole import CartPole

__all__ = ["CartPole", "Env", "Step", "TensorWorld"]
