"""The one update of all algorithms: against numbers by hand, equalities between algorithms, and what it must learn."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pgcourse.algorithms import PPO, iterate
from pgcourse.core import Streams
from pgcourse.rl import Trajectory
from pgcourse.rlhf import RLHF, VARIANTS, Writing, prompts, trainer
from pgcourse.rlhf.corpus import EOS

F64 = torch.float64
TINY = {"envs": 16, "group": 4, "epochs": 1, "minibatches": 1}


def early(prompt, response):
    """A judge whose reward is easily learned: the part of the places that a word of the alphabet's first half takes."""
    return ((response < 50) & (response > EOS)).double().mean(-1)


@pytest.fixture(scope="module")
def short(policy):
    """A policy that writes no more than ten words."""
    return replace(policy, longest=10)


@pytest.fixture
def started(short, critic):
    """A state and a batch of an algorithm, in float64."""

    def start(algorithm, judge=early, seeds=2):
        streams = Streams(seeds, dtype=F64)
        env = Writing(algorithm.envs, judge=judge, policy=short, critic=critic, group=4, dtype=F64)
        state = algorithm.init(short, critic, streams.child("init"))
        prompt = env.reset(streams)
        response = short(state.theta, prompt).sample(short.noise(streams, algorithm.envs))
        step = env.step(response, env.noise(streams, 1)[:, 0])
        columns = (prompt, response, step.reward, step.next_obs, step.terminated, step.truncated)
        batch = Trajectory(*(x.unsqueeze(1) for x in columns), mask=torch.ones_like(step.terminated).unsqueeze(1))
        return state, batch

    return start


def gradient_of(algorithm, state, batch, theta=None):
    written, _ = algorithm.written(state, batch)
    theta = (state.theta if theta is None else theta).clone().requires_grad_()
    loss, _ = algorithm.loss(state.policy, theta, written)
    return loss.detach(), torch.autograd.grad(loss.sum(), theta)[0]


def moved(state, by=0.02):
    """θ a little away from where the responses were written."""
    return state.theta + by * Streams(len(state.theta), dtype=F64).child("moved").normal(state.theta.shape[1])


def same(one, other, factor=1.0):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, factor * b, rtol=1e-10, atol=1e-12)


def test_leave_one_out_is_the_groups_mean_times_g_over_g_minus_1(started):
    plain = RLHF(**TINY, baseline="group", scale="none", aggregate="sequence", beta=0.0, clip=0.2)
    state, batch = started(plain)
    rloo = replace(plain, baseline="leave_one_out")
    same(gradient_of(rloo, state, batch, moved(state)), gradient_of(plain, state, batch, moved(state)), 4 / 3)


def test_gspo_is_grpo_with_means_over_sequences_at_the_first_update(started):
    grpo = replace(VARIANTS["GRPO"], **TINY, beta=0.0)
    state, batch = started(grpo)
    gspo = replace(grpo, ratio="sequence")
    same(gradient_of(gspo, state, batch), gradient_of(grpo, state, batch))
    with pytest.raises(AssertionError):  # and only there
        same(gradient_of(gspo, state, batch, moved(state)), gradient_of(grpo, state, batch, moved(state)))


def test_aggregations_agree_where_lengths_are_equal(started):
    dapo = replace(VARIANTS["DAPO"], **TINY)
    state, batch = started(dapo)
    batch.action[...] = batch.action.where(batch.action != EOS, 5).where(batch.action != 0, 5)  # nobody ends
    losses = [gradient_of(replace(dapo, aggregate=by), state, batch) for by in ("token", "sequence", "constant")]
    same(losses[0], losses[1])
    same(losses[0], losses[2])


