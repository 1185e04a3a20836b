"""REINFORCE from an empty file.

The parent plays, so that no return can be forged. `python -m pgcourse.exercises.ch03._agents` measures on draws
from 2,000 on, by which no threshold was set. The solution passed on 300 of 300, so that it fails on less than 1.00 %,
with 95 % confidence. On draws from 1,000 on it passed on 3 of 3, and eight others, with other step sizes (0.001, 0.02),
optimisers, a critic, a sigmoid or an update for each episode, on 8 of 8.
Wrong answers: a softmax over the batch passed on 0 of 300 draws, so that it passes on less than 1.00 % (on 1 of 40 when
`RISE` was 0.15). Twenty-five others, all of `_agents.WRONG` but the last two and a late `zero_grad`, passed on none of
40 draws each.
"""

from collections.abc import Callable

import numpy as np
import torch

from pgcourse.grading.exercise import AnswerError, Player
from pgcourse.grading.kinds import Check, Limits, learn

EPISODES, LENGTH, UPDATES = 32, 50, 60  # on CartPole, at most; cut short, as each step of a batch is a call
RETURN = 45.0  # of a batch: an untrained policy gets about 20
HOPELESS, PATIENCE = 33.0, 25  # what the best batch has after so many updates
SIGNALS, STEPS = 64, 40  # episodes and updates in the two tiny worlds
SKILL = 0.9  # the share of right actions
ROWS = 512
AGENTS = 3  # that must learn there one after the other: one may be lucky
PUSHES, PAIRS = 20, 8  # updates one way, then twice as many the other way; episodes of each action in a batch
RISE = 0.25  # of the probability of what is praised: right agents have 0.33 or more, a softmax over the batch 0.15
STUCK = 0.6, 0.715  # the skill at which those stay who raise the probability instead of its logarithm: 2/3
CLIMB = 0.025  # from quarter to quarter of the updates, by which it still learns

GREEDY = "The action is not drawn: the likeliest one is taken, and no other is ever tried. Sample it from π."
NOTHING = (
    "Nothing is learned, as far as one can see, and no error says so: the policy acts after `learn` as it did before. "
    "Is `step` called, are the gradients still there when it is (`zero_grad` stands before `backward`), and does the "
    "optimiser hold the parameters of the very network that acts? Or is the step size tiny?"
)
SIGN = "Sign flipped? What is good becomes less likely. An optimiser goes downhill, so the loss needs a minus."
NOW = (
    "It learns what an action brings at once, but not what it brings a step later. Weight each action with all that "
    "follows it: G_t, from the end backwards, next to the state in which the action was taken."
)
LATE = (
    "It learns what an action brings a step later, but not what it brings at once: the action's own reward belongs to "
    "G_t."
)
NOISE = (
    "It changes, but not for the better. Is every action weighted with its own return? `[N]` against `[N, 1]` pairs "
    "it with everybody's. Were episodes laid one behind the other? Then G_t has to stop at each end. And is it one "
    "network from call to call?"
)

PILES = (
    "What one batch says is said again by all later ones: `backward` adds to the gradients that are there, so "
    "`zero_grad` belongs before each."
)
AXIS = (
    "It learns how states differ, but not what they have in common: where all states of a batch are alike, it learns "
    "nothing. Is each row's softmax taken over its own actions, the last axis?"
)
PROBABILITY = (
    "π stands in the place of log π: an action is then pushed the more the likelier it is already, and it stops short "
    "of what is best. The score is the gradient of the logarithm."
)

SLOW = (
    "It learns, but too slowly: the right action becomes likelier from update to update, and is not there in time. "
    "Raise the step size; the chapter's is 0.005."
)


