"""Wrong answers of chapters 10 and 11, in words of their own: called by their name, and by no other."""

import pytest
from wrong_answers import all_are_named

WRONG = {
    "10.token_reward": [
        (("-beta * kl", "beta * kl"), "The divergence has the wrong sign: here le"),
        (("reward[rows, last] += paid", "reward[:, -1] += paid"), "The score stands in the last column: a sho"),
        (
            ("reward[rows, last] += paid", "reward += paid[:, None] * mask"),
            "Every token is paid the score: then a long",
        ),
        (("reward[rows, last] += paid", "reward[rows, last] = paid"), "The last token's own divergence is overwri"),
        (("reward = -beta * kl", "reward = 0 * kl"), "The divergence is missing: nothing holds t"),
        (("score.detach() - eos_penalty * ~ended", "score.detach()"), "The penalty is missing: a response that ne"),
        (("eos_penalty * ~ended", "eos_penalty * ended"), "The penalty hits the responses that did en"),
        (("eos_penalty * ~ended", "eos_penalty"), "Every response pays the penalty: only thos"),
        (("- eos_penalty", "+ eos_penalty"), "The penalty is added: it is taken from the"),
        (("mask.sum(1) - 1", "(mask.sum(1) - 2).clamp(min=0)"), "The score stands one token too early: the"),
        (("mask.sum(1) - 1", "mask.sum(1).clamp(max=mask.shape[1] - 1)"), "The score is paid behind the last token: t"),
        (("-beta * kl", "-kl"), "β is missing: a nat of divergence costs β."),
        (
            (
                "kl = (log_prob - ref_log_prob).detach().masked_fill(~mask, 0.0)",
                "kl = (log_prob - ref_log_prob).detach().exp().masked_fill(~mask, 0.0)",
            ),
            "The ratio stands in the place of its logar",
        ),
        (
            ("reward = -beta * kl", "reward = -beta * ((-kl).exp() - 1 + kl)"),
            "This is k3: in the reward stands k1, the l",
        ),
        (("-beta * kl", "-beta * kl.abs()"), "The log-ratio's sign is dropped: a token t"),
        (("-beta * kl", "-beta * 0.5 * kl ** 2"), "This is the squared log-ratio, k2 or twice"),
        (
            ("reward = -beta * kl", "reward = torch.zeros_like(kl)\n    score = score - beta * kl.sum(1)"),
            "The whole response's divergence is paid at",
        ),
        (
            (
                "score.detach() - eos_penalty * ~ended",
                "torch.where(ended, score.detach(), torch.tensor(-float(eos_penalty)))",
            ),
            "The penalty replaces the score: what was w",
        ),
        (
            ("score.detach() - eos_penalty * ~ended", "score.detach() * ended"),
            "A response that was cut gets no score: it",
        ),
        (
            (
                "reward[rows, last] += paid",
                "reward[rows, last] += paid\n    reward -= (eos_penalty * ~ended)[:, None] * mask\n    reward[rows, "
                "last] += eos_penalty * ~ended",
            ),
            "Every token of a response that was cut pay",
        ),
        (("reward[rows, last] += paid", "reward[:, 0] += paid"), "The first token is paid the score: it is p"),
        (
            ("reward[rows, last] += paid", "reward += (paid / mask.sum(1))[:, None] * mask"),
            "The score is shared out among the tokens:",
        ),
        (("-beta * kl", "-beta * kl / mask.sum(1, keepdim=True)"), "Each token's price is divided by the lengt"),
        ((".masked_fill(~mask, 0.0)", ""), "Where the mask is False something is still"),
        ((".detach().masked_fill(~mask, 0.0)", ".detach() * mask"), "Padding is multiplied with 0, and 0 · NaN"),
        ((".detach().masked_fill", ".masked_fill"), "A gradient flows into the log-probabilitie"),
        (("score.detach()", "score"), "A gradient flows into the score: a reward"),
        (
            ("reward[rows, last] += paid", "reward[rows, last] += beta * paid"),
            "The score is multiplied by β: that is the",
        ),
        (("~ended", "mask.all(1)"), "Full rows are taken for cut ones: a respon"),
        (("return reward", "return reward.sum(1)"), "The rewards of a response are added up: on"),
        (
            ("log_prob - ref_log_prob)", "log_prob.exp() - ref_log_prob.exp())"),
            "The probabilities are subtracted: k1 is th",
        ),
        (("-beta * kl", "-beta * kl / 0.6931471805599453"), None),
        (("-beta * kl", "-beta * kl.cumsum(1) * mask"), "Every token pays for all before it once mo"),
        (("masked_fill(~mask, 0.0)", "masked_fill(mask, 0.0)"), "The mask is inverted: it is True on the to"),
        (
            (
                "kl = (log_prob - ref_log_prob).detach().masked_fill(~mask, 0.0)",
                "kl = log_prob.detach().sub_(ref_log_prob).masked_fill_(~mask, 0.0)",
            ),
            None,
        ),
        (("(log_prob - ref_log_prob)", "log_prob"), "The reference is missing: the policy pays"),
        (
            ("reward[rows, last] += paid", "reward[rows[~ended], last[~ended]] += paid[~ended]"),
            "A response that has ended gets no score, a",
        ),
        ("-f(*a)", "Signs flipped? The score is paid, and the"),
        (("reward[rows, last] += paid", "reward[rows, last] = paid"), "The last token's own divergence is overwri"),
    ],
    "10.masked_gae": [
        (("value = value.masked_fill(~mask, 0.0)\n", "pass\n"), "The critic's word on padding follows the l"),
        (
            [
                ("reward = reward.masked_fill(~mask, 0.0)", "reward = reward * mask"),
                ("value = value.masked_fill(~mask, 0.0)", "value = value * mask"),
            ],
            "Padding is multiplied with 0, and 0 · NaN",
        ),
        (("real.std()", "real.std(correction=0)"), "The standard deviation divides by n: torch"),
        (("gamma * lam * ahead", "gamma * ahead"), "λ is missing: this is λ = 1."),
        (("gamma * lam * ahead", "lam * ahead"), "γ is missing in the recursion: Â_{t+1} is"),
        (("gamma * later", "later"), "γ is missing in δ: it is r + γ v' - v."),
        (("real = advantage[mask]", "real = advantage"), "Padding enters the mean and the standard d"),
        (("real.mean()", "advantage.mean()"), "Padding counts in the mean."),
        (("real.std()", "advantage.std()"), "Padding counts in the standard deviation."),
        (
            (
                "whitened = (advantage - real.mean()) / (real.std() + 1e-8)",
                "whitened = torch.stack([(x - x[m].mean()) / (x[m].std() + 1e-8) for x, m in zip(advantage, mask)])",
            ),
            "Each response is whitened by itself: then",
        ),
        (("(advantage - real.mean())", "advantage"), "Only the scale is changed: subtract the me"),
        (("real.std()", "real.var()"), "Divided by the variance: take the standard"),
        ((" / (real.std() + 1e-8)", ""), "Only the mean is subtracted: divide by the"),
        (("whitened.masked_fill(~mask, 0.0)", "whitened"), "On padding stands (0 - mean) / std: set it"),
        (
            ("later = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], 1)", "later = value"),
            "v_t itself follows: what follows is worth",
        ),
        (
            (
                "torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], 1)",
                "torch.cat([torch.zeros_like(value[:, :1]), value[:, :-1]], 1)",
            ),
            "v_{t-1} stands in the place of v_{t+1}: th",
        ),
        (
            ("return advantage,", "return (advantage + value).masked_fill(~mask, 0.0),"),
            "The first result is the critic's target, Â",
        ),
        (("torch.zeros_like(value[:, :1])", "value[:, -1:]"), "After the last token the critic's word on"),
        (("+ gamma * later - value", "+ gamma * later"), "v is not subtracted: δ is r + γ v' - v."),
        (("real.mean()", "(advantage.sum(1) / mask.sum(1)).mean()"), "This is the mean of the responses' means"),
        (("(real.std() + 1e-8)", "real.abs().max()"), "Divided by the largest advantage: take the"),
        ("f(*a)[::-1]", "The two results are in the other order: fi"),
        ("(f(*a)[1], f(*a)[1])", "Â is whitened already in the first result:"),
        ("(f(*a)[0], f(*a)[0])", "The second result is not whitened."),
        (("gamma * lam * ahead", "0 * ahead"), "These are the residuals δ alone: each also"),
        (("gamma * lam * ahead", "gamma * ahead"), "λ is missing: this is λ = 1."),
        (("gamma * lam * ahead", "gamma * (1 - lam) * ahead"), "1 - λ stands in the place of λ."),
        (("reward = reward.masked_fill(~mask, 0.0)", "reward.masked_fill_(~mask, 0.0)"), None),
        (("value = value.masked_fill(~mask, 0.0)", "value[~mask] = 0.0"), None),
        (
            ("reversed(range(mask.shape[1]))", "reversed(range(mask.shape[1] - 1))"),
            "The loop begins one column too early: the",
        ),
        (
            ("reversed(range(mask.shape[1]))", "reversed(range(1, mask.shape[1]))"),
            "The loop ends one column too early: the fi",
        ),
        (("reversed(range(mask.shape[1]))", "range(mask.shape[1])"), "You run forward through time: Â_t needs wh"),
        (("gamma * lam * ahead", "gamma * lam ** 2 * ahead"), None),
        (("delta = reward", "delta = gamma * reward"), "The reward is discounted, too: δ = r + γ v"),
        (("delta = reward + gamma", "delta = gamma"), "The rewards are missing in δ."),
        ("tuple(-x for x in f(*a))", "Signs flipped? δ is what came minus what w"),
        (("later - value", "later + value"), "v_t is added: it is what was expected, and"),
        (("real = advantage[mask]", "real = advantage[~mask]"), None),
        (("gamma * later", "0 * later"), "What follows is missing in δ: γ v_{t+1}."),
        ("f(*a)[0]", "One result only: a pair is asked for, Â an"),
        (
            (
                "whitened = (advantage - real.mean()) / (real.std() + 1e-8)",
                "n = mask.sum(0)\n    mean = advantage.sum(0) / n.clamp(min=1)\n    std = (((advantage - mean) * "
                "mask).square().sum(0) / (n - 1).clamp(min=1)).sqrt()\n    whitened = (advantage - mean) / (std + "
                "1e-8)",
            ),
            None,
        ),
        (("real.mean()", "real.median()"), "The median is taken away: it is the mean."),
        (("1e-8", "0.1"), None),
    ],
    "10.token_clip": [
        (("-means[by]", "means[by]"), "Sign flipped? This is a loss, to be made s"),
        (("torch.minimum", "torch.maximum"), "The larger of the two is taken: going too"),
        (("1 + clip_high) * good)", "1 + clip) * good)"), "ε_high is not used in the loss: the upper"),
        (
            [("1 + clip_high) * good)", "1 + clip) * good)"), ("ratio > 1 + clip_high", "ratio > 1 + clip")],
            "ε_high is not used at all: the bounds are",
        ),
        (
            [
                ("clamp(1 - clip, 1 + clip_high)", "clamp(1 - clip_high, 1 + clip)"),
                (
                    "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
                    "(good > 0) & (ratio > 1 + clip) | (good < 0) & (ratio < 1 - clip_high)",
                ),
            ],
            "The two ε are swapped: `clip` is below 1 a",
        ),
        (
            (
                "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
                "((ratio > 1 + clip_high) | (ratio < 1 - clip)) & mask",
            ),
            "Clipped is not everything outside the inte",
        ),
        (
            (
                "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
                "(ratio > 1 + clip_high) | (ratio < 1 - clip)",
            ),
            "Clipped is not everything outside the inte",
        ),
        (
            (
                "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
                "(good < 0) & (ratio > 1 + clip_high) | (good > 0) & (ratio < 1 - clip)",
            ),
            "Clipped are the tokens on the other sides:",
        ),
        (("means[by]", "means['token']"), "The mean is over all tokens whatever is as"),
        (("means[by]", "means['sequence']"), "The mean is over responses whatever is ask"),
        (
            ("-means[by]", "-means[{'token': 'sequence', 'sequence': 'token'}[by]]"),
            'The two means are swapped: "token" is the',
        ),
        (("gain.sum() / mask.sum()", "gain.mean()"), "Over tokens, padding is counted: divide by"),
        (
            [("gain.sum() / mask.sum()", "gain.mean()"), ("(gain.sum(1) / mask.sum(1)).mean()", "gain.mean(1).mean()")],
            "Padding is counted in both means: divide b",
        ),
        (("gain.sum(1) / mask.sum(1)", "gain.sum(1) / mask.shape[1]"), "Over responses, padding is counted: each r"),
        (("gain.sum() / mask.sum()", "gain.sum()"), "Over tokens this is a sum: divide by the n"),
        (
            ("(gain.sum(1) / mask.sum(1)).mean()", "(gain.sum(1) / mask.sum(1)).sum()"),
            "Over responses this is a sum: take the mea",
        ),
        (("(gain.sum(1) / mask.sum(1)).mean()", "gain.sum(1).mean()"), "Over responses this is a mean of sums: eac"),
        (
            ("(log_prob - old_log_prob.detach())", "(old_log_prob.detach() - log_prob)"),
            "The ratio is inverted: it is the new polic",
        ),
        ((".masked_fill(~mask, 0.0).exp()", ".masked_fill(~mask, 0.0)"), "The ratio's exp is missing: a difference o"),
        (
            ("gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip_high) * good)", "gain = ratio * good"),
            "Nothing is clipped in the loss: this is r",
        ),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip_high) * good)",
                "gain = ratio.clamp(1 - clip, 1 + clip_high) * good",
            ),
            "The minimum is missing: clip(r) Â alone ta",
        ),
        (("(log_prob - old", "(log_prob.detach() - old"), "No gradient is left: log_prob was detached"),
        (("old_log_prob.detach()", "old_log_prob"), "A gradient flows into the old log-probabil"),
        (("advantage.detach()", "advantage"), "A gradient flows into the advantage: it is"),
        (
            [
                (
                    "ratio = (log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
                    "ratio = (log_prob - old_log_prob.detach()).exp() * mask",
                ),
                ("advantage.detach().masked_fill(~mask, 0.0)", "advantage.detach() * mask"),
            ],
            "Padding is multiplied with 0, and 0 · NaN",
        ),
        (
            (
                "ratio = (log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
                "ratio = (log_prob - old_log_prob.detach()).exp().masked_fill(~mask, 0.0)",
            ),
            "Padding is replaced after exp",
        ),
        (
            ("masked_fill(~mask, 0.0).exp()", "masked_fill(~mask, 0.0).sum(1, keepdim=True).exp()"),
            "r is of the whole response: the product of",
        ),
        (
            (
                "(log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
                "((log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).sum(1, keepdim=True) / mask.sum(1, "
                "keepdim=True)).exp()",
            ),
            "r is the geometric mean of the response's",
        ),
        (
            ("-means[by], clipped", "-means[by], clipped.sum() / mask.sum()"),
            "The share of clipped tokens is one number:",
        ),
        (
            (
                "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
                "~((good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)) & mask",
            ),
            "The flags are inverted: True where the cli",
        ),
        (
            (
                "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
                "(ratio.clamp(1 - clip, 1 + clip_high) * good <= ratio * good) & mask",
            ),
            "Within the interval both products are the",
        ),
        (
            (
                "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
                "(gain == ratio.clamp(1 - clip, 1 + clip_high) * good)",
            ),
            "Within the interval, and on padding, both",
        ),
        (
            ("ratio.clamp(1 - clip, 1 + clip_high)", "ratio.log().clamp(-clip, clip_high).exp()"),
            "The logarithm of r is clipped: it is r tha",
        ),
        (("clamp(1 - clip, 1 + clip_high)", "clamp(-clip, clip_high)"), "The ratio is clipped to between -ε and ε_h"),
        (("gain.sum() / mask.sum()", "gain.sum() / len(mask)"), "Over tokens, the sum is divided by the num"),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip_high) * good)",
                "gain = (log_prob * good).masked_fill(~mask, 0.0)",
            ),
            "There is no ratio here: log π Â is REINFOR",
        ),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip_high) * good)",
                "gain = ratio.clamp(max=1 + clip_high).detach() * good * log_prob.masked_fill(~mask, 0.0)",
            ),
            "This is CISPO's, a clipped weight times lo",
        ),
        (("-means[by], clipped", "-means[by].item(), clipped"), "No gradient is left: log_prob was detached"),
        (("-means[by], clipped", "-gain, clipped"), "The loss is one number: take the mean of t"),
        (("good = advantage.detach()", "good = advantage.detach().sign()"), None),
        (
            (
                "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
                "(good > 0) & (ratio > 1 + clip_high)",
            ),
            "Only good tokens are looked at: a bad one",
        ),
        (
            (
                "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
                "(good < 0) & (ratio < 1 - clip)",
            ),
            "Only bad tokens are looked at: a good one",
        ),
        ("f(*a)[::-1]", "The two results are in the other order: fi"),
        (
            ("ratio.clamp(1 - clip, 1 + clip_high)", "ratio.clamp(max=1 + clip_high)"),
            "The lower bound is missing: r is clipped a",
        ),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip_high) * good)",
                "gain = torch.minimum(ratio, ratio.clamp(1 - clip, 1 + clip_high)) * good",
            ),
            "Â stands outside the minimum: for Â < 0 th",
        ),
        ("f(*a)[0]", "One result only: the loss and the flags ar"),
    ],
    "10.kl_estimators": [
        (('{"value": d, ', '{"value": -d, '), "k1 has the wrong sign: it is log π - log π"),
        (("log_probs - ref_log_probs", "ref_log_probs - log_probs"), "d has the wrong sign throughout: it is log"),
        (('{"value": d, ', '{"value": d.abs(), '), "k1 lost its sign: a single one may be nega"),
        (('{"value": d, ', '{"value": prob * d, '), "k1 is weighted with π: its value for each"),
        (('"value": d.square() / 2', '"value": d.square()'), "The ½ of k2 is missing."),
        (
            [
                ('"value": d.square() / 2', '"value": d.square()'),
                (
                    '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))',
                    '"gradient": 2 * prob * (d - (prob * d).sum(-1, keepdim=True))',
                ),
            ],
            "The ½ of k2 is missing, in its value and i",
        ),
        (('"value": d.square() / 2', '"value": d / 2'), "k2 lacks the square."),
        (('"value": d.square() / 2', '"value": prob * d.square() / 2'), "k2 is weighted with π: its value for each"),
        (('"value": torch.expm1(-d) + d', '"value": torch.expm1(d) - d'), "k3 has the ratio inverted: exp(d) - 1 - d"),
        (('"value": torch.expm1(-d) + d', '"value": torch.exp(-d) + d'), "The -1 of k3 is missing: it should be 0 wh"),
        (
            ('"value": torch.expm1(-d) + d', '"value": torch.expm1(-d) - d'),
            "k3 has the sign of the logarithm wrong: wi",
        ),
        (
            ('"value": torch.expm1(-d) + d', '"value": -(torch.expm1(-d) + d)'),
            "k3 has the wrong sign: r - 1 - log r is ne",
        ),
        (
            ('"value": torch.expm1(-d) + d', '"value": prob * (torch.expm1(-d) + d)'),
            "k3 is weighted with π: its value for each",
        ),
        (('"value": torch.expm1(-d) + d', '"value": torch.expm1(-d)'), "The logarithm in k3 is missing: r - 1 alon"),
        (
            [
                ('"value": torch.expm1(-d) + d', '"value": torch.expm1(d) - d'),
                (
                    '"gradient": prob - ref_log_probs.exp()',
                    '"gradient": prob * (prob / ref_log_probs.exp() - 1 - (prob * (prob / ref_log_probs.exp() - '
                    "1)).sum(-1, keepdim=True))",
                ),
            ],
            "k3 has the ratio inverted, in its value an",
        ),
        (
            ('"gradient": torch.zeros_like(d)', '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))'),
            "k1's gradient is 0. The value of k1 is rig",
        ),
        (('"gradient": torch.zeros_like(d)', '"gradient": prob'), "k1's gradient is 0, and not π: raising a l"),
        (
            ('"gradient": torch.zeros_like(d)', '"gradient": torch.ones_like(d)'),
            "The gradient of k1 is not 1: that is ∂k/∂l",
        ),
        (('"gradient": torch.zeros_like(d)', '"gradient": 1 - prob'), "1 - π is what one token does to its own lo"),
        (
            ('"gradient": torch.zeros_like(d)', '"gradient": prob * (1 - prob)'),
            "π (1 - π) counts each token's own logit on",
        ),
        (
            ('"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))', '"gradient": prob * d'),
            "The gradient of k2 is not π d: raising a l",
        ),
        (
            ('"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))', '"gradient": d'),
            "The gradient of k2 is not d: that is ∂k/∂l",
        ),
        (
            (
                '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))',
                '"gradient": d - (prob * d).sum(-1, keepdim=True)',
            ),
            "The gradient of k2 lacks π in front.",
        ),
        (
            (
                '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))',
                '"gradient": prob * (d - d.mean(-1, keepdim=True))',
            ),
            "The mean of d as if all tokens were equall",
        ),
        (
            (
                '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))',
                '"gradient": prob * (d - d.sum(-1, keepdim=True))',
            ),
            "The sum of d over the tokens lacks its wei",
        ),
        (
            (
                '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))',
                '"gradient": -prob * (d - (prob * d).sum(-1, keepdim=True))',
            ),
            "The gradient of k2 has the wrong sign.",
        ),
        (
            (
                '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))',
                '"gradient": 2 * prob * (d - (prob * d).sum(-1, keepdim=True))',
            ),
            "The gradient of k2 is twice too large: the",
        ),
        (
            (
                '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))',
                '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True)) / 2',
            ),
            "The gradient of k2 is half of what it shou",
        ),
        (
            ('"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))', '"gradient": prob * (d - (prob * d).sum())'),
            "The mean of d runs over all positions: eac",
        ),
        (
            ('"gradient": prob - ref_log_probs.exp()', '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))'),
            "The gradient of k3 is not that of KL(π ‖ π",
        ),
        (
            ('"gradient": prob - ref_log_probs.exp()', '"gradient": ref_log_probs.exp() - prob'),
            "The gradient of k3 has the wrong sign: it",
        ),
        (
            ('"gradient": prob - ref_log_probs.exp()', '"gradient": 1 - (-d).exp()'),
            "The gradient of k3 lacks π: this is ∂k/∂lo",
        ),
        (('"gradient": prob - ref_log_probs.exp()', '"gradient": -ref_log_probs.exp()'), None),
        (
            ('"gradient": prob - ref_log_probs.exp()', '"gradient": prob * (prob - ref_log_probs.exp())'),
            "The gradient of k3 has a π too many: the m",
        ),
        (
            [
                ('"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))', "@"),
                ('"gradient": prob - ref_log_probs.exp()', '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))'),
                ("@", '"gradient": prob - ref_log_probs.exp()'),
            ],
            "The gradients of k2 and k3 are swapped.",
        ),
        (
            [
                (
                    '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))',
                    '"gradient": prob * (d + d.square() / 2 - (prob * (d + d.square() / 2)).sum(-1, keepdim=True))',
                ),
                ('"gradient": torch.zeros_like(d)', '"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))'),
                (
                    '"gradient": prob - ref_log_probs.exp()',
                    '"gradient": 1.0 * prob * (d - (prob * d).sum(-1, keepdim=True))',
                ),
            ],
            "The tokens' probabilities were differentia",
        ),
        (
            [
                ('"gradient": torch.zeros_like(d)', '"gradient": prob'),
                ('"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))', '"gradient": prob * d'),
            ],
            "Softmax and log are left out: these are de",
        ),
        (
            [
                ('"gradient": torch.zeros_like(d)', '"gradient": torch.ones_like(d)'),
                ('"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))', '"gradient": d'),
                ('"gradient": prob - ref_log_probs.exp()', '"gradient": 1 - (-d).exp()'),
            ],
            "These are the gradients of the single toke",
        ),
        (
            [
                ('"gradient": torch.zeros_like(d)', '"gradient": prob * (1 - prob)'),
                ('"gradient": prob * (d - (prob * d).sum(-1, keepdim=True))', '"gradient": prob * d * (1 - prob)'),
                ('"gradient": prob - ref_log_probs.exp()', '"gradient": prob * (1 - (-d).exp()) * (1 - prob)'),
            ],
            "In all three gradients each token moves it",
        ),
        (
            "{k: {**v, 'value': (log_probs.exp() * v['value']).sum(-1)} for k, v in f(*a).items()}",
            "The values are means: one number for each",
        ),
        (
            "{k: {**v, 'gradient': v['gradient'].sum(-1)} for k, v in f(*a).items()}",
            "The gradients are added up: a number for e",
        ),
        (
            (
                "prob, d = log_probs.exp(), log_probs - ref_log_probs",
                "prob, d = log_probs.exp(), log_probs.sub_(ref_log_probs)",
            ),
            None,
        ),
        (
            "{k: {**v, 'gradient': -v['gradient']} for k, v in f(*a).items()}",
            "All gradients have the wrong sign: asked f",
        ),
        (
            ('"gradient": torch.zeros_like(d)', '"gradient": prob - ref_log_probs.exp()'),
            "π - π_ref is the gradient of k3: that of k",
        ),
        (
            ("log_probs - ref_log_probs", "log_probs.exp() - ref_log_probs.exp()"),
            "d is the difference of the probabilities h",
        ),
    ],
    "10.best_of_n": [
        (
            ("((rank[:, None] - taken) / (pool - taken)).prod(1)", "(rank / pool) ** n"),
            "This is biased: (r/N)^n draws the same ans",
        ),
        (
            "gold[..., :n].gather(-1, score[..., :n].argmax(-1, keepdim=True))[..., 0]",
            "Only the first n answers are looked at: ri",
        ),
        ("f(gold, gold, n)", "The largest gold is taken: nobody knows go"),
        ("f(score, score, n)", "The score of the best is returned: asked f"),
        ("f(gold, score, n)", "Score and gold are exchanged."),
        ("gold.gather(-1, score.argmax(-1, keepdim=True))[..., 0]", "The best of the whole pool, whatever n is."),
        ("f(-score, gold, n)", "The worst of n is taken: look at which end"),
        ("gold.gather(-1, score.topk(n, -1).indices).mean(-1)", "The mean of the n best of the pool: one of"),
        ("gold.mean(-1)", "This is the mean of the pool, whatever n i"),
        (
            ("(weight.to(gold.dtype) * gold)", "(weight.sort(-1).values.to(gold.dtype) * gold)"),
            "The weights are those of the sorted answer",
        ),
        (
            ("(weight.to(gold.dtype) * gold)", "(weight.sort(-1).values.to(gold.dtype) * gold.sort(-1).values)"),
            "Scores and gold are sorted each by itself:",
        ),
        ((" / (upto - below)", ""), "Equal scores each get the weight of all of"),
        (
            "(lambda o: (gold.gather(-1, o) * torch.tensor([__import__('math').comb(r - 1, n - 1) / "
            "__import__('math').comb(score.shape[-1], n) for r in range(1, score.shape[-1] + "
            "1)])).sum(-1))(score.argsort(-1, stable=True))",
            "Equal scores are taken in the order in whi",
        ),
        (
            ("(within[upto] - within[below]) / (upto - below)", "within[upto]"),
            "The r-th weight is the whole share up to r",
        ),
        (
            (
                "weight = (within[upto] - within[below]) / (upto - below)",
                "weight = within[upto]\n    weight = weight / weight.sum(-1, keepdim=True)",
            ),
            "The shares up to r are made to add",
        ),
        (("torch.arange(n)", "torch.arange(n - 1)"), "n is one too small."),
        (("torch.arange(n)", "torch.arange(n + 1)"), "n is one too large in the product: j runs"),
        (
            ("within[upto] - within[below]", "within[(upto - 1).clamp(min=0)] - within[(below - 1).clamp(min=0)]"),
            "The ranks count from 0: with the r-th answ",
        ),
        (
            (
                "((rank[:, None] - taken) / (pool - taken)).prod(1)",
                "(rank[:, None] - taken).to(torch.float32).prod(1) / (pool - taken).to(torch.float32).prod()",
            ),
            "Too large for float32: numbers of subsets",
        ),
        ("1 - (1 - gold.mean(-1)) ** n", "That is for independent draws with a succe"),
        (
            "torch.stack([(lambda i: gold.gather(-1, i).gather(-1, score.gather(-1, i).argmax(-1, "
            "keepdim=True))[..., 0])(torch.rand_like(score).argsort(-1)[..., :n]) for _ in range(300)]).mean(0)",
            None,
        ),
        (
            "(lambda o: (gold.gather(-1, o) * torch.tensor([__import__('math').comb(r - 1, n - 1) / "
            "__import__('math').comb(score.shape[-1], n) for r in range(1, score.shape[-1] + "
            "1)])).sum(-1))(torch.tensor(np.lexsort((gold.numpy(), score.numpy()))))",
            "Of equal scores the one with the most gold",
        ),
        ("f(*a).mean()", "This is one number for all prompts: the me"),
        (
            "(lambda m: gold.unfold(-1, n, n).gather(-1, score.unfold(-1, n, n).argmax(-1, keepdim=True))[..., "
            "0].mean(-1))(0)",
            "The pool is cut into blocks of n: the subs",
        ),
        (("torch.arange(n)", "torch.arange(1)"), "This is the mean of the pool, whatever n i"),
        (("/ (pool - taken)", ""), "(r - j) is not divided by (N - j): the wei"),
        (("(upto - below)", "pool"), "Every weight is divided by the size o"),
        (("score[..., None, :] < score", "score[..., None, :] > score"), "The order is reversed in counting the answ"),
        ("gold.sort(-1).values[..., score.shape[-1] // 2]", "The middle gold of the pool"),
        ("(score.softmax(-1) * gold).sum(-1)", "This chooses by softmax of the scores"),
        (
            "f(score.reshape(-1), gold.reshape(-1), n).expand(score.shape[:-1])",
            "The answers to all prompts are put into on",
        ),
        ("score.amax(-1)", "This is the highest score of the pool: ask"),
        ("f(gold, gold, n)", "The largest gold is taken: nobody knows go"),
        ("gold.amax(-1)", "The largest gold of the pool: the score ch"),
        ("gold.topk(n, -1).values.mean(-1)", "The mean of the n largest golds"),
        (
            "(lambda comb, o: (torch.tensor([comb(r, n - 1) / comb(o.shape[-1], n) for r in range(o.shape[-1])]) * "
            "gold.gather(-1, o)).sum(-1))(__import__('math').comb, score.argsort(-1))",
            "Of equal scores the one that stands last",
        ),
    ],
    "10.group_advantage": [
        (
            ("leave_one_out = centred * size / (size - 1)", "leave_one_out = centred"),
            "RLOO's baseline contains the response itse",
        ),
        (
            ("leave_one_out = centred * size / (size - 1)", "leave_one_out = centred * (size - 1) / size"),
            "RLOO's advantage has the factor (G - 1)/G",
        ),
        (
            (
                "leave_one_out = centred * size / (size - 1)",
                "leave_one_out = score - (score.sum(-1, keepdim=True) - score)",
            ),
            "The others' scores are added up and not di",
        ),
        (
            (
                "leave_one_out = centred * size / (size - 1)",
                "leave_one_out = score - (score.sum(-1, keepdim=True) - score) / size",
            ),
            "The others' scores are added up and divide",
        ),
        (
            (
                "leave_one_out = centred * size / (size - 1)",
                "leave_one_out = score - score.sum(-1, keepdim=True) / (size - 1)",
            ),
            "RLOO's baseline is the sum of all over G -",
        ),
        (
            ("leave_one_out = centred * size / (size - 1)", "leave_one_out = -centred * size / (size - 1)"),
            "RLOO's sign is flipped: what is above the",
        ),
        (
            (
                "leave_one_out = centred * size / (size - 1)",
                "leave_one_out = (score.sum(-1, keepdim=True) - score) / (size - 1)",
            ),
            "This is RLOO's baseline itself: take it aw",
        ),
        (
            ("apart.std(-1, keepdim=True)", "apart.std(-1, keepdim=True, correction=0)"),
            "σ divides by G: torch's default is G - 1,",
        ),
        (("apart.std(", "apart.var("), "Divided by the variance: take the standard"),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "grpo = centred / (apart.var(-1, keepdim=True) + eps).sqrt()",
            ),
            "ε is added to the variance: it stands besi",
        ),
        (
            ("grpo = centred / (apart.std(-1, keepdim=True) + eps)", "grpo = centred / apart.std(-1, keepdim=True)"),
            "ε is missing: 0/0 is NaN where all score t",
        ),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "grpo = centred / apart.std(-1, keepdim=True).clamp(min=eps)",
            ),
            "ε is a lower bound of σ here: add it.",
        ),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "grpo = score / (apart.std(-1, keepdim=True) + eps)",
            ),
            "GRPO's mean is not taken away.",
        ),
        (
            ("grpo = centred / (apart.std(-1, keepdim=True) + eps)", "grpo = centred"),
            "GRPO is not divided by σ: that is Dr. GRPO",
        ),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "grpo = leave_one_out / (apart.std(-1, keepdim=True) + eps)",
            ),
            "GRPO's mean is that of the others: take th",
        ),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "others = torch.stack([torch.cat([score[..., :i], score[..., i + 1:]], -1).std(-1) for i in "
                "range(size)], -1)\n    grpo = centred / (others + eps)",
            ),
            "GRPO's σ is that of the others: on scores",
        ),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "grpo = (score - score.mean()) / (score.std() + eps)",
            ),
            "GRPO's mean and σ are those of all prompts",
        ),
        (
            ("grpo = centred / (apart.std(-1, keepdim=True) + eps)", "grpo = centred / (score.std() + eps)"),
            "σ is that of all prompts together: GRPO's",
        ),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "grpo = (score - score.mean(0, keepdim=True)) / (score.std(0, keepdim=True) + eps)",
            ),
            "GRPO's mean and σ run over the prompts: re",
        ),
        (
            [
                (
                    "leave_one_out = centred * size / (size - 1)",
                    "leave_one_out = score - (score.sum(0, keepdim=True) - score) / (len(score) - 1)",
                ),
                (
                    "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                    "grpo = (score - score.mean(0, keepdim=True)) / (score.std(0, keepdim=True) + eps)",
                ),
            ],
            "You compare along the first axis, over pro",
        ),
        (
            ("apart = score - score[..., :1]  # equal scores: exactly 0, and so is their mean", "apart = score"),
            "Equal scores do not give 0: in float32 the",
        ),
        (
            [
                ("apart = score - score[..., :1]  # equal scores: exactly 0, and so is their mean", "apart = score"),
                (
                    "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                    "s = apart.std(-1, keepdim=True)\n    grpo = torch.where(s < eps, torch.zeros_like(centred), "
                    "centred / (s + eps))",
                ),
            ],
            "Whether there is nothing to tell apart is",
        ),
        (
            [
                ("apart = score - score[..., :1]  # equal scores: exactly 0, and so is their mean", "apart = score"),
                (
                    "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                    "grpo = (centred / apart.std(-1, keepdim=True)).nan_to_num()",
                ),
            ],
            "ε is missing, and NaN replaced: where the",
        ),
        ("f(*a)[::-1]", "The two results are in the other order: fi"),
        (
            (
                "leave_one_out = centred * size / (size - 1)",
                "leave_one_out = centred * size / (size - 1) / (apart.std(-1, keepdim=True) + eps)",
            ),
            "RLOO is divided by σ, too: that is GRPO's.",
        ),
        (
            ("apart.mean(-1, keepdim=True)", "apart.median(-1, keepdim=True).values"),
            "The median is taken away: it is the mean.",
        ),
        (
            ("apart.mean(-1, keepdim=True)", "apart.amax(-1, keepdim=True)"),
            "The best of the group is taken away, in bo",
        ),
        (
            ("grpo = centred / (apart.std(-1, keepdim=True) + eps)", "grpo = leave_one_out"),
            "RLOO's advantages are returned twice.",
        ),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "s = score.std(-1, keepdim=True)\n    grpo = torch.where(s < 0.6, torch.zeros_like(centred), "
                "centred / (s + eps))",
            ),
            "Whether there is nothing to tell apart is",
        ),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "grpo = centred / (centred.abs().mean(-1, keepdim=True) + eps)",
            ),
            "Divided by the mean distance from the mean",
        ),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "grpo = centred / (apart.amax(-1, keepdim=True) - apart.amin(-1, keepdim=True) + eps)",
            ),
            "Divided by the range, the largest score le",
        ),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "grpo = centred / (centred.norm(dim=-1, keepdim=True) + eps)",
            ),
            "Divided by the length of the vector, not b",
        ),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "grpo = centred / (apart.std(-1, keepdim=True) * (1 + eps))",
            ),
            None,
        ),
        (
            (
                "leave_one_out = centred * size / (size - 1)",
                "leave_one_out = score - (score.sum() - score) / (score.numel() - 1)",
            ),
            "RLOO's baseline is the mean of all other r",
        ),
        ("tuple(-x for x in f(*a))", "Signs flipped? What is above the others is"),
        (("+ eps)", "+ 1e-4)"), "ε is 0.0001 whatever was asked for: use th"),
        (("apart = score - score[..., :1]", "apart = score.sub_(score[..., :1].clone())"), None),
        (
            (
                "grpo = centred / (apart.std(-1, keepdim=True) + eps)",
                "grpo = torch.where(apart.std(-1, keepdim=True) == 0, torch.ones_like(centred), centred / "
                "(apart.std(-1, keepdim=True) + eps))",
            ),
            None,
        ),
    ],
    "10.dpo_gradient": [
        (("(h_chosen - h_rejected)", "(h_rejected - h_chosen)"), "The margin has the wrong sign: it is chose"),
        (
            ("torch.nn.functional.softplus(-margin).mean()", "torch.nn.functional.softplus(-margin).sum()"),
            "The loss is a sum over pairs: it is their",
        ),
        (
            [
                ("torch.nn.functional.softplus(-margin).mean()", "torch.nn.functional.softplus(-margin).sum()"),
                (" / len(margin)", ""),
            ],
            "Loss and derivatives are sums over pairs:",
        ),
        ((" / len(margin)", ""), "The derivatives are those of a sum over pa"),
        (
            ("weight = beta * torch.sigmoid(-margin) / len(margin)", "weight = torch.sigmoid(-margin) / len(margin)"),
            "The derivatives lack the factor β of the c",
        ),
        (("torch.sigmoid(-margin)", "torch.sigmoid(margin)"), "The weight is σ(+margin): pairs whose orde"),
        (('"rejected": weight', '"rejected": -weight'), "The derivatives of the rejected tokens hav"),
        (('"chosen": -weight', '"chosen": weight'), "The derivatives of the chosen tokens have"),
        (
            [('"rejected": weight', '"rejected": -weight'), ('"chosen": -weight', '"chosen": weight')],
            "The derivatives have the wrong sign: a ste",
        ),
        (
            [
                (
                    "h_chosen = (chosen - ref_chosen).masked_fill(~chosen_mask, 0.0).sum(1)",
                    "h_chosen = (chosen - ref_chosen).masked_fill(~chosen_mask, 0.0).sum(1) / chosen_mask.sum(1)",
                ),
                (
                    "h_rejected = (rejected - ref_rejected).masked_fill(~rejected_mask, 0.0).sum(1)",
                    "h_rejected = (rejected - ref_rejected).masked_fill(~rejected_mask, 0.0).sum(1) / "
                    "rejected_mask.sum(1)",
                ),
            ],
            "Log-probabilities are averaged over tokens",
        ),
        (
            [
                (
                    "h_chosen = (chosen - ref_chosen).masked_fill(~chosen_mask, 0.0).sum(1)",
                    "h_chosen = (chosen - ref_chosen).masked_fill(~chosen_mask, 0.0).sum(1) / chosen_mask.sum(1)",
                ),
                (
                    "h_rejected = (rejected - ref_rejected).masked_fill(~rejected_mask, 0.0).sum(1)",
                    "h_rejected = (rejected - ref_rejected).masked_fill(~rejected_mask, 0.0).sum(1) / "
                    "rejected_mask.sum(1)",
                ),
                ("* chosen_mask", "* chosen_mask / chosen_mask.sum(1, keepdim=True)"),
                ("* rejected_mask", "* rejected_mask / rejected_mask.sum(1, keepdim=True)"),
            ],
            "h is a mean over tokens, in the loss and i",
        ),
        (
            [
                ("* chosen_mask", "* chosen_mask / chosen_mask.sum(1, keepdim=True)"),
                ("* rejected_mask", "* rejected_mask / rejected_mask.sum(1, keepdim=True)"),
            ],
            "The derivatives are divided by the respons",
        ),
        (
            [("(chosen - ref_chosen)", "chosen"), ("(rejected - ref_rejected)", "rejected")],
            "The reference is forgotten: what counts is",
        ),
        (
            [
                ("weight.unsqueeze(1) * chosen_mask", "weight.unsqueeze(1).expand_as(chosen)"),
                ("weight.unsqueeze(1) * rejected_mask", "weight.unsqueeze(1).expand_as(rejected)"),
            ],
            "Padding has a derivative: it is not in the",
        ),
        (
            [(".masked_fill(~chosen_mask, 0.0)", ""), (".masked_fill(~rejected_mask, 0.0)", "")],
            "Padding is counted in the sums.",
        ),
        (
            [
                ("(chosen - ref_chosen).masked_fill(~chosen_mask, 0.0)", "((chosen - ref_chosen) * chosen_mask)"),
                (
                    "(rejected - ref_rejected).masked_fill(~rejected_mask, 0.0)",
                    "((rejected - ref_rejected) * rejected_mask)",
                ),
            ],
            "Padding is multiplied with 0, and 0 · NaN",
        ),
        (
            ("torch.nn.functional.softplus(-margin).mean()", "-torch.sigmoid(margin).log().mean()"),
            "-log(σ(margin)) is infinite where σ rounds",
        ),
        (
            ("torch.nn.functional.softplus(-margin).mean()", "torch.log(1 + torch.exp(-margin)).mean()"),
            "-log(σ(margin)) is infinite where σ rounds",
        ),
        (
            ("torch.sigmoid(-margin)", "(torch.exp(-margin) / (1 + torch.exp(-margin)))"),
            "exp(-margin) is infinite where a pair's or",
        ),
        (
            [
                (
                    "torch.nn.functional.softplus(-margin).mean()",
                    "((h_chosen - h_rejected - 1 / (2 * beta)) ** 2).mean()",
                ),
                (
                    "weight = beta * torch.sigmoid(-margin) / len(margin)",
                    "weight = -2 * (h_chosen - h_rejected - 1 / (2 * beta)) / len(margin)",
                ),
            ],
            "This is IPO's loss, which pulls the margin",
        ),
        (
            [
                ("torch.nn.functional.softplus(-margin).mean()", "(1 - margin).clamp(min=0).mean()"),
                ("weight = beta * torch.sigmoid(-margin) / len(margin)", "weight = beta * (margin < 1) / len(margin)"),
            ],
            "This is a hinge, max(0, 1 - m)",
        ),
        (
            "(lambda r: {**r, 'chosen': r['rejected'], 'rejected': r['chosen']})(f(*a))",
            "The derivatives of chosen and rejected tok",
        ),
        (
            [("-weight.unsqueeze(1) * chosen_mask", "-weight"), ("weight.unsqueeze(1) * rejected_mask", "weight")],
            "One derivative for each pair: every token",
        ),
        (
            ("torch.sigmoid(-margin)", "torch.sigmoid(margin) * torch.sigmoid(-margin)"),
            "This is the derivative of σ, σ(x) σ(-x): t",
        ),
        (
            [
                ("margin = beta * ", "margin = "),
                (
                    "weight = beta * torch.sigmoid(-margin) / len(margin)",
                    "weight = torch.sigmoid(-margin) / len(margin)",
                ),
            ],
            "β is missing, in the margin and in the der",
        ),
        (("margin = beta * ", "margin = "), "β is missing in the margin: it stands insi"),
        (
            (
                "weight = beta * torch.sigmoid(-margin) / len(margin)",
                "weight = beta ** 2 * torch.sigmoid(-margin) / len(margin)",
            ),
            "The derivatives have β twice: the margin's",
        ),
        (
            ("torch.nn.functional.softplus(-margin).mean()", "-torch.nn.functional.softplus(-margin).mean()"),
            "The loss has the wrong sign: it is -log σ,",
        ),
        (
            ("torch.nn.functional.softplus(-margin).mean()", "-torch.sigmoid(margin).mean()"),
            "The logarithm is missing: this is -σ(m).",
        ),
        (
            (
                "-weight.unsqueeze(1) * chosen_mask",
                "-weight.unsqueeze(1) * chosen_mask * (chosen - ref_chosen).masked_fill(~chosen_mask, 0.0)",
            ),
            "The derivatives of the chosen tokens hold",
        ),
        ((" / len(margin)", " / chosen_mask.sum()"), "The derivatives are divided by the number of chosen"),
        (("(rejected - ref_rejected)", "rejected"), "The reference is missing for the rejected"),
        ((".mean()", ""), "The loss is one number: take the mean over"),
        (('"rejected": weight', '"rejected": 0 * weight'), "The rejected responses are not pulled at a"),
        (("/ len(margin)", "/ len(margin) ** 2"), "The derivatives are divided by the number"),
        (
            (
                "h_rejected = (rejected - ref_rejected).masked_fill(~rejected_mask, 0.0).sum(1)",
                "h_rejected = (rejected - ref_rejected).masked_fill(~rejected_mask.flip(1), 0.0).sum(1)",
            ),
            None,
        ),
        (
            ("margin = beta * (h_chosen - h_rejected)", "margin = h_chosen - beta * h_rejected"),
            "β multiplies the rejected h only",
        ),
        (("torch.sigmoid(-margin)", "0.5 * torch.ones_like(margin)"), "Every pair has the weight ½, as at the sta"),
    ],
    "10.repair_grpo": [
        (
            ("return standardized(score - beta * kl)", "return standardized(score) - beta * standardized(kl)"),
            "The divergence is standardised by itself:",
        ),
        (
            (
                "return standardized(score - beta * kl)",
                "return standardized(score) - beta * kl / (score.std(1, keepdim=True) + 1e-4)",
            ),
            "A nat now costs β everywhere, but the dive",
        ),
        (
            (
                "return standardized(score - beta * kl)",
                "return standardized(score) - beta * score.std(1, keepdim=True) * kl",
            ),
            "β is multiplied by the deviation once more",
        ),
        (
            (
                "return standardized(score - beta * kl)",
                "x = score - beta * kl\n    return (x - x.mean(1, keepdim=True)) / (score.std(1, keepdim=True) + 1e-4)",
            ),
            "The deviation is that of the scores alone:",
        ),
        (("return standardized(score - beta * kl)", "return standardized(score - kl)"), "β is missing."),
        (
            ("return standardized(score - beta * kl)", "return standardized(score + beta * kl)"),
            "The divergence is added to the score: that",
        ),
        (
            ("return standardized(score - beta * kl)", "return score - beta * kl"),
            "The standardising is gone: that removes th",
        ),
        (
            ("return standardized(score - beta * kl)", "x = score - beta * kl\n    return x - x.mean(1, keepdim=True)"),
            "The division is gone: Dr. GRPO does so, an",
        ),
        (
            (
                "return standardized(score - beta * kl)",
                "return standardized(score) - beta * (kl - kl.mean(1, keepdim=True))",
            ),
            "The divergence has a baseline now, and sti",
        ),
        ((".sum(-1)", ".sum(-1) / mask.sum(-1)"), "The mean over a response's tokens is taken"),
        ((".sum(-1)", ".mean(-1)"), "The mean over all tokens, padding included"),
        (
            ("return standardized(score - beta * kl)", "return standardized(score - beta * kl) - beta * kl"),
            "The divergence is in the reward, but outsi",
        ),
        (
            ("x.std(1, keepdim=True)", "x.std(1, keepdim=True, correction=0)"),
            "The deviation divides by G. That line was",
        ),
        (
            [("x.mean(1, keepdim=True)", "x.mean()"), ("x.std(1, keepdim=True)", "x.std()")],
            "One mean and one deviation for the whole b",
        ),
        (("x.std(1, keepdim=True)", "x.std()"), "One deviation for the whole batch: a group"),
        (
            [
                ("x.mean(1, keepdim=True)", "x.mean(0, keepdim=True)"),
                ("x.std(1, keepdim=True)", "x.std(0, keepdim=True)"),
            ],
            "Mean and deviation run over the prompts: a",
        ),
        ((".masked_fill(~mask, 0.0)", ""), "Padding pays, too."),
        (("masked_fill(~mask", "masked_fill(mask"), "The mask is inverted: it is True on the to"),
        (
            ("return standardized(score - beta * kl)", "return standardized(score)"),
            "The divergence is gone: that removes the f",
        ),
        (
            (
                "return standardized(score - beta * kl)",
                "d = (log_prob - ref_log_prob).detach().masked_fill(~mask, 0.0)\n    return standardized(score - "
                "beta * (torch.expm1(-d) + d).sum(-1))",
            ),
            "This is k3 of every token: the divergence",
        ),
        (("return standardized(score - beta * kl)", "return standardized(score - beta * kl.abs())"), None),
        (
            (
                "return standardized(score - beta * kl)",
                "return standardized(score) * score.std(1, keepdim=True) - beta * kl",
            ),
            "σ is multiplied back: then the score is ce",
        ),
        (
            (
                "return standardized(score - beta * kl)",
                "x = score - beta * kl\n    return (score - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-4)",
            ),
            None,
        ),
        (
            ("return standardized(score - beta * kl)", "return standardized(standardized(score) - beta * kl)"),
            "The score is standardised before the diver",
        ),
        (("(log_prob - ref_log_prob)", "(ref_log_prob - log_prob)"), "The divergence is added to the score: that"),
        ((" / (x.std(1, keepdim=True) + 1e-4)", ""), "The division is gone: Dr. GRPO does so, an"),
        (
            (
                "return standardized(score - beta * kl)",
                "return standardized(score) - beta / score.std(1, keepdim=True) * kl",
            ),
            "A nat now costs β, but the divergence has",
        ),
        (
            ("x - x.mean(1, keepdim=True)", "x - (x.sum(1, keepdim=True) - x) / (x.shape[1] - 1)"),
            "The mean of the others is taken away, as i",
        ),
        (
            ("return standardized(score - beta * kl)", "return standardized(score - beta * kl.mean(1, keepdim=True))"),
            "The divergence is gone: that removes the f",
        ),
        ((" + 1e-4", ""), "Without the 1e-4 a group whose rewards are"),
        ((".detach().masked_fill(~mask, 0.0).sum(-1)", ".detach().masked_fill(~mask, 1.0).sum(-1)"), None),
        (("x.std(", "x.var("), "Divided by the variance. That line was rig"),
        (
            ("return standardized(score - beta * kl)", "return standardized(score - beta * standardized(kl))"),
            "The divergence is standardised before it i",
        ),
    ],
    "10.choose_beta": [
        ("{'beta': 0.0, 'stop_kl': None}", "Nothing holds the policy back, and nobody"),
        ("{'beta': 0.0, 'stop_kl': 10.0}", "Without a price, that is past the peak: th"),
        ("{'beta': 0.0, 'stop_kl': 5.0}", "A stop does not make up for a price: at th"),
        ("{'beta': 0.03, 'stop_kl': None}", "At β = 0.03 the divergence ends at ten nat"),
        ("{'beta': 0.3, 'stop_kl': 0.5}", "Stopped after so few nats, the policy is s"),
        ("{'beta': 0.1, 'stop_kl': 1.0}", "Stopped after so few nats, the policy is s"),
        ("{'beta': 0.2, 'stop_kl': None}", "There is no run with that β: choose one of"),
        ("{'beta': 0.1, 'stop_kl': 0}", "Two settings are asked for: `beta`, one of"),
        ("{'beta': '0.1', 'stop_kl': None}", "Two settings are asked for: `beta`, one of"),
        ("{'beta': 0.1}", "Two settings are asked for: `beta`, one of"),
        ("(0.1, None)", "Two settings are asked for: `beta`, one of"),
    ],
    "10.logs": [
        ("(lambda x: {**x, 'D': x['I'], 'I': x['D']})(f())", "Two are swapped: without a price nothing i"),
        ("(lambda x: {**x, 'K': x['M'], 'M': x['K']})(f())", "Two are swapped: all groups are silent in"),
        ("(lambda x: {**x, 'H': x['J'], 'J': x['H']})(f())", "H: a product of a response's ratios is rea"),
        ("(lambda x: {**x, 'B': x['J'], 'J': x['B']})(f())", "Two are swapped: both have a large clip fr"),
        ("(lambda x: {**x, 'A': x['D'], 'D': x['A']})(f())", "Two are swapped: the wrong sign pays the p"),
        ("(lambda x: {**x, 'F': x['G'], 'G': x['F']})(f())", "Two are swapped: counted twice, the KL is"),
        ("(lambda x: {**x, 'C': x['I'], 'I': x['C']})(f())", "Two are swapped: a term without gradient h"),
        ("(lambda x: {**x, 'K': x['N'], 'N': x['K']})(f())", "Two are swapped: the deviation of the othe"),
        ("(lambda x: {**x, 'L': x['F'], 'F': x['L']})(f())", "F: where a cut costs nothing, responses th"),
        ("(lambda x: {**x, 'H': x['B'], 'B': x['H']})(f())", "Two are swapped: without a clip nothing is"),
        ("(lambda x: {**x, 'B': x['F'], 'F': x['B']})(f())", "Two are swapped: only the metric is wrong"),
        ("(lambda x: {**x, 'N': x['M'], 'M': x['N']})(f())", "M: the others' deviation is 0 where all of"),
        ("(lambda x: {**x, 'C': x['G'], 'G': x['C']})(f())", "Two are swapped: counted twice, the KL is"),
        ("(lambda x: {**x, 'D': x['G'], 'G': x['D']})(f())", "D: counted twice, paid over KL is 0.2, ste"),
        ("(lambda x: {**x, 'E': x['H'], 'H': x['E']})(f())", "E: without a clip no ratio is ever outside"),
        ("{**f(), 'A': 'no KL'}", "A: without a price nothing is paid: 0 over"),
        ("{k: 'nothing' for k in f()}", ": a healthy run has nothing odd"),
        ("{k: v for k, v in f().items() if k != 'N'}", "N is missing: it needs its name, too."),
        ("{**f(), 'B': 'clip fraction'}", "B: 'clip fraction' is none of the names"),
        ("{**f(), 'D': \"divided by the others' deviation\"}", "D: the others' deviation is 0 where"),
        ("{**f(), 'H': 'ratio of whole responses'}", "H: a product of a response's ratios"),
        ("{**f(), 'M': 'nothing'}", "M: a healthy run has nothing odd"),
        ("{**f(), 'E': 'no price of unfinished responses'}", "E: where a cut costs nothing"),
    ],
    "11.seeds_for": [
        (
            (
                "needed = (z(1 - alpha / 2) + z(power)) ** 2 * (first.var() + second.var()) / difference**2",
                "needed = 16 * (first.var() + second.var()) / 2 / difference**2",
            ),
            "The rule of thumb 16/d² is for 5 % and 80",
        ),
        (("1 - alpha / 2", "1 - alpha"), "A one-sided test: α is divided between bot"),
        ((" + z(power)", ""), "The power is left out: at this n the diffe"),
        (("z(1 - alpha / 2) + z(power)", "z(power)"), "The level is left out: z_{1-α/2} is how fa"),
        (
            [("first.var()", "first.var(correction=0)"), ("second.var()", "second.var(correction=0)")],
            "The variances divide by n: with a small pi",
        ),
        (
            [("first.var()", "first.std()"), ("second.var()", "second.std()")],
            "Standard deviations stand where variances",
        ),
        (
            (
                "needed = (z(1 - alpha / 2) + z(power)) ** 2 * (first.var() + second.var()) / difference**2",
                "needed = (z(1 - alpha / 2) + z(power)) ** 2 * (first.std() + second.std()) ** 2 / difference**2",
            ),
            "Standard deviations are added; it is varia",
        ),
        (("difference**2", "abs(difference)"), "The effect is not squared: half the differ"),
        (("/ difference**2", "/ difference"), "The difference is not squared, and its sig"),
        (
            ("(z(1 - alpha / 2) + z(power)) ** 2", "(z(1 - alpha / 2) + z(power))"),
            "The sum of the z values is not squared.",
        ),
        (("math.ceil(needed)", "math.floor(needed)"), "Rounded down: that is one seed too few."),
        (("math.ceil(needed)", "int(needed)"), "Rounded down: that is one seed too few."),
        (("math.ceil(needed)", "round(needed.item())"), "Rounded to the nearest number: that may be"),
        (("math.ceil(needed)", "math.ceil(needed) + 1"), "One seed is added: the formula alone is as"),
        (("math.ceil(needed)", "needed"), "Seeds are whole: round up."),
        (
            ("(first.var() + second.var())", "(first.var() + second.var()) / 2"),
            "The mean of the two variances, which forge",
        ),
        (("math.ceil(needed)", "2 * math.ceil(needed)"), "Both sides are counted together: the numbe"),
        (("z(power)", "z(1 - power)"), "One of the two quantiles has the wrong sig"),
        (("1 - alpha / 2", "alpha / 2"), "One of the two quantiles has the wrong sig"),
        (("(first.var() + second.var())", "first.var()"), "The variance of one side only: both means"),
        (("(first.var() + second.var())", "2 * first.var()"), "The spread of `first` only: both sides sca"),
        (("(first.var() + second.var())", "(first - second).var()"), "The scores are paired: the two sides are d"),
        (
            ("(first.var() + second.var())", "2 * torch.cat([first, second]).var()"),
            "The variance of all scores together holds",
        ),
        (
            ("first.mean() - second.mean()", "first.median() - second.median()"),
            "The difference is that of the medians: the",
        ),
        (
            ("(first.var() + second.var())", "(first.var() / len(first) + second.var() / len(second))"),
            "The variances are divided by the pilot's n",
        ),
        (
            (
                "needed = (z(1 - alpha / 2) + z(power)) ** 2 * (first.var() + second.var()) / difference**2",
                "needed = (1.96 + 0.8416) ** 2 * (first.var() + second.var()) / difference**2",
            ),
            "Level and power are taken to be 5 % and 80",
        ),
        (("z(1 - alpha / 2)", "1.959964"), "The level is taken to be 5 % whatever is g"),
        (("z(power)", "0.841621"), "The power is taken to be 80 % whatever is"),
        (
            ("(z(1 - alpha / 2) + z(power)) ** 2", "(z(1 - alpha / 2) ** 2 + z(power) ** 2)"),
            "The z values are squared one by one: they",
        ),
        (("z(1 - alpha / 2) + z(power)", "z(1 - alpha / 2) - z(power)"), "One of the two quantiles has the wrong sig"),
        (
            (
                "needed = (z(1 - alpha / 2) + z(power)) ** 2 * (first.var() + second.var()) / difference**2",
                "d = difference / ((first.var() + second.var()) / 2).sqrt()\n    needed = (z(1 - alpha / 2) + "
                "z(power)) ** 2 / d**2",
            ),
            "The mean of the two variances, which forge",
        ),
        (("math.ceil(needed)", "math.ceil(needed ** 0.5)"), "This is the root of the number of seeds."),
        (("math.ceil(needed)", "math.ceil(needed) + 2"), None),
        (
            (
                "needed = (z(1 - alpha / 2) + z(power)) ** 2 * (first.var() + second.var()) / difference**2",
                "needed = 16 * (first.var() + second.var()) / difference**2",
            ),
            "The 16 of the rule of thumb goes with the",
        ),
        (
            (
                "needed = (z(1 - alpha / 2) + z(power)) ** 2 * (first.var() + second.var()) / difference**2",
                "needed = 8 * (first.var() + second.var()) / 2 / difference**2",
            ),
            None,
        ),
        (
            (
                "torch.special.ndtri(torch.tensor(probability, dtype=torch.float64)).item()",
                "torch.special.ndtr(torch.tensor(probability, dtype=torch.float64)).item()",
            ),
            "Φ stands in the place of its inverse: z is",
        ),
        (
            (
                "needed = (z(1 - alpha / 2) + z(power)) ** 2 * (first.var() + second.var()) / difference**2",
                "needed = difference**2 / ((z(1 - alpha / 2) + z(power)) ** 2 * (first.var() + second.var()))",
            ),
            "The fraction is upside down: a small diffe",
        ),
        ("f(first, second, 1 - power, 1 - alpha)", "α and power are in each other's place."),
    ],
    "11.stratified_bootstrap": [
        (
            (
                "runs = scores[chosen, torch.arange(scores.shape[1])].flatten(1).sort(1).values  # [resample, run]",
                "runs = scores[chosen[:, :, 0]].flatten(1).sort(1).values",
            ),
            "Whole rows are drawn: every task gets the",
        ),
        (
            ("found = runs[:, cut : len_ - cut].mean(1)", "found = runs.mean(1)"),
            "The mean of all runs: a quarter is to be c",
        ),
        (
            ("found = runs[:, cut : len_ - cut].mean(1)", "found = runs.median(1).values"),
            "This is the median of the runs: the mean o",
        ),
        (
            ("found = runs[:, cut : len_ - cut].mean(1)", "found = runs.quantile(0.5, 1)"),
            "Half of the runs is cut off at either end:",
        ),
        (
            (
                "runs = scores[chosen, torch.arange(scores.shape[1])].flatten(1).sort(1).values  # [resample, run]",
                "per = scores[chosen, torch.arange(scores.shape[1])].sort(1).values\n    k = per.shape[1] // 4\n    "
                "runs = per[:, k : per.shape[1] - k].mean(1, keepdim=True).mean(2)",
            ),
            "The IQM of each task by itself, then their",
        ),
        (
            (
                "found = runs[:, cut : len_ - cut].mean(1)",
                "per = scores[chosen, torch.arange(scores.shape[1])].sort(1).values\n    k = per.shape[1] // 4\n    "
                "found = per[:, k : per.shape[1] - k].mean((1, 2))",
            ),
            "The IQM of each task by itself, then their",
        ),
        ((".sort(1).values", ""), "The runs are cut before they are sorted: w"),
        (("cut : len_ - cut", "cut :"), "Only the worst quarter is cut off: that is"),
        (("cut : len_ - cut", ": len_ - cut"), "Only the best quarter is cut off: that is"),
        (("(1 - level) / 2, (1 + level) / 2", "1 - level, level"), "Both ends are off: 1 - level is the part o"),
        (
            (
                "torch.quantile(found, levels)",
                "torch.stack([found.mean() - 1.96 * found.std(), found.mean() + 1.96 * found.std()])",
            ),
            "This is a normal interval around the mean",
        ),
        (("cut = len_ // 4", "cut = len(scores) // 4"), "A quarter of the seeds of one task is cut"),
        (("len_ // 4", "len_ // 2 - 1"), "All but the middle runs are cut off: a qua"),
        (("len_ // 4", "len_ // 8"), "A quarter is cut off in all, an eighth at"),
        (("len_ // 4", "-(-len_ // 4)"), "The number to be cut off is not rounded do"),
        (("len_ // 4", "round(len_ / 4)"), "The number to be cut off is not rounded do"),
        (
            ("[(1 - level) / 2, (1 + level) / 2]", "[(1 + level) / 2, (1 - level) / 2]"),
            "The ends are the wrong way round: the lowe",
        ),
        (("[(1 - level) / 2, (1 + level) / 2]", "[0.025, 0.975]"), "The level is 95 % whatever is given."),
        (
            ("torch.quantile(found, levels)", "torch.stack([found.min(), found.max()])"),
            "These are the least and the largest aggreg",
        ),
        (
            (
                "torch.quantile(found, levels)",
                "2 * scores.flatten().sort().values[cut : len_ - cut].mean() - torch.quantile(found, levels).flip(0)",
            ),
            "The interval is mirrored at the scores' ow",
        ),
        (
            ("[(1 - level) / 2, (1 + level) / 2]", "[1 - level, (1 + level) / 2]"),
            "The lower end lies at 1 - level: half of w",
        ),
        (
            ("[(1 - level) / 2, (1 + level) / 2]", "[(1 - level) / 2, level]"),
            "The upper end lies at level: half of what",
        ),
        ((".flatten(1).sort(1).values", ".sort(1).values.flatten(1)"), "The runs of each task are sorted by themse"),
        ((".sort(1).values", ".sort(0).values"), "Sorted along the resamples: each resample'"),
        (
            (
                "runs = scores[chosen, torch.arange(scores.shape[1])].flatten(1).sort(1).values  # [resample, run]",
                "runs = scores.flatten()[chosen.flatten(1)].sort(1).values",
            ),
            "`chosen` counts seeds of its own task; her",
        ),
        (
            (
                "runs = scores[chosen, torch.arange(scores.shape[1])].flatten(1).sort(1).values  # [resample, run]",
                "runs = scores[:, 0][chosen[:, :, 0]].sort(1).values",
            ),
            "Only the first task's runs are there",
        ),
        (
            (
                "runs = scores[chosen, torch.arange(scores.shape[1])].flatten(1).sort(1).values  # [resample, run]",
                "runs = scores[chosen, torch.arange(scores.shape[1])].mean(2).sort(1).values",
            ),
            "The tasks are averaged before the runs are",
        ),
        (
            (
                "runs = scores[chosen, torch.arange(scores.shape[1])].flatten(1).sort(1).values  # [resample, run]",
                "runs = scores.mean(1)[chosen[:, :, 0]].sort(1).values",
            ),
            "The tasks are averaged before anything",
        ),
        (
            (
                "runs = scores[chosen, torch.arange(scores.shape[1])].flatten(1).sort(1).values  # [resample, run]",
                "runs = scores.flatten()[None].sort(1).values",
            ),
            "Nothing is resampled: these are the scores",
        ),
        (
            (
                "found = runs[:, cut : len_ - cut].mean(1)",
                "found = torch.stack([r[(r >= r.quantile(0.25)) & (r <= r.quantile(0.75))].mean() for r in runs])",
            ),
            "What lies between two values, the quartile",
        ),
        (
            (
                "found = runs[:, cut : len_ - cut].mean(1)",
                "found = (runs.quantile(0.25, 1) + runs.quantile(0.75, 1)) / 2",
            ),
            "This is the middle between the quartiles",
        ),
        (
            ("found = runs[:, cut : len_ - cut].mean(1)", "found = runs.quantile(0.75, 1) - runs.quantile(0.25, 1)"),
            "This is the interquartile range: a mean of",
        ),
        ((".mean(1)\n", ".sum(1)\n"), "The middle half is added up: take its mean"),
        (
            ("torch.quantile(found, levels)", "torch.quantile(found, levels, interpolation='lower')"),
            "The quantiles are the next lower aggregate",
        ),
        (
            "(lambda r: torch.stack([(r[0] + r[1]) / 2, (r[1] - r[0]) / 2]))(f(*a))",
            "These are the interval's middle and its",
        ),
        (
            ("torch.quantile(found, levels)", "torch.quantile(runs.flatten(), levels)"),
            "The interval is of all single runs, not of",
        ),
        (
            ("found = runs[:, cut : len_ - cut].mean(1)", "found = runs[:, cut : len_ - cut].sum(1) / len_"),
            "The middle half is divided by the number o",
        ),
        (("len_ // 4", "len_ // 4 + 1"), "One run too many is cut off at either end."),
        (("cut = len_ // 4", "cut = int(len_ * level / 4)"), "How much is cut off depends on the level"),
        (
            (
                "    return torch.quantile(found, levels)",
                "    return found.mean() - 1.96 * found.std(), found.mean() + 1.96 * found.std()",
            ),
            "This is a normal interval around the m",
        ),
        (("cut = len_ // 4", "cut = (len_ - 1) // 4"), "One run too few is cut off where NM di"),
    ],
    "11.honest_band": [
        (
            ("half = quantile * curves.std(0) / len(curves) ** 0.5", "half = curves.std(0) / curves.numel() ** 0.5"),
            "All seeds are shown now. Two things are le",
        ),
        (
            [
                (
                    "mean = curves.mean(0)",
                    "curves = curves[curves.mean(1).argsort(descending=True)[:5]]\n    mean = curves.mean(0)",
                ),
                ("half = quantile * curves.std(0) / len(curves) ** 0.5", "half = curves.std(0) / len(curves) ** 0.5"),
            ],
            "n is right now. Two things are left: which",
        ),
        (
            [
                (
                    "mean = curves.mean(0)",
                    "curves = curves[curves.mean(1).argsort(descending=True)[:5]]\n    mean = curves.mean(0)",
                ),
                (
                    "half = quantile * curves.std(0) / len(curves) ** 0.5",
                    "half = quantile * curves.std(0) / curves.numel() ** 0.5",
                ),
            ],
            "The quantile is there now. Two things are",
        ),
        (
            (
                "mean = curves.mean(0)",
                "curves = curves[curves.mean(1).argsort(descending=True)[:5]]\n    mean = curves.mean(0)",
            ),
            "Only the best five seeds are shown. The ba",
        ),
        (
            (
                "half = quantile * curves.std(0) / len(curves) ** 0.5",
                "half = quantile * curves.std(0) / curves.numel() ** 0.5",
            ),
            "Reports of one seed are not independent: n",
        ),
        (
            ("half = quantile * curves.std(0) / len(curves) ** 0.5", "half = curves.std(0) / len(curves) ** 0.5"),
            "One standard error: that covers about two",
        ),
        (
            (
                "half = quantile * curves.std(0) / len(curves) ** 0.5",
                "half = quantile * curves.std(0) / curves.shape[1] ** 0.5",
            ),
            "Divided by the root of the number of repor",
        ),
        (("curves.std(0)", "curves.std(0, correction=0)"), "The standard deviation divides by n: with"),
        (("len(curves) ** 0.5", "(len(curves) - 1) ** 0.5"), "Divided by the root of n - 1: the n - 1 be"),
        (("quantile * ", "1.96 * "), "This is the normal distribution's 1.96: th"),
        (("mean = curves.mean(0)", "mean = curves.median(0).values"), "The median is in the middle, with a band t"),
        (("len(curves) ** 0.5", "len(curves)"), "Divided by n, not by √n: the band is far t"),
        ((" / len(curves) ** 0.5", ""), "The standard deviation of the seeds, which"),
        (("curves.std(0)", "curves.var(0)"), "The variance stands in the place of the st"),
        (
            ("half = quantile * curves.std(0) / len(curves) ** 0.5", "half = curves.std(0)"),
            "One standard deviation of the seeds: divid",
        ),
        (
            (
                "torch.stack([mean, mean - half, mean + half])",
                "torch.stack([mean, curves.min(0).values, curves.max(0).values])",
            ),
            "The band goes from the worst to the best s",
        ),
        (
            ("[mean, mean - half, mean + half]", "[mean, mean + half, mean - half]"),
            "The ends are exchanged: the lower one come",
        ),
        (
            ("[mean, mean - half, mean + half]", "[mean - half, mean, mean + half]"),
            "The mean stands between the ends: it comes",
        ),
        (("mean + half])", "mean + half], 1)"), "The result is [report, 3]: asked is [3, re"),
        (
            [("curves.mean(0)", "curves.mean(1)"), ("curves.std(0)", "curves.std(1)")],
            "Mean and deviation run along the reports:",
        ),
        (
            ("mean = curves.mean(0)", "curves = curves[curves.mean(1).argsort()[:5]]\n    mean = curves.mean(0)"),
            "The worst five seeds are shown",
        ),
        (
            ("mean = curves.mean(0)", "curves = curves[:5]\n    mean = curves.mean(0)"),
            "The first five seeds are shown: all of the",
        ),
        (
            (
                "mean = curves.mean(0)",
                "curves = curves[curves.mean(1).argsort(descending=True)[5:]] if len(curves) > 6 else curves[1:]\n  "
                "  mean = curves.mean(0)",
            ),
            None,
        ),
        (
            (
                "half = quantile * curves.std(0) / len(curves) ** 0.5",
                "best = curves[curves.mean(1).argsort(descending=True)[:5]]\n    half = quantile * best.std(0) / "
                "len(best) ** 0.5",
            ),
            "The line is that of all seeds, the band th",
        ),
        (
            ("half = quantile * curves.std(0) / len(curves) ** 0.5", "half = quantile * curves.std(0) / 5 ** 0.5"),
            "n is 5 whatever is given: it is the number",
        ),
        (
            (
                "half = quantile * curves.std(0) / len(curves) ** 0.5",
                "half = quantile * curves.std(0) / len(curves) ** 0.5 / 2",
            ),
            "The band is half as wide as it should be.",
        ),
        (
            (
                "half = quantile * curves.std(0) / len(curves) ** 0.5",
                "half = 2 * quantile * curves.std(0) / len(curves) ** 0.5",
            ),
            "The band is twice as wide as it should be.",
        ),
        (("curves.std(0)", "curves.std()"), "One width for all reports, from all number"),
        (("mean - half, mean", "(mean - half).clamp(min=0), mean"), "The lower end is cut off at 0: then it is"),
        (("[mean, mean - half, mean + half]", "[mean, half, half]"), "The half width stands in the place of the"),
        (("curves.std(0)", "curves.mean(1).std()"), "One width for all reports, the spread"),
        (
            (
                "half = quantile * curves.std(0) / len(curves) ** 0.5",
                "half = curves.std(0) * (quantile / len(curves)) ** 0.5",
            ),
            "The root is taken of the quantile, too",
        ),
        (
            (
                "half = quantile * curves.std(0) / len(curves) ** 0.5",
                "half = curves.std(0) / quantile / len(curves) ** 0.5",
            ),
            "Divided by the quantile: multiply",
        ),
        (
            (
                "torch.stack([mean, mean - half, mean + half])",
                "torch.stack([mean, curves.quantile(0.025, 0), curves.quantile(0.975, 0)])",
            ),
            "These are quantiles of the seeds: where se",
        ),
        (
            ("mean = curves.mean(0)", "curves = curves[curves.mean(1).argsort()[:-5]]\n    mean = curves.mean(0)"),
            "The best five seeds are left out: all",
        ),
        ("[*f(curves, 1)]", "One standard error: that covers about"),
    ],
    "11.ranking": [
        ("{**f(), 'PPO': 2}", "PPO is first by far: it uses every step ma"),
        ("{**f(), 'PPO': 3}", "PPO is first by far: it uses every step ma"),
        ("{**f(), 'PPO': 4}", "PPO is first by far: it uses every step ma"),
        ("{**f(), 'PPO': 5}", "PPO is first by far: it uses every step ma"),
        ("{**f(), 'A2C': 1}", "A2C learns latest here: its batches are sm"),
        ("{**f(), 'A2C': 2}", "A2C learns latest here: its batches are sm"),
        ("{**f(), 'A2C': 3}", "A2C learns latest here: its batches are sm"),
        ("{**f(), 'A2C': 4}", "A2C learns latest here: its batches are sm"),
        ("{**f(), 'PPO': 5, 'A2C': 1}", "PPO and A2C are exchanged: who uses each s"),
        ("{**f(), 'PPO': 2, 'A2C': 4}", "PPO is first by far: it uses every step ma"),
        ("{**f(), 'PPO': 0, 'A2C': 4}", "Places count from 1, the best, to 5."),
        ("{**f(), 'PPO, A2C': 0.2}", "Three seeds hardly ever miss a difference"),
        ("{**f(), 'PPO, A2C': 0.5}", "Three seeds hardly ever miss a difference"),
        ("{**f(), 'PPO, A2C': 0.97}", "Three seeds hardly ever miss a difference"),
        ("{**f(), 'TRPO, A2C': 0.3}", "TRPO and A2C are apart by about one standa"),
        ("{**f(), 'TRPO, A2C': 0.5}", "TRPO and A2C are apart by about one standa"),
        ("{**f(), 'TRPO, A2C': 0.85}", "In more than one half? Then the worse one"),
        ("{**f(), 'TRPO, A2C': 0.01}", "TRPO and A2C are apart by about one standa"),
        ("{**f(), 'TRPO, natural gradient': 0.1}", "TRPO and the natural gradient differ"),
        ("{**f(), 'TRPO, natural gradient': 0.2}", "TRPO and the natural gradient differ"),
        ("{**f(), 'TRPO, natural gradient': 0.75}", "The order of TRPO and the natural gradient"),
        ("{**f(), 'TRPO, natural gradient': 0.5}", "The order of TRPO and the natural gradient"),
        ("{**f(), 'TRPO, A2C': 16, 'TRPO, natural gradient': 37}", "A share lies between 0 and 1: 5 % are 0.05"),
        ("{**f(), 'TRPO, A2C': (10, 20)}", "A share lies between 0 and 1: 5 % are 0.05"),
        ("{**f(), 'TRPO, natural gradient': 0.0}", "TRPO and the natural gradient differ"),
        (
            "{**f(), 'PPO, A2C': 2, 'TRPO, A2C': 15, 'TRPO, natural gradient': 40}",
            "A share lies between 0 and 1: 5 % are 0.05",
        ),
        ("{**f(), 'TRPO, natural gradient': (0.0, 1.0)}", "a range as wide as that says too"),
        ("{**f(), 'PPO, A2C': -0.5}", "A share lies between 0 and 1: 5 % are 0.05"),
        ("{**f(), 'TRPO, A2C': (0.3, 0.1)}", "of a pair the lower end stands first"),
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_they_lose_points_and_are_called_by_their_name(name):
    all_are_named(name, WRONG[name])
