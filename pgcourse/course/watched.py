"""Training with a line that shows its progress, and with Stop, which gives back what was learned so far.

Where it runs decides what is shown:

    a notebook             one line, replaced as training proceeds
    a terminal             the same with a bar, on stderr
    neither, under nohup   a line a minute, on stderr
    `pgcourse run`         nothing: pages of executed chapters are the same every time

A training of less than `PATIENCE` seconds shows nothing. The line of a longer one stays when it has ended, and says so.
A loop of one's own over `iterate` shows its line in a notebook only: elsewhere what it prints would stand in between.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, TextIO

from pgcourse import algorithms
from pgcourse.algorithms import Iteration, LatestReturn, Progress, Run
from pgcourse.algorithms.iterate import require_steps, whole_steps
from pgcourse.envs import name_of

if TYPE_CHECKING:
    import torch

    from pgcourse.algorithms import Algorithm
    from pgcourse.core import Critic, Policy, Streams
    from pgcourse.envs import Env

PATIENCE = 0.5  # seconds until something is shown
REPLACED = 0.25  # seconds between two states of a line that is replaced
A_MINUTE = 60.0  # seconds between two lines that stay
TWICE = 2.0  # seconds in which a second Ctrl-C means everything, not the next training, too
SMOOTHED = 1_000  # steps of each seed for a mean return; more, until every seed has ended an episode
CELLS, FEW_CELLS = 24, 4  # of the bar in a terminal: most, and fewest that are worth showing
UNATTENDED = "PGCOURSE_RUN"  # `pgcourse run` sets it

Draw = Callable[[str, float, bool], None]
"""Shows a text and the part that is done; told whether it is the last time."""


def train(
    algorithm: Algorithm,
    env: str | Callable[..., Any],
    seeds: int | Iterable[int] = 10,
    steps: int = 100_000,
    policy: Policy | None = None,
    critic: Critic | None = None,
    device: str | torch.device = "cpu",
    show: bool = True,
    env_args: Mapping[str, Any] | None = None,
) -> Run:
    """Train all seeds side by side and keep about 100 rows of curves for each; what comes back is on the CPU.

    A line shows how far it is, unless `show` is False: in a notebook, in a terminal, or once a minute in a log.
    Stopped by Ctrl-C or the notebook's button, it completes its iteration and returns what was learned so far. A second
    Ctrl-C, during that iteration or in a training that begins within two seconds, raises KeyboardInterrupt.

    `env` is a name or a world of your own, a class or a function that makes one: see `pgcourse.make`. `env_args` are
    its arguments, such as {"gravity": 5.0}.

    Other arguments and errors as `pgcourse.training`.
    """
    if os.environ.get(UNATTENDED):
        return algorithms.train(algorithm, env, seeds, steps, policy, critic, device, env_args=env_args)
    steps = whole_steps(steps)
    draw, every = place() if show else (_nowhere, math.inf)
    meter = Meter(f"{type(algorithm).__name__} on {name_of(env)}", steps, draw, every)
    returns = LatestReturn(max(1, min(steps // 100, SMOOTHED)))
    with interruptible() as stopped:

        def watch(progress: Progress) -> bool:
            meter.show(int(progress.steps.min()), returns.follow(progress))
            return not stopped()

        try:
            return algorithms.train(algorithm, env, seeds, steps, policy, critic, device, watch, env_args)
        finally:
            meter.end(stopped())


def iterate(
    algorithm: Algorithm,
    env: str | Callable[..., Env] | Env,
    streams: Streams,
    steps: float = math.inf,
    policy: Policy | None = None,
    critic: Critic | None = None,
    after: Iteration | None = None,
) -> Iterator[Iteration]:
    """Act and update until every seed has seen `steps` environment steps, or without end if `steps` is left out.

        for it in pg.iterate(pg.PPO(), "CartPole-v1", pg.Streams(10), steps=100_000):
            it.batch, it.state.theta, it.metrics.kl

    In a notebook a line shows how far it is, if there is an end; `pgcourse.algorithms.iterate` is the same without it.

    Arguments and errors as there.
    """
    require_steps(steps)
    loop = algorithms.iterate(algorithm, env, streams, steps, policy, critic, after)
    if os.environ.get(UNATTENDED) or not in_a_notebook() or not math.isfinite(steps):
        yield from loop
        return
    made = getattr(env, "name", None)  # of a world that is made
    world = made if isinstance(made, str) else name_of(env)
    meter = Meter(f"{type(algorithm).__name__} on {world}", int(steps), *place())
    try:
        for it in loop:
            meter.show(int(it.steps.min()), None)
            yield it
    finally:  # also where the loop around it breaks off
        meter.end()


class Meter:
    """How far a training is, in words: its steps, its mean return over seeds, the time that is left."""

    def __init__(
        self, title: str, steps: int, draw: Draw, every: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.title, self.steps, self._draw, self._every, self._clock = title, steps, draw, every, clock
        self._start = clock()
        self._due = self._start + max(PATIENCE, every)
        self._shown = False
        self._first: tuple[float, int] | None = None  # a training that goes on from a checkpoint begins in the middle
        self._done = 0
        self._value: float | None = None

    def show(self, done: int, value: float | None) -> None:
        """`done` steps of each seed are done, and the mean return is `value`, if it is known."""
        self._done, self._value = min(done, self.steps), value
        now = self._clock()
        start, before = self._first = self._first or (now, self._done)
        if now < self._due or done >= self.steps:
            return
        self._due = now + self._every
        self._shown = True
        left = (now - start) / (self._done - before) * (self.steps - self._done) if self._done > before else None
        self._say(f"{self._done:,} of {self.steps:,} steps", "" if left is None else f"{duration(left)} left")

    def end(self, stopped: bool = False) -> None:
        """The last line, where there was one before; that somebody stopped it is said in any case."""
        finished = self._done == self.steps
        if finished and self._shown:
            self._say(f"{self.steps:,} steps in {duration(self._clock() - self._start)}", last=True)
        elif not finished and (self._shown or stopped):
            self._say(f"stopped at {self._done:,} of {self.steps:,} steps", last=True)

    def _say(self, how_far: str, left: str = "", last: bool = False) -> None:
        value = "" if self._value is None else f"mean return {self._value:,.4g}"
        text = ", ".join(filter(None, (how_far, value, left)))
        self._draw(f"{self.title}: {text}", self._done / self.steps, last)


def duration(seconds: float) -> str:
    """12 s, 3 min 20 s, 2 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def place() -> tuple[Draw, float]:
    """How to show something where this runs, and how often, in seconds."""
    if in_a_notebook():
        return _in_a_notebook(), REPLACED
    if sys.stderr is not None and sys.stderr.isatty():
        return _on_a_terminal(sys.stderr), REPLACED
    return _in_a_log, A_MINUTE


