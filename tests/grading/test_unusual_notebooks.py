"""Right answers in notebooks that are written in unusual ways: none of these ways costs a point.

Each is an exercise, what is unusual, and the cells. Where it says so, what an answer returns is a list, a number or a
dictionary of another kind than the course's own answer.
"""

import pytest
from submissions import lost

LOOP = """
    ret, after = torch.empty_like(reward), torch.zeros_like(reward[..., 0])
    for t in reversed(range(reward.shape[-1])):
        after = reward[..., t] + gamma * after
        ret[..., t] = after
    return ret
"""
TO_GO = f"def reward_to_go(reward, gamma):{LOOP}"

NOTEBOOKS = {
    "trains with the answer for ever": (
        "03.reward_to_go",
        TO_GO,
        "def experiment(f, policy, gamma, steps):\n    history = []\n    for step in range(steps):\n"
        "        ret = f(torch.ones(3), gamma)\n        ret -= ret.mean()\n        policy.zero_grad()\n"
        "        history.append(ret)\n    return history",
        "policy = torch.nn.Linear(2, 2)\nhistory = experiment(reward_to_go, policy, 0.9, 10**12)",
        "for seed in range(10**9):\n    torch.manual_seed(seed)\n    experiment(reward_to_go, policy, 0.9, 10**12)",
    ),
    "trains through two functions for ever": (
        "03.reward_to_go",
        TO_GO,
        "log = []\ndef episode(f, agent):\n    agent.append(f(torch.ones(3), 0.5))\n    log.append(1)\n"
        "def train(f):\n    agent = []\n    while True:\n        episode(f, agent)",
        "train(reward_to_go)",
        "class Trainer:\n    def __init__(self, f):\n        self.f, self.log = f, []\n    def run(self):\n"
        "        while True:\n            self.log.append(self.f(torch.ones(2), 0.9))",
        "Trainer(reward_to_go).run()",
        "trainer = Trainer(f=reward_to_go)\ntrainer.run()",
    ),
    "names of methods are names of a training": (
        "03.reward_to_go",
        "class Answer:\n    def __call__(self, reward, gamma):\n        obs = loss = total = 0\n"
        f"{LOOP.replace(chr(10), chr(10) + '    ')}\nreward_to_go = Answer()",
        "obs = torch.zeros(3)\nwhile True:\n    loss = obs.sum()\n    total = loss\n    t = after = ret = total",
    ),
    "a method reads what its class binds, too": (
        "03.reward_to_go",
        "SCALE = 1.0\nclass Answer:\n    SCALE = SCALE * 7\n    zero = [SCALE for _ in range(2)]\n"
        "    def __call__(self, reward, gamma):\n        reward = reward * SCALE"
        f"{LOOP.replace(chr(10), chr(10) + '    ')}\nreward_to_go = Answer()",
        "SCALE *= 1.0",
    ),
    "a function is given attributes by another one": (
        "03.reward_to_go",
        "def give(f):\n    f.one = 1.0\ndef outer(g):\n    give(g)\n",
        "def reward_to_go(reward, gamma):\n    reward = reward * reward_to_go.one" + LOOP,
        "outer(reward_to_go)",
    ),
    "a class is completed by another function": (
        "03.reward_to_go",
        f"class Answer:\n    pass\n{TO_GO}to_go = reward_to_go",
        "def complete(cls, /, *, how):\n    setattr(cls, '__call__', lambda self, *a: how(*a))\n",
        "complete(Answer, how=to_go)\nreward_to_go = Answer()",
    ),
    "global counters": (
        "03.reward_to_go",
        "calls = 0\ndef count():\n    global calls\n    calls += 1\n    return calls",
        f"def reward_to_go(reward, gamma):\n    assert count() == calls{LOOP}",
        "print('called', calls)",
    ),
    "nonlocal": (
        "03.reward_to_go",
        """
def reward_to_go(reward, gamma):
    g = torch.zeros_like(reward[..., 0])
    def step(r):
        nonlocal g
        g = r + gamma * g
        return g
    return torch.stack([step(r) for r in reward.unbind(-1)[::-1]][::-1], -1)
""",
    ),
    "walrus": (
        "03.reward_to_go",
        """
def reward_to_go(reward, gamma):
    g = 0
    return torch.stack([(g := r + gamma * g) for r in reward.flip(-1).unbind(-1)], -1).flip(-1)
""",
    ),
    "own decorators with arguments, wraps": (
        "03.reward_to_go",
        """
import functools, time
def timed(unit="s"):
    def decorate(f):
        @functools.wraps(f)
        def wrapper(*args, **kwargs):
            start = time.perf_counter()
            try:
                return f(*args, **kwargs)
            finally:
                wrapper.seconds += time.perf_counter() - start
        wrapper.seconds = 0.0
        return wrapper
    return decorate
""",
        f"@timed(unit='ms')\n@torch.no_grad()\n{TO_GO}",
    ),
    "functools.cache": (
        "03.reward_to_go",
        """
from functools import cache
@cache
def power(gamma, k):
    return 1.0 if k == 0 else gamma * power(gamma, k - 1)
def reward_to_go(reward, gamma):
    T = reward.shape[-1]
    w = torch.tensor([[power(gamma, k - t) if k >= t else 0.0 for k in range(T)] for t in range(T)], dtype=reward.dtype)
    return torch.einsum("...k,tk->...t", reward, w)
""",
    ),
    "memoisation across calls, by content": (
        "03.reward_to_go",
        f"memory = {{}}\n{TO_GO}plain = reward_to_go",
        """
def reward_to_go(reward, gamma):
    key = (reward.numpy().tobytes(), tuple(reward.shape), str(reward.dtype), gamma)
    if key not in memory:
        memory[key] = plain(reward, gamma)
    return memory[key].clone()
""",
    ),
    "singledispatch": (
        "03.reward_to_go",
        f"""
from functools import singledispatch
@singledispatch
def reward_to_go(reward, gamma):
    raise TypeError(type(reward))
@reward_to_go.register(torch.Tensor)
def _(reward, gamma):{LOOP}
@reward_to_go.register
def _(reward: list, gamma):
    return reward_to_go(torch.tensor(reward), gamma).tolist()
""",
    ),
    "overload and generics": (
        "03.reward_to_go",
        f"""
from __future__ import annotations
from typing import overload, Generic, TypeVar, Callable, Protocol, Annotated, Final
T = TypeVar("T", bound="torch.Tensor | float")
class Box(Generic[T]):
    def __init__(self, value: T) -> None:
        self.value: Final = value
class Discounts(Protocol):
    def __call__(self, reward: torch.Tensor, gamma: float) -> torch.Tensor: ...
@overload
def reward_to_go(reward: list[float], gamma: float) -> list[float]: ...
@overload
def reward_to_go(reward: torch.Tensor, gamma: float) -> torch.Tensor: ...
def reward_to_go(reward, gamma: Annotated[float, "in [0, 1]"]):
    gamma = Box[float](gamma).value{LOOP}
chosen: Discounts = reward_to_go
""",
    ),
    "a generator function": (
        "03.reward_to_go",
        """
def suffixes(reward):
    for t in range(reward.shape[-1]):
        yield reward[..., t:]
def reward_to_go(reward, gamma):
    w = gamma ** torch.arange(reward.shape[-1], dtype=reward.dtype)
    return torch.stack(tuple((part * w[: part.shape[-1]]).sum(-1) for part in suffixes(reward)), dim=-1)
""",
    ),
    "a coroutine generator with send": (
        "03.reward_to_go",
        """
def running(gamma):
    g, r = 0.0, (yield)
    while True:
        g = r + gamma * g
        r = yield g
def reward_to_go(reward, gamma):
    back = running(gamma)
    next(back)
    return torch.stack([back.send(r) for r in reward.unbind(-1)[::-1]][::-1], -1)
""",
    ),
    "a dataclass that is called": (
        "03.reward_to_go",
        f"""
from dataclasses import dataclass, field
@dataclass(frozen=True, slots=True)
class ToGo:
    history: list = field(default_factory=list)
    def __call__(self, reward, gamma):
        self.history.append(gamma){LOOP.replace(chr(10), chr(10) + "    ")}
reward_to_go = ToGo()
""",
    ),
    "nn.Module": (
        "03.reward_to_go",
        f"""
class ToGo(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("one", torch.ones(()))
    def forward(self, reward, gamma):
        gamma = gamma * self.one.item(){LOOP.replace(chr(10), chr(10) + "    ")}
reward_to_go = ToGo().eval().requires_grad_(False)
reward_to_go.register_forward_hook(lambda module, args, out: out + 0)
""",
    ),
    "__getattr__": (
        "03.reward_to_go",
        """
class Lazy:
    def __getattr__(self, name):
        if name == "backwards":
            self.backwards = lambda n: range(n - 1, -1, -1)
            return self.backwards
        raise AttributeError(name)
lazy = Lazy()
""",
        TO_GO.replace("reversed(range(reward.shape[-1]))", "lazy.backwards(reward.shape[-1])"),
    ),
    "match, try, finally": (
        "03.reward_to_go",
        """
def reward_to_go(reward, gamma):
    try:
        match (tuple(reward.shape), gamma):
            case ((), _) | ((0,), _):
                return reward.clone()
            case (_, float() | int() as g) if g == 0:
                return reward.clone()
            case _:
                ret = reward.clone()
        for t in range(reward.shape[-1] - 1)[::-1]:
            ret[..., t].add_(ret[..., t + 1], alpha=gamma)
    except IndexError as error:
        raise RuntimeError from error
    else:
        return ret
    finally:
        del reward
""",
    ),
    "defined inside no_grad": ("03.reward_to_go", "with torch.no_grad():\n    " + TO_GO.replace("\n", "\n    ")),
    "gradients are off in the whole notebook": (
        "03.loss",
        "torch.set_grad_enabled(False)\ntorch.autograd.set_grad_enabled(False)\ntorch.no_grad().__enter__()",
        "def reinforce_loss(log_prob, ret, mask):\n    return -(ret.detach()[mask] * log_prob[mask]).sum() / len(mask)",
    ),
    "own context managers": (
        "03.reward_to_go",
        """
from contextlib import contextmanager, ExitStack, suppress
@contextmanager
def float64(x):
    yield x.double()
class Quiet:
    def __enter__(self): return self
    def __exit__(self, *error): return False
""",
        """
with Quiet() as quiet, suppress(ZeroDivisionError):
    def reward_to_go(reward, gamma):
        with ExitStack() as stack:
            stack.enter_context(quiet)
            x = stack.enter_context(float64(reward))
            T = x.shape[-1]
            w = torch.tensor(float(gamma), dtype=x.dtype) ** torch.arange(T)
            y = torch.stack([(x[..., t:] * w[: T - t]).sum(-1) for t in range(T)], -1)
        return y.to(reward.dtype)
    1 / 0
""",
    ),
    "torch.func.vmap": (
        "03.loss",
        """
from torch.func import vmap
one = vmap(lambda lp, g, m: (torch.where(m, lp, 0.0) * torch.where(m, g, 0.0)).sum())
def reinforce_loss(log_prob, ret, mask):
    return one(log_prob, ret.detach(), mask).mean().neg()
""",
    ),
    "traced": (
        "01.entropy",
        """
def plain(z):
    lp = z.log_softmax(-1)
    return -(lp.exp() * lp).sum(-1)
entropy = torch.jit.trace(plain, torch.zeros(2, 3))
""",
    ),
    "other names for libraries": (
        "03.baseline",
        "import numpy\nimport numpy as xp, torch as T\nfrom numpy import asarray as A, errstate\nnumpy.random.seed(3)",
        """
def leave_one_out_baseline(ret, mask):
    x, m = A(ret), A(mask)
    x = xp.where(m, x, 0)
    with errstate(all="ignore"):
        out = (x.sum(0) - x) / (m.sum(0) - m)
    return T.as_tensor(xp.nan_to_num(out, posinf=0, neginf=0), dtype=ret.dtype)
""",
    ),
    "star imports": (
        "03.reward_to_go",
        "from numpy import *\nfrom torch import *\nfrom math import *\nfrom functools import *",
        """
def reward_to_go(reward, gamma):
    return stack(list(__import__("itertools").accumulate(unbind(flip(reward, [-1]), -1), lambda g, r: r + gamma * g)), -1).flip(-1)
""",  # noqa: E501
    ),
    "magics of every kind": (
        "03.reward_to_go",
        "%matplotlib inline\n%config InlineBackend.figure_format = 'retina'\n!pip install -q numpy\n"
        "%pip install torch\n%load_ext autoreload\n%autoreload 2\n"
        "%env SCALE=1\n%cd .\nfiles = !ls\nhere = %pwd\n!nvidia-smi || true",
        f"%%time\n\nSTART = 1\n{TO_GO}",
        "%timeit -n 1 reward_to_go(torch.ones(3), 0.9)\n%time x = reward_to_go(torch.ones(3), 0.9)",
        "%%timeit\nreward_to_go(torch.ones(3), 0.9)",
        "%%bash\nexit 1",
        "%%javascript\nalert(1)",
        "reward_to_go??",
        "%debug",
        "%%html\n<b>def reward_to_go</b>",
    ),
    "a cell that is indented, and one with prompts": (
        "03.reward_to_go",
        "    ONE = 1.0\n    TWO = 2.0\n",
        ">>> def half(x):\n...     return x / TWO\n>>> HALF = half(ONE)",
        f"def reward_to_go(reward, gamma):\n    reward = reward * HALF * TWO{LOOP}",
    ),
    "input in a cell": (
        "03.reward_to_go",
        "name = input('your name? ')\nprint('hello', name)",
        TO_GO,
        "if input('run? ') == 'y':\n    run = 1",
    ),
    "a million lines": (
        "03.reward_to_go",
        TO_GO,
        "for i in range(10**6):\n    print(i)\nprint(*range(10**7), sep='\\n')\n[print(i) for i in range(10**9)]",
    ),
    "tqdm": (
        "03.reward_to_go",
        "from tqdm.auto import tqdm, trange",
        TO_GO.replace("reversed(range(reward.shape[-1]))", "tqdm([*range(reward.shape[-1])][::-1], disable=None)"),
        "for epoch in (bar := trange(10**9)):\n    bar.set_postfix(loss=1)",
    ),
    "awaits": (
        "03.reward_to_go",
        "import asyncio\nasync def fetch():\n    await asyncio.sleep(0)\n    return 1.0\nONE = await fetch()",
        "async with asyncio.Lock() as lock:\n    TWO = await fetch() + ONE",
        f"def reward_to_go(reward, gamma):\n    reward = reward * TWO / 2{LOOP}",
        "async def forever():\n    while True:\n        await asyncio.sleep(1)\nawait forever()",
    ),
    "redefined in several cells, the last one right": (
        "03.reward_to_go",
        "def reward_to_go(reward, gamma):\n    raise NotImplementedError",
        "def reward_to_go(reward, gamma):\n    return reward.cumsum(-1)",
        f"helper = 0\n{TO_GO}",
        "old = reward_to_go\ndef reward_to_go(reward, gamma):\n    return old(reward, gamma) + helper",
    ),
    "later cells that break": (
        "03.reward_to_go",
        TO_GO,
        "assert reward_to_go(torch.ones(2), 1.0).tolist() == [3.0, 1.0], 'hm'",
        "raise RuntimeError('stop here')",
        "1 / 0\nundefined\nimport no_such_module",
        "def unclosed(:",
        "import sys\nsys.exit(0)",
        "del undefined\ndel x, reward",
        "exit()\nquit()",
        "import os\nos._exit(1)",
        "%reset -f\n!kill -9 $PPID",
    ),
    "a helper is below": (
        "03.reward_to_go",
        "def reward_to_go(reward, gamma):\n    return _to_go(reward, gamma) * K",
        f"K = 2.0\nK **= 0\n{TO_GO.replace('reward_to_go', '_to_go')}",
    ),
    "deep recursion": (
        "03.reward_to_go",
        "import sys\nsys.setrecursionlimit(5000)",
        """
def reward_to_go(reward, gamma):
    def go(t):
        if t == reward.shape[-1] - 1:
            return (reward[..., t],)
        rest = go(t + 1)
        return (reward[..., t] + gamma * rest[0], *rest)
    return torch.stack(go(0), -1)
""",
    ),
    "settings in the environment": (
        "03.reward_to_go",
        "import os\nos.environ['SCALE'] = '2'\nos.environ.setdefault('HALF', '0.5')\nos.putenv('X', '1')",
        "SCALE = float(os.environ['SCALE']) * float(os.getenv('HALF'))",
        f"def reward_to_go(reward, gamma):\n    reward = reward * SCALE{LOOP}",
    ),
    "float64 by default": (
        "03.loss",
        "torch.set_default_dtype(torch.float64)\ntorch.set_default_tensor_type(torch.DoubleTensor)\n"
        "torch.set_printoptions(precision=3)",
        "def reinforce_loss(log_prob, ret, mask):\n    w = torch.zeros(log_prob.shape)\n    w[mask] = 1 / len(mask)\n"
        "    plain = lambda x: torch.nan_to_num(x, 0.0, 0.0, 0.0)\n"
        "    return -(plain(log_prob) * w * plain(ret).detach()).sum()",
    ),
    "seeds and warnings": (
        "01.entropy",
        "import random, warnings\nrandom.seed(0); torch.manual_seed(0)\nwarnings.filterwarnings('ignore')\n"
        "generator = torch.Generator().manual_seed(3)\nrng = random.Random(3)",
        "def entropy(z):\n    warnings.warn('slow')\n    rng.random(), torch.rand(2, generator=generator)\n"
        "    p = torch.softmax(z, -1)\n    return torch.special.entr(p).sum(-1) if z.abs().max() < 30 else "
        "-(p * z.log_softmax(-1)).sum(-1)",
    ),
    "names in other alphabets": (
        "03.reward_to_go",
        "γ_default = 0.9\nпауза = [γ_default]\nclass 報酬: 零 = 0.0",
        """
def reward_to_go(награда, γ=γ_default, *, été=None):
    возврат, ﬁn = [], 報酬.零
    for r in reversed(награда.unbind(-1)):
        ﬁn = r + γ * fin
        возврат.insert(0, ﬁn)
    return torch.stack(возврат, dim=-1)
""",
    ),
    "tabs, semicolons, two spaces, Windows lines": (
        "03.reward_to_go",
        "ONE = 1.0; TWO = 2.0; print(ONE);\r\nif ONE:\r\n\tHALF = ONE / TWO;\r\n\tassert HALF\r\n",
        "%%time\r\ndef reward_to_go(reward, gamma):\r\n  ret = reward.clone(); T = ret.shape[-1]\r\n"
        "  for t in range(T - 2, -1, -1): ret[..., t] += gamma * ret[..., t + 1] * HALF * TWO\r\n  return ret;\r\n",
    ),
    "a copy is changed in place": (
        "03.baseline",
        """
def leave_one_out_baseline(ret, mask):
    ret = ret.clone(); ret[~mask] = 0
    n = mask.sum(0, keepdim=True).sub(mask.int()).clamp_(min=1)
    total = ret.sum(0, keepdim=True)
    total = total.sub(ret)
    total /= n
    return total
""",
    ),
    "the argument is changed and put back": (
        "03.reward_to_go",
        """
def reward_to_go(reward, gamma):
    kept = reward.clone()
    try:
        for t in range(reward.shape[-1] - 2, -1, -1):
            reward[..., t] += gamma * reward[..., t + 1]
        return reward.clone()
    finally:
        reward.copy_(kept)
""",
    ),
    "a list of lists": (
        "01.sample",
        """
def sample(z, u):
    def one(z, u):
        if z.dim() > 1:
            return [one(*pair) for pair in zip(z, u)]
        total = 0.0
        p = z.double().softmax(-1).tolist()
        last = max(k for k, q in enumerate(p) if q > 0)
        for k, q in enumerate(p):
            total += q
            if q > 0 and float(u) < total:
                return k
        return last
    return one(z, u)
""",
    ),
    "a number of Python": (
        "03.mask",
        "def mean_over_real_steps(x, over):\n    alive = (over.int().cumsum(-1) - over.int()) == 0\n"
        "    return x[alive].mean()",
    ),
    "a deque of numbers of NumPy, with an interval": (
        "00.mean_interval",
        "from collections import deque\nimport numpy as np, scipy.stats",
        """
def mean_interval(returns):
    x = returns.numpy().mean(1)
    if x.size < 2:
        return deque([-np.inf, np.inf])
    half = scipy.stats.t.ppf(0.975, x.size - 1) * x.std(ddof=1) / np.sqrt(x.size)
    return deque([x.mean() - half, x.mean() + half])
""",
    ),
    "fractions": (
        "05.gae_by_hand",
        "from fractions import Fraction as F\nfrom collections import OrderedDict",
        """
def by_hand():
    delta = [F(1), F(-5, 2), F(2)]
    advantage, last = {}, F(0)
    for t in (2, 1, 0):
        last = delta[t] + F(2, 5) * last
        advantage[f"advantage_{t}"] = last
    out = OrderedDict((f"delta_{t}", d) for t, d in enumerate(delta))
    out.update(advantage, two_step_0=F(-1, 4), target_0=advantage["advantage_0"] + 2)
    return out
""",
    ),
    "decimals in a defaultdict": (
        "05.gae_by_hand",
        "from decimal import Decimal as D\nfrom collections import defaultdict",
        """
def by_hand():
    out = defaultdict(D)
    for t, d in enumerate((D("1"), D("-2.5"), D("2"))):
        out[f"delta_{t}"] = d
    for t in (2, 1, 0):
        out[f"advantage_{t}"] = out[f"delta_{t}"] + D("0.4") * out.get(f"advantage_{t + 1}", 0)
    out["two_step_0"] = D("-0.25")
    out["target_0"] = out["advantage_0"] + 2
    return out
""",
    ),
    "what torch returns": (
        "04.paired_difference",
        "import torch",
        "def paired_difference(first, second):\n    d = first - second\n"
        "    return torch.std_mean(d)[1], torch.var(d).div(len(d)).sqrt().item()",
    ),
    "operators and einsum": (
        "02.discount_factor",
        "import operator as op\nfrom itertools import accumulate, repeat\nfrom functools import partial, reduce",
        """
scaled = partial(op.mul)
def weights(reward, gamma, keep):
    steps = reward.unbind(-1)[::-1]
    ret = torch.stack(list(accumulate(steps, lambda g, r: op.add(r, scaled(gamma, g))))[::-1], -1)
    powers = list(accumulate(repeat(gamma, len(steps) - 1), op.mul, initial=1.0))
    return torch.einsum("...t,t->...t", ret, torch.tensor(powers, dtype=ret.dtype)) if keep else ret
""",
    ),
    "a metaclass and a registry": (
        "03.reward_to_go",
        """
REGISTRY = {}
class Meta(type):
    def __init__(cls, name, bases, body):
        super().__init__(name, bases, body)
        REGISTRY[name.lower()] = cls
    def __call__(cls, *args):
        return cls.compute(*args)
""",
        f"class ToGo(metaclass=Meta):\n    @staticmethod\n    def compute(reward, gamma):"
        f"{LOOP.replace(chr(10), chr(10) + '    ')}",
        "reward_to_go = REGISTRY['togo']",
    ),
    "an enum and flags": (
        "03.reward_to_go",
        """
from enum import Enum, auto, IntEnum
class Way(Enum):
    BACK = auto()
    FORTH = auto()
    def steps(self, n):
        return range(n - 1, -1, -1) if self is Way.BACK else range(n)
""",
        TO_GO.replace("reversed(range(reward.shape[-1]))", "Way['BACK'].steps(reward.shape[-1])"),
    ),
    "bound in a loop over functions": (
        "03.reward_to_go",
        TO_GO.replace("reward_to_go", "mine"),
        "for name, function in {'reward_to_go': mine}.items():\n    globals()[name] = function",
    ),
    "bound by setattr on the module": (
        "03.reward_to_go",
        TO_GO.replace("reward_to_go", "mine"),
        "import sys\nsetattr(sys.modules[__name__], 'reward_to_go', mine)",
    ),
    "chosen by a conditional expression": (
        "03.reward_to_go",
        "device = 'cuda' if torch.cuda.is_available() else 'mps' if torch.backends.mps.is_available() else 'cpu'",
        TO_GO.replace("reward_to_go", "fast"),
        "reward_to_go = fast if device else None\nreward_to_go: object = reward_to_go",
    ),
    "written with exec and a template": (
        "03.reward_to_go",
        f"source = '''def NAME(reward, gamma):{LOOP}'''",
        "exec(compile(source.replace('NAME', 'reward_to_go'), '<template>', 'exec'))",
    ),
    "a partial of a method of an instance": (
        "03.reward_to_go",
        "import functools\nclass Tools:\n    def go(self, way, reward, gamma):\n        assert way == 'back'"
        f"{LOOP.replace(chr(10), chr(10) + '    ')}\ntools = Tools()",
        "reward_to_go = functools.partial(tools.go, 'back')",
    ),
    "composed with operators of its own": (
        "01.entropy",
        """
class Pipe:
    def __init__(self, f): self.f = f
    def __or__(self, other): return Pipe(lambda x: other.f(self.f(x)))
    def __call__(self, x): return self.f(x)
log_softmax = Pipe(lambda z: z - z.logsumexp(-1, keepdim=True))
minus_mean = Pipe(lambda lp: -(lp.exp() * lp).sum(-1))
""",
        "entropy = log_softmax | minus_mean",
    ),
    "a distribution of its own": (
        "06.entropy",
        """
from torch.distributions import Normal, Independent
class Policy(Normal):
    def joint_entropy(self):
        return Independent(self, 1).entropy()
def gaussian_entropy(log_std):
    return Policy(torch.zeros_like(log_std), torch.exp(log_std), validate_args=False).joint_entropy()
""",
    ),
    "a gradient by hand": (
        "08.value_loss",
        """
class Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v, o, y, eps):
        c = o + (v - o).clamp(-eps, eps)
        a, b = (v - y) ** 2, (c - y) ** 2
        inside = ((v - o).abs() <= eps).to(v.dtype)
        ctx.save_for_backward(torch.where(a >= b, v - y, (c - y) * inside) / v.numel())
        return torch.maximum(a, b).mean() / 2
    @staticmethod
    def backward(ctx, up):
        return up * ctx.saved_tensors[0], None, None, None
def value_loss(value, old_value, target, clip):
    return Loss.apply(value.flatten(), old_value, target, clip)
""",
    ),
    "logits through a network's functions": (
        "08.masked_policy",
        """
from torch import nn
from torch.nn import functional as F
softmax = nn.LogSoftmax(dim=-1)
def masked_policy(logits, valid):
    lp = softmax(logits + torch.log(valid.to(logits.dtype)).clamp(min=-1e9))
    return lp, -(F.softmax(lp, -1) * lp).sum(dim=-1)
""",
    ),
    "a table filled at the top": (
        "01.softmax_score",
        "EYE = {}\nfor n in range(2, 40):\n    EYE[n] = torch.eye(n)\nEYE.setdefault(1, torch.eye(1))",
        "def softmax_score(z, a):\n    return EYE[z.shape[-1]][a] - z.softmax(dim=-1)",
    ),
    "an optimiser at the top": (
        "04.normalised_advantage",
        "one = torch.nn.Parameter(torch.tensor(0.0))\noptimiser = torch.optim.Adam([one], lr=0.5)\n"
        "scheduler = torch.optim.lr_scheduler.StepLR(optimiser, 10)\n"
        "for _ in range(3):\n    loss = (one - 1) ** 2\n    optimiser.zero_grad(); loss.backward(); optimiser.step()",
        """
ONE = float(one) / one.item()
def normalised_advantage(advantage, mask):
    x = advantage.double().masked_fill(~mask, 0)
    n = int(mask.sum())
    if n == 0: return torch.zeros_like(advantage)
    m = x.sum() / n
    s = (((x - m) ** 2 * mask).sum() / max(n - 1, 1)).sqrt()
    if s < 1e-7: return torch.zeros_like(advantage)
    return (torch.where(mask, (x - m) / s, 0.0) * ONE).to(advantage.dtype)
""",
    ),
    "named differently by an import hook of its own": (
        "03.reward_to_go",
        "import importlib, types\nt = importlib.import_module('torch')\nmath2 = types.ModuleType('math2')\n"
        "math2.ONE = t.ones(()).item()\nimport sys\nsys.modules['math2'] = math2",
        "from math2 import ONE",
        f"def reward_to_go(reward, gamma):\n    reward = reward * ONE{LOOP}",
    ),
    "weak references, slots, properties": (
        "03.reward_to_go",
        """
import weakref
class Steps:
    __slots__ = ("n", "__weakref__")
    def __init__(self, n): self.n = n
    @property
    def back(self): return range(self.n - 1, -1, -1)
    def __len__(self): return self.n
    def __iter__(self): return iter(self.back)
    def __class_getitem__(cls, n): return cls(n)
alive = weakref.WeakSet()
""",
        TO_GO.replace("reversed(range(reward.shape[-1]))", "Steps[reward.shape[-1]]"),
    ),
    "an expression too deep to be followed": (
        "03.reward_to_go",
        "ONE = 1",
        f"def reward_to_go(reward, gamma):\n    reward = reward * (ONE{' + 0' * 900}){LOOP}",
    ),
    "documented and tested in the notebook": (
        "03.reward_to_go",
        "import doctest, unittest\n"
        + TO_GO.replace(":\n", ':\n    """Discounted.\n\n    >>> 1 + 1\n    2\n    """\n', 1),
        "doctest.testmod()\nclass Test(unittest.TestCase):\n    def test(self):\n        self.assertTrue(True)\n"
        "unittest.main(argv=[''], exit=False)",
        "reward_to_go.__doc__ += 'x'\nassert 'x' in reward_to_go.__doc__",
    ),
}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_right_notebook_loses_no_point(name):
    exercise, *cells = NOTEBOOKS[name]
    assert lost(exercise, ["import torch\nimport pgcourse as pg\nfrom pgcourse.grading import check", *cells]) == []
