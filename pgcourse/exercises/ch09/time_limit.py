"""A time limit, and a world that resets itself."""

import numpy as np

from pgcourse.grading.kinds import Check, repair


def advantages(reward, value, last_value, final_value, terminated, truncated, gamma, lam):
    """Â_t = Σ_k (γλ)^k δ_{t+k} up to the end of t's episode, written as that sum. Schulman et al. (2016), eq. 16."""
    steps, copies = reward.shape
    result = np.zeros_like(reward)
    for copy in range(copies):
        for t in range(steps):
            for k in range(t, steps):
                ended = terminated[k, copy] or truncated[k, copy]
                after = final_value[k, copy] if ended else value[k + 1, copy] if k + 1 < steps else last_value[copy]
                delta = reward[k, copy] + (0.0 if terminated[k, copy] else gamma * after) - value[k, copy]
                result[t, copy] += (gamma * lam) ** (k - t) * delta
                if ended:
                    break
    return result


def rollout(reward, value, last_value, ends=(), gamma=0.5, lam=0.5):
    """A case of one copy; `ends` gives (step, kind, value of the final observation)."""
    steps = len(reward)
    flags = {kind: np.zeros((steps, 1), bool) for kind in ("terminated", "truncated")}
    final = np.full((steps, 1), np.nan)
    for t, kinds, at_end in ends:
        final[t] = at_end
        for kind in kinds:
            flags[kind][t] = True
    columns = {"reward": reward, "value": value}
    return {
        **{name: np.array(x, float)[:, None] for name, x in columns.items()},
        "last_value": np.array([last_value], float),
        "final_value": final,
        **flags,
        "gamma": gamma,
        "lam": lam,
    }


def drawn(steps, copies, gamma, lam, falls=0.15, cuts=0.15):
    def case(rng):
        terminated, truncated = (rng.uniform(size=(steps, copies)) < often for often in (falls, cuts))
        final = np.where(terminated | truncated, rng.normal(4.0, 1.0, (steps, copies)), np.nan)
        return {
            "reward": rng.normal(size=(steps, copies)),
            "value": rng.normal(0.0, 2.0, (steps, copies)),
            "last_value": rng.normal(size=copies),
            "final_value": final,
            "terminated": terminated,
            "truncated": truncated,
            "gamma": gamma,
            "lam": lam,
        }

    return case


CUT, FALL = ("truncated",), ("terminated",)

