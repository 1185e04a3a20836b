"""Which weights of a score have the mean zero?"""

from pgcourse.grading.kinds import Check, diagnose

ZERO, NOT = "zero", "not zero"
TRUTH = {
    "A": ZERO,
    "B": NOT,
    "C": NOT,
    "D": ZERO,
    "E": ZERO,
    "F": NOT,
    "G": ZERO,
    "H": ZERO,
    "I": NOT,
    "J": ZERO,
    "K": NOT,
    "L": ZERO,
}


def but(**wrong):
    """The right answer but for these letters."""
    return f"{{**f(), **{wrong}}}"


EXERCISE = diagnose(
    "mean_of_product",
    TRUTH,
    choices=[ZERO, NOT],
    shows={
        "zero": (
            "zero would mean that w, given all that came before the action, is the same on average for every action."
        ),
        "not zero": "not zero would mean that w, given all that came before the action, has something to do with it.",
    },
    title="What may stand beside a score?",
    goal="Decide by one question, what is known before the action is drawn, which weights leave the gradient alone.",
    minutes=15,
    difficulty=3,
    importance=5,
    hints=[
        "Go to the moment before a_t is drawn. Is the weight a known number by then, or at least "
        "independent of which action will be drawn?",
        "Known, or independent of a_t: the past (A, D), functions of s_t (E, G), earlier actions (H), other episodes "
        "(J). Of the rest, one more is zero, for another reason: at t + 1 the score at t is a known number.",
    ],
    checks={
        "rewards": Check(
            2, "Which rewards were paid before a_t was drawn, and do not change with it?", items=("A", "B", "C", "D")
        ),
        "baselines": Check(2, "b(s_t) is the same number for every action. Is this one?", items=("E", "F", "G", "H")),
        "batches": Check(1, "Does the mean contain what a_t led to?", items=("I", "J")),
        "the policy itself": Check(
            2,
            "For K average over the actions of one state on paper. For L go to time t + 1: what is known there?",
            items=("K", "L"),
        ),
    },
    mistakes={
        "A: it was paid before a_t was drawn, so it is the same for every action.": but(A=NOT),
        "B: the action's own reward depends on it: this is the part of the gradient that bandits have.": but(B=ZERO),
        "C: it comes later, but it depends on where a_t leads. Without it no action is credited for what follows.": (
            but(C=ZERO)
        ),
        "B and C: these are the rewards that the action has an effect on. Their products are the gradient.": (
            but(B=ZERO, C=ZERO)
        ),
        "D: all of it was paid before t. That is why reward-to-go may replace the total return.": but(D=NOT),
        "A and D: what was paid before a_t was drawn is known, and multiplies a mean of zero.": but(A=NOT, D=NOT),
        "E: a function of s_t alone is the same for every action: the lemma, with b(s) = v(s).": but(E=NOT),
        "F: s_{t+1} depends on a_t. As a baseline it would bend the gradient, silently: where actions lead is what it "
        "must not subtract.": but(F=ZERO),
        "G: the maximum runs over all actions, so it no longer depends on the one that is drawn.": but(G=NOT),
        "H: the previous action is known by then. A baseline may depend on all of the past.": but(H=NOT),
        "I: the own episode is in the mean, and with it what a_t led to. One share in N is left, which leave-one-out "
        "removes.": but(I=ZERO),
        "J: the other episodes know nothing about this a_t.": but(J=NOT),
        "I and J are exchanged: only one of the two contains what a_t led to.": but(I=ZERO, J=NOT),
        "K: it depends on a_t. On average this is the slope of Σ π log π, the entropy's with its sign flipped.": but(
            K=ZERO
        ),
        "L: given all up to s_{t+1}, the score at t is a known number, and the score at t + 1 has mean zero.": (
            but(L=NOT)
        ),
        'All "zero": then there would be no gradient at all. B is the action\'s own reward.': (
            "dict.fromkeys('ABCDEFGHIJKL', 'zero')"
        ),
        'All "not zero": the lemma says that a weight known before the action leaves the mean at zero.': (
            "dict.fromkeys('ABCDEFGHIJKL', 'not zero')"
        ),
        "I and K: the action has a part in both, through its own episode and through its own probability.": (
            "{**f(), 'I': 'zero', 'K': 'zero'}"
        ),
        "F and G: the maximum over actions does not know which one is drawn; the next state does.": (
            "{**f(), 'F': 'zero', 'G': 'not zero'}"
        ),
    },
)
