"""What a wrong critic does to the gradient."""

import numpy as np

from pgcourse.grading.kinds import Check, derive


def critic_bias(pi, transition, d, error, gamma, lam):
    """E[Σ_t γ^t Â^λ_t ∇log π(a_t|s_t)] with u = v_π + e, minus ∇J: by adding up expected residuals, l = 0, 1, ….

    Rewards are invented: the bias does not depend on them. Schulman et al. (2016), section 3, has the estimator.
    """
    reward = np.random.default_rng(0).normal(size=pi.shape)
    follow = np.einsum("sa,sat->st", pi, transition)  # P_π
    v = np.linalg.solve(np.eye(len(d)) - gamma * follow, (pi * reward).sum(1))
    u = v + error
    residual = reward + gamma * transition @ u - u[:, None]  # E[δ_t | s, a]
    later, advantage = (pi * residual).sum(1), residual.copy()  # E[δ_{t+l} | s_{t+1}], of l = 1 and on
    for step in range(1, 400):
        advantage += (gamma * lam) ** step * transition @ later
        later = follow @ later
    true = reward + gamma * transition @ v - v[:, None]
    score = np.eye(pi.shape[1]) - pi[:, None]  # ∂ log π(a|s) / ∂θ_{s,b}, [s, a, b]
    return np.einsum("s,sa,sab->sb", d, pi, np.array([(advantage - true)[:, :, None] * score])[0])


def drawn(ends=0.1, gamma=0.9, lam=(0.3, 0.9), error=None):
    """A case of a random MDP whose every step ends the episode with the probability `ends`, and a random policy."""

    def case(rng):
        pi, transition = rng.dirichlet(np.ones(3), 4), (1 - ends) * rng.dirichlet(np.ones(4), (4, 3))
        d = np.linalg.solve(np.eye(4) - gamma * np.einsum("sa,sat->ts", pi, transition), rng.dirichlet(np.ones(4)))
        e = rng.normal(size=4) if error is None else np.full(4, error)
        numbers = {"gamma": gamma, "lam": float(rng.uniform(*lam))}
        return {"pi": pi, "transition": transition, "d": d, "error": e, **numbers}

    return case


def fork(lam=0.0):
    """The chapter's example: left leads to X, right to Y, both worth 1, and the critic is 2 too high in Y."""
    transition = np.zeros((3, 2, 3))
    transition[0, 0, 1] = transition[0, 1, 2] = 1.0
    numbers = {"error": [0, 0, 2], "gamma": 0.9, "lam": lam}
    return {"pi": np.full((3, 2), 0.5), "transition": transition, "d": [1, 0.45, 0.45], **numbers}


