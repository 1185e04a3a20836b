"""Correct answers in many styles, all with full points: the kind that was once marked wrong among them.

Ways to write the answer, and ways to put any answer into a notebook; each way with each exercise. They run in this
process, through the same collection, execution and checks as a grade; that a process of its own makes no difference is
tested with the submissions.
"""

import contextlib
import sys
import textwrap

import pytest
import torch

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.collect import collect
from pgcourse.grading.exercise import InProcess, judge
from pgcourse.grading.worker import Notebook

LIMIT = sys.getrecursionlimit()
FIRST = "import torch\n\nimport pgcourse as pg\nfrom pgcourse.grading import check, solved"

TO_GO = """
    def reward_to_go(reward, gamma):
        ret = torch.empty_like(reward)
        after = torch.zeros_like(reward[..., 0])
        for t in reversed(range(reward.shape[-1])):
            after = reward[..., t] + gamma * after
            ret[..., t] = after
        return ret
    """
LOSS = """
    def reinforce_loss(log_prob, ret, mask):
        log_prob, ret = log_prob.where(mask, 0.0), ret.detach().where(mask, 0.0)
        return -(ret * log_prob).sum(1).mean()
    """
BASELINE = """
    def leave_one_out_baseline(ret, mask):
        ret = ret.where(mask, 0.0)
        others = mask.sum(0) - mask.to(ret.dtype)
        return (ret.sum(0) - ret) / others.clamp_min(1)
    """
PLAIN = {"03.reward_to_go": TO_GO, "03.loss": LOSS, "03.baseline": BASELINE}

