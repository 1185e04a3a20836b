"""Whatever is handed in gets a grade and a reason, and none that it did not earn.

Real processes, without a sandbox: so nothing here reaches beyond its own process. What would, runs inside bubblewrap.
"""

import json
import os
import pickle
import re
import sys
import time

import nbformat
import psutil
import pytest
import torch
from submissions import RIGHT, SOLUTION, TO_GO, function, grade_file, host_of, reasons, submit, write

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.check import PUBLIC_SEED
from pgcourse.grading.exercise import InProcess, Limits, judge
from pgcourse.grading.process import Process

ALL = EXERCISES.of("03")
FULL = sum(one.points for one in ALL)
EVERY_CHECK = {check.name for check in TO_GO.checks}


# --------------------------------------------------------------------- right answers, whatever else is around them

RIGHT_ANSWERS = {
    "noisy": """
        import sys, warnings
        warnings.warn("careful")
        print("x" * 100_000, file=sys.stderr)
        print("y" * 100_000)
        return right(reward, gamma)""",
    "warns_of_errors": """
        import warnings
        warnings.simplefilter("error")
        return right(reward, gamma)""",
    "uses_constants": "return right(reward * ONE, float(gamma)) * TABLE['one'] + halve(0)",
    "redefined": "return right(reward, gamma)",
    "numpy": "return right(reward, gamma).numpy()",
    "big_endian": "return right(reward, gamma).numpy().astype('>f8' if reward.dtype == torch.float64 else '>f4')",
    "masked_array": "import numpy as np; return np.ma.masked_array(right(reward, gamma).numpy(), False)",
    "negative_bit": "return torch._neg_view(-right(reward, gamma))",
    "compiled": "return torch.compile(dynamic=True)(right)(reward, gamma)",
    "restores_its_input": """
        ret = right(reward, gamma)
        reward.mul_(2).div_(2)
        return ret""",
}
SURROUNDINGS = [
    "def unrelated(:",
    "while True: pass",
    "raise SystemExit",
    "%matplotlib inline\n!exit 3\n?what",
    "ONE = 1.0\nTABLE = {'one': 1}\nhalve = lambda x: x / 2\nfrom pgcourse.grading import check",
    function("redefined", "return reward"),
]

# ------------------------------------------------------------ wrong answers: (body, the check it fails, the reason)

WRONG_ANSWERS = {
    "stub": ("raise NotImplementedError()", "values", "not attempted"),
    "nothing": ("right(reward, gamma)", "values", "returned None (is a `return` missing?)"),
    "not_a_number": ("return right(reward, gamma) * float('nan')", "values", "NaN at [0, 0]"),
    "infinite": ("return right(reward, gamma) / 0", "values", "infinite at [0, 0]"),
    "complex_numbers": (
        "return right(reward, gamma).to(torch.complex64)",
        "values",
        "dtype complex64 is not one of real numbers or booleans",
    ),
    "wrong_shape": ("return right(reward, gamma)[..., :1]", "values", "shape [1, 1], expected [1, 3]"),
    "wrong_dtype": ("return right(reward, gamma).double()", "input and dtype", "dtype float64, expected float32"),
    "text": ("return 'ten'", "values", "text, expected an array"),
    "objects": ("import numpy as np; return np.array([print])", "values", "dtype object is not one of real numbers"),
    "subclass": ("return right(reward, gamma).as_subclass(Same)", "values", "returned an object of type Same"),
    "array_subclass": (
        "return right(reward, gamma).numpy().view(SameArray)",
        "values",
        "returned an object of type SameArray",
    ),
    "equal_to_all": ("return Equal()", "values", "returned an object of type Equal"),
    "large": ("return torch.zeros(8_000_000)", "values", "an array of 32 MB is too large to send"),
    "raises": ("return reward['first']", "values", "IndexError: "),
    "names_its_line": ("x = 1\nraise ValueError('here')", "values", ", line 4)"),
    "endless_recursion": ("return endless_recursion(reward, gamma)", "values", "RecursionError"),
    "needs_a_module": ("return no_such_module.f(reward)", "values", "cell 1: ModuleNotFoundError: No module named"),
    "needs_what_failed": (
        "return right(reward, gamma) * BROKEN",
        "values",
        "cell 2: ZeroDivisionError: division by zero",
    ),
    "needs_the_course": ("import pgcourse; return 0", "values", "pgcourse is not available while grading"),
    "crashes_when_long": ("assert len(reward.T) < 99; return right(reward, gamma)", "long episodes", "AssertionError"),
    "changes_its_input": (
        "ret = right(reward, gamma); reward.zero_(); return ret",
        "input and dtype",
        "`reward` was changed in place: it must stay as it is",
    ),
    "terminal_codes": ("raise ValueError('\\x1b[31m</script>\\u202e\\0' + 'x' * 10**6)", "values", "�[31m</script>��x"),
    "nasty_exception": ("raise Nasty()", "values", "Nasty: (its message could not be read)"),
}
CLASSES = """
import torch
import no_such_module
class Same(torch.Tensor):
    def __eq__(self, other): return True
import numpy
class SameArray(numpy.ndarray):
    def __eq__(self, other): return True
class Equal(float):
    def __eq__(self, other): return True
    __hash__ = None
class Nasty(Exception):
    def __str__(self): raise ValueError
"""


