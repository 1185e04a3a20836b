"""The constant with the least variance."""

import numpy as np

from pgcourse.grading.kinds import Check, derive


def optimal_baseline(probability, score, ret, per_component):
    """The bottom of the exact variance of g = S (R - b): a parabola in b, so three of its points give it.

    Greensmith, Bartlett & Baxter (2004), section 4; Peters & Schaal (2008) for each component.
    """

    def variance(b):  # of each component, over the whole distribution
        g = score * (ret - b)[:, None]
        return probability @ (g - probability @ g) ** 2

    low, middle, high = (variance(np.full(len(ret), b)) for b in (-1.0, 0.0, 1.0))
    if not per_component:
        low, middle, high = low.sum(), middle.sum(), high.sum()
    return (low - high) / (2 * (low - 2 * middle + high))


def outcomes(probability, score, ret, per_component=False):
    return {"probability": probability, "score": score, "ret": ret, "per_component": per_component}


def bandit(actions, per_component=False, shift=0.0):
    """A case: a softmax bandit with random logits and rewards. E[S] = 0, as it must be."""

    def case(rng):
        pi = rng.dirichlet(np.full(actions, 2.0))
        return outcomes(pi, np.eye(actions) - pi, shift + rng.normal(2.0, 2.0, actions), per_component)

    return case


def two_steps(per_component=False):
    """A case: two pulls of two arms each make an episode; four outcomes, and a parameter for each pull."""

    def case(rng):
        p, q = rng.uniform(0.2, 0.8, 2)
        score = np.array([[1 - p, 1 - q], [1 - p, -q], [-p, 1 - q], [-p, -q]])
        return outcomes(
            np.array([p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)]), score, rng.normal(2, 3, 4), per_component
        )

    return case


HAND = [0.25, 0.75], [[-0.75], [0.25]], [4, 6]

EXERCISE = derive(
    optimal_baseline,
    title="The best constant",
    goal="Find the baseline of least variance on paper, and see that it is not the mean return.",
    minutes=20,
    difficulty=3,
    importance=4,
    hints=[
        "The mean does not depend on b, so only E[‖S‖² (R - b)²] does. Where is its derivative zero?",
        "b* = E[‖S‖² R] / E[‖S‖²]: `weight = probability * score.square().sum(1)`, then `(weight * ret).sum() / "
        "weight.sum()`. For each component S_j² takes the place of ‖S‖².",
    ],
    checks={
        "one constant": Check(
            3,
            "Write down the variance as a parabola in b; drop what does not contain b; differentiate.",
            [outcomes(*HAND), bandit(2), bandit(3), bandit(4), two_steps()],
        ),
        "one for each component": Check(
            2,
            "Each component of g has its own variance, and so its own parabola: S_j² instead of ‖S‖².",
            [outcomes(*HAND, True), bandit(3, True), two_steps(True)],
        ),
        "shifted returns": Check(
            1,
            "With 20 more in every return the best baseline is 20 higher.",
            [bandit(3, shift=20.0), bandit(3, True, shift=20.0)],
            tolerance=(1e-3, 1e-3),  # the bottom of a parabola through three points has so many digits in float32
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "This is the mean return E[R]: best only where all scores are equally long. Weight with ‖S‖².": (
            "(weight * ret.unsqueeze(1)).sum(0) / weight.sum(0)",
            "(probability @ ret).expand(weight.shape[1])",
        ),
        "The returns are averaged without their probabilities: the outcomes are not equally likely.": (
            "probability.unsqueeze(1) * size",
            "size",
        ),
        "The weight is the length of the score, ‖S‖: the square belongs there, as the variance is one of squares.": (
            "probability.unsqueeze(1) * size",
            "probability.unsqueeze(1) * size.sqrt()",
        ),
        "The divisor is missing: weights have to add up to one.": (" / weight.sum(0)", ""),
        "You divide by E[‖S‖²] but average R alone: numerator and divisor need the same weights.": (
            "(weight * ret.unsqueeze(1)).sum(0)",
            "(probability @ ret)",
        ),
        "E[‖S‖² R²] instead of E[‖S‖² R]: differentiate (R - b)² by b.": (
            "ret.unsqueeze(1)",
            "ret.square().unsqueeze(1)",
        ),
        "The probability is there twice: the outcomes are listed, so each counts once with its probability.": (
            "probability.unsqueeze(1) * size",
            "probability.square().unsqueeze(1) * size",
        ),
        "The same constant for all components: with `per_component`, S_j² stands in the place of ‖S‖².": (
            "if not per_component:",
            "if True:",
        ),
        "A mean over the components' constants: the variances add up, so their parabolas do, not their bottoms.": (
            "f(probability, score, ret, True) if per_component else f(probability, score, ret, True).mean()"
        ),
        "Sign flipped? b is what is subtracted.": "-f(*a)",
        "Twice too large: the 2 of the derivative stands on both sides and cancels.": "2 * f(*a)",
        "Returns are weighted with the scores' lengths: what counts is their squares.": (
            "score.square()",
            "score.abs()",
        ),
        "Returns are weighted with the scores themselves: these have mean zero, so it is 0/0. Square them.": (
            "score.square()",
            "score",
        ),
        "The length of the score stands in the place of its square.": (
            "size.sum(1, keepdim=True)",
            "size.sum(1, keepdim=True).sqrt()",
        ),
        "The squared length is squared once more.": ("size.sum(1, keepdim=True)", "size.sum(1, keepdim=True).square()"),
        "The two are exchanged: one constant belongs to the squared length, the b_j to single components.": (
            "if not per_component",
            "if per_component",
        ),
        "Only the first component of the score is looked at: the variances of all add up.": (
            "        size = size.sum(1, keepdim=True)\n",
            "        size = size[:, :1]\n",
        ),
        "The weighted returns are averaged, and not divided by the sum of the weights.": (
            "(weight * ret.unsqueeze(1)).sum(0) / weight.sum(0)",
            "(weight * ret.unsqueeze(1)).mean(0)",
        ),
        "The scores are squared twice.": ("score.square()", "score.square().square()"),
        "The returns are squared: the derivative of the variance by b has R and b to the first power.": (
            "(weight * ret.unsqueeze(1)).sum(0) / weight.sum(0)",
            "(weight * ret.unsqueeze(1).square()).sum(0) / (weight * ret.unsqueeze(1)).sum(0)",
        ),
        "The components are added up before they are squared: square, then add.": (
            "size.sum(1, keepdim=True)",
            "score.sum(1, keepdim=True).square()",
        ),
        "Half of it: a factor 2 is on both sides of the equation, and cancels.": ("0.5 * f(*a)"),
        "It is weighted with one over the squared score: an outcome with a long score counts more, not less.": (
            "score.square()",
            "1 / score.square().clamp(min=1e-6)",
        ),
        "All components get the one constant: each b_j is weighted with its own S_j².": (
            "best if per_component else best[0]",
            "best[0].expand(score.shape[1]) if per_component else best[0]",
        ),
        "The one constant comes as a list of one: a number is asked for.": (
            "best if per_component else best[0]",
            "best",
        ),
    },
)
