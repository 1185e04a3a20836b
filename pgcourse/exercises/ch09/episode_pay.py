"""What BipedalWalker's reward pays for."""

import numpy as np

from pgcourse.grading.kinds import Check, derive

FORWARD, UPRIGHT, TORQUE, FALL = 130 / 30, 5.0, 0.00035 * 80, -100.0


def episode_pay(x, lean, action, fell):
    """The sum of Gymnasium's `bipedal_walker` rewards, step by step as its `step` computes them."""
    paid = 0.0
    for t, chosen in enumerate(action):
        shaping = [FORWARD * x[i] - UPRIGHT * abs(lean[i]) for i in (t, t + 1)]
        paid += shaping[1] - shaping[0] - TORQUE * np.clip(np.abs(chosen), 0.0, 1.0).sum()
        if fell and t == len(action) - 1:
            paid += FALL - (shaping[1] - shaping[0] - TORQUE * np.clip(np.abs(chosen), 0.0, 1.0).sum())
    return paid


def drawn(steps, fell, size=1.0):
    def case(rng):
        return {
            "x": 4.7 + rng.normal(0.1, 0.2, steps + 1).cumsum(),
            "lean": rng.normal(0.1, 0.3, steps + 1),
            "action": rng.normal(0.0, size, (steps, 4)),
            "fell": fell,
        }

    return case


