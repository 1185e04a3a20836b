"""Makes logs.csv, the runs of `10.logs`: python -m pgcourse.exercises.ch10._runs (minutes)."""

import __future__

import inspect
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.algorithms import iterate
from pgcourse.core import Streams
from pgcourse.lab.reviews import language_critic, language_policy, reward_model
from pgcourse.rl import groups
from pgcourse.rlhf import trainer
from pgcourse.rlhf.corpus import LIKED, TOKENS, WARM, WORDS
from pgcourse.rlhf.writing import Writing

FILE = Path(__file__).with_name("logs.csv")
ITERATIONS, SEEDS = 12, (0, 1)
LIMIT = 16  # tokens of a response, so that many are cut at first
COLUMNS = ["proxy", "kl", "paid", "entropy", "tokens", "finished", "unique", "group_std", "silent_groups"]
COLUMNS += ["clip_fraction", "largest_ratio", "update_kl", "grad_norm", "gold"]

Edit = tuple[str, str]  # of the trainer's source: old, new
# The trainer is made to log what a response pays for the KL, in its reward and in the loss together.
LOGGED: list[Edit] = [
    ("token_reward(score, kl, mask, in_reward,", "token_reward(score, noted(in_reward * kl, mask, True), mask, 1.0,"),
    (
        "self.beta * kl_loss(log_prob, part.ref_log_prob, self.kl, weight)",
        "noted(self.beta * kl_loss(log_prob, part.ref_log_prob, self.kl, weight), part.mask)",
    ),
]


def warm(prompt: Tensor, response: Tensor) -> Tensor:
    """A checker: 1 for a response with two warm words or more, ended or not, and 0.1 for any other."""
    words = torch.tensor([TOKENS[word] for word in (*WARM, *LIKED)])
    return torch.where(torch.isin(response, words).sum(-1) >= 2, 1.0, 0.1)


def constant(prompt: Tensor, response: Tensor) -> Tensor:
    """A checker that finds no response right, cut or not."""
    return torch.full(response.shape[:-1], 0.1)


class ShortReviews(Writing):
    """The course's world, with a limit that many responses meet."""

    action_space = spaces.MultiDiscrete([len(WORDS)] * LIMIT)

    def __init__(self, envs: int = 1, *, judge: Any, **placed: Any) -> None:
        policy = replace(language_policy(), longest=LIMIT)
        super().__init__(envs, judge=judge or reward_model(), policy=policy, critic=language_critic(), **placed)


class Edited(NamedTuple):
    """An algorithm, and what judges the responses: None is the seed's reward model."""

    algorithm: Any
    notes: list[Tensor]  # of the last update, what was paid for the KL: in the reward, and in each loss, [seed]
    judge: Any
    seeds: tuple[int, ...]

    def rows(self, seed: int, iterations: int = ITERATIONS) -> Iterator[dict[str, float]]:
        """The metrics of each iteration."""
        world = partial(ShortReviews, judge=self.judge)
        for it in islice(iterate(self.algorithm, world, Streams([seed])), iterations):
            reward, *losses = self.notes
            metrics = it.metrics._asdict() | {"paid": reward + sum(losses) / max(len(losses), 1)}
            yield {"seed": seed, "iteration": it.number} | {name: metrics[name].item() for name in COLUMNS}


def run(*edits: Edit, judge: Any = None, seeds: tuple[int, ...] = SEEDS, **options: Any) -> Edited:
    """The course's trainer with edits of its own source. Raises ValueError where one does not fit exactly once."""
    source = inspect.getsource(groups.group_advantage) + "\n\n" + inspect.getsource(trainer.RLHF)
    for old, new in (*LOGGED, *edits):
        if (count := source.count(old)) != 1:
            raise ValueError(f"stands {count} times in the trainer: {old!r}")
        source = source.replace(old, new)
    notes: list[Tensor] = []

    def noted(x: Tensor, mask: Tensor, first: bool = False) -> Tensor:
        if first:
            notes.clear()
        notes.append(x.detach().where(mask, 0.0).sum(-1).mean(1))
        return x

    scope = vars(groups) | vars(trainer) | {"noted": noted}
    exec(compile(source, "<an edited trainer>", "exec", __future__.annotations.compiler_flag, True), scope)
    return Edited(scope["RLHF"](**options), notes, judge, seeds)


PPO: dict[str, Any] = {"envs": 64, "epochs": 4, "lr": 5e-4}
GRPO: dict[str, Any] = PPO | {"baseline": "group", "scale": "group", "aggregate": "sequence", "beta": 0.0}
IN_LOSS = "kl_loss(log_prob, part.ref_log_prob, self.kl, weight)"

OTHERS = """torch.stack(
            [torch.cat([in_group[..., :i], in_group[..., i + 1 :]], 2).std(2) for i in range(responses)], 2
        ) if scale == "group\""""

RUNS: dict[str, Edited] = {
    "healthy PPO": run(**PPO, seeds=(0, 1, 2)),
    "nothing": run(**PPO, seeds=(3, 4)),
    "no clip": run(**PPO, clip=inf, clip_high=inf),
    "no KL": run(**PPO, beta=0.0),
    "KL term without gradient": run((IN_LOSS, f"{IN_LOSS}.detach()"), **PPO, kl="k3"),
    "k3 with the ratio inverted": run(
        (IN_LOSS, "kl_loss(part.ref_log_prob, log_prob, self.kl, weight)"), **PPO, kl="k3"
    ),
    "KL with the wrong sign": run(
        ("k1(own.log_prob, reference.log_prob)", "k1(reference.log_prob, own.log_prob)"), **PPO
    ),
    "KL counted twice": run(
        ('if self.kl != "reward" and self.beta', "if self.beta"), ("self.kl, weight)", '"k2", weight)'), **PPO
    ),
    "padding counted": run(
        ("mask = response != policy.pad", "mask = torch.ones_like(response, dtype=torch.bool)"),
        ("k1(own.log_prob, reference.log_prob)", "k1(own.log_prob, reference.log_prob).where(response > 0, 0.0)"),
        **PPO,
    ),
    "ratio of whole responses": run(**PPO, ratio="product"),
    "clip fraction counts the inside": run(
        (
            "outside = (ratio > 1 + self.clip_high) | (ratio < 1 - self.clip)",
            "outside = (ratio < 1 + self.clip_high) & (ratio > 1 - self.clip)",
        ),
        **PPO,
    ),
    "healthy GRPO": run(**GRPO, judge=warm, seeds=(0, 1, 2)),
    "no price of unfinished responses": run(**GRPO, judge=warm, eos_penalty=0.0),
    "divided by the others' deviation": run(
        ('in_group.std(2, keepdim=True) if scale == "group"', OTHERS),
        ("eps: float = 1e-4", "eps: float = 1e-6"),
        judge=warm,
        **GRPO | {"baseline": "leave_one_out"},
    ),
    "rounding divided by rounding": run(
        ("score - score[:, :1, :1], score - score[..., :1]", "score, score"),
        ("eps: float = 1e-4", "eps: float = 1e-8"),
        **GRPO,
        judge=constant,
        eos_penalty=0.0,
    ),
    "a constant reward": run(**GRPO, judge=constant, eos_penalty=0.0),
}


def main() -> None:
    tables = [pd.DataFrame(one.rows(seed)).assign(run=name) for name, one in RUNS.items() for seed in one.seeds]
    pd.concat(tables)[["run", "seed", "iteration", *COLUMNS]].to_csv(FILE, index=False, float_format="%.3g")


if __name__ == "__main__":
    main()
