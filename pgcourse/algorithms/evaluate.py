"""Evaluation of policies: returns of whole episodes with θ held fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pgcourse.algorithms.acting import step_by_step
from pgcourse.algorithms.train import TrainedPolicy
from pgcourse.core import Streams
from pgcourse.envs import make

if TYPE_CHECKING:
    import pandas as pd


def evaluate(trained: TrainedPolicy, episodes: int = 100, deterministic: bool = False, seed: int = 0) -> pd.DataFrame:
    """Play `episodes` whole episodes with every seed's policy; one row an episode: seed, episode, return, length.

    Actions are sampled, as in training, or the mode where `deterministic`. Returns are undiscounted. The episodes'
    randomness is that of each seed's own evaluation stream, so that calling again gives the same numbers; another
    `seed` gives other episodes. Those of a study's records are of seed 0.
    """
    import pandas as pd

    world = make(trained.env, episodes)
    streams = Streams(trained.seeds, ("evaluate", str(seed)) if seed else ("evaluate",))
    steps = step_by_step(trained.policy, trained.theta, world, streams, deterministic)
    rewards, masks = zip(*((step.reward, running) for step, running in steps), strict=True)
    reward, mask = torch.stack(rewards, 1), torch.stack(masks, 1)
    returns = reward.where(mask, 0.0).sum(1)
    index = pd.MultiIndex.from_product([trained.seeds, range(episodes)], names=["seed", "episode"])
    columns = {"return": returns.flatten().numpy(), "length": mask.sum(1).flatten().numpy()}
    return pd.DataFrame(columns, index=index).reset_index()