@pytest.fixture(scope="module")
def class_of(tmp_path_factory):
    """One notebook with all of these answers: they share a process, and no one's mistake costs another a point."""
    wrong = [function(name, body) for name, (body, _, _) in WRONG_ANSWERS.items()]
    right = [function(name, body) for name, body in RIGHT_ANSWERS.items()]
    cells = [CLASSES, "BROKEN = 1 / 0", *SURROUNDINGS, RIGHT, *wrong, *right]
    cells += ["def one_argument(reward): return reward", "def unclosed(reward, gamma:\n    return reward"]
    cells += ["%%cython\ndef foreign(reward, gamma):\n    return reward"]
    entries = [*WRONG_ANSWERS, *RIGHT_ANSWERS, "one_argument", "unclosed", "foreign", "renamed"]
    return submit(tmp_path_factory.mktemp("class"), *cells, entries=entries)


@pytest.mark.parametrize("name", RIGHT_ANSWERS)
def test_a_right_answer_gets_all_points(class_of, name):
    result = class_of[1][name]
    assert reasons(result) == {}
    assert result.state == "solved"


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_a_wrong_answer_gets_a_reason(class_of, name):
    _, check, reason = WRONG_ANSWERS[name]
    found = reasons(class_of[1][name])
    assert reason in found[check]
    assert set(found) == (EVERY_CHECK if check == "values" else {check})
    assert len(found[check]) <= 300
    assert found[check].isprintable()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("one_argument", r"TypeError: one_argument\(\) takes 1 positional argument but 2 were given"),
        ("renamed", "not defined: there is no function renamed"),
        ("unclosed", r"not defined: cell \d+: SyntaxError in line 1: '\(' was never closed"),
        ("foreign", r"not defined: cell \d+: starts with %%cython, so it is not read"),
    ],
)
def test_an_answer_that_cannot_be_called_gets_a_reason(class_of, name, reason):
    found = reasons(class_of[1][name])
    assert set(found) == EVERY_CHECK
    assert all(re.fullmatch(reason, one) for one in found.values())


def test_a_syntax_error_elsewhere_costs_nothing_and_its_cell_is_named(class_of):
    graded, _ = class_of
    assert any(note.startswith("cell 3: SyntaxError in line 1") for note in graded.notes)


def test_a_name_that_keeps_its_earlier_value_is_told(tmp_path):
    """The answer works with the earlier one: nobody may wonder why."""
    cells = ["GAMMA = 0.5", "GAMMA = lost.gamma", "import lost", function("uses", "return reward * GAMMA")]
    graded, _ = submit(tmp_path, *cells, entries=["uses"])
    (note,) = graded.notes
    assert note == "GAMMA keeps its earlier value: cell 2: NameError: name 'lost' is not defined (cell 2, line 1)"


