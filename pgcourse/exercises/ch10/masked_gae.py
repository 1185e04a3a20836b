"""GAE over the tokens of responses, whitened over all of them."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def masked_gae(reward, value, mask, gamma, lam):
    """[Â, (Â - mean) / std], both 0 on padding. Schulman et al. (2016), section 3; Stiennon et al. (2020).

    Response by response: the mean of all n-step advantages, weighted with (1-λ) λ^(n-1), and not a recursion.
    """
    advantage = np.zeros(mask.shape)
    for i, row in enumerate(mask):
        tokens = int(row.sum())
        for t in range(tokens):
            advantage[i, t] = _one(reward[i, t:tokens], value[i, t:tokens], gamma, lam)
    real, whitened = advantage[mask], np.zeros(mask.shape)
    whitened[mask] = (real - real.mean()) / real.std(ddof=1)
    return [advantage, whitened]


def _one(reward, value, gamma, lam):
    """Â of a response's first token; behind the last one nothing follows."""
    left, later = len(reward), np.append(value[1:], 0.0)
    n_step = [(gamma ** np.arange(n)) @ reward[:n] + gamma**n * later[n - 1] - value[0] for n in range(1, left + 1)]
    weights = [(1 - lam) * lam ** (n - 1) for n in range(1, left)] + [lam ** (left - 1)]
    return np.dot(weights, n_step)


def responses(reward, value, mask=True, gamma=0.5, lam=0.8, padding=(0.0, 0.0)):
    """A case; `padding` stands in rewards and values where the mask is False."""
    mask = np.broadcast_to(mask, np.shape(reward)).copy()
    return {
        "reward": np.where(mask, reward, padding[0]),
        "value": np.where(mask, value, padding[1]),
        "mask": mask,
        "gamma": gamma,
        "lam": lam,
    }


def drawn(n, tokens, lengths=None, gamma=(0.6, 0.9), lam=(0.4, 0.9), padding=(5.0, -7.0)):
    """A case of `n` random responses, of these lengths in a random order."""

    def case(rng):
        length = np.full(n, tokens) if lengths is None else rng.permutation(lengths)
        reward, value = rng.normal(0.5, 1.0, (n, tokens)), rng.normal(2.0, 2.0, (n, tokens))
        mask = np.arange(tokens) < length[:, None]
        return responses(reward, value, mask, float(rng.uniform(*gamma)), float(rng.uniform(*lam)), padding)

    return case


FIRST_ENDS = [[True, True, False], [True, True, True]]
TWO = [[0, 2, 0], [0, 0, 4]], [[2, 4, 0], [2, 2, 2]]
LENGTHS = [6, 1, 3, 5]
BROKEN = [(np.nan, np.nan), (np.inf, -np.inf)]

