"""Wrong answers that are written in another way than the known mistakes: called by their name, and never by another.

Each is a change of the solution, as in a declaration, with some words of what should be said. None: no known mistake,
so nothing should be said.
"""

import pytest
from wrong_answers import found

WRONG = {
    "00.mean_interval": [
        (("T_975[n - 1]", "1.95996"), "normal distribution"),
        (("T_975[n - 1] * means.std(correction=1) / n**0.5", "means.std() / n**0.5"), "one standard error"),
        (("T_975[n - 1] * means.std(correction=1)", "T_975[n - 1] * means.std(unbiased=False)"), "divided by n"),
        (("means.std(correction=1) / n**0.5", "means.var() / n**0.5"), "variance"),
        (("means = returns.mean(1)", "means = returns.reshape(-1)"), "counted as if they were seeds"),
        (("means = returns.mean(1)", "means = returns.median(1).values"), "median"),
        (("means = returns.mean(1)", "means = returns.sum(1)"), "added up"),
        (("means = returns.mean(1)", "means = returns.T.mean(1)"), "first axis is the seed"),
        (("means = returns.mean(1)", "means = returns[:, -1]"), "last episode"),
        (("mean = means.mean()", "mean = means.median()"), "median"),
        (("mean - half, mean + half", "(mean - half).clamp(min=0), mean + half"), None),
        (("mean - half, mean + half", "mean, half"), "low and high"),
        (("    if n == 1:\n        return -math.inf, math.inf\n", ""), "NaN"),
        (("-math.inf, math.inf", "0.0, math.inf"), None),
        (("-math.inf, math.inf", "math.inf, -math.inf"), "wrong order"),
        (("means.std(correction=1) / n**0.5", "means.std(correction=1) / (n - 1) ** 0.5"), "n - 1"),
        (("n**0.5", "returns.numel() ** 0.5"), "count"),
    ],
    "01.softmax_score": [
        ("z.softmax(-1) - torch.nn.functional.one_hot(a, z.shape[-1])", "Sign flipped"),
        (("one - z.softmax(-1)", "one.float()"), "Half of it is missing"),
        (("one - z.softmax(-1)", "one.log_softmax(-1) - z.softmax(-1)"), None),
        (("one - z.softmax(-1)", "one - z.sigmoid()"), "sigmoid"),
        (("one - z.softmax(-1)", "one - 1 / z.shape[-1] + 0 * z"), "only for the indifferent policy"),
        (("one - z.softmax(-1)", "(one - z.softmax(-1)) / z.softmax(-1)"), "Divided by π"),
        (("one - z.softmax(-1)", "(1 - one) - z.softmax(-1)"), "one-hot"),
        (("one - z.softmax(-1)", "one * z - z.softmax(-1)"), None),
        (("one - z.softmax(-1)", "one * z.log_softmax(-1)"), "log"),
        (("one - z.softmax(-1)", "-z.softmax(-1)"), "e_a"),
        (("one - z.softmax(-1)", "one - z.softmax(-1).gather(-1, a[..., None])"), "π(a)"),
        (("one - z.softmax(-1)", "one - z.softmax(-1).mean(-1, keepdim=True)"), "only for the indifferent policy"),
        (("one - z.softmax(-1)", "one - z.exp()"), "normalis"),
        (("z.softmax(-1)", "(z / z.sum(-1, keepdim=True))"), "exp"),
        ("f(z, a).sum(-1)", "summed"),
        ("f(z, a).gather(-1, a[..., None])[..., 0]", "component of the action"),
    ],
    "04.normalised_advantage": [
        (("real.std()\n", "real.std(correction=0)\n"), "divides by n"),
        (("real.std()\n", "real.std() ** 2\n"), "variance"),
        (("real.std()\n", "real.abs().mean()\n"), None),
        (("real.std()\n", "real.abs().max()\n"), "largest"),
        (("real.std()\n", "(real.max() - real.min())\n"), "largest"),
        (("(real - real.mean())", "(real - real.median())"), "median"),
        (("(real - real.mean())", "(real - real.min())"), None),
        (("(real - real.mean()) / real.std()\n", "real / real.norm()\n"), "mean is not subtracted"),
        (("(real - real.mean()) / real.std()\n", "(real - real.mean()) / (real - real.mean()).norm()\n"), "norm"),
        ("(advantage - advantage.mean()) / advantage.std()", "Padding"),
        (
            "(advantage - advantage.mean(1, keepdim=True)) / advantage.std(1, keepdim=True)",
            "Each episode is normalised by itself",
        ),
        ("((advantage * mask) - (advantage * mask).mean()) / (advantage * mask).std() * mask", "Padding counts"),
        (("real.std()\n", "(real.std() + 0.1)\n"), "divisor is not tiny"),
        (("real.std()\n", "real.std().clamp(min=1)\n"), "divisor of at least 1"),
        ("f(advantage, torch.ones_like(mask))", "Padding"),
        ("-f(*a)", "Sign"),
        ("advantage", "as they came"),
    ],
    "05.gae": [
        (("reversed(range(reward.shape[-1]))", "reversed(range(1, reward.shape[-1]))"), "first step"),
        (("gamma * lam * ~(terminated | truncated)", "gamma * lam * ~(terminated & truncated)"), "both flags"),
        (("gamma * lam * ~(terminated | truncated)", "0.95 * gamma * ~(terminated | truncated)"), "0.95"),
        (("gamma * lam * ~(terminated | truncated)", "gamma * lam * (terminated | truncated)"), "inverted"),
        (("masked_fill(terminated, 0.0)", "masked_fill(~terminated, 0.0)"), "inverted"),
        (("- u\n", "+ u\n"), "u is added"),
        (("reward + gamma * u_next", "gamma * reward + gamma * u_next"), "discounted, too"),
        (("reward + gamma", "gamma"), "reward is missing"),
        (
            ("after = delta[..., t] + carry[..., t] * after", "after = delta[..., t] + carry[..., t] * delta[..., t]"),
            None,
        ),
        (("advantage[..., t] = after", "advantage[..., t] = after - u[..., t]"), None),
        (("advantage[..., t] = after", "advantage[..., t] = after + u[..., t]"), "target Â + u"),
        (("advantage[..., t] = after", "advantage[..., -1 - t] = after"), "reversed"),
        (("~(terminated | truncated)", "(1 - terminated.to(reward.dtype))"), "Only `terminated` ends the sum"),
        (("u_next.masked_fill(terminated, 0.0)", "u"), "u' "),
        ("f(*a).mean(-1, keepdim=True).expand_as(reward)", None),
        ("f(*a).double()", "dtype"),
    ],
    "06.gaussian_score": [
        (("(action - mean) / std", "(mean - action) / std"), "Sign flipped in the mean"),
        (("z / std", "(action - mean) / std"), "divided by σ twice"),
        (("z / std", "action - mean"), "σ²"),
        (("z / std", "z * std"), "σ² is missing"),
        (("z / std", "(action - mean) / std.square().square()"), None),
        (("z.square() - 1", "z.square() - 0.5"), "½"),
        (("z.square() - 1", "z.abs() - 1"), "square"),
        (("z.square() - 1", "z.square() + 1"), "-1"),
        (("z.square() - 1", "z.square() / std - 1 / std"), "by σ, not by log σ"),
        (("z.square() - 1", "z.square() / std - 1"), "σ"),
        (("z.square() - 1", "(z.square() - 1) * std"), "σ"),
        (("z.square() - 1", "z - 1"), "square"),
        (("log_std.exp()", "log_std.exp().square()"), "variance"),
        (("log_std.exp()", "log_std.exp().sqrt()"), "log σ²"),
        ("[part.mean(0) for part in f(*a)]", "averaged over the steps"),
        ("[f(*a)[1], f(*a)[0]]", "wrong way round"),
        ("torch.cat(f(*a), -1)", "two"),
    ],
    "07.kl_gaussian": [
        ("f(new_mean, new_log_std, old_mean, old_log_std)", "Swapped"),
        (("- 0.5", "+ 0.5"), "-½"),
        (("- 0.5", "- 1"), "½"),
        (("(old_mean - new_mean).square()", "(old_mean - new_mean)"), "not squared"),
        (("/ (2 * new_var)", "/ 2 * new_var"), "divide"),
        (("/ (2 * new_var)", ""), "divide"),
        (("(new_log_std - old_log_std + expected - 0.5)", "(expected - 0.5)"), "logarithms"),
        (("new_log_std - old_log_std + expected", "(new_log_std - old_log_std) / 2 + expected"), "½"),
        (("new_log_std - old_log_std", "(new_log_std / old_log_std)"), None),
        ((".sum(-1)", ".mean()"), "averaged"),
        ((".sum(-1)", ".sum(0)"), "first axis"),
        (("(old_mean - new_mean).square()", "(old_mean + new_mean).square()"), "added"),
        ("f(*a) / 0.6931471805599453", "bits"),
        ("f(*a).abs().sqrt()", None),
        ("0.5 * (f(*a) + f(*a[2:], *a[:2]))", "both"),
        ("f(old_mean, old_log_std, new_mean.detach(), new_log_std)", "new mean"),
    ],
    "08.clipped_objective": [
        (
            "-torch.minimum((log_prob - old_log_prob).exp() * advantage, "
            "(log_prob - old_log_prob).exp().clamp(1 - clip, 1 + clip) * advantage)[mask].mean()",
            None,
        ),
        (("clamp(1 - clip, 1 + clip)", "clamp(-1 - clip, 1 + clip)"), "lower bound"),
        (("clamp(1 - clip, 1 + clip)", "clamp(max=1 + clip)"), "lower"),
        (("clamp(1 - clip, 1 + clip)", "clamp(min=1 - clip)"), "upper"),
        (("clamp(1 - clip, 1 + clip)", "clamp(1 / (1 + clip), 1 + clip)"), "1/(1+ε)"),
        (("gain.sum() / mask.sum()", "gain.sum() / len(mask)"), "episodes"),
        (("gain.sum() / mask.sum()", "gain.sum(-1)"), None),
        (("gain.sum() / mask.sum()", "gain.sum() / mask.numel()"), "Padding is counted"),
        (
            (
                "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
                "torch.minimum(ratio, ratio.clamp(1 - clip, 1 + clip)) * good",
            ),
            "Â stands outside the minimum",
        ),
        (("advantage.detach().masked_fill(~mask, 0.0)", "advantage.detach().masked_fill(~mask, 0.0).abs()"), None),
        ((".exp()", ".exp().detach()"), "No gradient is left"),
        (("(log_prob - old_log_prob.detach())", "(log_prob.detach() - old_log_prob)"), "old"),
        ((".exp()", ".exp() - 1"), "r - 1"),
        (
            (
                "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
                "torch.where(good > 0, ratio.clamp(1 - clip, 1 + clip) * good, ratio * good)",
            ),
            None,
        ),
        ("f(log_prob.exp(), old_log_prob.exp(), *a[2:])", "exp"),
    ],
    "08.value_loss": [
        (("error.mean()", "error.sum() / 2"), None),
        (("0.5 * ", "2.0 * "), "½"),
        (("value - old_value).clamp(-clip, clip)", "old_value - value).clamp(-clip, clip)"), "wrong way round"),
        (("value.squeeze(-1), ", "value.squeeze(-1).detach(), "), "No gradient is left"),
        (("old_value + (value", "target + (value"), "clip alone"),
        (("clamp(-clip, clip)", "clamp(-0.2, 0.2)"), "0.2"),
        (("clamp(-clip, clip)", "clamp(1 - clip, 1 + clip)"), "around 0"),
        (("clamp(-clip, clip)", "clamp(max=clip)"), "one side"),
        (("(near - target).square()", "(near - old_value).square()"), "clip alone"),
        (
            (
                "torch.maximum((value - target).square(), (near - target).square())",
                "torch.maximum(value - target, near - target).square()",
            ),
            "squar",
        ),
        (
            (
                "torch.maximum((value - target).square(), (near - target).square())",
                "0.5 * (value - target).square() + 0.5 * (near - target).square()",
            ),
            "average",
        ),
        (("error.mean()", "error.mean().sqrt()"), "root"),
        (("0.5 * error.mean()", "error"), "mean"),
        (("(value - target).square(), ", "(value - target).pow(2).mean(), "), "mean"),
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_most_are_called_by_their_name_and_none_by_another(name):
    named = silent = 0
    for change, words, lost, said in found(name, WRONG[name]):
        assert lost, change
        if said:
            assert words, (change, said)
            assert all(words in one for one in said), (change, said)
        named += bool(said)
        silent += words is not None and not said
    assert named >= 2 * silent
