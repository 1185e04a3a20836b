"""The chain of two states with other numbers, on paper."""

import numpy as np

from pgcourse.grading.kinds import Check, predict

SWITCH, GAMMA = np.array([0.25, 0.5]), 0.8  # the chapter's p and q
NAMES = [name.format(s) for name in ("v({})", "d({})", "A({}, switch)", "slope({})") for s in (0, 1)]


def numbers(v, d, A, factor=SWITCH):
    return dict(zip(NAMES, map(float, [*v, *d, *A, *(d * factor * A)]), strict=True))


def solved(switch):
    """v, d and A(·, switch) of the chain, by linear solves."""
    P = np.array([[1 - switch[0], switch[0]], [switch[1], 1 - switch[1]]])
    inverse, paid = np.linalg.inv(np.eye(2) - GAMMA * P), np.array([0.0, 1.0])
    v, d = inverse @ paid, inverse[0]
    return v, d, paid + GAMMA * v[::-1] - v


V, D, A = solved(SWITCH)
GAP = GAMMA * (V[::-1] - V)  # q(s, switch) - q(s, stay)


def slip(**wrong):
    """All numbers after a slip, with what follows from it."""
    return repr(numbers(**{"v": V, "d": D, "A": A, **wrong}))


EXERCISE = predict(
    "by_hand",
    lambda: numbers(V, D, A),
    within=dict.fromkeys(NAMES, 0.005),
    title="The chain by hand, once more",
    goal="Carry the theorem through on paper: value, visits, advantage, slope.",
    minutes=20,
    difficulty=2,
    importance=5,
    hints=[
        "Begin with D = v(1) - v(0): subtract the two equations. What earns a visit to state 1, and what is J?",
        "D = 1 + γ (1 - p - q) D gives D = 1.25; then v(0) = γ (v(0) + p D). J = v(0) = d(1), and d(0) + d(1) = 5. "
        "A(0, switch) = γ v(1) - v(0), A(1, switch) = 1 + γ v(0) - v(1). The slope is d π A.",
    ],
    checks={
        "values": Check(2, "v(s) is the own reward plus γ times the mean of the next value.", items=("v(0)", "v(1)")),
        "visits": Check(1, "Together they are 1/(1 - γ), and d(1) is J.", items=("d(0)", "d(1)")),
        "advantages": Check(
            2,
            "What does switching once earn, and then following the policy, more than following it at once?",
            items=("A(0, switch)", "A(1, switch)"),
        ),
        "slopes": Check(2, "Three factors: visits, probability, advantage.", items=("slope(0)", "slope(1)")),
    },
    mistakes={
        "p and q are exchanged: p is the probability of switching in state 0.": repr(
            numbers(*solved(SWITCH[::-1]), factor=SWITCH[::-1])
        ),
        "Acting in state 1 is paid, acting in state 0 is not: here it is the other way round.": slip(
            v=1 / (1 - GAMMA) - V, A=-A
        ),
        "This A is q: take v(s) away.": slip(A=A + V),
        "This A is the difference of the two actions' q: subtract v, in which both have a share.": slip(A=GAP),
        "This A is the difference of two values, without the step between them: its reward and its γ.": slip(
            A=V[::-1] - V
        ),
        "γ is missing in q: what comes after the step is discounted once.": slip(A=np.array([0.0, 1.0]) + V[::-1] - V),
        "A(1, switch) lacks its own reward: acting in state 1 is paid, also when it switches.": slip(
            A=A - np.array([0.0, 1.0])
        ),
        "Switching in state 1 leads away from where it is paid: its advantage is negative.": slip(A=np.abs(A)),
        "The visits are normalised: they add up to 1/(1 - γ) = 5.": slip(d=D * (1 - GAMMA)),
        "The first visit is missing: the run starts in state 0.": slip(d=D - np.array([1.0, 0.0])),
        "The visits are exchanged: a run starts in state 0 and seldom leaves it.": slip(d=D[::-1]),
        "The slopes lack the visits.": slip() + f" | {dict(zip(NAMES[6:], map(float, SWITCH * A), strict=True))}",
        "The slopes lack the probability of the action.": slip(factor=np.ones(2)),
        "These slopes are those by p and q: by the logit there is one factor more, p (1 - p).": (
            slip() + f" | {dict(zip(NAMES[6:], map(float, D * GAP), strict=True))}"
        ),
        "The slopes have a factor 1 - π too many: it is inside A already.": slip(factor=SWITCH * (1 - SWITCH)),
    },
)
