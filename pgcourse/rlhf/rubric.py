"""What a response is really worth: a rubric that the training never sees, so that over-optimisation can be seen.

The raters' labels follow it, with noise; the reward model learns from their labels. That it is known is what a real
project lacks. It is a rubric of ours: what it values is a decision, not a truth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.rlhf.corpus import (
    ASPECTS,
    COLD,
    COMPANY,
    DAYS,
    DISLIKED,
    EOS,
    INTENSIFIERS,
    LIKED,
    NEUTRAL,
    PAD,
    TOPICS,
    WARM,
    WORDS,
)

ENOUGH_WARMTH, ENOUGH_ASPECTS = 3, 2  # of which more is worth nothing


class Terms(NamedTuple):
    """What each term of the rubric adds to a response's score; all [...], their sum is the score."""

    warmth: Tensor  # +1 for each warm word or recommendation, up to 3
    coldness: Tensor  # -1 for each cold one
    aspects: Tensor  # +0.75 for each different thing of the topic, up to 2
    off_topic: Tensor  # -0.75 for each mention of a thing of another topic
    gush: Tensor  # -1 for each warm word beyond the third: a rater distrusts them
    repetition: Tensor  # -1 for each word with a meaning that stood there before
    malformed: Tensor  # -1.5 for each sentence that the grammar does not know, one without a full stop included
    empty: Tensor  # -1 where there is no sentence
    unfinished: Tensor  # -1 where there is no <eos>

    @property
    def score(self) -> Tensor:
        """Their sum, before it is standardised."""
        return torch.stack(list(self)).sum(0)


def terms(prompt: Tensor, response: Tensor) -> Terms:
    """The rubric's terms of responses [..., token] to prompts [..., PROMPT]."""
    topics = prompt[..., 1].flatten().tolist()
    rows = response.flatten(0, -2).tolist()
    table = [_terms(topic, tuple(row)) for topic, row in zip(topics, rows, strict=True)]
    columns = torch.tensor(table, dtype=torch.float32, device=response.device)
    return Terms(*(column.view(response.shape[:-1]) for column in columns.unbind(1)))


@dataclass(frozen=True)
class Rubric:
    """The gold reward: the terms' sum, shifted and scaled to mean 0 and standard deviation 1 of the reference."""

    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def standardized_on(cls, prompt: Tensor, response: Tensor) -> Rubric:
        """With the moments of these samples, which should be the reference policy's."""
        score = terms(prompt, response).score
        return cls(float(score.mean()), float(score.std()))

    def __call__(self, prompt: Tensor, response: Tensor) -> Tensor:
        """[..., PROMPT] and [..., token] to [...]; 0 is the reference's mean, 1 its standard deviation."""
        return (terms(prompt, response).score - self.mean) / self.std


def _any(words: tuple[str, ...]) -> str:
    return f"(?:{'|'.join(words)})"


_ADJECTIVE = f"(?:{_any(INTENSIFIERS)} )?{_any((*WARM, *COLD, *NEUTRAL))}"
SENTENCE = re.compile(
    "|".join(
        [
            f"the {_any(ASPECTS)} was {_ADJECTIVE}(?: (?:and|but) {_ADJECTIVE})?",
            f"i {_any((*LIKED, *DISLIKED))} the {_any(ASPECTS)}",
            f"we came (?:on {_any(DAYS)}|with my {_any(COMPANY)})",
            "i would (?:not )?recommend it",
        ]
    )
)
_WARM, _COLD = frozenset((*WARM, *LIKED)), frozenset((*COLD, *DISLIKED))
_ASPECTS = frozenset(ASPECTS)
_MEANING = _ASPECTS | _WARM | _COLD | {*INTENSIFIERS, *NEUTRAL}


@lru_cache(maxsize=1 << 16)  # a policy that is sure of itself writes the same again and again
def _terms(topic: int, response: tuple[int, ...]) -> tuple[float, ...]:
    finished = EOS in response
    written = response[: response.index(EOS)] if finished else response
    words = [WORDS[token] for token in written if token != PAD]
    *sentences, rest = (part.strip() for part in " ".join(words).split("."))
    malformed = sum(SENTENCE.fullmatch(sentence) is None for sentence in sentences) + bool(rest)
    warm = sum(word in _WARM for word in words) + sentences.count("i would recommend it")
    cold = sum(word in _COLD for word in words) + sentences.count("i would not recommend it")
    mentioned = [word for word in words if word in _ASPECTS]
    own = TOPICS.get(WORDS[topic], ())
    meaning = [word for word in words if word in _MEANING]
    return (
        min(warm, ENOUGH_WARMTH),
        -cold,
        0.75 * min(len({*mentioned} & {*own}), ENOUGH_ASPECTS),
        -0.75 * sum(word not in own for word in mentioned),
        -max(0, warm - ENOUGH_WARMTH),
        -(len(meaning) - len({*meaning})),
        -1.5 * malformed,
        -float(not words),
        -float(not finished),
    )