WAYS = {
    "03.reward_to_go": {
        "accumulate": """
            from itertools import accumulate
            def reward_to_go(reward, gamma):
                steps = reversed(reward.unbind(-1))
                return torch.stack(list(accumulate(steps, lambda g, x: x + gamma * g))[::-1], dim=-1)
            """,
        "annotated": """
            from torch import Tensor
            from no_such_module import Float
            def reward_to_go(reward: Float[Tensor, "... time"], gamma: float = 0.99, *, dim: int = -1):
                ret = reward.clone()
                for t in range(ret.shape[-1] - 2, -1, -1):
                    ret[..., t] += gamma * ret[..., t + 1]
                return ret
            """,
        "convolution": """
            import torch.nn.functional as F
            def reward_to_go(reward, gamma):
                T = reward.shape[-1]
                w = torch.tensor([gamma**k for k in range(T)], dtype=reward.dtype)
                x = F.pad(reward.reshape(-1, 1, T), (0, T - 1))
                return F.conv1d(x, w.view(1, 1, T)).reshape(reward.shape)
            """,
        "generator": """
            def backwards(reward, gamma):
                g = 0
                for x in reward.flip(-1).unbind(-1):
                    g = x + gamma * g
                    yield g
            def reward_to_go(reward, gamma):
                return torch.stack([*backwards(reward, gamma)], -1).flip(-1)
            """,
        "match": """
            def reward_to_go(reward, gamma):
                match reward.dim():
                    case 0: return reward
                    case _: pass
                ret = reward.clone()
                for t in range(ret.shape[-1] - 2, -1, -1): ret[..., t] += gamma * ret[..., t + 1]
                return ret
            """,
        "recursion": """
            def reward_to_go(reward, gamma):
                out = [None] * reward.shape[-1]
                def go(t, g):
                    nonlocal out
                    if t < 0: return
                    out[t] = g = reward[..., t] + gamma * g
                    go(t - 1, g)
                go(reward.shape[-1] - 1, 0.0)
                return torch.stack(out, -1)
            """,
        "quadratic": """
            def reward_to_go(reward, gamma):
                T = reward.shape[-1]
                ret = torch.zeros_like(reward)
                for t in range(T):
                    for k in range(t, T):
                        ret[..., t] += gamma ** (k - t) * reward[..., k]
                return ret
            """,
        "scipy": """
            import scipy.signal
            def reward_to_go(reward, gamma):
                x = reward.numpy()[..., ::-1]
                y = scipy.signal.lfilter([1], [1, -gamma], x, axis=-1)[..., ::-1]
                return torch.from_numpy(y.copy()).to(reward.dtype)
            """,
        "toeplitz": """
            def reward_to_go(reward, gamma):
                T = reward.shape[-1]
                k = torch.arange(T)[None, :] - torch.arange(T)[:, None]
                w = torch.where(k >= 0, torch.tensor(gamma, dtype=reward.dtype) ** k.clamp(min=0), 0)
                return torch.einsum("tk,...k->...t", w, reward)
            """,
        "vmap": """
            def _one(r, gamma):
                i = torch.arange(r.shape[-1])
                w = torch.as_tensor(gamma, dtype=r.dtype) ** (i[None, :] - i[:, None]).clamp(min=0)
                return torch.where(i[None, :] >= i[:, None], w, 0.0) @ r
            def reward_to_go(reward, gamma):
                f = lambda r: _one(r, gamma)
                for _ in range(reward.dim() - 1):
                    f = torch.vmap(f)
                return f(reward)
            """,
        "deque": """
            from collections import deque
            def reward_to_go(reward, gamma):
                out, g = deque(), 0.0
                for r in reward.unbind(-1)[::-1]:
                    g = r + gamma * g
                    out.appendleft(g)
                return torch.stack(tuple(out), -1)
            """,
        "tensor_from_outside": """
            ZERO = torch.tensor(0.0)
            def reward_to_go(reward, gamma):
                ret, after = torch.empty_like(reward), ZERO
                for t in reversed(range(reward.shape[-1])):
                    after = reward[..., t] + gamma * after
                    ret[..., t] = after
                return ret
            """,
        "no_grad": "@torch.no_grad()\n" + textwrap.dedent(TO_GO).strip(),
        "compiled_script": """
            @torch.jit.script
            def reward_to_go(reward: torch.Tensor, gamma: float) -> torch.Tensor:
                ret = torch.empty_like(reward)
                after = torch.zeros_like(reward[..., 0])
                for k in range(reward.shape[-1]):
                    t = reward.shape[-1] - 1 - k
                    after = reward[..., t] + gamma * after
                    ret[..., t] = after
                return ret
            """,
    },
    "03.loss": {
        "autograd_function": """
            class _Loss(torch.autograd.Function):
                @staticmethod
                def forward(ctx, lp, g, m):
                    w = torch.where(m, g, 0.0) / -len(m)
                    ctx.save_for_backward(w)
                    return (w * torch.where(m, lp, 0.0)).sum()
                @staticmethod
                def backward(ctx, up):
                    return up * ctx.saved_tensors[0], None, None
            def reinforce_loss(log_prob, ret, mask):
                return _Loss.apply(log_prob, ret, mask)
            """,
        "index": """
            def reinforce_loss(log_prob, ret, mask):
                return -(log_prob[mask] * ret.detach()[mask]).sum() / log_prob.shape[0]
            """,
        "in_place": """
            def reinforce_loss(log_prob, ret, mask):
                log_prob[~mask] = 0
                ret = ret.detach().clone()
                ret[~mask] = 0
                return -(log_prob * ret).sum(1).mean()
            """,
        "loops": """
            def reinforce_loss(log_prob, ret, mask):
                total = 0.0
                for lp, g, m in zip(log_prob, ret, mask):
                    for t in range(len(lp)):
                        if m[t]:
                            total = total - lp[t] * g[t].item()
                return total / len(log_prob)
            """,
        "einsum": """
            def reinforce_loss(log_prob, ret, mask):
                lp = torch.where(mask, log_prob, torch.zeros_like(log_prob))
                g = torch.where(mask, ret.detach(), torch.zeros_like(ret))
                return torch.einsum("nt,nt->n", lp, g).mean().neg()
            """,
        "data": """
            def reinforce_loss(log_prob, ret, mask):
                fill = lambda x: x.masked_fill(~mask, 0)
                return -(fill(log_prob) * fill(ret.data)).sum(dim=1).mean(dim=0)
            """,
        "module": """
            class Loss(torch.nn.Module):
                def __init__(self, sign):
                    super().__init__()
                    self.register_buffer("sign", torch.tensor(sign))
                def forward(self, log_prob, ret, mask):
                    lp, g = log_prob.masked_fill(~mask, 0), ret.detach().masked_fill(~mask, 0)
                    return self.sign * (lp * g).sum(1).mean()
            reinforce_loss = Loss(-1.0)
            reinforce_loss.eval()
            """,
        "cat_of_episodes": """
            def reinforce_loss(log_prob, ret, mask):
                each = [-(lp[m] @ g[m].detach()) for lp, g, m in zip(log_prob, ret, mask)]
                return torch.stack(each).mean()
            """,
    },
    "03.baseline": {
        "loops": """
            def leave_one_out_baseline(ret, mask):
                N, T = ret.shape
                out = torch.zeros(N, T)
                for i in range(N):
                    for t in range(T):
                        xs = [ret[j, t] for j in range(N) if j != i and mask[j, t]]
                        if xs: out[i, t] = sum(xs) / len(xs)
                return out
            """,
        "matrix": """
            def leave_one_out_baseline(ret, mask):
                W = 1 - torch.eye(len(ret))
                m, r = mask.float(), torch.where(mask, ret, 0)
                return torch.nan_to_num((W @ r) / (W @ m))
            """,
        "nan_on_padding": """
            def leave_one_out_baseline(ret, mask):
                r = ret.masked_fill(~mask, 0)
                n = mask.sum(0) - mask.long()
                out = (r.sum(0) - r) / n.clamp(min=1)
                return out.masked_fill(~mask, torch.nan)
            """,
        "one_left_out_at_a_time": """
            def leave_one_out_baseline(ret, mask):
                rows = []
                for i in range(len(ret)):
                    keep = torch.arange(len(ret)) != i
                    m = mask[keep]
                    rows.append(ret[keep].where(m, 0.0).sum(0) / m.sum(0).clamp(min=1))
                return torch.stack(rows)
            """,
        "float64": """
            def leave_one_out_baseline(ret, mask):
                ret = ret.double().where(mask, 0.0)
                others = mask.sum(0) - mask.double()
                return (ret.sum(0) - ret) / others.clamp_min(1)
            """,
        "numpy": """
            import numpy as np
            def leave_one_out_baseline(ret, mask):
                r, m = ret.numpy(), mask.numpy()
                out = np.zeros(r.shape, np.float32)
                for i in range(len(r)):
                    for t in range(r.shape[1]):
                        xs = np.delete(r[:, t], i)[np.delete(m[:, t], i)]
                        out[i, t] = xs.mean() if xs.size else 0
                return torch.tensor(out)
            """,
    },
}


