"""Conjugate gradients."""

import numpy as np

from pgcourse.grading.kinds import Check, code, implement


def conjugate_gradient(product, b, steps):
    """x_k with ½xᵀAx - bᵀx least among the combinations of b, Ab, …, A^(k-1) b, row by row. Hestenes & Stiefel (1952).

    By solving for the minimum in an orthonormal basis of that space; no recursion.
    """
    matrix = np.stack([product(e) for e in np.eye(b.shape[-1])], -1)
    return np.stack([_best(matrix, row, steps) for row in b.reshape(-1, b.shape[-1])]).reshape(b.shape)


def _best(matrix, b, steps):
    basis = np.zeros((len(b), 0))
    vector = b
    for _ in range(min(steps, len(b))):
        for _ in range(2):
            vector = vector - basis @ (basis.T @ vector)
        if np.linalg.norm(vector) < 1e-9 * max(float(np.linalg.norm(b)), 1e-300):
            break
        basis = np.column_stack([basis, vector / np.linalg.norm(vector)])
        vector = matrix @ basis[:, -1]
    return basis @ np.linalg.solve(basis.T @ matrix @ basis, basis.T @ b) if basis.size else np.zeros_like(b)


def system(matrix, b, steps):
    return {"product": code("lambda v: v @ A", A=matrix), "b": b, "steps": steps}


def drawn(size, steps, rows=1, zero=False):
    """A case of a random symmetric matrix with eigenvalues from 0.5 to 4."""

    def case(rng):
        turn, _ = np.linalg.qr(rng.normal(size=(size, size)))
        b = rng.normal(size=(rows, size))
        if zero:
            b[0] = 0.0
        return system((turn * np.linspace(0.5, 4.0, size)) @ turn.T, b, steps)

    return case