def test_what_is_printed_is_kept_up_to_a_limit(class_of):
    graded, _ = class_of
    assert "xxx" in graded.log
    assert "yyy" in graded.log or len(graded.log) == 64 << 10
    assert len(graded.log) <= 64 << 10


def test_metadata_does_not_matter(tmp_path):
    """Check cells deleted, duplicated and edited; points, ids and locks changed: graded as if nothing had been."""
    notebook = nbformat.read(SOLUTION, as_version=4)
    checks = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    notebook.cells.remove(checks[0])
    checks[1].source = "assert True"
    notebook.cells.append(checks[2].copy())
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader |= {"points": 1000, "grade_id": "same", "locked": False, "solution": False}
        cell.pop("id", None)
    path = tmp_path / "03_x.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    graded = grade_file(path, ALL)
    assert (graded.points, graded.max_points) == (FULL, FULL)


# ------------------------------------------------------------------------------------- tampering inside the process

TAMPERING = {
    "comparisons": """
        import builtins, math, numpy as np, torch
        for module, names in ((np, "allclose isclose array_equal isnan abs"), (torch, "allclose equal isclose")):
            for name in names.split():
                setattr(module, name, lambda *a, **k: True)
        np.testing.assert_allclose = math.isclose = lambda *a, **k: True
        return torch.zeros_like(reward)""",
    "built_ins": """
        import builtins
        builtins.AssertionError = builtins.ValueError = builtins.all = builtins.any = lambda *a: True
        return torch.zeros_like(reward)""",
    "modules": """
        import sys
        for name in ("pgcourse", "pgcourse.grading", "pgcourse.grading.exercise"):
            sys.modules[name] = type("Fake", (), {"difference": lambda *a: "", "__getattr__": lambda *a: True})()
        return torch.zeros_like(reward)""",
    "writing": """
        import os
        os.write = lambda fd, content: len(content)
        return torch.zeros_like(reward)""",
    "importing": """
        import builtins
        builtins.__import__ = lambda *a, **k: __builtins__
        return torch.zeros_like(reward)""",
    "device": """
        torch.set_default_device("meta")
        return torch.zeros_like(reward)""",
    "encoding": """
        import sys
        sys.modules["__worker__"].encode = lambda array: {"dtype": "<f4", "shape": [], "data": "AAAAAA=="}
        return torch.zeros_like(reward)""",
    "worker": """
        import sys
        sys.modules["__worker__"].perform = lambda *a: {"verdict": "right", "points": 6}
        return torch.zeros_like(reward)""",
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_earns_nothing(tmp_path, name):
    _, results = submit(tmp_path, function(name, TAMPERING[name]), entries=[name])
    assert set(reasons(results[name])) == EVERY_CHECK


def test_no_expected_value_is_in_the_process(tmp_path):
    body = "import sys; raise RuntimeError([name for name in sys.modules if name.startswith('pgcourse')])"
    _, results = submit(tmp_path, function("looks", body), entries=["looks"])
    assert set(reasons(results["looks"]).values()) == {"RuntimeError: [] (cell 1, line 3)"}


# --------------------------------------------------------------------------- processes that die, hang or send rubbish

FRAMES = """
import os, stat, struct, sys
def pipes():
    "Descriptors of this process that lead to the grader and to nobody else."
    for fd in range(3, 32):
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode): yield fd
        except OSError: pass
def send(content, size=None):
    for fd in pipes():
        try: os.write(fd, struct.pack('>I', len(content) if size is None else size) + content)
        except OSError: pass
def question():
    "The id of the question that is being answered."
    frame = sys._getframe()
    while frame.f_code.co_name != 'work': frame = frame.f_back
    return frame.f_locals['request']['id']
"""
QUARTER = '{"dtype": "<f4", "shape": [1, 3], "data": "AACAPgAAAD8AAIA/"}'  # right for the first question
FORGED = """send(('{"id": "%%s", %s}' %% question()).encode())"""

MISBEHAVIOUR = {
    "os_exit": ("import os; os._exit(0)", "the process exited with status 0"),
    "sys_exit": ("import sys; sys.exit(0)", "the process exited with status 0"),
    "segmentation_fault": ("import ctypes; ctypes.string_at(0)", "the process exited, killed by SIGSEGV"),
    "sleeps": ("import time; time.sleep(99)", "waited 1 s for nothing"),
    "stops_itself": ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "waited 1 s for nothing"),
    "floods": ("import os\nwhile True: os.write(2, b'x' * 65536)", "printed more than 32 MB"),
    "swallows": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "over the limit of CPU time (0.5 s a check, 2 s an exercise)",
    ),
    "closes_its_pipes": ("import time\nfor fd in pipes(): os.close(fd)\ntime.sleep(99)", "the process closed its conn"),
    "memory_bomb": ("x = []\nwhile True: x.append(bytearray(1 << 24))", "over the memory limit of 0.25 GiB"),
    "tensor_bomb": ("return torch.ones(1 << 36)", "over the memory limit of 0.25 GiB"),
    "thread_bomb": (
        "import threading, time\nthreading.stack_size(32768)\nfor _ in range(4000): "
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nwhile True: pass",
        "started more than 256 threads",
    ),
    "scores": ("send(b'{\"points\": 6}')", "protocol violation: an answer to no question"),
    "ahead": (
        "for _ in range(50): " + FORGED % f'"values": [{QUARTER}], "gradients": []',
        "protocol violation: an answ",
    ),
    "not_json": ("send(b'[[[[' * 9999)", "protocol violation: not JSON"),
    "pickle": ("send(PICKLE)", "protocol violation: not JSON"),
    "enormous": (
        "send(b'', 32 << 20)\nwhile True: send(b' ' * 65532)",
        "protocol violation: a reply that is too large",
    ),
    "too_few_values": (FORGED % '"values": [], "gradients": []', "protocol violation: not as many values"),
    "object_dtype": (
        FORGED % '"values": [{"dtype": "|O", "shape": [1], "data": "AAAAAAAAAAA="}], "gradients": []',
        "protocol violation: dtype not allowed",
    ),
    "wrong_size": (
        FORGED % '"values": [{"dtype": "<f4", "shape": [1000000000], "data": "AAAA"}], "gradients": []',
        "protocol violation: data and shape disagree",
    ),
    "error_without_words": (FORGED % '"error": {"type": 3}', "protocol violation: an error without words"),
}
SHORT = Limits(check_seconds=0.5, exercise_seconds=2.0)
LIMITS = {
    "sleeps": SHORT,
    "swallows": SHORT,
    "stops_itself": SHORT,
    "memory_bomb": Limits(memory=1 << 28),
    "tensor_bomb": Limits(memory=1 << 28),
}
LINUX_ONLY = {"memory_bomb", "tensor_bomb", "thread_bomb"}
TWO_CHECKS = TO_GO.checks[:2]  # the second one is asked of a process that was started again