EXERCISE = derive(
    critic_bias,
    title="What a wrong critic costs",
    goal="Compute exactly how far GAE's expected gradient is off when the critic's error is known.",
    minutes=30,
    difficulty=4,
    importance=3,
    hints=[
        "First λ = 0: of E[δ | s, a] which part is the advantage, which a baseline, and which stays? For λ > 0 the "
        "errors of later residuals partly cancel it.",
        "x(s, a) = γ(1-λ) Σ_s' P(s'|s,a) [(I - γλ P_π)⁻¹ e](s') with P_π = Σ_a π P. The answer is "
        "d(s) π(b|s) (x(s, b) - Σ_a π(a|s) x(s, a)).",
    ],
    checks={
        "TD": Check(
            2,
            "λ = 0: put u = v + e into E[δ | s, a]. Which part of the error depends on the action?",
            [fork(), drawn(lam=(0, 0)), drawn(0.3, 0.7, (0, 0))],
        ),
        "between": Check(
            3,
            "For λ > 0 sum the errors of all later residuals: a geometric series in γλ P_π, and 1 - λ stays in front.",
            [fork(0.5), drawn(), drawn(0.3, 0.7)],
            tolerance=(2e-4, 2e-5),
        ),
        "no bias": Check(
            1,
            "λ = 1 with whole episodes has no bias; neither has an error that is alike everywhere, if all actions end "
            "the episode with the same probability.",
            [drawn(lam=(1, 1)), drawn(0.1, 0.9, (0.3, 0.9), 5.0)],
            tolerance=(1e-4, 1e-4),
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "γ is missing: the error of the successor is discounted.": ("gamma * (1 - lam)", "(1 - lam)"),
        "1 - λ is missing: most of one residual's error is taken away by the next one.": ("gamma * (1 - lam)", "gamma"),
        "This is TD's bias for every λ.": ("f(*a[:-1], 0.0)"),
        "1 - λ is right, but the sum over later steps is missing: (I - γλ P_π)⁻¹ e.": (
            "torch.linalg.solve(system, error)",
            "error",
        ),
        "γλ in the series has lost its λ: (I - γλ P_π)⁻¹.": ("- gamma * lam * follow", "- gamma * follow"),
        "γλ in the series has lost its γ: (I - γλ P_π)⁻¹.": ("- gamma * lam * follow", "- lam * follow"),
        "P_π is transposed in the series: row s holds what follows s.": ("lam * follow", "lam * follow.T"),
        "P_π is a plain mean over actions: weight them with π(a|s).": (
            'torch.einsum("sa,sat->st", pi, transition)',
            "transition.mean(1)",
        ),
        "The mean over actions is not taken away: ∂π(a|s)/∂θ_{s,b} = π(b|s) (1[a=b] - π(a|s)).": (
            " - (pi * x).sum(1, keepdim=True)",
            "",
        ),
        "The mean over actions is a plain one: weight it with π(a|s).": (
            "(pi * x).sum(1, keepdim=True)",
            "x.mean(1, keepdim=True)",
        ),
        "π(b|s) is missing in front: it is the gradient of π, not of log π.": ("* pi * (x", "* (x"),
        "The states are not weighted with d_π(s).": ("d.unsqueeze(1) * pi", "pi"),
        "d_π is divided by its sum here: in this course occupancies are not normalised.": (
            "d.unsqueeze(1)",
            "(d / d.sum()).unsqueeze(1)",
        ),
        "Sign flipped? The bias is what the estimator gives minus the truth.": "-f(*a)",
        "The error of the state itself stays in: it is the same for all actions, a baseline, and drops out.": (
            "d.unsqueeze(1) * pi * (x - (pi * x).sum(1, keepdim=True))",
            "d.unsqueeze(1) * pi * (x - error.unsqueeze(1))",
        ),
        "This is the squared bias.": "f(*a).square()",
        "λ stands in the place of 1 - λ: with λ = 1 no critic is asked, and there is no bias.": (
            "gamma * (1 - lam)",
            "gamma * lam",
        ),
        "This is zero: a wrong critic bends the gradient unless its error is the same for all successors.": (
            "d.unsqueeze(1) * pi * (x - (pi * x).sum(1, keepdim=True))",
            "0 * d.unsqueeze(1) * pi",
        ),
        "π (1 - π) x is the part of the own x only: other actions' x count, too.": (
            "d.unsqueeze(1) * pi * (x - (pi * x).sum(1, keepdim=True))",
            "d.unsqueeze(1) * pi * (1 - pi) * x",
        ),
        "1 - γλ stands in the place of 1 - λ.": ("gamma * (1 - lam)", "gamma * (1 - gamma * lam)"),
        "The policy's axes are mixed up: π(a|s) goes with the state that is left.": ("sa,sat->st", "ta,sat->st"),
        "1 - λ stands in the series in the place of λ.": ("gamma * lam * follow", "gamma * (1 - lam) * follow"),
        "The mean over actions is added: it is taken away.": ("(x - (pi * x)", "(x + (pi * x)"),
        "1 + λ stands in the place of 1 - λ: each residual takes the error of its own state away again.": (
            "gamma * (1 - lam)",
            "gamma * (1 + lam)",
        ),
        "The series has the wrong sign: it is (I - γλ P_π)⁻¹.": ("- gamma * lam * follow", "+ gamma * lam * follow"),
        "The plain sum over actions is taken away: it is their mean under π(a|s).": (
            "(pi * x).sum(1, keepdim=True)",
            "x.sum(1, keepdim=True)",
        ),
        "The mean runs over the states: it is over the actions of each state.": (
            "(pi * x).sum(1, keepdim=True)",
            "(pi * x).sum(0, keepdim=True)",
        ),
        "d_π is multiplied by 1 - γ here: in this course occupancies are not normalised.": (
            "d.unsqueeze(1)",
            "(1 - gamma) * d.unsqueeze(1)",
        ),
        "The series starts too late: the error of the next state itself, with l = 0, belongs to it.": (
            "torch.linalg.solve(system, error)",
            "(torch.linalg.solve(system, error) - error)",
        ),
        "The rows of P are made to sum to 1: what is missing is the end of the episode, where the error is 0.": (
            "gamma * (1 - lam) * transition",
            "gamma * (1 - lam) * (transition / transition.sum(-1, keepdim=True).clamp_min(1e-9))",
        ),
        "π is squared: it comes in once, from ∇π = π ∇log π.": (
            "d.unsqueeze(1) * pi * (x - (pi * x).sum(1, keepdim=True))",
            "d.unsqueeze(1) * pi.square() * (x - (pi * x).sum(1, keepdim=True))",
        ),
        "The states are summed: θ has one entry for each state and action.": (
            "d.unsqueeze(1) * pi * (x - (pi * x).sum(1, keepdim=True))",
            "(d.unsqueeze(1) * pi * (x - (pi * x).sum(1, keepdim=True))).sum(0)",
        ),
    },
)
