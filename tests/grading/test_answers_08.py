"""Right answers to the exercises of chapter 08, in other styles than the course's own: none loses a point."""

import textwrap

import numpy as np
import pytest
import torch

from pgcourse.exercises.ch08 import _agents, agent
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess, Player
from pgcourse.grading.solutions import mutant

ANSWERS = {
    "08.clipped_objective": [
        """
        def clipped_objective(log_prob, old_log_prob, advantage, mask, clip):
            new, old, A = log_prob[mask], old_log_prob[mask].detach(), advantage[mask].detach()
            r = torch.exp(new - old)
            return torch.min(r * A, torch.clamp(r, 1 - clip, 1 + clip) * A).mean()
        """,
        """
        def clipped_objective(log_prob, old_log_prob, advantage, mask, clip=0.2):
            total, count = 0.0, 0
            for i in range(len(mask)):
                for t in range(mask.shape[1]):
                    if mask[i, t]:
                        r, A = (log_prob[i, t] - old_log_prob[i, t].detach()).exp(), advantage[i, t].detach()
                        low, high = r * A, r.clamp(1 - clip, 1 + clip) * A
                        total = total + (low if low < high else high)
                        count += 1
            return total / count
        """,
        """
        def clipped_objective(log_prob, old_log_prob, advantage, mask, clip):
            with torch.no_grad():
                old, A = torch.where(mask, old_log_prob, 0.0).double(), torch.where(mask, advantage, 0.0).double()
            r = (torch.where(mask, log_prob, 0.0).double() - old).exp()
            gain = torch.where(A >= 0, r.clamp(max=1 + clip) * A, r.clamp(min=1 - clip) * A)
            return (gain * mask).sum() / mask.double().sum()
        """,
        """
        def clipped_objective(log_prob, old_log_prob, advantage, mask, clip):
            A = torch.nan_to_num(advantage.detach().masked_fill(~mask, 0.0))
            ratio = torch.exp(log_prob.masked_fill(~mask, 0.0) - old_log_prob.detach().masked_fill(~mask, 0.0))
            losses = -A * ratio, -A * torch.clamp(ratio, 1.0 - clip, 1.0 + clip)
            return -torch.max(*losses)[mask].mean()
        """,
    ],
    "08.which_is_clipped": [
        """
        def which_is_clipped(ratio, advantage, clip):
            return (advantage > 0) & (ratio > 1 + clip) | (advantage < 0) & (ratio < 1 - clip)
        """,
        """
        def which_is_clipped(ratio, advantage, clip):
            return np.sign(advantage.numpy()) * (ratio.numpy() - 1) > clip
        """,
        """
        def which_is_clipped(ratio, advantage, clip):
            r = ratio.detach().clone().requires_grad_()
            torch.minimum(r * advantage, r.clamp(1 - clip, 1 + clip) * advantage).sum().backward()
            return r.grad == 0
        """,
        """
        def which_is_clipped(ratio, advantage, clip):
            return (ratio * advantage > ratio.clamp(1 - clip, 1 + clip) * advantage).float()
        """,
        """
        def which_is_clipped(ratio, advantage, clip):
            r, a = np.asarray(ratio), np.asarray(advantage)
            out = np.zeros(r.shape, dtype=bool)
            for i in np.ndindex(r.shape):
                out[i] = (a[i] > 0 and r[i] > 1 + clip) or (a[i] < 0 and r[i] < 1 - clip)
            return out
        """,
    ],
    "08.value_loss": [
        """
        def value_loss(value, old_value, target, clip):
            v = value[:, 0]
            near = torch.clamp(v, old_value.detach() - clip, old_value.detach() + clip)
            y = target.detach()
            return torch.max((v - y) ** 2, (near - y) ** 2).mean() / 2
        """,
        """
        def value_loss(value, old_value, target, clip):
            total = 0
            for v, old, y in zip(value.reshape(-1), old_value.detach(), target.detach()):
                near = old + max(min(v - old, clip), -clip)
                total = total + max((v - y) ** 2, (near - y) ** 2)
            return 0.5 * total / len(target)
        """,
        """
        def value_loss(value, old_value, target, clip):
            old, y = old_value.detach().unsqueeze(1), target.detach().unsqueeze(1)
            near = old + torch.clip(value - old, -clip, clip)
            each = torch.stack([torch.nn.functional.mse_loss(x, y, reduction="none") for x in (value, near)])
            return 0.5 * each.max(0).values.mean()
        """,
        """
        def value_loss(value, old_value, target, clip):
            losses = []
            for v, o, y in zip(value[:, 0], old_value.tolist(), target.tolist()):
                plain = (v - y) * (v - y)
                d = float(v) - o
                if d > clip:
                    other = torch.as_tensor((o + clip - y) ** 2, dtype=v.dtype)
                elif d < -clip:
                    other = torch.as_tensor((o - clip - y) ** 2, dtype=v.dtype)
                else:
                    other = plain
                losses.append(plain if plain > other else other)
            return sum(losses) / (2 * len(losses))
        """,
    ],
    "08.kl_estimators": [
        """
        def kl_estimators(log_ratio):
            r = torch.exp(log_ratio)
            unbiased = dict(k1=True, k2=False, k3=True)
            return dict(k1=-torch.log(r), k2=log_ratio**2 / 2, k3=(r - 1) - log_ratio, unbiased=unbiased)
        """,
        """
        def kl_estimators(log_ratio):
            x = log_ratio.numpy().astype(np.float64)
            return {"unbiased": {"k1": 1, "k2": 0, "k3": 1}, "k3": np.exp(x) - 1 - x, "k2": 0.5 * x * x, "k1": -x}
        """,
    ],
    "08.ppo_update": [
        """
        def ppo_update(theta, obs, action, advantage, order, minibatches, lr, clip):
            weight = torch.nn.Parameter(theta.clone())
            optimizer = torch.optim.SGD([weight], lr=lr)
            dist = lambda rows: torch.distributions.Categorical(logits=obs[rows] @ weight)
            everything = torch.arange(len(obs))
            with torch.no_grad():
                old = dist(everything).log_prob(action)
            size = len(obs) // minibatches
            for indices in order:
                for start in range(0, len(obs), size):
                    mb = indices[start : start + size]
                    A = (advantage[mb] - advantage[mb].mean()) / (advantage[mb].std() + 1e-8)
                    ratio = torch.exp(dist(mb).log_prob(action[mb]) - old[mb])
                    loss = -torch.min(ratio * A, torch.clamp(ratio, 1 - clip, 1 + clip) * A).mean()
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            return weight
        """,
        """
        def ppo_update(theta, obs, action, advantage, order, minibatches, lr, clip):
            theta, obs, A, action = (x.numpy() for x in (theta, obs, advantage, action))
            def pi(theta):
                z = np.exp(obs @ theta)
                return z / z.sum(1, keepdims=True)
            n = np.arange(len(obs))
            old = pi(theta)[n, action]
            for part in order.numpy().reshape(len(order) * minibatches, -1):
                good = (A[part] - A[part].mean()) / (A[part].std(ddof=1) + 1e-8)
                p = pi(theta)
                r = p[part, action[part]] / old[part]
                on = ((good > 0) & (r <= 1 + clip)) | ((good < 0) & (r >= 1 - clip))
                score = np.eye(theta.shape[1])[action[part]] - p[part]
                theta = theta + lr * np.einsum("n,nf,na->fa", on * good * r, obs[part], score) / len(part)
            return theta
        """,
        """
        def ppo_update(theta, obs, action, advantage, order, minibatches, lr, clip):
            net = torch.nn.Linear(theta.shape[0], theta.shape[1], bias=False)
            with torch.no_grad():
                net.weight.copy_(theta.T)
            net.to(theta.dtype)
            old = torch.distributions.Categorical(logits=net(obs)).log_prob(action).detach()
            for permutation in order:
                for batch in permutation.reshape(minibatches, -1):
                    A = advantage[batch]
                    A = (A - A.mean()) / (torch.sqrt(((A - A.mean()) ** 2).sum() / (len(A) - 1)) + 1e-8)
                    new = torch.distributions.Categorical(logits=net(obs[batch])).log_prob(action[batch])
                    r = (new - old[batch]).exp()
                    loss = -torch.min(r * A, r.clamp(1 - clip, 1 + clip) * A).mean()
                    net.zero_grad()
                    loss.backward()
                    with torch.no_grad():
                        net.weight -= lr * net.weight.grad
            return net.weight.detach().T
        """,
    ],
    "08.masked_policy": [
        """
        def masked_policy(logits, valid):
            z = torch.where(valid, logits, torch.tensor(-1e9))
            log_prob = torch.log_softmax(z, -1)
            return log_prob, -(log_prob.exp() * log_prob).sum(-1)
        """,
        """
        def masked_policy(logits, valid):
            z = logits.masked_fill(~valid, torch.finfo(logits.dtype).min)
            dist = torch.distributions.Categorical(logits=z)
            p_log_p = dist.logits * dist.probs
            return dist.logits, -torch.where(valid, p_log_p, 0.0).sum(-1)
        """,
        """
        def masked_policy(logits, valid):
            top = logits.masked_fill(~valid, -torch.inf).amax(-1, keepdim=True).detach()
            weight = (logits - top).masked_fill(~valid, -torch.inf).exp()
            total = weight.sum(-1, keepdim=True)
            shifted = (logits - top).masked_fill(~valid, 0.0)
            entropy = total.log().squeeze(-1) - (weight / total * shifted).sum(-1)
            return torch.where(valid, logits - top - total.log(), -torch.inf), entropy
        """,
        """
        def masked_policy(logits, valid):
            flat, ok = logits.reshape(-1, logits.shape[-1]), valid.reshape(-1, logits.shape[-1])
            logs, ents = [], []
            for z, m in zip(flat, ok):
                lp = z[m].log_softmax(0)
                row = torch.full_like(z, -torch.inf)
                row[m] = lp
                logs.append(row)
                ents.append(-(lp.exp() * lp).sum())
            return torch.stack(logs).reshape(logits.shape), torch.stack(ents).reshape(logits.shape[:-1])
        """,
    ],
    "08.recurrent_reset": [
        """
        def recurrent_reset(cell, obs, done, state):
            hidden = []
            for o, ended in zip(obs, done):
                hidden.append(cell(o, state))
                state = hidden[-1] * (1 - ended.float()).unsqueeze(1)
            return torch.stack(hidden, dim=0), state
        """,
        """
        def recurrent_reset(cell, obs, done, state):
            h, out = state, []
            for t in range(obs.shape[0]):
                if t > 0:
                    h = torch.where(done[t - 1][:, None], torch.zeros_like(h), h)
                h = cell(obs[t], h)
                out.append(h)
            return [torch.stack(out), torch.where(done[-1][:, None], 0.0, h)]
        """,
        """
        def recurrent_reset(cell, obs, done, state):
            keep = 1.0 - done.float()
            def go(t, h):
                if t == len(obs):
                    return [], h
                new = cell(obs[t], h)
                rest, last = go(t + 1, new * keep[t].unsqueeze(1))
                return [new] + rest, last
            outs, last = go(0, state)
            return torch.cat([o[None] for o in outs]), last
        """,
    ],
    "08.repair_loss": [
        """
        def ppo_loss(log_prob, old_log_prob, advantage, value, target, clip):
            losses = []
            for new, old, A, v, y in zip(log_prob, old_log_prob, advantage, value, target):
                A = (A - A.mean()) / (A.std() + 1e-8)
                r = (new - old).exp()
                gain = torch.min(r * A, r.clamp(1 - clip, 1 + clip) * A)
                losses.append((0.5 * (v - y) ** 2 - gain).mean())
            return torch.stack(losses)
        """,
        """
        def ppo_loss(log_prob, old_log_prob, advantage, value, target, clip):
            mean, std = advantage.mean(-1)[:, None], advantage.std(-1)[:, None]
            A, r = (advantage - mean) / (std + 1e-8), torch.exp(log_prob - old_log_prob)
            policy = -torch.minimum(r * A, torch.clip(r, 1 - clip, 1 + clip) * A).mean(-1)
            return policy + 0.5 * torch.nn.functional.mse_loss(value, target, reduction="none").mean(-1)
        """,
        """
        def ppo_loss(log_prob, old_log_prob, advantage, value, target, clip):
            mean = advantage.mean(-1)[:, None]
            std = advantage.var(-1).sqrt()[:, None]
            good = (advantage - mean) / (std + 1e-8)
            ratio = torch.exp(log_prob) / torch.exp(old_log_prob)
            gain = torch.where(good > 0, ratio.clamp(max=1 + clip) * good, ratio.clamp(min=1 - clip) * good)
            return 0.5 * ((value - target) ** 2).mean(-1) - gain.mean(-1)
        """,
    ],
    "08.predict_clip": [
        """
        def prediction():
            return {
                "outside, 1 pass": (0.01, 0.05),
                "outside, 30 passes": np.array([0.15, 0.3]),
                "growth": np.float64(9),
                "powers of ten": [1.5, 3],
            }
        """,
    ],
}
CASES = [(name, number) for name, answers in ANSWERS.items() for number in range(len(answers))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_right_answer_in_another_style_is_solved(name, number):
    scope = {}
    exec("import numpy as np\nimport torch\n" + textwrap.dedent(ANSWERS[name][number]), scope)
    for seed in range(3):
        result = Examination(EXERCISES[name], seed).judge(InProcess(scope[EXERCISES[name].entry]))
        assert {one.check.name: one.message for one in result.checks if not one.passed} == {}


SUMS_RUN_ON = "sums run on into the next episode", "sums run on behind a time limit"


@pytest.mark.parametrize("style", [*_agents.RIGHT, *SUMS_RUN_ON])
def test_episodes_that_touch_tell_who_sums_beyond_an_end(style, monkeypatch):
    """Played to the end: the threshold has room on both sides."""
    monkeypatch.setitem(agent.LEAST, "episodes apart", 2.0)  # that no share reaches
    torch.manual_seed(0)
    answer = InProcess(mutant(EXERCISES["08.agent"], (_agents.RIGHT | _agents.WRONG)[style]))
    draws = np.random.default_rng(100)
    share = agent.train(
        Player(answer), "episodes apart", agent.apart, (1, 2), draws, lambda pay, ended, ones: ones / ended, seed=7
    )
    assert share < 0.1 if style in SUMS_RUN_ON else share > 0.9


LEARNS_NOTHING = {
    "the critic is not trained": _agents.WRONG["the critic is not trained"],
    "no value loss": ("0.5 * (self.critic(obs).squeeze(-1) - target).square() - gain", "-gain"),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", LEARNS_NOTHING)
def test_a_critic_that_learns_nothing_fails_a_limit_in_one_order_of_its_values(name, seed):
    exercise = EXERCISES["08.agent"]
    (limit,) = (check for check in exercise.checks if check.name == "a limit is no end")
    answer = InProcess(mutant(exercise, LEARNS_NOTHING[name]))
    assert limit.play(Player(answer), np.random.default_rng(seed))
