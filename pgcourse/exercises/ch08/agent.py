"""PPO from an empty file.

`python -m pgcourse.grading.calibration 08.agent` measures on draws that no threshold was set by. The course's own
answer passed every check on 100 of 100, and γ = 0 passed "a later reward" on 0 of 100: each false verdict has a
probability below 2.96 %, with 95 % confidence. These draws begin at 1,000, as `calibration.FIRST` did then.

"A limit is no end" and "episodes apart" are younger: by `python -m pgcourse.exercises.ch08._agents` the course's own
answer passes all checks on 300 of 300, a time limit that is taken for an end and sums that run on behind a time limit
on 0 of 300: each false verdict has a probability below 1.00 %, with 95 % confidence. In "episodes apart" nine right
answers take action 1 in nine cases of ten at least, and sums that run on, behind every end or only behind a time limit,
in one of ten at most: a test plays them to the end.

Since these numbers "a limit is no end" is played in both orders of its values, by agents of one seed: tests play
critics that learn nothing, which fail it, and right answers in other styles, which pass.

What no check sees, as such agents learn these worlds, too: gradients that pile up, a ratio that is always 1, no clip, a
critic whose target is the advantage.
"""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, Limits, Player, implement

SIZES = {
    "a choice": (64, 8),
    "an end is an end": (64, 8),
    "a limit is no end": (64, 8),
    "a later reward": (64, 8),
    "episodes apart": (64, 8),
    "CartPole": (32, 16),
}
UPDATES = {name: 30 if name == "CartPole" else 15 for name in SIZES}
DRAWN = 100  # copies of one observation
WINDOW = 5  # updates in a row that must reach the least
LEAST = {name: 0.8 for name in SIZES} | {"a choice": 0.9, "CartPole": 65.0}


def agent(observations, actions, seed):
    """No formula: the checks play with what is returned. Schulman et al. (2017), algorithm 1."""


def sign(rng, copies):
    """+1 or -1 for each copy, [N, 1]."""
    return rng.choice([-1.0, 1.0], (copies, 1)).astype(np.float32)


def signs(rng, copies, steps):
    """A world whose episodes last one step: action 1 is right after +1, action 0 after -1."""
    obs, never = sign(rng, copies), np.zeros(copies, bool)
    while True:
        action = yield obs
        reward, after, obs = (action == (obs[:, 0] > 0)).astype(np.float32), obs, sign(rng, copies)
        yield reward, after, ~never, never


def mirage(rng, copies, steps, good=1.0):
    """As short; `good` pays 1, and action 1 pays 0.2 more. Action 0 ends the episode in `good`, action 1 in -`good`."""
    obs, never = sign(rng, copies), np.zeros(copies, bool)
    while True:
        action = yield obs
        reward = ((obs[:, 0] == good) + 0.2 * action).astype(np.float32)
        after = (good * (1 - 2 * action)).astype(np.float32)
        obs = sign(rng, copies)
        yield reward, after[:, None], ~never, never


def cut(rng, copies, steps, good=1.0):
    """The mirage, but a time limit ends its episodes: what would follow counts, and action 0 leads to it."""
    world = mirage(rng, copies, steps, good)
    step = next(world)
    while True:
        action = yield step
        reward, after, ends, never = world.send(action)
        yield reward, after, never, ends
        step = next(world)


def cut_around(rng, copies, steps):
    """The same where -1 pays. A critic that learns nothing may have one of the two right by its start, not both."""
    return cut(rng, copies, steps, good=-1.0)


def later(rng, copies, steps):
    """Two steps: action 1 is right after +1, action 0 after -1, but the wrong one pays 0.2 at once. The right one leads
    to +2, the wrong one to -2, and from +2 any action pays 1.

    What is to come can be seen, so a critic that looks one step ahead is enough (λ = 0). γ = 0 learns the wrong one.
    """
    never = np.zeros(copies, bool)
    while True:
        obs = sign(rng, copies)
        action = yield obs
        right = action == (obs[:, 0] > 0)
        after = np.where(right, 2, -2).astype(np.float32)[:, None]
        yield (0.2 * ~right).astype(np.float32), after, never, never
        yield after
        yield right.astype(np.float32), after, ~never, never


def apart(rng, copies, steps):
    """Episodes of one step, in which action 1 pays 0.2 more; but after action 0 the copy's *next* episode pays 1 more,
    which nobody can see. Half of them end, half are cut. Sums that run on over either learn action 0."""
    owed = np.zeros(copies)
    while True:
        obs = sign(rng, copies)
        action = yield obs
        ends = rng.random(copies) < 0.5
        yield (0.2 * action + owed).astype(np.float32), obs, ends, ~ends
        owed = 1.0 - action


