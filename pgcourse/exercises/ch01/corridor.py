"""The corridor whose wall hurts."""

import numpy as np
from scipy import optimize

from pgcourse.grading.kinds import Check, derive


def corridor(p, bump):
    """J(p) by solving the three equations of v, and the p of the largest J by search. Sutton & Barto (2018), 13.1."""

    def value(p):
        matrix = np.array([[p, -p, 0], [-p, 1, p - 1], [0, p - 1, 1]])  # (I - P) v = r
        return np.linalg.solve(matrix, [-1 - (1 - p) * bump, -1, -1])[0]

    best = optimize.minimize_scalar(
        lambda p: -value(p), bounds=(1e-6, 1 - 1e-6), method="bounded", options={"xatol": 1e-9}
    )
    return [np.array([value(one) for one in p]), best.x]


def drawn(low, high):
    return lambda rng: {"p": rng.uniform(0.05, 0.95, 5), "bump": float(rng.uniform(low, high))}


J, BEST = "f(p, bump)[0]", "f(p, bump)[1]"
EXERCISE = derive(
    corridor,
    title="The corridor whose wall hurts",
    goal="Set up and solve the equations of a value on paper, and find the best policy among those that see nothing.",
    minutes=25,
    difficulty=3,
    importance=3,
    hints=[
        "Write v₁, v₂ and v₃ as in the chapter. Which of the three gets the new cost, and with which probability?",
        "v₁ = -1 - (1-p)c + p v₂ + (1-p) v₁, the others as before. J = -(2-p)(2 + c(1-p)) / (p(1-p)), which is "
        "c - (4+2c)/p - 2/(1-p). And A/p + B/(1-p) is smallest where (1-p)/p = √(B/A).",
    ],
    checks={
        "the chapter's corridor": Check(
            1,
            "With c = 0 nothing has changed: J = -2 (2-p) / (p (1-p)).",
            [{"p": [0.5], "bump": 0.0}, drawn(0, 0)],
            through=J,
        ),
        "a wall that hurts": Check(
            3,
            "Each visit to cell 1 bumps with probability 1 - p. How often is cell 1 visited?",
            [{"p": [0.5], "bump": 1.0}, {"p": [0.25, 0.75], "bump": 2.0}, drawn(0.5, 3), drawn(3, 10)],
            through=J,
        ),
        "the best policy": Check(
            2,
            "Set the derivative of J by p to zero. For c = 0 it must be 2 - √2, about 0.586.",
            [{"p": [0.5], "bump": 0.0}, {"p": [0.5], "bump": 7.0}, drawn(0.5, 3), drawn(10, 50)],
            through=BEST,
            tolerance=(1e-3, 1e-3),
            requires="three digits of the best p are enough",
        ),
    },
    mistakes={
        "The bump is paid in every step: it costs c only when going left in cell 1.": (
            "(2 + bump * (1 - p))",
            "(2 + 2 * bump)",
        ),
        "The bump is paid on every visit to cell 1: going right there costs nothing extra.": (
            "(2 + bump * (1 - p))",
            "(2 + bump)",
        ),
        "The bump costs with probability p: the wall is to the left, and left has the probability 1 - p.": (
            "(2 + bump * (1 - p))",
            "(2 + bump * p)",
        ),
        "The bump is paid once in an episode: it costs c each time, and cell 1 is visited often.": (
            "-(2 - p) * (2 + bump * (1 - p)) / (p * (1 - p))",
            "-(2 - p) * 2 / (p * (1 - p)) - bump * (1 - p)",
        ),
        "The bump is paid in the place of the step's cost: this step costs 1 + c.": (
            "2 + bump * (1 - p)",
            "2 + (bump - 1) * (1 - p)",
        ),
        "Bumps are counted until cell 1 is left for the first time: from cell 2 “right” leads back to it.": (
            "-(2 - p) * (2 + bump * (1 - p)) / (p * (1 - p))",
            "-(2 - p) * 2 / (p * (1 - p)) - bump * (1 - p) / p",
        ),
        "J does not contain the bump.": ("(2 + bump * (1 - p))", "2"),
        "Hurt is a cost: J falls with c.": ("2 + bump * (1 - p)", "2 - bump * (1 - p)"),
        "Sign flipped? Every step costs 1, so J is negative.": "(-f(*a)[0], f(*a)[1])",
        "p and 1 - p are exchanged: p is the probability of right.": "(f(1 - p, bump)[0], 1 - f(*a)[1])",
        "This is v₂: every episode starts in cell 1.": (
            "value = -(2 - p) * (2 + bump * (1 - p)) / (p * (1 - p))",
            "value = -(2 + bump * (1 - p)) / p / (1 - p)",
        ),
        "Cell 2 is not switched here: there, left leads to 3 and right to 1.": (
            "value = -(2 - p) * (2 + bump * (1 - p)) / (p * (1 - p))",
            "value = -torch.stack([torch.linalg.solve(torch.stack([torch.stack([x, -x, 0 * x]), "
            "torch.stack([x - 1, 0 * x + 1, -x]), torch.stack([0 * x, x - 1, 0 * x + 1])]), "
            "torch.stack([1 + (1 - x) * bump, 0 * x + 1, 0 * x + 1]))[0] for x in p])",
        ),
        "The best p is that of a wall that does not hurt: with c it moves towards right.": (
            "root = (2 + bump) ** 0.5",
            "root = 2**0.5",
        ),
        "The square root is missing: (1-p)/p = √(B/A) where A/p + B/(1-p) is smallest.": (
            "root = (2 + bump) ** 0.5",
            "root = 2 + bump",
        ),
        "This is the probability of left at the best policy: asked is p, that of right.": (
            "root / (1 + root)",
            "1 / (1 + root)",
        ),
        "The bump counts twice: it costs c each time that the wall is run into.": (
            "2 + bump * (1 - p)",
            "2 + 2 * bump * (1 - p)",
        ),
        "The pair is in the other order: J first, then the best p.": (
            "return value, root / (1 + root)",
            "return root / (1 + root), value",
        ),
        "The second is the best J: asked is the p at which it is reached.": (
            "return value, root / (1 + root)",
            "return value, value.max()",
        ),
        "The best of the given points is no maximum: the derivative is 0 in between.": (
            "return value, root / (1 + root)",
            "return value, p[value.argmax()]",
        ),
        "p = ½ is not the best: it is where the walk has no direction.": (
            "return value, root / (1 + root)",
            "return value, 0.5",
        ),
        "The factor 1 - p is missing in the denominator: both p near 0 and p near 1 never arrive.": (
            "(p * (1 - p))",
            "p",
        ),
        "p and 1 - p are exchanged in the numerator: it is 2 - p.": ("(2 - p)", "(1 + p)"),
        "Only J is returned: the best p is asked for, too.": ("return value, root / (1 + root)", "return value"),
        "One step's cost is missing: also the last step, out of cell 3, costs 1.": (
            "return value, root / (1 + root)",
            "return value + 1, root / (1 + root)",
        ),
        "Your p has p/(1-p) = √(1 + c). Set dJ/dp to zero once more: for c = 0 the ratio must be √2.": (
            "(2 + bump) ** 0.5",
            "(1 + bump) ** 0.5",
        ),
        "Right and left are exchanged: p is the probability of right.": ("f(1 - p, bump)"),
    },
)
