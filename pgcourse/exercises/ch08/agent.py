"""PPO from an empty file.

`python -m pgcourse.grading.calibration 08.agent` plays 32 draws that no threshold was set by. The course's own answer
passed every check on all of them. In CartPole two mistakes passed, too: "every end a time limit" twice, which the
mirage catches 32 times of 32, and γ = 0 once, which no other check catches: 1 of its 32 draws is forgiven. No other
mistake passed all checks on any draw.
"""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, Limits, Player, implement

COPIES, STEPS = 16, 32
UPDATES = {"a choice": 15, "an end is an end": 15, "CartPole": 30}
LEAST = {"a choice": 0.9, "an end is an end": 0.8, "CartPole": 80.0}


def agent(observations, actions, seed):
    """No formula: the checks play with what is returned. Schulman et al. (2017), algorithm 1."""


def signs(rng):
    """A world whose episodes last one step: action 1 is right after +1, action 0 after -1."""
    obs = rng.choice([-1.0, 1.0], (COPIES, 1)).astype(np.float32)
    while True:
        action = yield obs
        reward, after = (action == (obs[:, 0] > 0)).astype(np.float32), obs
        obs, never = rng.choice([-1.0, 1.0], (COPIES, 1)).astype(np.float32), np.zeros(COPIES, bool)
        yield reward, after, ~never, never


def mirage(rng):
    """As short; +1 pays 1, and action 1 pays 0.2 more. An episode ends in +1 after action 0, in -1 after action 1."""
    obs = rng.choice([-1.0, 1.0], (COPIES, 1)).astype(np.float32)
    while True:
        action = yield obs
        reward, after = (
            ((obs[:, 0] > 0) + 0.2 * action).astype(np.float32),
            (1 - 2 * action).astype(np.float32)[:, None],
        )
        obs, never = rng.choice([-1.0, 1.0], (COPIES, 1)).astype(np.float32), np.zeros(COPIES, bool)
        yield reward, after, ~never, never


def cartpole(rng):
    """Copies of CartPole-v1, Barto, Sutton & Anderson (1983)."""
    from pgcourse.core import Streams
    from pgcourse.envs import make

    world, streams = make("CartPole-v1", COPIES), Streams([int(rng.integers(1 << 30))])
    obs = world.reset(streams.child("reset"))
    noise = world.noise(streams.child("steps"), STEPS * UPDATES["CartPole"])
    for t in range(noise.shape[1]):
        action = yield obs[0].numpy()
        step = world.step(torch.as_tensor(action)[None], noise[:, t])
        obs = step.obs
        yield tuple(x[0].numpy() for x in (step.reward, step.next_obs, step.terminated, step.truncated))


def train(player: Player, world, shape, rng, updates):
    """Train an agent; the reward, the ended episodes and the actions 1 of the last third of its updates, summed.

    Raises ValueError for impossible actions.
    """
    player.make("agent", *shape, int(rng.integers(1 << 30)))
    seen = np.zeros((updates, 3))
    for update in range(updates):
        rollout = []
        for _ in range(STEPS):
            obs = next(world)
            action = actions(player.call("agent", "act", torch.from_numpy(obs.copy())), shape[1])
            reward, after, terminated, truncated = world.send(action)
            rollout.append((obs, action, reward, after, terminated, truncated))
            seen[update] += reward.sum(), (terminated | truncated).sum(), action.sum()
        player.call("agent", "learn", *(torch.from_numpy(np.stack(column)) for column in zip(*rollout, strict=True)))
    return seen[-(updates // 3) :].sum(0)


def actions(value, number):
    """What `act` returned, as whole numbers. Raises ValueError."""
    given = np.asarray(value)
    if given.shape != (COPIES,) or given.dtype.kind not in "iufb" or not np.isin(given, range(number)).all():
        raise ValueError(f"act returned {str(value)[:60]}: {COPIES} whole numbers from 0 to {number - 1} are asked for")
    return given.astype(np.int64)


def plays(name, world, shape, measured, words):
    """A check that trains an agent in a world and asks for the least that calibration allows."""

    def play(player: Player, rng):
        try:
            reached = measured(*train(player, world(rng), shape, rng, UPDATES[name]))
        except ValueError as error:
            return str(error)
        return "" if reached >= LEAST[name] else words.format(reached, LEAST[name])

    return play


def draws(player: Player, rng):
    """Whether a new agent, asked again and again about one observation, takes each action sometimes."""
    player.make("agent", 4, 3, int(rng.integers(1 << 30)))
    obs = torch.from_numpy(np.tile(np.float32(rng.normal(0.0, 0.1, (1, 4))), (COPIES, 1)))
    try:
        taken = np.concatenate([actions(player.call("agent", "act", obs), 3) for _ in range(25)])
    except ValueError as error:
        return str(error)
    often = np.bincount(taken, minlength=3) / len(taken)
    return "" if often.min() > 0.02 else f"of 400 actions in one state {often.min():.0%} are action {often.argmin()}"


RIGHT = "{:.0%} of the last choices are right, at least {:.0%} are asked for"
SAMPLES = COPIES * STEPS * 5  # in the last third of 15 updates

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
            3,
            "No critic and no patience is needed: look at signs, at the ratio, at how samples and actions are paired.",
            play=plays("a choice", signs, (1, 2), lambda reward, ended, ones: reward / SAMPLES, RIGHT),
            requires="in the world of a choice 90 % of the last actions are right after 15 rollouts",
        ),
        "an end is an end": Check(
            2,
            "After a step with `terminated` nothing follows: the value of `next_obs` counts 0 there.",
            play=plays("an end is an end", mirage, (1, 2), lambda reward, ended, ones: ones / SAMPLES, RIGHT),
            requires="in the world of the mirage 80 % are after 15 rollouts",
        ),
        "CartPole": Check(
            4,
            "Advantages look ahead: γ, GAE backwards in time, sums that do not cross an episode's end.",
            play=plays(
                "CartPole",
                cartpole,
                (4, 2),
                lambda reward, ended, ones: reward / max(ended, 1),
                "a mean return of {:.0f} in the last ten of 30 rollouts, at least {:.0f} is asked for",
            ),
            requires="in CartPole the mean return of the last ten of 30 rollouts is 80 or more (random: 22)",
        ),
    },
    mistakes={
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
        "γ is 0: only the next reward counts.": ("passes, self.minibatches = 0.99", "passes, self.minibatches = 0.0"),
    },
)
