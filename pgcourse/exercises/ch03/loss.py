"""The loss of REINFORCE."""

import numpy as np

from pgcourse.grading.kinds import Check, gradient


def reinforce_loss(log_prob, ret, mask):
    """L = -1/N Σ_i Σ_t mask log π(a_t|s_t) G_t: its gradient is minus Williams' (1992) estimator, without γ^t."""
    weight = ret.detach().masked_fill(~mask, 0.0) / len(mask)
    return -(weight * log_prob.masked_fill(~mask, 0.0)).sum()


def episodes(log_prob, ret, mask=True, padding=(0.0, 0.0)):
    """A case: where the mask is False stands padding, of log_prob and of ret."""
    mask = np.broadcast_to(mask, np.shape(ret))
    return {
        "log_prob": np.where(mask, log_prob, padding[0]),
        "ret": np.where(mask, ret, padding[1]),
        "mask": mask.copy(),
    }


def drawn(n, steps, padding=None):
    """A case of `n` random episodes: all of them `steps` long, or with padding and of unequal lengths."""

    def case(rng):
        lengths = rng.permutation([steps, *rng.integers(1, steps, n - 1)]) if padding is not None else np.full(n, steps)
        mask = np.arange(steps) < lengths[:, None]
        log_prob, ret = np.log(rng.uniform(0.1, 0.9, mask.shape)), rng.normal(1.0, 2.0, mask.shape)
        return episodes(log_prob, ret, mask, padding or (0.0, 0.0))

    return case


EQUAL = [
    episodes([[-1, -2]], [[10, 1]]),
    episodes([[-1, -2], [-3, -4]], [[2, 1], [4, 3]]),
    *(drawn(n, steps) for n, steps in ((2, 3), (3, 3), (5, 4))),
]
FIRST_ENDS = [[True, False], [True, True]]
BROKEN = [(np.nan, np.nan), (np.inf, np.inf), (-np.inf, -np.inf), (np.nan, 0.0), (0.0, np.nan)]

