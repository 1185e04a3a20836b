"""Objectives, advantages and losses against the TRL library, to 1e-12 in value and slope; make_trl.py froze them.

TRL's tensors are [response, token], ours [seed, response, token]: one seed here.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from pgcourse.rl import group_advantage, policy_log_ratio, standardized, token_gae, token_reward
from pgcourse.rl.divergences import ESTIMATORS, kl_loss
from pgcourse.rl.objectives import (
    clip_binds,
    clipped_surrogate,
    clipped_value_loss,
    masked_mean,
    mismatch_weight,
    truncated_score_function,
)
from pgcourse.rl.preference_losses import bradley_terry_loss, dpo_loss, ipo_loss, kto_loss, kto_reference
from pgcourse.rl.tokens import aggregated

HERE = Path(__file__).parent
FROZEN = {name: dict(np.load(HERE / f"{name}.npz")) for name in ("trl", "trl_ppo")}
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def names(file):
    return sorted({name.rpartition("/")[0] for name in FROZEN[file] if "/" in name and not name.startswith("input/")})


class Given:
    """The inputs of one file, with a seed's axis in front; `learned` is what a slope is taken of."""

    def __init__(self, file):
        given = {name.removeprefix("input/"): x for name, x in FROZEN[file].items() if name.startswith("input/")}
        self.__dict__ |= {name: torch.from_numpy(x).unsqueeze(0) for name, x in given.items()}
        self.mask, self.label = self.mask.bool(), self.label.bool()
        self.tokens = self.mask.shape[2]
        self.learned = self.new

    def learn(self, x):
        self.learned = x.clone().requires_grad_()
        return self.learned


# From TRL's words to ours: how it sums, and its limit of a response's length, which is four more than the longest.
AGGREGATION = {"grpo": "sequence", "bnpo": "token", "dapo": "token", "dr_grpo": "constant", "cispo": "token"}


def grpo(g, kind, level="token", clip=(0.2, 0.2), beta=0.04, weighted=False, weight=1.0):
    new = g.learn(g.new)
    log_ratio = policy_log_ratio(new, g.old, g.mask, level)
    ratio, advantage = log_ratio.exp(), g.advantage.unsqueeze(-1)
    if kind == "cispo":
        gain = truncated_score_function(new, ratio, advantage, clip[1])
    else:
        gain = clipped_surrogate(ratio, advantage, *clip)
    kl = kl_loss(new, g.ref, "k3", ratio if weighted else None)
    return aggregated(-gain * weight + beta * kl, g.mask, AGGREGATION[kind], longest=g.tokens + 4)


def group_scores(g, score, **options):
    return group_advantage(score.view(1, 2, 4), **options).flatten()


def weight(g, level, correction):
    log_ratio = policy_log_ratio(g.new, g.old, g.mask, level)
    return mismatch_weight(log_ratio, correction, high=1.2, low=0.5)[0] * g.mask[0]


def whole(g):
    """log-probabilities of responses, of learned tokens."""
    return g.learn(g.new.where(g.mask, 0.0)).sum(2)


def halves(g):
    """Chosen and rejected, and the reference's of both."""
    return (*whole(g).chunk(2, 1), *g.ref_whole.chunk(2, 1))


def ipo(g):
    """TRL divides every log-probability by the response's length."""
    chosen, rejected = g.mask.sum(2).chunk(2, 1)
    return ipo_loss(*(x / n for x, n in zip(halves(g), (chosen, rejected) * 2, strict=True)), beta=0.1).mean()


OURS = {
    **{
        f"{kind}-{level}": lambda g, kind=kind, level=level: grpo(g, kind, level)
        for kind in ("grpo", "bnpo", "dr_grpo", "dapo")
        for level in ("token", "sequence")
    },
    "dapo-clip_higher": lambda g: grpo(g, "dapo", clip=(0.2, 0.28), beta=0.0),
    "grpo-weighted_kl": lambda g: grpo(g, "grpo", beta=0.3, weighted=True),
    "gspo": lambda g: grpo(g, "grpo", "sequence", clip=(3e-4, 4e-4), beta=0.0),
    "cispo": lambda g: grpo(g, "cispo", clip=(0.2, 1.1), beta=0.0),
    "grpo-mismatch": lambda g: grpo(g, "grpo", weight=g.weight),
    "rloo": lambda g: (
        -aggregated(
            clipped_surrogate(
                policy_log_ratio(g.learn(g.new), g.old, g.mask, "product").exp(), g.advantage.unsqueeze(-1), 0.2
            ),
            g.mask,
            "sequence",
        )
    ),
    **{
        f"advantage-{scale}": lambda g, scale=scale: group_scores(g, g.score, baseline="group", scale=scale)
        for scale in ("group", "batch", "none")
    },
    "advantage-rloo": lambda g: group_scores(g, token_reward(g.score, g.old - g.ref, g.mask, 0.3).sum(2)),
    **{
        f"weight-{level}_{cut}": lambda g, level=level, cut=cut: weight(
            g, "product" if level == "sequence" else level, {"truncate": "truncated", "mask": "masked"}[cut]
        )
        for level in ("token", "sequence")
        for cut in ("truncate", "mask")
    },
    "dpo": lambda g: dpo_loss(*halves(g), beta=0.1).mean(),
    "ipo": ipo,
    "kto": lambda g: kto_loss(
        whole(g), g.ref_whole, g.label, kto_reference(g.other, g.ref_other), 0.1, undesirable_weight=1.5
    ).mean(),
    "reward": lambda g: bradley_terry_loss(*g.learn(g.reward).chunk(2, 1), margin=0.2, centering=0.01).mean(),
}


