"""Freezes the losses of the TRL library, which test_trl.py holds ours against; the test itself does not need it.

    pip install trl==1.16.0 && python tests/frozen/make_trl.py    # trl.npz: GRPO, RLOO, DPO, IPO, KTO, reward model
    pip install trl==1.12.0 && python tests/frozen/make_trl.py    # trl_ppo.npz: PPO, of the last release that had it

Of random tensors in float64. The trainers' own methods are called on stub objects, so that no model, data set or
accelerator is needed; where a loss is computed in the middle of a long method (advantages, weights of a mismatched
sampler, all of PPO) those lines of the installed source are executed as they stand.

A name in the files is `input/NAME`, or `CASE/value` and `CASE/slope`: what TRL says, and its gradient with respect to
the log-probabilities, values or rewards that are learned.
"""

from __future__ import annotations

import collections
import inspect
import math
import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

HERE = Path(__file__).parent
LOSSES, PPO = HERE / "trl.npz", HERE / "trl_ppo.npz"
Case = dict[str, np.ndarray]

ACCELERATOR = SimpleNamespace(
    num_processes=1, device="cpu", sync_gradients=True, gather=lambda x: x, gather_for_metrics=lambda x: x,
    reduce=lambda x, reduction=None: x,
)  # fmt: skip

# Which of GRPO's losses: (loss type, level, (ε_low, ε_high), β, KL weighted by the ratio)
GRPO = {
    **{f"{kind}-{level}": (kind, level, (0.2, 0.2), 0.04, False)
       for kind in ("grpo", "bnpo", "dr_grpo", "dapo") for level in ("token", "sequence")},
    "dapo-clip_higher": ("dapo", "token", (0.2, 0.28), 0.0, False),
    "grpo-weighted_kl": ("grpo", "token", (0.2, 0.2), 0.3, True),
    "gspo": ("grpo", "sequence", (3e-4, 4e-4), 0.0, False),
    "cispo": ("cispo", "token", (0.2, 1.1), 0.0, False),
}  # fmt: skip
ADVANTAGES = ("group", "batch", "none")
WEIGHTS = ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask")
BETA, TEMPER, MARGIN, CENTERING = 0.1, 0.3, 0.2, 0.01  # of preferences; of rewards; of the reward model


def inputs(responses: int = 8, tokens: int = 12, group: int = 4) -> dict[str, Tensor]:
    """What all cases are computed from; a stale, a learning and a reference policy, and everything in between."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    length = torch.randint(3, tokens + 1, (responses,), generator=generator)
    length[:2] = tokens  # cut at the limit, with nothing behind the last token
    new = -2 + normal(responses, tokens)
    score = normal(responses)
    score[:group] = score[0]  # a group whose scores are all equal
    return {
        "mask": (torch.arange(tokens) < length.unsqueeze(1)).double(),
        "new": new,
        "old": new + 0.3 * normal(responses, tokens),
        "ref": new + 0.5 * normal(responses, tokens),
        "advantage": normal(responses),
        "score": score,
        "value": normal(responses, tokens),
        "new_value": normal(responses, tokens),
        "reward": normal(responses),
        "whole": -20 + 3 * normal(responses),
        "ref_whole": -20 + 3 * normal(responses),
        "other": -20 + 3 * normal(responses),
        "ref_other": -21 + 3 * normal(responses),
        "label": (torch.arange(responses) % 3 > 0).double(),
        "weight": (0.4 * normal(responses, tokens)).exp(),
    }


def case(value: Tensor, learned: Tensor | None = None) -> dict[str, Tensor]:
    """A result, and its slope with respect to what is learned."""
    found = {"value": value.detach()}
    return found if learned is None else found | {"slope": torch.autograd.grad(value, learned)[0]}


def lines(method: Callable[..., Any], first: str, until: str) -> Any:
    """The compiled lines of a method's source from one that contains `first` to before one that contains `until`."""
    source = inspect.getsource(method).splitlines()
    start = next(i for i, line in enumerate(source) if first in line)
    end = next(i for i, line in enumerate(source) if i > start and until in line)
    return compile(textwrap.dedent("\n".join(source[start:end])), f"<{method.__qualname__}>", "exec")


