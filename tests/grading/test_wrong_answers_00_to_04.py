"""Wrong answers of chapters 00 to 04, in other words than the known mistakes: called by their name, and by no other."""

import pytest
from wrong_answers import all_are_named

WRONG = {
    "00.paired_difference": [
        (("d = x - y", "d = y - x"), "This is B - A: asked is how much m"),
        (("correction=1", "correction=0"), "The standard deviation is divided"),
        (("n**0.5", "(2 * n) ** 0.5"), "n counts both variants' returns: a"),
    ],
    "00.seeds_not_episodes": [
        (("returns.mean(1)", "returns.mean(0)"), "This averages over seeds and count"),
        (("low > limit", "low < limit"), "The verdict is inverted."),
        (("returns.mean(1)", "returns[:, 0]"), "Only the first episode of each see"),
        (("returns.mean(1)", "returns.median(1).values"), "This is each seed's median: the cl"),
        (("returns.mean(1)", "returns.amax(1)"), "Only the best episode of each seed"),
    ],
    "01.entropy": [
        ("f(z) / 0.6931471805599453", "This is in bits: take the natural"),
        (("-(log_pi.exp() * log_pi).sum(-1)", "(log_pi.exp() * log_pi).sum(-1)"), "Sign flipped? The logarithm of a p"),
        (
            ("-(log_pi.exp() * log_pi).sum(-1)", "-(log_pi.exp() * log_pi).mean(-1)"),
            "The mean over the actions: entropy",
        ),
        (("z.log_softmax(-1)", "z.log_softmax(0)"), "The softmax runs along the first a"),
        (("-(log_pi.exp() * log_pi).sum(-1)", "-log_pi.amax(-1)"), "This is -log of the most probable"),
        (("log_pi.exp() * log_pi", "z.softmax(-1) * z"), "The logarithm is missing: Σ π z is"),
        (("-(log_pi.exp() * log_pi).sum(-1)", "-(log_pi.exp() * log_pi).sum()"), "The entropies of all policies are"),
        (
            (
                "-(log_pi.exp() * log_pi).sum(-1)",
                "-(log_pi.exp() * log_pi).sum(-1) / torch.tensor(float(z.shape[-1])).log()",
            ),
            "Divided by log A: asked is the ent",
        ),
        (("-(log_pi.exp() * log_pi).sum(-1)", "-log_pi.sum(-1)"), "π is missing: every action counts"),
        ("f(z).detach()", "No gradient is left: the result wa"),
    ],
    "01.sample": [
        (("u.unsqueeze(-1) >= ends", "u.unsqueeze(-1) > ends"), "With u = 0 an action of probabilit"),
        (
            ("return (u.unsqueeze(-1) >= ends).sum(-1).clamp(max=z.shape[-1] - 1)", "return z.argmax(-1)"),
            "This is the most probable action,",
        ),
        (("cumsum(-1)", "flip(-1).cumsum(-1)"), "With u = 0 an action of probabilit"),
        (
            ("return (u.unsqueeze(-1) >= ends).sum(-1).clamp(max=z.shape[-1] - 1)", "return (u * z.shape[-1]).long()"),
            "Each action is as probable as the",
        ),
        (("(u.unsqueeze(-1) >= ends)", "(1 - u.unsqueeze(-1) >= ends)"), "The pieces are laid out from the o"),
        ("f(z, u) + 1", "This counts from 1: actions start"),
        (
            ("(u.unsqueeze(-1) >= ends).sum(-1)", "(u.unsqueeze(-1) < ends).sum(-1)"),
            "The pieces that end after u are co",
        ),
    ],
    "01.corridor": [
        (("value = -(2 - p)", "value = (2 - p)"), "Sign flipped? Every step costs 1,"),
        (("root / (1 + root)", "0.5858"), "The best p is that of a wall that"),
        (("(2 + bump) ** 0.5", "2 ** 0.5"), "The best p is that of a wall that"),
        (("2 + bump * (1 - p)", "2 + bump"), "The bump is paid on every visit to"),
        (("2 + bump * (1 - p)", "2 + bump * p"), "The bump costs with probability p:"),
        (("2 + bump * (1 - p)", "2"), "J does not contain the bump."),
        (("(2 + bump) ** 0.5", "2 + bump"), "The square root is missing: (1-p)/"),
    ],
    "01.mixture_return": [
        ("{**f(), 'corridor: a coin each episode': -12.0}", "The corridor with a coin each epis"),
        ("{**f(), 'corridor: a coin each step': -63.16}", "The corridor with a coin each step"),
        (
            "{**f(), 'corridor: a coin each episode': -12.0, 'corridor: a coin each step': -63.16}",
            "The corridor's two are exchanged.",
        ),
    ],
    "02.advantage_by_hand": [
        ("{**f(), 'slope(0)': 0.1875, 'slope(1)': -0.25}", "The slopes lack the visits."),
        ("{**f(), 'slope(0)': 2.8125, 'slope(1)': -0.625}", "The slopes lack the probability of"),
    ],
    "02.occupancy": [
        (("gamma * P.T, start", "gamma * P.T, gamma * start"), "γ is applied once too often: the f"),
        (("sa,sat->st", "sa,sat->ts"), "P is not transposed: this looks ah"),
        (
            (
                "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)",
                "sum(gamma**(t + 1) * (start @ torch.linalg.matrix_power(P, t)) for t in range(3000))",
            ),
            "γ is applied once too often: the f",
        ),
        (
            ('P = torch.einsum("sa,sat->st", pi, transition)', "P = transition.mean(1)"),
            "The policy is ignored: actions are",
        ),
    ],
    "02.gradient": [
        (("pi * A", "A"), "The probability is missing: this i"),
        (("d[:, None] * pi * A", "pi * A"), "The visits are missing: a state co"),
        (("d[:, None] * pi * A", "-d[:, None] * pi * A"), "Sign flipped? This points downhill"),
        (("gamma * transition @ v", "transition @ v"), "γ is missing in q = r + γ Σ P v: w"),
        (("A = q - v[:, None]", "A = q - q.mean(1, keepdim=True)"), "The baseline is the mean of q over"),
        (("d[:, None] * pi * A", "d[:, None] * pi * (1 - pi) * A"), "A factor 1 - π too many: d π A has"),
        (("d[:, None] * pi * A", "start[:, None] * pi * A"), "The start distribution stands in t"),
        (("A = q - v[:, None]", "A = v[:, None] - q"), "Sign flipped? This points downhill"),
        (("d[:, None] * pi * A", "d[:, None] * A"), "The probability is missing: this i"),
        (("A = q - v[:, None]", "A = q - q.amax(1, keepdim=True)"), "The baseline is the best action's"),
    ],
    "02.broken_lemma": [
        (("-pi * (b - mean)", "pi * (b - mean)"), "Sign flipped? The baseline is subt"),
        (("-pi * (b - mean)", "-pi * b"), "The mean of b is missing: the scor"),
        (("-pi * (b - mean)", "0 * b"), "This is zero: the lemma is about w"),
        (("-pi * (b - mean)", "-pi.square() * (b - mean)"), "π² in the place of π: the mean ove"),
    ],
    "02.monte_carlo_slope": [
        ((".sum(1).mean().sqrt()", ".sum(1).mean()"), "This is the slope of the squared e"),
        ((".square().sum(1).mean().sqrt()", ".norm(dim=1).mean()"), "The mean of the lengths, not the r"),
        (("estimates[:, :n].mean(1)", "estimates[:n].mean(0)"), "The first n repetitions are averag"),
        (("x, y = x - x.mean(), y - y.mean()", "pass"), "The line is forced through the ori"),
        ((".sum(1).mean().sqrt()", ".sum(1).sqrt().mean()"), "The mean of the lengths, not the r"),
        (("torch.stack(errors).log()", "torch.stack(errors).log10()"), "The two axes have different logari"),
    ],
    "02.discount_factor": [
        (("discount * ret if keep else ret", "ret if keep else discount * ret"), "`keep` is understood the wrong way"),
        (("discount * ret if keep else ret", "ret"), "γ^t is dropped although it is to b"),
        (("discount * ret if keep else ret", "discount * ret"), "γ^t is there although it is to be"),
        (
            ("gamma ** torch.arange(reward.shape[-1]", "gamma ** torch.arange(1, reward.shape[-1] + 1"),
            "γ^{t+1}: the first action has the",
        ),
        (("ret[..., t] = after", "ret[..., t] = after - reward[..., t]"), "The own reward is missing: the sum"),
        ((", dtype=reward.dtype", ""), "γ^t was computed in float32: give"),
        (
            ("discount * ret if keep else ret", "discount ** 2 * ret if keep else ret"),
            "γ^t twice: the sum Σ γ^k r_k has i",
        ),
        (
            (
                "discount * ret if keep else ret",
                "(discount * reward).sum(-1, keepdim=True).expand_as(ret) if keep else ret",
            ),
            "This is the total return at every",
        ),
        (
            (
                "discount * ret if keep else ret",
                "discount * ret if keep else (discount * reward).flip(-1).cumsum(-1).flip(-1) / discount",
            ),
            "Dividing by γ^t loses all digits o",
        ),
        (
            (
                "discount = gamma ** torch.arange(reward.shape[-1], dtype=reward.dtype)",
                "discount = gamma ** torch.arange(reward.shape[-1], dtype=reward.dtype).flip(0)",
            ),
            "γ^{T-t}: the factor shrinks with t",
        ),
    ],
    "02.practice": [
        ([("eye - gamma * P, r", "eye - P, r")], "q is discounted, and the v in it i"),
        (("n[:, None] * pi * A", "(n / n.sum())[:, None] * pi * A"), "The visits are normalised: how lon"),
    ],
    "03.reward_to_go": [
        (("ret[..., t] = after", "ret[..., -1 - t] = after"), "The list is backwards: it was buil"),
        (("ret[..., t] = after", "ret[..., t] = after - reward[..., t]"), "r_t itself is missing: this is γ G"),
        (
            ("reward[..., t] + gamma * after", "(1 - gamma) * reward[..., t] + gamma * after"),
            "Later rewards count (1 - γ): rewar",
        ),
        ("reward.flip(-1).cumsum(-1).flip(-1)", "γ is missing: a reward k steps lat"),
        (
            "(gamma ** torch.arange(reward.shape[-1], dtype=reward.dtype) * reward).flip(-1).cumsum(-1).flip(-1)",
            "Rewards are discounted from the st",
        ),
        (
            "(lambda w: (w * reward).flip(-1).cumsum(-1).flip(-1) / w)"
            "(gamma ** torch.arange(reward.shape[-1], dtype=reward.dtype))",
            "Dividing by γ^t loses all digits o",
        ),
        ("f(*a) * gamma ** torch.arange(reward.shape[-1], dtype=reward.dtype)", "Rewards are discounted from the st"),
        ("f(*a) * gamma", "γ is applied once too often: r_t c"),
    ],
    "03.broadcasting": [
        (("weight.unsqueeze(1) * log_prob", "weight * log_prob.squeeze(1).sum()"), "The n² pairs are still there, now"),
        ((".mean()", ".sum()"), "The products are right, but summed"),
        (("logits.log_softmax(1)", "logits.softmax(1)"), "These are probabilities: the score"),
        (("logits.log_softmax(1)", "logits.log_softmax(0)"), "Normalised over the steps of the b"),
        (
            ("-(weight.unsqueeze(1) * log_prob).mean()", "-torch.diagonal(weight * log_prob).sum()"),
            "The products are right, but summed",
        ),
        (
            ("-(weight.unsqueeze(1) * log_prob).mean()", "-(weight.unsqueeze(1) * log_prob.exp()).mean()"),
            "These are probabilities: the score",
        ),
        (
            ("-(weight.unsqueeze(1) * log_prob).mean()", "-(weight.unsqueeze(1) * log_prob.detach()).mean()"),
            "No gradient is left: the log-proba",
        ),
    ],
    "03.loss": [
        (("-(ret * log_prob).sum(1).mean()", "(ret * log_prob).sum(1).mean()"), "Sign flipped? An optimiser goes do"),
        (("-(ret * log_prob).sum(1).mean()", "-(ret * log_prob).mean()"), "You average over time: the theorem"),
        (("-(ret * log_prob).sum(1).mean()", "-(ret * log_prob).sum()"), "The mean over episodes is missing:"),
        (
            ("-(ret * log_prob).sum(1).mean()", "-(ret * log_prob).sum() / mask.sum()"),
            "You divide by the number of steps:",
        ),
        (("log_prob.where(mask, 0.0)", "log_prob.detach().where(mask, 0.0)"), "No gradient is left: the log-proba"),
        (
            ("-(ret * log_prob).sum(1).mean()", "-((ret * log_prob).sum(1) / mask.sum(1)).mean()"),
            "You divide each episode by its len",
        ),
        (
            ("-(ret * log_prob).sum(1).mean()", "-(ret.sum(1) * log_prob.sum(1)).mean()"),
            "You multiply two sums. Multiply st",
        ),
        (
            ("-(ret * log_prob).sum(1).mean()", "-(ret[:, :1] * log_prob).sum(1).mean()"),
            "Every action is weighted with the",
        ),
        (
            ("-(ret * log_prob).sum(1).mean()", "-(ret * log_prob.exp()).sum(1).mean()"),
            "You weight probabilities: the scor",
        ),
        (
            (
                "log_prob, ret = log_prob.where(mask, 0.0), ret.detach().where(mask, 0.0)",
                "log_prob, ret = log_prob * mask, ret.detach() * mask",
            ),
            "Padding is multiplied with 0, and",
        ),
        (
            (
                "log_prob, ret = log_prob.where(mask, 0.0), ret.detach().where(mask, 0.0)",
                "log_prob, ret = log_prob, ret.detach()",
            ),
            "Padding is counted: leave out the",
        ),
        (
            (
                "log_prob, ret = log_prob.where(mask, 0.0), ret.detach().where(mask, 0.0)",
                "log_prob, ret = log_prob.where(~mask, 0.0), ret.detach().where(~mask, 0.0)",
            ),
            "The mask is inverted: it is True o",
        ),
        (
            (
                "log_prob, ret = log_prob.where(mask, 0.0), ret.detach().where(mask, 0.0)",
                "log_prob, ret = log_prob, ret.detach().where(mask, 0.0)",
            ),
            "Only the returns are masked: 0 · N",
        ),
        (
            ("-(ret * log_prob).sum(1).mean()", "-(ret * log_prob).sum(1).mean() / ret.shape[1]"),
            "You average over time: the theorem",
        ),
    ],
    "03.mask": [
        (("before == 0", "over.int().cumsum(1) == 0"), "The last step of an episode is lef"),
        (("before == 0", "~over"), "`~over` is False at one step only:"),
        (("mask.sum()", "mask.numel()"), "Padding is counted in the divisor:"),
        (("mask.sum()", "len(x)"), "You divide by the number of episod"),
        (
            ("x.where(mask, 0.0).sum() / mask.sum()", "(x * mask).sum() / mask.sum()"),
            "Padding is multiplied with 0, and",
        ),
        (("x.where(mask, 0.0).sum() / mask.sum()", "x.where(mask, 0.0).mean()"), "Padding is counted in the divisor:"),
        (
            ("x.where(mask, 0.0).sum() / mask.sum()", "x.nan_to_num().where(mask, 0.0).sum() / mask.numel()"),
            "Padding is counted in the divisor:",
        ),
        (("cumsum(1)", "cumsum(0)"), "The ends are counted down the batc"),
        (("x.where(mask, 0.0)", "x.detach().where(mask, 0.0)"), "The value is right, but x was deta"),
        (
            ("x.where(mask, 0.0).sum() / mask.sum()", "x.where(mask, 0.0).sum(1).mean()"),
            "You divide by the number of episod",
        ),
    ],
    "03.discounted_score": [
        (("if keep_discount", "if not keep_discount"), "The two are exchanged: γ^t belongs"),
        (("if keep_discount", "if True"), "γ^t is always there: `keep_discoun"),
        (("if keep_discount", "if False"), "γ^t is never there: `keep_discount"),
        ((".sum(1).mean(0)", ".mean(1).mean(0)"), "You average over time: the theorem"),
        ((".sum(1).mean(0)", ".sum(1).sum(0)"), "You add up the episodes: a mean ov"),
        (("(weight.unsqueeze(-1) * score)", "(-weight.unsqueeze(-1) * score)"), "Sign flipped? This is the estimate"),
        (
            ("(weight.unsqueeze(-1) * score).sum(1).mean(0)", "(weight[:, :1].unsqueeze(-1) * score).sum(1).mean(0)"),
            "Every action is weighted with the",
        ),
        (("weight * gamma **", "weight * gamma ** -"), "It is divided by γ^t: multiply."),
        (
            (
                "weight * gamma ** torch.arange(reward.shape[1])",
                "weight * gamma ** (2 * torch.arange(reward.shape[1]))",
            ),
            "γ^t is there twice: G_t counts dis",
        ),
    ],
    "03.baseline": [
        (
            ("(ret.sum(0) - ret) / others.clamp_min(1)", "ret.sum(0) / mask.sum(0).clamp_min(1) + 0 * ret"),
            "The mean includes the episode's ow",
        ),
        (
            ("(ret.sum(0) - ret) / others.clamp_min(1)", "(ret.sum(0) - ret) / (len(ret) - 1)"),
            "Finished episodes are counted as r",
        ),
        (
            ("(ret.sum(0) - ret) / others.clamp_min(1)", "(ret.sum(0) - ret) / others"),
            "Where an episode runs alone you di",
        ),
        (("mask.sum(0) - mask.to(ret.dtype)", "mask.sum(0) + 0 * ret"), "The own return is left out of the"),
        (("ret = ret.where(mask, 0.0)", "ret = ret * mask"), "Padding is multiplied with 0, and"),
        (
            ("(ret.sum(0) - ret) / others.clamp_min(1)", "ret - (ret.sum(0) - ret) / others.clamp_min(1)"),
            "This is the advantage G - b alread",
        ),
        (
            ("(ret.sum(0) - ret) / others.clamp_min(1)", "-(ret.sum(0) - ret) / others.clamp_min(1)"),
            "Sign flipped? The baseline is subt",
        ),
        (("others.clamp_min(1)", "(others + 1)"), "The own return is left out of the"),
        (("(ret.sum(0) - ret) / others.clamp_min(1)", "(ret.sum(0) - ret)"), "The sum of the others, not their m"),
        (
            (
                "(ret.sum(0) - ret) / others.clamp_min(1)",
                "((ret.sum(0) - ret) / others.clamp_min(1))[:, :1].expand_as(ret)",
            ),
            "You use the others' return of the",
        ),
        (("(ret.sum(0) - ret) / others.clamp_min(1)", "0 * ret"), "Zero everywhere is a baseline, but"),
    ],
    "04.optimal_baseline": [
        (
            ("weight = probability.unsqueeze(1) * size", "weight = probability.unsqueeze(1) + 0 * size"),
            "This is the mean return E[R]: best",
        ),
        (("weight = probability.unsqueeze(1) * size", "weight = size"), "The returns are averaged without t"),
        (
            ("best = (weight * ret.unsqueeze(1)).sum(0) / weight.sum(0)", "best = (weight * ret.unsqueeze(1)).sum(0)"),
            "The divisor is missing: weights ha",
        ),
        (
            (
                "(weight * ret.unsqueeze(1)).sum(0) / weight.sum(0)",
                "(weight * ret.unsqueeze(1)).sum(0) / probability.sum()",
            ),
            "The divisor is missing: weights ha",
        ),
        (
            ("probability.unsqueeze(1) * size", "probability.unsqueeze(1).square() * size"),
            "The probability is there twice: th",
        ),
    ],
    "04.in_sample_share": [
        (("1.0 - own", "own"), "That is the share that is lost. Wh"),
        (("1.0 - own", "1.0 + own"), "Too much is left: R_i enters with"),
        (("1.0 - own", "1.0"), "A baseline keeps the mean only if"),
        (("1.0 - own", "1.0 - 1 / n"), "That is 1 - 1/n, whatever the weig"),
        (("1.0 - own", "(n - 1) / n"), "That is 1 - 1/n, whatever the weig"),
        (("1.0 - own", "1.0 - own / n"), "n comes in once too often: `own` s"),
        (("1.0 - own", "(1.0 - own) ** 2"), "The weight is taken twice: b_i con"),
    ],
    "04.paired_difference": [
        (("d.std()", "d.std(correction=0)"), "The standard deviation divides by"),
        (
            ("d.std() / len(d) ** 0.5", "((first.var() + second.var()) / len(d)).sqrt()"),
            "The errors of two means are added",
        ),
        (("d.std() / len(d) ** 0.5", "1.96 * d.std() / len(d) ** 0.5"), "This is the half-width of an inter"),
        (("d.std() / len(d) ** 0.5", "first.std() / len(d) ** 0.5"), "The error of `first` alone: the di"),
    ],
    "04.estimators": [
        ("(lambda x: {**x, 'A': x['E'], 'E': x['A']})(f())", "A baseline of the action, fitted a"),
        ("(lambda x: {**x, 'A': x['F'], 'F': x['A']})(f())", "A mean that contains its own episo"),
        ("(lambda x: {**x, 'B': x['D'], 'D': x['B']})(f())", "B: who knows A(s,a) has the mean ∇"),
        ("(lambda x: {**x, 'B': x['F'], 'F': x['B']})(f())", "Dropping rewards that were paid be"),
        ("(lambda x: {**x, 'B': x['G'], 'G': x['B']})(f())", "Without γ^t the mean is another: n"),
        ("(lambda x: {**x, 'B': x['H'], 'H': x['B']})(f())", "Two of the right mean are exchange"),
        ("(lambda x: {**x, 'C': x['G'], 'G': x['C']})(f())", "Without γ^t late steps count more,"),
        ("(lambda x: {**x, 'D': x['F'], 'F': x['D']})(f())", "D: the total return has the mean ∇"),
        ("(lambda x: {**x, 'D': x['H'], 'H': x['D']})(f())", "Who knows A(s,a) has none of the n"),
        ("(lambda x: {**x, 'F': x['H'], 'H': x['F']})(f())", "F: with v(s) taken away the mean i"),
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_they_lose_points_and_are_called_by_their_name(name):
    all_are_named(name, WRONG[name])
