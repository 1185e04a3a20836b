"""Errors: ours in short, others' with their place."""

import traceback

import gymnasium
import pytest

import pgcourse as pg
from pgcourse.lab.errors import is_ours, message, reason


def theirs():
    raise ValueError("not enough values to unpack (expected 5, got 4)")


def of_a_library():
    gymnasium.make("CartPole-v9")


OTHERS = {
    "one's own ValueError": theirs,
    "one without a raise": lambda: [][1],
    "of numpy, called by ours": lambda: pg.stats.mean_interval(["a", "b"]),
    "of torch, called by ours": lambda: pg.core.MLP((3, 2))(pg.Streams(1).normal(8), pg.Streams(1).normal(4)),
}
OURS = {
    "an option": lambda: pg.PPO(envs=0),
    "a study": lambda: pg.lab.Study.read("no such study"),
    "a type": lambda: pg.make(3),
}


def caught(call):
    try:
        call()
    except Exception as error:
        return error, traceback.format_exc().strip()
    raise AssertionError("no error")


@pytest.mark.parametrize("name", OURS)
def test_ours_say_all_in_their_message(name):
    error, told = caught(OURS[name])
    assert is_ours(error)
    assert message(error) == reason(told) == str(error)


@pytest.mark.parametrize("name", OTHERS)
def test_others_keep_their_traceback_and_their_place(name):
    error, told = caught(OTHERS[name])
    assert not is_ours(error)
    assert reason(told) == told
    assert message(error).startswith(f"{type(error).__name__}: {error} (")
    assert f"{__file__}, line " in message(error)


def test_of_errors_that_follow_each_other_the_last_one_counts():
    def ours_after_theirs():
        try:
            theirs()
        except ValueError:
            pg.PPO(envs=0)

    def theirs_after_ours():
        try:
            pg.PPO(envs=0)
        except ValueError:
            theirs()

    assert reason(caught(ours_after_theirs)[1]) == "PPO: envs must be at least 1, got 0"
    error, told = caught(theirs_after_ours)
    assert reason(told) == told
    assert not is_ours(error)


def test_gymnasiums_errors_name_the_remedy_themselves():
    error, _ = caught(of_a_library)
    assert message(error) == str(error)


def test_what_is_no_traceback_is_said_as_it_is():
    assert reason("its process ended with exit code -9") == "its process ended with exit code -9"
