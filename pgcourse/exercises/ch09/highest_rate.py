"""How often may a robot fall that was seen to fall now and then, or never?"""

from scipy import stats

from pgcourse.grading.kinds import Check, derive


def highest_rate(falls, episodes, level):
    """The largest p with P(X ≤ falls) ≥ 1 - level for X ~ Binomial(episodes, p), as a quantile of a beta distribution.

    Clopper & Pearson (1934), one-sided.
    """
    if falls == episodes:
        return 1.0
    return float(stats.beta.ppf(level, falls + 1, episodes - falls))


def seen(falls, episodes, level=0.95):
    return {"falls": falls, "episodes": episodes, "level": level}


def drawn(low, high, most=0.5):
    def case(rng):
        episodes = int(rng.integers(low, high))
        return seen(int(rng.integers(1, most * episodes)), episodes, float(rng.choice([0.9, 0.95, 0.99])))

    return case


Z = "torch.special.ndtri(torch.tensor(level, dtype=torch.float64)).item()"
TWO_SIDED = "torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=torch.float64)).item()"

EXERCISE = derive(
    highest_rate,
    title="How often may it fall?",
    goal="Say how high a rate may be that was seen to be low, or to be 0.",
    minutes=25,
    difficulty=3,
    importance=4,
    hints=[
        "Which p would be so high that as few falls as these were a surprise, of a probability below 5 %? For no falls "
        "at all you can solve for it.",
        "P(X ≤ k) = Σ_j C(n, j) p^j (1-p)^(n-j), j from 0 to k, falls as p grows: halve the interval from 0 to 1 until "
        "it is 1 - level. Take log C(n, j) from `math.lgamma`, or `math.log(math.comb(n, j))`; with k = n every p is "
        "possible.",
    ],
    checks={
        "no fall": Check(
            2,
            "(1 - p)^n = 1 - level: solve for p.",
            [seen(0, 1, 0.5), seen(0, 100), seen(0, 20, 0.99), lambda rng: seen(0, int(rng.integers(5, 200)))],
        ),
        "some falls": Check(
            3,
            "The p at which k falls or fewer have the probability 1 - level.",
            [seen(1, 2, 0.75), seen(1, 10), seen(6, 100), drawn(8, 40), drawn(50, 200)],
            tolerance=(1e-4, 1e-6),
        ),
        "nothing but falls": Check(1, "Who always fell may always fall: 1.", [seen(3, 3), seen(1, 1, 0.9)]),
        "many episodes": Check(
            2,
            "p^100 (1-p)^4900 is tiny and C(5000, 100) huge: add up logarithms before you take the exponential.",
            [seen(60, 2000), seen(100, 5000), seen(200, 2500), seen(300, 3000)],
            tolerance=(1e-4, 1e-6),
            requires="there may be 5,000 episodes",
        ),
    },
    mistakes={
        "This is the rate that was seen: how high may the true one be?": "a[0] / a[1]",
        "3/n holds for no falls only, and nearly.": "min(3 / a[1], 1.0)",
        "(k + 3)/n is no bound: with more falls the margin grows, as their root.": "min((a[0] + 3) / a[1], 1.0)",
        "Two-sided: all of 1 - level belongs to the upper end.": "f(falls, episodes, (1 + level) / 2)",
        "`level` and 1 - level are exchanged: the surprise has the probability 1 - level.": (
            "f(falls, episodes, 1 - level)"
        ),
        "Fewer falls than were seen: k itself belongs to the sum.": (
            "torch.arange(falls + 1,",
            "torch.arange(max(falls, 1),",
        ),
        "This is the probability of exactly k falls: fewer would be no smaller surprise.": (
            "torch.arange(falls + 1,",
            "torch.arange(falls, falls + 1,",
        ),
        "C(n, j) is missing: the falls may be any of the episodes.": ("(ways + j * p.log()", "(j * p.log()"),
        "The normal distribution's margin is too small where there are few falls, and 0 where there are none.": (
            "min(falls / episodes + 1.645 * (falls / episodes * (1 - falls / episodes) / episodes) ** 0.5, 1.0)"
        ),
        "This is the lower end: how *seldom* it may fall.": (
            "1 - f(episodes - falls, episodes, level) if falls else 0.0"
        ),
        "Falls and other episodes are exchanged.": "f(episodes - falls, episodes, level)",
        "This is how seldom it may *not* fall: 1 - p.": ("return low\n", "return 1 - low\n"),
        "One fall more, one episode more: a rule for a mean, no bound.": "(falls + 1) / (episodes + 2)",
        "This is a number of falls: divide by the number of episodes.": ("return low\n", "return episodes * low\n"),
        "In per cent: a probability is asked for.": ("return low\n", "return 100 * low\n"),
        "Who fell each time may fall each time: then every p is possible, and the bound is 1.": (
            "return 1.0",
            "return level ** (1 / episodes)",
        ),
        "The bound of no falls, whatever was seen.": "f(0, episodes, level)",
        "(1 - p)^n = 1 - level was solved without the root: p is 1 - (1 - level)^(1/n).": ("f(*a) if falls else level"),
        "The normal distribution's margin, with z of the level: it is too small where there are few falls, and 0 where "
        "there are none.": (f"falls / episodes + {Z} * (falls / episodes * (1 - falls / episodes) / episodes) ** 0.5"),
        "The normal distribution's margin, and two-sided: all of 1 - level belongs to the upper end, and where there "
        "are no falls this margin is 0.": (
            f"falls / episodes + {TWO_SIDED} * (falls / episodes * (1 - falls / episodes) / episodes) ** 0.5"
        ),
        "(k - log(1 - level))/n is the rule of three with k added, and no bound: with more falls the margin grows, as "
        "their root.": "min((falls - np.log(1 - level)) / episodes, 1.0)",
        "(k - log(1 - level))/n may be above 1, and is no bound: with more falls the margin grows, as their root.": (
            "(falls - np.log(1 - level)) / episodes"
        ),
        "A quantile of Beta(k + 1, n - k + 1) answers another question, with a uniform prior: the bound is one of "
        "Beta(k + 1, n - k), and 1 where k = n.": "f(falls, episodes + 1, level)",
        "A quantile of Beta(k + 1, n - k + 1) answers another question, with a uniform prior: the bound is one of "
        "Beta(k + 1, n - k).": "f(falls, episodes + 1, level) if falls < episodes else 1.0",
        "At k = n there is no Beta(k + 1, 0), and its quantile is NaN: every p is possible there, and the bound "
        "is 1.": ("return 1.0", "return float('nan')"),
    },
)
