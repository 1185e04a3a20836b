"""How fast does the error of an estimate fall?"""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def error_slope(estimates, truth, sizes):
    """Slope of log RMS error against log n. Of independent unbiased estimates it is -1/2 (standard error σ/√n)."""
    errors = []
    for n in sizes:
        off = estimates[:, :n].mean(1) - truth
        errors.append(np.sqrt(np.mean(np.sum(off * off, 1))))
    return np.polyfit(np.log(sizes), np.log(errors), 1)[0]


SIZES = np.array([1, 4, 16, 64])


def drawn(repetitions, parameters, bias=0.0, sizes=SIZES):
    """A case: noise of unequal size around a truth, and what the estimator is off by on average."""

    def case(rng):
        truth, scale = rng.normal(0, 2, parameters), rng.uniform(0.5, 2, parameters)
        noise = scale * rng.normal(size=(repetitions, int(sizes.max()), parameters))
        return {"estimates": truth + bias * scale + noise, "truth": truth, "sizes": sizes}

    return case


EXERCISE = implement(
    error_slope,
    title="One over the root of n",
    goal="Test an estimator by how its error falls: chance falls with slope -½, a mistake does not fall.",
    minutes=15,
    difficulty=3,
    importance=4,
    hints=[
        "For one n: the mean of the first n episodes, for each repetition. How far is it from the truth, as one number "
        "for all repetitions?",
        "error = (means - truth).square().sum(1).mean().sqrt(). With x = log n and y = log error, both minus their "
        "means, the slope is Σ x y / Σ x².",
    ],
    checks={
        "two sizes": Check(
            2,
            "Two errors at two sizes are two points on logarithmic axes, and a slope.",
            [
                {"estimates": [[[4], [0]], [[-4], [0]]], "truth": [0], "sizes": np.array([1, 2])},
                {"estimates": [[[4], [0]], [[-2], [0]]], "truth": [0], "sizes": np.array([1, 2])},
                {"estimates": [[[5], [2]], [[-1], [2]]], "truth": [1], "sizes": np.array([1, 2])},
            ],
        ),
        "a good estimator": Check(
            2,
            "Mean over episodes first, then the distance to the truth, its root mean square, and a straight line.",
            [drawn(50, 1), drawn(200, 4), drawn(100, 3, sizes=np.array([2, 8, 50, 64]))],
            tolerance=(1e-3, 1e-3),
        ),
        "a biased estimator": Check(
            1,
            "The distance to the truth, not to the estimator's own mean, which no bias would show.",
            [drawn(50, 2, 1.0), drawn(100, 3, -3.0, np.array([1, 2, 8, 64]))],
            tolerance=(1e-3, 1e-3),
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "This is the slope of the squared error, twice as steep: take the root.": "2 * f(*a)",
        "Sign flipped? The error falls, so the slope is negative.": "-f(*a)",
        "The error is regressed the wrong way round: this is how log n changes with log error.": (
            "(x @ y) / (x @ x)",
            "(x @ y) / (y @ y)",
        ),
        "n is not on a logarithmic axis.": ("sizes.to(estimates.dtype).log()", "sizes.to(estimates.dtype)"),
        "The error is not on a logarithmic axis.": ("torch.stack(errors).log()", "torch.stack(errors)"),
        "The two axes have different logarithms, base 10 and e: a slope needs the same on both.": "f(*a) / 2.302585",
        "This is the sum over episodes, whose error grows: an estimate is a mean.": (
            "estimates[:, :n].mean(1) - truth",
            "estimates[:, :n].sum(1) - n * truth",
        ),
        "The distance of each episode from the truth, averaged: that does not fall. Average the estimates first, so "
        "that their errors cancel.": (
            "errors.append((estimates[:, :n].mean(1) - truth).square().sum(1).mean().sqrt())",
            "errors.append((estimates[:, :n] - truth).square().sum(2).mean().sqrt())",
        ),
        "The distance is taken to the estimator's own mean: a bias does not show, and a wrong estimator passes.": (
            "- truth)",
            "- estimates.mean((0, 1)))",
        ),
        "This is the spread about the mean of these estimates: it falls for a biased estimator, too. Measure from "
        "`truth`.": (
            "(estimates[:, :n].mean(1) - truth).square().sum(1).mean().sqrt()",
            "estimates[:, :n].mean(1).std(0).norm()",
        ),
        "The mean of the lengths, not the root of their mean square: close, and not what σ/√n is about.": (
            ".square().sum(1).mean().sqrt()",
            ".square().sum(1).sqrt().mean()",
        ),
        "Errors of repetitions cancel here: their mean is taken before the square.": (
            "(estimates[:, :n].mean(1) - truth).square().sum(1).mean().sqrt()",
            "(estimates[:, :n].mean((0, 1)) - truth).square().sum().sqrt()",
        ),
        "Components are averaged before they are squared: + and - cancel.": (
            ".square().sum(1).mean().sqrt()",
            ".mean(1).square().mean().sqrt()",
        ),
        "Only the first component is looked at: use the length of the error.": (
            ".square().sum(1).mean().sqrt()",
            "[:, 0].square().mean().sqrt()",
        ),
        "The line goes through the first and the last point: least squares uses all.": (
            "(x @ y) / (x @ x)",
            "(y[-1] - y[0]) / (x[-1] - x[0])",
        ),
        "The line is forced through the origin: subtract the means of log n and log error first.": (
            "x, y = x - x.mean(), y - y.mean()",
            "",
        ),
        "The first n repetitions are averaged: the second axis is the episode.": (
            "estimates[:, :n].mean(1)",
            "estimates.movedim(1, 0)[:, :n].mean(1)",
        ),
        "The slope is always -½ here: it is to be measured, or no test can fail.": "0 * f(*a) - 0.5",
        "The slope is upside down: Σ x y over Σ x².": ("(x @ y) / (x @ x)", "(x @ x) / (x @ y)"),
        "The truth is not subtracted: this is how large the estimates are, not how far off.": (
            ".mean(1) - truth",
            ".mean(1)",
        ),
        "Absolute errors are added up: the error is the root of the mean square.": (
            ".square().sum(1).mean().sqrt()",
            ".abs().sum(1).mean()",
        ),
        "Only the nth episode is used: take the mean of the first n.": (
            "estimates[:, :n].mean(1)",
            "estimates[:, n - 1]",
        ),
        "n + 1 episodes are averaged: `[:, :n]` holds n.": ("estimates[:, :n].mean(1)", "estimates[:, :n + 1].mean(1)"),
        "The median over the repetitions: the root mean square is asked for.": (
            ".sum(1).mean().sqrt()",
            ".sum(1).median().sqrt()",
        ),
        "The two axes have different logarithms, base 2 and e: a slope needs the same on both.": (
            "sizes.to(estimates.dtype).log()",
            "sizes.to(estimates.dtype).log2()",
        ),
        "The estimates are summed and then compared with the truth: take their mean.": (
            "estimates[:, :n].mean(1)",
            "estimates[:, :n].sum(1)",
        ),
        "The sum of products is not divided by Σ x².": ("(x @ y) / (x @ x)", "(x @ y)"),
        "This is the correlation of the two, near -1 for any straight line: divide by Σ x².": (
            "(x @ y) / (x @ x)",
            "(x @ y) / (x.norm() * y.norm())",
        ),
        "This is where the line begins, at log n = 0, not its slope.": (
            "(x @ y) / (x @ x)",
            "y.mean() - (x @ y) / (x @ x) * x.mean()",
        ),
        "This is exp of the slope.": ("f(*a).exp()"),
        "The median of the episodes: an estimate is a mean.": (
            "estimates[:, :n].mean(1)",
            "estimates[:, :n].median(1).values",
        ),
        "Neither axis is logarithmic.": (
            "x, y = sizes.to(estimates.dtype).log(), torch.stack(errors).log()",
            "x, y = sizes.to(estimates.dtype), torch.stack(errors)",
        ),
    },
)
