"""Which statements of a notebook are executed: those that an answer needs, all of them, and no other."""

import asyncio
import contextlib
import inspect
import json
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcourse.grading.collect import CODE_CHARACTERS, Unreadable, collect, read
from pgcourse.grading.worker import Notebook


def cells(*sources):
    return [(f"cell {number}", textwrap.dedent(source).strip("\n")) for number, source in enumerate(sources, 1)]


def executed(*sources, entries=("answer",)):
    """The namespace after what is kept was executed, and the submission."""
    submission = collect(cells(*sources), entries)
    notebook = Notebook()
    for cell in submission.cells:
        for index, _ in cell.keep:
            with contextlib.suppress(Exception):  # a statement that fails costs the names that it would bind
                notebook.execute(cell.name, cell.source, index)
    return notebook.module, submission


# (what stands before the answer, the body of the answer, what it gives): as in a notebook run from top to bottom
NEEDED = {
    "augmented": ("S = 0.0\nS += 1.0", "S", 1.0),
    "chained": ("a = b = 2", "a * b", 4),
    "unpacked": ("a, (b, *c) = 1, (2, 3, 4)", "[a, b, c]", [1, 2, [3, 4]]),
    "annotated": ("a: int = 3", "a", 3),
    "computed": ("import math\nN = math.prod(range(1, 5))", "N", 24),
    "comprehension": ("T = {k: k * k for k in range(3)}", "T[2]", 4),
    "walrus": ("print(n := 5)", "n", 5),
    "walrus_in_comprehension": ("[last := k for k in range(4)]", "last", 3),
    "conditional": ("if 1 < 2:\n    def f(): return 1\nelse:\n    def f(): return 2", "f()", 1),
    "main": ("S = 0\nif __name__ == '__main__':\n    S = 1", "S", 1),
    "tried": ("try:\n    import no_such_module as m\nexcept ImportError:\n    m = None", "m", None),
    "tried_with_the_course": (  # which is not there while grading
        "try:\n    import pgcourse.nothing, math\n    import cmath\nexcept ImportError:\n    pass",
        "(math.pi, cmath.pi)[0] > 3",
        True,
    ),
    "with": ("import contextlib\nwith contextlib.nullcontext(7) as a:\n    b = a + 1", "b", 8),
    "loop": ("T = []\nfor k in range(3):\n    T.append(k)", "T", [0, 1, 2]),
    "while": ("n = 1\nwhile n < 100:\n    n *= 2", "n", 128),
    "match": ("match (1, 2):\n    case (a, b):\n        pass", "a + b", 3),
    "deleted": ("def f(): return 1\ng = f\ndel f", "g() + ('f' in globals())", 1),
    "star": ("from math import *", "cos(0)", 1.0),
    "partial": ("from functools import partial\nhalf = partial(pow, 2)", "half(3)", 8),
    "namedtuple": ("from collections import namedtuple\nP = namedtuple('P', 'x y')", "P(1, 2).y", 2),
    "dataclass": ("from dataclasses import dataclass\n@dataclass\nclass C:\n    s: float = 2.0\nc = C()", "c.s", 2.0),
    "decorated": ("def twice(f): return lambda: 2 * f()\n@twice\ndef g(): return 4", "g()", 8),
    "registered": ("R = {}\ndef reg(f):\n    R[f.__name__] = f\n    return f\n@reg\ndef g(): return 5", "R['g']()", 5),
    "dispatched": (
        "from functools import singledispatch\n@singledispatch\ndef f(x): return 'any'\n"
        "@f.register\ndef _(x: int): return 'int'",
        "f(3)",
        "int",
    ),
    "item": ("T = {}\nT['a'] = 1", "T", {"a": 1}),
    "item_deleted": ("T = [1, 2, 3]\ndel T[0]", "T", [2, 3]),
    "slice": ("T = [1, 2, 3]\nT[1:] = [9]", "T", [1, 9]),
    "attribute": ("class C: pass\nC.s = 3", "C.s", 3),
    "set_attribute": ("class C: pass\nsetattr(C, 's', 3)", "C.s", 3),
    "patched_method": ("class C:\n    def f(self): return 1\ndef g(self): return 2\nC.f = g", "C().f()", 2),
    "appended": ("T = []\nT.append(1)", "T", [1]),
    "popped": ("T = [1, 2]\nlast = T.pop()", "T", [1]),
    "shuffled": ("import random\nT = [1, 1]\nrandom.shuffle(T)\nT.insert(0, 0)", "T", [0, 1, 1]),
    "pushed": ("import heapq\nH = []\nheapq.heappush(H, 3)", "H", [3]),
    "filled_by_function": ("T = []\ndef fill(t):\n    t.append(1)\nfill(T)", "T", [1]),
    "filled_in_passing": ("T = []\ndef fill(t):\n    t.append(1)\n    return 0\n_ = fill(T)", "T", [1]),
    "set_by_function": ("S = 0\ndef setup():\n    global S\n    S = 1\nsetup()", "S", 1),
    "set_through_two": ("S = 0\ndef a():\n    global S\n    S = 1\ndef b(): a()\nb()", "S", 1),
    "changed_by_class": ("T = []\nclass C:\n    def __init__(self): T.append(1)\nc = C()", "T", [1]),
    "another_name": ("T = []\nsame = T\nsame.append(1)", "T", [1]),
    "each_item": ("T = [[], []]\nfor row in T:\n    row.append(1)", "T", [[1], [1]]),
    "optimiser": (
        "import torch\nw = torch.zeros(1, requires_grad=True)\nopt = torch.optim.SGD([w], lr=1.0)\n"
        "for _ in range(2):\n    (w * 3).sum().backward()\n    opt.step()\n    opt.zero_grad()",
        "w.item()",
        -6.0,
    ),
    "in_place": ("import torch\nw = torch.zeros(2)\nw.fill_(3)", "w.tolist()", [3, 3]),
    "initialised": ("import torch\nfrom torch import nn\nw = torch.zeros(1)\nnn.init.ones_(w)", "w.item()", 1.0),
    "mode": ("import torch\nm = torch.nn.Dropout(0.9)\nm.eval()", "m.training", False),
    "exec": ("exec('S = 4')", "S", 4),
    "globals": ("globals()['S'] = 4", "S", 4),
    "time": ("%time S = 4", "S", 4),
    "cell_time": ("%%time\nS = 4", "S", 4),
    "capture": ("%%capture out\nS = 4", "S", 4),
    "magics_around": ("%matplotlib inline\n!echo hello\nlen?\nS = 4", "S", 4),
    "shell": ("COLAB = 'google.colab' in str(get_ipython())\nif COLAB:\n    import google.colab", "COLAB", False),
    "await": ("import asyncio\nawait asyncio.sleep(0)\nS = 4", "S", 4),
    "awaited": ("import asyncio\nasync def f(): return 4\nS = await f()", "S", 4),
    "future": ("from __future__ import annotations\ndef f(x: Nowhere): return 4", "f(0)", 4),
    "annotation": ("from pgcourse.core import NotHere\ndef f(x: NotHere): return 4", "f(0)", 4),
    "recursion": ("def f(n): return n and g(n - 1)\ndef g(n): return f(n)", "f(4)", 0),
    "default": ("G = 0.5\ndef f(x, g=G): return g", "f(1)", 0.5),
    "class_body": ("N = 3\nclass C:\n    table = [0] * N", "C.table", [0, 0, 0]),
    "shown": ("display(3)\ndef f(): display(4); return 1", "f()", 1),
}