def in_a_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return bool(ipython and hasattr(ipython.get_ipython(), "kernel"))


def _in_a_notebook() -> Draw:
    from IPython.display import display

    name, shown = uuid.uuid4().hex, False

    def draw(text: str, part: float, last: bool) -> None:
        nonlocal shown
        bar = "" if last else f'<progress value="{part:.3f}" style="vertical-align:middle"></progress> '
        display(
            {"text/plain": text, "text/html": f"<div>{bar}{escape(text)}</div>"},
            raw=True,
            display_id=name,
            update=shown,
        )
        shown = True

    return draw


def _on_a_terminal(stream: TextIO) -> Draw:
    before = 0

    def draw(text: str, part: float, last: bool) -> None:
        nonlocal before
        room = shutil.get_terminal_size().columns - 1  # a line that is broken cannot be replaced
        cells = min(CELLS, room - len(text) - len("[] "))  # the words come first
        bar = "" if last or cells < FEW_CELLS else f"[{'=' * int(part * cells):<{cells}}] "
        line = (bar + text)[:room]
        stream.write(f"\r{line:<{before}}" + "\n" * last)
        stream.flush()
        before = len(line)

    return draw


def _in_a_log(text: str, part: float, last: bool) -> None:
    print(text, file=sys.stderr, flush=True)


def _nowhere(text: str, part: float, last: bool) -> None:
    pass


_latest_stop = -math.inf


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """In the block the first Ctrl-C is only noted, which the function tells; a second one raises.

    Where another thread runs this, or somebody else handles Ctrl-C, that stays as it is.
    """
    stopped = False

    def note(number: int, frame: object) -> None:
        global _latest_stop
        nonlocal stopped
        if stopped or time.monotonic() - _latest_stop < TWICE:
            raise KeyboardInterrupt
        stopped, _latest_stop = True, time.monotonic()

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: stopped
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