def action_of(player: Player, obs: np.ndarray) -> np.ndarray:
    """What the agent does, [n] of 0 and 1. Raises `AnswerError` for anything else."""
    given = player.call("agent", "act", obs.astype(np.float32))
    try:
        action = np.asarray(given)
    except ValueError:
        raise AnswerError("act returned lists of unequal lengths") from None
    if action.dtype.kind not in "fiub" or action.size != len(obs):
        raise AnswerError(f"act was given {len(obs)} observations and returned shape {list(action.shape)}")
    if not (valid := (action == 0) | (action == 1)).all():
        raise AnswerError(f"act returned {action[~valid][0]:.4g}, expected 0 or 1")
    return action.reshape(-1).astype(np.int64)


Finding = str | tuple[str, str]


def greedy(player: Player, rng: np.random.Generator) -> Finding:
    """Whether an untrained agent does the same in all of many equal states."""
    action = action_of(player, np.broadcast_to(rng.uniform(-0.05, 0.05, 4), (ROWS, 4)))
    return (f"in {ROWS} equal states it always took action {action[0]}", GREEDY) if np.ptp(action) == 0 else ""


def acts(player: Player, rng: np.random.Generator) -> Finding:
    """Whether there is an action a row, and it is drawn."""
    player.make("agent")
    for n in (1, 5):
        action_of(player, rng.uniform(-0.05, 0.05, (n, 4)))
    return greedy(player, rng)