@pytest.mark.parametrize("name", NEEDED)
def test_what_an_answer_needs_is_executed(name):
    before, body, value = NEEDED[name]
    module, _ = executed(before, f"def answer():\n    return {body}")
    assert module.answer() == value


@pytest.mark.parametrize("name", ["await", "awaited"])
def test_what_awaits_is_executed_in_a_kernel_whose_loop_runs(name):
    async def kernel():
        test_what_an_answer_needs_is_executed(name)

    asyncio.run(kernel())


NOT_NEEDED = {
    "loop": "while True: pass",
    "training": "loss = 3\nfor step in range(10**9):\n    loss = loss * 2\n    opt.step()",
    "check": "from pgcourse.grading import check\ncheck('03.x', answer)",
    "print": "print(TABLE, answer(), sep='\\n')\ndisplay(TABLE)",
    "figure": "import matplotlib.pyplot as plt\nplt.plot(TABLE)\nplt.show()",
    "assertion": "assert answer() == 1",
    "sleep": "import time\ntime.sleep(99)",
    "exit": "raise SystemExit",
    "local_name": "out = expensive()",
    "help": "answer?",
    "bash": "%%bash\nrm -rf x",
    "run": "run = train(answer)\nrun.curves.plot()",
    "another_function": "def other():\n    TABLE.append(1)",
}