class Bomb:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_long_question_that_was_answered_was_read(monkeypatch):
    """On a busy computer the thread that wrote it may end after the answer has come: that is nobody's fault."""
    write_rest = Process._write_rest

    def slowly(self, message):
        write_rest(self, message)
        time.sleep(0.3)

    monkeypatch.setattr(Process, "_write_rest", slowly)
    process = host_of("none").process(Limits())
    try:
        for _ in range(2):
            assert "error" not in process.ask({"do": "ping", "long": "x" * 200_000}, 10.0, "the test's limit")
    finally:
        process.close()


@pytest.fixture(scope="module")
def misbehaved(tmp_path_factory):
    """All of them in one notebook, a right answer behind them; with the processes and folders that were left over."""
    folder = tmp_path_factory.mktemp("misbehaviour")
    bomb = pickle.dumps(Bomb(str(folder / "unpickled")))
    names = [name for name in MISBEHAVIOUR if sys.platform == "linux" or name not in LINUX_ONLY]
    cells = [FRAMES, f"PICKLE = {bomb!r}", *(function(name, MISBEHAVIOUR[name][0]) for name in names), RIGHT]
    assert submit(folder, RIGHT, entries=["right"])[0].percent == 100  # what forks the others is there from now on
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    _, results = submit(folder, *cells, entries=[*names, "right"], limits=LIMITS, checks=TWO_CHECKS)
    left = {process.pid for process in psutil.Process().children(recursive=True)} - before
    return results, left, (folder / "unpickled").exists()


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_a_process_that_misbehaves_gets_nothing(misbehaved, name):
    if name in LINUX_ONLY and sys.platform != "linux":
        pytest.skip("memory is limited on Linux only")
    found = reasons(misbehaved[0][name])
    assert set(found) == {check.name for check in TWO_CHECKS}
    wanted = [MISBEHAVIOUR[name][1]]
    if name == "thread_bomb":  # glibc reserves 64 MB of addresses for a thread: the limit of memory may be met first
        wanted.append("can't start new thread")
    assert any(words in found["values"] for words in wanted), found["values"]


