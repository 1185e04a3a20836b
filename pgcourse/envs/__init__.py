"""Worlds, all behind one interface: tensor worlds over [seed, env], and any Gymnasium id."""

from pgcourse.envs.base import Env, Step, TensorWorld
from pgcourse.envs.cartpole import CartPole
from pgcourse.envs.pendulum import Pendulum

__all__ = ["CartPole", "Env", "Pendulum", "Step", "TensorWorld"]
