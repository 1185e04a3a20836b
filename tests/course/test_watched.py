"""What is shown while it trains, and what Stop gives back."""

import io
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from itertools import islice

import pandas as pd
import pytest
from jupyter_client.manager import start_new_kernel

import pgcourse as pg
from pgcourse import algorithms
from pgcourse.course import runner, watched
from pgcourse.course.watched import Meter, duration, interruptible

ENDLESS = "pg.train(pg.A2C(envs=4), 'CartPole-v1', seeds=2, steps=10**9)"


@pytest.fixture
def said(monkeypatch):
    """What is drawn, as (text, whether for the last time), every time that there is something."""
    lines = []
    monkeypatch.setattr(watched, "PATIENCE", 0)
    monkeypatch.setattr(watched, "place", lambda: (lambda text, part, last: lines.append((text, last)), 0))
    monkeypatch.setattr(watched, "_latest_stop", float("-inf"))
    return lines


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def meter(every):
    clock, lines = Clock(), []
    return clock, lines, Meter("PPO", 1000, lambda text, part, last: lines.append(text), every, clock)


def test_the_line_says_steps_mean_return_and_time_left():
    clock, lines, shown = meter(every=0.25)
    for clock.now, done, value in ((0.1, 100, None), (0.3, 150, None), (1.1, 300, 12.3456), (1.2, 350, 12.0)):
        shown.show(done, value)
    assert lines == ["PPO: 300 of 1,000 steps, mean return 12.35, 4 s left"]  # 200 steps a second
    clock.now = 5.0
    shown.show(1040, 20.0)
    shown.end()
    assert lines[1:] == ["PPO: 1,000 steps in 5 s, mean return 20"]


def test_in_a_log_a_line_a_minute():
    clock, lines, shown = meter(every=60)
    for second in range(1, 200):
        clock.now = second
        shown.show(second, None)
    assert [line.split(" of")[0] for line in lines] == ["PPO: 60", "PPO: 120", "PPO: 180"]


def test_what_is_quick_says_nothing_unless_it_is_stopped():
    _, lines, shown = meter(every=0.25)
    shown.show(500, None)
    shown.end()
    assert lines == []
    shown.end(stopped=True)
    assert lines == ["PPO: stopped at 500 of 1,000 steps"]


def test_a_training_that_goes_on_from_the_middle_is_not_thought_fast():
    clock, lines, shown = meter(every=1)
    for clock.now, done in ((0, 900), (2, 910)):
        shown.show(done, None)
    assert lines == ["PPO: 910 of 1,000 steps, 18 s left"]


def test_durations():
    assert [duration(s) for s in (0.2, 59.4, 59.6, 200, 7500)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "3 min 20 s",
        "2 h 5 min",
    ]


def test_a_watched_training_gives_what_an_unwatched_one_gives(said):
    options = (pg.A2C(envs=4, horizon=8), "CartPole-v1", [2, 7], 2000)
    run, alone = pg.train(*options), algorithms.train(*options)
    pd.testing.assert_frame_equal(run.curves, alone.curves)
    assert run.policy.theta.equal(alone.policy.theta)
    assert said[0][0].startswith("A2C on CartPole-v1: 32 of 2,000 steps")
    assert [last for _, last in said].count(True) == 1
    assert said[-1][0].startswith("A2C on CartPole-v1: 2,000 steps in ")


def test_it_may_be_quiet(said):
    pg.train(pg.A2C(envs=4), "CartPole-v1", 2, 200, show=False)
    assert said == []


def test_where_pgcourse_run_executes_a_chapter_nothing_is_shown_and_an_interrupt_is_one(said, monkeypatch):
    assert watched.UNATTENDED == runner.MARK
    monkeypatch.setenv(runner.MARK, "this")
    monkeypatch.setattr(watched, "interruptible", None)
    pg.train(pg.A2C(envs=4), "CartPole-v1", 2, 200)
    assert said == []


def test_an_error_is_raised_and_the_handler_is_gone(said):
    with pytest.raises(ValueError, match="steps must be 1 or more"):
        pg.train(pg.A2C(), "CartPole-v1", 1, 0)
    assert said == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.fixture
def presses(monkeypatch):
    """`presses(n)`: somebody presses Ctrl-C n times in the third iteration."""

    def press(times):
        module = sys.modules["pgcourse.algorithms.train"]
        real = module.training

        def training(*arguments, **options):
            for number, progress in enumerate(real(*arguments, **options)):
                if number == 2:
                    for _ in range(times):
                        signal.raise_signal(signal.SIGINT)
                yield progress

        monkeypatch.setattr(module, "training", training)

    return press


def test_stop_gives_back_what_was_learned(said, presses):
    options = (pg.A2C(envs=4, horizon=8), "CartPole-v1", [2, 7], 50_000)
    *_, third = islice(pg.training(*options), 3)
    presses(1)
    run = pg.train(*options)
    assert said[-1] == ("A2C on CartPole-v1: stopped at 96 of 50,000 steps", True)
    assert run.policy.theta.equal(third.policy.theta)
    assert run.curves.groupby("seed")["step"].max().tolist() == [96, 96]
    assert len(pg.evaluate(run.policy, 3)) == 6
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_raises(said, presses):
    presses(2)
    with pytest.raises(KeyboardInterrupt):
        pg.train(pg.A2C(envs=4, horizon=8), "CartPole-v1", [2, 7], 50_000)


