"""Best-of-n and pass@k from a pool of answers."""

from fractions import Fraction
from math import comb

import numpy as np

from pgcourse.grading.kinds import Check, implement


def best_of_n(score, gold, n):
    """Mean gold of the best of n over all C(N, n) subsets of a pool of N. Nakano et al. (2021), appendix I.

    In whole numbers: of the subsets, C(b + m, n) - C(b, n) have their best among the m answers of one score that stand
    above b lower ones. Chen et al. (2021), eq. 1, is this with scores and gold of 0 and 1.
    """
    rows = zip(score.reshape(-1, score.shape[-1]), gold.reshape(-1, score.shape[-1]), strict=True)
    return np.reshape([_one(one, of_it, n) for one, of_it in rows], score.shape[:-1])


def _one(score, gold, n):
    total, below = 0.0, 0
    for level in np.unique(score):
        equal = gold[score == level]
        subsets = comb(below + len(equal), n) - comb(below, n)
        total += float(Fraction(subsets, comb(len(score), n))) * equal.mean()
        below += len(equal)
    return total


def pool(score, n, gold=None):
    return {"score": score, "gold": score if gold is None else gold, "n": n}


def drawn(prompts, answers, n, another=False):
    """A case of pools in which all scores differ; `another`: gold has a will of its own."""

    def case(rng):
        score = np.stack([rng.permutation(answers) for _ in range(prompts)]) + rng.uniform(0.0, 0.5, (prompts, answers))
        return pool(score, n, score + rng.normal(0.0, answers, score.shape) if another else score)

    return case


def below_0(rng):
    """A case whose scores are all below 0."""
    case = drawn(2, 6, 3, another=True)(rng)
    return case | {"score": case["score"] - 20.0}


def equal(prompts, answers, n, levels):
    """A case of pools with few different scores, all of which come up, and gold that differs."""

    def case(rng):
        some = [*range(levels), *rng.integers(levels, size=answers - levels)]
        score = np.stack([rng.permutation(some) for _ in range(prompts)]).astype(float)
        return pool(score, n, score + rng.normal(0.0, 2.0, score.shape))

    return case


def checked(prompts, answers, n, right):
    """A case for pass@k: `right` of the answers to a prompt are right."""

    def case(rng):
        score = np.stack([rng.permutation(np.arange(answers) < right) for _ in range(prompts)]).astype(float)
        return pool(score, n)

    return case


