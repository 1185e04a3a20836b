"""The course's language models, kept as records, and the world in which studies train them further.

`results/rlhf-models` holds one pretrained model, and a reward model for each seed of a study: tensors with their
configuration, their losses, and how they came to be. `pgcourse rlhf models` computes what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from pgcourse.core import Streams
from pgcourse.lab.provenance import code_digest, commit, constraints_hash, machine
from pgcourse.lab.records import MissingRecord, Record, Store, tensor_digest
from pgcourse.lab.runs import single
from pgcourse.lab.studies import results_folder
from pgcourse.rlhf.checkers import BalancedReview
from pgcourse.rlhf.corpus import prompts
from pgcourse.rlhf.gpt import GPT, ScalarHead
from pgcourse.rlhf.language import LanguageCritic, LanguagePolicy
from pgcourse.rlhf.preferences import compared
from pgcourse.rlhf.pretraining import REVIEWERS, Learned, Pretraining
from pgcourse.rlhf.reward_model import RewardModel, RewardModelling, standardized_reward
from pgcourse.rlhf.rubric import Rubric
from pgcourse.rlhf.writing import Judge, Writing

FOLDER = "rlhf-models"
REWARD_MODELS = 5  # of seeds 0 to 4
SAMPLES = 4_000  # of the pretrained model, over which gold and reward models have mean 0 and standard deviation 1


@dataclass(frozen=True)
class PretrainedModel:
    """All that decides the pretrained model."""

    training: Pretraining = field(default_factory=Pretraining)
    network: GPT = REVIEWERS
    seed: int = 0
    samples: int = SAMPLES

    @property
    def name(self) -> str:
        """Of its record's folder."""
        return "pretrained"

    @property
    def steps(self) -> int:
        return self.training.steps

    def learn(self) -> Iterator[Learned]:
        return self.training.training(Streams([self.seed]).child("pretraining"), self.network)

    def tensors(self, theta: Tensor) -> dict[str, Tensor]:
        """`theta` [1, parameter], and `gold`: mean and standard deviation of the rubric over the model's responses."""
        rubric = Rubric.standardized_on(*self.reference(theta))
        return {"theta": theta, "gold": torch.tensor([rubric.mean, rubric.std], dtype=torch.float64)}

    def reference(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Prompts and the model's responses to them, [1, sample, token]."""
        streams = Streams([self.seed]).child("reference")
        policy = LanguagePolicy(self.network, theta[0])
        prompt = prompts(streams.child("prompt").uniform(self.samples))
        return prompt, policy(theta, prompt).sample(policy.noise(streams, self.samples))


@dataclass(frozen=True)
class PreferredModel:
    """All that decides the reward model of a seed."""

    seed: int
    training: RewardModelling = field(default_factory=RewardModelling)
    trunk: PretrainedModel = field(default_factory=PretrainedModel)

    @property
    def name(self) -> str:
        """Of its record's folder."""
        return f"reward.seed-{self.seed}"

    @property
    def steps(self) -> int:
        return self.training.steps

    def learn(self) -> Iterator[Learned]:
        policy, streams = language_policy(), Streams([self.seed]).child("reward")
        theta, options = policy.start.unsqueeze(0), self.training
        rater = {"temperature": options.temperature, "hot_share": options.hot_share}
        pairs = compared(
            policy,
            theta,
            options.pairs,
            streams.child("comparisons"),
            hot_temperature=options.hot_temperature,
            **rater,
        )
        return options.training(theta, pairs, streams, self.trunk.network)

    def tensors(self, theta: Tensor) -> dict[str, Tensor]:
        """`theta` [1, parameter], standardised over the pretrained model's responses."""
        prompt, response = self.trunk.reference(language_policy().start.unsqueeze(0))
        reward = RewardModel(ScalarHead(self.trunk.network), theta)
        return {"theta": standardized_reward(reward, prompt, response).psi}


Model = PretrainedModel | PreferredModel
ReportLoss = Callable[[int, float], None]  # step, from 1, and loss
MODELS: tuple[Model, ...] = (PretrainedModel(), *(PreferredModel(seed) for seed in range(REWARD_MODELS)))


def models() -> Store:
    """Their records."""
    return Store(results_folder() / FOLDER)


def find_model(model: Model) -> str | None:
    """The name of the model's record, None where there is none. Raises as `Store.find`."""
    return models().find(model, model.name)


def compute_model(model: Model, report: ReportLoss = lambda step, loss: None, replace: bool = False) -> Record:
    """Train a model and store its record; a reward model needs the pretrained one's. `report` is told every loss.

    Where the record is there already it stays, and is what is returned, unless `replace`.
    """
    source, began = commit() | {"source": model_code()}, time.process_time()
    losses, theta = _trained(model, report)
    tensors = model.tensors(theta)
    manifest = {
        **source,
        "constraints": constraints_hash(),
        "machine": machine(),
        "cpu_seconds": time.process_time() - began,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "pgcourse rlhf models",
    }
    record = models().write(model, model.name, {"losses": losses}, manifest, tensors, replace=replace)
    read_model.cache_clear()
    return record


def repeat_model(model: Model, report: ReportLoss = lambda step, loss: None) -> str:
    """Train a model anew and hold it against its record: "", or where the two differ. Raises as `read_model`."""
    record = read_model(model)
    losses, theta = _trained(model, report)
    kept = record.tables["losses"]["loss"].to_numpy()
    now = losses["loss"].reindex(range(len(kept))).to_numpy()
    if (kept != now).any():
        step = int((kept != now).argmax())
        return f"the loss of step {step + 1} was {kept[step]:.9g}, is {now[step]:.9g}"
    made = {name: tensor_digest(tensor) for name, tensor in model.tensors(theta).items()}
    changed = [name for name, digest in made.items() if digest != record.manifest["tensors"][name]]
    return f"{', '.join(changed)}: not the record's" if changed else ""


def _trained(model: Model, report: ReportLoss) -> tuple[pd.DataFrame, Tensor]:
    """The loss of every step, and what was learned."""
    losses: list[float] = []
    for step in model.learn():
        losses.append(step.loss.item())
        report(len(losses), losses[-1])
    return single(pd.DataFrame({"step": range(1, len(losses) + 1), "loss": losses})), step.theta


@cache
def read_model(model: Model) -> Record:
    """The model's record, verified. Raises `MissingRecord` and as `Store.read`."""
    name = find_model(model)
    if name is None:
        raise MissingRecord(f"no record {models().root / model.name}; `pgcourse rlhf models` computes it")
    return models().read(name)


def model_code() -> str:
    """The digest of the code that decides the models."""
    return code_digest(Pretraining, RewardModelling, Rubric)


def language_policy(model: PretrainedModel = PretrainedModel()) -> LanguagePolicy:
    """The pretrained model as a policy, which knows the gold reward of its responses."""
    tensors = read_model(model).tensors
    gold = Rubric(*tensors["gold"].tolist())
    return LanguagePolicy(model.network, tensors["theta"][0], gold=gold)


def language_critic(model: PretrainedModel = PretrainedModel()) -> LanguageCritic:
    """The pretrained model's trunk with a new head: all values are 0."""
    head = ScalarHead(model.network)
    return LanguageCritic(head, head.on(read_model(model).tensors["theta"])[0])


def reward_model() -> RewardModel:
    """Those of all seeds."""
    psi = torch.cat([read_model(model).tensors["theta"] for model in MODELS if isinstance(model, PreferredModel)])
    return RewardModel(ScalarHead(REVIEWERS), psi)


class Reviews(Writing):
    """`Writing` with the course's models: a seed's judge is its own reward model. For studies and chapters."""

    name = "Reviews"

    def __init__(self, envs: int = 1, *, judge: Judge | None = None, group: int = 8, **placed: Any) -> None:
        super().__init__(
            envs,
            judge=judge or reward_model(),
            policy=language_policy(),
            critic=language_critic(),
            group=group,
            **placed,
        )


class CheckedReviews(Reviews):
    """`Reviews` whose judge is the checker `BalancedReview`: 1 for a right response, 0 for others.

    Right responses are rare, so a prompt gets more of them than in `Reviews`.
    """

    name = "CheckedReviews"

    def __init__(self, envs: int = 1, *, group: int = 32, **placed: Any) -> None:
        super().__init__(envs, judge=BalancedReview(), group=group, **placed)