def test_the_answers_behind_them_are_graded_still(misbehaved):
    assert reasons(misbehaved[0]["right"]) == {}


def test_nothing_is_left_of_them(misbehaved):
    _, processes, unpickled = misbehaved
    assert not processes
    assert not unpickled


def test_a_submission_that_dies_while_it_is_loaded_gets_a_reason(tmp_path):
    _, results = submit(
        tmp_path,
        "class Dies:\n    import os; os._exit(3)",
        function("answer", "return Dies"),
        RIGHT,
        entries=["answer", "right"],
    )
    (reason,) = set(reasons(results["answer"]).values())
    assert reason.endswith("name 'Dies' is not defined (cell 2, line 3): cell 1: the process exited with status 3")
    assert reasons(results["right"]) == {}


def test_a_statement_that_takes_too_long_costs_what_it_binds_and_the_rest_is_graded(tmp_path):
    cells = ["class Late:\n    import time; time.sleep(99)", "%a\n" * 490, "x = 1" + " + 1" * 9999]
    _, results = submit(tmp_path, *cells, RIGHT, function("late", "return Late"), entries=["right", "late"])
    assert reasons(results["right"]) == {}
    assert "cell 1: waited 5 s for nothing" in reasons(results["late"])["values"]


def test_a_table_of_one_draw_is_worth_nothing_for_another():
    """Whoever learns the answers to the inputs of one seed, such as the notebook's own, has not solved the exercise."""
    table = {}

    def key(reward, gamma):
        return reward.numpy().tobytes(), reward.shape, gamma

    def learns(reward, gamma):
        return table.setdefault(key(reward, gamma), reference(reward, gamma))

    def remembers(reward, gamma):
        return table.get(key(reward, gamma), torch.zeros_like(reward))

    namespace = {}
    exec(RIGHT, namespace)
    reference = namespace["right"]
    assert judge(TO_GO, InProcess(learns), PUBLIC_SEED).state == "solved"
    assert judge(TO_GO, InProcess(remembers), PUBLIC_SEED).state == "solved"
    assert judge(TO_GO, InProcess(remembers), 8231).points == 0


# --------------------------------------------------------------------------------------------- what is no notebook


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_text("", encoding="utf-8"), "the file is empty"),
        (lambda path: path.write_text("\x1b[0mhello", encoding="utf-8"), "not a valid notebook"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "not a valid notebook"),
        (lambda path: path.write_text('{"cells": 3}', encoding="utf-8"), "not a valid notebook"),
        (lambda path: path.write_text('{"cells": [{}]}', encoding="utf-8"), "not a valid notebook"),
        (lambda path: path.write_text("[" * 100_000, encoding="utf-8"), "not a valid notebook"),
        (lambda path: write(path, "x = 1\n" * 200_000), "1200000 characters of code, more than 1048576"),
        (
            lambda path: path.write_text('{"worksheets": []}', encoding="utf-8"),
            "a notebook in the format of before 2015",
        ),
    ],
    ids=["empty", "text", "binary", "cells-3", "cell-empty", "nested", "long", "old"],
)
def test_a_file_that_is_no_notebook_gets_a_reason(tmp_path, make, reason):
    path = tmp_path / "03_x.ipynb"
    make(path)
    graded = grade_file(path, ALL)
    assert reason in graded.unreadable
    assert (graded.points, graded.max_points) == (0, FULL)
    assert all(reason in one.message for result in graded.exercises for one in result.checks)