EXERCISE = repair(
    advantages,
    start=("after = torch.where(ended, final_value, after)\n    ", ""),
    title="The robot that was put back to the start",
    goal="Bootstrap where a time limit cuts an episode from the state that was cut, in a world that resets itself.",
    minutes=15,
    difficulty=3,
    importance=5,
    hints=[
        "Vector environments reset a copy within the step that ends its episode. Whose value is `value[t + 1]` then?",
        "Where an episode ended, what follows is worth `final_value`: the value of the last observation before the "
        "reset. `terminated` then still sets it to 0, and the sum still stops. Use `torch.where`: elsewhere it is NaN.",
    ],
    checks={
        "no end": Check(
            1,
            "Without an end `value[t + 1]` is what follows, and `last_value` after the last step.",
            [rollout([1, 0, 2], [2, 4, 3], 6), drawn(6, 2, 0.9, 0.9, 0.0, 0.0)],
        ),
        "a fall": Check(
            1,
            "After a fall nothing follows.",
            [
                rollout([1, -100, 2], [2, 4, 3], 6, [(1, FALL, -50.0)]),
                drawn(10, 2, 0.9, 0.9, 0.3, 0.0),
                rollout([1, 2], [2, 4], 6, [(0, FALL + CUT, 3.0)]),
            ],
        ),
        "a time limit": Check(
            3,
            "Where the time limit cut, what follows is worth the value of the observation that was cut off.",
            [
                rollout([1, 0, 2], [2, 4, 3], 6, [(1, CUT, 10.0)]),
                rollout([1, 0], [2, 4], 6, [(1, CUT, 10.0)]),
                rollout([1, 0, 2], [2, 4, 3], 6, [(1, CUT, -10.0)]),
                rollout([1, 0, 2], [2, 4, 3], 6, [(1, CUT, 0.0)]),
                drawn(10, 2, 0.9, 0.9, 0.0, 0.3),
            ],
        ),
        "both": Check(
            1,
            "Falls, limits and copies together.",
            [drawn(20, 3, 0.99, 0.95), drawn(8, 2, 1.0, 1.0), drawn(8, 2, 0.9, 0.0)],
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "A time limit is taken for a fall: nothing is said to follow, and a robot that gets far learns that late steps "
        "are worth little.": ("masked_fill(terminated, 0.0)", "masked_fill(ended, 0.0)"),
        "After a fall something follows here: where `terminated`, it is worth 0.": (
            ".masked_fill(terminated, 0.0)",
            "",
        ),
        "The sum runs on into the next episode: it stops where either flag is set.": ("* ~ended", "* ~terminated"),
        "The sum runs on through every end.": ("* ~ended", "* torch.ones_like(ended)"),
        "What follows the cut is put at the value of the state before it.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended, value, after)",
        ),
        "`final_value` is multiplied with the flags: it is NaN where no episode ended, and 0 · NaN is NaN.": (
            "torch.where(ended, final_value, after)",
            "final_value * ended + after * ~ended",
        ),
        "γ does not stand before the value of what follows the cut.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended, final_value / gamma, after)",
        ),
        "The final values are one step late: row t holds the observation after step t.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended, final_value.roll(1, 0).nan_to_num(), after)",
        ),
        "`last_value` is missing: the rollout's end is taken for an end of the episode.": (
            "last_value.unsqueeze(0)",
            "torch.zeros_like(last_value).unsqueeze(0)",
        ),
        "A time limit is no end here: the value behind it is the next episode's, and the sum runs on into that.": (
            "ended = terminated | truncated",
            "ended = terminated",
        ),
        "A fall does not end the sum: `ended` is either of the two.": (
            "ended = terminated | truncated",
            "ended = truncated",
        ),
        "The flags are exchanged: behind a fall the value is 0, behind a time limit `final_value`.": (
            "after.masked_fill(terminated, 0.0)",
            "after.masked_fill(truncated, 0.0)",
        ),
        "The sum goes on where an episode ended, and stops where it goes on.": (
            "gamma * lam * ~ended",
            "gamma * lam * ended",
        ),
        "The value is added: it is what was expected. That line was right.": (" - value\n", " + value\n"),
        "γ is missing in δ. That line was right.": ("gamma * after.masked", "after.masked"),
        "γ is missing in the sum. That line was right.": ("gamma * lam * ~ended", "lam * ~ended"),
        "λ is missing in the sum. That line was right.": ("gamma * lam * ~ended", "gamma * ~ended"),
        "Where the episode goes on the step's own value follows: it is the next row's.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended, final_value.nan_to_num(), value)",
        ),
        "Time is run through forwards. That line was right.": ("reversed(range(len(reward)))", "range(len(reward))"),
        "`final_value` of another step is used: it stands in the row of the step that ended.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended, final_value.roll(-1, 0).nan_to_num(), after)",
        ),
        "This is the critic's target, Â + v: the advantage alone was right.": (
            "result[t] = ahead",
            "result[t] = ahead + value[t]",
        ),
        "`last_value` stands behind every end: it belongs to the last row only.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended, last_value, after)",
        ),
        "What follows is subtracted once more: δ takes away the step's own value.": ("- value\n", "- after\n"),
        "`final_value` stands behind every step, with 0 where no episode ended: there the next row's value follows.": (
            "torch.where(ended, final_value, after)",
            "final_value.nan_to_num(0.0)",
        ),
        "δ is 0 where the limit cut: that step has a reward, too, and something follows it.": [
            (
                "after = torch.where(ended, final_value, after)",
                "pass",
            ),
            (
                "    carry =",
                "    delta = delta.masked_fill(truncated, 0.0)\n    carry =",
            ),
        ],
        "The two values of `torch.where` are exchanged: `final_value` is for where an episode ended.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended, after, final_value)",
        ),
        "`final_value` is added to the next episode's value: it takes its place.": (
            "torch.where(ended, final_value, after)",
            "after + final_value.nan_to_num(0.0)",
        ),
        "The reward is there twice where an episode ended.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended, reward + final_value, after)",
        ),
        "γ stands twice before the value of what follows the cut.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended, gamma * final_value, after)",
        ),
        "Where a fall and the limit come together, the fall counts: nothing follows.": (
            "masked_fill(terminated, 0.0)",
            "masked_fill(terminated & ~truncated, 0.0)",
        ),
        "`last_value` overwrites an end in the last row: put it in first, and then what ended.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended, final_value, after); after[-1] = last_value",
        ),
        "What follows a cut is put at the value of the rollout's first state: it is `final_value`.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended, value[0], after)",
        ),
        "`final_value` takes the place of the step's own value, too: what was expected stays as it was.": (
            "- value\n",
            "- torch.where(truncated, final_value, value)\n",
        ),
        "All copies are taken for ended where one is: each has its own ends.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended.any(1, keepdim=True), final_value.nan_to_num(0.0), after)",
        ),
        "Ends and final values are shifted by one step: they stand in the row of the step that ended.": (
            "torch.where(ended, final_value, after)",
            "torch.where(ended.roll(1, 0), final_value.roll(1, 0), after)",
        ),
        "Whether an episode ended is asked of its last value, which may be 0 or below: the flags say it.": (
            "torch.where(ended, final_value, after)",
            "torch.where(final_value.nan_to_num(0.0) > 0, final_value, after)",
        ),
        "`final_value` is written into the row of the next episode's value: there δ takes that value away, which stays "
        "as it was.": [
            (
                "after = torch.cat([value[1:], last_value.unsqueeze(0)])",
                "both = torch.cat([value, last_value.unsqueeze(0)]); both[1:][ended] = final_value[ended]; value, "
                "after = both[:-1], both[1:]",
            )
        ],
    },
)