def test_a_constant_reward_trains_nothing(started):
    def constant(prompt, response):
        return torch.full(response.shape[:2], 0.3, dtype=F64)

    for name in ("GRPO", "RLOO", "Dr. GRPO", "DAPO", "GSPO", "CISPO", "REINFORCE++"):
        algorithm = replace(VARIANTS[name], **TINY, beta=0.0, eos_penalty=0.0)
        state, batch = started(algorithm, constant)
        _, gradient = gradient_of(algorithm, state, batch)
        assert not gradient.any(), name


def test_the_kl_in_the_reward_is_paid_by_the_token(started):
    """PPO without critic noise: with λ = 1 and v = 0 the first token's advantage is the whole response's return."""
    ppo = RLHF(**TINY, scale="none", lam=1.0, beta=0.25)
    state, batch = started(ppo)
    state = state._replace(reference=moved(state, 0.1))
    written, _ = ppo.written(state, batch)
    score = batch.reward.flatten(1, 2) - (~(written.response == EOS).any(-1)).double()
    d = (written.log_prob - written.ref_log_prob).where(written.mask, 0.0)
    torch.testing.assert_close(written.advantage[..., 0], score - 0.25 * d.sum(-1))
    second = written.mask[..., 1]
    torch.testing.assert_close(written.advantage[..., 1][second], (score - 0.25 * d[..., 1:].sum(-1))[second])
    torch.testing.assert_close(written.target, written.advantage)


