"""What it costs that responses were sampled by another policy than the one that learns from them, exactly.

    python -m benchmarks.mismatch                tables
    python -m benchmarks.mismatch --json FILE    and the figures in a file

A GPT of four words, whose responses have four tokens at most, is trained by RLOO, an update a batch. At its last θ the
gradient of E[score] is estimated from responses of

* the policy as it was 1, 4 and 16 updates before (a sampler that lags behind), and
* the same θ, rounded to bfloat16 and run in bfloat16 (a sampler in another precision),

with no correction and with importance weights: of tokens or of responses, whole, truncated at `HIGH`, or masked above
it and below 1/`HIGH`. All 341 responses are summed over with their probabilities, so that bias and spread have no error
of their own. Means over the seeds, with their standard deviations in the file.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import pgcourse as pg
from pgcourse.rl import policy_log_ratio
from pgcourse.rl.objectives import mismatch_weight
from pgcourse.rlhf.enumerated import Enumerated, Weight
from pgcourse.rlhf.gpt import GPT
from pgcourse.rlhf.language import LanguagePolicy
from pgcourse.rlhf.prompted import NO_CRITIC, Prompted
from pgcourse.rlhf.trainer import VARIANTS

SEEDS, UPDATES, STALE, HIGH = 5, 40, (1, 4, 16), 2.0
PROMPT = torch.tensor([2, 3])
CORRECTIONS: dict[str, tuple[str, str, float, float]] = {  # level, correction, high, low
    "none": ("token", "none", math.inf, 0.0),
    "token, whole": ("token", "truncated", math.inf, 0.0),
    "token, truncated": ("token", "truncated", HIGH, 0.0),
    "token, masked": ("token", "masked", HIGH, 1 / HIGH),
    "response, whole": ("product", "truncated", math.inf, 0.0),
    "response, truncated": ("product", "truncated", HIGH, 0.0),
    "response, masked": ("product", "masked", HIGH, 1 / HIGH),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = [measured(seed) for seed in range(SEEDS)]
    rows = [
        {"sampler": sampler, "correction": correction, **summary([seed[sampler, correction] for seed in found])}
        for sampler, correction in found[0]
    ]
    show(rows)
    if asked.json:
        told = {"seeds": SEEDS, "updates": UPDATES, "high": HIGH, "rows": rows}
        asked.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def measured(seed: int) -> dict[tuple[str, str], Any]:
    """`GradientError` by sampler and correction."""
    streams = pg.Streams([seed], dtype=torch.float64)
    network = GPT(vocabulary=6, context=6, width=8, layers=1, heads=2)
    start = 10 * network.init(streams.child("weights"))[0]
    policy = LanguagePolicy(network, start, longest=4, eos=1, pad=0)

    def score(_: Tensor, said: Tensor) -> Tensor:
        """Different words of a response, and one more for the word 3."""
        words = torch.stack([(said == word).any(-1) for word in (2, 3, 4, 5)])
        return (words.sum(0) + words[1]).double()

    world = partial(Prompted, prompts=PROMPT.unsqueeze(0), judge=score, policy=policy, critic=NO_CRITIC, group=8)
    rloo = replace(VARIANTS["RLOO"], envs=64, epochs=1, minibatches=1, lr=3e-3, beta=0.0)
    steps = rloo.envs * UPDATES
    thetas = [start.unsqueeze(0)]
    thetas += [it.state.theta for it in pg.iterate(rloo, world, streams, steps, policy=policy, critic=NO_CRITIC)]

    learner = Enumerated(policy, thetas[-1], PROMPT)
    prompt, response = learner.prompt, learner.response
    with torch.no_grad():
        samplers = {
            f"{k} update{'s' * (k > 1)} old": policy.tokens(thetas[-1 - k], prompt, response).log_prob for k in STALE
        }
        ids = torch.cat([prompt, response], 2)[:, :, :-1]
        logits = network(thetas[-1].bfloat16(), ids)[:, :, 1:].double()
        log_probs = policy.allowed(logits).log_softmax(-1)
        samplers["bfloat16"] = log_probs.gather(-1, response.unsqueeze(-1)).squeeze(-1)
    worth = score(prompt, response)[0]
    return {
        (sampler, name): learner.gradient_error(drawn, worth, weight(*options))
        for sampler, drawn in samplers.items()
        for name, options in CORRECTIONS.items()
    }


def weight(level: str, correction: str, high: float, low: float) -> Weight:
    def weights(learner: Tensor, sampler: Tensor, mask: Tensor) -> Tensor:
        return mismatch_weight(policy_log_ratio(learner, sampler, mask, level), correction, high, low)

    return weights


def summary(errors: list[Any]) -> dict[str, float]:
    """Means over the seeds, and standard deviations beside them."""
    told = {}
    for name in errors[0]._fields:
        values = [getattr(error, name) for error in errors]
        told |= {name: statistics.fmean(values), f"{name}_sd": statistics.stdev(values)}
    return told


def show(rows: list[dict[str, Any]]) -> None:
    table = Table("sampler", "weights", "KL, nats", "bias", "cosine", "spread of one response")
    for row in rows:
        numbers = (f"{row[name]:.3g}" for name in ("kl", "bias", "cosine", "std"))
        table.add_row(row["sampler"], row["correction"], *numbers, end_section=row["correction"] == "response, masked")
    Console().print(table)


if __name__ == "__main__":
    main()
