"""The scale of rewards."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def scaled(reward, done, gamma):
    """r / sd(S), S_t = Σ_k γ^k r_{t-k} over the episode so far. Engstrom et al. (2020), section 3."""
    steps, copies = reward.shape
    sums = np.zeros_like(reward)
    for copy in range(copies):
        first = 0
        for t in range(steps):
            sums[t, copy] = sum(gamma ** (t - k) * reward[k, copy] for k in range(first, t + 1))
            if done[t, copy]:
                first = t + 1
    return reward / np.sqrt(sums.var() + 1e-8)


def drawn(steps, copies, gamma, ends=0.0, size=1.0, offset=0.0):
    def case(rng):
        return {
            "reward": size * (offset + rng.normal(size=(steps, copies))),
            "done": rng.uniform(size=(steps, copies)) < ends,
            "gamma": gamma,
        }

    return case


# One reward of 1 in 300 steps: scaled it is 17.
RARE = {"reward": np.eye(300)[:, :1], "done": np.zeros((300, 1), bool), "gamma": 0.0}

EXERCISE = implement(
    scaled,
    title="The scale of rewards",
    goal="Bring the critic's targets to the size that its step size was chosen for, and change no preference.",
    minutes=20,
    difficulty=3,
    importance=5,
    hints=[
        "Follow one copy by hand: S_0 = r_0, S_1 = r_1 + γ S_0. What does S begin with after an episode has ended, and "
        "does the last reward of the old episode belong to the old S?",
        "Loop over time: `s = gamma * s + reward[t]`, store s, then `s = s * ~done[t]`. At the end divide the rewards "
        "by `(sums.var(correction=0) + 1e-8).sqrt()`, and take no mean away.",
    ],
    checks={
        "one episode": Check(
            2,
            "S_t = r_t + γ S_{t-1}; the rewards are divided by the standard deviation of all S.",
            [
                {"reward": [[1], [1]], "done": [[False], [False]], "gamma": 0.5},
                drawn(6, 1, 0.9),
                drawn(40, 1, 0.99, offset=1.0),
            ],
        ),
        "episodes": Check(
            2,
            "The reward of the step that ends an episode belongs to it; after that S begins at 0 again.",
            [
                {"reward": [[1], [2], [4], [8]], "done": [[False], [True], [False], [False]], "gamma": 0.5},
                drawn(30, 1, 0.95, ends=0.2, offset=1.0),
            ],
        ),
        "copies": Check(
            2,
            "Every copy of the world has its own S and its own ends; the scale is one for all.",
            [
                drawn(12, 3, 0.9, ends=0.2, offset=0.5),
                drawn(5, 4, 0.99, ends=0.3),
                drawn(6, 3, 0.9, ends=0.2, size=1e-5),  # another constant than 1e-8 is not taken for float32's rounding
            ],
            dtype="as input",
            leaves_input_alone=True,
        ),
        "other units": Check(
            1,
            "Rewards in other units give the same result: that is what the scale is for.",
            [drawn(10, 2, 0.9, size=100.0), drawn(10, 2, 0.9, size=0.01)],
        ),
        "γ = 0 and no reward": Check(
            1,
            "With γ = 0 the sums are the rewards. Where nothing is paid the result is 0, and not NaN.",
            [
                drawn(8, 2, 0.0),
                drawn(8, 2, 0.9, size=1e-5),
                RARE,
                {"reward": [[0, 0], [0, 0]], "done": [[False, False], [True, False]], "gamma": 0.9},
            ],
        ),
    },
    mistakes={
        "The rewards' mean is taken away: a robot that is paid for every step is then punished for half of them.": (
            "return reward / scale",
            "return (reward - reward.mean()) / scale",
        ),
        "The sums' mean is taken away from the rewards: only the scale may change.": (
            "return reward / scale",
            "return (reward - sums.mean()) / scale",
        ),
        "This is the standard deviation of the rewards: the critic predicts sums of them.": (
            "sums.var(correction=0)",
            "reward.var(correction=0)",
        ),
        "S goes on through the end of an episode: the next one begins at 0.": ("s = s * ~done[t]", "s = s * 1"),
        "S starts anew one step too early: the reward of the step that ends an episode belongs to that episode.": (
            "s = gamma * s + reward[t]\n        sums[t] = s\n        s = s * ~done[t]",
            "s = gamma * s * ~done[t] + reward[t]\n        sums[t] = s",
        ),
        "γ is missing in S.": ("s = gamma * s + reward[t]", "s = s + reward[t]"),
        "γ stands before the reward: it is the older sum that fades.": (
            "s = gamma * s + reward[t]",
            "s = s + gamma * reward[t]",
        ),
        "These are sums of what follows, backwards in time: S looks back.": (
            "f(reward.flip(0), torch.cat([done[:-1].flip(0), done[-1:]]), gamma).flip(0)"
        ),
        "Every copy has a scale of its own: the critic is one for all of them.": (
            "sums.var(correction=0)",
            "sums.var(0, correction=0)",
        ),
        "The variance divides by the number of sums, not by one less.": ("correction=0", "correction=1"),
        "Divided by the variance: rewards in other units would change the result.": (
            "(sums.var(correction=0) + 1e-8).sqrt()",
            "sums.var(correction=0) + 1e-8",
        ),
        "The sums are returned, and not the rewards: they are only what the scale is measured on.": (
            "return reward / scale",
            "return sums / scale",
        ),
        "The root mean square is no standard deviation: the mean of S does not count.": (
            "sums.var(correction=0)",
            "sums.square().mean()",
        ),
        "0/0 where nothing has been paid yet: add 1e-8 under the root.": (" + 1e-8)", ")"),
        "Time is run through backwards: S holds what has been paid so far, not what is to come.": (
            "range(len(reward))",
            "reversed(range(len(reward)))",
        ),
        "The rewards are multiplied by the standard deviation: divide.": ("reward / scale", "reward * scale"),
        "The constant under the root is too large: small rewards are then not brought to size.": ("+ 1e-8", "+ 1e-2"),
        "The constant stands outside the root.": ("reward / scale", "reward / (sums.std(correction=0) + 1e-8)"),
        "The last sum of an episode is recorded as 0: it is measured, and cleared behind the step.": (
            "        sums[t] = s\n        s = s * ~done[t]",
            "        s = s * ~done[t]\n        sums[t] = s",
        ),
        "S is cleared where the episode goes on: the flag is inverted.": ("s * ~done[t]", "s * done[t]"),
        "All copies are cleared when one ends: each has its own episodes.": ("s * ~done[t]", "s * ~done[t].any()"),
        "Large results are cut off at ±10: nothing of that was asked, and it changes preferences.": (
            "reward / scale",
            "(reward / scale).clamp(-10, 10)",
        ),
        "The own reward is discounted, too: S = r + γ S.": ("gamma * s + reward[t]", "gamma * (s + reward[t])"),
        "S is an average with the weights 1 - γ and γ: it is a sum.": (
            "gamma * s + reward[t]",
            "(1 - gamma) * reward[t] + gamma * s",
        ),
        "Only the last sums are looked at: the variance is over all steps.": (
            "sums.var(correction=0)",
            "sums[-1].var(correction=0)",
        ),
        "Only sums of whole episodes are looked at: the variance is over all steps.": (
            "sums.var(correction=0)",
            "sums[done].var(correction=0)",
        ),
        "Each step has a scale of its own: one for the rollout is asked for.": (
            "sums.var(correction=0)",
            "sums.var(1, correction=0, keepdim=True)",
        ),
        "It is divided by the largest reward.": ("reward / scale", "reward / reward.abs().max()"),
        "γ is 0.99 whatever is given.": ("f(reward, done, 0.99)"),
        "The result is always float32.": ("f(reward, done, gamma).float()"),
        "The flag of the step before is used: S is 0 behind the step that ends.": (
            "s = s * ~done[t]",
            "s = s * ~done[max(t - 1, 0)]",
        ),
        "The next episode begins with the last reward of the one before: it begins with 0.": (
            "s = s * ~done[t]",
            "s = s * ~done[t] + gamma * 0 * s; s = torch.where(done[t], reward[t], s)",
        ),
        "It is divided by the largest sum: the standard deviation of all is asked for.": (
            "scale = (sums.var(correction=0) + 1e-8).sqrt()",
            "scale = sums.abs().max() + 1e-8",
        ),
        "It is divided by the mean size of the sums: the standard deviation is asked for.": (
            "scale = (sums.var(correction=0) + 1e-8).sqrt()",
            "scale = sums.abs().mean() + 1e-8",
        ),
        "γ is counted from the beginning: in S it is the older rewards that have faded.": (
            "gamma * s + reward[t]",
            "s + gamma**t * reward[t]",
        ),
        "The copies' standard deviations are averaged: one for all sums is asked for.": (
            "scale = (sums.var(correction=0) + 1e-8).sqrt()",
            "scale = sums.std(0, correction=0).mean()",
        ),
        "Each step is divided by the deviation of the sums so far: one for the whole rollout is asked for.": (
            "scale = (sums.var(correction=0) + 1e-8).sqrt()",
            (
                "scale = torch.stack([(sums[: t + 1].var(correction=0) + 1e-8).sqrt() for t in "
                "range(len(sums))]).unsqueeze(1)"
            ),
        ),
        "Small rewards are not enlarged: the divisor is held above 1.": (
            "scale = (sums.var(correction=0) + 1e-8).sqrt()",
            "scale = (sums.var(correction=0) + 1e-8).sqrt().clamp(min=1)",
        ),
        "The copies' sums are averaged before their variance is taken: it is that of the sums of all copies.": (
            "sums.var(correction=0)",
            "sums.mean(1).var(correction=0)",
        ),
        "Where an episode ends only the last sums of episodes are looked at: the variance is over all steps.": (
            "sums.var(correction=0)",
            "(sums[done] if done.any() else sums).var(correction=0)",
        ),
        "S holds the mean reward of all copies: every copy has its own.": ("+ reward[t]", "+ reward[t].mean()"),
        "Divided by powers of γ: for γ = 0 that is 0/0. Run through time instead.": (
            "s = gamma * s + reward[t]\n        sums[t] = s\n        s = s * ~done[t]",
            "start = torch.zeros_like(s) if t == 0 else torch.where(done[t - 1], torch.full_like(s, t), start)\n       "
            " power = gamma ** (t - start)\n        total = reward[t] / power + (0 if t == 0 else total * ~done[t - "
            "1])\n        sums[t] = total * power",
        ),
        "The constant is missing, and only sums that are all alike are asked after: it stands under the root.": (
            "scale = (sums.var(correction=0) + 1e-8).sqrt()",
            "scale = sums.std(correction=0)\n    scale = scale if scale > 0 else 1.0",
        ),
        "Two things: every copy has a scale of its own, and its variance divides by one less than the number of "
        "sums.": (
            "scale = (sums.var(correction=0) + 1e-8).sqrt()",
            "scale = (sums.var(0) + 1e-8).sqrt()",
        ),
        "Two things: the variance divides by one less than the number of sums, and the constant stands outside the "
        "root.": (
            "scale = (sums.var(correction=0) + 1e-8).sqrt()",
            "scale = sums.std() + 1e-8",
        ),
        "Two things: every copy has a scale of its own, and the constant stands outside the root.": (
            "scale = (sums.var(correction=0) + 1e-8).sqrt()",
            "scale = sums.std(0, correction=0) + 1e-8",
        ),
        "Three things: every copy has a scale of its own, its variance divides by one less than the number of sums, "
        "and the constant stands outside the root.": (
            "scale = (sums.var(correction=0) + 1e-8).sqrt()",
            "scale = sums.std(0) + 1e-8",
        ),
        "The sums are kept in float32, whatever the rewards are: give them the rewards' dtype, as "
        "`torch.zeros_like(reward)` does.": ("torch.empty_like(reward)", "torch.empty(reward.shape)"),
    },
)
