"""Right answers in other styles than the course's own: none may lose a point, on any draw."""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from right_answers import loses_no_point
from submissions import Answers
from torch.distributions import Categorical, Independent, Normal, kl_divergence

from pgcourse.grading.check import examine

RIGHT = Answers()
right = RIGHT.to


# ---------------------------------------------------------------------------------------------------- chapter 05


@right("05.gae")
def gae_with_lists(reward, u, u_next, terminated, truncated, gamma, lam):
    out, following = [], torch.zeros(reward.shape[:-1], dtype=reward.dtype)
    for t in range(reward.shape[-1] - 1, -1, -1):
        delta = reward[..., t] + gamma * u_next[..., t] * (1 - terminated[..., t].to(reward.dtype)) - u[..., t]
        goes_on = 1.0 - torch.logical_or(terminated[..., t], truncated[..., t]).to(reward.dtype)
        following = delta + gamma * lam * goes_on * following
        out.insert(0, following)
    return torch.stack(out, dim=-1)


@right("05.gae")
def gae_of_three_loops(reward, u, u_next, terminated, truncated, gamma, lam):
    flat = [x.reshape(-1, reward.shape[-1]) for x in (reward, u, u_next, terminated, truncated)]
    result = torch.zeros_like(flat[0])
    rows, steps = result.shape
    for i in range(rows):
        for t in range(steps):
            weight = 1.0
            for k in range(t, steps):
                r, value, later, over, cut = (x[i, k] for x in flat)
                result[i, t] += weight * (r + (0.0 if over else gamma * later) - value)
                if over or cut:
                    break
                weight *= gamma * lam
    return result.reshape(reward.shape)


@right("05.gae")
def gae_as_a_matrix(reward, u, u_next, terminated, truncated, gamma, lam):
    delta = torch.where(terminated, reward - u, reward + gamma * u_next - u)
    steps = reward.shape[-1]
    episode = (terminated | truncated).long().cumsum(-1) - (terminated | truncated).long()
    same = episode.unsqueeze(-1) == episode.unsqueeze(-2)
    lag = torch.arange(steps) - torch.arange(steps).unsqueeze(-1)
    power = torch.full_like(lag, gamma * lam, dtype=torch.float64) ** lag.clamp(min=0)
    weight = torch.where(same & (lag >= 0), power, 0.0).to(delta.dtype)
    return (weight @ delta.unsqueeze(-1)).squeeze(-1)


@right("05.gae")
def gae_in_float64(reward, u, u_next, terminated, truncated, gamma, lam):
    r, v, w = (x.double().clone() for x in (reward, u, u_next))
    w[terminated] = 0
    advantage = r + gamma * w - v
    done = (terminated | truncated).double()
    for t in reversed(range(reward.shape[-1] - 1)):
        advantage[..., t] += gamma * lam * (1 - done[..., t]) * advantage[..., t + 1]
    return advantage.to(reward.dtype)


@right("05.gae")
def gae_time_first(reward, u, u_next, terminated, truncated, gamma, lam=0.95):
    reward, u, u_next, terminated, truncated = (x.movedim(-1, 0) for x in (reward, u, u_next, terminated, truncated))
    advantage, last = torch.zeros_like(reward), 0
    for t in reversed(range(len(reward))):
        nonterminal, running = 1.0 - terminated[t].to(reward), 1.0 - (terminated[t] | truncated[t]).to(reward)
        last = reward[t] + gamma * u_next[t] * nonterminal - u[t] + gamma * lam * running * last
        advantage[t] = last
    return advantage.movedim(0, -1)


@right("05.gae_by_hand")
def rounded():
    numbers = {"delta_0": 1, "delta_1": -2.5, "delta_2": 2, "two_step_0": -0.25, "advantage_2": 2.0}
    return numbers | {"advantage_1": -1.7, "advantage_0": 0.32, "target_0": 2.32}


@right("05.gae_by_hand")
def as_pairs():
    return {name: (value - 0.004, value + 0.004) for name, value in rounded().items()}


@right("05.gae_by_hand")
def as_tensors():
    return {name: torch.tensor(float(value)) for name, value in rounded().items()}


@right("05.gae_by_hand")
def as_fractions():
    return {name: Fraction(value).limit_denominator(1000) for name, value in rounded().items()}


