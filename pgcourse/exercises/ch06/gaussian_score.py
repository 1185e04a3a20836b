"""The score of a Gaussian policy."""

import torch

from pgcourse.grading.kinds import Check, derive


def gaussian_score(action, mean, log_std):
    """∂/∂μ and ∂/∂log σ of Σ_i log N(a_i; μ_i, σ_i²), by autograd through torch's own density. Williams (1992), 6."""
    action, mean = torch.from_numpy(action), torch.from_numpy(mean).requires_grad_()
    log_std = torch.from_numpy(log_std).expand(mean.shape).clone().requires_grad_()  # one for each action
    log_prob = torch.distributions.Normal(mean, log_std.exp()).log_prob(action).sum()
    return [slope.numpy() for slope in torch.autograd.grad(log_prob, (mean, log_std))]


def drawn(shape, low=-1.0, high=0.7, same=True):
    """A case of actions drawn from the policy, with σ between e^low and e^high, the `same` in all states or not."""

    def case(rng):
        mean, log_std = rng.normal(size=shape), rng.uniform(low, high, shape[-1] if same else shape)
        return {"action": mean + np_exp(log_std) * rng.normal(size=shape), "mean": mean, "log_std": log_std}

    return case


def np_exp(x):
    return torch.from_numpy(x).exp().numpy()


LOG_2 = 0.6931471805599453