WITHIN = "((rank[:, None] - taken) / (pool - taken)).prod(1)"
WEIGHT = "(within[upto] - within[below]) / (upto - below)"
BY_PLACE = "(within[1:] - within[:-1])[score.argsort(stable=True, dim=-1).argsort(-1)]"
EXERCISE = implement(
    best_of_n,
    title="The best of n, without luck",
    goal="Estimate best-of-n and pass@k for every n from one pool of answers, without bias and without drawing again.",
    minutes=25,
    difficulty=3,
    importance=4,
    hints=[
        "Sort the pool by score. In how many of all subsets of n is the answer with b others below it the best one?",
        "In C(b, n - 1) of C(N, n). Or: the best is among the r lowest in C(r, n) of C(N, n) subsets, which is the "
        "product of (r - j) / (N - j) for j < n; take differences, and share them among equal scores.",
    ],
    checks={
        "one n": Check(
            2,
            "Write down the three pairs of (1, 2, 3): the best are 2, 3 and 3.",
            [pool([[1, 2, 3]], 2), pool([[5, 1, 4, 0]], 2), drawn(3, 6, 3), drawn(2, 8, 2)],
        ),
        "n = 1 and n = N": Check(
            1,
            "With n = 1 it is the pool's mean, with n = N its best.",
            [pool([[1, 2, 3]], 1), pool([[1, 2, 3]], 3), drawn(2, 5, 1), drawn(2, 5, 5)],
        ),
        "another judge": Check(
            2,
            "The score chooses, gold is asked of the chosen one.",
            [
                pool([[1, 2, 3]], 2, [[6, 0, 3]]),
                drawn(3, 6, 3, another=True),
                drawn(2, 8, 2, another=True),
                pool([[0.1, 0.4, 0.2]], 2, [[0, 6, 3]]),
                pool([[-3, -1, -2]], 2, [[0, 6, 3]]),
                below_0,
            ],
            leaves_input_alone=True,
        ),
        "equal scores": Check(
            2,
            "Of answers with the same score each is as likely to be taken. With scores of 0 and 1 this is pass@k.",
            [
                pool([[1, 0, 0]], 2),
                pool([[1, 1]], 1, [[4, 2]]),
                pool([[0, 1, 1]], 2, [[0, 4, 2]]),
                equal(3, 7, 3, 3),
                equal(2, 6, 2, 2),
                checked(2, 10, 4, 2),
                checked(2, 5, 3, 0),
            ],
            requires="answers with equal scores are equally likely to be taken",
        ),
        "a large pool": Check(
            1,
            "C(256, 100) is about 10^73, and float32 ends at 10^38. Divide factor by factor, or take logarithms.",
            [checked(2, 256, 100, 2), drawn(2, 256, 100)],
            tolerance=(1e-2, 1e-3),
            requires="a pool of 256 answers and n = 100 are no trouble",
        ),
        "any axes": Check(
            1,
            "Answers are the last axis; one number for each prompt.",
            [drawn(2, 4, 2, another=True)],
            leading_axes=("score", "gold"),
        ),
    },
    mistakes={
        "This is biased: (r/N)^n draws the same answer more than once. The n are different answers of the pool: "
        "C(r, n) / C(N, n). For pass@k that is 1 - (1 - c/N)^k, which is too low.": (WITHIN, "(rank / pool) ** n"),
        "This is biased: (r/N)^n draws the same answer more than once: it is C(r, n) / C(N, n). And equal scores do "
        "not share: sorting puts them in some order.": [(WITHIN, "(rank / pool) ** n"), (WEIGHT, BY_PLACE)],
        "The r-th weight meets the r-th answer as it came: sort gold by the score, too. And equal scores share their "
        "weight.": (WEIGHT, "(within[1:] - within[:-1]).expand(score.shape)"),
        "Only the first n answers are looked at: right on average, but all the other subsets are thrown away.": (
            "gold.gather(-1, score[..., :n].argmax(-1, keepdim=True)).squeeze(-1)"
        ),
        "The pool is cut into blocks of n: the subsets across blocks are thrown away. Count all of them.": (
            "torch.stack([g.gather(-1, s.argmax(-1, keepdim=True)).squeeze(-1) for s, g in "
            "zip(score.split(n, -1), gold.split(n, -1)) if s.shape[-1] == n]).mean(0)"
        ),
        "This is the best of the whole pool, whatever n is.": "f(score, gold, score.shape[-1])",
        "This is the mean of the pool, whatever n is.": "f(score, gold, 1)",
        "This is the mean of the n best: the best of n is a single one, and which n there are is chance.": (
            "gold.gather(-1, score.argsort(-1, descending=True)[..., :n]).mean(-1)"
        ),
        "The largest gold is taken: nobody knows gold when choosing. The score chooses.": "f(gold, gold, n)",
        "The score of the best is returned: asked for is its gold.": "f(score, score, n)",
        "Scores and gold are sorted each by itself: an answer's gold goes where its score goes.": (
            "f(score.sort(-1).values, gold.sort(-1).values, n)"
        ),
        "The worst of n is taken: look at which end of the order the weights are large.": "f(-score, gold, n)",
        "These are the probabilities that all n are among the lower answers, each with the ones below it counted "
        "again: take differences.": (WEIGHT, "within[upto] / (upto - below)"),
        "An answer with b below it is the best of C(b, n - 1) subsets, not of C(b + 1, n - 1): the others come from "
        "below it.": (
            WEIGHT,
            "torch.tensor([__import__('math').comb(int(b) + 1, n - 1) / __import__('math').comb(pool, n)"
            " for b in below.flatten()], dtype=torch.float64).reshape(below.shape)",
        ),
        "Weighted with C(b, n) / C(N, n): that is for subsets that all lie below the answer. It is in the subset "
        "itself: C(b, n - 1).": (WEIGHT, "within[below]"),
        "Divided by C(N - 1, n - 1): the subsets are C(N, n), and the weights add up to 1.": (
            "return (weight",
            "return pool / n * (weight",
        ),
        "Equal scores each get the weight of all of them: share it.": (WEIGHT, "within[upto] - within[below]"),
        "Of equal scores the one that stands last takes most: sorting puts them in some order, which means nothing.": (
            WEIGHT,
            BY_PLACE,
        ),
        "Of equal scores the one that stands first takes most: sorting puts them in some order, which means nothing.": (
            WEIGHT,
            "(within[1:] - within[:-1])[score.flip(-1).argsort(stable=True, dim=-1).argsort(-1).flip(-1)]",
        ),
        "Of equal scores each gets the weight of the lowest of them: then the weights do not add up to 1.": (
            WEIGHT,
            "within[below + 1] - within[below]",
        ),
        "Too large for float32: numbers of subsets overflow and inf / inf is NaN. Divide factor by factor, or take "
        "logarithms.": (WITHIN, "(rank[:, None] - taken).float().prod(1) / (pool - taken).float().prod()"),
        "This is one number for all prompts: the mean over them comes later.": "f(*a).mean()",
        "n is one too small: n answers, the best one among them.": "f(score, gold, max(n - 1, 1))",
        "n is one too large: n answers, the best one among them.": "f(score, gold, min(n + 1, score.shape[-1]))",
        "The largest gold of the pool: the score chooses, and not from the whole pool.": (
            "(weight.to(gold.dtype) * gold).sum(-1)",
            "gold.amax(-1)",
        ),
        "The best of the whole pool, whatever n is.": (
            "(weight.to(gold.dtype) * gold).sum(-1)",
            "gold.gather(-1, score.argmax(-1, keepdim=True)).squeeze(-1)",
        ),
        "This draws the same answer more than once, and does not share among equal scores.": (
            "weight = (within[upto] - within[below]) / (upto - below)",
            "weight = (upto / pool) ** n - (below / pool) ** n",
        ),
        "The order is reversed in counting the answers below.": (
            "(score[..., None, :] < score[..., :, None])",
            "(score[..., None, :] > score[..., :, None])",
        ),
        "n is one too small.": (
            "taken = torch.arange(pool + 1, dtype=torch.float64), torch.arange(n)",
            "taken = torch.arange(pool + 1, dtype=torch.float64), torch.arange(n - 1)",
        ),
        "n is one too large in the product: j runs from 0 to n - 1.": (
            "taken = torch.arange(pool + 1, dtype=torch.float64), torch.arange(n)",
            "taken = torch.arange(pool + 1, dtype=torch.float64), torch.arange(n + 1)",
        ),
        "The weights add up to 1 already: sum, do not average.": (
            "(weight.to(gold.dtype) * gold).sum(-1)",
            "(weight.to(gold.dtype) * gold).mean(-1)",
        ),
        "All prompts are added up: one number for each is asked for.": (
            "(weight.to(gold.dtype) * gold).sum(-1)",
            "(weight.to(gold.dtype) * gold).sum()",
        ),
        "The weights of the answers meet golds in another order: sort both by score, or neither.": (
            "(weight.to(gold.dtype) * gold).sum(-1)",
            "(weight.to(gold.dtype) * gold.sort(-1).values).sum(-1)",
        ),
        "The mean of the first n answers: the best by score is taken, over all subsets.": (
            "(weight.to(gold.dtype) * gold).sum(-1)",
            "gold[..., :n].mean(-1)",
        ),
        "The mean of the n best of the pool: one of each subset is taken.": (
            "(weight.to(gold.dtype) * gold).sum(-1)",
            "gold.gather(-1, score.topk(n, -1).indices).mean(-1)",
        ),
        "That is for independent draws with a success rate, with repetition: here subsets of a pool are counted.": (
            "(weight.to(gold.dtype) * gold).sum(-1)",
            "1 - (1 - gold.mean(-1)) ** n",
        ),
        "The largest term of the sum: add them up.": (
            "(weight.to(gold.dtype) * gold).sum(-1)",
            "(weight.to(gold.dtype) * gold).amax(-1)",
        ),
        "Equal scores are ranked one behind the other in counting those below: they share their weight.": (
            "below = (score[..., None, :] < score[..., :, None]).sum(-1)",
            "below = score.argsort(-1).argsort(-1)",
        ),
        "Score and gold are exchanged.": ("f(gold, score, n)"),
        "Equal scores are taken in the order in which they stand: one of them is taken at random.": (
            (
                "below = (score[..., None, :] < score[..., :, None]).sum(-1)\n"
                "    upto = (score[..., None, :] <= score[..., :, None]).sum(-1)"
            ),
            "below = score.argsort(-1, stable=True).argsort(-1)\n    upto = below + 1",
        ),
        "float16 has three digits only: use float64 for the weights.": ("dtype=torch.float64", "dtype=torch.float16"),
        "The weights are those of the sorted answers, and gold stands as it came: sort gold by the score, too.": (
            "(weight.to(gold.dtype) * gold).sum(-1)",
            "(weight.sort(-1).values.to(gold.dtype) * gold).sum(-1)",
        ),
        "The r-th weight is the whole share up to r: take the difference from r - 1 to r.": (
            "(within[upto] - within[below]) / (upto - below)",
            "within[upto]",
        ),
        "The ranks count from 0: with the r-th answer the best is among r, not among r - 1.": (
            "(within[upto] - within[below]) / (upto - below)",
            "(within[(upto - 1).clamp(min=0)] - within[(below - 1).clamp(min=0)]) / (upto - below)",
        ),
        "Of equal scores the one with the most gold is taken, as by sorting pairs of score and gold: nobody knows "
        "gold when choosing.": "(lambda w, o: (gold.gather(-1, o) * "
        "w).sum(-1))(torch.tensor([__import__('math').comb(r, n - 1) / __import__('math').comb(score.shape[-1], n) "
        "for r in range(score.shape[-1])]), torch.tensor(np.lexsort((gold.numpy(), score.numpy()))))",
        "The numbers of subsets are not divided by that of all of them: the weights add up to 1.": (
            "(weight.to(gold.dtype) * gold).sum(-1)",
            "(weight * float(__import__('math').comb(pool, n)) * gold).sum(-1)",
        ),
        "(r - j) is not divided by (N - j): the weights add up to 1.": (
            "((rank[:, None] - taken) / (pool - taken)).prod(1)",
            "(rank[:, None] - taken).prod(1)",
        ),
        "This is the highest score of the pool: asked is what gold the best of n has.": "score.amax(-1)",
        "The answers to all prompts are put into one pool: each prompt has its own.": "f(score.flatten(), "
        "gold.flatten(), n).expand(score.shape[:-1])",
        "The mean of the n largest golds: the score chooses, and one of each subset is taken.": (
            "gold.topk(n, -1).values.mean(-1)"
        ),
        "The shares up to r are made to add up to 1: the weight is the difference from r - 1 to r.": (
            "/ (upto - below)\n",
            "/ (upto - below)\n    weight = within[upto] / within[upto].sum(-1, keepdim=True)\n",
        ),
        "Every weight is divided by the size of the pool: it is shared by as many as have that score.": (
            "(upto - below)",
            "pool",
        ),
        "The middle gold of the pool: the score chooses, and its best of n is taken.": (
            "gold.sort(-1).values[..., score.shape[-1] // 2]"
        ),
        "This chooses by softmax of the scores: the best of n is the highest score among n.": (
            "(score.softmax(-1) * gold).sum(-1)"
        ),
        "Scores below 0 count as 0: only their order counts.": "f(score.clamp(min=0), gold, n)",
        "Scores are rounded to whole numbers, which makes different ones equal: only their order "
        "counts.": "f(score.long(), gold, n)",
    },
)
