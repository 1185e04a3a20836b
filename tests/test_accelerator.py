"""The bare iteration that is to be captured as a graph is the iteration of the algorithm."""

from itertools import islice
from unittest.mock import patch

import pytest
import torch

import pgcourse as pg
from benchmarks import accelerator
from pgcourse.algorithms import iterate

SEEDS = 2


class Drawn(accelerator.Places):
    """Places that are filled with the numbers of the usual streams."""

    def __init__(self, seeds, device):
        super().__init__(seeds, device)
        self.iteration = -1

    def uniform(self, *shape):
        if self.next == 0:
            self.iteration += 1
        streams = pg.Streams(SEEDS).child(self.iteration)
        update = streams.child("update")
        for _ in range(self.next if self.next < 2 else 0):
            streams.uniform(*(128, 4))
        for _ in range(self.next - 2):
            update.uniform(*shape)
        self.next += 1
        return (streams if self.next <= 2 else update).uniform(*shape)


def test_the_bare_iteration_is_the_usual_one():
    seen = list(islice(iterate(accelerator.ALGORITHM, "CartPole-v1", pg.Streams(SEEDS)), 2))
    with (
        patch.object(accelerator, "Places", Drawn),
        patch("pgcourse.algorithms.ppo.clipped", accelerator.clipped_unasked),
    ):
        iteration, _, state = accelerator.in_place(SEEDS, "cpu")
        ended = [iteration().item() for _ in range(2)]
    assert ended == [it.batch.done.sum().item() for it in seen]
    assert ended[1] > 0
    torch.testing.assert_close(state.theta, seen[-1].state.theta, rtol=0, atol=1e-6)
    torch.testing.assert_close(state.phi_adam.square, seen[-1].state.phi_adam.square)


def test_rates_are_those_of_all_seeds_and_the_policy_learns():
    rate, length = accelerator.bare(SEEDS, 12, "cpu")
    assert rate > 0
    assert 20 < length < 500
    rate, length = accelerator.training(SEEDS, 3, "cpu")
    assert rate > 0
    assert 10 < length < 100


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_the_graph_learns_too():
    _, length = accelerator.graph(SEEDS, 30, "cuda")
    assert length > 30
