"""Worlds, all behind one interface: tensor worlds over [seed, env], and any Gymnasium id."""

from pgcourse.envs.adapters.envpool import EnvPoolEnv
from pgcourse.envs.adapters.gymnasium import GymnasiumEnv
from pgcourse.envs.adapters.minatar import MinAtar
from pgcourse.envs.base import Env, Step, TensorWorld
from pgcourse.envs.registry import WORLDS, close, make, name_of, names, origin, own, spaces_of, versioned
from pgcourse.envs.worlds.arm import Arm
from pgcourse.envs.worlds.breakout import Breakout
from pgcourse.envs.worlds.cartpole import CartPole
from pgcourse.envs.worlds.diver import Diver
from pgcourse.envs.worlds.lqr import LQR, DoubleIntegrator, ScalarLQR
from pgcourse.envs.worlds.pendulum import Pendulum
from pgcourse.envs.worlds.positions import CartPolePositions
from pgcourse.envs.worlds.probes import (
    PROBES,
    Forever,
    Probe,
    ProbeAction,
    ProbeConstant,
    ProbeDelay,
    ProbeDiscount,
    ProbeState,
)
from pgcourse.envs.worlds.tabular import GridWorld, TabularWorld
from pgcourse.envs.worlds.tour import Tour

__all__ = [
    "LQR",
    "PROBES",
    "WORLDS",
    "Arm",
    "Breakout",
    "CartPole",
    "CartPolePositions",
    "Diver",
    "DoubleIntegrator",
    "Env",
    "EnvPoolEnv",
    "Forever",
    "GridWorld",
    "GymnasiumEnv",
    "MinAtar",
    "Pendulum",
    "Probe",
    "ProbeAction",
    "ProbeConstant",
    "ProbeDelay",
    "ProbeDiscount",
    "ProbeState",
    "ScalarLQR",
    "Step",
    "TabularWorld",
    "TensorWorld",
    "Tour",
    "close",
    "make",
    "name_of",
    "names",
    "origin",
    "own",
    "spaces_of",
    "versioned",
]
