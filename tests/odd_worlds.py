"""Gymnasium environments that something is wrong with: "odd_worlds:NaNReward-v0"."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Odd(gymnasium.Env):
    """Ten steps, observation 0 and reward 1."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    observation_space = spaces.Box(-1.0, 1.0, (1,))
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(1, np.float32), 1.0, self.t == 10, False, {}

    def render(self):
        raise RuntimeError("no graphics library")


class NaNReward(Odd):
    def step(self, action):
        obs, _, *rest = super().step(action)
        return obs, np.nan if self.t == 7 else 1.0, *rest


class NaNObservation(Odd):
    def step(self, action):
        obs, *rest = super().step(action)
        return obs * np.nan if self.t == 7 else obs, *rest


class DictObservation(Odd):
    observation_space = spaces.Dict({"camera": spaces.Box(0, 255, (8, 8, 3), np.uint8)})


class Untold(Odd):
    metadata = {"render_modes": []}  # noqa: RUF012


for world in (Odd, NaNReward, NaNObservation, DictObservation, Untold):
    gymnasium.register(f"{world.__name__}-v0", world, max_episode_steps=20, disable_env_checker=True)
gymnasium.register("Endless-v0", Odd, disable_env_checker=True)