@right("05.gae")
def gae_row_by_row(reward, u, u_next, terminated, truncated, gamma, lam):
    if reward.ndim > 1:
        rows = zip(reward, u, u_next, terminated, truncated, strict=True)
        return torch.stack([gae_row_by_row(*row, gamma=gamma, lam=lam) for row in rows])
    result, after = reward.clone(), 0.0
    for t in range(len(reward))[::-1]:
        delta = reward[t].item() + (0.0 if terminated[t] else gamma * u_next[t].item()) - u[t].item()
        after = delta if terminated[t] or truncated[t] else delta + gamma * lam * after
        result[t] = after
    return result


@right("05.n_step")
def n_step_by_recursion(reward, u, last, gamma, n):
    def value(t, steps):  # what step t earns in so many steps, and then the critic's word
        if t == reward.shape[-1]:
            return last
        return reward[..., t] + gamma * value(t + 1, steps - 1) if steps else u[..., t]

    return torch.stack([value(t, n) - u[..., t] for t in range(reward.shape[-1])], -1)


@right("05.n_step")
def n_step_of_one_product(reward, u, last, gamma, n):
    steps = reward.shape[-1]
    t = torch.arange(steps)
    lag = t - t[:, None]
    weight = torch.where((lag >= 0) & (lag < n), torch.tensor(float(gamma)) ** lag.clamp(min=0), 0.0)
    m = torch.minimum(torch.tensor(n), steps - t)
    guess = torch.cat([u, last[..., None]], -1).index_select(-1, t + m)
    return torch.einsum("...k,tk->...t", reward, weight) + torch.tensor(float(gamma)) ** m * guess - u


@right("05.n_step")
def n_step_of_residuals(reward, u, last, gamma, n):
    following = torch.cat([u[..., 1:], last[..., None]], dim=-1)
    delta = reward + gamma * following - u
    out = torch.zeros_like(delta)
    for lag in range(min(n, delta.shape[-1])):
        out[..., : delta.shape[-1] - lag] += gamma**lag * delta[..., lag:]
    return out


@right("05.n_step")
def n_step_backwards(reward, u, last, gamma, n):
    later, steps = torch.cat([u, last.unsqueeze(-1)], -1), reward.shape[-1]
    out = []
    for t in range(steps):
        end = min(t + n, steps)
        value = later[..., end]
        for k in range(end - 1, t - 1, -1):
            value = reward[..., k] + gamma * value
        out.append(value - u[..., t])
    return torch.stack(out, -1)


@right("05.n_step")
def n_step_padded(reward, u, last, gamma, n):
    padded = F.pad(reward, (0, n)).unfold(-1, n, 1)[..., : reward.shape[-1], :]
    total = (padded * gamma ** torch.arange(n, dtype=reward.dtype)).sum(-1)
    m = (reward.shape[-1] - torch.arange(reward.shape[-1])).clamp(max=n)
    ahead = torch.cat([u, last.unsqueeze(-1)], -1)[..., torch.arange(reward.shape[-1]) + m]
    return total + float(gamma) ** m * ahead - u


@right("05.truncation")
def by_linear_equations(reward, state, next_state, terminated, truncated, gamma):
    states = int(state.max()) + 1
    leaves, enters = F.one_hot(state, states).double(), F.one_hot(next_state, states).double()
    enters[terminated] = 0
    return torch.linalg.solve(leaves.T @ (leaves - gamma * enters), leaves.T @ reward.double())


@right("05.truncation")
def by_sweeps(reward, state, next_state, terminated, truncated, gamma):
    u = [0.0] * (int(max(state)) + 1)
    rows = [*zip(*(x.tolist() for x in (reward, state, next_state, terminated)), strict=True)]
    for _ in range(150):
        target = [[] for _ in u]
        for r, s, after, over in rows:
            target[s].append(r if over else r + gamma * u[after])
        u = [sum(x) / len(x) for x in target]
    return torch.tensor(u)


@right("05.critic_bias")
def bias_in_numpy(pi, transition, d, error, gamma, lam):
    pi, transition, d, error = (x.double().numpy() for x in (pi, transition, d, error))
    follow = (pi[..., None] * transition).sum(1)
    ahead = scipy.linalg.inv(np.eye(len(d)) - gamma * lam * follow) @ error
    x = gamma * (1 - lam) * transition @ ahead
    return d[:, None] * pi * (x - (pi * x).sum(1)[:, None])