@pytest.mark.parametrize("name", VARIANTS)
def test_an_update_is_pure_and_seeds_are_apart(name, started):
    algorithm = replace(VARIANTS[name], envs=16, group=4, minibatches=2)
    state, batch = started(algorithm)
    before = state.theta.clone()
    streams = Streams(2, dtype=F64).child("update")
    after, metrics = algorithm.update(state, batch, 0.0, streams)
    assert torch.equal(state.theta, before)
    assert (after.theta != before).any(1).all()
    assert torch.equal(after.reference, before)
    columns = {name: value for name, value in metrics._asdict().items() if value is not None}
    assert all(value.shape == (2,) and value.isfinite().all() for value in columns.values()), columns
    assert ("value_loss" in columns) == (algorithm.baseline == "critic")
    one = Streams([1], dtype=F64).child("update")
    alone_state = state._replace(
        theta=state.theta[1:], phi=state.phi[1:], reference=state.reference[1:],
        theta_adam=type(state.theta_adam)(*(x[1:] for x in state.theta_adam)),
        phi_adam=type(state.phi_adam)(*(x[1:] for x in state.phi_adam)),
    )  # fmt: skip
    alone_batch = Trajectory(*(getattr(batch, field)[1:] for field in Trajectory.__dataclass_fields__))
    alone, _ = algorithm.update(alone_state, alone_batch, 0.0, one)
    torch.testing.assert_close(alone.theta[0], after.theta[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_algorithm_learns_what_the_judge_values(name, short, critic):
    """What the judge likes is written more often after a few updates, by a model to which all words were alike."""
    short = replace(short, start=short.start / 20)
    ratio = VARIANTS[name].ratio
    wide = {"clip": 0.05, "clip_high": 0.05} if ratio == "sequence" else {}
    algorithm = replace(VARIANTS[name], envs=64, group=8, minibatches=2, lr=1e-2, beta=0.0, eos_penalty=0.0, **wide)
    env = Writing(64, judge=lambda p, y: early(p, y).float(), policy=short, critic=critic)
    scores = torch.stack(
        [it.metrics.proxy for it in iterate(algorithm, env, Streams(1), 64 * 8, policy=short, critic=critic)]
    )
    assert (scores[-3:].mean(0) > scores[:2].mean(0) + 0.1).all(), scores


def test_diagnostics_count_tokens_and_not_padding(started):
    algorithm = RLHF(**TINY)
    state, batch = started(algorithm)
    state = state._replace(reference=moved(state, 0.1))
    written, found = algorithm.written(state, batch)
    policy = state.policy
    for seed in range(2):
        kls, entropies = [], []
        for row in range(16):
            tokens = written.mask[seed, row].sum()
            ids = torch.cat([written.prompt[seed, row], written.response[seed, row, :tokens]])[None, None]
            p, q = (
                policy.allowed(policy.network(theta[seed : seed + 1], ids))[0, 0, 2:-1].softmax(-1)
                for theta in (state.theta, state.reference)
            )
            kls.append((p * (p / q).log().nan_to_num()).sum())
            entropies.append(-(p * p.log().nan_to_num(neginf=0)).sum(-1))
        torch.testing.assert_close(found.kl[seed], torch.stack(kls).mean())
        torch.testing.assert_close(found.entropy[seed], torch.cat(entropies).mean())
    texts = [tuple(row) for row in written.response[0].tolist()]
    assert found.unique[0].item() == len(set(texts)) / 16
    assert found.finished[0].item() == sum(EOS in row for row in texts) / 16


def test_cartpole_and_the_language_model_call_the_same_functions(started, monkeypatch):
    """GAE, the clipped surrogate, standardisation and the masked mean: one function each, called by both."""
    from pgcourse.algorithms import ppo
    from pgcourse.rl import advantages, objectives, tokens

    calls = []

    def counted(function):
        def call(*args, **kwargs):
            calls.append((function.__name__, side))
            return function(*args, **kwargs)

        return call

    gae, surrogate = advantages.gae, objectives.clipped_surrogate
    for module in (advantages, tokens):
        monkeypatch.setattr(module, "gae", counted(gae))
    for module in (objectives, trainer):  # PPO's dual clip calls it in its own module
        monkeypatch.setattr(module, "clipped_surrogate", counted(surrogate))
    for module in (ppo, trainer):
        monkeypatch.setattr(module, "standardized", counted(advantages.standardized))
    monkeypatch.setitem(ppo.NORMALISATIONS, "batch", (lambda x: ppo.standardized(x), lambda x: x))
    side = "cartpole"
    next(
        iterate(PPO(envs=2, horizon=8, epochs=1, minibatches=1, normalize_advantage="batch"), "CartPole-v1", Streams(1))
    )
    side = "language"
    algorithm = RLHF(**TINY)
    state, batch = started(algorithm)
    algorithm.update(state, batch, 0.0, Streams(2, dtype=F64))
    names = {"gae", "clipped_surrogate", "standardized"}
    assert set(calls) == {(name, side) for name in names for side in ("cartpole", "language")}


def test_the_studies_algorithms_are_the_variants():
    declared = tomllib.loads((Path(__file__).parents[2] / "results/rlhf-algorithms/study.toml").read_text("utf-8"))
    own = {name: RLHF(**options) for name, options in declared["variants"].items()}
    repaired = own.pop("GRPO, KL in the reward")
    assert own == {
        name: replace(value, beta=0.1, kl=value.kl if value.beta else "k3")
        for name, value in VARIANTS.items()
        if name != "PPO"
    }
    assert repaired == replace(VARIANTS["GRPO"], kl="reward")


def test_what_makes_no_sense_is_refused(started, policy, critic):
    with pytest.raises(ValueError, match="must divide envs = 256, got 7 and 4"):
        RLHF(group=7)
    with pytest.raises(ValueError, match="group must be 2 or more, got 1"):
        RLHF(group=1, baseline="group")
    with pytest.raises(ValueError, match=r"scale must be batch or none with baseline = 'critic'.*, got 'group'"):
        RLHF(scale="group")
    with pytest.raises(ValueError, match=r"baseline must be one of critic, .*, got 'mean'"):
        RLHF(baseline="mean")
    algorithm = RLHF(envs=16, group=8, minibatches=1, baseline="group", scale="none")
    state, batch = started(algorithm)
    batch.obs[:, :, 0] = prompts(torch.tensor([[0.99], [0.99]]))
    with pytest.raises(ValueError, match="make it with group=8"):
        algorithm.update(state, batch, 0.0, Streams(2, dtype=F64))
