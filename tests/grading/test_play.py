"""Answers that the parent plays with, call by call: in the notebook's process, and in one of their own."""

from dataclasses import replace

import numpy as np
import pytest
from submissions import grade_file, reasons, write

from pgcourse.grading import process
from pgcourse.grading.exercise import Examination, InProcess, Limits, Player, judge
from pgcourse.grading.kinds import Check, learn

TWICE = "It counts everything twice."


def plays(player, rng):
    """A counter that starts with 2, is told to add 1, 2, 3, and asked."""
    player.make("one", np.arange(3) - 1.0, 2)
    player.make("other", np.zeros(1), 7)
    for number in (1, 2, 3):
        player.tell("one", "add", number)
    total = player.call("one", "total")
    if total is not None and total == player.call("other", "total"):
        return "the two are one"
    return {8: "", 14: ("14 instead of 8", TWICE)}.get(total, f"{total} instead of 8")


COUNTER = learn(
    "Counter",
    title="Counter",
    goal="Count.",
    minutes=1,
    difficulty=1,
    importance=1,
    hints=["a", "b"],
    limits=Limits(check_seconds=20, exercise_seconds=40),
    checks={"counts": Check(2, "Count.", play=plays), "again": Check(1, "Count.", play=plays)},
    mistakes={TWICE: ("", "")},
)
SOURCE = """
class Counter:
    def __init__(self, start, number):
        self.start, self.sum = start.sum(), number

    def add(self, number):
        self.sum += number

    def total(self):
        return self.sum
"""
ANSWERS = {  # what is edited in the source, and what the first check says
    "right": ("", "", ""),
    "an object that cannot be sent, from a method that is only told": (
        "self.sum += number",
        "self.sum += number; return self",
        "",
    ),
    "twice": ("+= number", "+= 2 * number", "14 instead of 8"),
    "nothing": ("return self.sum", "self.sum", "None instead of 8"),
    "no method": ("def total", "def totals", "AttributeError: 'Counter' object has no attribute 'total'"),
    "wrong signature": ("start, number):", "start):", "takes 2 positional arguments but 3 were given"),
    "shared": ("self.sum", "Counter.sum", "the two are one"),
    "an object": ("return self.sum", "return self", "returned an object of type Counter"),
    "stub": ("self.start, self.sum = start.sum(), number", "raise NotImplementedError()", "not attempted"),
    "half a stub": ("return self.sum", "raise NotImplementedError()", "not attempted"),
    "gone": ("return self.sum", "import os; os._exit(3)", "the process exited with status 3"),
}


def edited(old, new):
    return SOURCE.replace(old, new) if old else SOURCE


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """All of them, renamed, in one notebook."""
    cells, exercises = [], []
    for i, (old, new, _) in enumerate(ANSWERS.values()):
        cells.append(edited(old, new).replace("Counter", f"Counter{i}"))
        exercises.append(replace(COUNTER, name="03.counter", entry=f"Counter{i}"))
    path = write(tmp_path_factory.mktemp("play") / "03_x.ipynb", *cells)
    return dict(zip(ANSWERS, grade_file(path, exercises, seed=1).exercises, strict=True))


@pytest.mark.parametrize("name", ANSWERS)
def test_a_process_is_played_with(graded, name):
    *_, reason = ANSWERS[name]
    messages = reasons(graded[name])
    if reason:
        assert set(messages) == {"counts", "again"}
        number = list(ANSWERS).index(name)
        assert reason in messages["counts"].replace(f"Counter{number}", "Counter")
        assert graded[name].points == 0
    else:
        assert graded[name].state == "solved"


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "gone"])
def test_the_notebook_says_the_same(graded, name):
    old, new, _ = ANSWERS[name]
    scope = {}
    exec(edited(old, new), scope)
    here = Examination(replace(COUNTER, name="03.counter"), 1, {}).judge(InProcess(scope["Counter"]))
    assert here.state == graded[name].state
    assert [one.diagnosis for one in here.checks] == [one.diagnosis for one in graded[name].checks]