def renamed(source, entry):
    return source.replace(f"def {entry}(", "def _inner(")


def around(before, value="_inner(*args)"):
    """Cells in which the answer depends on what stands before it."""
    return lambda entry, source: [renamed(source, entry), before, f"def {entry}(*args):\n    return {value}"]


def indented(head, tail=""):
    return lambda entry, source: [f"{head}\n{textwrap.indent(source, '    ')}\n{tail}"]


# How any answer may stand in a notebook: from its name and its source to cells.
STYLES = {
    "plain": lambda entry, source: [source],
    "time": lambda entry, source: [f"%%time\n{source}"],
    "capture": lambda entry, source: [f"%%capture\n{source}"],
    "help": lambda entry, source: [f"torch.cumsum?\n{source}"],
    "magics": lambda entry, source: [f"%matplotlib inline\n!echo hello\n%load_ext autoreload\n{source}"],
    "await": lambda entry, source: [f"import asyncio\nawait asyncio.sleep(0)\n{source}"],
    "if": indented("if True:"),
    "else": indented("if torch.cuda.device_count() > 99:\n    pass\nelse:"),
    "try": indented("try:", "except ImportError:\n    pass"),
    "with": indented("with torch.no_grad():"),
    "main": indented("if __name__ == '__main__':"),
    "future": lambda entry, source: [f"from __future__ import annotations\n{source}"],
    "documented": lambda entry, source: [source, f"{entry}.__doc__ = 'mine'\nassert callable({entry})"],
    "below_a_stub": lambda entry, source: [f"def {entry}(*args):\n    raise NotImplementedError()", source],
    "below_a_broken_cell": lambda entry, source: ["def unrelated(:\n    pass", source],
    "before_a_loop": lambda entry, source: [source, "while True:\n    pass"],
    "before_an_exit": lambda entry, source: [source, "raise SystemExit"],
    "checked": lambda entry, source: [source, f"check('x', {entry})\nif solved('x', {entry}):\n    run = pg.train()"],
    "plots_beside": lambda entry, source: [source, "def plot_it(x):\n    pg.plots.learning_curves(x)"],
    "lambda": lambda entry, source: [renamed(source, entry), f"{entry} = lambda *args: _inner(*args)"],
    "another_name": lambda entry, source: [renamed(source, entry), f"mine = _inner\n{entry} = mine"],
    "partial": lambda entry, source: [
        renamed(source, entry),
        f"from functools import partial\ndef call(f, *args): return f(*args)\n{entry} = partial(call, _inner)",
    ],
    "instance": lambda entry, source: [
        renamed(source, entry),
        "class Answer:\n    def __call__(self, *args): return _inner(*args)",
        f"{entry} = Answer()",
    ],
    "method": lambda entry, source: [
        f"class Answers:\n    @staticmethod\n{textwrap.indent(source, '    ')}",
        f"{entry} = Answers.{entry}",
    ],
    "decorated": lambda entry, source: [
        "import functools\ndef logged(f):\n    @functools.wraps(f)\n    def inner(*a, **k): return f(*a, **k)\n"
        "    return inner",
        renamed(source, entry),
        f"@logged\ndef {entry}(*args): return _inner(*args)",
    ],
    "augmented": around("SCALE = 0.0\nSCALE += 1.0", "_inner(*args) * SCALE"),
    "computed": around("N = 2 * 3", "_inner(*args) * (N / 6)"),
    "called": around("ONE = float('1.0')", "_inner(*args) * ONE"),
    "chained": around("a = b_ = 1.0", "_inner(*args) * a * b_"),
    "table": around("T = [0.0 for _ in range(3)]\nfor k in range(3):\n    T[k] = 1.0", "_inner(*args) * T[2]"),
    "appended": around("T = []\nT.append(1.0)", "_inner(*args) * T[0]"),
    "config": around(
        "from dataclasses import dataclass\n@dataclass\nclass Config:\n    scale: float = 2.0\n"
        "cfg = Config()\ncfg.scale = 1.0",
        "_inner(*args) * cfg.scale",
    ),
    "namedtuple": around(
        "from collections import namedtuple\nPair = namedtuple('Pair', 'ret after')", "Pair(_inner(*args), 0).ret"
    ),
    "global": around("def setup():\n    global SCALE\n    SCALE = 1.0\nsetup()", "_inner(*args) * SCALE"),
    "star": around("from math import *", "_inner(*args) * cos(0)"),
    "import_tried": around("try:\n    import no_such_module as m\nexcept ImportError:\n    m = None", "_inner(*args)"),
    "device": around(
        "device = 'cuda' if torch.cuda.is_available() else 'cpu'",
        "_inner(*(x.to(device) if hasattr(x, 'to') else x for x in args))",
    ),
    "shell": around(
        "COLAB = 'google.colab' in str(get_ipython())\nif COLAB:\n    import google.colab", "_inner(*args)"
    ),
    "shows": around("display(torch.ones(2))", "display(0) or _inner(*args)"),
}

