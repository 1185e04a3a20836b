"""The log-probability of the wrong action."""

import torch

from pgcourse.grading.kinds import Check, repair


def act(mean, log_std, noise, low, high):
    """What the world executes, c(μ + σ ε), and what is stored: a = μ + σ ε and Σ_i log N(a_i; μ_i, σ_i²).

    Fujita & Maeda (2018), section 2: the clip is a part of the world. The density is torch's, not a formula.
    """
    mean, log_std, noise = (torch.as_tensor(x) for x in (mean, log_std, noise))
    action = (mean + log_std.exp() * noise).detach()
    log_prob = torch.distributions.Normal(mean, log_std.exp()).log_prob(action).sum(-1)
    return action.clamp(low, high), action, log_prob


def case(mean, log_std, noise, low=-1.0, high=1.0):
    return {"mean": mean, "log_std": log_std, "noise": noise, "low": low, "high": high}


def drawn(shape, spread=1.0, shift=0.0):
    """A case; the larger the spread, the more actions lie beyond the limits."""
    return lambda rng: case(
        shift + rng.uniform(-0.6, 0.6, shape),
        torch.tensor(spread).log().item() + rng.uniform(-0.2, 0.2, shape[-1]),
        rng.normal(size=shape).clip(-2, 2),
        *rng.uniform([-1.2, 0.8], [-0.9, 1.1]).tolist(),
    )


SCORE = "(lambda m: torch.autograd.grad(f(m, log_std, noise, low, high)[2].sum(), m)[0])(torch.as_tensor(mean).clone()"
SCORE += ".requires_grad_())"
BEYOND = case([[0.0]], [LOG_2 := 0.6931471805599453], [[1.5]])