EXERCISE = derive(
    gaussian_score,
    title="The Gaussian's score",
    goal="Find on paper by how much a drawn action pulls at the mean and at the spread.",
    minutes=15,
    difficulty=2,
    importance=5,
    hints=[
        "Write log N with z = (a - μ)/σ. How does z change with μ, and how with log σ? Remember d σ / d log σ = σ.",
        "log N = -z²/2 - log σ - const. ∂z/∂μ = -1/σ and ∂z/∂log σ = -z. So the scores are z/σ and z² - 1.",
    ],
    checks={
        "of the mean": Check(
            2,
            "∂/∂μ of -(a - μ)²/(2σ²).",
            [
                {"action": [2.0], "mean": [-1.0], "log_std": [LOG_2]},
                drawn((4,)),
            ],
            through="f(action, mean, log_std)[0]",
        ),
        "of log σ": Check(
            2,
            "By log σ, not by σ. It is negative for an action within one σ of the mean.",
            [
                {"action": [2.0], "mean": [-1.0], "log_std": [LOG_2]},
                drawn((4,)),
            ],
            through="f(action, mean, log_std)[1]",
        ),
        "many joints, many steps": Check(
            1,
            "log π is a sum over joints, and each joint has a μ and a σ of its own: its score is that joint's alone.",
            [drawn((5, 3)), drawn((3, 3)), drawn((2, 4, 3)), drawn((4, 3), same=False)],
            requires="`action` and `mean` may have any number of leading axes, `log_std` is [joint] or has all "
            "of their axes, and both scores have the shape of `action`",
            leaves_input_alone=True,
        ),
        "a narrow policy": Check(
            1,
            "With σ = e^-4 the score of the mean is of the order 1/σ = 55: nothing is clamped.",
            [drawn((3, 2), -4.5, -4.0), drawn((3, 2), 1.5, 2.0)],
            tolerance=(1e-3, 1e-3),
        ),
    },
    mistakes={
        "The score of the mean is z/σ: (a - μ) is divided by σ twice.": ("z / std", "z"),
        "Sign flipped in the mean's score: an action above the mean pulls it up.": ("z / std", "-z / std"),
        "Both signs flipped? log π grows where μ moves towards a.": "[-part for part in f(*a)]",
        "This is the derivative by σ, not by log σ: multiply by σ.": ("z.square() - 1", "(z.square() - 1) / std"),
        "The -1 is missing: log σ stands in log N, too.": ("z.square() - 1", "z.square()"),
        "The sign of log σ's score is flipped: an action far from the mean widens the policy.": (
            "z.square() - 1",
            "1 - z.square()",
        ),
        "Half of z² only: the 2 of the square cancels the ½.": ("z.square() - 1", "z.square() / 2 - 1"),
        "log σ is taken for σ: use its exponential.": ("log_std.exp()", "log_std"),
        "log σ is taken for log σ²: σ is its exponential.": ("log_std.exp()", "(0.5 * log_std).exp()"),
        "This is the derivative by log σ², half of what is asked.": ("z.square() - 1", "0.5 * (z.square() - 1)"),
        "The scores are summed over the joints: each joint's μ and σ have their own.": (
            "[part.sum(-1) for part in f(*a)]"
        ),
        "The scores are averaged over the joints: each joint's μ and σ have their own.": (
            "[part.mean(-1, keepdim=True).expand(part.shape) for part in f(*a)]"
        ),
        "log σ's score is summed over all steps: it is wanted for each action.": (
            "[f(*a)[0], f(*a)[1].reshape(-1, action.shape[-1]).sum(0)]"
        ),
        "The two are the wrong way round: first the mean's.": "f(*a)[::-1]",
        "σ is kept away from 0 here, and its score with it: a narrow policy has a large score.": (
            "log_std.exp()",
            "log_std.exp().clamp(min=0.1)",
        ),
        "The log-probability itself, not its derivatives: z²/2 is gone after differentiating.": (
            "[-0.5 * ((action - mean) / log_std.exp()) ** 2 - log_std - 0.5 * np.log(2 * np.pi)] * 2"
        ),
        "The σ² is missing: the score of the mean is (a - μ)/σ².": (
            "z / std",
            "(action - mean)",
        ),
        "The square is missing in log σ's score: it is z² - 1.": (
            "z.square() - 1",
            "z - 1",
        ),
        "The absolute value stands where the square belongs: log σ's score is z² - 1.": (
            "z.square() - 1",
            "z.abs() - 1",
        ),
        "+1 in place of -1: on average over the actions a score is 0.": (
            "z.square() - 1",
            "z.square() + 1",
        ),
        "z² - ½: on average over the actions a score is 0, and z² is 1.": (
            "z.square() - 1",
            "z.square() - 0.5",
        ),
        "exp(log σ) is squared before z is made: divide a - μ by σ, not by the variance.": (
            "log_std.exp()",
            "log_std.exp().square()",
        ),
        "Multiplied by σ once more: z² - 1 is the derivative by log σ already.": (
            "z.square() - 1",
            "(z.square() - 1) * std",
        ),
        "The two are joined to one tensor: asked are two.": "torch.cat(f(*a), -1)",
        "The score of the mean is twice what it should be: the 2 of the square cancels the ½.": (
            "z / std,",
            "2 * z / std,",
        ),
        "The score of the mean is half of what it should be: the 2 of the square cancels the ½.": (
            "z / std,",
            "0.5 * z / std,",
        ),
        "In the mean's score σ divides three times: it is (a - μ)/σ².": ("z / std,", "z / std.square(),"),
        "The score of log σ is twice what it should be: the 2 of the square cancels the ½.": (
            "z.square() - 1",
            "2 * (z.square() - 1)",
        ),
        "z² has the wrong sign: an action far from the mean widens the policy.": ("z.square() - 1", "-z.square() - 1"),
        "-σ in the place of -1: by log σ, not by σ, the derivative of log σ is 1.": (
            "z.square() - 1",
            "z.square() - std",
        ),
        "The square of a - μ is not divided by σ²: log σ's score is z² - 1.": (
            "z.square() - 1",
            "(action - mean).square() - 1",
        ),
        "The square of a - μ is divided by σ once: log σ's score is z² - 1, and z² has σ².": (
            "z.square() - 1",
            "(action - mean).square() / std - 1",
        ),
        "log σ's score is averaged over the steps: it is wanted for each action.": "[f(*a)[0], f(*a)[1].mean(0)]",
        "log σ's score is summed over the joints: each joint's σ has its own.": (
            "[f(*a)[0], f(*a)[1].sum(-1, keepdim=True).expand(action.shape)]"
        ),
        "A hundredth is added to σ: a narrow policy's score is then too small.": (
            "log_std.exp()",
            "(log_std.exp() + 0.01)",
        ),
        "log σ is the natural logarithm: σ is e to it, not 10.": ("log_std.exp()", "10**log_std"),
    },
)