@right("05.critic_bias")
def bias_by_the_score(pi, transition, d, error, gamma, lam):
    ahead, power = error.clone(), error.clone()
    follow = torch.einsum("sa,sat->st", pi, transition)
    for _ in range(300):
        power = gamma * lam * follow @ power
        ahead = ahead + power
    x = gamma * (1 - lam) * transition @ ahead
    jacobian = torch.diag_embed(pi) - pi.unsqueeze(-1) * pi.unsqueeze(-2)
    return d.unsqueeze(-1) * (jacobian @ x.unsqueeze(-1)).squeeze(-1)


@right("05.critic_bias")
def bias_as_a_difference(pi, transition, d, error, gamma, lam):
    follow = torch.einsum("sa,sat->st", pi, transition)
    delta = gamma * transition @ error - error.unsqueeze(1)
    series = torch.linalg.inv(torch.eye(len(d)) - gamma * lam * follow)
    q = delta + gamma * lam * transition @ (series @ (pi * delta).sum(1))
    return d[:, None] * pi * (q - (pi * q).sum(1, True))


# ---------------------------------------------------------------------------------------------------- chapter 06


@right("05.critic_bias")
def bias_by_autograd(pi, transition, d, error, gamma, lam):
    theta = pi.log().clone().requires_grad_()
    follow = torch.einsum("sa,sat->st", pi, transition)
    later = torch.linalg.solve(torch.eye(len(d)).to(follow) - gamma * lam * follow, error)
    (d[:, None] * theta.softmax(-1) * gamma * (1 - lam) * (transition @ later)).sum().backward()
    return theta.grad


@right("05.critic_bias")
def bias_with_a_baseline_of_its_own(pi, transition, d, error, gamma, lam):
    follow = (pi[..., None] * transition).sum(1)
    later, weight, x = error, gamma * (1 - lam), -error[:, None].expand_as(pi)
    for _ in range(2000):
        x = x + weight * transition @ later
        later, weight = follow @ later, weight * gamma * lam
    return d[:, None] * pi * (x - (pi * x).sum(1, keepdim=True))


@right("06.gaussian_score")
def score_from_the_formula(action, mean, log_std):
    var = torch.exp(2 * log_std)
    return (action - mean) / var, (action - mean) ** 2 / var - 1


@right("06.gaussian_score")
def score_by_autograd(action, mean, log_std):
    mean, log_std = mean.clone().requires_grad_(), log_std.expand(mean.shape).clone().requires_grad_()
    return torch.autograd.grad(Normal(mean, log_std.exp()).log_prob(action).sum(), (mean, log_std))


@right("06.gaussian_score")
def score_as_a_list_of_arrays(action, mean, log_std):
    action, mean, std = action.numpy(), mean.numpy(), np.exp(log_std.numpy())
    return [(action - mean) / std**2, ((action - mean) / std) ** 2 - 1.0]


class Score(NamedTuple):
    mean: torch.Tensor
    log_std: torch.Tensor


@right("06.gaussian_score")
def score_as_a_named_tuple(action, mean, log_std):
    precision = log_std.mul(-2).exp()
    return Score(log_std=(action - mean) ** 2 * precision - 1, mean=(action - mean) * precision)


@right("06.entropy")
def entropy_of_torch(log_std):
    return Normal(torch.zeros_like(log_std), log_std.exp()).entropy().sum(dim=-1)


@right("06.entropy")
def entropy_of_independent(log_std):
    return Independent(Normal(torch.zeros(log_std.shape), log_std.exp()), 1).entropy()


@right("06.entropy")
def entropy_by_hand(log_std):
    n = log_std.shape[-1]
    return log_std.sum(-1) + n / 2 * (1 + math.log(2 * math.pi))


@right("06.entropy")
def entropy_of_the_determinant(log_std):
    return 0.5 * torch.logdet(2 * math.pi * math.e * torch.diag_embed((2 * log_std.double()).exp()))


@right("06.clipped_log_prob")
def act_with_torch(mean, log_std, noise, low, high):
    dist = Normal(mean, log_std.exp())
    with torch.no_grad():
        action = mean + log_std.exp() * noise
    return action.clip(low, high), action, dist.log_prob(action).sum(-1)


@right("06.clipped_log_prob")
def act_by_hand(mean, log_std, noise, low, high):
    action = (mean + log_std.exp() * noise).detach().clone()
    density = -((action - mean) ** 2) / (2 * log_std.exp() ** 2) - log_std - math.log(math.sqrt(2 * math.pi))
    return [torch.clamp(action, low, high), action, torch.sum(density, dim=1)]


