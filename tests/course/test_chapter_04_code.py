"""The regression on chapter 04's page is the library's, bit for bit."""

import json

import torch
from tracked import notebook

import pgcourse as pg
from pgcourse.core import Streams
from pgcourse.core.adam import Adam

CHAPTER = notebook("chapters/04_variance_and_baselines.ipynb")


def test_the_value_baseline_is_trained_as_on_the_page():
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(CHAPTER.read_text("utf-8"))["cells"]}
    page = {"torch": torch}
    exec(cells["critic-fit"], page)
    algorithm, streams = pg.REINFORCE(envs=4, baseline="value"), Streams(3)
    world = pg.make("CartPole-v1", algorithm.envs)
    policy, critic = pg.algorithms.default_policy(world), pg.algorithms.default_critic(world)
    state = algorithm.init(policy, critic, streams)
    batch = pg.algorithms.episodes(policy, state.theta, world, streams.child("play"))
    target, phi, adam_state = algorithm.returns(state, batch), state.phi, state.phi_adam
    for _ in range(algorithm.critic_updates):
        adam = Adam(algorithm.critic_lr, algorithm.adam_eps)
        phi, adam_state = page["fit"](critic, phi, batch.obs, target, batch.mask, adam, adam_state)
    after, _ = algorithm.update(state, batch)
    assert torch.equal(phi, after.phi)
    assert not torch.equal(phi, state.phi)