def test_who_plays_may_name_the_mistake(graded):
    assert [one.diagnosis for one in graded["twice"].checks] == [TWICE, TWICE]
    assert not any(one.diagnosis for name in ANSWERS if name != "twice" for one in graded[name].checks)


def test_a_stub_is_not_attempted(graded):
    assert graded["stub"].state == "not attempted"
    assert graded["half a stub"].state == "not attempted"  # nothing was got out of it


def test_a_name_that_is_no_mistake_of_the_exercise_is_an_error():
    check = Check(1, "Count.", play=lambda player, rng: ("wrong", "no such mistake"), name="counts")
    with pytest.raises(ValueError, match="not one of its mistakes: no such mistake"):
        judge(replace(COUNTER, name="03.counter", checks=(check,)), InProcess(lambda: 0), 0)


def test_a_game_that_never_ends_is_over_at_the_limit(tmp_path):
    def endless(player, rng):
        player.make("one", np.zeros(1), 1)
        while True:
            player.tell("one", "add", 1)

    checks = (Check(1, "Count.", play=endless, name="endless"), replace(COUNTER.checks[0]))
    exercise = replace(COUNTER, name="03.counter", checks=checks, limits=Limits(check_seconds=0.2, exercise_seconds=60))
    (result,) = grade_file(write(tmp_path / "03_x.ipynb", SOURCE), [exercise], seed=1).exercises
    assert "over the limit of CPU time (0.2 s a check" in reasons(result)["endless"]


def test_waiting_in_small_portions_is_waiting(tmp_path):
    """A game of short calls that sleep; and statements that do, before it."""

    def long(player, rng):
        player.make("one", np.zeros(1), 1)
        for _ in range(400):
            player.tell("one", "add", 1)

    exercise = replace(COUNTER, name="03.counter", checks=(Check(1, "Count.", play=long, name="long"),))
    exercise = replace(exercise, limits=Limits(check_seconds=0.5, exercise_seconds=60))
    sleeps = SOURCE.replace("self.sum +=", "import time; time.sleep(0.1); self.sum +=")
    (result,) = grade_file(write(tmp_path / "03_x.ipynb", sleeps), [exercise], seed=1).exercises
    assert "over the limit of CPU time (0.5 s a check, 60 s an exercise), waiting included" in reasons(result)["long"]


def test_a_load_that_waits_in_small_portions_is_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "LOADS_SECONDS", 1.0)
    cells = [
        "import time\nT = []",
        *["T.append(time.sleep(0.1))"] * 100,
        SOURCE.replace("number\n", "number * len(T)\n"),
    ]
    (result,) = grade_file(write(tmp_path / "03_x.ipynb", *cells), [replace(COUNTER, name="03.counter")]).exercises
    assert "while loading: " in reasons(result)["counts"]


def test_what_is_returned_is_limited_in_all(tmp_path, monkeypatch):
    """Replies are kept, for checks to come: thousands of large ones would fill the grader's memory."""
    monkeypatch.setattr(process, "RETURN_BYTES", 1 << 20)

    def greedy(player, rng):
        player.make("one", np.zeros(1), 1)
        for _ in range(100):
            player.call("one", "total")
        return ""

    exercise = replace(COUNTER, name="03.counter", checks=(Check(1, "Count.", play=greedy, name="greedy"),))
    large = SOURCE.replace("return self.sum", "return [0.5] * 100_000")
    (result,) = grade_file(write(tmp_path / "03_x.ipynb", large), [exercise], seed=1).exercises
    assert reasons(result) == {"greedy": "returned more than 1 MB in all"}


def test_a_method_may_return_nothing():
    class Silent:
        def act(self):
            pass

    player = Player(InProcess(Silent))
    player.make("one")
    player.tell("one", "act")
    assert player.call("one", "act") is None