EXERCISE = implement(
    masked_gae,
    title="GAE over tokens, and whitening",
    goal="Judge every token of a padded batch with a critic, and bring the advantages to one scale without padding.",
    minutes=20,
    difficulty=3,
    importance=5,
    hints=[
        "What follows the last token of a response? And which numbers are the mean and the standard deviation of?",
        "Set rewards and values to 0 on padding, then next_value is `value[:, t + 1]`, and 0 in the last column. From "
        "the back Â = δ + γλ Â. For the rest `real = advantage[mask]` has all that counts: "
        "`(advantage - real.mean()) / real.std()`, and 0 on padding.",
    ],
    checks={
        "Â, equal lengths": Check(
            2,
            "δ_t = r_t + γ v_{t+1} - v_t with nothing behind the last token, then Â_t = δ_t + γλ Â_{t+1}.",
            [responses([[0, 0, 4]], [[2, 2, 2]]), responses([[3], [5]], [[1], [2]]), drawn(3, 4)],
            through="f(reward, value, mask, gamma, lam)[0]",
        ),
        "Â, padding": Check(
            2,
            "Behind a response's last token nothing follows, whatever the critic says about padding.",
            [responses(*TWO, FIRST_ENDS, padding=(1.0, 6.0)), drawn(4, 6, LENGTHS), drawn(3, 5, [2, 3, 4])],
            through="f(reward, value, mask, gamma, lam)[0]",
            requires="on padding both results are 0",
            leaves_input_alone=True,
        ),
        "extreme γ and λ": Check(
            1,
            "λ = 0 leaves δ, λ = 1 the reward-to-go minus v. Language models are mostly trained with γ = 1.",
            [
                drawn(3, 5, None, *ends)
                for ends in (((0.9, 0.9), (0, 0)), ((0.9, 0.9), (1, 1)), ((0, 0), (0.5, 0.5)), ((1, 1), (0.95, 0.95)))
            ],
            through="f(reward, value, mask, gamma, lam)[0]",
        ),
        "whitened, equal lengths": Check(
            2,
            "One mean and one standard deviation for all tokens of the batch; torch's `std` divides by n - 1.",
            [responses([[0, 0, 4]], [[2, 2, 2]]), drawn(3, 4), drawn(5, 3)],
            through="f(reward, value, mask, gamma, lam)[1]",
        ),
        "whitened, padding": Check(
            2,
            "Padding is no token: it counts neither in the mean nor in the standard deviation, nor in n.",
            [responses(*TWO, FIRST_ENDS, padding=(1.0, 6.0)), drawn(4, 6, [6, 6, 2, 4]), drawn(4, 5, [2, 3, 5, 5])],
            through="f(reward, value, mask, gamma, lam)[1]",
        ),
        "broken padding": Check(
            1,
            "0 · NaN is NaN: replace padding before anything is computed with it.",
            [responses(*TWO, FIRST_ENDS, padding=x) for x in BROKEN]
            + [drawn(4, 6, LENGTHS, padding=x) for x in BROKEN],
            requires="on padding `reward` and `value` may be NaN or infinite",
        ),
    },
    mistakes={
        "The critic's word on padding follows the last token: a response is over there, and nothing follows.": (
            "value = value.masked_fill(~mask, 0.0)",
            "value = value",
        ),
        "The rewards of padding run into the last token's advantage: stop the sum there.": (
            "reward = reward.masked_fill(~mask, 0.0)",
            "reward = reward",
        ),
        "The mask is not looked at in the recursion: rewards and values of padding run into the last token's "
        "advantage.": [
            ("value = value.masked_fill(~mask, 0.0)", "value = value"),
            ("reward = reward.masked_fill(~mask, 0.0)", "reward = reward"),
        ],
        "After the last token the critic's word on that same token follows: it is 0 there.": (
            "torch.zeros_like(value[:, :1])",
            "value[:, -1:]",
        ),
        "The last token of a response is left at 0: its advantage is r - v.": (
            "advantage = advantage.masked_fill(~mask, 0.0)",
            "advantage = advantage.masked_fill(~mask | (mask.cumsum(1) == mask.sum(1, keepdim=True)), 0.0)",
        ),
        "λ is missing: this is λ = 1.": ("gamma * lam *", "gamma *"),
        "γ is missing in the recursion: Â_{t+1} is weighted with γλ.": ("gamma * lam *", "lam *"),
        "γ is missing in δ: it is r + γ v' - v.": ("reward + gamma * later", "reward + later"),
        "These are the residuals δ alone: each also takes γλ times the next advantage.": ("gamma * lam *", "0 *"),
        "You run forward through time: Â_t needs what comes after t.": (
            "reversed(range(mask.shape[1]))",
            "range(mask.shape[1])",
        ),
        "v is not subtracted: δ is r + γ v' - v.": ("gamma * later - value", "gamma * later"),
        "Signs flipped? δ is what came minus what was expected.": (
            "reward + gamma * later - value",
            "value - reward - gamma * later",
        ),
        "This is the critic's target, Â + v: return Â, and whiten Â.": (
            "advantage = advantage.masked_fill(~mask, 0.0)",
            "advantage = (advantage + value).masked_fill(~mask, 0.0)",
        ),
        "On padding stands something in Â: it is 0 there. This comes of running over the padding with its values.": (
            "advantage = advantage.masked_fill(~mask, 0.0)",
            "advantage = advantage.where(mask, -1.0)",
        ),
        "The mask is inverted: it is True on the tokens of a response.": "f(reward, value, ~mask, gamma, lam)",
        "The last token is taken for padding: the mask is True on the end-of-sequence token, too.": (
            "f(reward, value, mask & torch.nn.functional.pad(mask, (0, 1))[:, 1:], gamma, lam)"
        ),
        "Padding enters the mean and the standard deviation as advantages of 0: the more padding, the larger the "
        "others come out.": ("real = advantage[mask]", "real = advantage.flatten()"),
        "The standard deviation divides by n: torch's default, here and elsewhere in code, is n - 1.": (
            "real.std()",
            "real.std(correction=0)",
        ),
        "Divided by the variance: take the standard deviation.": ("real.std()", "real.var()"),
        "Only the mean is subtracted: divide by the standard deviation, too.": (" / (real.std() + 1e-8)", ""),
        "Only the scale is changed: subtract the mean, too.": ("(advantage - real.mean())", "advantage"),
        "Each response is whitened by itself: then a good and a bad one look the same.": (
            "whitened = (advantage - real.mean()) / (real.std() + 1e-8)",
            "whitened = torch.stack([(x - x[m].mean()) / (x[m].std() + 1e-8) for x, m in zip(advantage, mask)])",
        ),
        "Each position in the responses is whitened by itself: use one mean and one standard deviation for all.": (
            "whitened = (advantage - real.mean()) / (real.std() + 1e-8)",
            "whitened = torch.stack([(x - x[m].mean()) / (x[m].std() + 1e-8) for x, m in zip(advantage.T, mask.T)]).T",
        ),
        "On padding stands (0 - mean) / std: set it to 0 after all else.": (
            "return advantage, whitened.masked_fill(~mask, 0.0)",
            "return advantage, whitened",
        ),
        "The critic's targets are whitened, not the advantages.": (
            "real = advantage[mask]",
            "real = (advantage + value)[mask]",
        ),
        "Â is whitened already in the first result: return it as it is there, too.": (
            "return advantage, whitened.masked_fill(~mask, 0.0)",
            "return whitened.masked_fill(~mask, 0.0), whitened.masked_fill(~mask, 0.0)",
        ),
        "The two results are in the other order: first Â, then Â whitened.": "f(*a)[::-1]",
        "The rewards are whitened before GAE: it is Â that is whitened, behind it.": (
            "reward = reward.masked_fill(~mask, 0.0)",
            "reward = ((reward - reward[mask].mean()) / (reward[mask].std() + 1e-8)).masked_fill(~mask, 0.0)",
        ),
        "Padding is multiplied with 0, and 0 · NaN is NaN. Replace it instead: `masked_fill`, or `where`.": [
            ("value = value.masked_fill(~mask, 0.0)", "value = value * mask"),
            ("reward = reward.masked_fill(~mask, 0.0)", "reward = reward * mask"),
        ],
        "The critic's word on padding follows the last token: nothing follows there.": (
            "value = value.masked_fill(~mask, 0.0)\n",
            "value = value.nan_to_num(0, 0, 0)\n",
        ),
        "v_t is added: it is what was expected, and is taken away.": ("gamma * later - value", "gamma * later + value"),
        "v_t and v_{t+1} are exchanged: δ = r + γ v_{t+1} - v_t.": ("gamma * later - value", "gamma * value - later"),
        "Each response is whitened by itself: one mean and one deviation for the batch.": (
            "(advantage - real.mean()) / (real.std() + 1e-8)",
            "(advantage - advantage.mean(1, keepdim=True)) / (advantage.std(1, keepdim=True) + 1e-8)",
        ),
        "Divided by the largest advantage: take the standard deviation.": (
            "real.std() + 1e-8",
            "real.abs().max() + 1e-8",
        ),
        "The mean is added again: whitened advantages have the mean 0.": (
            "(advantage - real.mean()) / (real.std() + 1e-8)",
            "(advantage - real.mean()) / (real.std() + 1e-8) + real.mean()",
        ),
        "The rewards are missing in δ.": ("delta = reward + gamma * later - value", "delta = gamma * later - value"),
        "What follows is missing in δ: γ v_{t+1}.": (
            "delta = reward + gamma * later - value",
            "delta = reward - value",
        ),
        "The second result is not whitened.": (
            "return advantage, whitened.masked_fill(~mask, 0.0)",
            "return advantage, advantage",
        ),
        "The median is taken away: it is the mean.": ("real.mean()", "real.median()"),
        "This scales to between 0 and 1: subtract the mean, divide by the standard deviation.": (
            "(advantage - real.mean()) / (real.std() + 1e-8)",
            "(advantage - real.min()) / (real.max() - real.min() + 1e-8)",
        ),
        "Padding counts in the standard deviation.": ("(real.std() + 1e-8)", "(advantage.std() + 1e-8)"),
        "Padding counts in the mean.": ("(advantage - real.mean())", "(advantage - advantage.mean())"),
        "v_t itself follows: what follows is worth v_{t+1}.": (
            "later = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], 1)",
            "later = value",
        ),
        "v_{t-1} stands in the place of v_{t+1}: the values are shifted the wrong way.": (
            "later = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], 1)",
            "later = torch.cat([torch.zeros_like(value[:, :1]), value[:, :-1]], 1)",
        ),
        "The first result is the critic's target, Â + v: return Â.": (
            "return advantage, ",
            "return (advantage + value).masked_fill(~mask, 0.0), ",
        ),
        "This is the mean of the responses' means: it runs over all tokens, each counting the same.": (
            "real.mean()",
            "(advantage.sum(1) / mask.sum(1)).mean()",
        ),
        "1 - λ stands in the place of λ.": ("gamma * lam *", "gamma * (1 - lam) *"),
        "The loop begins one column too early: the last token's advantage is left out.": (
            "range(mask.shape[1])",
            "range(mask.shape[1] - 1)",
        ),
        "The loop ends one column too early: the first token's advantage is left out.": (
            "range(mask.shape[1])",
            "range(1, mask.shape[1])",
        ),
        "The reward is discounted, too: δ = r + γ v' - v.": ("delta = reward", "delta = gamma * reward"),
        "One result only: a pair is asked for, Â and Â whitened.": "f(*a)[0]",
        "Padding is multiplied with 0 behind each step, and 0 · NaN is NaN: replace it before anything is computed.": [
            ("reward = reward.masked_fill(~mask, 0.0)", "reward = reward"),
            ("value = value.masked_fill(~mask, 0.0)", "after = torch.nn.functional.pad(mask[:, 1:], (0, 1))"),
            (
                "torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], 1)",
                "torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], 1) * after",
            ),
            ("gamma * lam * ahead", "gamma * lam * after[:, t] * ahead"),
            ("advantage = advantage.masked_fill(~mask, 0.0)", "advantage = advantage * mask"),
            ("whitened.masked_fill(~mask, 0.0)", "whitened * mask"),
        ],
    },
)