def cartpole(rng, copies, steps):
    """Copies of CartPole-v1, Barto, Sutton & Anderson (1983)."""
    from pgcourse.core import Streams
    from pgcourse.envs import make

    world, streams = make("CartPole-v1", copies), Streams([int(rng.integers(1 << 30))])
    obs = world.reset(streams.child("reset"))
    noise = world.noise(streams.child("steps"), steps)
    for t in range(steps):
        action = yield obs[0].numpy()
        step = world.step(torch.as_tensor(action)[None], noise[:, t])
        obs = step.obs
        yield tuple(x[0].numpy() for x in (step.reward, step.next_obs, step.terminated, step.truncated))


def train(player: Player, name, world, shape, rng, measured, seed):
    """Train an agent until `WINDOW` updates in a row reach the least, or to the end; what the last ones reached.

    `measured` makes a number of their rewards, their ended episodes and their actions 1, summed. Raises ValueError for
    impossible actions.
    """
    copies, steps = SIZES[name]
    world = world(rng, copies, steps * UPDATES[name])
    player.make("agent", *shape, seed)
    seen = np.zeros((UPDATES[name], 3))
    for update in range(UPDATES[name]):
        rollout = []
        for _ in range(steps):
            obs = next(world)
            action = actions(player.call("agent", "act", torch.from_numpy(obs.copy())), copies, shape[1])
            reward, after, terminated, truncated = world.send(action)
            rollout.append((obs, action, reward, after, terminated, truncated))
            seen[update] += reward.sum(), (terminated | truncated).sum(), action.sum()
        last = seen[max(0, update + 1 - WINDOW) : update + 1]
        reached = measured(*last.sum(0))
        if len(last) == WINDOW and reached >= LEAST[name]:
            break
        player.tell("agent", "learn", *(torch.from_numpy(np.stack(column)) for column in zip(*rollout, strict=True)))
    return reached


def actions(value, copies, number):
    """What `act` returned, as whole numbers. Raises ValueError."""
    given = np.asarray(value)
    if given.shape != (copies,) or given.dtype.kind not in "iufb" or not np.isin(given, range(number)).all():
        raise ValueError(f"act returned {str(value)[:60]}: {copies} whole numbers from 0 to {number - 1} are asked for")
    return given.astype(np.int64)


def plays(name, worlds, shape, measured, words):
    """A check that trains an agent, of one seed, anew in each world and asks for the least that calibration allows."""

    def play(player: Player, rng):
        seed = int(rng.integers(1 << 30))
        for world in worlds:
            try:
                reached = train(player, name, world, shape, rng, measured, seed)
            except ValueError as error:
                return str(error)
            if reached < LEAST[name]:
                return words.format(reached, LEAST[name])
        return ""

    return play


def draws(player: Player, rng):
    """Whether a new agent, asked again and again about one observation, takes each action sometimes."""
    player.make("agent", 4, 3, int(rng.integers(1 << 30)))
    obs = torch.from_numpy(np.tile(np.float32(rng.normal(0.0, 0.1, (1, 4))), (DRAWN, 1)))
    try:
        taken = np.concatenate([actions(player.call("agent", "act", obs), DRAWN, 3) for _ in range(4)])
    except ValueError as error:
        return str(error)
    often = np.bincount(taken, minlength=3) / len(taken)
    return (
        ""
        if often.min() > 0.02
        else f"of {len(taken)} actions in one state {often.min():.0%} are action {often.argmin()}"
    )


def later_share(reward, ended, ones):
    """The share p of right actions in the world of a later reward, where an episode brings p + 0.2 (1 - p)."""
    return (reward / max(ended, 1) - 0.2) / 0.8


RIGHT = "{:.0%} of the last choices are right, at least {:.0%} are asked for"

