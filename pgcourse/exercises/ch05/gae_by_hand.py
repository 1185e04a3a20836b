"""GAE with pencil and paper."""

from dataclasses import replace

import numpy as np

from pgcourse.exercises.ch05.gae import gae
from pgcourse.grading.kinds import Check, predict

REWARD, U, LAST, GAMMA, LAM = np.array([1.0, 0.0, 2.0]), np.array([2.0, 4.0, 3.0]), 6.0, 0.5, 0.8


def by_hand():
    """The three steps of the text, cut by a time limit: residuals, a two-step advantage, GAE and a target."""
    later, never, cut = np.array([*U[1:], LAST]), np.zeros(3, bool), np.array([False, False, True])
    one, all_steps = (gae(REWARD, U, later, never, cut, GAMMA, lam) for lam in (0.0, LAM))
    two = gae(REWARD[:2], U[:2], later[:2], never[:2], cut[1:], GAMMA, 1.0)[0]
    numbers = {f"delta_{t}": one[t] for t in range(3)} | {"two_step_0": two}
    numbers |= {f"advantage_{t}": all_steps[t] for t in range(3)} | {"target_0": all_steps[0] + U[0]}
    return {name: float(value) for name, value in numbers.items()}


PREDICTED = predict(
    "by_hand",
    by_hand,
    within=dict.fromkeys(by_hand(), 0.005),
    title="GAE with pencil and paper",
    goal="Compute residuals, an n-step advantage, GAE and a critic's target without a machine.",
    minutes=10,
    difficulty=1,
    importance=4,
    hints=[
        "Begin with the three residuals. Which value follows the last step: the successor's, or that of the new "
        "episode?",
        "δ_2 = 2 + 0.5 · 6 - 3. Then Â_2 = δ_2, Â_1 = δ_1 + 0.4 Â_2, Â_0 = δ_0 + 0.4 Â_1. The target is Â_0 + u(s_0).",
    ],
    checks={
        "residuals": Check(2, "δ_t = r_t + γ u(s_{t+1}) - u(s_t).", items=("delta_0", "delta_1", "delta_2")),
        "two steps": Check(1, "Two rewards, then the critic, twice discounted.", items=("two_step_0",)),
        "advantages": Check(2, "From the back, with γλ = 0.4.", items=("advantage_0", "advantage_1", "advantage_2")),
        "target": Check(1, "What the guess for s_0 should have been: the advantage on top of it.", items=("target_0",)),
    },
    mistakes={
        "A time limit is no end of the world: u of the true successor, 6, counts in the last step.": (
            "2 + 0.5 * 6 - 3",
            "2 - 3",
        ),
        "10 is the value of another episode's first state: the true successor of the last step has 6.": (
            "0.5 * 6",
            "0.5 * 10",
        ),
        "γ is missing in the residuals.": [
            ("1 + 0.5 * 4", "1 + 4"),
            ("0 + 0.5 * 3", "0 + 3"),
            ("2 + 0.5 * 6", "2 + 6"),
        ],
        "In the residuals u(s_t) is not taken away.": [
            ("0.5 * 4 - 2", "0.5 * 4"),
            ("0.5 * 3 - 4", "0.5 * 3"),
            ("0.5 * 6 - 3", "0.5 * 6"),
        ],
        "Signs of the residuals flipped? What came minus what was expected.": (
            "1 + 0.5 * 4 - 2, 0 + 0.5 * 3 - 4, 2 + 0.5 * 6 - 3",
            "-(1 + 0.5 * 4 - 2), -(0 + 0.5 * 3 - 4), -(2 + 0.5 * 6 - 3)",
        ),
        "In the recursion λ alone discounts the next advantage: it is γλ.": (
            "gamma_lam = 0.5 * 0.8",
            "gamma_lam = 0.8",
        ),
        "In the recursion γ alone discounts the next advantage: it is γλ.": (
            "gamma_lam = 0.5 * 0.8",
            "gamma_lam = 0.5",
        ),
        "The recursion adds the next residual, not the next advantage.": (
            "a0 = d0 + gamma_lam * a1",
            "a0 = d0 + gamma_lam * d1",
        ),
        "The critic's word after two steps is discounted once only: γ² u(s_2).": ("0.25 * 3", "0.5 * 3"),
        "The second reward is discounted and the critic left out: an n-step advantage asks it after n rewards.": (
            " + 0.25 * 3",
            "",
        ),
        "The two-step advantage is not measured against u(s_0).": ("0.25 * 3 - 2", "0.25 * 3"),
        "Two steps are δ_0 + γ δ_1: 0 comes out with γλ in the place of γ, or with u(s_1) in the place of u(s_2).": (
            "1 + 0.5 * 0 + 0.25 * 3 - 2",
            "d0 + gamma_lam * d1",
        ),
        "The target is what the guess should have been: add u(s_0) to the advantage, do not take it away.": (
            "a0 + 2",
            "a0 - 2",
        ),
        "The target is the advantage on top of the old guess u(s_0).": ("a0 + 2", "a0"),
        "The target is the one-step target: with GAE it is Â_0 + u(s_0).": ("a0 + 2", "d0 + 2"),
        "The target is measured from another state: it is Â_0 + u(s_0).": ("a0 + 2", "a0 + 4"),
        "The target is made of the two-step advantage: it is GAE's Â_0 + u(s_0).": ("a0 + 2", "two + 2"),
        "The recursion stops after one step: δ_2 counts in Â_1, with γλ.": ("a1 = d1 + gamma_lam * a2", "a1 = d1"),
        "The recursion runs on into the new episode: behind the cut nothing counts but u(s_3).": (
            "a2 = d2",
            "a2 = d2 + gamma_lam * 10",
        ),
        "Â_2 is its own residual: it is not 0 at the cut.": ("a2 = d2", "a2 = 0"),
        "Two steps are δ_0 + γ δ_1: the second is discounted.": ("1 + 0.5 * 0 + 0.25 * 3 - 2", "d0 + d1"),
        "Both values are discounted: δ is r + γ u' - u, and u(s_t) counts in full.": (
            "1 + 0.5 * 4 - 2, 0 + 0.5 * 3 - 4, 2 + 0.5 * 6 - 3",
            "1 + 0.5 * (4 - 2), 0 + 0.5 * (3 - 4), 2 + 0.5 * (6 - 3)",
        ),
        "In the residuals the next state's value is missing: δ is r + γ u' - u.": (
            "1 + 0.5 * 4 - 2, 0 + 0.5 * 3 - 4, 2 + 0.5 * 6 - 3",
            "1 - 2, 0 - 4, 2 - 3",
        ),
        "The two-step advantage has three rewards: after two of them the critic is asked.": (
            "1 + 0.5 * 0 + 0.25 * 3 - 2",
            "1 + 0.5 * 0 + 0.25 * 2 + 0.125 * 6 - 2",
        ),
        "γ is missing in the two-step advantage.": ("1 + 0.5 * 0 + 0.25 * 3 - 2", "1 + 0 + 3 - 2"),
        "The advantages are the residuals alone: each also takes γλ times the next advantage.": [
            ("a1 = d1 + gamma_lam * a2", "a1 = d1"),
            ("a0 = d0 + gamma_lam * a1", "a0 = d0"),
        ],
        "In the recursion the next advantage counts in full: it is weighted with γλ.": (
            "gamma_lam = 0.5 * 0.8",
            "gamma_lam = 1.0",
        ),
        "In the recursion γ(1-λ) stands in the place of γλ.": ("gamma_lam = 0.5 * 0.8", "gamma_lam = 0.5 * (1 - 0.8)"),
        "1 - λ stands before the residuals: that factor belongs to the mean of n-step advantages, not to this sum.": [
            ("a2 = d2", "a2 = 0.2 * d2"),
            ("a1 = d1 +", "a1 = 0.2 * d1 +"),
            ("a0 = d0 +", "a0 = 0.2 * d0 +"),
        ],
        "The recursion runs forward through time: Â_t needs what comes after t.": [
            (
                "a2 = d2\n    a1 = d1 + gamma_lam * a2\n    a0 = d0 + gamma_lam * a1",
                "a0 = d0\n    a1 = d1 + gamma_lam * a0\n    a2 = d2 + gamma_lam * a1",
            )
        ],
        "γ and λ are exchanged: γ = 0.5 is the discount.": [
            ("1 + 0.5 * 4 - 2, 0 + 0.5 * 3 - 4, 2 + 0.5 * 6 - 3", "1 + 0.8 * 4 - 2, 0 + 0.8 * 3 - 4, 2 + 0.8 * 6 - 3"),
            ("1 + 0.5 * 0 + 0.25 * 3 - 2", "1 + 0.8 * 0 + 0.64 * 3 - 2"),
        ],
        "The target is that of waiting to the end, λ = 1: with GAE it is Â_0 + u(s_0).": (
            "a0 + 2",
            "1 + 0.5 * 0 + 0.25 * 2 + 0.125 * 6",
        ),
        "The target is the three rewards alone: the critic's word on s_3 is missing, and λ.": (
            "a0 + 2",
            "1 + 0.5 * 0 + 0.25 * 2",
        ),
        "In the target the advantage is taken away from u(s_0): it is added.": ("a0 + 2", "2 - a0"),
    },
)

EXERCISE = replace(PREDICTED, kind="derive")  # judged as numbers committed to are; but nothing is measured here