# TRL's PPO puts the score behind the end-of-sequence token, on the first of the padding, where the critic is asked once
# more. In our terms that is an episode of one step more, in which the last one costs no divergence.


def one_more(g):
    """The mask with one token more for every response that is not cut at the limit."""
    return g.mask | torch.cat([torch.ones_like(g.mask[..., :1]), g.mask[..., :-1]], 2)


def ppo_reward(g, estimator):
    kl = ESTIMATORS[estimator](g.old, g.ref).where(g.mask, 0.0)
    return token_reward(g.score, kl, one_more(g), beta=0.3)


def ppo_advantage(g, estimator):
    return token_gae(ppo_reward(g, estimator), g.value, one_more(g), gamma=0.97, lam=0.9)


def trl_whitened(g):
    return torch.from_numpy(FROZEN["trl_ppo"]["whitened/value"]).unsqueeze(0)


def ppo_ratio(g):
    return policy_log_ratio(g.learn(g.new), g.old, g.mask).exp()


def critic(g):
    target = (ppo_advantage(g, "k3") + g.value).where(one_more(g), 0.0)
    return masked_mean(clipped_value_loss(g.learn(g.new_value), g.value, target, 0.2), one_more(g))


OURS_PPO = {
    **{f"rewards-{k}": lambda g, k=k: ppo_reward(g, k)[0] for k in ("k1", "k3")},
    **{f"gae-{k}": lambda g, k=k: ppo_advantage(g, k)[0] * g.mask[0] for k in ("k1", "k3")},
    "whitened": lambda g: standardized(ppo_advantage(g, "k3"), g.mask)[0],
    "policy": lambda g: -masked_mean(clipped_surrogate(ppo_ratio(g), trl_whitened(g), 0.2), g.mask),
    "critic": critic,
    "clip_fraction": lambda g: masked_mean(clip_binds(ppo_ratio(g), trl_whitened(g), 0.2).double(), g.mask),
}


def agree(file, name, ours, **tolerance):
    g, frozen = Given(file), FROZEN[file]
    value = ours(g)
    wanted = torch.from_numpy(frozen[f"{name}/value"]).double()
    torch.testing.assert_close(value.reshape(wanted.shape), wanted, **tolerance)
    assert wanted.abs().max() > 1e-3  # something was frozen
    if f"{name}/slope" in frozen:
        (slope,) = torch.autograd.grad(value.sum(), g.learned)
        wanted = torch.from_numpy(frozen[f"{name}/slope"])
        torch.testing.assert_close(slope[0], wanted, **tolerance)
        assert wanted.abs().max() > 1e-3


@pytest.mark.parametrize("name", names("trl"))
def test_losses_are_those_of_trl(name):
    agree("trl", name, OURS[name], **EXACT)


@pytest.mark.parametrize("name", names("trl_ppo"))
def test_ppo_is_that_of_trl(name):
    """Two to 1e-7 alone: TRL whitens by √(σ² + 1e-8), CartPole's function by σ + 1e-8; and it counts in float32."""
    rough = name in ("whitened", "clip_fraction")
    agree("trl_ppo", name, OURS_PPO[name], **({"rtol": 0, "atol": 1e-7} if rough else EXACT))


def test_everything_that_was_frozen_is_compared():
    assert names("trl") == sorted(OURS)
    assert names("trl_ppo") == sorted(OURS_PPO)
    assert (str(FROZEN["trl"]["trl"]), str(FROZEN["trl_ppo"]["trl"])) == ("1.16.0", "1.12.0")


@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="needs the TRL library")
def test_the_installed_trl_still_says_what_was_frozen():
    import make_trl

    for name, parts in make_trl.losses().items():
        for part, x in parts.items():
            np.testing.assert_allclose(x, FROZEN["trl"][f"{name}/{part}"], rtol=1e-12, atol=1e-12)
