"""Where an iteration of PPO on a language model spends its CPU time, and what cached generation saves.

    python -m benchmarks.rlhf_iteration
    python -m benchmarks.rlhf_iteration --large --json benchmarks/rlhf_iteration.json

Medians of `--rounds` in CPU seconds of this process, one thread. *Uncached* generation reads everything anew for each
token; both write the longest responses there are. `--large` times a model of a million parameters as well, once.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pgcourse.algorithms.acting import rollout
from pgcourse.core import Streams
from pgcourse.lab import machine
from pgcourse.rlhf import (
    GPT,
    LONGEST,
    PROMPT,
    RLHF,
    WORDS,
    LanguageCritic,
    LanguagePolicy,
    ScalarHead,
    Writing,
    prompts,
)
from pgcourse.rlhf.pretraining import REVIEWERS

LARGE = GPT(len(WORDS), PROMPT + LONGEST, width=160, layers=3, heads=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {f"{REVIEWERS.size:,} parameters": measured(REVIEWERS, options.rounds)}
    if options.large:
        found[f"{LARGE.size:,} parameters"] = measured(LARGE, 1)
    for model, numbers in found.items():
        print(model)
        for name, value in numbers.items():
            print(f"  {name:38} {value:10.3f}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "models": found}, indent=1) + "\n", encoding="utf-8")


def measured(model: GPT, rounds: int) -> dict[str, float]:
    streams = Streams(1)
    theta = model.init(streams)
    head = ScalarHead(model)
    policy = LanguagePolicy(model, theta[0])
    critic = LanguageCritic(head, head.on(theta)[0])
    ppo = RLHF()
    world = Writing(ppo.envs, judge=lambda prompt, response: response.float().mean(-1), policy=policy, critic=critic)
    state = ppo.init(policy, critic, streams)
    obs = world.reset(streams)
    batch, _ = rollout(policy, theta, world, obs, 1, streams)
    endless = replace(policy, eos=-1)  # nobody ends: every response is as long as can be
    prompt, noise = prompts(streams.uniform(ppo.envs)), policy.noise(streams, ppo.envs)
    seconds = {
        "generation": median(rounds, lambda: rollout(policy, theta, world, obs, 1, streams)),
        "scoring: policy, reference, values": median(rounds, lambda: ppo.written(state, batch)),
        "whole update, scoring included": median(rounds, lambda: ppo.update(state, batch, 0.0, streams)),
        "longest generation, cached": median(rounds, lambda: endless(theta, prompt).sample(noise)),
        "longest generation, uncached": median(1, lambda: uncached(endless, theta, prompt, noise)),
    }
    passes = seconds["whole update, scoring included"] - seconds["scoring: policy, reference, values"]
    ratio = seconds["longest generation, uncached"] / seconds["longest generation, cached"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return seconds | {
        "passes over the batch": passes,
        "uncached over cached": ratio,
        "peak memory of the process so far, MiB": peak,
    }


@torch.no_grad()
def uncached(policy: LanguagePolicy, theta: Tensor, prompt: Tensor, noise: Tensor) -> Tensor:
    """Sampling that keeps no keys and values."""
    ids = prompt
    for place in range(policy.longest):
        up_to = policy.allowed(policy.network(theta, ids)[:, :, -1]).softmax(-1).cumsum(-1)
        token = (noise[..., place : place + 1] * up_to[..., -1:] >= up_to).sum(-1, keepdim=True)
        ids = torch.cat([ids, token], 2)
    return ids


def median(rounds: int, work: Callable[[], object]) -> float:
    work()
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
