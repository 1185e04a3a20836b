"""What each token of a response is paid."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def token_reward(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    """r_t = -β log(π/π_ref), at the last token with the score, less a penalty for a cut. Ziegler et al. (2019), eq. 2.

    Response by response, written down as it is paid.
    """
    result = np.zeros(mask.shape)
    for i, row in enumerate(mask):
        tokens = int(row.sum())
        paid = [-beta * np.log(np.exp(log_prob[i, t]) / np.exp(ref_log_prob[i, t])) for t in range(tokens)]
        paid[-1] += score[i] if ended[i] else score[i] - eos_penalty
        result[i, :tokens] = paid
    return result


def responses(score, log_prob, ref_log_prob, mask=True, ended=True, beta=0.5, eos_penalty=2.0, padding=0.0):
    """A case; `padding` stands in both log-probabilities where the mask is False."""
    mask = np.broadcast_to(mask, np.shape(log_prob)).copy()
    return {
        "score": score,
        "log_prob": np.where(mask, log_prob, padding),
        "ref_log_prob": np.where(mask, ref_log_prob, np.negative(padding) / 2),
        "mask": mask,
        "ended": np.broadcast_to(ended, np.shape(score)).copy(),
        "beta": beta,
        "eos_penalty": eos_penalty,
    }


def drawn(n, tokens, lengths=None, cut=(), beta=0.1, padding=-3.0):
    """A case of `n` random responses, of these lengths in a random order; those of the numbers `cut` did not end."""

    def case(rng):
        length = np.full(n, tokens) if lengths is None else rng.permutation(lengths)
        mask = np.arange(tokens) < length[:, None]
        old, ref = -rng.uniform(0.1, 3.0, (2, n, tokens))
        ended = ~np.isin(np.arange(n), cut)
        return responses(rng.normal(1.0, 2.0, n), old, ref, mask, ended, beta, rng.uniform(0.5, 2.0), padding)

    return case


FIRST_ENDS = [[True, True, False], [True, True, True]]
TWO = [[-1, -2, -1], [-1, -1, -2]], [[-2, -2, -3], [-2, -3, -1]]

EXERCISE = implement(
    token_reward,
    title="What each token is paid",
    goal="Turn one score and a divergence into a reward for every token, without paying padding.",
    minutes=15,
    difficulty=2,
    importance=5,
    hints=[
        "Two parts: one that every token has, and one that only a response's last token has. How do you find the last "
        "token from the mask?",
        "Begin with `-beta * (log_prob - ref_log_prob).detach().masked_fill(~mask, 0.0)`. The last token of response i "
        "stands at `mask.sum(1)[i] - 1`: add `score.detach() - eos_penalty * ~ended` there.",
    ],
    checks={
        "equal lengths": Check(
            2,
            "Every token pays β for its log-ratio, the last one too; the score comes on top of that at the last one.",
            [responses([2], [[-1, -2, -1]], [[-2, -2, -3]]), drawn(3, 4), drawn(2, 5, beta=0.0)],
        ),
        "padding": Check(
            2,
            "The last token of a response is the last one at which its mask is True, not the tensor's last column.",
            [
                responses([2, -1], *TWO, FIRST_ENDS, padding=-9.0),
                drawn(4, 6, [6, 1, 3, 5]),
                drawn(3, 5, [2, 3, 4]),
            ],
            requires="on padding the result is 0",
            leaves_input_alone=True,
        ),
        "a response that was cut": Check(
            2,
            "A full row is no proof: a response may end by itself with the very last token. `ended` knows.",
            [
                responses([2, 2], *TWO, ended=[True, False]),
                drawn(4, 6, [6, 6, 6, 6], cut=(0, 2)),
                drawn(3, 5, cut=(1,), beta=0.0),
            ],
            leaves_input_alone=True,
        ),
        "broken padding": Check(
            1,
            "0 · NaN is NaN, and so is ∞ - ∞: replace what stands on padding, do not multiply it.",
            [
                responses([2, -1], *TWO, FIRST_ENDS, padding=np.nan),
                drawn(4, 6, [6, 1, 3, 5], padding=-np.inf),
                drawn(4, 6, [6, 1, 3, 5], padding=np.nan),
            ],
            requires="on padding `log_prob` and `ref_log_prob` may be NaN or infinite",
        ),
        "data": Check(
            1,
            "A reward is a number that was paid. `.detach()` what has a gradient.",
            [responses([2], [[-1, -2, -1]], [[-2, -2, -3]]), drawn(3, 4)],
            no_gradient=("score", "log_prob"),
        ),
    },
    mistakes={
        "The divergence has the wrong sign: here leaving the reference is paid for. The reward is -β (log π - log "
        "π_ref).": ("-beta * kl", "beta * kl"),
        "The divergence is missing: nothing holds the policy near the reference.": ("-beta * kl", "0 * kl"),
        "β is missing: a nat of divergence costs β.": ("-beta * kl", "-kl"),
        "β is 0.1 whatever was asked for: use the argument.": ("-beta * kl", "-0.1 * kl"),
        "This is the squared log-ratio, k2 or twice that: in the reward stands k1, the log-ratio itself, of either "
        "sign.": ("-beta * kl", "-beta * kl.square() / 2"),
        "This is k3: in the reward stands k1, the log-ratio itself, of either sign.": (
            "-beta * kl",
            "-beta * (torch.expm1(-kl) + kl)",
        ),
        "The log-ratio's sign is dropped: a token that the reference likes better has a negative k1, and is paid for "
        "it.": ("-beta * kl", "-beta * kl.abs()"),
        "The probabilities are subtracted: k1 is the difference of their logarithms.": (
            "log_prob - ref_log_prob",
            "log_prob.exp() - ref_log_prob.exp()",
        ),
        "The last token's own divergence is overwritten: add the score to it.": (
            "reward[rows, last] += paid",
            "reward[rows, last] = paid",
        ),
        "The whole response's divergence is paid at its last token: each token pays its own, so that the advantage of "
        "a token knows what it cost.": (
            "reward = -beta * kl",
            "reward = -beta * kl.sum(1, keepdim=True) * (mask.cumsum(1) == mask.sum(1, keepdim=True)) * mask",
        ),
        "Each token pays its response's mean divergence: it pays its own.": (
            "reward = -beta * kl",
            "reward = -beta * (kl.sum(1) / mask.sum(1)).unsqueeze(1).where(mask, 0.0)",
        ),
        "Every token is paid the score: then a long response is paid it many times over.": (
            "reward[rows, last] += paid",
            "reward += paid.unsqueeze(1) * mask",
        ),
        "The score is shared out among the tokens: it is paid once, at the last one.": (
            "reward[rows, last] += paid",
            "reward += (paid / mask.sum(1)).unsqueeze(1) * mask",
        ),
        "The first token is paid the score: it is paid when the response is whole, at its last token.": (
            "reward[rows, last] += paid",
            "reward[rows, 0] += paid",
        ),
        "The score stands in the last column: a shorter response's score lies on padding there, and no token is ever "
        "paid it.": ("mask.sum(1) - 1", "mask.shape[1] - 1"),
        "The score stands one token too late: with n tokens the last one has the number n - 1.": (
            "mask.sum(1) - 1",
            "mask.sum(1)",
        ),
        "The score stands one token too early: the last token is the end-of-sequence token itself.": (
            "mask.sum(1) - 1",
            "(mask.sum(1) - 2).clamp(min=0)",
        ),
        "Where the mask is False something is still paid: the result is 0 there.": (
            "kl = (log_prob - ref_log_prob).detach().masked_fill(~mask, 0.0)",
            "kl = (log_prob - ref_log_prob).detach()",
        ),
        "The mask is inverted: it is True on the tokens of a response.": ("masked_fill(~mask", "masked_fill(mask"),
        "Padding is multiplied with 0, and 0 · NaN is NaN. Replace it instead: `masked_fill`, or `where`.": (
            ".masked_fill(~mask, 0.0)",
            " * mask",
        ),
        "The penalty is missing: a response that never ends is paid like any other, so that nothing teaches it to "
        "end.": ("score.detach() - eos_penalty * ~ended", "score.detach()"),
        "The penalty is added: it is taken from the score.": ("- eos_penalty * ~ended", "+ eos_penalty * ~ended"),
        "The penalty hits the responses that did end: `ended` is True for them.": ("~ended", "ended"),
        "Every response pays the penalty: only those do that did not end by themselves.": (
            "eos_penalty * ~ended",
            "eos_penalty",
        ),
        "Full rows are taken for cut ones: a response may end with the very last token. Look at `ended`.": (
            "~ended",
            "mask.all(1)",
        ),
        "The penalty replaces the score: what was written is still worth its score, less the penalty.": (
            "score.detach() - eos_penalty * ~ended",
            "torch.where(ended, score.detach(), -eos_penalty)",
        ),
        "Every token of a response that was cut pays the penalty: it is taken once, from the score.": [
            ("reward = -beta * kl", "reward = -beta * kl - eos_penalty * (mask & ~ended.unsqueeze(1))"),
            (" - eos_penalty * ~ended", ""),
        ],
        "The penalty is weighed with β: it is in units of the score.": ("- eos_penalty", "- beta * eos_penalty"),
        "The score is weighed with β, too: β is the price of the divergence alone.": (
            "paid = score.detach()",
            "paid = beta * score.detach()",
        ),
        "A gradient flows into the log-probabilities: a reward is data. Where a loss is made of it, that gradient "
        "pulls on the policy a second time.": (
            "(log_prob - ref_log_prob).detach()",
            "(log_prob - ref_log_prob)",
        ),
        "A gradient flows into the score: a reward is data, and the reward model is not what is trained here.": (
            "score.detach()",
            "score",
        ),
        "The ratio stands in the place of its logarithm: a token pays β times log π - log π_ref.": (
            "(log_prob - ref_log_prob)",
            "(log_prob - ref_log_prob).exp()",
        ),
        "The score is paid one token too early: the last one is at the length less one.": (
            "mask.sum(1) - 1",
            "mask.sum(1) - 2",
        ),
        "The score is paid behind the last token: that is padding, unless a response fills its row.": (
            "mask.sum(1) - 1",
            "(mask.sum(1)).clamp(max=mask.shape[1] - 1)",
        ),
        "A response that has ended gets no score, and one that was cut loses the penalty and keeps its score: the "
        "penalty alone depends on `ended`.": (
            "score.detach() - eos_penalty * ~ended",
            "(score.detach() - eos_penalty) * ~ended",
        ),
        "Where the reference likes a token more nothing is paid back: the difference keeps its sign.": (
            ".detach().masked_fill(~mask, 0.0)",
            ".detach().masked_fill(~mask, 0.0).clamp(min=0)",
        ),
        "Every token pays for the whole response: each pays for itself.": (
            "reward = -beta * kl",
            "reward = -beta * kl.sum(1, keepdim=True) * mask",
        ),
        "Every token pays the mean of its response: each pays for itself.": (
            "reward = -beta * kl",
            "reward = -beta * kl.mean(1, keepdim=True) * mask",
        ),
        "Signs flipped? The score is paid, and the divergence costs.": ("    return reward", "    return -reward"),
        "The rewards of a response are added up: one for each token is asked for.": (
            "    return reward",
            "    return reward.sum(1)",
        ),
        "The score is multiplied by β: that is the price of the divergence alone.": (
            "reward[rows, last] += paid",
            "reward[rows, last] += beta * paid",
        ),
        "The reference is missing: the policy pays for writing what is probable.": (
            "reward = -beta * kl",
            "reward = -beta * log_prob.detach().masked_fill(~mask, 0.0)",
        ),
        "Every token pays for all before it once more: each pays for itself.": (
            "reward = -beta * kl",
            "reward = -beta * kl.cumsum(1) * mask",
        ),
        "A response that was cut gets no score: it gets its score, less the penalty.": (
            "score.detach() - eos_penalty * ~ended",
            "score.detach() * ended",
        ),
        "Each token's price is divided by the length of its response: it pays all of it.": (
            "reward = -beta * kl",
            "reward = -beta * kl / mask.sum(1, keepdim=True)",
        ),
        "The score stands in the last column, and where that is padding it is masked away: a shorter response is never "
        "paid it.": [
            ("mask.sum(1) - 1", "mask.shape[1] - 1"),
            ("    return reward", "    return reward * mask"),
        ],
    },
)
