"""A discount, chosen before anything is trained.

`python -m pgcourse.grading.calibration 09.gamma` played 32 draws that no threshold was set by. The course's own answer
passed on all of them, and γ = 0.9, 0.98 and 0.9995 on none: each false verdict has a probability below 8.94 %, with
95 % confidence. Scores say more. By `python -m pgcourse.exercises.ch09._discounts 30 0.99 0.9995`, on other draws, the
mean of twelve runs is 22.1 standard deviations above the threshold for γ = 0.99 (a run has 0.905 ± 0.012), and 4.7
below for γ = 0.9995 (0.756 ± 0.055); of draws of any twelve of these 360 runs, 0.00 % are judged falsely.
"""

from functools import lru_cache

import numpy as np

from pgcourse.grading.kinds import Check, Limits, implement

DELAY, GAIN, COST, GUST = 25, 1.0, 2.0, 3.0
EDGE = (GAIN / COST) ** (1 / DELAY)  # 0.973: under this γ a lunge is worth nothing
SEEMS = "Under this γ a lunge is worth 1 - 2 γ^25, which is above 0: it seems to pay."
WEAK = (
    "The sign is right, and the gusts hide it: the price, discounted, is hardly more than what a lunge pays. γ has to "
    "be clearly above 0.973."
)
LONG = "The sums hold the gusts of far more than the half second: the direction is right and nearly drowned."
NO_DISCOUNT = "That is the horizon in steps, or a per cent: γ lies between 0 and 1."
STEPS, COPIES, SEEDS = 1_000, 8, 12
UPDATES, STEP_SIZE = 120, 5.0
LEAST = 0.83


def gamma():
    """No formula: `learns` trains with what is returned. Half a second is 25 steps, and 0.99^25 = 0.78."""
    return 0.99


def pay(lunge, gust):
    """What every step pays [..., time]: 1 for a lunge, -2 half a second after it, and a gust whatever one does."""
    late = np.zeros_like(gust)
    late[..., DELAY:] = COST * lunge[..., :-DELAY]
    return GAIN * lunge - late + GUST * gust


def advantages(reward, discount):
    """Each step's discounted sum of what follows, [seed, copy, time], standardised over a seed's batch."""
    sums, s = np.empty_like(reward), np.zeros(reward.shape[:-1])
    for t in reversed(range(reward.shape[-1])):
        s = reward[..., t] + discount * s
        sums[..., t] = s
    sums = sums - sums.mean((1, 2), keepdims=True)
    return sums / sums.std((1, 2), keepdims=True)


def ends(discount, seed):
    """The probability of no lunge after training, [run]: REINFORCE with one parameter θ a run."""
    rng = np.random.default_rng(seed)
    theta = np.zeros(SEEDS)
    for _ in range(UPDATES):
        probability = (1 / (1 + np.exp(-theta)))[:, None, None]
        lunge = (rng.random((SEEDS, COPIES, STEPS)) < probability).astype(float)
        advantage = advantages(pay(lunge, rng.standard_normal(lunge.shape)), discount)
        theta = theta + STEP_SIZE * ((lunge - probability) * advantage).mean((1, 2))
    return 1 / (1 + np.exp(theta))


@lru_cache(maxsize=256)
def steady(discount, seed):
    """The mean over runs."""
    return float(ends(discount, seed).mean())


def hidden(rng):
    """A seed that nobody has seen."""
    return int(rng.integers(1 << 30))


def discount(value):
    """An answer as a number. Raises ValueError, in words for the learner."""
    number = np.asarray(value)
    if isinstance(value, str | bool) or number.shape != () or number.dtype.kind not in "iuf":
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"γ = {float(number):g} is outside 0 to 1")
    return float(number)


def allowed(value, arguments, rng):
    try:
        discount(value)
    except ValueError as error:
        return str(error)
    return ""


def learns(value, arguments, rng):
    """Trains with seeds that nobody has seen; what is wrong, and the words for it."""
    try:
        chosen = discount(value)
    except ValueError as error:
        return str(error), NO_DISCOUNT
    reached = steady(chosen, hidden(rng))
    if reached >= LEAST:
        return ""
    said = f"{reached:.0%} of the steps are without a lunge, at least {LEAST:.0%} are asked for"
    return said, SEEMS if chosen < EDGE else WEAK if chosen < 0.99 else LONG


EXERCISE = implement(
    gamma,
    kind="tune",
    title="γ, chosen before you see",
    goal="Choose a discount from a robot's times, before anything is trained.",
    minutes=20,
    difficulty=3,
    importance=5,
    limits=Limits(check_seconds=30.0, exercise_seconds=60.0),
    hints=[
        "What is a lunge worth, discounted to the moment at which it is made? For which γ is that below 0? And how "
        "many gusts does a sum of discounted rewards hold?",
        "1 - 2 γ^25 is clearly below 0 from about γ = 0.985 on. The gusts in a sum have the standard deviation "
        "3 / √(1 - γ²), so do not go further than you must: a horizon 1/(1 - γ) of a few half seconds.",
    ],
    checks={
        "a discount": Check(1, "A number from 0 to 1, for one step of 0.02 s.", [{}], accept=allowed),
        "learns": Check(
            4,
            "Below some γ a lunge seems to pay. Far above it, what a lunge does is drowned by a minute of gusts.",
            [{}],
            accept=learns,
            requires="after training, 83 % of the steps are without a lunge, a mean over runs that nobody has seen",
        ),
    },
    mistakes={
        SEEMS: ("return 0.99", "return 0.9"),
        WEAK: ("return 0.99", "return 0.98"),
        LONG: ("return 0.99", "return 0.9995"),
        NO_DISCOUNT: ("return 0.99", "return 99"),
    },
)