EXERCISE = derive(
    episode_pay,
    title="What the reward pays for",
    goal="Find out what a reward pays for over a whole episode, before a robot finds it out.",
    minutes=20,
    difficulty=2,
    importance=4,
    hints=[
        "Write down the rewards of three steps and add them. Which terms stand there twice, once with a minus?",
        "The sum telescopes: only x and |φ| at the beginning and the end are left, and the torques of every step. In "
        "an episode that ends in a fall the last step pays -100 and nothing else, so the sum stops one step earlier.",
    ],
    checks={
        "forward": Check(
            2,
            "Without torques and upright: 130/30 for each metre between the first and the last position.",
            [
                {"x": [1, 2, 4], "lean": [0, 0, 0], "action": [[0, 0, 0, 0]] * 2, "fell": False},
                {"x": [4, 1, 3, 2], "lean": [0, 0, 0, 0], "action": [[0, 0, 0, 0]] * 3, "fell": False},
            ],
        ),
        "upright": Check(
            2,
            "5 (|φ_0| - |φ_T|): what the trunk did on the way drops out, and so does its direction.",
            [
                {"x": [0, 0, 0], "lean": [0.2, 1.0, -0.4], "action": [[0, 0, 0, 0]] * 2, "fell": False},
                {"x": [0, 0, 0], "lean": [-0.5, 0.3, 0.0], "action": [[0, 0, 0, 0]] * 2, "fell": False},
                {"x": [0, 0, 0], "lean": [0.5, -0.1, 0.2], "action": [[0, 0, 0, 0]] * 2, "fell": False},
            ],
        ),
        "torques": Check(
            2,
            "0.028 for each joint and step at full torque; a motor gives no more than 1.",
            [
                {"x": [0, 0], "lean": [0, 0], "action": [[1, -0.5, 0, 0.5]], "fell": False},
                {"x": [0, 0], "lean": [0, 0], "action": [[3, -2, 0, 0.5]], "fell": False},
            ],
        ),
        "a fall": Check(
            2,
            "The step that ends in a fall pays -100 in place of everything else, its torques included.",
            [
                {"x": [1, 2, 4], "lean": [0, 0.1, 1.5], "action": [[0.5, 0, 0, 0], [1, 1, 1, 1]], "fell": True},
                {"x": [1, 2], "lean": [0, 1.5], "action": [[1, 1, 1, 1]], "fell": True},
                drawn(6, True),
            ],
        ),
        "whole episodes": Check(
            1,
            "All parts together.",
            [drawn(40, False), drawn(40, True, 2.0), drawn(1, False)],
            tolerance=(1e-4, 1e-3),
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "The trunk's angles are added up over the steps: only the first and the last are left.": (
            "lean[last].abs() - lean[0].abs()",
            "lean[1 : last + 1].abs().sum()",
        ),
        "The way is added up: whoever goes back and forth would be paid for it.": (
            "x[last] - x[0]",
            "x[: last + 1].diff().abs().sum()",
        ),
        "The lean counts without its sign.": (
            "lean[last].abs() - lean[0].abs()",
            "lean[last] - lean[0]",
        ),
        "The first angle is missing: the sum begins with the shaping of the first state.": (
            "lean[last].abs() - lean[0].abs()",
            "lean[last].abs()",
        ),
        "The first position is missing: it is the way that is paid, and the track does not begin at 0.": (
            "x[last] - x[0]",
            "x[last]",
        ),
        "Torques count with their signs: two motors that work against each other would cost nothing.": (
            "action[:last].abs()",
            "action[:last]",
        ),
        "Motors give no more than 1, and are charged for no more.": (".clamp(max=1.0)", ""),
        "The torques' mean over the joints is taken: every joint is charged.": (".sum()", ".mean(1).sum()"),
        "The -100 comes on top of what the last step pays: it replaces it.": (
            "last = len(action) - fell",
            "last = len(action)",
        ),
        "The -100 of a fall is missing.": ("- 100.0 * fell", "- 0.0 * fell"),
        "A fall costs, it is not paid: the sign of the 100.": ("- 100.0 * fell", "+ 100.0 * fell"),
        "The torques' charge is added: it is a cost.": ("- 0.028 *", "+ 0.028 *"),
        "Sign flipped? The way forward is paid: the last position minus the first.": (
            "130 / 30 * (x[last] - x[0])",
            "130 / 30 * (x[0] - x[last])",
        ),
        "The way of the step that ends in a fall is paid, too: that step pays -100 instead.": (
            "130 / 30 * (x[last] - x[0])",
            "130 / 30 * (x[-1] - x[0])",
        ),
        "The length of the way is paid: going back costs what going forward paid.": (
            "130 / 30 * (x[last] - x[0])",
            "130 / 30 * (x[1:] - x[:-1]).abs().sum()",
        ),
        "The factor 130/30 of the way is missing.": ("130 / 30 * (x[last] - x[0])", "x[last] - x[0]"),
        "The change of the angle lost its sign: leaning less is to be paid, and costs here.": (
            "5 * (lean[last].abs() - lean[0].abs())",
            "5 * (lean[last] - lean[0]).abs()",
        ),
        "All angles are added up: their changes telescope, and the first and the last are left.": (
            "5 * (lean[last].abs() - lean[0].abs())",
            "5 * lean.abs().sum()",
        ),
        "Leaning more is paid here: it costs.": ("forward - upright", "forward + upright"),
        "Torques of opposite signs cancel: each costs its size.": (
            ".abs().clamp(max=1.0).sum()",
            ".clamp(-1, 1).sum()",
        ),
        "Torques are squared: their size is charged.": (".abs().clamp(max=1.0).sum()", ".square().sum()"),
        "The four torques of a step are clamped together: each gives 1 at most.": (
            ".abs().clamp(max=1.0).sum()",
            ".abs().sum(1).clamp(max=1.0).sum()",
        ),
        "The torques' charge is averaged: every joint in every step pays.": (
            ".abs().clamp(max=1.0).sum()",
            ".abs().clamp(max=1.0).mean()",
        ),
        "Every episode ends in a fall here: look at `fell`.": ("100.0 * fell", "100.0"),
        "The last step is always left out: only a fall takes its pay away.": ("len(action) - fell", "len(action) - 1"),
        "A fall takes the pay of two steps: only that of its own.": ("len(action) - fell", "len(action) - 2 * fell"),
        "The torques of the step that ends in a fall are charged, too: that step pays -100 instead.": (
            "action[:last]",
            "action",
        ),
        "The factor of the way is ten times too small.": ("130 / 30", "13 / 30"),
        "The factor of the torques is ten times too large.": ("0.028", "0.28"),
        "An episode that ends in a fall keeps what its other steps paid.": (
            "return forward",
            "return -100.0 if fell else forward",
        ),
        "The angle after the fall is used: that step pays -100 instead.": ("lean[last]", "lean[-1]"),
        "The angles are added: the pay is for their difference.": (
            "5 * (lean[last].abs() - lean[0].abs())",
            "5 * (lean[last].abs() + lean[0].abs())",
        ),
        "Every step of an episode that ends in a fall pays -100: only the last one does.": (
            "100.0 * fell",
            "100.0 * fell * len(action)",
        ),
        "`fell` is not looked at: an episode that ends in a fall pays -100 in its last step, and nothing else there.": (
            "f(x, lean, action, False)"
        ),
        "The torques' charge is a mean over the steps: every step pays.": (
            ".abs().clamp(max=1.0).sum()",
            ".abs().clamp(max=1.0).sum(1).mean()",
        ),
        "The factor is upside down: it is 130/30.": (
            "130 / 30",
            "30 / 130",
        ),
        "The changes of the angle are added without their signs: they cancel, and the first and the last are left.": (
            "5 * (lean[last].abs() - lean[0].abs())",
            "5 * lean[: last + 1].diff().abs().sum()",
        ),
        "The angles of all states are added up: their changes telescope, and the first and the last are left.": (
            "5 * (lean[last].abs() - lean[0].abs())",
            "5 * lean[: last + 1].abs().sum()",
        ),
        "The trunk's posture is missing: upright counts, too.": (
            "5 * (lean[last].abs() - lean[0].abs())",
            "0",
        ),
        "The torques are missing: they are charged, too.": (
            "0.028",
            "0",
        ),
        "The torques are squared, and then limited to 1: it is their size that is charged.": (
            ".abs().clamp(max=1.0).sum()",
            ".square().clamp(max=1.0).sum()",
        ),
        "All torques of the episode together are limited to 1: each is by itself.": (
            ".abs().clamp(max=1.0).sum()",
            ".abs().sum().clamp(max=1.0)",
        ),
        "Only one joint is charged: all four are.": (
            "action[:last]",
            "action[:last, 0]",
        ),
        "This is a mean over the steps: the sum is asked for.": "f(*a) / len(action)",
        "Torques are limited to 1 before their sizes are taken: one of -2 then counts 2.": (
            ".abs().clamp(max=1.0)",
            ".clamp(max=1.0).abs()",
        ),
    },
)