EXERCISE = gradient(
    reinforce_loss,
    title="The loss",
    goal="Write the number whose gradient is the policy gradient's estimate, so that padding cannot harm it.",
    minutes=15,
    difficulty=3,
    importance=5,
    hints=[
        "Three questions: over what is summed, over what is averaged, and what must not be differentiated?",
        "Replace padding with 0 in both factors (`x.where(mask, 0.0)`), detach the returns, multiply, then "
        "`.sum(1).mean()` with a minus in front.",
    ],
    checks={
        "value": Check(
            2,
            "Multiply step by step, sum over time (dim 1), then take the mean over episodes, and mind the sign.",
            EQUAL,
        ),
        "gradient": Check(
            2,
            "The loss must stay a tensor that knows where it came from: no `.item()`, no `.detach()` on log_prob.",
            EQUAL,
            gradient=("log_prob",),
        ),
        "unequal lengths": Check(
            1,
            "Padding adds nothing. N is the number of episodes, whatever their lengths.",
            [
                episodes([[-1, -9], [-2, -3]], [[5, 9], [4, 2]], FIRST_ENDS, (-9.0, -9.0)),
                drawn(2, 3, (-7.0, -7.0)),
                drawn(4, 6, (-7.0, -7.0)),
            ],
            gradient=("log_prob",),
        ),
        "returns are data": Check(
            1,
            "Returns were measured; the derivative of the loss by θ goes through log π only.",
            [episodes([[-1, -2]], [[10, 1]]), drawn(3, 4)],
            gradient=("log_prob",),
            no_gradient=("ret",),
        ),
        "broken padding": Check(
            2,
            "0 · NaN is NaN, in the value and again in the gradient: `where` in both factors, before multiplying.",
            [episodes([[-1, 0], [-2, -3]], [[5, 0], [4, 2]], FIRST_ENDS, padding) for padding in BROKEN]
            + [drawn(3, 5, padding) for padding in BROKEN],
            gradient=("log_prob",),
            requires="padding may be NaN or infinite",
        ),
    },
    mistakes={
        "Sign flipped? An optimiser goes downhill, and we want the return to go up: the loss needs a minus.": "-f(*a)",
        "You average over time: the theorem has a sum over t. A mean makes a step of a long episode count for less.": (
            ".sum(1).mean()",
            ".mean()",
        ),
        "You divide by the number of steps: the theorem has a sum over t and a mean over episodes only.": (
            ".sum(1).mean()",
            ".sum() / mask.sum()",
        ),
        "You divide each episode by its length: long episodes, the good ones on CartPole, then count for less.": (
            "(ret * log_prob).sum(1).mean()",
            "((ret * log_prob).sum(1) / mask.sum(1)).mean()",
        ),
        "The mean over episodes is missing: twice the episodes would give twice the step.": (
            ".sum(1).mean()",
            ".sum()",
        ),
        "Every action is weighted with the return of the first step: each has its own, `ret[:, t]`.": (
            "(ret * log_prob)",
            "(ret[:, :1] * log_prob)",
        ),
        "[N] against [N, 1]: broadcasting pairs every episode's log-probability with every episode's return.": (
            "-(ret * log_prob).sum(1).mean()",
            "-(log_prob.unsqueeze(0) * ret.unsqueeze(1)).sum(2).mean()",
        ),
        "[N] against [N, 1]: each episode's log-probabilities are summed, then multiplied with everyone's return.": (
            "-(ret * log_prob).sum(1).mean()",
            "-(log_prob.sum(1) * ret[:, :1]).mean()",
        ),
        "You multiply two sums. Multiply step by step first, then sum over time.": (
            "(ret * log_prob).sum(1)",
            "(ret.sum(1) * log_prob.sum(1))",
        ),
        "Off by one: the action at t is weighted with the return that starts at t + 1.": (
            "(ret * log_prob)",
            "(ret[:, 1:] * log_prob[:, :-1])",
        ),
        "You weight probabilities: the score is the gradient of the log-probability.": (
            "(ret * log_prob)",
            "(ret * log_prob.exp())",
        ),
        "The returns are standardised inside the loss: that changes the gradient. Use them as they are.": (
            "f(log_prob, (ret - ret[mask].mean()) / (ret[mask].std() + 1e-8), mask)"
        ),
        "The mean return is subtracted inside the loss: a baseline is a step of its own, before it.": (
            "f(log_prob, ret - ret[mask].mean(), mask)"
        ),
        "The returns are clamped at 0: a bad action never gets less likely.": "f(log_prob, ret.clamp(min=0), mask)",
        "The mask is inverted: it is True on real steps.": "f(log_prob, ret, ~mask)",
        "Padding is counted: leave out the steps where the mask is False.": "-(log_prob * ret.detach()).sum(1).mean()",
        "A gradient flows into the returns: they are data. `ret.detach()` says so.": ("ret.detach()", "ret"),
        "No gradient is left: the log-probabilities were detached, and they are all there is to differentiate.": (
            "f(log_prob.detach(), ret, mask)"
        ),
        "Padding is multiplied with 0, and 0 · NaN is NaN. Replace it instead: `log_prob.masked_fill(~mask, 0.0)`.": (
            "-(log_prob * ret.detach() * mask).sum(1).mean()"
        ),
        "Only the returns are masked: 0 · NaN is NaN. Replace padding in the log-probabilities, too.": (
            "log_prob.where(mask, 0.0), ",
            "log_prob, ",
        ),
        "Only the log-probabilities are masked: 0 · NaN is NaN. Replace padding in the returns, too.": (
            "ret.detach().where(mask, 0.0)",
            "ret.detach()",
        ),
        "The value is right, its gradient is not: masked after the product, the padding still meets the gradient's 0 "
        "as 0 · NaN. Replace padding in both factors before multiplying.": (
            "-(log_prob * ret.detach()).where(mask, 0.0).sum(1).mean()"
        ),
        "The sum runs over the episodes and the mean over time: it is the other way round.": (
            "-(ret * log_prob).sum(1).mean()",
            "-(ret * log_prob).sum(0).mean()",
        ),
        "One number for each episode: their mean is asked for.": (
            "-(ret * log_prob).sum(1).mean()",
            "-(ret * log_prob).sum(1)",
        ),
        "Every action is weighted with the mean return: each has its own.": (
            "-(ret * log_prob).sum(1).mean()",
            "-(ret.mean() * log_prob).sum(1).mean()",
        ),
        "The mean return is subtracted: a baseline was not asked for here.": (
            "-(ret * log_prob).sum(1).mean()",
            "-((ret - ret.mean()) * log_prob).sum(1).mean()",
        ),
        "The median over episodes: take the mean.": (
            "-(ret * log_prob).sum(1).mean()",
            "-(ret * log_prob).sum(1).median()",
        ),
        "This fits log π to the return, as a critic would: the two multiply.": (
            "-(ret * log_prob).sum(1).mean()",
            "(ret - log_prob).square().sum(1).mean()",
        ),
        "Return and log-probability are added: they multiply.": (
            "-(ret * log_prob).sum(1).mean()",
            "-(ret + log_prob).sum(1).mean()",
        ),
        "The returns lost their signs: what is bad is made more probable, too.": (
            "-(ret * log_prob).sum(1).mean()",
            "-(ret.abs() * log_prob).sum(1).mean()",
        ),
        "Padding is filled with 1: then each such step counts. Fill it with 0.": (
            "log_prob, ret = log_prob.where(mask, 0.0), ret.detach().where(mask, 0.0)",
            "log_prob, ret = log_prob.masked_fill(~mask, 1.0), ret.detach().masked_fill(~mask, 1.0)",
        ),
    },
)
