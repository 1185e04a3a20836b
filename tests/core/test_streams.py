"""Random streams: reproducible, independent of each other and of what else is drawn."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest

from pgcourse.core import Streams

DRAWS = {
    "uniform": lambda streams: streams.uniform(50),
    "normal": lambda streams: streams.normal(5, 10),
    "integers": lambda streams: streams.integers(1000, 50),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
class TestEveryDraw:
    def test_a_seed_does_not_depend_on_its_neighbours(self, draw):
        """Bit for bit, alone or in any company, in any order."""
        alone = draw(Streams([7]))[0]
        assert torch.equal(draw(Streams(10))[7], alone)
        assert torch.equal(draw(Streams([9, 7, 3]))[1], alone)

    def test_the_same_seeds_give_the_same_numbers(self, draw):
        assert torch.equal(draw(Streams(3)), draw(Streams(3)))

    def test_seeds_differ_and_a_stream_goes_on(self, draw):
        streams = Streams(2)
        first, second = draw(streams), draw(streams)
        assert not torch.equal(first[0], first[1])
        assert not torch.equal(first, second)

    def test_children_depend_on_their_names_alone(self, draw):
        streams = Streams(2)
        before = draw(streams.child("a"))
        draw(streams)
        streams.child("b").uniform(100)
        assert torch.equal(draw(streams.child("a")), before)
        assert torch.equal(draw(Streams(2).child("a")), before)
        for other in (streams.child("b"), streams.child("a").child("a"), Streams(2)):
            assert not torch.equal(draw(other), before)

    def test_drawing_leaves_the_global_state_alone(self, draw):
        before = torch.get_rng_state()
        draw(Streams(3).child("a"))
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_have_the_streams_dtype_which_children_inherit(dtype):
    child = Streams([3, 7], dtype=dtype).child("a").child(0)
    for draw in (child.uniform(50), child.normal(50)):
        assert draw.dtype == dtype
    alone = Streams([7], dtype=dtype).child("a").child(0)
    assert torch.equal(alone.uniform(50)[0], Streams([3, 7], dtype=dtype).child("a").child(0).uniform(50)[1])
    assert (draw.float() != draw).any() == (dtype == torch.float64)


def test_another_process_draws_the_same_numbers():
    program = (
        "import json; from pgcourse.core import Streams; s = Streams([3, 5]).child('rollout').child(2);"
        "print(json.dumps([s.uniform(4).tolist(), s.normal(4).tolist(), s.integers(9, 4).tolist()]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "1"}
    answer = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    s = Streams([3, 5]).child("rollout").child(2)
    assert json.loads(answer.stdout) == [s.uniform(4).tolist(), s.normal(4).tolist(), s.integers(9, 4).tolist()]


def test_names_on_the_way_are_not_run_together():
    paths = ((), ("ab",), ("a", "b"), ("b", "a"), ("a",), ("1", "2"), ("12",), ("0",), ("0", "0"))
    draws = {tuple(Streams([seed], path).uniform(4)[0].tolist()) for path in paths for seed in (0, 1, 2**32 - 1)}
    assert len(draws) == 3 * len(paths)


def test_a_number_is_a_name():
    assert torch.equal(Streams(2).child(3).uniform(4), Streams(2).child("3").uniform(4))


def test_streams_are_uncorrelated():
    """64 streams, parents and children, neighbouring seeds: no pair more alike than chance allows."""
    n = 4000
    parents = Streams(16)
    rows = torch.cat([parents.normal(n), *(parents.child(name).normal(n) for name in ("a", "b", 0))])
    correlation = np.corrcoef(rows.numpy())
    z = correlation[np.triu_indices(64, 1)] * np.sqrt(n)
    assert np.abs(z).max() < 5  # of 2016 pairs
    assert kstest(z, "norm").pvalue > 0.01


def test_distributions():
    streams = Streams(1)
    assert kstest(streams.uniform(20_000)[0].numpy(), "uniform").pvalue > 0.01
    assert kstest(streams.normal(20_000)[0].numpy(), "norm").pvalue > 0.01
    assert chisquare(np.bincount(streams.integers(7, 20_000)[0], minlength=7)).pvalue > 0.01
    noise = streams.uniform(200_000)
    assert noise.min() >= 0
    assert noise.max() < 1


def test_what_a_stream_looks_like():
    streams = Streams([3, 7]).child("init")
    assert len(streams) == 2
    assert repr(streams) == "Streams([3, 7], path=('init',))"
    assert len(streams.generators()) == 2


@pytest.mark.parametrize(
    "seeds",
    [0, [], [3, -1], [2**32], [1.7, 2.2], "12", ["1"], True, [True, False], [np.True_], 2.0, np.float64(2), None],
)
def test_bad_seeds_are_refused(seeds):
    with pytest.raises(ValueError, match=r"seeds must be their number, .* integers from 0 to 2\*\*32 - 1 .*; got"):
        Streams(seeds)


@pytest.mark.parametrize("seed", [20_261_128, 10**30])
def test_one_seed_that_would_be_millions_is_asked_for_as_a_list(seed):
    with pytest.raises(ValueError, match=rf"1,000,000 are the most; the one seed {seed} is \[{seed}\]"):
        Streams(seed)


@pytest.mark.parametrize("seeds", [[3, 3], [1, 4, 1], np.array([5, 5])])
def test_a_seed_twice_is_refused(seeds):
    with pytest.raises(ValueError, match=r"seeds must be different: \d twice would be one training in two rows"):
        Streams(seeds)


@pytest.mark.parametrize("three", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_a_number_of_seeds_may_be_numpys_or_torchs(three):
    assert Streams(three).seeds == (0, 1, 2)


@pytest.mark.parametrize("seeds", [[7, 3], (np.int32(7), 3), np.array([7, 3]), torch.tensor([7, 3]), {7: 0, 3: 0}])
def test_seeds_may_be_anything_that_holds_integers(seeds):
    streams = Streams(seeds)
    assert streams.seeds == (7, 3)
    assert all(type(seed) is int for seed in streams.seeds)
    assert Streams(torch.tensor([5])).seeds == (5,)  # a list of one, not five


def test_a_child_must_have_a_name():
    with pytest.raises(ValueError, match=r"a child must have a name, got \('a', ''\)"):
        Streams(1).child("a").child("")