@right("06.tanh_jacobian")
def squashed_with_logaddexp(u, mean, log_std):
    log_cosh = torch.logaddexp(u, -u) - math.log(2)
    return (Normal(mean, log_std.exp()).log_prob(u) + 2 * log_cosh).sum(-1)


@right("06.tanh_jacobian")
def squashed_with_abs(u, mean, log_std):
    inside = Normal(mean, log_std.exp()).log_prob(u).sum(-1)
    return inside - (math.log(4.0) - 2 * u.abs() - 2 * torch.log1p(torch.exp(-2 * u.abs()))).sum(-1)


@right("06.tanh_jacobian")
def squashed_with_sigmoids(u, mean, log_std):
    slope = math.log(4) + F.logsigmoid(2 * u) + F.logsigmoid(-2 * u)
    return (Normal(mean, log_std.exp()).log_prob(u) - slope).sum(-1)


@right("06.tanh_jacobian")
def squashed_with_the_transform(u, mean, log_std):
    slope = torch.distributions.TanhTransform().log_abs_det_jacobian(u, u.tanh())
    return Independent(Normal(mean, log_std.exp()), 1).log_prob(u) - slope.sum(-1)


@right("06.tanh_jacobian")
def squashed_in_float64(u, mean, log_std):
    u, mean, log_std = u.double(), mean.double(), log_std.double()
    return (Normal(mean, log_std.exp()).log_prob(u) - 2 * (math.log(2) + u - F.softplus(2 * u))).sum(-1)


# ---------------------------------------------------------------------------------------------------- chapter 07


@right("07.kl_direction")
def kl_of_torch(old_logits, new_logits):
    return kl_divergence(Categorical(logits=old_logits.detach()), Categorical(logits=new_logits))


@right("07.kl_direction")
def kl_of_functional(old_logits, new_logits):
    old, new = F.log_softmax(old_logits, -1).detach(), F.log_softmax(new_logits, -1)
    return F.kl_div(new, old, reduction="none", log_target=True).sum(-1)


@right("07.kl_direction")
def kl_with_a_context(old_logits, new_logits):
    with torch.no_grad():
        p = torch.softmax(old_logits, dim=-1)
        log_p = old_logits - torch.logsumexp(old_logits, -1, keepdim=True)
    log_q = new_logits - torch.logsumexp(new_logits, -1, keepdim=True)
    return (p * log_p).sum(-1) - (p * log_q).sum(-1)


@right("07.kl_gaussian")
def gaussian_kl_joint_by_joint(old_mean, old_log_std, new_mean, new_log_std):
    total = 0
    for i in range(old_mean.shape[-1]):
        ratio = torch.exp(old_log_std[i] - new_log_std[i])
        move = (new_mean[..., i] - old_mean[..., i]) / new_log_std[i].exp()
        total = total + 0.5 * (ratio**2 + move**2 - 1) - ratio.log()
    return total


@right("07.kl_gaussian")
def gaussian_kl_of_matrices(old_mean, old_log_std, new_mean, new_log_std):
    normals = [
        torch.distributions.MultivariateNormal(mean, torch.diag_embed((2 * log_std).exp()))
        for mean, log_std in ((old_mean, old_log_std), (new_mean, new_log_std))
    ]
    return kl_divergence(*normals)


@right("07.kl_gaussian")
def gaussian_kl_of_torch(old_mean, old_log_std, new_mean, new_log_std):
    return kl_divergence(Normal(old_mean, old_log_std.exp()), Normal(new_mean, new_log_std.exp())).sum(-1)


@right("07.kl_gaussian")
def gaussian_kl_of_ratios(old_mean, old_log_std, new_mean, new_log_std):
    log_ratio = old_log_std - new_log_std
    move = (new_mean - old_mean) / new_log_std.exp()
    return (0.5 * ((2 * log_ratio).exp() + move**2 - 1) - log_ratio).sum(-1)


@right("07.kl_gaussian")
def gaussian_kl_of_independent(old_mean, old_log_std, new_mean, new_log_std):
    old, new = Normal(old_mean.detach(), old_log_std.detach().exp()), Normal(new_mean, new_log_std.exp())
    return kl_divergence(Independent(old, 1), Independent(new, 1))


@right("07.step_length")
def step_of_the_inverse(g, fisher, delta):
    x = torch.inverse(fisher) @ g
    gain = torch.dot(g, x)
    return x * torch.sqrt(2 * delta / gain) if gain > 0 else 0 * g


