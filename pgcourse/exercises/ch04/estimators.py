"""Which estimator is it? By its mean and its variance."""

from typing import Any

from pgcourse.grading.kinds import Check, diagnose

TOTAL, TO_GO, VALUE = "total return", "reward-to-go", "reward-to-go - v(s)"
KNOWN, DROPPED, LATE = "A(s,a) known", "reward-to-go, γ^t dropped", "reward-to-go without the action's own reward"
ACTION, OWN = "reward-to-go - q(s,a)", "total return - mean of a batch of 4 that contains it"
TRUTH = {"A": OWN, "B": TO_GO, "C": LATE, "D": KNOWN, "E": ACTION, "F": TOTAL, "G": DROPPED, "H": VALUE}


def table() -> dict[str, tuple[float, float, float]]:
    """For each estimator: ‖E[g]‖ / ‖∇J‖, the angle from ∇J in degrees, and tr Cov(g) / ‖∇J‖².

    Means are exact. So are variances, but for three: these are of 20,000 episodes.
    """
    import torch

    from pgcourse import exact, rl
    from pgcourse.core import Streams

    mdp = exact.random_mdp(states=5, actions=3, seed=37)
    theta = Streams(1, dtype=torch.float64).child("theta").normal(mdp.policy.size)
    truth, v, q = mdp.gradient(theta), mdp.v(theta), mdp.q(theta)
    moments = {
        TOTAL: exact.total_return_moments(mdp, theta),
        TO_GO: exact.gae_moments(mdp, theta),
        VALUE: exact.gae_moments(mdp, theta, v),
        KNOWN: exact.table_moments(mdp, theta, q - v.unsqueeze(-1)),
        DROPPED: exact.gae_moments(mdp, theta, keep_discount=False),
    }
    means = {name: one.mean for name, one in moments.items()}
    traces = {name: one.trace for name, one in moments.items()}

    played = mdp.rollouts(theta, Streams(1, dtype=torch.float64).child("played"), 20_000)
    to_go, own = exact.reward_to_go_weight(played, mdp.gamma), mdp.reward.expand_as(q)
    returns = rl.discounted_return(played.reward, mdp.gamma, played.mask)
    batch_mean = returns.unflatten(1, (-1, 4)).mean(-1, keepdim=True).expand(-1, -1, 4).flatten(1)
    weights = {
        LATE: (to_go - exact.table_weight(played, mdp.gamma, own), 1),
        ACTION: (to_go - exact.table_weight(played, mdp.gamma, q), 1),
        OWN: (exact.total_return_weight(played, mdp.gamma, batch_mean), 4),
    }
    means |= {LATE: exact.table_moments(mdp, theta, q - own).mean, ACTION: 0 * truth, OWN: 0.75 * truth}
    for name, (weight, size) in weights.items():
        g = exact.episode_gradients(mdp.policy, theta, played, weight)[0].unflatten(0, (-1, size)).mean(1)
        traces[name] = size * g.var(0).sum()
    return {
        name: (
            (mean.norm() / truth.norm()).item(),
            torch.rad2deg(torch.cosine_similarity(mean, truth).clamp(max=1).arccos()).item(),
            (traces[name] / truth.square().sum()).item(),
        )
        for name, mean in means.items()
    }


def shown() -> Any:
    """The table, without names."""
    import pandas as pd

    found = table()
    columns = ["length of the mean, in ‖∇J‖", "degrees from ∇J", "variance of one episode, in ‖∇J‖²"]
    frame = pd.DataFrame({row: found[name] for row, name in TRUTH.items()}, index=columns).T
    frame.loc[frame[columns[0]] < 1e-9, columns[1]] = float("nan")  # no direction
    return frame.style.format(dict(zip(columns, ("{:.2f}", "{:.0f}", "{:.1f}"), strict=True)), na_rep="–")


EXERCISE = diagnose(
    "estimators",
    TRUTH,
    choices=sorted(TRUTH.values()),
    shows={
        "A(s,a) known": "who knows A(s,a) has the mean ∇J, and the least variance of all that have it.",
        "reward-to-go": (
            "the reward-to-go has the mean ∇J, with less variance than the total return and more than with v(s) "
            "taken away."
        ),
        "reward-to-go - q(s,a)": "a baseline that knows the action takes the whole gradient away: the mean is 0.",
        "reward-to-go - v(s)": "with v(s) taken away the mean is still ∇J, and the variance is second to A(s,a) alone.",
        "reward-to-go without the action's own reward": ("without the own reward the mean points elsewhere."),
        "reward-to-go, γ^t dropped": (
            "without γ^t late steps count more: the mean points elsewhere, and is longer than ∇J."
        ),
        "total return": "the total return has the mean ∇J, and the largest variance of all that have it.",
        "total return - mean of a batch of 4 that contains it": (
            "a batch of 4 takes a quarter away: the mean points along ∇J and has three quarters of its length."
        ),
    },
    title="Which row is which",
    goal="Recognise an estimator by its mean and its variance.",
    minutes=15,
    difficulty=3,
    importance=4,
    evidence=shown,
    hints=[
        "First the means: which four estimators have the mean ∇J, which are only shorter, which point elsewhere?",
        "A batch of 4 leaves three quarters, a baseline of the action nothing; without γ^t late steps count more, so "
        "the mean is longer. Among those with the right mean: past rewards are noise, v(s) takes more away, "
        "and who knows A(s,a) is spared the noise of all that follows.",
    ],
    checks={
        "the right mean": Check(3, "Length 1 and 0 degrees; then order them by variance.", items=("B", "D", "F", "H")),
        "the right direction": Check(2, "0 degrees, another length, or no length at all.", items=("A", "E")),
        "another direction": Check(2, "Which mistake makes the mean longer, and which shorter?", items=("C", "G")),
    },
    mistakes={
        "Dropping rewards that were paid before an action lowers the variance here: the higher one has them still.": (
            "{**f(), 'B': f()['F'], 'F': f()['B']}"
        ),
        "Two of the right mean are exchanged: v(s) is subtracted to lower the variance of the reward-to-go.": (
            "{**f(), 'B': f()['H'], 'H': f()['B']}"
        ),
        "Who knows A(s,a) has none of the noise that later draws add, and so the least variance: not v(s) alone.": (
            "{**f(), 'D': f()['H'], 'H': f()['D']}"
        ),
        "A baseline of the action, fitted as well as can be, takes away the whole gradient. A batch of 4 takes a "
        "quarter.": "{**f(), 'A': f()['E'], 'E': f()['A']}",
        "Without γ^t late steps count more, which makes the mean longer. Without its own reward, an action loses what "
        "mattered most.": "{**f(), 'C': f()['G'], 'G': f()['C']}",
        "A mean that contains its own episode does not keep the mean: no row of length 1 can be it.": (
            "{**f(), 'A': f()['F'], 'F': f()['A']}"
        ),
        "Without γ^t the mean is another: no row of length 1 can be it.": "{**f(), 'G': f()['B'], 'B': f()['G']}",
    },
)
