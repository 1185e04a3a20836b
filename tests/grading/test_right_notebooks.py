"""Right answers as strangers write their notebooks: what is collected of them loses no point.

Each is a list of cells: objects that are called, registries, magics, names made in passing, other libraries, settings
that are changed for the whole process.
"""

import pytest
from submissions import lost

FIRST = "import torch\n\nimport pgcourse as pg\nfrom pgcourse.grading import check"

NOTEBOOKS = [
    (
        "00.mean_interval",
        """
import numpy as np, statistics as st
import math
T_975 = {n: v for n, v in [(0,0)]}
import scipy.stats as ss
""",
        """
class Interval:
    level = 0.95
    def __call__(self, returns):
        m = [float(x) for x in returns.mean(dim=1)]
        if len(m) < 2: return [float('-inf'), float('inf')]
        c = st.fmean(m); s = st.stdev(m)/len(m)**.5*ss.t.ppf((1+self.level)/2, len(m)-1)
        return np.array([c-s, c+s])
mean_interval = Interval()
""",
    ),
    (
        "00.paired_difference",
        """
import pandas as pd
from scipy import stats
""",
        """
def paired_difference(seed_a, a, seed_b, b):
    x = pd.DataFrame({'s': seed_a.numpy(), 'a': a.numpy()}).merge(
        pd.DataFrame({'s': seed_b.numpy(), 'b': b.numpy()}), on='s', how='inner')
    d = x['a'].astype(float) - x['b'].astype(float)
    if len(d) < 2:
        return -float('inf'), float('inf')
    return stats.t.interval(0.95, len(d)-1, loc=d.mean(), scale=stats.sem(d))
""",
    ),
    (
        "01.entropy",
        """
from __future__ import annotations
import torch as t
from types import SimpleNamespace as NS
lib = NS()
""",
        """
def _h(z: t.Tensor) -> t.Tensor:
    return z.logsumexp(-1) - (z.softmax(-1) * z).sum(-1)
lib.h = _h
""",
        """
entropy = lib.h
""",
    ),
    (
        "01.entropy",
        """
import torch.distributions as D
""",
        """
globals()['entropy'] = lambda z: D.Categorical(logits=z).entropy()
""",
    ),
    (
        "01.sample",
        """
%load_ext autoreload
%autoreload 2
import torch
""",
        """
def sample(z, u):
    cdf = torch.softmax(z.double(), dim=-1).cumsum(-1)
    cdf[..., -1] = 1.
    return torch.searchsorted(cdf, u.double().unsqueeze(-1), right=True).squeeze(-1).int()
""",
    ),
    (
        "01.sample",
        """
import numpy as np
""",
        """
def sample(z, u):
    z = np.asarray(z, dtype=np.float64); u = np.asarray(u, dtype=np.float64)
    out = np.zeros(u.shape, dtype=int)
    for i in np.ndindex(u.shape):
        p = np.exp(z[i]-z[i].max()); p /= p.sum(); c = 0.; k = 0
        for k, q in enumerate(p):
            c += q
            if u[i] < c and q > 0: break
        out[i] = k
    return out
""",
    ),
    (
        "01.softmax_score",
        """
import torch
from torch.func import grad, vmap
""",
        """
def lp(z, a): return z.log_softmax(-1).gather(-1, a[None])[0]
(softmax_score := lambda z, a: vmap(grad(lp))(z.reshape(-1, z.shape[-1]), a.reshape(-1)).reshape(z.shape))
""",
    ),
    (
        "02.broken_lemma",
        """
import numpy as np
np.seterr(all='raise')
import warnings; warnings.filterwarnings('error')
""",
        """
def bias(z, b):
    z, b = map(np.float64, (z, b))
    p = np.exp(z - z.max(-1, keepdims=True)); p = p / p.sum(-1, keepdims=True)
    J = np.einsum('...i,ij->...ij', p, np.eye(p.shape[-1])) - p[..., :, None]*p[..., None, :]
    return -np.einsum('...ij,...j->...i', J, b)
""",
    ),
    (
        "02.discount_factor",
        """
import torch
import functools

REGISTRY = {}
def register(name):
    def deco(f):
        REGISTRY[name] = f
        @functools.wraps(f)
        def g(*args, **kw): return f(*args, **kw)
        return g
    return deco
""",
        """
@register('w')
def weights(reward, gamma, keep):
    T = reward.size(-1)
    i = torch.arange(T)
    M = (i[:, None] >= i[None, :]).to(reward.dtype) * torch.as_tensor(float(gamma), dtype=reward.dtype) ** (
        i[:, None]-i[None, :]).clamp(min=0)
    out = reward @ M
    if keep: out = out * torch.tensor([float(gamma)**k for k in range(T)], dtype=reward.dtype)
    return out
""",
        """
weights = REGISTRY['w']
""",
    ),
    (
        "02.gradient",
        """
import torch
""",
        """
def J(th, P, r, s, g):
    pi = torch.softmax(th, 1)
    Ppi = (pi[:, :, None]*P).sum(1); rp = (pi*r).sum(1)
    v = torch.zeros(len(s), dtype=th.dtype)
    for _ in range(3000): v = rp + g*Ppi@v
    return s @ v
def policy_gradient(transition, reward, start, theta, gamma):
    th = theta.double().detach().requires_grad_(True)
    with torch.enable_grad():
        J(th, transition.double(), reward.double(), start.double(), gamma).backward()
    return th.grad
""",
    ),
    (
        "02.occupancy",
        """
import numpy as np
torch = None
del torch
import torch
""",
        """
def occupancy(transition, pi, start, gamma):
    P = sum(pi[:, a, None].double()*transition[:, a].double() for a in range(pi.shape[1]))
    d, x = torch.zeros(len(start), dtype=torch.float64), start.double()
    w = 1.0
    for _ in range(5000):
        d = d + w*x; x = x@P; w *= gamma
        if gamma == 0: break
    return d.tolist()
""",
    ),
    (
        "02.monte_carlo_slope",
        """
import numpy as np
""",
        """
def error_slope(estimates, truth, sizes):
    e = np.asarray(estimates, float).cumsum(1)/np.arange(1, estimates.shape[1]+1)[None, :, None]
    rms = np.sqrt(((e-np.asarray(truth, float))**2).sum(-1).mean(0))
    n = np.array(sizes)
    return np.polynomial.Polynomial.fit(np.log(n), np.log(rms[n-1]), 1).convert().coef[1]
""",
    ),
    (
        "04.normalised_advantage",
        """
import torch
torch.set_default_dtype(torch.float64)
""",
        """
def normalised_advantage(advantage, mask):
    x = torch.where(mask, advantage, torch.tensor(float('nan')))
    n = mask.sum()
    mu = x.nanmean()
    sd = ((x-mu)**2).nansum().div((n-1).clamp(min=1)).sqrt()
    if n < 2 or sd == 0 or torch.equal(advantage[mask], advantage[mask][:1].expand(int(n))):
        return torch.zeros_like(x)
    return torch.nan_to_num((x-mu)/sd)
""",
    ),
    (
        "04.paired_difference",
        """
import scipy.stats
print = lambda *a, **k: None
""",
        """
def paired_difference(first, second):
    d = (first-second).tolist()
    print('hello', d)
    import statistics
    return statistics.mean(d), scipy.stats.sem(d)
""",
    ),
    (
        "05.gae",
        """
import torch
from torch import Tensor
""",
        """
@torch.jit.script
def _go(delta: Tensor, c: Tensor) -> Tensor:
    out = torch.zeros_like(delta)
    a = torch.zeros_like(delta[0])
    for i in range(delta.size(0)):
        t = delta.size(0) - 1 - i
        a = delta[t] + c[t] * a
        out[t] = a
    return out
""",
        """
def gae(reward, u, u_next, terminated, truncated, gamma, lam):
    d = reward + gamma*torch.where(terminated, torch.zeros_like(u_next), u_next) - u
    c = (1 - (terminated + truncated).clamp(max=1).to(reward.dtype))*gamma*lam
    return _go(d.movedim(-1, 0), c.movedim(-1, 0)).movedim(0, -1)
""",
    ),
    (
        "05.gae",
        """
import numpy as np
""",
        """
def gae(reward, u, u_next, terminated, truncated, gamma, lam):
    r, v, w, te, tr = (x.numpy() for x in (reward, u, u_next, terminated, truncated))
    adv = np.zeros_like(r)
    T = r.shape[-1]
    for idx in np.ndindex(r.shape[:-1]):
        last = 0
        for t in range(T-1, -1, -1):
            delta = r[idx][t] - v[idx][t]
            if not te[idx][t]: delta += gamma*w[idx][t]
            last = delta if (te[idx][t] or tr[idx][t]) else delta + gamma*lam*last
            adv[idx + (t,)] = last
    return adv
""",
    ),
    (
        "05.n_step",
        """
import torch
from functools import reduce, partial
""",
        """
def n_step(reward, u, last, gamma, n):
    T = reward.shape[-1]
    V = torch.cat((u, last[..., None]), dim=-1)
    def one(t):
        end = min(t+n, T)
        return reduce(lambda acc, k: reward[..., k] + gamma*acc, range(end-1, t-1, -1), V[..., end]) - u[..., t]
    return torch.stack([*map(one, range(T))], dim=-1)
""",
    ),
    (
        "05.gae_by_hand",
        """
from fractions import Fraction as F
""",
        """
def by_hand():
    d = [F(1), F(-5, 2), F(2)]
    A = [0]*3
    A[2] = d[2]; A[1] = d[1] + F(2,5)*A[2]; A[0] = d[0] + F(2,5)*A[1]
    out = dict(zip(('delta_0','delta_1','delta_2'), map(float, d)))
    out.update({f'advantage_{i}': float(a) for i, a in enumerate(A)})
    out['two_step_0'] = 1+.25*3-2
    out['target_0'] = float(A[0]) + 2
    return out
""",
    ),
    (
        "05.critic_bias",
        """
import torch
""",
        """
def critic_bias(pi, transition, d, error, gamma, lam):
    P = (pi[..., None]*transition).sum(1)
    x = 0; e = error
    g = gamma*(1-lam)
    acc = torch.zeros_like(error)
    w = error.clone()
    for _ in range(1500):
        acc = acc + w
        w = gamma*lam*(P@w)
    q = g*torch.tensordot(transition, acc, dims=1)
    return d[:, None]*pi*(q - (pi*q).sum(1)[:, None])
""",
    ),
    (
        "06.tanh_jacobian",
        """
import torch, math
from torch.distributions import Independent, Normal
from torch.distributions.transforms import TanhTransform
""",
        """
def squashed_log_prob(u, mean, log_std):
    base = Independent(Normal(mean, log_std.exp().expand_as(mean)), 1)
    return base.log_prob(u) - TanhTransform().log_abs_det_jacobian(u, None).sum(-1)
""",
    ),
    (
        "06.entropy",
        """
import torch
""",
        """
class gaussian_entropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, l):
        ctx.n = l.shape
        return (l + 1.4189385332046727).sum(-1)
    @staticmethod
    def backward(ctx, g):
        return g[..., None].expand(ctx.n)
gaussian_entropy = gaussian_entropy.apply
""",
    ),
    (
        "07.line_search",
        """
import torch
""",
        """
def line_search(objective, theta, step, delta, backtracks, shrink):
    base = float(objective(theta)[0])
    tries = (theta + step*(shrink**k) for k in range(0, backtracks+1))
    return next((c for c in tries for g, k in [objective(c)] if float(g) > base and float(k) <= delta), theta)
""",
    ),
    (
        "07.kl_gaussian",
        """
import torch
from torch.distributions import *
""",
        """
def kl_gaussian(old_mean, old_log_std, new_mean, new_log_std):
    mk = lambda m, l: Independent(Normal(m, l.exp().expand(m.shape)), 1)
    return kl_divergence(mk(old_mean, old_log_std), mk(new_mean, new_log_std))
""",
    ),
    (
        "07.step_length",
        """
import numpy as np
""",
        """
def natural_step(g, fisher, delta):
    g, F = np.array(g, float), np.array(fisher, float)
    x = np.linalg.pinv(F, rcond=1e-14) @ g
    s = x @ g
    return np.sqrt(2*delta/s)*x if s > 0 else 0*x
""",
    ),
    (
        "08.masked_policy",
        """
import torch
""",
        """
def masked_policy(logits, valid):
    z = torch.where(valid, logits, torch.tensor(-1e8))
    lp = torch.log_softmax(z, -1)
    p = lp.exp()
    return lp, -(p*lp).where(valid, 0.).sum(-1)
""",
    ),
    (
        "08.masked_policy",
        """
import torch
from torch.distributions import Categorical
""",
        """
def masked_policy(logits, valid):
    z = logits.masked_fill(~valid, torch.finfo(logits.dtype).min)
    d = Categorical(logits=z)
    return d.logits, d.entropy()
""",
    ),
    (
        "08.which_is_clipped",
        """
import torch
""",
        """
def which_is_clipped(ratio, advantage, clip):
    return ((advantage > 0) & (ratio > 1+clip)) | ((advantage < 0) & (ratio < 1-clip)) | (advantage == 0)
""",
    ),
    (
        "08.which_is_clipped",
        """
import torch
""",
        """
def which_is_clipped(ratio, advantage, clip):
    r = ratio.clone().requires_grad_()
    s = torch.min(r*advantage, r.clamp(1-clip, 1+clip)*advantage).sum()
    (g,) = torch.autograd.grad(s, r)
    return (g == 0).numpy()
""",
    ),
    (
        "08.clipped_objective",
        """
import torch
""",
        """
def clipped_objective(log_prob, old_log_prob, advantage, mask, clip):
    lp, old, A = log_prob[mask], old_log_prob[mask].detach(), advantage[mask].detach()
    r = torch.exp(lp-old)
    lim = torch.where(A >= 0, 1+clip, 1-clip)
    return torch.where(A >= 0, torch.minimum(r, lim), torch.maximum(r, lim)).mul(A).mean()
""",
    ),
    (
        "08.ppo_update",
        """
import torch
from torch.distributions import Categorical
""",
        """
def ppo_update(theta, obs, action, advantage, order, minibatches, lr, clip):
    w = torch.nn.Parameter(theta.detach().clone())
    opt = torch.optim.SGD([w], lr=lr, maximize=True)
    with torch.no_grad(): old = Categorical(logits=obs@w).log_prob(action)
    for perm in order:
        for mb in torch.chunk(perm, minibatches):
            A = advantage[mb]; A = (A-A.mean())/(A.std()+1e-8)
            r = (Categorical(logits=obs[mb]@w).log_prob(action[mb])-old[mb]).exp()
            obj = torch.min(r*A, torch.clamp(r, 1-clip, 1+clip)*A).mean()
            opt.zero_grad(); obj.backward(); opt.step()
    return w
""",
    ),
    (
        "08.value_loss",
        """
import torch.nn.functional as F
import torch
""",
        """
def value_loss(value, old_value, target, clip):
    v = value.flatten()
    y = target.detach(); o = old_value.detach()
    c = torch.max(torch.min(v, o + clip), o - clip)
    return torch.stack([F.mse_loss(v, y, reduction='none'), F.mse_loss(c, y, reduction='none')]).amax(0).mean()/2
""",
    ),
    (
        "09.moments",
        """
import torch
""",
        """
def merged(mean, variance, number, batch):
    n = number
    m = mean.double(); M2 = variance.double()*number
    for x in batch.double():
        n = n+1; d = x-m; m = m + d/n; M2 = M2 + d*(x-m)
    return m.to(mean.dtype), (M2/n).to(variance.dtype), n
""",
    ),
    (
        "11.seeds_for",
        """
from statistics import NormalDist, variance, fmean
from math import ceil
""",
        """
def seeds_for(first, second, alpha, power):
    a, b = first.tolist(), second.tolist()
    z = NormalDist().inv_cdf
    return ceil((z(1-alpha/2)+z(power))**2*(variance(a)+variance(b))/(fmean(a)-fmean(b))**2)
""",
    ),
    (
        "11.stratified_bootstrap",
        """
import numpy as np
from scipy.stats import trim_mean
""",
        """
def stratified_bootstrap(scores, chosen, level):
    s, c = scores.numpy(), chosen.numpy()
    v = [trim_mean(np.concatenate([s[k[:, j], j] for j in range(s.shape[1])]), .25) for k in c]
    return np.quantile(v, [(1-level)/2, 1-(1-level)/2])
""",
    ),
    (
        "01.corridor",
        """
import numpy as np
from scipy.optimize import minimize_scalar
""",
        """
def J(q, b):
    P = np.zeros((2,2)); return -(2-q)*(2+b*(1-q))/(q*(1-q))
def corridor(p, bump):
    best = minimize_scalar(lambda q: -J(q, bump), bounds=(1e-3, 1-1e-3), method='bounded').x
    return [J(q, bump) for q in p.tolist()], best
""",
    ),
]


@pytest.mark.parametrize(("name", "cells"), [(name, cells) for name, *cells in NOTEBOOKS])
def test_a_right_notebook_loses_no_point(name, cells):
    assert lost(name, [FIRST, *cells]) == []
