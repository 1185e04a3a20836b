import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import util
from pathlib import Path

import pytest
import torch

from pgcourse.lab.engines import Advanced, Done, Failed, local
from pgcourse.lab.engines.local import _interrupts_held_back

posix = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL and SIGINT")


def square(number, report):
    report(0.5)
    if number == 3:
        raise ValueError("three is refused")
    if number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return torch.tensor(number**2), torch.get_num_threads(), os.getpid()


def slow(folder, report):
    """Leaves a file with its process id, and takes it away when it is told to end; else reports for ever."""
    mark = folder / str(os.getpid())
    mark.touch()
    try:
        for _ in range(6000):
            time.sleep(0.05)
            report(0.5)
    finally:
        mark.unlink()


@posix
def test_each_task_has_its_process_and_fails_alone():
    events = list(local(square, [1, 2, 3, 4, 5], workers=2))
    ends = {event.task: event for event in events if not isinstance(event, Advanced)}
    assert len(ends) == len([event for event in events if not isinstance(event, Advanced)]) == 5
    done = {task: event.result for task, event in ends.items() if isinstance(event, Done)}
    assert {task: result[:2] for task, result in done.items()} == {0: (1, 1), 1: (4, 1), 4: (25, 1)}  # one thread each
    assert len({os.getpid(), *(result[2] for result in done.values())}) == 4
    assert isinstance(ends[2], Failed)
    assert ends[2].error.endswith("ValueError: three is refused")
    assert ends[3] == Failed(3, "its process ended with exit code -9")


def test_closing_the_iterator_ends_the_processes(tmp_path):
    events = local(slow, [tmp_path] * 3, workers=2)
    assert next(events).fraction == 0.5
    assert list(tmp_path.iterdir())
    events.close()
    assert not list(tmp_path.iterdir())


def test_without_workers_nothing_runs():
    with pytest.raises(ValueError, match="workers must be 1 or more, got 0"):
        next(local(square, [1], workers=0))


PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_engines import slow
from pgcourse.lab.engines import local

if __name__ == "__main__":
    try:
        for event in local(slow, [Path(sys.argv[1])] * 3, workers=2):
            print("running", flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@posix
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_orphans_when_the_parent_is_interrupted_or_killed(tmp_path, how):
    script, marks = tmp_path / "parent.py", tmp_path / "marks"
    script.write_text(PARENT, encoding="utf-8")
    marks.mkdir()
    command = [sys.executable, str(script), str(marks), str(Path(__file__).parent)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    parent = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
    assert parent.stdout.readline() == "running\n"
    assert list(marks.iterdir())
    if how == signal.SIGINT:
        os.killpg(parent.pid, how)  # as the terminal does: to everybody
    else:
        parent.send_signal(how)
    _, errors = parent.communicate(timeout=60)  # the pipes end when the last child that inherited them has ended
    assert parent.returncode == (130 if how == signal.SIGINT else -how)
    assert "Traceback" not in errors
    assert not list(marks.iterdir())


@posix
def test_an_interrupt_while_an_ended_process_is_put_away_is_not_lost(monkeypatch):
    """Python ignores what is raised in the garbage collector's callbacks."""
    close = util.close_fds

    def interrupted(*files):
        close(*files)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(util, "close_fds", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(local(square, [1], workers=1))


@posix
def test_an_interrupt_waits_until_a_process_has_started():
    """Whichever thread the signal reaches: half a message to a new process is a traceback on the user's screen."""
    inside, reached = threading.Event(), threading.Event()

    def interrupt() -> None:
        inside.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        reached.set()

    def start_a_process() -> None:
        with _interrupts_held_back():
            inside.set()
            reached.wait()
            time.sleep(0.01)
            reached.clear()

    other = threading.Thread(target=interrupt)  # with signals as they are outside of the block
    other.start()
    with pytest.raises(KeyboardInterrupt):
        start_a_process()
    assert not reached.is_set()
    other.join()
