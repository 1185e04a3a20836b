"""Short reviews from a grammar: the language that the course's small models speak.

A review is "<topic> :" and one to four sentences about things of that topic, in a mood that decides about adjectives.
Nothing is downloaded, everybody may use it, and what is a well-formed sentence is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

TOPICS = {
    "cafe": ("coffee", "cake", "soup", "waiter", "terrace"),
    "hotel": ("room", "bed", "lobby", "breakfast", "pool"),
    "film": ("plot", "cast", "music", "ending", "camera"),
    "phone": ("screen", "battery", "sound", "keyboard", "design"),
    "museum": ("paintings", "guide", "garden", "shop", "entrance"),
    "train": ("seats", "windows", "ticket", "driver", "view"),
}
WARM = ("great", "lovely", "excellent", "pleasant", "superb", "charming", "nice", "wonderful")
COLD = ("awful", "poor", "boring", "dirty", "terrible", "noisy", "dull", "broken")
NEUTRAL = ("small", "large", "old", "new", "simple", "typical")
INTENSIFIERS = ("very", "really", "quite", "rather")
LIKED, DISLIKED = ("loved", "enjoyed", "liked"), ("hated", "disliked", "regretted")
DAYS, COMPANY = ("monday", "tuesday", "friday", "sunday"), ("friends", "family", "colleagues")
ASPECTS = tuple(aspect for aspects in TOPICS.values() for aspect in aspects)
FILLERS = ("the", "was", "and", "but", "i", "we", "came", "on", "with", "my", "would", "not", "recommend", "it")
UNUSED = ("again", "never", "overall", "return", "this", "visited", ",")  # known, but in no review

PAD, BOS, EOS = 0, 1, 2
SPECIAL = ("<pad>", "<bos>", "<eos>")
WORDS = (
    *SPECIAL,
    *sorted(
        {*TOPICS, *ASPECTS, *WARM, *COLD, *NEUTRAL, *INTENSIFIERS, *LIKED, *DISLIKED, *DAYS, *COMPANY}
        | {*FILLERS, *UNUSED, ".", ":"}
    ),
)
TOKENS = {word: token for token, word in enumerate(WORDS)}
PROMPT = 3  # tokens of a prompt: <bos>, the topic, a colon
LONGEST = 28  # tokens of a response at most, <eos> included

# P(warm), P(cold) of an adjective; the rest is neutral. P(like) of "i ... the ..." and of a recommendation. P(mood).
MOODS = {"warm": (0.75, 0.05), "mixed": (0.38, 0.38), "cold": (0.05, 0.75), "flat": (0.15, 0.15)}
LIKES = {"warm": 0.93, "mixed": 0.5, "cold": 0.07, "flat": 0.5}
MOOD_WEIGHTS, LENGTH_WEIGHTS = (0.3, 0.3, 0.25, 0.15), (0.15, 0.35, 0.35, 0.15)
DRAWS = 48  # random numbers that are enough for any review

Draw = Callable[[], float]


def corpus(reviews: int, seed: int) -> Tensor:
    """So many reviews with their prompts, [review, PROMPT + LONGEST], padded behind <eos>."""
    rows = np.random.default_rng(seed).random((reviews, DRAWS)).tolist()
    return torch.tensor([_padded(_review(iter(row).__next__)) for row in rows])


def prompts(noise: Tensor) -> Tensor:
    """A prompt for each uniform number: [...] to [..., PROMPT], all topics being as probable."""
    topics = torch.tensor([TOKENS[topic] for topic in TOPICS], device=noise.device)
    topic = topics[(noise * len(topics)).long().clamp_max(len(topics) - 1)]
    return torch.stack([torch.full_like(topic, BOS), topic, torch.full_like(topic, TOKENS[":"])], -1)


def encoded(text: str) -> list[int]:
    """The tokens of a text whose words are separated by spaces. Raises `ValueError` for a word that is none."""
    if unknown := [word for word in text.split() if word not in TOKENS]:
        raise ValueError(f"{unknown[0]!r} is not in the vocabulary; pgcourse.rlhf.corpus.WORDS has {len(WORDS)} words")
    return [TOKENS[word] for word in text.split()]


def decoded(ids: Tensor | Iterable[int]) -> str:
    """The text of a row of tokens, up to <eos>, without padding and <bos>."""
    row = [int(token) for token in (ids.tolist() if isinstance(ids, Tensor) else ids)]
    row = row[: row.index(EOS)] if EOS in row else row
    return " ".join(WORDS[token] for token in row if token not in (PAD, BOS))


def response_mask(response: Tensor) -> Tensor:
    """Where a response has tokens, <eos> included: [..., token], bool."""
    return response != PAD


def _padded(tokens: Sequence[int]) -> list[int]:
    return [*tokens, *[PAD] * (PROMPT + LONGEST - len(tokens))]


def _review(draw: Draw) -> list[int]:
    topic = _one(draw, tuple(TOPICS))
    mood = tuple(MOODS)[_weighted(draw, MOOD_WEIGHTS)]
    words: list[str] = []
    for _ in range(1 + _weighted(draw, LENGTH_WEIGHTS)):
        sentence = _sentence(draw, topic, mood)
        if len(words) + len(sentence) <= LONGEST - 1:
            words += sentence
    return [BOS, TOKENS[topic], TOKENS[":"], *(TOKENS[word] for word in words), EOS]


def _sentence(draw: Draw, topic: str, mood: str) -> list[str]:
    aspect, kind = _one(draw, TOPICS[topic]), draw()
    intensifier = [_one(draw, INTENSIFIERS)] if draw() < 0.3 else []
    if kind < 0.40:
        return ["the", aspect, "was", *intensifier, _adjective(draw, mood), "."]
    if kind < 0.62:
        first, joint, second = _adjective(draw, mood), _one(draw, ("and", "but")), _adjective(draw, mood)
        return ["the", aspect, "was", first, joint, *intensifier, second, "."]
    if kind < 0.78:
        return ["i", _one(draw, LIKED if draw() < LIKES[mood] else DISLIKED), "the", aspect, "."]
    if kind < 0.92:
        return ["we", "came", *(("on", _one(draw, DAYS)) if draw() < 0.5 else ("with", "my", _one(draw, COMPANY))), "."]
    return ["i", "would", *([] if draw() < LIKES[mood] else ["not"]), "recommend", "it", "."]


def _adjective(draw: Draw, mood: str) -> str:
    warm, cold = MOODS[mood]
    which = draw()
    return _one(draw, WARM if which < warm else COLD if which < warm + cold else NEUTRAL)


def _one(draw: Draw, words: Sequence[str]) -> str:
    return words[int(draw() * len(words))]


def _weighted(draw: Draw, weights: Sequence[float]) -> int:
    left = draw()
    for number, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return number
    return len(weights) - 1
