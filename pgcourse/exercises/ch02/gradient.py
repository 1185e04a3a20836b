"""The policy gradient of a table, exactly."""

import torch

from pgcourse.exercises.ch02._worlds import chain, world
from pgcourse.grading.kinds import Check, derive


def policy_gradient(transition, reward, start, theta, gamma):
    """∇J by differentiating J = ρ₀ᵀ (I - γ P_π)⁻¹ r_π automatically: no theorem is used."""
    transition, reward, start = map(torch.from_numpy, (transition, reward, start))
    theta = torch.from_numpy(theta).requires_grad_()
    pi = theta.softmax(1)
    P, r = torch.einsum("sa,sat->st", pi, transition), (pi * reward).sum(1)
    J = start @ torch.linalg.solve(torch.eye(len(r), dtype=r.dtype) - gamma * P, r)
    return torch.autograd.grad(J, theta)[0].numpy()


def drawn(states, actions, gamma, ends=0.0, confident=1.0):
    """A case; with `confident` > 1 a policy that is nearly certain."""

    def case(rng):
        theta = confident * rng.normal(size=(states, actions))
        return {**world(rng, states, actions, ends), "theta": theta, "gamma": gamma}

    return case


CLOSE = (1e-3, 1e-4)
EXERCISE = derive(
    policy_gradient,
    title="The gradient of a table",
    goal="Put the theorem together for a softmax table: visits, probabilities, advantages.",
    minutes=20,
    difficulty=3,
    importance=5,
    hints=[
        "You need d_π, v_π, q_π and A_π. Two of them are solutions of linear equations, with the same matrix and its "
        "transpose.",
        "v = solve(I - γP, r_π), q = r + γ `transition @ v`, A = q - v[:, None], d = solve((I - γP)ᵀ, ρ₀); the "
        "gradient is d[:, None] π A.",
    ],
    checks={
        "values": Check(
            4,
            "∂J/∂θ_{s,a} = d_π(s) π(a|s) A_π(s,a).",
            [
                {**chain(), "theta": [[0, 0], [0, 0]], "gamma": 0.9},
                {**chain(), "theta": [[0, 1], [0.5, 0]], "gamma": 0.5},
                drawn(3, 2, 0.9),
                drawn(5, 4, 0.8),
            ],
            tolerance=CLOSE,
        ),
        "episodes that end": Check(
            1,
            "With γ = 0 only the own reward counts. With γ = 1 and ends all of it does: divide nothing by 1 - γ.",
            [drawn(3, 2, 0.0), drawn(3, 3, 0.9, 0.3), drawn(4, 2, 1.0, 0.4)],
            tolerance=CLOSE,
            leaves_input_alone=True,
        ),
        "a confident policy": Check(
            1,
            "The formula has the factor π(a|s): where an action is hardly tried, its slope is hardly there.",
            [drawn(3, 3, 0.9, 0.0, 4.0), drawn(4, 2, 0.9, 0.1, 4.0)],
            tolerance=CLOSE,
        ),
    },
    mistakes={
        "This weights with q, not with the advantage: the score is 1 - π at the action and -π at the others, and the "
        "second half subtracts v.": ("pi * A", "pi * q"),
        "What comes next is forgotten, or averaged over the actions, `P @ v`, where it belongs to this one: "
        "`transition @ v`.": (
            "A = q - v[:, None]",
            "A = reward - r[:, None]",
        ),
        "The visits are missing: a state counts as often as it is visited.": ("d[:, None] * pi", "pi"),
        "The probability is missing: this is d A.": ("d[:, None] * pi", "d[:, None]"),
        "Sign flipped? This points downhill.": "-f(*a)",
        "Visits look ahead here: for d the matrix is transposed.": ("inverse.T @ start", "inverse @ start"),
        "The visits are normalised: then the factor 1/(1 - γ) is missing.": (
            "inverse.T @ start",
            "(1 - gamma) * inverse.T @ start",
        ),
        "γ is applied once too often: the first visit counts in full.": "gamma * f(*a)",
        "γ is missing in q = r + γ Σ P v: what comes later counts less.": ("reward + gamma * ", "reward + "),
        "The own reward is missing in q.": ("reward + gamma * ", "gamma * "),
        "The score of the action alone, π (1 - π) q: taking one action less often makes the others more probable.": (
            "pi * A",
            "pi * (1 - pi) * q",
        ),
        "A factor 1 - π too many: d π A has the whole score in it.": ("pi * A", "pi * (1 - pi) * A"),
        "The baseline is the mean of q over actions as if all were equally probable: v weights with π.": (
            "v[:, None]",
            "q.mean(1, keepdim=True)",
        ),
        "The baseline is the best action's value: v is the policy's average.": (
            "v[:, None]",
            "q.amax(1, keepdim=True)",
        ),
        "[S] against [S, A] pairs d with the actions: give it a second axis, `d[:, None]`.": (
            "d[:, None] * pi",
            "d * pi",
        ),
        "The start distribution stands in the place of the visits: later states count, too.": (
            "inverse.T @ start",
            "start",
        ),
        "v of the state that is left stands in q: it is that of the next states, P v.": (
            "gamma * transition @ v",
            "gamma * v[:, None]",
        ),
        "q is the reward alone: what follows, γ Σ P v, is missing.": ("reward + gamma * transition @ v", "reward"),
        "γ is missing in the values and visits: where no episode ends, the matrix cannot be inverted.": (
            "torch.eye(len(r)) - gamma * P",
            "torch.eye(len(r)) - P",
        ),
        "The softmax runs over the states: the actions are the second axis.": ("theta.softmax(1)", "theta.softmax(0)"),
        "`sigmoid` looks at each logit alone: the probabilities of a state do not add up to 1.": (
            "theta.softmax(1)",
            "theta.sigmoid()",
        ),
        "The actions are summed: one number for each state and action is asked for. (The sum is 0.)": (
            "d[:, None] * pi * A",
            "d[:, None] * (pi * A).sum(1, keepdim=True)",
        ),
        "It is divided by all visits: the slope of J has them in full.": (
            "d[:, None] * pi * A",
            "d[:, None] * pi * A / d.sum()",
        ),
        "[S, A] minus [S] pairs v with the actions: give it a second axis, `v[:, None]`.": (
            "A = q - v[:, None]",
            "A = q - v",
        ),
        "The policy's reward is the mean over actions as if all were equally probable: weight with π.": (
            "(pi * reward).sum(1)",
            "reward.mean(1)",
        ),
        "1 - π stands in the place of π.": ("d[:, None] * pi * A", "d[:, None] * (1 - pi) * A"),
        "Log-probabilities stand in the place of probabilities.": ("theta.softmax(1)", "theta.log_softmax(1)"),
        "It is divided by the number of states: J is weighted with the start distribution, not a mean over states.": (
            "f(*a) / theta.shape[0]"
        ),
    },
)