@right("07.step_length")
def step_of_numpy(g, fisher, delta):
    g, fisher = g.numpy().astype(np.float64), fisher.numpy().astype(np.float64)
    x = scipy.linalg.solve(fisher, g, assume_a="pos")
    return np.nan_to_num(np.sqrt(2 * delta / max(x @ fisher @ x, 1e-300)) * x)


@right("07.step_length")
def step_of_cholesky(g, fisher, delta):
    if torch.count_nonzero(g) == 0:
        return g.clone()
    x = torch.cholesky_solve(g.unsqueeze(-1), torch.linalg.cholesky(fisher)).squeeze(-1)
    return x * (2 * delta) ** 0.5 / (g * x).sum() ** 0.5


@right("07.fisher_vector_product")
def product_of_the_hessian(log_probs, theta, v, damping):
    old = log_probs(theta).detach()

    def kl(x):
        return (old.exp() * (old - log_probs(x))).sum(-1).mean()

    return torch.autograd.functional.hessian(kl, theta) @ v + damping * v


@right("07.fisher_vector_product")
def product_of_scores(log_probs, theta, v, damping):
    along = torch.func.jvp(log_probs, (theta,), (v,))[1]  # ∇log π · v, [state, action]
    logp, back = torch.func.vjp(log_probs, theta)
    return back(logp.exp() * along / len(logp))[0] + damping * v


@right("07.fisher_vector_product")
def product_of_the_other_kl(log_probs, theta, v, damping):
    """KL(new ‖ old) has the same Hessian there."""
    leaf = theta.clone().detach().requires_grad_(True)
    new = log_probs(leaf)
    kl = kl_divergence(Categorical(logits=new), Categorical(logits=new.detach())).mean()
    (slope,) = torch.autograd.grad(kl, leaf, create_graph=True)
    return torch.autograd.grad(torch.dot(slope, v), leaf)[0] + damping * v


@right("07.fisher_vector_product")
def product_of_the_dense_matrix(log_probs, theta, v, damping):
    jacobian, pi = torch.func.jacrev(log_probs)(theta), log_probs(theta).exp()
    fisher = torch.einsum("sa,sai,saj->ij", pi, jacobian, jacobian) / pi.shape[0]
    return (fisher + damping * torch.eye(len(v))).mv(v)


@right("07.fisher_vector_product")
def product_of_functional(log_probs, theta, v, damping):
    old = log_probs(theta.detach()).detach()
    slope = torch.func.grad(lambda x: F.kl_div(log_probs(x), old, reduction="batchmean", log_target=True))
    return torch.func.jvp(slope, (theta,), (v,))[1] + damping * v


@right("07.fisher_vector_product")
def product_of_func(log_probs, theta, v, damping):
    old = log_probs(theta)

    def kl(x):
        return (old.exp() * (old - log_probs(x))).sum(-1).mean()

    return torch.func.jvp(torch.func.grad(kl), (theta,), (v,))[1] + damping * v


@right("07.fisher_vector_product")
def product_by_backward(log_probs, theta, v, damping):
    theta = theta.clone()
    theta.requires_grad = True
    new = Categorical(logits=log_probs(theta))
    kl = kl_divergence(Categorical(logits=new.logits.detach()), new).mean()
    (slope,) = torch.autograd.grad(kl, [theta], create_graph=True)
    (slope * v).sum().backward()
    return theta.grad + damping * v


@right("07.conjugate_gradient")
def cg_without_nan(product, b, steps):
    x, r, p = b * 0, b, b
    for _ in range(steps):
        image, square = product(p), r.pow(2).sum(-1, keepdim=True)
        length = (square / (r * image).sum(-1, keepdim=True)).nan_to_num(0, 0, 0)  # rᵀAp = pᵀAp
        x, r = x + length * p, r - length * image
        p = r + (r.pow(2).sum(-1, keepdim=True) / square).nan_to_num(0, 0, 0) * p
    return x


@right("07.conjugate_gradient")
def cg_with_an_epsilon(product, b, steps):
    x, r, p = torch.zeros_like(b), b.clone(), b.clone()
    rr = (r * r).sum(-1, keepdim=True)
    for _ in range(steps):
        z = product(p)
        alpha = rr / ((p * z).sum(-1, keepdim=True) + 1e-8)
        x += alpha * p
        r -= alpha * z
        new = (r * r).sum(-1, keepdim=True)
        p = r + new / (rr + 1e-8) * p
        rr = new
    return x


