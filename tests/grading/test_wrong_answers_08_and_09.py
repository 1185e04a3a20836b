"""Wrong answers of chapters 08, 08b and 09, as learners wrote them: called by their name, and by no other."""

import pytest
from wrong_answers import all_are_named, found

WRONG = {
    "08.clipped_objective": [
        ("-f(*a)", "Sign flipped? This is the objectiv"),
        (
            ("gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)", "gain = ratio * good"),
            "Nothing is clipped: this is the pl",
        ),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
                "gain = ratio.clamp(1 - clip, 1 + clip) * good",
            ),
            "The minimum is missing: clip(r) Â ",
        ),
        (("torch.minimum", "torch.maximum"), "Minimum and maximum are swapped, o"),
        (
            ("(log_prob - old_log_prob.detach())", "(old_log_prob.detach() - log_prob)"),
            "The ratio is inverted: it is the n",
        ),
        ((".masked_fill(~mask, 0.0).exp()", ".masked_fill(~mask, 0.0)"), "The ratio's exp is missing: a diff"),
        (("gain.sum() / mask.sum()", "gain.mean()"), "Padding is counted: divide by the "),
        (("gain.sum() / mask.sum()", "gain.sum()"), "This is a sum: the mean over the r"),
        (("gain.sum() / mask.sum()", "(gain.sum(1) / mask.sum(1)).mean()"), "This is a mean over episodes of ea"),
        (("gain.sum() / mask.sum()", "gain.sum(1).mean()"), "Divided by the number of episodes:"),
        (("ratio.clamp(1 - clip, 1 + clip)", "ratio.clamp(-clip, clip)"), "r is clipped to ±ε: the interval l"),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
                "gain = torch.minimum(ratio * good, (ratio * good).clamp(1 - clip, 1 + clip))",
            ),
            "The product r Â is clipped: clip t",
        ),
        (("old_log_prob.detach()", "old_log_prob"), "A gradient flows into the old log-"),
        (("advantage.detach()", "advantage"), "A gradient flows into the advantag"),
        ("f(*a).detach()", "No gradient is left: log_prob was "),
        (
            [
                (
                    "ratio = (log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
                    "ratio = (log_prob - old_log_prob.detach()).exp()",
                ),
                ("advantage.detach().masked_fill(~mask, 0.0)", "advantage.detach()"),
                ("gain.sum() / mask.sum()", "(gain * mask).sum() / mask.sum()"),
            ],
            "Padding is multiplied with 0, and ",
        ),
        (
            [
                (
                    "ratio = (log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
                    "ratio = (log_prob - old_log_prob.detach()).exp()",
                ),
                ("advantage.detach().masked_fill(~mask, 0.0)", "advantage.detach()"),
                ("gain.sum() / mask.sum()", "gain.where(mask, 0.0).sum() / mask.sum()"),
            ],
            "The value is right and the gradien",
        ),
        (
            [
                (
                    "ratio = (log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
                    "ratio = (log_prob - old_log_prob.detach()).exp()",
                ),
                ("advantage.detach().masked_fill(~mask, 0.0)", "advantage.detach()"),
                ("gain.sum() / mask.sum()", "gain.mean()"),
            ],
            "The mask is not looked at: padding",
        ),
        (
            (
                "good = advantage.detach().masked_fill(~mask, 0.0)",
                (
                    "good = advantage.detach().masked_fill(~mask, 0.0); real = good[mask]; good = ((good - "
                    "real.mean()) / (real.std() + 1e-8)).masked_fill(~mask, 0.0)"
                ),
            ),
            "The advantages are standardised in",
        ),
        (
            ("ratio.clamp(1 - clip, 1 + clip)", "ratio.clamp(1 / (1 + clip), 1 + clip)"),
            "The lower bound is 1/(1+ε): it is ",
        ),
        (("ratio.clamp(1 - clip, 1 + clip)", "ratio.clamp(max=1 + clip)"), "The lower bound is missing: for Â "),
        (("ratio.clamp(1 - clip, 1 + clip)", "ratio.clamp(min=1 - clip)"), "The upper bound is missing: for Â "),
        (
            (
                "ratio.clamp(1 - clip, 1 + clip)",
                "(log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).clamp(-clip, clip).exp()",
            ),
            "log r is clipped to ±ε: it is r th",
        ),
        (
            (
                "(log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
                "log_prob.masked_fill(~mask, 0.0).exp()",
            ),
            "log π_old is not taken away: this ",
        ),
        (
            (
                "(log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
                "(log_prob / old_log_prob.detach()).masked_fill(~mask, 1.0)",
            ),
            "The ratio is taken of the logarith",
        ),
        (("ratio.clamp(1 - clip, 1 + clip)", "ratio.clamp(0.8, 1.2)"), "The clip is 0.2 whatever was asked"),
        (("gain.sum() / mask.sum()", "gain.sum() / len(gain)"), "Divided by the number of episodes:"),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip))",
            ),
            "The clipped ratio lacks its factor",
        ),
        (("advantage.detach().masked_fill(~mask, 0.0)", "advantage.detach().abs().masked_fill(~mask, 0.0)"), None),
        (
            [
                (
                    "ratio = (log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
                    "ratio = (log_prob - old_log_prob.detach()).masked_fill(mask, 0.0).exp()",
                ),
                ("advantage.detach().masked_fill(~mask, 0.0)", "advantage.detach().masked_fill(mask, 0.0)"),
            ],
            "Real samples are set to 0 and padd",
        ),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
                (
                    "gain = torch.where(ratio * good <= (ratio.clamp(1 - clip, 1 + clip) * good).detach() - "
                    "1e-7, ratio * good, (ratio.clamp(1 - clip, 1 + clip) * good).detach())"
                ),
            ),
            None,
        ),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
                "gain = torch.where((ratio - 1).abs() > clip, 0.0, ratio * good)",
            ),
            "Samples outside 1 ± ε are left out",
        ),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
                (
                    "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good); gain = gain "
                    "* log_prob.masked_fill(~mask, 0.0)"
                ),
            ),
            None,
        ),
    ],
    "08.which_is_clipped": [
        (("return rewarded > clip", "return (ratio - 1).abs() > clip"), "This asks only whether r is outsid"),
        (("return rewarded > clip", "return ~(rewarded > clip)"), "This is the opposite: True is aske"),
        (("return rewarded > clip", "return -rewarded > clip"), "The sides are swapped: these are t"),
        (
            ("return rewarded > clip", "return (ratio > 1 + clip) & (advantage > 0)"),
            "Only samples with Â > 0 are looked",
        ),
        (
            ("return rewarded > clip", "return (ratio < 1 - clip) & (advantage < 0)"),
            "Only samples with Â < 0 are looked",
        ),
        (("return rewarded > clip", "return ratio > 1 + clip"), "The sign of Â is not looked at: r "),
        (("return rewarded > clip", "return ratio < 1 - clip"), "The sign of Â is not looked at: r "),
        (("return rewarded > clip", "return rewarded > 0.2"), "The clip is 0.2 whatever was asked"),
        (("return rewarded > clip", "return (rewarded > clip).any()"), "One answer for all samples: each h"),
        (
            ("return rewarded > clip", "return ratio.log() * advantage.sign() > clip"),
            "log r is compared with ±ε: the int",
        ),
        (
            (
                "return rewarded > clip",
                (
                    "return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage) == "
                    "ratio.clamp(1 - clip, 1 + clip) * advantage"
                ),
            ),
            "Inside 1 ± ε the two products are ",
        ),
        (("return rewarded > clip", "return (ratio - 1) * advantage > clip"), "(r - 1) Â is compared with ε: of Â"),
        (
            ("return rewarded > clip", "return ((ratio - 1).abs() > clip) & (advantage > 0)"),
            "For Â > 0 a ratio below 1 - ε is c",
        ),
        (
            ("return rewarded > clip", "return ((ratio - 1).abs() > clip) & (advantage < 0)"),
            "For Â < 0 a ratio above 1 + ε is c",
        ),
        (("return rewarded > clip", "return (ratio - 1).abs() < clip"), "Samples inside 1 ± ε are called cl"),
        (
            ("return rewarded > clip", "return torch.zeros_like(ratio, dtype=torch.bool)"),
            "Nothing is ever clipped here.",
        ),
        (
            ("return rewarded > clip", "return torch.ones_like(ratio, dtype=torch.bool)"),
            "All samples are called clipped.",
        ),
        (
            ("return rewarded > clip", "return torch.where(rewarded > clip, 0.0, advantage)"),
            "This is the slope itself: asked is",
        ),
        (
            (
                "return rewarded > clip",
                "return (ratio < 1 / (1 + clip)) & (advantage < 0) | (ratio > 1 + clip) & (advantage > 0)",
            ),
            "The lower end is 1-ε, not 1/(1+ε):",
        ),
        (("return rewarded > clip", "return torch.tensor([bool(x) for x in rewarded > clip])"), None),
        (("return rewarded > clip", "return rewarded > 1 + clip"), "r - 1 is compared with 1 + ε: comp"),
        (
            ("return rewarded > clip", "return (ratio > clip) & (advantage > 0) | (ratio < -clip) & (advantage < 0)"),
            "r is compared with ±ε: the interva",
        ),
        (
            (
                "return rewarded > clip",
                ("return (ratio * advantage > (1 + clip) * advantage) | (ratio * advantage < (1 - clip) * advantage)"),
            ),
            None,
        ),
        (
            ("return rewarded > clip", "return (rewarded > clip) & (advantage > 0)"),
            "Only samples with Â > 0 are looked",
        ),
        (("return rewarded > clip", "return ratio * advantage > 1 + clip"), "r Â is compared with 1 + ε: it is "),
        (
            ("return rewarded > clip", "return (ratio > 1 + clip) & (advantage < 0)"),
            "Only bad actions that became likel",
        ),
        (
            (
                "return rewarded > clip",
                "return (ratio > 1 + clip) & (advantage > 0) | (ratio > 1 - clip) & (advantage < 0)",
            ),
            "For Â < 0 the inequality is turned",
        ),
    ],
    "08.value_loss": [
        (("value.squeeze(-1)", "value"), "[n, 1] against [n]: the difference"),
        (("torch.maximum", "torch.minimum"), "The minimum of the two errors is t"),
        (
            (
                "error = torch.maximum((value - target).square(), (near - target).square())",
                "error = (near - target).square()",
            ),
            "The plain error is missing: a valu",
        ),
        (
            (
                "error = torch.maximum((value - target).square(), (near - target).square())",
                "error = (value - target).square()",
            ),
            "Nothing is clipped: the plain erro",
        ),
        (("0.5 * error.mean()", "error.mean()"), "The ½ is missing."),
        (("error.mean()", "error.sum()"), "This is a sum: the mean is asked f"),
        (
            ("near = old_value + (value - old_value).clamp(-clip, clip)", "near = value.clamp(-clip, clip)"),
            "The value itself is clipped to ±ε:",
        ),
        (
            (
                "near = old_value + (value - old_value).clamp(-clip, clip)",
                "near = target + (value - target).clamp(-clip, clip)",
            ),
            "Nothing is clipped: the plain erro",
        ),
        (
            (
                "near = old_value + (value - old_value).clamp(-clip, clip)",
                "near = old_value * (value / old_value).clamp(1 - clip, 1 + clip)",
            ),
            "The value is held between (1-ε) an",
        ),
        (
            (
                "near = old_value + (value - old_value).clamp(-clip, clip)",
                "near = (value - old_value).clamp(-clip, clip)",
            ),
            "The old value is not added back: v",
        ),
        (("old_value.detach()", "old_value"), "A gradient flows into the old valu"),
        (("target.detach()", "target"), "A gradient flows into the target: "),
        ("f(*a).detach()", "No gradient is left: the value was"),
        (
            (
                "error = torch.maximum((value - target).square(), (near - target).square())",
                "error = torch.maximum((value - target).square().mean(), (near - target).square().mean())",
            ),
            "The larger of two means: which of ",
        ),
        ("-f(*a)", "Sign flipped? An error is to becom"),
        (
            (
                "error = torch.maximum((value - target).square(), (near - target).square())",
                "error = torch.maximum((value - target).abs(), (near - target).abs())",
            ),
            "Absolute errors, not squared ones.",
        ),
        (("0.5 * error.mean()", "0.25 * error.mean()"), "Half of what it should be: the ½ s"),
        (("0.5 * error.mean()", "error.mean().sqrt()"), None),
        (
            (
                "error = torch.maximum((value - target).square(), (near - target).square())",
                ("error = torch.maximum((value - target).square(), (value - target).clamp(-clip, clip).square())"),
            ),
            "Nothing is clipped: the plain erro",
        ),
        (
            (
                "error = torch.maximum((value - target).square(), (near - target).square())",
                "error = (value - target).clamp(-clip, clip).square()",
            ),
            "The error is clipped: what is limi",
        ),
        (
            ("(value - old_value).clamp(-clip, clip)", "(old_value - value).clamp(-clip, clip)"),
            "The difference is clipped the wron",
        ),
        (
            (
                "near = old_value + (value - old_value).clamp(-clip, clip)",
                "near = value + (value - old_value).clamp(-clip, clip)",
            ),
            None,
        ),
        (
            (
                "error = torch.maximum((value - target).square(), (near - target).square())",
                "error = (0.5 * (value - target).square() + 0.5 * (near - target).square())",
            ),
            "The average of the two errors: the",
        ),
        (
            (
                "old_value + (value - old_value).clamp(-clip, clip)",
                "(old_value + (value - old_value).clamp(-clip, clip)).detach()",
            ),
            "The clipped value is a constant he",
        ),
        (("clamp(-clip, clip)", "clamp(1 - clip, 1 + clip)"), "The clip is that of a ratio, aroun"),
        (("clamp(-clip, clip)", "clamp(max=clip)"), "Clipped on one side only: a value "),
        (("clamp(-clip, clip)", "clamp(-0.2, 0.2)"), "The clip is 0.2 whatever was asked"),
        (
            (
                "error = torch.maximum((value - target).square(), (near - target).square())",
                "error = torch.maximum((value - target).square(), (near - old_value).square())",
            ),
            "The clip alone is squared, as if o",
        ),
        (
            (
                "value.squeeze(-1), old_value.detach(), target.detach()",
                "value.squeeze(-1), target.detach(), old_value.detach()",
            ),
            "Old value and target are exchanged",
        ),
        (
            ("value.squeeze(-1), old_value.detach()", "value.squeeze(-1).detach(), old_value.detach()"),
            "No gradient is left: the value was",
        ),
        (
            [("value.squeeze(-1), old_value.detach()", "value, old_value.detach().unsqueeze(-1)")],
            "The target alone is [n], and again",
        ),
        (("0.5 * error.mean()", "torch.nn.functional.smooth_l1_loss(value, target)"), None),
    ],
    "08.kl_estimators": [
        (("k1 = -log_ratio", "k1 = log_ratio"), "k1 has the wrong sign: KL(π_old ‖ "),
        (("k1 = -log_ratio", "k1 = log_ratio.exp() * log_ratio"), "k1 is weighted with the ratio: tha"),
        (("k1 = -log_ratio", "k1 = log_ratio.abs()"), "k1 lost its sign: a single sample'"),
        (("k1 = -log_ratio", "k1 = (-log_ratio).clamp(min=0)"), "k1 is cut off at 0: a single sampl"),
        (("k1 = -log_ratio", "k1 = -log_ratio.log()"), "k1 takes another logarithm: ℓ is l"),
        (("0.5 * log_ratio.square()", "log_ratio.square()"), "The ½ of k2 is missing."),
        (("0.5 * log_ratio.square()", "0.5 * log_ratio"), "k2 lacks the square."),
        (("0.5 * log_ratio.square()", "0.5 * (log_ratio.exp() - 1).square()"), "k2 squares r - 1: it is the logari"),
        (("0.5 * log_ratio.square()", "0.5 * log_ratio.exp().square()"), "k2 squares the ratio: it is half t"),
        (("0.5 * log_ratio.square()", "(0.5 * log_ratio).square()"), "k2 has the ½ inside the square, wh"),
        (("log_ratio.expm1() - log_ratio", "log_ratio.expm1() + log_ratio"), "k3 has the sign of the logarithm w"),
        (("log_ratio.expm1() - log_ratio", "(-log_ratio).expm1() + log_ratio"), "k3 is that of the inverse ratio, 1"),
        (("log_ratio.expm1() - log_ratio", "log_ratio.exp() - log_ratio"), "The -1 of k3 is missing: it should"),
        (("log_ratio.expm1() - log_ratio", "log_ratio - log_ratio.expm1()"), "k3 has the wrong sign: it is never"),
        (("log_ratio.expm1() - log_ratio", "log_ratio.expm1()"), "k3 lacks - log r."),
        (("log_ratio.expm1() - log_ratio", "log_ratio - 1 - log_ratio.log()"), "k3 takes ℓ for r: ℓ is log r alrea"),
        (
            ("log_ratio.expm1() - log_ratio", "log_ratio.exp() * log_ratio - log_ratio.expm1()"),
            "k3 is r log r - (r - 1), which est",
        ),
        (('"k1": True, "k2"', '"k1": False, "k2"'), "k1 is unbiased: its mean is the de"),
        (('"k2": False', '"k2": True'), "k2 is biased: it agrees with the d"),
        (('"k3": True', '"k3": False'), "k3 is unbiased: r - 1 has mean 0 u"),
        (
            ('{"k1": True, "k2": False, "k3": True}', '{"k1": True, "k2": True, "k3": True}'),
            "k2 is biased: it agrees with the d",
        ),
        (
            ('{"k1": True, "k2": False, "k3": True}', '{"k1": True, "k2": False, "k3": False}'),
            "k3 is unbiased: r - 1 has mean 0 u",
        ),
        (
            ('{"k1": k1, "k2": k2, "k3": k3,', '{"k1": k1.mean(), "k2": k2.mean(), "k3": k3.mean(),'),
            "These are means: one number for ea",
        ),
        ("{k: (v.mean(0) if k != 'unbiased' else v) for k, v in f(*a).items()}", "These are means: one number for ea"),
        (('{"k1": k1, "k2": k2, "k3": k3,', '{"k1": k2, "k2": k1, "k3": k3,'), "k1 and k2 are exchanged."),
        (('{"k1": k1, "k2": k2, "k3": k3,', '{"k1": k1, "k2": k3, "k3": k2,'), "k2 and k3 are exchanged."),
        (('{"k1": True, "k2": False, "k3": True}', '["k1", "k3"]'), "`unbiased` is a list: it is a dict"),
        ("{k: v for k, v in f(*a).items() if k != 'unbiased'}", "`unbiased` is missing in what is r"),
    ],
    "08.ppo_update": [
        (("- old_log_prob[part])", "- log_prob(theta, part).detach())"), "Every ratio is 1, as where log π_o"),
        (
            (
                "    for row in order:\n",
                "    for row in order:\n        old_log_prob = log_prob(theta, slice(None)).detach()\n",
            ),
            "log π_old is computed anew in each",
        ),
        (("theta + lr * gradient", "theta - lr * gradient"), "Downhill: the objective is to be r"),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good).mean()",
                "gain = (ratio * good).mean()",
            ),
            "Nothing is clipped.",
        ),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good).mean()",
                "gain = (ratio.clamp(1 - clip, 1 + clip) * good).mean()",
            ),
            "The minimum is missing: clip(r) Â ",
        ),
        (("torch.minimum", "torch.maximum"), "The larger of the two terms is tak"),
        (
            ("good = (advantage[part] - mean) / (std + 1e-8)", "good = advantage[part]"),
            "The advantages are not standardise",
        ),
        (("torch.std_mean(advantage[part])", "torch.std_mean(advantage)"), "The advantages are standardised ov"),
        (
            ("torch.std_mean(advantage[part])", "torch.std_mean(advantage[part], correction=0)"),
            "The standard deviation divides by ",
        ),
        (
            ("good = (advantage[part] - mean) / (std + 1e-8)", "good = advantage[part] / (std + 1e-8)"),
            "The advantages are divided by thei",
        ),
        (
            ("good = (advantage[part] - mean) / (std + 1e-8)", "good = advantage[part] - mean"),
            "The advantages are centred, but no",
        ),
        (("* good).mean()", "* good).sum()"), "The objective of a minibatch is a "),
        (("for row in order:", "for row in order[:1]:"), "Only the first pass is taken: `ord"),
        (("row.chunk(minibatches)", "row.chunk(minibatches)[:1]"), "Only the first minibatch of each p"),
        (
            ("for part in row.chunk(minibatches):", "for part in torch.arange(len(row)).chunk(minibatches):"),
            "The order is not used: each pass h",
        ),
        (("row.chunk(minibatches)", "row.split(minibatches)"), "`minibatches` is taken for the siz"),
        (("for part in row.chunk(minibatches):", "for part in (row,):"), "The rollout is not cut into miniba"),
        (
            ("(log_prob(theta, part) - old_log_prob[part])", "(old_log_prob[part] - log_prob(theta, part))"),
            "The ratio is upside down: new over",
        ),
        (
            [
                (
                    "    old_log_prob = log_prob(theta, slice(None))",
                    "    old_log_prob = log_prob(theta, slice(None)); first = theta",
                ),
                ("theta = theta + lr * gradient", "theta = first + lr * gradient"),
            ],
            "Each step is added to the first θ:",
        ),
        (
            [
                (
                    "    old_log_prob = log_prob(theta, slice(None))",
                    "    old_log_prob = log_prob(theta, slice(None)); piled = 0",
                ),
                ("theta = theta + lr * gradient", "piled = piled + gradient; theta = theta + lr * piled"),
            ],
            "The gradients pile up: each step t",
        ),
        (("theta + lr * gradient", "theta + lr / minibatches * gradient"), "The step is divided by the number "),
        ((".log_softmax(-1)", ".softmax(-1)"), "Probabilities stand in the place o"),
        (
            ("good = (advantage[part] - mean) / (std + 1e-8)", "good = (advantage[: len(part)] - mean) / (std + 1e-8)"),
            "The advantages are not shuffled wi",
        ),
        ((".log_softmax(-1)", ".log_softmax(0)"), "The softmax runs over the samples:"),
        (
            ("row.chunk(minibatches)", "[row[k::minibatches] for k in range(minibatches)]"),
            "A minibatch takes every M-th sampl",
        ),
        (
            ("(log_prob(theta, part) - old_log_prob[part])", "(log_prob(theta, part) - old_log_prob[: len(part)])"),
            "Old log-probabilities of other sam",
        ),
        (("ratio.clamp(1 - clip, 1 + clip)", "ratio.clamp(-clip, clip)"), "The ratio is clipped around 0: it "),
        (
            ("theta + lr * gradient", "theta + lr * gradient / (gradient.norm() + 1e-8)"),
            "The gradient is normalised to leng",
        ),
        (("theta + lr * gradient", "theta + lr * gradient.sign()"), "Only the gradient's signs are used"),
        (("- old_log_prob[part]).exp()", "- old_log_prob[part])"), "The ratio is missing its exponenti"),
        (("return theta.detach()", "return gradient"), "This is the last gradient: the θ a"),
        (("    return theta.detach()", "        return theta.detach()"), "Only the first pass is taken: `ord"),
        (
            ("            theta = theta + lr * gradient", "        theta = theta + lr * gradient"),
            "There is one step a pass, with the",
        ),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good).mean()",
                "gain = (ratio.detach() * good).mean() + 0 * ratio.mean()",
            ),
            "θ is returned as it came, or nearly",
        ),
        (
            (
                "gain = torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good).mean()",
                "gain = (log_prob(theta, part) * good).mean()",
            ),
            "Every ratio is 1, as where log π_o",
        ),
        (("row.chunk(minibatches)", "row.chunk(minibatches)[::-1]"), "The minibatches are cut from the r"),
    ],
    "08.repair_loss": [
        (
            ("std, mean = torch.std_mean(advantage, 1, keepdim=True)", "std, mean = torch.std_mean(advantage, 0)"),
            "The mean and the standard deviatio",
        ),
        (
            (
                "std, mean = torch.std_mean(advantage, 1, keepdim=True)",
                "std, mean = torch.std_mean(advantage, 0, keepdim=True)",
            ),
            "The mean and the standard deviatio",
        ),
        (
            ("std, mean = torch.std_mean(advantage, 1, keepdim=True)", "std, mean = torch.std_mean(advantage, 1)"),
            "Without `keepdim=True` mean and de",
        ),
        (
            (
                "std, mean = torch.std_mean(advantage, 1, keepdim=True)",
                "std, mean = advantage.std(), advantage.mean(1, keepdim=True)",
            ),
            "The mean is each seed's own now, t",
        ),
        (
            (
                "std, mean = torch.std_mean(advantage, 1, keepdim=True)",
                "std, mean = advantage.std(1, keepdim=True), advantage.mean()",
            ),
            "The deviation is each seed's own n",
        ),
        (("good = (advantage - mean) / (std + 1e-8)", "good = advantage"), "The advantages are not standardise"),
        (
            ("good = (advantage - mean) / (std + 1e-8)", "good = advantage / (std + 1e-8)"),
            "The mean is not subtracted: each s",
        ),
        (("good = (advantage - mean) / (std + 1e-8)", "good = advantage - mean"), "The advantages are not divided by "),
        (
            (
                "std, mean = torch.std_mean(advantage, 1, keepdim=True)",
                "std, mean = torch.std_mean(advantage, 1, keepdim=True, correction=0)",
            ),
            "The standard deviation is divided ",
        ),
        (("(error - gain).mean(1)", "(error - gain).mean()"), "The loss is one number for all see"),
        (("(error - gain).mean(1)", "(error - gain).sum(1)"), "The samples are added up. That lin"),
        (("(error - gain).mean(1)", "(error - gain).mean(0)"), "The mean runs over the seeds. That"),
        (("(error - gain).mean(1)", "(error + gain).mean(1)"), "The gain is added to the error: a "),
        (("(error - gain).mean(1)", "(gain - error).mean(1)"), "The whole loss has the other sign."),
        (("0.5 * (value", "(value"), "The ½ is missing. That line was ri"),
        (("/ (std + 1e-8)", "/ std + 1e-8"), "The 1e-8 is no longer in the divis"),
        (
            (
                "std, mean = torch.std_mean(advantage, 1, keepdim=True)",
                "std, mean = torch.std_mean(advantage, 1, keepdim=True); std = std.square()",
            ),
            "The advantages are divided by thei",
        ),
        (("(error - gain).mean(1)", "(error - gain)"), "The mean over the samples is gone."),
        (
            [
                ("std, mean = torch.std_mean(advantage, 1, keepdim=True)", "std, mean = torch.std_mean(advantage)"),
                ("(value - target)", "(value - target.mean(1, keepdim=True))"),
            ],
            None,
        ),
        (
            [
                ("std, mean = torch.std_mean(advantage, 1, keepdim=True)", "std, mean = torch.std_mean(advantage)"),
                ("(error - gain).mean(1)", "(error - gain).mean(1, keepdim=True)"),
            ],
            "`keepdim=True` stands at the loss:",
        ),
        (
            [
                ("std, mean = torch.std_mean(advantage, 1, keepdim=True)", "std, mean = torch.std_mean(advantage)"),
                ("torch.minimum(ratio", "torch.maximum(ratio"),
            ],
            None,
        ),
        (
            [
                (
                    "std, mean = torch.std_mean(advantage, 1, keepdim=True)",
                    "std, mean = torch.std_mean(advantage.detach())",
                )
            ],
            None,
        ),
        (
            (
                "std, mean = torch.std_mean(advantage, 1, keepdim=True)",
                "std, mean = torch.std_mean(advantage); good = advantage; mean, std = mean * 0, std * 0 + 1",
            ),
            "The advantages are not standardise",
        ),
        (("ratio.clamp(1 - clip, 1 + clip)", "ratio.clamp(-clip, clip)"), "The ratio is clipped around 0: it "),
        (("(log_prob - old_log_prob)", "(old_log_prob - log_prob)"), "The ratio is upside down. That lin"),
        (
            ("torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)", "ratio * good"),
            "The clip is gone. That line was ri",
        ),
        (("(std + 1e-8)", "std"), "The 1e-8 is no longer in the divis"),
        (
            ("std, mean = torch.std_mean(advantage, 1, keepdim=True)", "std, mean = torch.std_mean(advantage[:1])"),
            "All seeds get the first one's mean",
        ),
        (
            (
                "std, mean = torch.std_mean(advantage, 1, keepdim=True)",
                "std, mean = torch.std_mean(advantage, 1, keepdim=True); std = std.mean()",
            ),
            "The standard deviation is averaged",
        ),
    ],
    "08.logs": [
        ("(lambda x: {**x, 'B': x['J'], 'J': x['B']})(f())", "Two are swapped: a small step is n"),
        ("(lambda x: {**x, 'B': x['E'], 'E': x['B']})(f())", "Two are swapped: where θ never mov"),
        ("(lambda x: {**x, 'C': x['H'], 'H': x['C']})(f())", "Two are swapped: a critic that is "),
        ("(lambda x: {**x, 'C': x['K'], 'K': x['C']})(f())", "Two are swapped: with ends ignored"),
        ("(lambda x: {**x, 'G': x['L'], 'L': x['G']})(f())", "Two are swapped: a large step show"),
        ("(lambda x: {**x, 'F': x['H'], 'H': x['F']})(f())", "F: such a critic learns the mean o"),
        ("(lambda x: {**x, 'A': x['L'], 'L': x['A']})(f())", "A: where entropy costs, it is gone"),
        ("(lambda x: {**x, 'D': x['J'], 'J': x['D']})(f())", "Two are swapped: a bonus that is t"),
        ("(lambda x: {**x, 'H': x['K'], 'K': x['H']})(f())", "H: with every end a time limit som"),
        ("(lambda x: {**x, 'C': x['F'], 'F': x['C']})(f())", "C: rewards times 100 change the cr"),
        ("(lambda x: {**x, 'I': x['L'], 'L': x['I']})(f())", "I: where entropy costs, it is gone"),
        ("(lambda x: {**x, 'G': x['E'], 'E': x['G']})(f())", "E: a large step shows in the clip "),
        ("(lambda x: {**x, 'F': x['C'], 'C': x['F']})(f())", "C: rewards times 100 change the cr"),
        ("(lambda x: {**x, 'C': x['F'], 'F': x['H'], 'H': x['C']})(f())", "C: rewards times 100 change the cr"),
        ("{**f(), 'E': 'wrong sign'}", "E: with the wrong sign the return "),
        ("{**f(), 'E': 'Wrong sign'}", "E: 'Wrong sign' is none of the nam"),
    ],
    "08.predict_clip": [
        ("{**f(), 'outside, 1 pass': 0.2}", "With one pass few samples get beyo"),
        ("{**f(), 'outside, 1 pass': 0.0}", "Some samples are outside after a s"),
        ("{**f(), 'outside, 30 passes': 0.5}", "Half outside is too much: the clip"),
        ("{**f(), 'outside, 30 passes': 0.9}", "Thirty times the passes do not put"),
        ("{**f(), 'outside, 30 passes': 0.0}", "The clip is no fence: no sample ou"),
        ("{**f(), 'outside, 1 pass': 3, 'outside, 30 passes': 20}", "These are per cent: a fraction lie"),
        ("{**f(), 'growth': 30}", "An update of thirty passes does no"),
        ("{**f(), 'growth': 900}", "Thirty passes do not go thirty tim"),
        ("{**f(), 'growth': 1}", "More passes do go further, even wi"),
        ("{**f(), 'growth': 0.1}", "More passes do go further, even wi"),
        ("{**f(), 'powers of ten': 158}", "That would be a policy of another "),
        ("{**f(), 'powers of ten': 0}", "Without the clip ten passes go fur"),
        ("{**f(), 'powers of ten': 0.5}", "Without the clip ten passes go fur"),
        ("{**f(), 'powers of ten': 6}", "That would be a policy of another "),
        ("{**f(), 'powers of ten': -2.2}", "Without the clip ten passes go fur"),
        ("{**f(), 'powers of ten': (0, 10)}", "a range as wide as that says too"),
        ("{**f(), 'growth': (1, 100)}", "a range as wide as that says too"),
        ("{**f(), 'outside, 30 passes': (0, 1)}", "a range as wide as that says too"),
        ("{**f(), 'outside, 1 pass': (0.1, 0.0)}", "of a pair the lower end stands first"),
        ("{k: v for k, v in f().items() if k != 'growth'}", "growth is missing"),
        ("{**f(), 'growth': 'ten'}", "growth: a number is asked for, or a pair"),
        ("{**f(), 'outside, 1 pass': 0.2, 'outside, 30 passes': 0.03}", "With one pass few samples get beyo"),
        ("{**f(), 'growth': 5.3}", "More passes do go further, even wi"),
        ('{**f(), "outside, 1 pass": 0.1}', "With one pass few samples get beyo"),
        ('{**f(), "outside, 30 passes": 0.6}', "So many are not outside: who is out"),
        ('{**f(), "outside, 30 passes": 0.02}', "The clip is no fence: it takes away"),
        ('{**f(), "growth": 1.5}', "More passes do go further, even wi"),
    ],
    "08.masked_policy": [
        (
            ("log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)", "log_prob = logits.log_softmax(-1)"),
            "The mask is not looked at in the p",
        ),
        (
            [
                (
                    "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                    "log_prob = logits.log_softmax(-1)",
                ),
                ("-(safe.exp() * valid * safe).sum(-1)", "-(log_prob.exp() * log_prob).sum(-1)"),
            ],
            "The mask is not used: invalid acti",
        ),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                "log_prob = logits.masked_fill(valid, -torch.inf).log_softmax(-1)",
            ),
            "The mask is inverted: it is True o",
        ),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                "log_prob = (logits * valid).log_softmax(-1)",
            ),
            "An invalid logit of 0 is a logit l",
        ),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                "log_prob = logits.log_softmax(-1).masked_fill(~valid, -torch.inf)",
            ),
            "The probabilities of invalid actio",
        ),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                "log_prob = (logits.softmax(-1) * valid).log()",
            ),
            "The probabilities are not normalis",
        ),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                "p = logits.softmax(-1) * valid; log_prob = (p / p.sum(-1, keepdim=True)).log()",
            ),
            "log of 0 has an infinite slope, an",
        ),
        (
            ("-(safe.exp() * valid * safe).sum(-1)", "-(log_prob.exp() * log_prob).sum(-1)"),
            "The entropy is NaN: an invalid act",
        ),
        (
            ("-(safe.exp() * valid * safe).sum(-1)", "-(log_prob.exp() * log_prob).nan_to_num(0.0).sum(-1)"),
            "The entropy's value is right and i",
        ),
        (
            ("-(safe.exp() * valid * safe).sum(-1)", "(safe.exp() * valid * safe).sum(-1)"),
            "Sign flipped? The entropy is -Σ π ",
        ),
        (
            ("-(safe.exp() * valid * safe).sum(-1)", "-(safe.exp() * valid * safe).mean(-1)"),
            "This is a mean over actions: the e",
        ),
        (("return log_prob, ", "return safe, "), "Invalid actions get the log-probab"),
        (
            ("-(safe.exp() * valid * safe).sum(-1)", "-(safe.exp() * valid * safe).sum(-1) / 0.6931471805599453"),
            "The entropy is in bits: take the n",
        ),
        (("-torch.inf", "-10.0"), "e^-10 is small but not 0: an inval"),
        (("-torch.inf", "0.0"), "An invalid logit of 0 is a logit l"),
        (("-torch.inf", "1e-9"), "An invalid logit of 0 is a logit l"),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(0)",
            ),
            "The softmax runs over the wrong ax",
        ),
        ("tuple(x.detach() for x in f(*a))", "No gradient is left: the log-proba"),
        (
            ("-(safe.exp() * valid * safe).sum(-1)", "-(safe.exp() * valid * safe).sum()"),
            "The entropies of all states are ad",
        ),
        (("return log_prob, ", "return log_prob.exp(), "), "Probabilities are returned in the "),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                "p = logits.softmax(-1) * valid; log_prob = (p / p.sum(-1, keepdim=True) + 1e-8).log()",
            ),
            "Invalid actions keep a tiny probab",
        ),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                (
                    "e = logits.exp() * valid; log_prob = (e / e.sum(-1, "
                    "keepdim=True)).log().masked_fill(~valid, -torch.inf)"
                ),
            ),
            "exp before taking the maximum away",
        ),
        (
            ("-(safe.exp() * valid * safe).sum(-1)", "-(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)"),
            "The entropy is that of the policy ",
        ),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                "log_prob = (valid / valid.sum(-1, keepdim=True)).log() + 0 * logits",
            ),
            None,
        ),
        (
            ("-(safe.exp() * valid * safe).sum(-1)", "-(safe.exp() * valid * safe).sum(-1) / valid.sum(-1).log()"),
            "The entropy is divided by the loga",
        ),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1).clamp(min=-20)",
            ),
            "Invalid actions keep a tiny probab",
        ),
        (("return log_prob, ", "return "), "Only the entropy is returned: the "),
        ("f(*a)[::-1]", "The two results are in the other o"),
        (("-(safe.exp() * valid * safe).sum(-1)", "-safe.sum(-1)"), "π is missing in the entropy: it is"),
        (
            ("-(safe.exp() * valid * safe).sum(-1)", "-(safe.exp() * safe).sum(-1) / valid.sum(-1)"),
            "The entropy is divided by the numb",
        ),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                (
                    "log_prob = torch.where(valid, logits, -torch.inf); log_prob = log_prob - "
                    "log_prob.exp().sum(-1, keepdim=True).log()"
                ),
            ),
            "The logarithm of a sum of exponent",
        ),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                "log_prob = (logits + valid.float().log()).softmax(-1)",
            ),
            "Probabilities stand in the place o",
        ),
        (
            (
                "log_prob = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
                "log_prob = logits.masked_fill(~valid, -torch.inf)",
            ),
            "The logits are masked and not norm",
        ),
    ],
    "08.recurrent_reset": [
        ((".masked_fill(done[t].unsqueeze(-1), 0.0)", ""), "Nothing is reset: each episode beg"),
        (
            [
                ("        states.append(h)\n", ""),
                ("done[t].unsqueeze(-1), 0.0)", "done[t].unsqueeze(-1), 0.0)\n        states.append(state)"),
            ],
            "h itself is set to 0 where the epi",
        ),
        (
            [
                ("h = cell(obs[t], state)", "h = cell(obs[t], state.masked_fill(done[t].unsqueeze(-1), 0.0))"),
                ("state = h.masked_fill(done[t].unsqueeze(-1), 0.0)", "state = h"),
            ],
            "One step too early: the step that ",
        ),
        (("return torch.stack(states), state", "return torch.stack(states), h"), "The state for the next rollout is "),
        (("done[t].unsqueeze", "(~done[t]).unsqueeze"), "The mask is inverted: `done` is Tr"),
        (("done[t].unsqueeze(-1), 0.0", "done[t].any(), 0.0"), "All copies are reset when one ends"),
        (
            [
                ("    states = []", "    states, begin = [], state"),
                ("h.masked_fill(done[t].unsqueeze(-1), 0.0)", "torch.where(done[t].unsqueeze(-1), begin, h)"),
            ],
            "A reset leads back to the rollout'",
        ),
        (("state = h.masked", "state = h.detach().masked"), "The state is detached at every ste"),
        (("    states = []", "    states, state = [], torch.zeros_like(state)"), "The rollout begins with 0: an epis"),
        (
            [
                ("h = cell(obs[t], state)", "h = cell(obs[t], begin)"),
                ("    states = []", "    states, begin = [], state"),
            ],
            "Each cell is given the state that ",
        ),
        (("torch.stack(states)", "torch.stack(states, 1)"), "Copies and time are swapped: [T, N"),
        (("range(len(obs))", "reversed(range(len(obs)))"), "Time is run through backwards."),
        (("states.append(h)", "states.append(state)"), "What is collected is the state bef"),
        (("    states = []", "    states, state = [], state.detach()"), "The first state was detached: the "),
        (
            ("h = cell(obs[t], state)", "h = cell(obs[t], state) * ~done[t].unsqueeze(-1)"),
            "h itself is set to 0 where the epi",
        ),
        (("done[t].unsqueeze(-1), 0.0", "done[t].unsqueeze(-1), 1.0"), "The state becomes 1 where an episo"),
        (
            ("done[t].unsqueeze(-1), 0.0", "done[min(t + 1, len(done) - 1)].unsqueeze(-1), 0.0"),
            "The flag of the step after is used",
        ),
        (
            ("done[t].unsqueeze(-1), 0.0", "done[max(t - 1, 0)].unsqueeze(-1), 0.0"),
            "The reset comes one step late: the",
        ),
        (
            (
                "        state = h.masked_fill(done[t].unsqueeze(-1), 0.0)",
                "        state = h if t == len(obs) - 1 else h.masked_fill(done[t].unsqueeze(-1), 0.0)",
            ),
            "The state for the next rollout is ",
        ),
        (("return torch.stack(states), state", "return torch.stack(states)"), "Only the states are returned: what"),
        (("return torch.stack(states), state", "return h, state"), "Only the last h is returned: all o"),
        ("tuple(x.detach() for x in f(*a))", "The whole result is detached: noth"),
        (("h = cell(obs[t], state)", "h = torch.where(done[t].unsqueeze(-1), state, cell(obs[t], state))"), None),
        (("h.masked_fill(done[t].unsqueeze(-1), 0.0)", "torch.zeros_like(h)"), "The state is cleared after every s"),
        (("h = cell(obs[t], state)", "h = cell(obs[0], state)"), "Every step sees the first observat"),
        (
            ("done[t].unsqueeze(-1), 0.0", "done[: t + 1].any(0).unsqueeze(-1), 0.0"),
            "Once an episode has ended, the sta",
        ),
        (("h = cell(obs[t], state)", "h = cell(obs[t], state) + state"), None),
        (
            ("return torch.stack(states), state", "return torch.stack(states), torch.zeros_like(state)"),
            "The next rollout begins with 0: it",
        ),
        (
            ("return torch.stack(states), state", "return state, torch.stack(states)"),
            "The two results are in the other o",
        ),
        (
            (
                "done[t].unsqueeze(-1), 0.0)",
                (
                    "done[t].unsqueeze(-1), 0.0) if not done[t].any() else "
                    "h.detach().masked_fill(done[t].unsqueeze(-1), 0.0)"
                ),
            ),
            None,
        ),
    ],
    "09.contact_diagram": [
        ("(lambda x: {**x, 'C': x['E'], 'E': x['C']})(f())", "Two are swapped: in a walk one foo"),
        ("(lambda x: {**x, 'A': x['D'], 'D': x['A']})(f())", "Two are swapped: a leg that is dra"),
        ("(lambda x: {**x, 'A': x['C'], 'C': x['A']})(f())", "Two are swapped: a limp spends lon"),
        ("(lambda x: {**x, 'B': x['E'], 'E': x['B']})(f())", "Two are swapped: a hop and a run b"),
        ("(lambda x: {**x, 'D': x['F'], 'F': x['D']})(f())", "Two are swapped: a foot that is dr"),
        ("(lambda x: {**x, 'B': x['F'], 'F': x['B']})(f())", "Two are swapped: hopping on both l"),
        ("{k: 'walks' for k in f()}", "Everything walks, you say. Compare"),
        ("{k: v for k, v in f().items() if k != 'F'}", "F is missing: it needs its name, t"),
        ("{**f(), 'A': 'walks'}", "A: who walks puts the feet down in"),
        ("{**f(), 'E': 'walks'}", "E: who walks puts the feet down in"),
        ("{**f(), 'D': 'hops on one leg'}", "D: who hops on one leg has one row"),
        ("{**f(), 'C': 'Walks'}", "C: 'Walks' is none of the names to"),
        ("{**f(), 'B': 'runs'}", "B: who runs puts the feet down in "),
    ],
    "09.episode_pay": [
        (("last = len(action) - fell", "last = len(action); fell = 0"), "`fell` is not looked at: an episod"),
        (("last = len(action) - fell", "last = len(action)"), "The -100 comes on top of what the "),
        (
            ("0.028 * action[:last].abs().clamp(max=1.0).sum()", "0.028 * action.abs().clamp(max=1.0).sum()"),
            "The torques of the step that ends ",
        ),
        (
            ("0.028 * action[:last].abs().clamp(max=1.0).sum()", "0.028 * action[:last].abs().sum()"),
            "Motors give no more than 1, and ar",
        ),
        (
            ("0.028 * action[:last].abs().clamp(max=1.0).sum()", "0.028 * action[:last].clamp(max=1.0).sum()"),
            "Torques count with their signs: tw",
        ),
        (
            ("upright = 5 * (lean[last].abs() - lean[0].abs())", "upright = 5 * (lean[last] - lean[0])"),
            "The lean counts without its sign.",
        ),
        (("forward - upright", "forward + upright"), "Leaning more is paid here: it cost"),
        (("forward = 130 / 30 * (x[last] - x[0])", "forward = x[last] - x[0]"), "The factor 130/30 of the way is mi"),
        (
            ("0.028 * action[:last].abs().clamp(max=1.0).sum()", "0.028 * action[:last].abs().clamp(max=1.0).mean()"),
            "The torques' charge is averaged: e",
        ),
        (
            (
                "0.028 * action[:last].abs().clamp(max=1.0).sum()",
                "0.028 * action[:last].abs().clamp(max=1.0).sum(1).mean()",
            ),
            "The torques' charge is a mean over",
        ),
        (
            ("forward = 130 / 30 * (x[last] - x[0])", "forward = 130 / 30 * x[last]"),
            "The first position is missing: it ",
        ),
        (
            ("upright = 5 * (lean[last].abs() - lean[0].abs())", "upright = 5 * lean[last].abs()"),
            "The first angle is missing: the su",
        ),
        (("- 100.0 * fell", "+ 100.0 * fell"), "A fall costs, it is not paid: the "),
        (("return forward", "return -100.0 if fell else forward"), "An episode that ends in a fall kee"),
        (
            ("forward = 130 / 30 * (x[last] - x[0])", "forward = 30 / 130 * (x[last] - x[0])"),
            "The factor is upside down: it is 1",
        ),
        (
            (
                "0.028 * action[:last].abs().clamp(max=1.0).sum()",
                "0.028 * action[:last].abs().sum(1).clamp(max=1.0).sum()",
            ),
            "The four torques of a step are cla",
        ),
        (
            ("0.028 * action[:last].abs().clamp(max=1.0).sum()", "0.028 * action[:last].abs().sum().clamp(max=1.0)"),
            "All torques of the episode togethe",
        ),
        (
            ("upright = 5 * (lean[last].abs() - lean[0].abs())", "upright = 5 * (lean[last] - lean[0]).abs()"),
            "The change of the angle lost its s",
        ),
        (
            ("upright = 5 * (lean[last].abs() - lean[0].abs())", "upright = 5 * lean[: last + 1].diff().abs().sum()"),
            "The changes of the angle are added",
        ),
        (
            ("upright = 5 * (lean[last].abs() - lean[0].abs())", "upright = 5 * lean[: last + 1].abs().sum()"),
            "The angles of all states are added",
        ),
        (("upright = 5 * (lean[last].abs() - lean[0].abs())", "upright = 0"), "The trunk's posture is missing: up"),
        (("0.028 * action[:last].abs().clamp(max=1.0).sum()", "0"), "The torques are missing: they are "),
        (
            ("forward = 130 / 30 * (x[last] - x[0])", "forward = 130 / 30 * (x[-1] - x[0])"),
            "The way of the step that ends in a",
        ),
        (
            ("upright = 5 * (lean[last].abs() - lean[0].abs())", "upright = 5 * (lean[-1].abs() - lean[0].abs())"),
            "The angle after the fall is used: ",
        ),
        (
            ("0.028 * action[:last].abs().clamp(max=1.0).sum()", "0.028 * action[:last].square().clamp(max=1.0).sum()"),
            "The torques are squared, and then ",
        ),
        (
            ("forward = 130 / 30 * (x[last] - x[0])", "forward = 130 / 30 * x[: last + 1].diff().abs().sum()"),
            "The way is added up: whoever goes ",
        ),
        (("forward = 130 / 30 * (x[last] - x[0])", "forward = 130 / 30 * (x[: last + 1].max() - x[0])"), None),
        (("- 0.028", "+ 0.028"), "The torques' charge is added: it i"),
        (("- 100.0 * fell", "- 100.0"), "Every episode ends in a fall here:"),
        (
            ("upright = 5 * (lean[last].abs() - lean[0].abs())", "upright = 5 * (lean[0].abs() - lean[last].abs())"),
            "Leaning more is paid here: it cost",
        ),
        (
            ("0.028 * action[:last].abs().clamp(max=1.0).sum()", "0.028 * action[:last, 0].abs().clamp(max=1.0).sum()"),
            "Only one joint is charged: all fou",
        ),
        (("last = len(action) - fell", "last = len(action) - 1"), "The last step is always left out: "),
        ("f(*a) / len(action)", "This is a mean over the steps: the"),
    ],
    "09.moments": [
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (1 - part) * variance + part * within",
            ),
            "The spread between the means is mi",
        ),
        (("correction=0", "correction=1"), "Variances are divided by the count"),
        (("part = added / total", "part = 0.5 if number else 1.0"), "This is the mean of the two means:"),
        (
            ("return mean + part * change, spread, total", "return mean + part * change, spread, added"),
            "The number is not carried on: the ",
        ),
        (
            ("return mean + part * change, spread, total", "return batch.mean(0), within, added"),
            "Mean, variance and number are thos",
        ),
        (
            ("return mean + part * change, spread, total", "return batch.mean(0), within, total"),
            "Only the last batch counts: what w",
        ),
        (("part = added / total", "part = 0.01 if number else 1.0"), "After the first batch old values fade"),
        (("total = number + added", "total = number + 1"), "A batch counts as one value: it ha"),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (1 - part) * variance + part * within + change**2",
            ),
            "The spread between the means count",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (1 - part) * variance + part * within + part * change**2",
            ),
            "The spread between the means count",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (1 - part) * variance + part * within + (1 - part) * change**2",
            ),
            "The spread between the means count",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (1 - part) * variance + part * (batch - mean).square().mean(0)",
            ),
            "The spread between the means count",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (1 - part) * variance + part * (batch - (mean + part * change)).square().mean(0)",
            ),
            "The batch is taken around the new ",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                (
                    "spread = (1 - part) * (variance + mean**2) + part * batch.square().mean(0) - (mean + "
                    "part * change) ** 2"
                ),
            ),
            "A mean of squares minus a squared ",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = ((1 - part) * variance + part * within + part * (1 - part) * change**2).sqrt()",
            ),
            "This is the standard deviation: va",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = ((1 - part) * variance.sqrt() + part * within.sqrt()).square()",
            ),
            "Standard deviations are averaged: ",
        ),
        (("batch.mean(0)", "batch.mean()"), "The mean runs over all sensors: ea"),
        (
            [("batch.mean(0)", "batch.mean()"), ("batch.var(0, correction=0)", "batch.var(correction=0)")],
            "Mean and variance run over all sen",
        ),
        (
            ("return mean + part * change, spread, total", "return mean + part * change, total, spread"),
            "The three are returned in another ",
        ),
        (("part = added / total", "part = number / total"), "The two shares are exchanged: the "),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = ((1 - part) * variance + part * within + part * (1 - part) * change**2) * total",
            ),
            "This is the sum of the squares: th",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                (
                    "spread = ((1 - part) * variance + part * within + part * (1 - part) * change**2) * "
                    "total / max(total - 1, 1)"
                ),
            ),
            "The variance of all is divided by ",
        ),
        (
            ("return mean + part * change, spread, total", "return mean + part * change, spread, number"),
            "The number is returned as it was g",
        ),
        (("return mean + part * change", "return mean - part * change"), "The mean moves away from the batch"),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change",
            ),
            "The distance between the means is ",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = variance + within",
            ),
            "The variances are added up: each c",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (variance + within) / 2 if number else within",
            ),
            "The mean of the two variances: the",
        ),
        (
            ("spread = (1 - part) * variance + part * within + part * (1 - part) * change**2", "spread = within"),
            "The variance is that of the last b",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = variance if number else within",
            ),
            "The variance stays that of the first",
        ),
        (
            ("return mean + part * change, spread, total", "return (mean + batch.mean(0)) / 2, spread, total"),
            "The mean of the two means: they co",
        ),
        (
            ("return mean + part * change, spread, total", "return mean + change / total, spread, total"),
            "The mean moves by 1/n of the dista",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (1 - part) * variance + part * within - part * (1 - part) * change**2",
            ),
            "The spread between the means is ta",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                (
                    "spread = (number * variance + (batch - mean).mul(batch - (mean + part * "
                    "change)).sum(0)) / total + 0.01"
                ),
            ),
            "The variance is kept above a least",
        ),
        (
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (number * variance + (batch - mean).square().sum(0)) / total",
            ),
            "The spread between the means count",
        ),
        (
            ("within = batch.var(0, correction=0)", "within = batch.var(0, correction=0) if added > 1 else variance"),
            "A batch of one value is given the va",
        ),
        (
            "(lambda m, n: [m, (number * (variance + mean**2) + (batch**2).sum(0)) / n - m**2, n])("
            "(number * mean + batch.sum(0)) / (number + len(batch)), number + len(batch))",
            "Sums of squares less a squared mean",
        ),
    ],
    "09.reward_scale": [
        (
            ("scale = (sums.var(correction=0) + 1e-8).sqrt()", "scale = (reward.var(correction=0) + 1e-8).sqrt()"),
            "This is the standard deviation of ",
        ),
        (("        s = s * ~done[t]\n", ""), "S goes on through the end of an ep"),
        (
            [("        s = s * ~done[t]\n", ""), ("s = gamma * s + reward[t]", "s = gamma * s * ~done[t] + reward[t]")],
            "S starts anew one step too early: ",
        ),
        (("return reward / scale", "return (reward - reward.mean()) / scale"), "The rewards' mean is taken away: a"),
        (("return reward / scale", "return (reward - sums.mean()) / scale"), "The sums' mean is taken away from "),
        (
            ("scale = (sums.var(correction=0) + 1e-8).sqrt()", "scale = (sums.var(0, correction=0) + 1e-8).sqrt()"),
            "Every copy has a scale of its own:",
        ),
        (
            (
                "scale = (sums.var(correction=0) + 1e-8).sqrt()",
                "scale = (sums.var(1, correction=0, keepdim=True) + 1e-8).sqrt()",
            ),
            "Each step has a scale of its own: ",
        ),
        (
            ("scale = (sums.var(correction=0) + 1e-8).sqrt()", "scale = (sums.var(correction=1) + 1e-8).sqrt()"),
            "The variance divides by the number",
        ),
        (
            ("scale = (sums.var(correction=0) + 1e-8).sqrt()", "scale = sums.var(correction=0) + 1e-8"),
            "Divided by the variance: rewards i",
        ),
        (("return reward / scale", "return reward * scale"), "The rewards are multiplied by the "),
        (
            ("scale = (sums.var(correction=0) + 1e-8).sqrt()", "scale = sums.std(correction=0)"),
            "0/0 where nothing has been paid ye",
        ),
        (
            ("scale = (sums.var(correction=0) + 1e-8).sqrt()", "scale = sums.std(correction=0) + 1e-8"),
            "The constant stands outside the ro",
        ),
        (
            ("scale = (sums.var(correction=0) + 1e-8).sqrt()", "scale = (sums.square().mean() + 1e-8).sqrt()"),
            "The root mean square is no standar",
        ),
        (
            ("for t in range(len(reward)):", "for t in reversed(range(len(reward))):"),
            "Time is run through backwards: S h",
        ),
        (("gamma * s + reward[t]", "s + reward[t]"), "γ is missing in S."),
        (("return reward / scale", "return sums / scale"), "The sums are returned, and not the"),
        (("s = s * ~done[t]", "s = s * ~done[t].any()"), "All copies are cleared when one en"),
        (("return reward / scale", "return (reward / scale).clamp(-10, 10)"), "Large results are cut off at ±10: "),
        (("return reward / scale", "return (reward / scale).float()"), "The result is always float32."),
        (
            ("scale = (sums.var(correction=0) + 1e-8).sqrt()", "scale = sums.abs().max() + 1e-8"),
            "It is divided by the largest sum: ",
        ),
        (
            (
                "scale = (sums.var(correction=0) + 1e-8).sqrt()",
                "scale = (sums.mean(1).var(correction=0) + 1e-8).sqrt()",
            ),
            "The copies' sums are averaged before",
        ),
        (("gamma * s + reward[t]", "s + gamma**t * reward[t]"), "γ is counted from the beginning: i"),
        (("s = s * ~done[t]", "s = s * done[t]"), "S is cleared where the episode goe"),
        (
            ("sums[t] = s\n        s = s * ~done[t]", "s = s * ~done[t]\n        sums[t] = s"),
            "The last sum of an episode is reco",
        ),
        (("s = gamma * s + reward[t]", "s = gamma * (s + reward[t])"), "The own reward is discounted, too:"),
        (
            ("return reward / scale", "return sums / scale * 0 + reward / sums.std(correction=0, dim=0).mean()"),
            "The copies' standard deviations ar",
        ),
        (
            (
                "scale = (sums.var(correction=0) + 1e-8).sqrt()",
                (
                    "scale = (sums[done].var(correction=0) + 1e-8).sqrt() if done.any() else "
                    "(sums.var(correction=0) + 1e-8).sqrt()"
                ),
            ),
            "Where an episode ends only the last",
        ),
        (
            (
                "scale = (sums.var(correction=0) + 1e-8).sqrt()",
                "scale = (sums.var(correction=0) + 1e-8).sqrt().clamp(min=1)",
            ),
            "Small rewards are not enlarged: th",
        ),
        (
            (
                "scale = (sums.var(correction=0) + 1e-8).sqrt()",
                (
                    "scale = torch.stack([(sums[: t + 1].var(correction=0) + 1e-8).sqrt() for t in "
                    "range(len(sums))]).unsqueeze(1)"
                ),
            ),
            "Each step is divided by the deviat",
        ),
        (
            ("s = gamma * s + reward[t]", "s = gamma * s + (1 - gamma) * reward[t]"),
            "S is an average with the weights 1",
        ),
        (
            ("scale = (sums.var(correction=0) + 1e-8).sqrt()", "scale = (sums[-1].var(correction=0) + 1e-8).sqrt()"),
            "Only the last sums are looked at: ",
        ),
        (("reward[t]\n", "reward[t].mean()\n"), "S holds the mean reward of all copies"),
        (("s = gamma * s + reward[t]", "s = reward[t]"), "This is the standard deviation of "),
        (
            ("scale = (sums.var(correction=0) + 1e-8).sqrt()", "scale = sums.abs().mean() + 1e-8"),
            "It is divided by the mean size of ",
        ),
    ],
    "09.standing_pay": [
        ("(1 - moves + moves * torch.pi**0.5 / 2 * torch.erf(width / s**0.5) * s**0.5 / width).sum()", "are added"),
        (
            "(1 - moves + moves * torch.pi**0.5 / (2 * width) * torch.erf(width / s**0.5)).prod()",
            "√s is missing in front",
        ),
        (
            "(moves * torch.pi**0.5 * s**0.5 / (2 * width) * torch.erf(width / s**0.5)).prod()",
            "standing still is exactly",
        ),
        ("(1 - moves + moves * torch.exp(-((width / 2) ** 2) / s)).prod()", "at the mean size of the commands"),
        ("(1 - moves + moves * torch.exp(-(width**2) / s)).prod()", "at the largest commands"),
        ("(1 - moves + moves * (torch.pi * s) ** 0.5 / width * torch.erf(width / s**0.5)).prod()", "not 1/a"),
        ("(1 - moves + moves * (torch.pi * s) ** 0.5 / (2 * width)).prod()", "The erf is missing"),
        (
            "(1 - moves + moves * (torch.pi * 2 * s) ** 0.5 / (2 * width) * torch.erf(width / (2 * s) ** 0.5)).prod()",
            "not -v²/(2s)",
        ),
        ("(1 - moves + moves * s**0.5 / (2 * width) * torch.erf(width / s**0.5)).prod()", "√π is missing"),
        ("((torch.pi * s) ** 0.5 / (2 * width) * torch.erf(width / s**0.5)).prod()", "`moves` is not used"),
        ("(1 - moves + moves * (torch.pi * s) ** 0.5 / (2 * width) * torch.erf(width / s**0.5))[0]", "Only the first"),
        (("    return (1 - moves", "    return 1 - (1 - moves"), "what standing loses"),
        (("s**0.5", "s**2"), None),
        ("torch.exp(-((width**2 * moves).sum()) / s)", None),
        ("torch.exp(-(moves * width**2 / 3).sum() / s)", "The mean square of the commands"),
    ],
    "09.beyond_the_bounds": [
        ("b + 2 * c * mu", "f' at the mean here"),
        ("b + 2 * c * mu.clip(-1, 1)", "at the mean that is cut off"),
        ("torch.where(mu.abs() < 1, b + 2 * c * mu, 0 * mu)", None),
        (
            "(b + 2 * c * mu) * (torch.special.ndtr((1 - mu) / sigma) - torch.special.ndtr((-1 - mu) / sigma))",
            "times the",
        ),
        ("(b + 2 * c * mu) * (mu.abs() < 1)", None),
        (("(z**2) / 2", "z**2"), "The exponent of"),
        (("torch.special.ndtr(high) - torch.special.ndtr(low)", "torch.special.ndtr(high)"), None),
        (("2 * c * mean_inside", "c * mean_inside"), "the 2 is missing"),
        (("2 * c * mean_inside", "2 * mean_inside"), None),
        (("+ sigma * (density(low) - density(high))", "+ density(low) - density(high)"), "The σ in front"),
        (("+ sigma * (density(low) - density(high))", "- sigma * (density(low) - density(high))"), "∫ ε φ(ε)"),
        (("(-1 - mu) / sigma, (1 - mu) / sigma", "-1 - mu, 1 - mu"), "are not brought to"),
        (("(-1 - mu) / sigma, (1 - mu) / sigma", "(-1 - mu) / sigma, mu / sigma"), None),
        (("return b * inside", "return b"), None),
        ("(torch.randn(100_000, 1) * sigma + mu).clamp(-1, 1).mean(0) * 2 * c + b", None),
        ("0 * mu", None),
    ],
    "09.highest_rate": [
        ("falls / episodes", "This is the rate that was seen"),
        ("3 / episodes", None),
        ("1 - (1 - level) ** (1 / episodes)", "The bound of no falls"),
        ("f(falls, episodes, 1 - (1 - level) / 2)", "Two-sided"),
        (("few > 1 - level", "few > level"), "`level` and 1 - level"),
        (("few > 1 - level", "few > 0.05"), None),
        (("torch.arange(falls + 1,", "torch.arange(max(falls, 1),"), "Fewer falls than were seen"),
        (("torch.arange(falls + 1,", "torch.arange(falls, falls + 1,"), "exactly k falls"),
        (("ways + j * p.log()", "j * p.log()"), "C(n, j) is missing"),
        (("return low\n", "return 1 - low\n"), "how seldom it may"),
        (("return low\n", "return 100 * low\n"), "In per cent"),
        (("return low\n", "return episodes * low\n"), "This is a number of falls"),
        ("(falls + 1) / (episodes + 2)", "One fall more"),
        ("(falls + 2) / (episodes + 4)", None),
        ("min(falls / episodes + (math.log(1 / (1 - level)) / (2 * episodes)) ** 0.5, 1.0)", None),  # Hoeffding's
        (
            "min(falls / episodes + 1.645 * (falls * (episodes - falls) / episodes**3) ** 0.5, 1.0)",
            "The normal distribution's margin",
        ),
        (("return 1.0", "return 0.95"), None),
        (("low, high = 0.0, 1.0", "low, high = 0.0, 0.5"), None),
        (("range(60)", "range(6)"), None),
        ("math.exp(math.log(math.comb(episodes, falls))) * level", None),
    ],
    "09.best_checkpoint": [
        (
            ("return fresh.gather(1, chosen).squeeze(1)", "return tried.max(1).values"),
            "Reported on the episodes that chose it",
        ),
        ("returns.mean(2).max(1).values", "The best on all episodes, and its mean"),
        (
            ("return fresh.gather(1, chosen).squeeze(1)", "return fresh.max(1).values"),
            "The second half chooses, and is",
        ),
        (
            ("return fresh.gather(1, chosen).squeeze(1)", "return fresh[:, tried.mean(0).argmax()]"),
            "One checkpoint is chosen for all seeds",
        ),
        (("return fresh.gather(1, chosen).squeeze(1)", "return fresh[:, -1]"), "This is the last checkpoint"),
        (("tried.argmax(1, keepdim=True)", "(-tried).argmax(1, keepdim=True)"), "The worst checkpoint is chosen"),
        (
            ("tried.argmax(1, keepdim=True)", "tried.argsort(1)[:, :1]"),
            "The worst checkpoint is chosen",
        ),
        ("f(returns.flip(2))", None),  # the halves exchanged, and another one in the middle where their number is odd
        ("f(returns).sum() / len(returns)", "The mean over the seeds is returned"),
        (
            (
                "tried, fresh = returns[..., :half].mean(2), returns[..., half:].mean(2)",
                "fresh, tried = returns[..., :half].mean(2), returns[..., half:].mean(2)",
            ),
            "The halves are exchanged",
        ),
        (
            ("return fresh.gather(1, chosen).squeeze(1)", "return chosen.squeeze(1)"),
            "The checkpoint's number is returned",
        ),
        (("return fresh.gather(1, chosen).squeeze(1)", "return fresh.sum(1) / fresh.shape[1]"), "The mean over all"),
        (("half = returns.shape[2] // 2", "half = -(-returns.shape[2] // 2)"), "The half is rounded up"),
        (("returns[..., half:].mean(2)", "returns[..., half:].max(2).values"), "The best fresh episode is"),
        (("returns[..., :half].mean(2)", "returns[..., :half].max(2).values"), "One lucky episode chooses"),
        (("returns[..., half:].mean(2)", "returns[..., -1]"), "Only the last episode is reported"),
        (
            ("return fresh.gather(1, chosen).squeeze(1)", "return tried.gather(1, chosen).squeeze(1) - fresh.mean(1)"),
            None,
        ),
        (("half = returns.shape[2] // 2", "half = int(returns.shape[2] / 3)"), "A third of the episodes chooses"),
    ],
    "09.time_limit": [
        (
            ("after = torch.where(ended, final_value, after)", "after = after.masked_fill(truncated, 0.0)"),
            "A time limit is taken for a fall: ",
        ),
        (
            [
                ("after = torch.where(ended, final_value, after)\n", "\n"),
                ("masked_fill(terminated, 0.0)", "masked_fill(ended, 0.0)"),
            ],
            "A time limit is taken for a fall: ",
        ),
        (("after.masked_fill(terminated, 0.0)", "after"), "After a fall something follows her"),
        (
            ("after = torch.where(ended, final_value, after)", "after = torch.where(terminated, final_value, after)"),
            None,
        ),
        (
            ("carry = gamma * lam * ~ended", "carry = gamma * lam * torch.ones_like(reward)"),
            "The sum runs on through every end.",
        ),
        (("carry = gamma * lam * ~ended", "carry = gamma * lam * ~terminated"), "The sum runs on into the next epis"),
        (
            ("after = torch.where(ended, final_value, after)", "after = final_value.nan_to_num(0.0)"),
            "`final_value` stands behind every ",
        ),
        (
            ("after = torch.where(ended, final_value, after)", "after = torch.where(truncated, value, after)"),
            "What follows the cut is put at the",
        ),
        (
            ("after = torch.where(ended, final_value, after)", "after = torch.where(truncated, last_value, after)"),
            "`last_value` stands behind every e",
        ),
        (
            [
                ("after = torch.where(ended, final_value, after)", "after = after"),
                ("    carry =", "    delta = delta.masked_fill(truncated, 0.0)\n    carry ="),
            ],
            "δ is 0 where the limit cut: that s",
        ),
        (
            ("after = torch.where(ended, final_value, after)", "after = torch.where(ended, after, final_value)"),
            "The two values of `torch.where` ar",
        ),
        (
            ("after = torch.where(ended, final_value, after)", "after = after + final_value.nan_to_num(0.0)"),
            "`final_value` is added to the next",
        ),
        (("gamma * after.masked", "after.masked"), "γ is missing in δ. That line was r"),
        (
            (
                "after = torch.where(ended, final_value, after)",
                "after = torch.where(ended, reward + final_value, after)",
            ),
            "The reward is there twice where an",
        ),
        (
            ("value[1:], last_value.unsqueeze(0)", "value[1:], torch.zeros_like(value[:1])"),
            "`last_value` is missing: the rollo",
        ),
        (("carry = gamma * lam * ~ended", "carry = lam * ~ended"), "γ is missing in the sum. That line"),
        (("carry = gamma * lam * ~ended", "carry = gamma * ~ended"), "λ is missing in the sum. That line"),
        (("result[t] = ahead", "result[t] = ahead + value[t]"), "This is the critic's target, Â + v"),
        (
            (
                "after = torch.where(ended, final_value, after)",
                "after = torch.where(ended, final_value / (1 - gamma), after)",
            ),
            None,
        ),
        (
            (
                "after = torch.where(ended, final_value, after)",
                "after[:-1] = torch.where(ended[1:], final_value[1:], after[:-1])",
            ),
            None,
        ),
        (
            ("after = torch.where(ended, final_value, after)", "after = torch.where(ended, value[0], after)"),
            "What follows a cut is put at the v",
        ),
        (("carry = gamma * lam * ~ended", "carry = gamma * lam * ~truncated"), "A fall does not end the sum: `ende"),
        (
            (
                "after = torch.where(ended, final_value, after)",
                "after = torch.where(ended.roll(1, 0), final_value.roll(1, 0), after)",
            ),
            "Ends and final values are shifted ",
        ),
        (
            (
                "after = torch.where(ended, final_value, after)",
                "after = torch.where(truncated, gamma * final_value, after)",
            ),
            "γ stands twice before the value of",
        ),
        (
            (
                "after = torch.where(ended, final_value, after)",
                "after = torch.where(truncated, lam * final_value + (1 - lam) * after, after)",
            ),
            None,
        ),
        (
            [("masked_fill(terminated, 0.0)", "masked_fill(terminated & ~truncated, 0.0)")],
            "Where a fall and the limit come to",
        ),
        (
            (
                "after = torch.where(ended, final_value, after)",
                ("final = final_value * ended; after = torch.where(ended, final, after); reward = reward + final * 0"),
            ),
            "`final_value` is multiplied with t",
        ),
        (
            (
                "after = torch.where(ended, final_value, after)",
                (
                    "after = torch.where(truncated, final_value, after).masked_fill(ended & ~truncated, "
                    "0.0); after = after * (1 - ended.float()) + ended * final_value"
                ),
            ),
            "`final_value` is multiplied with t",
        ),
        (
            [
                ("after = torch.where(ended, final_value, after)", "after = after"),
                ("carry = gamma * lam * ~ended", "carry = gamma * lam * ~ended; reward = reward"),
            ],
            None,
        ),
        (
            (
                "after = torch.where(ended, final_value, after)",
                "after = torch.where(ended, final_value, after); after[-1] = last_value",
            ),
            "`last_value` overwrites an end in ",
        ),
        (
            (
                "after = torch.where(ended, final_value, after)",
                "after = torch.where(ended.any(1, keepdim=True), final_value.nan_to_num(0.0), after)",
            ),
            "All copies are taken for ended whe",
        ),
        (
            [
                (
                    "delta = reward + gamma * after.masked_fill(terminated, 0.0) - value",
                    (
                        "delta = reward + gamma * after.masked_fill(terminated, 0.0) - torch.where(truncated, "
                        "final_value, value)"
                    ),
                )
            ],
            "`final_value` takes the place of t",
        ),
    ],
}

