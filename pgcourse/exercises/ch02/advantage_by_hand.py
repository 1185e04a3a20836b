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

EXCHANGED = dict(zip("vdA", solved(SWITCH[::-1]), strict=True)) | {"factor": SWITCH[::-1]}  # p and q


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
        "p and q are exchanged: p is the probability of switching in state 0.": slip(**EXCHANGED),
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
        "The values of the two states are exchanged: acting in state 1 is what is paid.": (
            "{**f(), 'v(0)': 2.5, 'v(1)': 1.25}"
        ),
        "The visits of the two states are exchanged: every run starts in state 0, and leaves it seldom.": (
            "{**f(), 'd(0)': 1.25, 'd(1)': 3.75}"
        ),
        "The visits are normalised: in this course they sum to 1/(1 - γ) = 5.": ("{**f(), 'd(0)': 0.75, 'd(1)': 0.25}"),
        "A(0, switch) is the step from v(0) back to v(0): switching leads to state 1, A = 0.8 v(1) - v(0).": (
            "{**f(), 'A(0, switch)': -0.25}"
        ),
        "The advantages have the wrong sign: A = q - v.": ("{**f(), 'A(0, switch)': -0.75, 'A(1, switch)': 0.5}"),
        "These are q, not A: subtract v.": ("{**f(), 'A(0, switch)': 2.0, 'A(1, switch)': 2.0}"),
        "Both slopes have the wrong sign: switching out of state 0 is good.": (
            "{**f(), 'slope(0)': -0.703125, 'slope(1)': 0.3125}"
        ),
        "slope(1) has the wrong sign: its advantage is negative.": ("{**f(), 'slope(1)': 0.3125}"),
        "v(1) lacks what follows the reward: 0.8 times the mean of the two values is to be added.": (
            "{**f(), 'v(1)': 1.5}"
        ),
        "The slopes use normalised visits: they lack the factor 1/(1 - γ) = 5.": (
            "{**f(), 'slope(0)': 0.140625, 'slope(1)': -0.0625}"
        ),
        "The values lack one factor γ: v = γ v' in state 0, where nothing is paid.": (
            "{**f(), 'v(0)': 1.5625, 'v(1)': 3.125}"
        ),
        "d(0) lacks the visit at the start: it counts 1.": ("{**f(), 'd(0)': 2.75}"),
        "The visits are those of another policy: switching has ¼ in state 0 and ½ in state 1.": (
            "{**f(), 'd(0)': 3.0, 'd(1)': 2.0}"
        ),
        "slope(0) takes the probability of staying: that of the switch is ¼.": (
            "{**f(), 'slope(0)': 2.109375, 'slope(1)': -0.3125}"
        ),
        "A(0, switch) compares with v(1), not with what the state is worth: subtract v(0).": (
            "{**f(), 'A(0, switch)': 1.25}"
        ),
        "slope(0) is divided by the number of staying: the theorem has d π A and nothing else.": (
            "{**f(), 'slope(0)': 0.703125 / 3}"
        ),
    },
)
