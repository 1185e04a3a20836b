"""Twelve logs of broken PPO runs."""

from functools import partial
from pathlib import Path

from pgcourse.grading import kinds
from pgcourse.grading.kinds import Check, diagnose

TRUTH = {
    "A": "advantages not normalised",
    "B": "policy never updated",
    "C": "ends ignored",
    "D": "entropy bonus too large",
    "E": "old log-probabilities anew",
    "F": "rewards times 100",
    "G": "step size too large",
    "H": "critic compared with every target",
    "I": "wrong sign",
    "J": "step size too small",
    "K": "every end a time limit",
    "L": "entropy subtracted",
}


def evidence():
    """The twelve runs on CartPole, three seeds each, above a healthy one; made by `_runs`."""
    import pandas as pd

    from pgcourse.plots import symptoms

    table = pd.read_csv(Path(__file__).with_name("logs.csv"))
    runs = {name: table[table["run"] == name] for name in ("healthy", *TRUTH.values())}
    rows = {"return": "return", "kl": "KL (nats)", "clip_fraction": "clip\nfraction", "entropy": "entropy\n(nats)"}
    rows |= {"explained_variance": "explained\nvariance", "value_loss": "value loss", "grad_norm": "gradient\nnorm"}
    limits = {"return": (0, 500), "kl": (1e-9, 10), "clip_fraction": (0, 1), "entropy": (0, 0.72)}
    limits |= {"explained_variance": (-1, 1), "value_loss": (1e-3, 1e6), "grad_norm": (1e-3, 30)}
    letters = list(TRUTH)
    for some in (letters[:6], letters[6:]):
        shown = {letter: runs[TRUTH[letter]] for letter in some}
        symptoms(shown, runs["healthy"], rows, limits, logarithmic=("kl", "value_loss", "grad_norm"))


swapped, group = partial(kinds.swapped, TRUTH), partial(kinds.letters, TRUTH)

EXERCISE = diagnose(
    "diagnosis",
    TRUTH,
    choices=sorted(TRUTH.values()),
    evidence=evidence,
    shows={
        "advantages not normalised": (
            "without normalisation the gradient's norm is far above the band, and the critic's loss is not."
        ),
        "critic compared with every target": (
            "such a critic learns the mean of all targets: its loss stays as large as their variance, and it "
            "explains nothing."
        ),
        "ends ignored": (
            "with ends ignored every state is worth the same: the explained variance goes to 0, and the loss "
            "falls all the same."
        ),
        "entropy bonus too large": "a bonus that is too large keeps the entropy at its start, while updates go on.",
        "entropy subtracted": "where entropy costs, it is gone before the return has risen.",
        "every end a time limit": "with every end a time limit something is learned, slowly, and values have no end.",
        "old log-probabilities anew": (
            "with old log-probabilities anew every ratio is 1: the KL divergence is exactly 0, and the entropy moves."
        ),
        "policy never updated": (
            "if θ never moves the KL divergence is exactly 0, and the entropy stays the same to the last digit."
        ),
        "rewards times 100": (
            "rewards times 100 change the critic's loss by powers of ten, and the policy's gradient hardly."
        ),
        "step size too large": (
            "a large step shows in the clip fraction, high from the first update on; its KL divergence leaves the band "
            "later, and goes on rising."
        ),
        "step size too small": "with tiny steps the KL divergence is tiny, and not 0.",
        "wrong sign": "with the wrong sign the return falls below that of the first policy at once.",
    },
    title="Twelve logs",
    goal="Name the bug behind a run that does not learn as it should, from its metrics alone.",
    minutes=40,
    difficulty=4,
    importance=5,
    hints=[
        "Begin with what is impossible in a healthy run: a KL divergence of exactly 0, an entropy that never moves, a "
        "return below that of the first policy, a value loss of another power of ten. Then compare pairs.",
        "KL exactly 0: either θ never moves, and then the entropy does not either, or every ratio is 1 while θ moves. "
        "Explained variance 0: the critic knows one number; is its loss small (it believes in that number) or as large "
        "as the targets' variance? The rest is told by when the entropy falls, and by the norm of the gradient.",
    ],
    checks={
        "how far it goes": Check(
            4,
            "KL divergence: far above the band, far below it, or exactly 0? And does the entropy move?",
            items=group(
                "step size too large", "step size too small", "old log-probabilities anew", "policy never updated"
            ),
        ),
        "what the critic says": Check(
            4,
            "Value loss and explained variance: what does each critic believe, and is it right about its own targets?",
            items=group(
                "ends ignored", "every end a time limit", "critic compared with every target", "rewards times 100"
            ),
        ),
        "what the policy wants": Check(
            4,
            "Return, entropy, gradient norm: below the start, gone before the return rises, never falling, large.",
            items=group("wrong sign", "entropy subtracted", "entropy bonus too large", "advantages not normalised"),
        ),
    },
    mistakes={
        "Two are swapped: where θ never moves the entropy stays what it was to the last digit. Where old "
        "log-probabilities are computed anew every ratio is 1, and θ moves all the same.": swapped(
            "policy never updated", "old log-probabilities anew"
        ),
        "Two are swapped: a small step is not no step. Look for a KL divergence that is tiny, and for one that is 0 "
        "and cannot be drawn on a logarithmic axis.": swapped("policy never updated", "step size too small"),
        "Two are swapped: with ends ignored every state is worth the same, and the explained variance goes to 0; with "
        "every end a time limit something is learned, slowly.": swapped("ends ignored", "every end a time limit"),
        "Two are swapped: a critic that is compared with every target learns their mean, and its loss is their "
        "variance. With ends ignored the loss falls.": swapped("ends ignored", "critic compared with every target"),
        "Two are swapped: a large step shows in the clip fraction, high from the first update on. With a subtracted "
        "bonus it has a peak while the entropy falls, and the entropy is gone before the return has risen.": swapped(
            "step size too large", "entropy subtracted"
        ),
        "Two are swapped: rewards times 100 change the critic's loss by powers of ten, and the policy's gradient "
        "hardly, since advantages are normalised. Without normalisation it is the other way round.": swapped(
            "rewards times 100", "advantages not normalised"
        ),
        "Two are swapped: a bonus that is too large keeps the entropy at its start while updates go on; with a tiny "
        "step nothing goes on at all.": swapped("entropy bonus too large", "step size too small"),
        "Two are swapped: only a wrong sign brings the return *below* that of the first policy at once, and the critic "
        "then predicts it well.": swapped("wrong sign", "ends ignored"),
    },
)