@right("07.conjugate_gradient")
def cg_row_by_row(product, b, steps):
    out = torch.zeros_like(b)
    for i, row in enumerate(b):
        x, r, p = torch.zeros_like(row), row, row
        for _ in range(steps):
            if r.norm() < 1e-6:
                break
            z = product(p.unsqueeze(0))[0]
            alpha = r.dot(r) / p.dot(z)
            x, new = x + alpha * p, r - alpha * z
            p = new + new.dot(new) / r.dot(r) * p
            r = new
        out[i] = x
    return out


@right("07.conjugate_gradient")
def cg_until_little_is_left(product, b, steps):
    x, r, p = torch.zeros_like(b), b, b
    for _ in range(steps):
        image, square = product(p), (r * r).sum(-1, keepdim=True)
        going = square > 1e-10
        length = torch.where(going, square / (p * image).sum(-1, keepdim=True), 0.0)
        x, r = x + length * p, r - length * image
        p = r + torch.where(going, (r * r).sum(-1, keepdim=True) / square, 0.0) * p
    return x


def cg_as_in_the_chapter(product, b, steps, tolerance=1e-5):
    def dot(a, b):
        return (a * b).sum(1)

    x, residual, direction = torch.zeros_like(b), b, b
    square = dot(b, b)
    enough = tolerance**2 * square
    for _ in range(steps):
        image = product(direction)
        length = torch.where(square > enough, square / dot(direction, image), 0.0).unsqueeze(1)
        x, residual = x + length * direction, residual - length * image
        before, square = square, dot(residual, residual)
        direction = residual + (square / before).unsqueeze(1) * direction
    return x


@right("07.conjugate_gradient")
def cg_that_recomputes_the_residual(product, b, steps):
    x, p = torch.zeros_like(b), b.clone()
    for _ in range(steps):
        r = b - product(x)
        going = (r.norm(dim=-1, keepdim=True) > 1e-5 * b.norm(dim=-1, keepdim=True)) & (b != 0).any(-1, keepdim=True)
        z = product(p)
        alpha = torch.nan_to_num((r * p).sum(-1, True) / (p * z).sum(-1, True))
        x = torch.where(going, x + alpha * p, x)
        new = b - product(x)
        beta = torch.nan_to_num((new * new).sum(-1, True) / (r * r).sum(-1, True))
        p = torch.where(going, new + beta * p, p)
    return x


@right("07.line_search")
def search_by_halving(objective, theta, step, delta, backtracks, shrink):
    before = objective(theta)[0]
    move = step.clone()
    for _ in range(backtracks + 1):
        candidate = theta + move
        after, kl = objective(candidate)
        if after - before > 0 and not kl > delta:
            return candidate
        move *= shrink
    return theta.clone()


@right("07.line_search")
def search_without_autograd(objective, theta, step, delta, backtracks, shrink):
    with torch.no_grad():
        start = float(objective(theta)[0])
        k = 0
        while k <= backtracks:
            gain, kl = (float(x) for x in objective(theta + step * shrink**k))
            if gain > start and kl <= delta:
                return theta + step * shrink**k
            k += 1
        return theta


@right("07.line_search")
def search_of_a_generator(objective, theta, step, delta, backtracks, shrink):
    start = objective(theta)[0]
    tries = (theta + c * step for c in (shrink**k for k in range(backtracks + 1)))
    return next((x for x in tries if objective(x)[0] > start and objective(x)[1] <= delta), theta)


@right("07.line_search")
def search_by_recursion(objective, theta, step, delta, backtracks, shrink):
    start = float(objective(theta)[0])

    def attempt(tries, length):
        gain, kl = map(float, objective(theta + length * step))
        if gain > start and not kl > delta:
            return theta + length * step
        return attempt(tries - 1, length * shrink) if tries else theta.clone()

    return attempt(backtracks, 1.0)


@pytest.mark.parametrize(("name", "answer"), [(name, one) for name, some in RIGHT.items() for one in some])
def test_a_right_answer_loses_no_point(name, answer):
    loses_no_point(name, answer)


def test_the_chapter_s_conjugate_gradients_fail_only_where_nothing_is_left_and_are_told_why():
    """Its next direction is 0/0 there. In TRPO the search then refuses the step."""
    result = examine("07.conjugate_gradient", cg_as_in_the_chapter)
    (failed,) = [one for one in result.checks if not one.passed]
    assert failed.check.name == "nothing left"
    assert failed.diagnosis.startswith("0/0 is NaN")