EXERCISE = implement(
    conjugate_gradient,
    title="Conjugate gradients",
    goal="Solve A x = b with a few products A v, for many right-hand sides at once, and stop where nothing is left "
    "to do.",
    minutes=25,
    difficulty=3,
    importance=4,
    hints=[
        "Start with x = 0, residual = direction = b. How far along the direction is the minimum? Which new direction "
        "does not undo the step, pᵀA p' = 0?",
        "length = r·r / p·Ap; x += length p; r -= length Ap; p = r + (new r·r / old r·r) p. All dots row by row "
        "(`sum(-1, keepdim=True)`), and where the denominator is 0, the number is 0.",
    ],
    checks={
        "two steps by hand": Check(
            1,
            "With A = diag(2, 1) and b = (1, 1) the first step leads to (2/3, 2/3), the second to (1/2, 1).",
            [
                system([[2, 0], [0, 1]], [[1, 1]], 1),
                system([[2, 0], [0, 1]], [[1, 1]], 2),
                system([[2, 0], [0, 1]], [[1e-3, 1e-3]], 2),  # a small b is no small residual
            ],
            tolerance=(1e-3, 2e-5),
        ),
        "values": Check(
            2,
            "After as many steps as there are unknowns A x = b.",
            [drawn(3, 3), drawn(5, 5)],
            tolerance=(1e-3, 1e-4),
        ),
        "early": Check(
            2,
            "After k steps x is the best point of all combinations of b, Ab, …: each direction is conjugate to the "
            "earlier ones.",
            [drawn(4, 1), drawn(5, 2), drawn(6, 3)],
            tolerance=(1e-3, 1e-4),
        ),
        "nothing left": Check(
            2,
            "Where the residual is 0 the next length is 0/0: stay there.",
            [
                system([[2, 0], [0, 2]], [[1, 1]], 5),
                system([[2, 0], [0, 1]], [[0, 0]], 3),
                drawn(3, 8),
                drawn(4, 3, 3, zero=True),
                system([[2, 0], [0, 1]], [[1, 1]], 0),
            ],
            tolerance=(1e-3, 1e-4),
            requires="b may be 0, and `steps` may be 0 or more than there are unknowns",
        ),
        "row by row": Check(
            2,
            "Each row of b is a problem of its own, such as a seed's: dot products over the last axis, `keepdim=True`.",
            [drawn(4, 2, 3), drawn(4, 4, 4), drawn(4, 3, 4)],
            tolerance=(1e-3, 1e-4),
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "This is steepest descent: the next direction must also hold β times the last one.": (
            "residual + ratio(new, square) * direction",
            "residual",
        ),
        "β is upside down: new r·r over old r·r.": ("ratio(new, square)", "ratio(square, new)"),
        "β is negative: add the last direction, do not take it away.": (
            "residual + ratio(new, square)",
            "residual - ratio(new, square)",
        ),
        "The next direction starts at the old one, not at the residual.": (
            "residual + ratio(new, square) * direction",
            "direction + ratio(new, square) * residual",
        ),
        "β is the ratio of lengths: it is that of their squares.": (
            "ratio(new, square) *",
            "ratio(new, square).sqrt() *",
        ),
        "The length has p·p below: it is p·Ap.": (
            "ratio(square, dot(direction, image))",
            "ratio(square, dot(direction, direction))",
        ),
        "The length is upside down: r·r over p·Ap.": (
            "ratio(square, dot(direction, image))",
            "ratio(dot(direction, image), square)",
        ),
        "The length is halved.": ("ratio(square, dot(direction, image))", "0.5 * ratio(square, dot(direction, image))"),
        "The residual loses the direction: it loses A times the direction.": (
            "residual - length * image",
            "residual - length * direction",
        ),
        "The residual grows: x has moved, so b - Ax loses length · A p.": (
            "residual - length * image",
            "residual + length * image",
        ),
        "One step too few.": ("range(steps)", "range(steps - 1)"),
        "One step too many.": ("range(steps)", "range(steps + 1)"),
        "x starts at b: the first residual is then b - Ab.": ("torch.zeros_like(b)", "b"),
        "0/0 is NaN: where the residual is 0 stay where you are.": (
            "torch.where(below == 0, 0.0, above / below)",
            "above / below",
        ),
        "All rows share one length: dot products are over the last axis only.": (
            "(a * b).sum(-1, keepdim=True)",
            "(a * b).sum()",
        ),
        "All steps are taken, whatever `steps` says.": "f(product, b, 50)",
        "This is the residual, not x.": ("return x", "return residual"),
        "Sign flipped? A x = b, not -b.": "-f(*a)",
        "The gradient b itself is no solution.": "b",
        "x moves along the residual: it moves along the direction.": ("length * direction", "length * residual"),
        "The first r·r is used in every step: keep the new one.": ("        square = new\n", ""),
        "At least one step is taken: `steps` may be 0.": ("range(steps)", "range(max(steps, 1))"),
        "The length has Ap·Ap below: it is p·Ap.": ("dot(direction, image)", "dot(image, image)"),
        "A constant is added to every divisor: the steps are then too short.": (
            "torch.where(below == 0, 0.0, above / below)",
            "above / (below + 1e-2)",
        ),
        "The residual starts again from b: it is the last one less length · A p.": (
            "residual = residual - length * image",
            "residual = b - length * image",
        ),
        "Dot products run over the rows: each row is a problem of its own, its parameters are the last axis.": (
            "sum(-1, keepdim=True)",
            "sum(0, keepdim=True)",
        ),
        "The length is a constant: that is gradient descent with a fixed step size.": (
            "length = ratio(square, dot(direction, image))",
            "length = 0.1",
        ),
        "The steps stop too early: a residual of 0.1 is not yet 0.": (
            "torch.where(below == 0, 0.0, above / below)",
            "torch.where(above > 1e-2, above / below, 0.0)",
        ),
        "The steps stop too early: where b is small, a residual of 0.001 is not small. Ask whether it is 0.": (
            "torch.where(below == 0, 0.0, above / below)",
            "torch.where(above > 1e-6, above / below, 0.0)",
        ),
        "A constant of 1e-6 is added to every divisor: where b is small, that is not small. Ask whether it is 0.": (
            "torch.where(below == 0, 0.0, above / below)",
            "above / (below + 1e-6)",
        ),
        "The residual starts at b - Ab: x starts at 0, so it is b.": [
            ("torch.zeros_like(b), b, b", "torch.zeros_like(b), b - product(b), b"),
            ("square = dot(b, b)", "square = dot(residual, residual)"),
        ],
        "The length is missing where x moves.": ("x + length * direction", "x + direction"),
        "x is overwritten: each step is added to it.": ("x = x + length", "x = length"),
        "The length is missing in the residual.": ("residual - length * image", "residual - image"),
        "β is 1: it is new r·r over old r·r. Is the old one overwritten before it is used?": (
            "ratio(new, square) * direction",
            "ratio(new, new) * direction",
        ),
        "The direction never changes.": ("direction = residual + ratio(new, square) * direction", "pass"),
        "This is the direction, not x.": ("return x", "return direction"),
        "One row that is done stops them all: the others still have work to do.": (
            "image = product(direction)",
            "if (square < 1e-12).any():\n            break\n        image = product(direction)",
        ),
        "A is applied to the residual: it is applied to the direction.": ("product(direction)", "product(residual)"),
        "The old r·r is a sum over all rows: each row has its own.": [
            ("square = dot(b, b)", "square = (b * b).sum()"),
            ("square = new", "square = (residual * residual).sum()"),
        ],
        "The old r·r is a mean, and all else a sum: then they do not cancel.": [
            ("square = dot(b, b)", "square = (b * b).mean(-1, keepdim=True)"),
            ("square = new", "square = (residual * residual).mean(-1, keepdim=True)"),
        ],
        "An in-place step changes `b` and the direction, too: all three are one tensor. Clone, or write a new one.": (
            "residual = residual - length * image",
            "residual -= length * image",
        ),
        "Residual and direction are one tensor: `r -= …` changes the direction, too. Write `r = r - …`, or clone "
        "both.": [
            ("torch.zeros_like(b), b, b", "torch.zeros_like(b), *[b.clone()] * 2"),
            ("residual = residual - length * image", "residual -= length * image"),
        ],
    },
)