class Signals:
    """A world for finding bugs: the sign of the first number says which action costs 1; the other costs 2.

    Costs, because a learner that weights all actions alike with a reward above 0 soon always does what it did first,
    and that is right in one case of four. With a cost it commits itself to nothing. Both cost something, because who
    raises the probability in the place of its logarithm then stops where the right action has 2/3.
    """

    def __init__(self, delay: int) -> None:
        self.delay = delay
        self.sign = 1.0  # of the first number where action 1 is right

    def draw(self, right: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        obs = rng.uniform(-0.05, 0.05, (len(right), 4))
        obs[:, 0] = np.where(right, self.sign, -self.sign)
        return obs

    def shares(self, player: Player, rng: np.random.Generator) -> np.ndarray:
        """How often action 1 is taken, [2]: where it is wrong, and where it is right."""
        return action_of(player, self.draw(np.repeat([0, 1], ROWS), rng)).reshape(2, ROWS).mean(1)

    def oppose(self, shares: np.ndarray) -> np.ndarray:
        """Make that right to which a new agent does not lean: what was there before is no skill. Its shares then."""
        if _skill(shares) <= 0.5:
            return shares
        self.sign = -self.sign
        return shares[::-1]

    def batch(self, player: Player, rng: np.random.Generator) -> list[tuple[np.ndarray, ...]]:
        right = rng.integers(0, 2, SIGNALS)
        obs = self.draw(right, rng)
        action = action_of(player, obs)
        steps, wrong = [(obs, action)], action != right
        for _ in range(self.delay):
            obs = rng.uniform(-0.05, 0.05, obs.shape)
            steps.append((obs, action_of(player, obs)))
        states, actions = (np.stack(column, 1) for column in zip(*steps, strict=True))
        rewards = np.zeros(actions.shape, np.float32)
        rewards[:, -1] = -1.0 - wrong
        return [*zip(states.astype(np.float32), actions, rewards, strict=True)]


def trained(player: Player, delay: int, rng: np.random.Generator) -> tuple[list[float], bool]:
    """A new agent's share of right actions before each update and after the last, until it is `SKILL`.

    And whether its policy ever changed: whether its actions vary more than those of one and the same policy do,
    by five standard deviations of Pearson's chi².
    """
    world = Signals(delay)
    player.make("agent")
    shares = [world.oppose(world.shares(player, rng))]
    while len(shares) <= STEPS and _skill(shares[-1]) < SKILL:
        player.tell("agent", "learn", world.batch(player, rng))
        shares.append(world.shares(player, rng))
    p, freedom = np.mean(shares, 0), 2 * (len(shares) - 1)
    chi2 = ROWS * len(shares) * (np.var(shares, 0) / (p * (1 - p) + 1e-12)).sum()
    return [_skill(share) for share in shares], bool(chi2 > freedom + 5 * np.sqrt(2 * freedom))


def _skill(shares: np.ndarray) -> float:
    return float((1 - shares[0] + shares[1]) / 2)


def _climbs(skill: list[float]) -> bool:
    """Whether it still learns: from each quarter of the updates to the next."""
    quarters = [np.mean(part) for part in np.array_split(skill, 4)]
    return bool((np.diff(quarters) > CLIMB).all())


def turned(player: Player, rng: np.random.Generator) -> list[float]:
    """The probability of an action, at first the rarer one: of a new agent, after updates that all praise it, and after
    twice as many that blame it.

    Batches are half one action and half the other, so that the gradient of the difference of their logits is the same
    in each, whatever the policy.
    """
    world, right = Signals(0), np.ones(2 * PAIRS)
    player.make("agent")
    shares = [world.shares(player, rng)[1]]
    liked = int(shares[0] <= 0.5)
    actions = np.repeat([liked, 1 - liked], PAIRS)[:, None]
    for sign in (1, -1, -1):
        rewards = np.where(actions == liked, sign, -sign).astype(np.float32)
        for _ in range(PUSHES):
            states = world.draw(right, rng).astype(np.float32)[:, None]
            player.tell("agent", "learn", [*zip(states, actions, rewards, strict=True)])
        shares.append(world.shares(player, rng)[1])
    start, praised, _, blamed = (float(share if liked else 1 - share) for share in shares)
    return [start, praised, blamed]


def goes_by_the_batch(player: Player, rng: np.random.Generator) -> Finding:
    """Whether each update goes where its own batch points."""
    start, praised, blamed = turned(player, rng)
    if praised < start + RISE:
        return f"an action praised by {PUSHES} batches is taken in {praised:.0%}, {start:.0%} before", AXIS
    if blamed >= max(SKILL, praised - 0.05):
        return f"an action praised by {PUSHES} batches, then blamed by {2 * PUSHES}, is taken in {blamed:.0%}", PILES
    return ""


def in_a_row(player: Player, delay: int, rng: np.random.Generator) -> tuple[list[float], bool]:
    """The first of `AGENTS` agents that does not learn, or the last."""
    for _ in range(AGENTS):
        skill, changed = trained(player, delay, rng)
        if skill[-1] < SKILL:
            break
    return skill, changed


def learns(delay: int, other: str) -> Callable[[Player, np.random.Generator], Finding]:
    """A judge of what is learned from a cost `delay` steps later; `other` is who learns only in the other case."""

    def judge(player: Player, rng: np.random.Generator) -> Finding:
        player.make("agent")
        if found := greedy(player, rng):
            return found
        skill, changed = in_a_row(player, delay, rng)
        if skill[-1] >= SKILL:
            return "" if delay else goes_by_the_batch(player, rng)
        problem = f"after {STEPS} updates the right action is taken in {skill[-1]:.0%} of states, {skill[0]:.0%} before"
        elsewhere, _ = in_a_row(player, 1 - delay, rng)
        if elsewhere[-1] >= SKILL:
            return problem, other
        if max(skill[-1], elsewhere[-1]) < 0.1 and np.diff(turned(player, rng))[0] < 0:
            return problem, SIGN
        at_once = elsewhere if delay else skill
        if _climbs(skill) and _climbs(elsewhere):
            return problem, SLOW
        if STUCK[0] < np.mean(at_once[-20:]) < STUCK[1]:
            return problem, PROBABILITY
        return problem, NOISE if changed else NOTHING

    return judge


def returns(player: Player, rng: np.random.Generator) -> list[float]:
    """The mean return of each batch on CartPole, until one reaches `RETURN`."""
    from pgcourse.core import Streams
    from pgcourse.envs import make

    streams, world = Streams([int(rng.integers(2**32))]), make("CartPole-v1", EPISODES)
    player.make("agent")
    means: list[float] = []
    while len(means) < UPDATES and max(means, default=0.0) < RETURN:
        if len(means) == PATIENCE and max(means) < HOPELESS:
            break
        obs, running = world.reset(streams)[0].numpy(), np.ones(EPISODES, bool)
        noise = world.noise(streams, LENGTH)
        steps: list[tuple[np.ndarray, ...]] = []
        while len(steps) < LENGTH and running.any():
            action = np.zeros(EPISODES, np.int64)
            action[running] = action_of(player, obs[running])
            step = world.step(torch.from_numpy(action)[None], noise[:, len(steps)])
            steps.append((obs, action, step.reward[0].numpy(), running))
            running = running & ~step.terminated[0].numpy()
            obs = step.obs[0].numpy()
        *columns, mask = (np.stack(column, 1) for column in zip(*steps, strict=True))
        means.append(float(mask.sum(1).mean()))
        player.tell("agent", "learn", [tuple(x[i, real] for x in columns) for i, real in enumerate(mask)])
    return means


def cartpole(player: Player, rng: np.random.Generator) -> Finding:
    """Whether a batch is good enough, before the updates are used up."""
    means = returns(player, rng)
    if max(means) >= RETURN:
        return ""
    return f"the best of {len(means)} batches had a mean return of {max(means):.0f}, less than {RETURN:g}"


EXERCISE = learn(
    "Agent",
    title="REINFORCE from an empty file",
    goal="Write a whole learner, and find the bugs that stop it without a word.",
    minutes=40,
    difficulty=3,
    importance=5,
    limits=Limits(check_seconds=120, exercise_seconds=240),
    hints=[
        "Three things last between calls: the network, and the optimiser that holds its parameters. What does one call "
        "of `learn` have to do to them, in which order?",
        "`act`: `Categorical(logits=self.network(obs)).sample()`. `learn`: G_t of each episode backwards, log π of its "
        "actions, minus the sum of their products over the number of episodes; then `zero_grad`, `backward`, `step`.",
    ],
    checks={
        "acts": Check(
            2,
            "`Categorical(logits=...)` takes rows as they are, and `.sample()` draws one action for each.",
            play=acts,
            requires="`act` is given any number of rows",
        ),
        "learns at once": Check(
            2,
            "An episode of one step: the sign of the first number says which action costs 1. Print the loss, and a "
            "parameter before and after `learn`.",
            play=learns(0, LATE),
            requires=f"`learn` goes by the batch that it is given: an action's probability rises by {RISE} at least "
            f"after {PUSHES} batches that praise it, and {2 * PUSHES} more that blame it bring it below {SKILL:.0%}",
        ),
        "learns later": Check(
            2,
            "An episode of two steps: what is done in the first costs 1 in the second. What is G_0?",
            play=learns(1, NOW),
        ),
        "learns CartPole": Check(
            4,
            "If the checks above pass, the step size or the network is at fault: the chapter's do.",
            play=cartpole,
            requires=f"in two tiny worlds it takes the right action in {SKILL:.0%} of states after {STEPS} updates of "
            f"{SIGNALS} episodes at most, and on CartPole, cut after {LENGTH} steps, a batch has a mean return of "
            f"{RETURN:g} after at most {UPDATES} updates of {EPISODES} episodes (the chapter's settings need about a "
            "sixth of that)",
        ),
    },
    mistakes={
        GREEDY: (".sample()", ".probs.argmax(-1)"),
        NOTHING: (
            "self.optimizer.zero_grad()\n        loss.backward()",
            "loss.backward()\n        self.optimizer.zero_grad()",
        ),
        SIGN: ("loss = -", "loss = "),
        NOW: ("0.99 * after", "0.0"),
        LATE: ("ret[t] = after", "ret[t] = after - rewards[t]"),
        NOISE: ("torch.cat(returns) * log_prob", "torch.cat(returns)[:, None] * log_prob"),
        PILES: ("        self.optimizer.zero_grad()\n", ""),
        AXIS: ("logits=self.network(states)", "probs=self.network(states).softmax(0)"),
        PROBABILITY: (".log_prob(actions)", ".log_prob(actions).exp()"),
        SLOW: ("lr=0.005", "lr=0.0005"),
    },
)