# Ways in which something that an answer needs comes to be as it is: cells, and what the answer is with it.
STATES = {
    "metaclass": (
        "class M(type):\n    made = []\n    def __init__(c, *a): M.made.append(1.0)\nclass X(metaclass=M): pass",
        "M.made[0]",
    ),
    "subclass": (
        "class Base:\n    made = {}\n    def __init_subclass__(cls):\n        Base.made[cls.__name__] = 1.0\n"
        "class One(Base): pass",
        "Base.made['One']",
    ),
    "own_class": (
        "class C:\n    total = 0.0\n    def bump(self):\n        C.total += 1.0\nc = C()\nc.bump()",
        "C.total",
    ),
    "counter": (
        "def counter():\n    x = 0.0\n    def add():\n        nonlocal x\n        x += 1.0\n    return add, lambda: x\n"
        "add, get = counter()\nadd()",
        "get()",
    ),
    "entered": (
        "class W:\n    scale = 0.0\n    def __enter__(self): self.scale = 1.0\n    def __exit__(self, *a): pass\n"
        "w = W()\nwith w:\n    pass",
        "w.scale",
    ),
    "returned": ("T = []\ndef get(): return T\nget().append(1.0)", "T[0]"),
    "unbound": ("T = []\nlist.append(T, 1.0)", "T[0]"),
    "bound": ("T = []\nput = T.append\nput(1.0)", "T[0]"),
    "mapped": ("T = []\n_ = list(map(T.append, [1.0]))", "T[0]"),
    "by_getattr": ("T = []\ngetattr(T, 'append')(1.0)", "T[0]"),
    "by_lambda": ("T = []\n(lambda: T.append(1.0))()", "T[0]"),
    "by_callback": ("T = []\ndef fill(): T.append(1.0)\ndef call(f): f()\ncall(fill)", "T[0]"),
    "by_partial": (
        "from functools import partial\ndef setup(x):\n    global SCALE\n    SCALE = x\ngo = partial(setup, 1.0)\ngo()",
        "SCALE",
    ),
    "by_thread": (
        "import threading\nT = []\ndef fill(): T.append(1.0)\nt = threading.Thread(target=fill)\nt.start(); t.join()",
        "T[0]",
    ),
    "in_a_loop_of_functions": ("T = []\ndef fill(x): T.append(x)\nfor f in (fill,):\n    f(1.0)", "T[0]"),
    "two_names": ("T = U = []\nU.append(1.0)", "T[0]"),
    "walrus": ("T = []\n(U := T).append(1.0)", "T[0]"),
    "in_a_table": ("T = []\nd = {'t': T}\nd['t'].append(1.0)", "T[0]"),
    "unpacked": ("T = [torch.zeros(())]\nfirst, *rest = T\nfirst += 1", "T[0]"),
    "weak": ("import weakref\nclass C: pass\nc = C()\nr = weakref.ref(c)\nr().scale = 1.0", "c.scale"),
    "iterator": ("it = iter([0.0, 1.0])\nzero = next(it)\nONE = next(it)", "ONE"),
    "heap": ("import heapq\nh = [0.0, 1.0]\nzero = heapq.heappop(h)\nONE = heapq.heappop(h)", "ONE"),
    "out": ("T = torch.zeros(1)\n_ = torch.add(torch.zeros(1), 1.0, out=T)", "T[0]"),
    "filled": ("T = [torch.zeros(())]\n[p.fill_(1.0) for p in T]", "T[0]"),
    "initialised": (
        "lin = torch.nn.Linear(1, 1, bias=False)\n_ = [torch.nn.init.ones_(p) for p in lin.parameters()]",
        "lin.weight.detach()[0, 0]",
    ),
    "hooked": (
        "lin = torch.nn.Linear(1, 1)\nh = lin.register_forward_hook(lambda m, i, o: o * 0 + 1.0)",
        "lin(torch.ones(1)).detach()[0]",
    ),
    "trained": (
        "w = torch.zeros((), requires_grad=True)\nopt = torch.optim.SGD([w], lr=1.0)\nloss = -w.sum()\n"
        "loss.backward()\nopt.step()",
        "w.detach()",
    ),
    "differentiated": ("w = torch.ones((), requires_grad=True)\n(2 * w - w).sum().backward()", "w.grad"),
    "of_a_function": ("def configure(f): f.scale = 1.0\nconfigure(_inner)", "_inner.scale"),
    "built_in": ("import builtins\nbuiltins.SCALE = 1.0", "SCALE"),
    "of_the_module": ("import sys\nsetattr(sys.modules[__name__], 'SCALE', 1.0)", "SCALE"),
    "defined_by_name": ("def define(name, x): globals()[name] = x\ndefine('SCALE', 1.0)", "SCALE"),
    "own_module": (
        "import sys, types\nm = types.ModuleType('mod')\nm.one = 1.0\nsys.modules['mod'] = m\nfrom mod import one",
        "one",
    ),
    "read_by_name": ("ONE = 1.0", "globals()['ONE']"),
    "evaluated": ("ONE = 1.0\nf = eval('lambda: ONE')", "f()"),
    "recursion_in_a_function": (
        "def setup():\n    import sys\n    sys.setrecursionlimit(5000)\nimport sys\nsetup()\n"
        "def deep(n): return 1.0 if n == 0 else deep(n - 1)",
        "deep(2500)",
    ),
    "recursion_imported": (
        "from sys import setrecursionlimit\nif True:\n    setrecursionlimit(5000)\n"
        "def deep(n): return 1.0 if n == 0 else deep(n - 1)",
        "deep(2500)",
    ),
    "no_gradients": ("torch.set_grad_enabled(False)", "1.0"),
}
STYLES |= {name: around(before, f"_inner(*args) * {value}") for name, (before, value) in STATES.items()}