EXERCISE = repair(
    act,
    start=("log_density(action)", "log_density(executed)"),
    title="The clipped action's probability",
    goal="Keep apart the action that was drawn and the one that happened, so that the score stays that of the policy.",
    minutes=10,
    difficulty=2,
    importance=5,
    hints=[
        "Which of the two actions has the Gaussian's density: the one that was drawn, or the one that the motor "
        "made of it?",
        "log_prob belongs to `action`. The clip is a part of the world; the policy does not know it.",
    ],
    checks={
        "inside the limits": Check(
            1,
            "Where nothing is clipped the two actions are the same.",
            [case([[0.0]], [0.0], [[0.5]]), drawn((4, 2), 0.15)],
            leaves_input_alone=True,
        ),
        "beyond the limits": Check(
            3,
            "Executed is the nearest torque within the limits. Stored are the drawn action and its log-probability.",
            [BEYOND, drawn((6, 1), 1.5), drawn((5, 3), 1.5), drawn((4, 2), 0.5, 1.5)],
        ),
        "the score": Check(
            2,
            "∂ log π(a) / ∂μ = (a - μ)/σ² with the drawn action as data: no gradient flows through it, nor through "
            "the clip.",
            [BEYOND, drawn((5, 2), 1.5), drawn((5, 2), 0.3)],
            through=SCORE,
            requires="the log-probability can be differentiated by the mean, with the drawn action held fixed",
        ),
    },
    mistakes={
        "What is stored is the executed action: a buffer that holds it has lost what the policy did.": (
            "executed, action, log_density(action)",
            "executed, executed, log_density(action)",
        ),
        "The executed action is stored, with its log-probability: all of it belongs to the drawn one.": (
            "executed, action, log_density(action)",
            "executed, executed, log_density(executed)",
        ),
        "Nothing is clipped any more: the motor gets what it cannot do.": ("action.clamp(low, high)", "action"),
        "The mean is clipped, not the action: a noisy action still leaves the limits.": [
            ("executed = action.clamp(low, high)", "executed = action"),
            ("action = (mean +", "mean = mean.clamp(low, high)\n    action = (mean +"),
        ],
        "The noise is clipped: that is another policy, with another density.": (
            "std * noise",
            "std * noise.clamp(low, high)",
        ),
        "The action is squashed by tanh, and gets the density of a Gaussian.": (
            "action.clamp(low, high)",
            "action.tanh()",
        ),
        "The action is not held fixed: through a = μ + σ ε the gradient of log π by μ cancels to 0. Nothing is "
        "trained, silently.": (".detach()", ""),
        "The log-probability is no longer differentiable: the loss has nothing left to train.": (
            "log_density(action)\n",
            "log_density(action).detach()\n",
        ),
        "log π is averaged over the joints: probabilities multiply, so their logarithms are summed.": (
            ".sum(-1)",
            ".mean(-1)",
        ),
        "log π is not summed over the joints: there is one number an action.": (".sum(-1)", ""),
        "log σ is missing in the density.": (" - log_std", ""),
        "At the limits the probability of the whole atom is used. That is the executed action's own density, another "
        "(right) estimator: here the drawn action's is wanted.": (
            "log_density(action)\n",
            "torch.where(action > high, torch.special.log_ndtr((mean - high) / std), torch.where(action < low, "
            "torch.special.log_ndtr((low - mean) / std), -0.5 * ((action - mean) / std).square() - log_std - "
            "0.5 * math.log(2 * math.pi))).sum(-1)\n",
        ),
        "σ is missing in the action: a = μ + σ ε. That line was right.": (
            "(mean + std * noise).detach()",
            "(mean + noise).detach()",
        ),
        "log σ is added: a narrow policy has a high density. That line was right.": (
            "- log_std - 0.5",
            "+ log_std - 0.5",
        ),
        "The constant ½ log 2π is missing. That line was right.": ("- 0.5 * math.log(2 * math.pi)", ""),
        "The square has the wrong sign. That line was right.": ("-0.5 * z.square()", "0.5 * z.square()"),
        "The upper limit is gone: both limits clip what is executed. That line was right.": (
            "clamp(low, high)",
            "clamp(min=low)",
        ),
        "z is divided by σ². That line was right.": ("(x - mean) / std", "(x - mean) / std.square()"),
        "log σ is taken for σ. That line was right.": ("std = log_std.exp()", "std = log_std"),
        "This is the density, not its logarithm. That was right.": ("log_density(action)", "log_density(action).exp()"),
        "Clipped actions get no log-probability: it is that of the drawn action, clipped or not.": (
            "log_density(action)",
            "log_density(action).where((action == executed).all(-1), 0.0)",
        ),
        "The noise is taken for the action: the density is that of a = μ + σ ε.": (
            "log_density(action)",
            "log_density(noise)",
        ),
        "σ is missing in z. That line was right.": ("(x - mean) / std", "x - mean"),
        "The mean is executed: it is the drawn action, clipped.": (
            "executed = action.clamp(low, high)",
            "executed = mean.clamp(low, high).detach()",
        ),
        "No noise: the action is the mean. That line was right.": ("(mean + std * noise).detach()", "mean.detach()"),
        "What is executed and what is stored are exchanged.": ("return executed, action,", "return action, executed,"),
        "The mean is clipped as well: the policy's mean may lie beyond the limits, and draws from there.": (
            "action = (mean +",
            "mean = mean.clamp(low, high)\n    action = (mean +",
        ),
        "This is the density at the mean: it is that of the drawn action.": (
            "log_density(action)",
            "log_density(mean)",
        ),
        "The lower limit is gone: both limits clip what is executed. That line was right.": (
            "clamp(low, high)",
            "clamp(max=high)",
        ),
        "The limits are ±1 whatever `low` and `high` say. That line was right.": ("clamp(low, high)", "clamp(-1, 1)"),
        "log π is summed over the steps, too: there is one number an action.": (".sum(-1)", ".sum()"),
        "The ½ before z² is missing. That line was right.": ("-0.5 * z.square()", "-z.square()"),
        "z is multiplied by σ: divide. That line was right.": ("(x - mean) / std", "(x - mean) * std"),
        "log σ is taken for σ in the action. That line was right.": ("std * noise", "log_std * noise"),
    },
)