@pytest.mark.parametrize("name", NOT_NEEDED)
def test_what_no_answer_needs_is_not_executed_and_is_listed(name):
    answer = "TABLE = [1]\ndef answer():\n    out = TABLE[0]\n    return out"
    module, submission = executed(answer, NOT_NEEDED[name])
    assert module.answer() == 1
    assert module.TABLE == [1]
    assert all(line.startswith("cell 2") for line in submission.left_out)
    assert len(submission.left_out) >= 1
    assert [cell.name for cell in submission.cells] == ["cell 1"]


def test_settings_of_libraries_are_kept():
    _, submission = executed("import sys, warnings\nwarnings.simplefilter('ignore')\ndef answer(): return 1", "3 + 4")
    assert [index for cell in submission.cells for index, _ in cell.keep] == [1, 2, 3]  # `sys` is not used
    assert submission.left_out[1:] == ("cell 2, line 1: 3 + 4",)


def test_the_last_definition_counts_and_the_notes_say_so():
    module, submission = executed("def answer(): return 1", "text = 'x'", "def answer(): return 2")
    assert module.answer() == 2
    assert submission.notes == ("answer is defined in cell 1 and in cell 3: the last one counts",)


def test_a_cell_that_does_not_parse_costs_what_it_defines():
    module, submission = executed("def answer(): return 1", "def broken(:\n    pass\ndef lost(): pass")
    assert module.answer() == 1
    assert submission.missing.keys() == {"broken", "lost"}
    assert submission.notes == (submission.missing["lost"],)
    assert submission.missing["lost"].startswith("cell 2: SyntaxError in line 1: ")


def test_source_code_is_found_where_it_was_written():
    import torch

    module, _ = executed("import torch\n%time x = 1", "%%time\n\n@torch.jit.script\ndef answer(x):\n    return x + 1")
    assert module.answer(torch.ones(1)).item() == 2
    module, _ = executed("x = 1", "\ndef answer():\n    # why\n    return 1")
    assert "# why" in inspect.getsource(module.answer)


def test_the_time_of_many_magics_is_not_spent():
    _, submission = executed("%a\n" * 490, "def answer(): return 1")
    assert submission.notes == ("cell 1: ValueError: more than 100 magics and commands in a cell",)


def notebook(*sources, **others):
    return json.dumps(
        {"cells": [{"cell_type": "code", "source": source, "metadata": {}} for source in sources], **others}
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_notebook_is_read_in_any_encoding_of_json(encoding):
    submission = read(notebook(["def answer():\n", "    return 'ä'"]).encode(encoding), ["answer"])
    assert submission.cells[0].source == "def answer():\n    return 'ä'"


def test_an_answer_in_a_text_cell_is_told():
    cells = [{"cell_type": kind, "source": "# Mine\ndef answer(x):\n    return x"} for kind in ("markdown", "raw")]
    submission = read(json.dumps({"cells": cells}).encode(), ["answer"])
    assert submission.missing == {"answer": "cell 1 is a text cell, not a code cell"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n<!DOCTYPE html><title>Log in</title>", "a web page"),
        (b'{"cells": [\n<<<<<<< HEAD\n]}', "git's conflict marks"),
        ('{"cells": "\u00e9"}'.encode("latin-1"), "not in UTF-8"),
        (b"[" * 10**5, "not a valid notebook"),
        (b'{"cells": [3]}', "not a valid notebook"),
        (b'{"worksheets": []}', "before 2015"),
        (notebook("x" * (CODE_CHARACTERS + 1)).encode(), "characters of code, more than"),
    ],
)
def test_what_is_no_notebook_is_refused(content, reason):
    with pytest.raises(Unreadable, match=reason):
        read(content, ["answer"])


@given(st.text(max_size=200))
def test_any_text_is_read(text):
    """No cell, however odd, keeps another one from being read."""
    submission = collect([("cell 1", text), ("cell 2", "def answer(): return 1")], ["answer"])
    assert submission.cells[-1].name == "cell 2"
