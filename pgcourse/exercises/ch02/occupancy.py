"""The occupancy of a finite world."""

import numpy as np

from pgcourse.exercises.ch02._worlds import chain, world
from pgcourse.grading.kinds import Check, implement


def occupancy(transition, pi, start, gamma):
    """d(s) = Σ_t γ^t Pr(s_t = s), term by term, until nothing is left. Sutton et al. (2000)."""
    visits, now = np.zeros_like(start), start
    while now.sum() > 1e-14:
        visits = visits + now
        now = gamma * np.einsum("s,sa,sat->t", now, pi, transition)
    return visits


def drawn(states, actions, gamma, ends=0.0):
    def case(rng):
        some = world(rng, states, actions, ends)
        del some["reward"]
        return {**some, "pi": rng.dirichlet(np.ones(actions), states), "gamma": gamma}

    return case


def two_states(p, q, gamma):
    some = chain()
    return {"transition": some["transition"], "pi": [[1 - p, p], [1 - q, q]], "start": some["start"], "gamma": gamma}


EXERCISE = implement(
    occupancy,
    title="How often is a state visited?",
    goal="Compute the discounted visits to each state, without playing and without an endless sum.",
    minutes=15,
    difficulty=3,
    importance=4,
    hints=[
        "Average the dynamics over the policy's actions first. Visits to s: those at the start, and γ times those that "
        "come from other visited states. Which equation is that?",
        '`P = torch.einsum("sa,sat->st", pi, transition)`, then solve d = ρ₀ + γ Pᵀ d: '
        "`torch.linalg.solve(torch.eye(len(P)) - gamma * P.T, start)`.",
    ],
    checks={
        "values": Check(
            3,
            "d = ρ₀ + γ P_πᵀ d: visits flow from a state to the states after it, so P is transposed.",
            [two_states(0.5, 0.5, 0.9), two_states(0.25, 0.75, 0.5), drawn(3, 2, 0.9), drawn(5, 3, 0.8)],
        ),
        "no discount, or nothing else": Check(
            1,
            "With γ = 0 only the start is counted; with γ = 1 and episodes that end, every visit counts in full.",
            [two_states(0.5, 0.5, 0.0), drawn(4, 2, 0.0, 0.2), drawn(3, 2, 1.0, 0.4), drawn(4, 3, 1.0, 0.2)],
            leaves_input_alone=True,
        ),
        "long runs": Check(
            1,
            "With γ = 0.99 hundreds of terms matter: solve the equation instead of adding them up.",
            [two_states(0.01, 0.02, 0.99), drawn(4, 2, 0.99)],
            tolerance=(1e-3, 1e-3),
            requires="γ may be 0.99",
        ),
    },
    mistakes={
        "P is not transposed: this looks ahead, as a value does. Visits flow from a state to those after it.": (
            "gamma * P.T",
            "gamma * P",
        ),
        "This is normalised: the course's d sums to 1/(1 - γ) where no episode ends.": ("(1 - gamma) * f(*a)"),
        "It is divided by its sum: how many visits there are is part of d.": "f(*a) / f(*a).sum()",
        "γ is missing in the equation: where no episode ends the sum is infinite without it.": ("gamma * P.T", "P.T"),
        "The visit at t = 0 is missing: an episode starts somewhere.": "f(*a) - start",
        "γ is applied once too often: the first visit counts in full.": "gamma * f(*a)",
        "This is how states are after one step, not the sum over all times.": (
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)",
            "gamma * (start @ P)",
        ),
        "The sum is cut off after two steps: it goes on, discounted.": (
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)",
            "start + gamma * (start @ P) + gamma**2 * (start @ P @ P)",
        ),
        "The sum is cut off after 100 terms: with γ = 0.99 a third is still to come.": (
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)",
            "sum(gamma**t * (start @ torch.linalg.matrix_power(P, t)) for t in range(100))",
        ),
        "The policy is ignored: actions are averaged as if all were equally probable.": (
            '"sa,sat->st", pi, transition',
            '"sa,sat->st", torch.ones_like(pi) / pi.shape[1], transition',
        ),
        "Actions are summed without the policy's probabilities.": (
            '"sa,sat->st", pi, transition',
            '"sa,sat->st", torch.ones_like(pi), transition',
        ),
        "Only the most probable action is followed: the policy chooses the others, too.": (
            '"sa,sat->st", pi, transition',
            '"sa,sat->st", torch.nn.functional.one_hot(pi.argmax(1), pi.shape[1]).to(pi.dtype), transition',
        ),
        "The policy's axes are mixed up: π(a|s) goes with the state that is left, not with the one that is reached.": (
            '"sa,sat->st", pi, transition',
            '"ta,sat->st", pi, transition',
        ),
        "Every state starts with the same probability here: the start distribution is given.": (
            "P.T, start)",
            "P.T, torch.ones_like(start) / len(start))",
        ),
        "The sign of γ P is wrong: d - γ Pᵀ d = ρ₀.": (
            "torch.eye(len(start)) - gamma",
            "torch.eye(len(start)) + gamma",
        ),
        "Transitions are read backwards in every action: the middle axis is the action.": (
            '"sa,sat->st", pi, transition',
            '"sa,tas->st", pi, transition',
        ),
        "This multiplies with the matrix where the equation has to be solved.": (
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)",
            "(torch.eye(len(start)) - gamma * P.T) @ start",
        ),
        "The rows of the inverse are added up: this is how long is played from each state, whatever the start. "
        "Weight with ρ₀.": (
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)",
            "torch.linalg.inv(torch.eye(len(start)) - gamma * P).sum(1)",
        ),
        "The inverse is multiplied number by number: a matrix times a vector is `@`.": (
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)",
            "torch.linalg.inv(torch.eye(len(start)) - gamma * P.T) * start",
        ),
        "The sum is cut off after 50 terms: with γ = 0.9 and more, part of it is still to come.": (
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)",
            "sum(gamma**t * (start @ torch.linalg.matrix_power(P, t)) for t in range(50))",
        ),
        "All states get the first one's number.": (
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)",
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)[:1].expand(len(start))",
        ),
        "γ^t is missing in the sum.": (
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)",
            "sum(start @ torch.linalg.matrix_power(P, t) for t in range(200))",
        ),
        "The sum begins after the first step: the start is a visit, too.": (
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start)",
            "torch.linalg.solve(torch.eye(len(start)) - gamma * P.T, start @ P)",
        ),
        "γ is applied twice: each step costs one factor.": ("gamma * P.T", "gamma**2 * P.T"),
        "All visits are added up: one number for each state is asked for.": ("f(*a).sum()"),
        "The rows are divided by their sums: what a row lacks to 1 is the end of the episode.": (
            'P = torch.einsum("sa,sat->st", pi, transition)',
            'P = torch.einsum("sa,sat->st", pi, transition); P = P / P.sum(1, keepdim=True)',
        ),
    },
)
