"""PPO's loop over passes and minibatches."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def ppo_update(theta, obs, action, advantage, order, minibatches, lr, clip):
    """θ after all passes, by the gradient in closed form: ∇r = r o (e_a - π)ᵀ. Schulman et al. (2017), algorithm 1."""

    def softmax(theta, rows):
        z = obs[rows] @ theta
        p = np.exp(z - z.max(-1, keepdims=True))
        return p / p.sum(-1, keepdims=True)

    n = np.arange(len(obs))
    old = softmax(theta, n)[n, action]
    for part in np.reshape(order, (-1, len(obs) // minibatches)):
        good = (advantage[part] - advantage[part].mean()) / (advantage[part].std(ddof=1) + 1e-8)
        new, taken = softmax(theta, part), np.eye(theta.shape[1])[action[part]]
        ratio = (new * taken).sum(-1) / old[part]
        moves = np.where(good > 0, ratio < 1 + clip, ratio > 1 - clip)
        theta = theta + lr * obs[part].T @ ((moves * good * ratio)[:, None] * (taken - new)) / len(part)
    return theta


def drawn(n, passes, minibatches, lr, clip=0.2):
    """A rollout of `n` samples with three features and three actions, and the orders of its passes."""

    def draw(rng):
        return {
            "theta": rng.normal(0.0, 0.5, (3, 3)),
            "obs": rng.normal(size=(n, 3)),
            "action": rng.integers(3, size=n),
            "advantage": rng.normal(2.0, 3.0, n),
            "order": np.array([rng.permutation(n) for _ in range(passes)]),
            "minibatches": minibatches,
            "lr": lr,
            "clip": clip,
        }

    return draw


HAND = {
    "theta": [[0.0, 0.0]],
    "obs": [[1], [1]],
    "action": np.array([0, 1]),
    "advantage": [3, 1],
    "order": np.array([[1, 0]]),
    "minibatches": 1,
    "lr": 0.1,
    "clip": 0.2,
}
DIGITS = (1e-3, 1e-4)

EXERCISE = implement(
    ppo_update,
    title="PPO's loop",
    goal="Use a rollout several times, in minibatches, with the right things held fixed.",
    minutes=30,
    difficulty=3,
    importance=5,
    hints=[
        "What is computed once, before the loops? What in each minibatch? At which θ is each gradient taken?",
        "Once: log π_old of all samples. Then `for row in order: for part in row.chunk(minibatches):` standardise "
        "`advantage[part]`, `theta = theta.detach().requires_grad_()`, ratio, clipped mean, `torch.autograd.grad`, and "
        "`theta = theta + lr * gradient`.",
    ],
    checks={
        "one step": Check(
            1,
            "At θ_old every ratio is 1: the step is lr times the mean of Â ∇log π, with Â standardised.",
            [HAND, drawn(6, 1, 1, 0.1)],
            tolerance=DIGITS,
        ),
        "minibatches": Check(
            2,
            "A step for each part of a row of `order`, from the θ that the last one left; Â standardised in the part.",
            [drawn(4, 1, 2, 0.2, 5.0), drawn(12, 1, 3, 0.3, 5.0)],
            tolerance=DIGITS,
        ),
        "passes": Check(
            2,
            "log π_old belongs to the policy that acted: once, before all passes.",
            [drawn(8, 3, 2, 0.2, 5.0), drawn(12, 4, 3, 0.2, 5.0)],
            tolerance=DIGITS,
        ),
        "clip": Check(
            2,
            "min(r Â, clip(r, 1-ε, 1+ε) Â), and long steps: some samples have no gradient any more.",
            [drawn(8, 4, 2, 1.0), drawn(24, 5, 4, 1.0), drawn(24, 5, 4, 1.0, 0.1)],
            tolerance=DIGITS,
        ),
        "θ as it was": Check(
            1,
            "Make a new θ at each step; the given one is still needed by who called.",
            [drawn(8, 2, 2, 0.3)],
            leaves_input_alone=True,
            tolerance=DIGITS,
        ),
    },
    mistakes={
        "Every ratio is 1, as where log π_old is computed anew in each minibatch, or left out: the clip never has "
        "anything to do, and nothing in the numbers says so but a KL divergence of exactly 0.": (
            "old_log_prob[part]",
            "log_prob(theta, part).detach()",
        ),
        "log π_old is computed anew in each pass: it belongs to the policy that acted, so once before all passes.": (
            "for row in order:\n",
            "for row in order:\n        old_log_prob = log_prob(theta.detach(), slice(None))\n",
        ),
        "The advantages are standardised over the whole rollout: here each minibatch does it for itself.": (
            "torch.std_mean(advantage[part])",
            "torch.std_mean(advantage)",
        ),
        "The advantages are not standardised.": ("(advantage[part] - mean) / (std + 1e-8)", "advantage[part]"),
        "The advantages are divided by their deviation, but their mean is not taken away.": (
            "(advantage[part] - mean)",
            "advantage[part]",
        ),
        "The standard deviation divides by n: here it is by n - 1, as torch's `std` does.": (
            "torch.std_mean(advantage[part])",
            "torch.std_mean(advantage[part], correction=0)",
        ),
        "Downhill: the objective is to be raised, θ + lr · gradient.": ("theta + lr", "theta - lr"),
        "Only the first pass is taken: `order` has a row for each.": ("in order:", "in order[:1]:"),
        "The order is not used: each pass has its own, in `order`.": (
            "row.chunk(minibatches)",
            "torch.arange(len(row)).chunk(minibatches)",
        ),
        "The rollout is not cut into minibatches: a pass is one step for each of them.": (
            "row.chunk(minibatches)",
            "row.chunk(1)",
        ),
        "Every step starts from the first θ, so that only the last one counts: go on from the θ before.": [
            ("old_log_prob = ", "start, old_log_prob = theta, "),
            ("theta.detach().requires_grad_()", "start.detach().requires_grad_()"),
        ],
        "The advantages are not shuffled with the samples: use `advantage[part]`.": (
            "(advantage[part] - mean)",
            "(advantage[: len(part)] - mean)",
        ),
        "Nothing is clipped.": (
            "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
            "(ratio * good)",
        ),
        "The minimum is missing: clip(r) Â alone leaves samples without a gradient that have gone the wrong way.": (
            "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
            "(ratio.clamp(1 - clip, 1 + clip) * good)",
        ),
        "The objective of a minibatch is a mean, not a sum.": ("* good).mean()", "* good).sum()"),
        "θ is returned as it came, or nearly: nothing is learned, silently. Is the result of each step kept? And does "
        "`gather` leave an axis behind? `[n, 1]` times `[n]` pairs every ratio with everybody's Â, whose mean is "
        "0.": "theta.clone()",
        "The given θ is overwritten: who called still needs it.": "theta.copy_(f(*a)).clone()",
        "The larger of the two terms is taken: the clip then takes nothing away. It is the smaller one.": (
            "torch.minimum(",
            "torch.maximum(",
        ),
        "The ratio is missing its exponential: logarithms are subtracted, and exp makes a ratio of them.": (
            "- old_log_prob[part]).exp()",
            "- old_log_prob[part])",
        ),
        "`minibatches` is taken for the size of a part: it is their number.": (
            "row.chunk(minibatches)",
            "row.chunk(len(row) // minibatches)",
        ),
        "The advantages are centred, but not divided by their standard deviation.": (
            "(advantage[part] - mean) / (std + 1e-8)",
            "(advantage[part] - mean)",
        ),
        "The step is divided by the number of minibatches: each takes a whole one.": (
            "theta + lr * gradient",
            "theta + lr * gradient / minibatches",
        ),
        "The gradient is normalised to length 1: the step is lr · ∇L.": (
            "theta + lr * gradient",
            "theta + lr * gradient / (gradient.norm() + 1e-8)",
        ),
        "The ratio is upside down: new over old.": (
            "(log_prob(theta, part) - old_log_prob[part])",
            "(old_log_prob[part] - log_prob(theta, part))",
        ),
        "Old log-probabilities of other samples: take those of the minibatch, `[part]`.": (
            "old_log_prob[part]",
            "old_log_prob[: len(part)]",
        ),
        "The minibatches are cut from the row backwards: in the order in which it lists them.": (
            "row.chunk(minibatches)",
            "row.flip(0).chunk(minibatches)",
        ),
        "Only the gradient's signs are used: the step is lr · ∇L.": (
            "theta = theta + lr * gradient",
            "theta = theta.detach() + lr * gradient.sign()",
        ),
        "Probabilities stand in the place of their logarithms: the ratio is exp of a difference of logarithms.": (
            "log_softmax(-1)",
            "softmax(-1)",
        ),
        "The softmax runs over the samples: the actions are the last axis.": ("log_softmax(-1)", "log_softmax(0)"),
        "The advantages are divided by their variance: take the standard deviation.": (
            "(advantage[part] - mean) / (std + 1e-8)",
            "(advantage[part] - mean) / (std**2 + 1e-8)",
        ),
        "The ratio is clipped around 0: it is 1 for the old policy.": (
            "ratio.clamp(1 - clip, 1 + clip)",
            "ratio.clamp(-clip, clip)",
        ),
        "The passes are taken in reverse order.": ("order:", "order.flip(0):"),
        "Only the first minibatch of each pass is used.": (
            "row.chunk(minibatches)",
            "row.chunk(minibatches)[:1]",
        ),
        "Each step is added to the first θ: go on from the θ before.": [
            (
                "old_log_prob = ",
                "start, old_log_prob = theta, ",
            ),
            (
                "theta = theta + lr",
                "theta = start + lr",
            ),
        ],
        "The gradients pile up: each step takes those before it along. `zero_grad` is missing.": [
            (
                "    old_log_prob = ",
                "    piled, old_log_prob = 0, ",
            ),
            (
                "theta = theta + lr * gradient",
                "piled = piled + gradient; theta = theta + lr * piled",
            ),
        ],
        "A minibatch takes every M-th sample of the row: its parts are cut one behind the other.": (
            "row.chunk(minibatches)",
            "row.reshape(-1, minibatches).T",
        ),
        "This is the last gradient: the θ after it is asked for.": (
            "return theta.detach()",
            "return gradient",
        ),
        "There is one step a pass, with the last minibatch's gradient: each minibatch has its own. Look at the "
        "indentation.": (
            "            theta = theta + lr * gradient",
            "        theta = theta + lr * gradient",
        ),
    },
)