# Of these more than one thing is wrong, and each check says what it finds.
SEVERAL = {
    "08.kl_estimators": [
        (
            ('{"k1": True, "k2": False, "k3": True}', '{"k1": False, "k2": False, "k3": False}'),
            ["k1 is unbiased: its mean is the de", "k3 is unbiased: r - 1 has mean 0 u"],
        ),
        (
            ('{"k1": True, "k2": False, "k3": True}', '{"k1": False, "k2": True, "k3": False}'),
            [
                "k1 is unbiased: its mean is the de",
                "k2 is biased: it agrees with the d",
                "k3 is unbiased: r - 1 has mean 0 u",
            ],
        ),
        ("f(-log_ratio)", ["k1 has the wrong sign: KL(π_old ‖ ", "k3 is that of the inverse ratio, 1"]),
    ],
    "08.logs": [
        (
            "(lambda x: {**x, 'E': x['I'], 'I': x['E']})(f())",
            ["E: with the wrong sign the return ", "I: with old log-probabilities anew"],
        ),
        (
            "(lambda x: {**x, 'A': x['G'], 'G': x['A']})(f())",
            ["A: a large step shows in the clip ", "G: without normalisation the gradi"],
        ),
        (
            "(lambda x: {**x, 'D': x['B'], 'B': x['D']})(f())",
            ["B: a bonus that is too large keeps", "D: if θ never moves the KL diverge"],
        ),
        (
            "(lambda x: {**x, 'E': x['L'], 'L': x['E']})(f())",
            ["E: where entropy costs, it is gone", "L: with old log-probabilities anew"],
        ),
        (
            "(lambda x: {**x, 'A': x['E'], 'E': x['A']})(f())",
            ["A: with old log-probabilities anew", "E: without normalisation the gradi"],
        ),
        (
            "(lambda x: {**x, 'K': x['A'], 'A': x['K']})(f())",
            ["A: with every end a time limit som", "K: without normalisation the gradi"],
        ),
        (
            "(lambda x: {**x, 'D': x['H'], 'H': x['D']})(f())",
            ["D: such a critic learns the mean o", "H: a bonus that is too large keeps"],
        ),
        (
            "(lambda x: {**x, 'G': x['L'], 'L': x['A'], 'A': x['G']})(f())",
            ["A: a large step shows in the clip ", "G: where entropy costs, it is gone"],
        ),
        (
            "(lambda x: {**x, 'B': x['J'], 'J': x['D'], 'D': x['B']})(f())",
            ["B: with tiny steps the KL divergen", "D: if θ never moves the KL diverge"],
        ),
        (
            "(lambda x: {**x, 'K': x['D'], 'D': x['K']})(f())",
            ["D: with every end a time limit som", "K: a bonus that is too large keeps"],
        ),
        (
            "{k: 'wrong sign' for k in f()}",
            [
                "A: with the wrong sign the return ",
                "B: with the wrong sign the return ",
                "C: with the wrong sign the return ",
            ],
        ),
        (
            "{k: v for k, v in f().items() if k not in 'KL'}",
            ["K is missing: it needs its name, t", "L is missing: it needs its name, t"],
        ),
        (
            "{k.lower(): v for k, v in f().items()}",
            [
                "A is missing: it needs its name, t",
                "B is missing: it needs its name, t",
                "C is missing: it needs its name, t",
            ],
        ),
        (
            "{v: k for k, v in f().items()}",
            [
                "A is missing: it needs its name, t",
                "B is missing: it needs its name, t",
                "C is missing: it needs its name, t",
            ],
        ),
    ],
    "09.contact_diagram": [
        (
            "(lambda x: {**x, 'A': x['E'], 'E': x['A']})(f())",
            ["A: who runs puts the feet down in ", "E: who limps puts the feet down in"],
        ),
        (
            "(lambda x: {**x, 'A': x['F'], 'F': x['A']})(f())",
            ["A: who hops on one leg has one row", "F: who limps puts the feet down in"],
        ),
        (
            "(lambda x: {**x, 'B': x['C'], 'C': x['B']})(f())",
            ["B: who walks puts the feet down in", "C: who hops on both legs has bars "],
        ),
        (
            "(lambda x: {**x, 'C': x['D'], 'D': x['C']})(f())",
            ["C: a leg that is dragged hardly ev", "D: who walks puts the feet down in"],
        ),
        (
            "(lambda x: {**x, 'D': x['E'], 'E': x['D']})(f())",
            ["D: who runs puts the feet down in ", "E: a leg that is dragged hardly ev"],
        ),
        (
            "(lambda x: {**x, 'E': x['F'], 'F': x['E']})(f())",
            ["E: who hops on one leg has one row", "F: who runs puts the feet down in "],
        ),
        (
            "(lambda x: {**x, 'A': x['B'], 'B': x['A']})(f())",
            ["A: who hops on both legs has bars ", "B: who limps puts the feet down in"],
        ),
        (
            "(lambda x: {**x, 'B': x['D'], 'D': x['B']})(f())",
            ["B: a leg that is dragged hardly ev", "D: who hops on both legs has bars "],
        ),
        (
            "(lambda x: {**x, 'C': x['F'], 'F': x['C']})(f())",
            ["C: who hops on one leg has one row", "F: who walks puts the feet down in"],
        ),
        (
            "(lambda x: {**x, 'A': x['C'], 'C': x['E'], 'E': x['A']})(f())",
            ["A: who walks puts the feet down in", "E: who limps puts the feet down in"],
        ),
        (
            "(lambda x: {**x, 'A': x['D'], 'D': x['F'], 'F': x['A']})(f())",
            ["A: a leg that is dragged hardly ev", "D: who hops on one leg has one row"],
        ),
        (
            "(lambda x: {**x, 'B': x['E'], 'E': x['C'], 'C': x['B']})(f())",
            ["B: who runs puts the feet down in ", "C: who hops on both legs has bars "],
        ),
    ],
    "09.comparable": [
        (
            "(lambda x: {**x, 'D': x['F'], 'F': x['A'], 'A': x['D']})(f())",
            ["A: if it were another r", "D: if it were more prac"],
        ),
        (
            "(lambda x: {**x, 'D': x['E'], 'B': x['C']})(f())",
            ["B: if it were too few s", "D: if it were a seed, m"],
        ),
        (
            "{**f(), 'F': 'too few seeds', 'A': 'too few seeds'}",
            ["A: if it were too few s", "F: if it were too few s"],
        ),
        (
            "{**f(), 'E': 'nothing', 'C': 'nothing'}",
            ["C: if it were nothing, ", "E: if it were nothing, "],
        ),
        (
            "(lambda x: {**x, 'E': x['A'], 'C': x['B'], 'B': x['C']})(f())",
            ["B: if it were too few s", "E: if it were a moment,"],
        ),
        (
            "(lambda x: {**x, 'A': x['E'], 'F': x['D']})(f())",
            ["A: if it were a seed, m", "F: if it were another r"],
        ),
    ],
}


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("name", WRONG)
def test_they_lose_points_and_are_called_by_their_name(name):
    all_are_named(name, WRONG[name])


@pytest.mark.parametrize("name", SEVERAL)
def test_of_several_mistakes_each_is_named(name):
    for change, words, lost, said in found(name, SEVERAL[name]):
        assert lost, change
        assert [one[: len(words[0])] for one in sorted(said)] == words, change
