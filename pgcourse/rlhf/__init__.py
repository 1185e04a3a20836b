"""Learning from human preferences, with a language model small enough for one processor core."""

from pgcourse.rlhf.checkers import BalancedReview
from pgcourse.rlhf.corpus import LONGEST, PROMPT, TOPICS, WORDS, corpus, decoded, encoded, prompts, response_mask
from pgcourse.rlhf.diagnostics import Diagnostics, diagnosed
from pgcourse.rlhf.direct import DirectAlignment
from pgcourse.rlhf.gpt import GPT, ScalarHead
from pgcourse.rlhf.language import LanguageCritic, LanguageModel, LanguagePolicy, Responses, Tokens
from pgcourse.rlhf.pools import Pool, pool
from pgcourse.rlhf.preferences import Comparisons, compared, pair_accuracy
from pgcourse.rlhf.pretraining import REVIEWERS, Pretraining, next_token_loss
from pgcourse.rlhf.reward_model import RewardModel, RewardModelling, standardized_reward
from pgcourse.rlhf.rubric import Rubric, Terms, terms
from pgcourse.rlhf.trainer import RLHF, VARIANTS
from pgcourse.rlhf.writing import Writing

__all__ = [
    "GPT",
    "LONGEST",
    "PROMPT",
    "REVIEWERS",
    "RLHF",
    "TOPICS",
    "VARIANTS",
    "WORDS",
    "BalancedReview",
    "Comparisons",
    "Diagnostics",
    "DirectAlignment",
    "LanguageCritic",
    "LanguageModel",
    "LanguagePolicy",
    "Pool",
    "Pretraining",
    "Responses",
    "RewardModel",
    "RewardModelling",
    "Rubric",
    "ScalarHead",
    "Terms",
    "Tokens",
    "Writing",
    "compared",
    "corpus",
    "decoded",
    "diagnosed",
    "encoded",
    "next_token_loss",
    "pair_accuracy",
    "pool",
    "prompts",
    "response_mask",
    "standardized_reward",
    "terms",
]