EXERCISE = implement(
    agent,
    entry="Agent",
    kind="learn",
    title="PPO from an empty file",
    goal="Write all of PPO so that it learns in a world that it does not know.",
    minutes=90,
    difficulty=4,
    importance=5,
    limits=Limits(check_seconds=60.0, exercise_seconds=180.0),
    hints=[
        "Write it in the order of the pseudocode. Before you train, ask: is every ratio 1 at the first step? Does the "
        "world of one-step episodes get learned? Only then try CartPole.",
        "`learn` begins under `torch.no_grad()`: log-probabilities of the actions, values of `obs` and `next_obs`, GAE "
        "with `v_next * ~terminated` and the sum cut at `terminated | truncated`. Then flatten `[T, N]`, shuffle, cut, "
        "and take a step of Adam (0.005) on the clipped loss plus half the squared error of the critic.",
    ],
    checks={
        "acts": Check(
            1,
            "`act` draws from a policy that is nearly uniform at first: no argmax.",
            play=draws,
            requires="`act` returns a whole number for each copy and takes every action sometimes",
        ),
        "a choice": Check(
            2,
            "No critic and no patience is needed: look at signs, at the ratio, at how samples and actions are paired.",
            play=plays("a choice", [signs], (1, 2), lambda reward, ended, ones: reward / ended, RIGHT),
            requires=f"in the world of a choice 90 % of the actions of {WINDOW} rollouts are right, before the 16th",
        ),
        "an end is an end": Check(
            2,
            "After a step with `terminated` nothing follows: the value of `next_obs` counts 0 there.",
            play=plays("an end is an end", [mirage], (1, 2), lambda reward, ended, ones: ones / ended, RIGHT),
            requires="in the world of the mirage 80 % are",
        ),
        "a limit is no end": Check(
            1,
            "After a step with `truncated` alone the world would have gone on: the value of `next_obs` counts there. "
            "Does it count already? Then see whether the critic learns: `[n, 1]` minus `[n]` is `[n, n]`.",
            play=plays(
                "a limit is no end", [cut, cut_around], (1, 2), lambda reward, ended, ones: 1 - ones / ended, RIGHT
            ),
            requires="in the world of the mirage with a time limit 80 % are, both times",
        ),
        "a later reward": Check(
            2,
            "An action counts for what follows it: δ has γ v(s') in it, and GAE runs backwards in time.",
            play=plays("a later reward", [later], (1, 2), later_share, RIGHT),
            requires="in the world of a later reward 80 % of the first actions are",
        ),
        "episodes apart": Check(
            1,
            "A sum of residuals stops where an episode does, terminated or truncated: the next row is another episode.",
            play=plays("episodes apart", [apart], (1, 2), lambda reward, ended, ones: ones / ended, RIGHT),
            requires="in the world of episodes apart 80 % are",
        ),
        "CartPole": Check(
            3,
            "Advantages look ahead: γ, and GAE backwards in time. If the return falls below that of a random policy: "
            "is it the *minimum* of the two terms, and is the sign right?",
            play=plays(
                "CartPole",
                [cartpole],
                (4, 2),
                lambda reward, ended, ones: reward / max(ended, 1),
                "a mean return of {:.0f} in the last rollouts of 30, at least {:.0f} is asked for",
            ),
            requires=f"in CartPole {WINDOW} rollouts of 30 have a mean return of 65 or more (random: 22)",
        ),
    },
    mistakes={
        "GAE's sum runs on into the next episode: it stops where one has ended, terminated or truncated.": (
            " * ~(terminated[t] | truncated[t])",
            "",
        ),
        "GAE's sum stops where an episode is terminated, but runs on behind one that was truncated.": (
            "~(terminated[t] | truncated[t])",
            "~terminated[t]",
        ),
        "The policy is not drawn from: the likeliest action is always taken, and what others pay is never found out.": (
            ".sample()",
            ".logits.argmax(-1)",
        ),
        "Sign flipped: the gain is to be raised, and optimisers descend.": (" - gain)", " + gain)"),
        "The optimiser never steps: nothing is learned, silently.": ("        self.optimizer.step()\n", ""),
        "The old log-probability is computed anew with a gradient: the two cancel and nothing is learned, silently.": (
            "        ratio = ",
            "        log_old = self.policy(obs).log_prob(action)\n        ratio = ",
        ),
        "Advantages are flattened in another order than the samples that they belong to.": (
            "(obs, action, log_old, advantage, advantage + v)]",
            "(obs, action, log_old, advantage.T.reshape(delta.shape), advantage + v)]",
        ),
        "Every end is taken for a time limit: what follows a termination is worth nothing.": (" * ~terminated", ""),
        "A time limit is taken for an end of the world: only `terminated` takes the value of what follows away.": (
            " * ~terminated - v",
            " * ~(terminated | truncated) - v",
        ),
        "γ is 0: only the next reward counts.": ("passes, self.minibatches = 0.99", "passes, self.minibatches = 0.0"),
    },
)