RIGHT = {
    **{
        f"{name}, {style}": (
            name,
            lambda source, cells=cells, entry=EXERCISES[name].entry: cells(entry, source),
            PLAIN[name],
        )
        for name in PLAIN
        for style, cells in STYLES.items()
    },
    **{
        f"{name}, by {way}": (name, lambda source: [source], source)
        for name in WAYS
        for way, source in WAYS[name].items()
    },
}


def result(cells, exercise):
    """The result of a notebook with these cells."""
    submission = collect([(f"cell {number}", cell) for number, cell in enumerate(cells, 1)], [exercise.entry])
    notebook = Notebook()
    for cell in submission.cells:
        for index, _ in cell.keep:
            with contextlib.suppress(Exception):  # such as the course's own imports, which are not there for a grade
                notebook.execute(cell.name, cell.source, index)
    try:
        return judge(exercise, InProcess(getattr(notebook.module, exercise.entry)), seed=7)
    finally:
        torch.set_grad_enabled(True)
        sys.setrecursionlimit(LIMIT)


def test_there_are_many():
    assert len(RIGHT) >= 100


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_a_right_answer_gets_all_points(name):
    exercise, cells, source = RIGHT[name]
    found = result([FIRST, *cells(textwrap.dedent(source).strip())], EXERCISES[exercise])
    assert [one.message for one in found.checks if one.message] == []
