"""MinAtar's games, through the library itself."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.error import DependencyNotInstalled
from torch import Tensor

from pgcourse.core import Streams
from pgcourse.envs.adapters.gymnasium import GymnasiumEnv


class MinAtar(GymnasiumEnv):
    """`MinAtar/Asterix-v1`, `Breakout`, `Freeway`, `Seaquest`, `SpaceInvaders`: small Atari games. Young & Tian (2019).

        env = pg.make("MinAtar/Seaquest-v1", envs=8, max_episode_steps=1000)

    Observations [channel, 10, 10], 0 or 1. v1 has the actions that do something in the game, v0 all six. As published:
    sticky actions (`sticky_action_prob=0.1`), `difficulty_ramping=True` and no time limit. Freeway ends by itself, the
    others need not: algorithms and evaluations that play whole episodes ask for `max_episode_steps`.

    A game remembers its last action, the one that may stick, even where it is reset with a seed. So every `reset` makes
    new copies: what was played before does not matter.

    Raises:
        gymnasium.error.DependencyNotInstalled: MinAtar is not installed.
        gymnasium.error.Error: there is no such game.
    """

    def __init__(self, id: str, envs: int = 1, **options: Any) -> None:
        try:
            from minatar.gym import register_envs
        except ImportError as error:
            raise DependencyNotInstalled('MinAtar is not installed: pip install "pgcourse[game]"') from error
        if "MinAtar/Asterix-v0" not in gymnasium.registry:
            register_envs()
        super().__init__(id, envs, **options)

    def reset(self, streams: Streams) -> Tensor:
        self.close()
        return super().reset(streams)
