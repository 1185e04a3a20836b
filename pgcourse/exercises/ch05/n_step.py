"""n-step advantages."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def n_step(reward, u, last, gamma, n):
    """Â_t^(n) = Σ_{l<m} γ^l δ_{t+l}, m = min(n, T - t): residuals, of which the guesses in between cancel. Chapter "
    "05."""
    delta = reward + gamma * np.concatenate([u[..., 1:], last[..., None]], -1) - u
    t = np.arange(reward.shape[-1])
    lag = t - t[:, None]
    return delta @ np.where((lag >= 0) & (lag < n), gamma ** np.maximum(lag, 0), 0.0).T


def drawn(shape, n, gamma=(0.6, 0.95)):
    """A case of random pieces of an episode."""

    def case(rng):
        reward, u = rng.normal(size=(2, *shape)) + 1.0
        return {
            "reward": reward,
            "u": u,
            "last": rng.normal(size=shape[:-1]) + 3.0,
            "gamma": rng.uniform(*gamma),
            "n": n,
        }

    return case


SAME = {"reward": [[1, 0, 2]], "u": [[2, 1, 3]], "last": [10], "gamma": 0.5}

EXERCISE = implement(
    n_step,
    title="Wait n steps",
    goal="Take n rewards before the critic is asked, and know what to do where fewer than n are left.",
    minutes=15,
    difficulty=2,
    importance=4,
    hints=[
        "Append `last` to u: then u(s_{t+m}) is entry t + m. How many rewards m does step t have, if T is the end?",
        "For each t: m = min(n, T - t), the sum of γ^l r_{t+l} for l < m, plus γ^m times entry t + m of u with `last` "
        "appended, minus u_t.",
    ],
    checks={
        "values": Check(
            2,
            "n rewards, discounted from t on, then γ^n u(s_{t+n}), minus u(s_t).",
            [{**SAME, "n": 2}, drawn((3, 6), 2), drawn((3, 6), 3)],
            leaves_input_alone=True,
        ),
        "one step": Check(1, "n = 1 is the residual: r + γ u' - u.", [{**SAME, "n": 1}, drawn((3, 5), 1)]),
        "beyond the end": Check(
            2,
            "Where fewer than n steps are left, take the m that there are: γ^m last.",
            [{**SAME, "n": 5}, {"reward": [[1]], "u": [[2]], "last": [3], "gamma": 0.5, "n": 3}, drawn((3, 4), 6)],
            requires="n may be larger than the number of steps",
        ),
        "γ = 0 and γ = 1": Check(
            1,
            "γ = 0 leaves r - u, γ = 1 the plain sum; never divide by γ.",
            [drawn((2, 5), 3, (0, 0)), drawn((2, 5), 3, (1, 1))],
        ),
        "leading axes": Check(
            1, "Time is the last axis: `reward[..., t]`.", [drawn((4, 4), 2)], leading_axes=("reward", "u", "last")
        ),
    },
    mistakes={
        "One reward too many: Â^(n) has n of them.": "f(reward, u, last, gamma, n + 1)",
        "One reward too few: Â^(n) has n of "
        "them.": "f(reward, u, last, gamma, max(n - 1, 1)) if n > 1 else last.unsqueeze(-1) - u",
        "The critic's word is not discounted: it comes m steps later, γ^m.": (
            "gamma**m * later",
            "later",
        ),
        "The critic's word is discounted once only: it comes m steps later, γ^m.": (
            "gamma**m * later",
            "gamma * later",
        ),
        "The critic is asked for the state before the last reward: u(s_{t+m}) follows m rewards.": (
            "later[..., t + m]",
            "later[..., t + m - 1]",
        ),
        "The critic is discounted by γ^(m-1): count the steps from t.": (
            "gamma**m * later",
            "gamma ** (m - 1) * later",
        ),
        "The critic is always discounted by γ^n, although at the end only m steps are taken.": (
            "gamma**m * later",
            "gamma**n * later",
        ),
        "Rewards are not discounted.": ("gamma**k * reward", "reward"),
        "Rewards are discounted once too often: r_t counts in full.": (
            "gamma**k * reward",
            "gamma ** (k + 1) * reward",
        ),
        "Nothing is taken away: an advantage is measured against u(s_t).": (" - u[..., t]", ""),
        "Where the recording stops the critic's word is missing: `last` says what is still to come.": (
            "f(reward, u, torch.zeros_like(last), gamma, n)"
        ),
        "The critic is left out altogether: after n rewards, its word on what follows counts.": (
            "value + gamma**m * later[..., t + m]",
            "value",
        ),
        "Steps with fewer than n left get 0: take the steps that there are.": (
            "torch.where(torch.arange(reward.shape[-1]) + n <= reward.shape[-1], f(*a), 0.0)"
        ),
        "Near the end the rewards wrap around to the start: `roll` is circular.": (
            "sum(gamma**k * torch.roll(reward, -k, -1) for k in range(n))"
            " + gamma**n * torch.roll(torch.cat([u, last.unsqueeze(-1)], -1), -n, -1)[..., :-1] - u"
        ),
        "This waits to the end whatever n is: stop after n rewards.": "f(reward, u, last, gamma, 10**6)",
        "This is one step whatever n is.": "f(reward, u, last, gamma, 1)",
        "Sign flipped? What came minus what was expected.": "-f(*a)",
        "You run along the first axis. Time is the last one.": (
            "f(reward.movedim(0, -1), u.movedim(0, -1), last, gamma, n).movedim(-1, 0)"
        ),
        "Where the recording stops the last u is taken once more: `last` says what is still to come.": (
            "later[..., t + m]",
            "u[..., min(t + m, steps - 1)]",
        ),
        "Every sum starts with the first reward: that of step t starts with r_t.": (
            "reward[..., t + k]",
            "reward[..., k]",
        ),
        "n - 1 rewards are taken before the critic: Â^(n) has n of them.": (
            "m = min(n, steps - t)",
            "m = min(n - 1, steps - t)",
        ),
        "u(s_t) is added: it is what was expected, and is subtracted.": (" - u[..., t]", " + u[..., t]"),
        "Where rewards are left one too many is taken: n of them, and then the critic.": (
            "range(m)",
            "range(m + 1) if t + k < steps",
        ),
        "The own reward is missing: the sum starts with r_t.": ("range(m)", "range(1, m)"),
        "The result is in reverse order.": ("advantage[..., t] = ", "advantage[..., -1 - t] = "),
        "The sum reaches beyond the end: at step t there are T - t steps left.": (
            "m = min(n, steps - t)",
            "m = min(n, steps)",
        ),
        "Where fewer than n rewards are left the critic's word is missing: `last` says what is still to come.": (
            "gamma**m * later[..., t + m]",
            "(gamma**m * later[..., t + m] if t + n <= steps else 0)",
        ),
        "The discounts run backwards: r_t counts in full, the last one γ^(m-1).": (
            "gamma**k * reward[..., t + k] for k in range(m)",
            "gamma**(m - 1 - k) * reward[..., t + k] for k in range(m)",
        ),
        "The rewards are averaged: they are added up.": ("sum(gamma**k", "1 / m * sum(gamma**k"),
        "The critic is discounted by γ^(m+1): it is asked after m steps, γ^m.": (
            "gamma**m * later",
            "gamma ** (m + 1) * later",
        ),
        "The last of the m rewards is missing: the sum ends with r_{t+m-1}.": ("range(m)", "range(m - 1)"),
        "Near the end one step too few is taken: at step t there are T - t left, the last one included.": (
            "m = min(n, steps - t)",
            "m = min(n, steps - t - 1)",
        ),
        "All is multiplied with γ^t: discounts count from step t on.": (
            "value + gamma**m * later[..., t + m] - u[..., t]",
            "gamma**t * (value + gamma**m * later[..., t + m] - u[..., t])",
        ),
        "Rewards are discounted by γ^(t+k): discounts count from step t on.": (
            "gamma**k * reward",
            "gamma ** (t + k) * reward",
        ),
        "The step's own reward is taken m times: the k-th is r_{t+k}.": ("reward[..., t + k]", "reward[..., t]"),
        "Every reward is discounted by γ: the k-th by γ^k, the own one not at all.": (
            "gamma**k * reward",
            "gamma * reward",
        ),
        "The last step is left out: it has one reward, and `last`.": [
            ("empty_like", "zeros_like"),
            ("range(steps)", "range(steps - 1)"),
        ],
        "The advantage is divided by m: nothing is averaged over steps.": (
            "value + gamma**m * later[..., t + m] - u[..., t]",
            "(value + gamma**m * later[..., t + m] - u[..., t]) / m",
        ),
        "n is taken for every step, and the index runs out of the recording: m = min(n, T - t) steps are left.": (
            "m = min(n, steps - t)",
            "m = n",
        ),
    },
)