def test_so_does_one_that_hits_the_next_training_of_a_loop(said, presses):
    presses(1)
    pg.train(pg.A2C(envs=4, horizon=8), "CartPole-v1", [2, 7], 50_000)
    with pytest.raises(KeyboardInterrupt):
        pg.train(pg.A2C(envs=4, horizon=8), "CartPole-v1", [2, 7], 50_000)


def test_other_threads_and_other_handlers_are_left_alone(monkeypatch):
    handlers = []

    def look():
        with interruptible():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        look()
    finally:
        signal.signal(signal.SIGINT, before)
    assert handlers == [signal.default_int_handler, signal.SIG_IGN]


def test_a_terminal_has_one_line_with_a_bar(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = io.StringIO()
    draw = watched._on_a_terminal(stream)
    draw("PPO: 1 of 2 steps, and the time that is left", 0.5, False)
    draw("PPO: a line that is longer than the terminal, " * 2, 0.75, False)
    draw("PPO: done", 1.0, True)
    first, second, third = stream.getvalue().split("\r")[1:]
    assert first == f"[{'=' * 6}{' ' * 6}] PPO: 1 of 2 steps, and the time that is left"
    assert second == ("PPO: a line that is longer than the terminal, " * 2)[:59]
    assert len(third) == 60
    assert third.rstrip(" \n") == "PPO: done"
    assert third.endswith("\n")


@pytest.mark.skipif(os.name == "nt", reason="signals to a process are POSIX")
def test_a_script_that_is_stopped_goes_on_with_the_run_and_shows_no_traceback():
    code = f"import pgcourse as pg; pg.train; print('ready', flush=True); run = {ENDLESS}; print(len(run.curves) > 0)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "True\n")
    assert err.startswith("A2C on CartPole-v1: stopped at ")
    assert err.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="signals to a process are POSIX")
def test_a_notebook_shows_one_replaced_line_and_its_button_stops():
    manager, client = start_new_kernel()
    try:
        client.execute(f"import pgcourse as pg\nrun = {ENDLESS}")
        shown = []
        while True:
            try:
                message = client.get_iopub_msg(timeout=60)
            except queue.Empty:
                pytest.fail(f"nothing more than {shown}")
            kind, content = message["msg_type"], message["content"]
            assert kind not in ("error", "stream"), content
            if kind in ("display_data", "update_display_data"):
                shown.append((kind, content["transient"]["display_id"], content["data"]))
                if len(shown) == 3:
                    manager.interrupt_kernel()
            elif kind == "status" and content["execution_state"] == "idle":
                break
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert [kind for kind, _, _ in shown] == ["display_data"] + ["update_display_data"] * (len(shown) - 1)
    assert len({name for _, name, _ in shown}) == 1
    assert "<progress" in shown[0][2]["text/html"]
    assert shown[-1][2]["text/plain"].startswith("A2C on CartPole-v1: stopped at ")
    assert "<progress" not in shown[-1][2]["text/html"]


@pytest.fixture
def notebook(monkeypatch):
    monkeypatch.setattr(watched, "in_a_notebook", lambda: True)


LOOP = (pg.A2C(envs=4, horizon=8), "CartPole-v1")


def test_a_loop_of_ones_own_in_a_notebook_shows_the_line_and_gives_the_same(said, notebook):
    *_, last = pg.iterate(*LOOP, pg.Streams(2), 200)
    *_, alone = algorithms.iterate(*LOOP, pg.Streams(2), 200)
    assert last.state.theta.equal(alone.state.theta)
    assert said[0][0].startswith("A2C on CartPole-v1: 32 of 200 steps")
    assert said[-1][0].startswith("A2C on CartPole-v1: 200 steps in ")
    assert [last for _, last in said].count(True) == 1


def test_one_that_is_broken_off_says_where(said, notebook):
    for it in pg.iterate(*LOOP, pg.Streams(2), 200):
        if it.number == 2:
            break
    del it
    assert said[-1] == ("A2C on CartPole-v1: stopped at 96 of 200 steps", True)


def test_one_without_end_says_nothing_and_names_a_world_that_is_made_otherwise(said, notebook):
    list(islice(pg.iterate(*LOOP, pg.Streams(2)), 3))
    assert said == []
    list(pg.iterate(LOOP[0], pg.make("CartPole-v1", 4), pg.Streams(2), 64))
    assert said[0][0].startswith("A2C on CartPole-v1: 32 of 64 steps")


def test_elsewhere_a_loop_says_only_what_it_prints_itself(said, monkeypatch):
    list(pg.iterate(*LOOP, pg.Streams(2), 64))
    monkeypatch.setattr(watched, "in_a_notebook", lambda: True)
    monkeypatch.setenv(runner.MARK, "this")
    list(pg.iterate(*LOOP, pg.Streams(2), 64))
    assert said == []


def test_a_loop_refuses_steps_that_are_none():
    with pytest.raises(ValueError, match="steps must be 1 or more"):
        next(pg.iterate(*LOOP, pg.Streams(2), 0))
