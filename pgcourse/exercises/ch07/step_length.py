"""The longest step that a KL divergence allows."""

import numpy as np

from pgcourse.grading.kinds import Check, derive


def natural_step(g, fisher, delta):
    """argmax gᵀs with ½ sᵀFs ≤ δ: in the coordinates y = Lᵀs, F = LLᵀ, that is the point of a ball along L⁻¹g.

    Schulman et al. (2015), appendix C, has the same length for conjugate gradients' x.
    """
    root = np.linalg.cholesky(fisher)
    uphill = np.linalg.solve(root, g)
    if not uphill.any():
        return np.zeros_like(g)
    return np.linalg.solve(root.T, np.sqrt(2 * delta) * uphill / np.linalg.norm(uphill))


def drawn(size, low=0.3, high=2.0):
    """A case of a random Fisher matrix with eigenvalues from `low` to `high`."""

    def case(rng):
        turn, _ = np.linalg.qr(rng.normal(size=(size, size)))
        fisher = (turn * np.linspace(low, high, size)) @ turn.T
        return {"g": rng.normal(size=size), "fisher": fisher, "delta": float(rng.uniform(0.01, 0.3))}

    return case


ONE = {"g": [0.25], "fisher": [[0.25]], "delta": 0.01}

EXERCISE = derive(
    natural_step,
    title="How long is a step?",
    goal="Find the step that gains most at a given cost in KL divergence, direction and length.",
    minutes=20,
    difficulty=3,
    importance=5,
    hints=[
        "Maximise gᵀs where ½ sᵀFs = δ. Lagrange: g = λ F s. So which direction? Then put it into the cost to find "
        "its length.",
        "x = F⁻¹g and s = √(2δ / xᵀFx) x, where xᵀFx = gᵀx.",
    ],
    checks={
        "one parameter": Check(
            2,
            "With one parameter only the length is asked for: how long may s be until ½ F s² is δ?",
            [ONE, {"g": [-3], "fisher": [[2]], "delta": 0.04}, drawn(1)],
        ),
        "more parameters": Check(
            3,
            "First the direction, by Lagrange: where is g a multiple of F s? Then its length, from the cost.",
            [{"g": [1, 1], "fisher": [[2, 0], [0, 1]], "delta": 0.03}, drawn(2), drawn(4)],
        ),
        "steep and flat": Check(
            1,
            "The length of g does not matter: F alone says what a step costs.",
            [
                {"g": [1000, 0], "fisher": [[1, 0], [0, 4]], "delta": 0.02},
                {"g": [0.0002, 0], "fisher": [[1, 0], [0, 4]], "delta": 0.02},
                {"g": [1, -1], "fisher": [[2, 0], [0, 1]], "delta": 0.03},
                drawn(3, 0.05, 5.0),
            ],
            tolerance=(1e-3, 1e-4),
            leaves_input_alone=True,
        ),
        "no signal": Check(
            1,
            "Where g is 0 the formula is 0/0: stay where you are. NaN in θ would be the end of the training.",
            [{"g": [0, 0], "fisher": [[2, 0], [0, 1]], "delta": 0.03}],
            requires="where `g` is 0, so is the step",
        ),
    },
    mistakes={
        "The ½ of ½ sᵀFs is missing: with √(δ/xᵀFx) a step costs half of δ.": ("2 * delta", "delta"),
        "The ½ is on the wrong side: √(δ/2 / xᵀFx) costs a quarter of δ.": ("2 * delta", "0.5 * delta"),
        "The square root is missing: the cost grows with the square of the length.": (".sqrt()", ""),
        "The length is upside down.": ("2 * delta / (x @ fisher @ x)", "(x @ fisher @ x) / (2 * delta)"),
        "The length is measured by x·x: a step costs ½ xᵀFx.": ("x @ fisher @ x", "x @ x"),
        "The length is measured by gᵀFg: it belongs to x = F⁻¹g.": ("x @ fisher @ x", "g @ fisher @ g"),
        "This is the plain gradient, of the right cost: the natural one is F⁻¹g.": (
            "x = torch.linalg.solve(fisher, g)",
            "x = g",
        ),
        "The gradient is multiplied by F: it is divided, F⁻¹g.": ("torch.linalg.solve(fisher, g)", "fisher @ g"),
        "Only the diagonal of F is used.": ("torch.linalg.solve(fisher, g)", "g / fisher.diagonal()"),
        "Downhill: J is to rise, so s has the direction of +F⁻¹g.": "-f(*a)",
        "The natural gradient itself, without its length: the cost would grow with the gradient.": (
            "return (2 * delta / (x @ fisher @ x)).sqrt() * x",
            "return x",
        ),
        "A natural gradient with step size δ: its cost is not δ.": (
            "return (2 * delta / (x @ fisher @ x)).sqrt() * x",
            "return delta * x",
        ),
        "This is the length alone: multiply it with x.": (".sqrt() * x", ".sqrt()"),
        "Where g is 0 NaN comes out, such as of 0/0: return 0 there.": (
            "if not g.any():\n        return torch.zeros_like(g)\n    ",
            "",
        ),
        "The length is measured by xᵀF⁻¹x: it is xᵀFx, or gᵀF⁻¹g.": (
            "x @ fisher @ x",
            "x @ torch.linalg.inv(fisher) @ x",
        ),
        "The length is measured by g·g: a step costs ½ xᵀFx.": ("x @ fisher @ x", "g @ g"),
        "δ is squared: the cost is a square of the length already.": ("2 * delta", "2 * delta**2"),
        "The factor is 4 where 2 belongs: ½ sᵀFs = δ.": ("2 * delta", "4 * delta"),
        "Where g is 0 you step all the same: there is nothing to gain, the step is 0.": (
            "return torch.zeros_like(g)",
            "return torch.full_like(g, delta)",
        ),
        "The step has the length δ: its cost has to be δ, ½ sᵀFs.": (
            "(2 * delta / (x @ fisher @ x)).sqrt() * x",
            "delta * x / x.norm()",
        ),
        "The root stands on the wrong side: divide by xᵀFx, do not multiply.": (
            "(2 * delta / (x @ fisher @ x)).sqrt() * x",
            "(2 * delta * (g @ x)).sqrt() * x",
        ),
        "A tenth is added to F's diagonal: F is given, and steep enough.": (
            "torch.linalg.solve(fisher, g)",
            "torch.linalg.solve(fisher + 0.1 * torch.eye(len(g)), g)",
        ),
        "A constant is added to the cost: the step is then too short.": (
            "2 * delta / (x @ fisher @ x)",
            "2 * delta / (x @ fisher @ x + 1e-2)",
        ),
        "An ε under the root shortens the step where g is small: ask whether g is 0 instead.": (
            "2 * delta / (x @ fisher @ x)",
            "2 * delta / (x @ fisher @ x + 1e-8)",
        ),
        "The length is right, but the direction is g: it is F⁻¹g.": (
            "(2 * delta / (x @ fisher @ x)).sqrt() * x",
            "(2 * delta / (x @ fisher @ x)).sqrt() * g",
        ),
        "g·x is averaged: it is the sum of the products.": ("x @ fisher @ x", "(g * x).mean()"),
        "g·x is not summed: each parameter then has a length of its own.": ("x @ fisher @ x", "g * x"),
        "Only the diagonal of F is used, in the length as well.": [
            ("torch.linalg.solve(fisher, g)", "g / fisher.diagonal()"),
            ("x @ fisher @ x", "g @ x"),
        ],
        "A tenth is added to F's diagonal, and counts in the length: F is given, and steep enough.": [
            ("torch.linalg.solve(fisher, g)", "torch.linalg.solve(fisher + 0.1 * torch.eye(len(g)), g)"),
            ("x @ fisher @ x", "g @ x"),
        ],
        "This is the plain gradient, made √(2δ) long: the natural one is F⁻¹g, and ½ sᵀFs is what a step costs.": [
            ("torch.linalg.solve(fisher, g)", "g"),
            ("x @ fisher @ x", "g @ g"),
        ],
        "The gradient is multiplied by F, in the length as well: it is divided, F⁻¹g.": [
            ("torch.linalg.solve(fisher, g)", "fisher @ g"),
            ("x @ fisher @ x", "g @ x"),
        ],
        "A small gradient is taken for none: its length does not matter.": ("if not g.any():", "if g.norm() < 1e-2:"),
        "g is 0 where each component is: these only add up to 0.": ("if not g.any():", "if g.sum() == 0:"),
        "The factor is cut off at 1: a step has to cost δ, however short F⁻¹g is.": (
            "(2 * delta / (x @ fisher @ x)).sqrt() * x",
            "(2 * delta / (x @ fisher @ x)).sqrt().clamp(max=1.0) * x",
        ),
        "√δ times F⁻¹g: its cost is not δ.": ("(2 * delta / (x @ fisher @ x)).sqrt() * x", "delta**0.5 * x"),
        "The root covers 2δ only: √(2δ / gᵀx).": (
            "(2 * delta / (x @ fisher @ x)).sqrt()",
            "(2 * delta) ** 0.5 / (x @ fisher @ x)",
        ),
        "The direction is F g, although the length is that of F⁻¹g: divide by F.": (
            "(2 * delta / (x @ fisher @ x)).sqrt() * x",
            "(2 * delta / (x @ fisher @ x)).sqrt() * (fisher @ g)",
        ),
    },
)