def stub(**own: Any) -> SimpleNamespace:
    """A trainer as its loss sees it."""
    metrics = collections.defaultdict(lambda: collections.defaultdict(list))
    shared = {"model": SimpleNamespace(training=True), "accelerator": ACCELERATOR, "aux_loss_enabled": False,
              "_metrics": metrics, "_total_train_tokens": 0, "_tp_size": 1}  # fmt: skip
    return SimpleNamespace(**shared | own)


def losses() -> dict[str, dict[str, Tensor]]:
    """Every case by the installed release: TRL 1.16.

    In float64 throughout: in torch's usual precision the n/(n-1) of TRL's standard deviation, a quotient of integers,
    would be off by 1e-8.
    """
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return _losses(inputs())
    finally:
        torch.set_default_dtype(usual)


def _losses(x: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    found = {name: grpo(x, *options) for name, options in GRPO.items()}
    found["grpo-mismatch"] = grpo(x, "grpo", "token", (0.2, 0.2), 0.04, False, weight=x["weight"])
    found |= {f"advantage-{scale}": grpo_advantage(x, scale) for scale in ADVANTAGES}
    found |= {f"weight-{mode}": mismatch(x, mode) for mode in WEIGHTS}
    found |= {"rloo": rloo(x), "advantage-rloo": rloo_advantage(x)}
    found |= {name: dpo(x, loss) for name, loss in (("dpo", "sigmoid"), ("ipo", "ipo"))}
    return found | {"kto": kto(x), "reward": reward_model(x)}


def completions(x: dict[str, Tensor], **more: Tensor) -> dict[str, Tensor]:
    rows = len(x["mask"])
    prompts = {"prompt_ids": torch.zeros(rows, 2), "prompt_mask": torch.ones(rows, 2)}
    ours = {"completion_ids": torch.zeros_like(x["mask"]), "completion_mask": x["mask"], "advantages": x["advantage"]}
    return prompts | ours | more


def grpo(
    x: dict[str, Tensor], kind: str, level: str, clip: tuple[float, float], beta: float, weighted: bool,
    weight: Tensor | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    from trl import GRPOTrainer

    new = x["new"].clone().requires_grad_()
    trainer = stub(
        loss_type=kind, importance_sampling_level=level, epsilon_low=clip[0], epsilon_high=clip[1], beta=beta,
        args=SimpleNamespace(use_bias_correction_kl=weighted, delta=None, steps_per_generation=1),
        top_entropy_quantile=1.0, off_policy_mask_threshold=None, _entropy_bonus_enabled=False,
        use_vllm=weight is not None, vllm_importance_sampling_correction=weight is not None,
        current_gradient_accumulation_steps=1, max_completion_length=x["mask"].shape[1] + 4,
        _get_per_token_logps_and_entropies=lambda *_, **__: (new, torch.zeros_like(new), None),
    )  # fmt: skip
    batch = completions(
        x, old_per_token_logps=x["old"], ref_per_token_logps=x["ref"], num_items_in_batch=x["mask"].sum(),
        importance_sampling_ratio=weight,
    )  # fmt: skip
    return case(GRPOTrainer._compute_loss(trainer, None, batch), new)


def grpo_advantage(x: dict[str, Tensor], scale: str) -> dict[str, Tensor]:
    from trl import GRPOTrainer
    from trl.trainer import grpo_trainer

    method = GRPOTrainer._generate_and_score_completions
    trainer = SimpleNamespace(
        multi_objective_aggregation="sum_then_normalize", scale_rewards=scale, reward_weights=torch.ones(1).double()
    )
    scope = dict(
        vars(grpo_trainer), self=trainer, rewards_per_func=x["score"].unsqueeze(1), num_generations=4, device="cpu"
    )
    exec(lines(method, "unscorable_mask = ", "# Slice to keep only"), scope)
    return case(scope["advantages"])


def mismatch(x: dict[str, Tensor], mode: str) -> dict[str, Tensor]:
    from trl import GRPOTrainer
    from trl.trainer import grpo_trainer

    trainer = SimpleNamespace(
        use_vllm=True, vllm_importance_sampling_correction=True, vllm_importance_sampling_mode=mode,
        vllm_importance_sampling_clip_min=0.5, vllm_importance_sampling_clip_max=1.2,
    )  # fmt: skip
    scope = dict(vars(grpo_trainer), self=trainer, completion_mask=x["mask"], tool_mask=None,
                 old_per_token_logps=x["new"], sampling_per_token_logps=x["old"])  # fmt: skip
    method = GRPOTrainer._generate_and_score_completions
    exec(lines(method, "# Compute the importance sampling ratio when using vLLM", "# Compute the per-token log"), scope)
    return case(scope["vllm_importance_sampling_ratio"].expand_as(x["mask"]) * x["mask"])


def rloo(x: dict[str, Tensor]) -> dict[str, Tensor]:
    from trl import RLOOTrainer

    new = x["new"].clone().requires_grad_()
    trainer = stub(
        epsilon_low=0.2, epsilon_high=0.2,
        _get_per_token_logps_and_entropies=lambda *_, **__: (new, torch.zeros_like(new), None),
    )  # fmt: skip
    batch = completions(x, old_logps=(x["old"] * x["mask"]).sum(1))
    return case(RLOOTrainer._compute_loss(trainer, None, batch), new)


def rloo_advantage(x: dict[str, Tensor]) -> dict[str, Tensor]:
    from trl import RLOOTrainer
    from trl.trainer import rloo_trainer

    trainer = SimpleNamespace(
        reward_weights=torch.ones(1).double(), reward_clip_range=None, beta=TEMPER, normalize_advantages=False
    )
    scope = dict(
        vars(rloo_trainer), self=trainer, rewards_per_func=x["score"].unsqueeze(1), num_generations=4, device="cpu",
        old_per_token_logps=x["old"], ref_per_token_logps=x["ref"], completion_mask=x["mask"], gather=lambda kl: kl,
    )  # fmt: skip
    exec(lines(RLOOTrainer._generate_and_score_completions, "unscorable_mask = ", "# Slice to keep only"), scope)
    return case(scope["advantages"])


def outputs(log_prob: Tensor) -> SimpleNamespace:
    """What a model says of tokens, as far as the losses of preferences look at it."""
    zero = torch.zeros_like(log_prob).detach()
    return SimpleNamespace(
        log_probs=log_prob, loss=None, aux_loss=None, entropy=zero, mean_logits=zero, is_top1=zero.bool()
    )


def dpo(x: dict[str, Tensor], loss: str) -> dict[str, Tensor]:
    """The first half of the responses is chosen, the second rejected."""
    from trl import DPOTrainer

    new = (x["new"] * x["mask"]).requires_grad_()
    chosen, rejected = x["ref_whole"].chunk(2)
    trainer = stub(
        ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl", loss_types=[loss], loss_weights=[1.0],
        beta=BETA, use_weighting=False, label_smoothing=0.0, args=SimpleNamespace(),
    )  # fmt: skip
    behind_a_prompt = torch.cat([torch.zeros_like(x["mask"][:, :1]), x["mask"]], 1).long()
    batch = {
        "input_ids": torch.zeros_like(behind_a_prompt), "attention_mask": torch.ones_like(behind_a_prompt),
        "completion_mask": behind_a_prompt, "ref_chosen_logps": chosen, "ref_rejected_logps": rejected,
    }  # fmt: skip
    return case(DPOTrainer._compute_loss(trainer, lambda **_: outputs(new), batch, False), new)


def kto(x: dict[str, Tensor]) -> dict[str, Tensor]:
    from trl import KTOTrainer

    new = (x["new"] * x["mask"]).requires_grad_()
    trainer = stub(
        calculate_KL=True, precompute_ref_logps=True, loss_type="kto", beta=BETA, desirable_weight=1.0,
        undesirable_weight=1.5, _compute_kl_logps=lambda *_: x["other"], args=SimpleNamespace(),
    )  # fmt: skip
    behind_a_prompt = torch.cat([torch.zeros_like(x["mask"][:, :1]), x["mask"]], 1).long()
    batch = {
        "input_ids": torch.zeros_like(behind_a_prompt), "attention_mask": torch.ones_like(behind_a_prompt),
        "completion_mask": behind_a_prompt, "label": x["label"].bool(), "ref_logps": x["ref_whole"],
        "ref_KL_logps": x["ref_other"],
    }  # fmt: skip
    return case(KTOTrainer._compute_loss(trainer, lambda **_: outputs(new), batch, False), new)


def reward_model(x: dict[str, Tensor]) -> dict[str, Tensor]:
    """The first half of the rewards belongs to chosen responses, the second to rejected ones."""
    from trl import RewardTrainer

    reward = x["reward"].clone().requires_grad_()
    trainer = stub(args=SimpleNamespace(center_rewards_coefficient=CENTERING))
    batch = {"attention_mask": torch.ones(len(reward), 3), "margin": MARGIN}

    def model(**_: Any) -> SimpleNamespace:
        return SimpleNamespace(logits=reward.unsqueeze(1))

    return case(RewardTrainer.compute_loss(trainer, model, batch), reward)


def ppo() -> dict[str, dict[str, Tensor]]:
    """Rewards, advantages and both losses of PPO by the installed release: TRL 1.12."""
    from trl.experimental.ppo import ppo_trainer

    x, method = inputs(), ppo_trainer.PPOTrainer.train
    tokens = x["mask"].shape[1]
    length = x["mask"].sum(1).long()
    padding, padding_p1 = (torch.arange(tokens) >= (length + behind).unsqueeze(1) for behind in (0, 1))
    found = {}
    for estimator in ("k1", "k3"):
        args = SimpleNamespace(
            kl_estimator=estimator, kl_coef=TEMPER, whiten_rewards=False, gamma=0.97, lam=0.9, cliprange=0.2,
            cliprange_value=0.2,
        )  # fmt: skip
        scope = dict(
            vars(ppo_trainer), args=args, scores=x["score"], sequence_lengths=length - 1, sequence_lengths_p1=length,
            logprobs=x["old"].masked_fill(padding, 1.0), ref_logprobs=x["ref"].masked_fill(padding, 1.0),
            values=x["value"].masked_fill(padding_p1, 0.0), padding_mask=padding, padding_mask_p1=padding_p1,
            responses=x["mask"],
        )  # fmt: skip
        exec(lines(method, "# 4. compute rewards", "advantages = masked_whiten("), scope)
        found[f"rewards-{estimator}"] = case(scope["rewards"])
        found[f"gae-{estimator}"] = case(scope["advantages"] * ~padding)
    exec(lines(method, "advantages = masked_whiten(", "empty_cache()"), scope)
    found["whitened"] = case(scope["advantages"])
    new, value = x["new"].clone().requires_grad_(), x["new_value"].clone().requires_grad_()
    scope |= {
        "mb_advantage": scope["advantages"], "mb_logprobs": scope["logprobs"], "mb_return": scope["returns"],
        "mb_values": scope["values"], "micro_batch_inds": slice(None),
        "new_logprobs": new.masked_fill(padding, 1.0), "vpred": value.masked_fill(padding_p1, 0.0),
    }  # fmt: skip
    exec(lines(method, "vpredclipped = torch.clamp(", "vf_clipfrac = masked_mean("), scope)
    exec(lines(method, "logprobs_diff = ", "loss = pg_loss + "), scope)
    exec(lines(method, "pg_clipfrac = masked_mean(", "prob_dist = "), scope)
    found["policy"] = case(scope["pg_loss"], new)
    found["critic"] = case(scope["vf_loss"], value)
    found["clip_fraction"] = case(scope["pg_clipfrac"])
    return found


def flat(cases: dict[str, dict[str, Tensor]]) -> Iterator[tuple[str, np.ndarray]]:
    """What stands in a file."""
    yield from ((f"{name}/{part}", x.numpy()) for name, parts in cases.items() for part, x in parts.items())


def main() -> None:
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    import trl

    release = tuple(int(part) for part in trl.__version__.split(".")[:2])
    path, cases = (PPO, ppo()) if release == (1, 12) else (LOSSES, losses())
    assert all(math.isfinite(x.sum().item()) for parts in cases.values() for x in parts.values())
    np.savez_compressed(path, trl=trl.__version__, **dict(flat({"input": inputs()})), **dict(flat(cases)))
    print(f"{path.name}: {len(cases)} cases of TRL {trl.__version__}, {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
