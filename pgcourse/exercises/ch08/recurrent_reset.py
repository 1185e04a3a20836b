"""A memory that ends with the episode."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, code, gradient


def recurrent_reset(cell, obs, done, state):
    """h_t = cell(o_t, h_{t-1}), copy by copy and episode by episode. Huang et al. (2022), details of the LSTM."""
    copies, after = [], []
    for n in range(obs.shape[1]):
        h, hs = state[n : n + 1], []
        for episode in np.split(np.arange(len(obs)), np.flatnonzero(done[:, n]) + 1):
            for t in episode:
                h = cell(obs[t, n : n + 1], h)
                hs.append(h[0])
            if len(episode) and done[episode[-1], n]:
                h = torch.zeros_like(h)
        copies.append(torch.stack(hs))
        after.append(h[0])
    return torch.stack(copies, 1), torch.stack(after)


ADDS = code("lambda o, h: o + h")


def case(obs, done, state, cell=ADDS):
    """Rows are copies of the world, with one number an observation."""
    obs, done = np.array(obs, float).T[..., None], np.array(done, bool).T
    return {"cell": cell, "obs": obs, "done": done, "state": np.reshape(np.array(state, float), (-1, 1))}


def drawn(steps, copies, ends=True):
    """A tanh cell of three units; in each copy an episode ends in the middle, in the first one also the last step."""

    def draw(rng):
        done = rng.random((steps, copies)) < 0.3
        done[steps // 2], done[-1] = True, np.arange(copies) % 2 == 0
        weights = {"U": rng.normal(0.0, 0.6, (2, 3)), "W": rng.normal(0.0, 0.6, (3, 3))}
        cell = code("lambda o, h: torch.tanh(o @ U + h @ W + 0.3)", **weights)
        obs, state = rng.normal(size=(steps, copies, 2)), rng.normal(size=(copies, 3))
        return {"cell": cell, "obs": obs, "done": done & ends, "state": state}

    return draw


NEVER = [case([[1, 2]], [[False, False]], [10]), drawn(4, 3, ends=False)]
ENDS = [
    case([[1, 2, 3]], [[False, True, False]], [10]),
    case([[1, 2, 3], [4, 5, 6]], [[False, True, False], [True, False, False]], [10, 20]),
    drawn(6, 3),
]

EXERCISE = gradient(
    recurrent_reset,
    title="A memory that ends with the episode",
    goal="Run a recurrent policy over a rollout so that no episode remembers the one before.",
    minutes=15,
    difficulty=3,
    importance=3,
    hints=[
        "Where exactly does the 0 belong: before the cell of the step that ended the episode, or after it?",
        "In the loop: `h = cell(obs[t], state)`, keep h, then `state = h.masked_fill(done[t].unsqueeze(-1), 0.0)`.",
    ],
    checks={
        "no end": Check(
            1, "Begin with `state`, and hand each step's h to the next.", NEVER, through="f(cell, obs, done, state)[0]"
        ),
        "ends": Check(
            2,
            "The h of the step that ended an episode is kept; the *next* step of that copy begins with 0.",
            ENDS,
            through="f(cell, obs, done, state)[0]",
            leaves_input_alone=True,
        ),
        "the next rollout": Check(
            1,
            "What is returned for the next rollout is 0 where the last step ended an episode.",
            [
                case([[1, 2]], [[False, False]], [10]),
                case([[1, 2], [3, 4]], [[False, True], [True, False]], [10, 20]),
                drawn(5, 4),
            ],
            through="f(cell, obs, done, state)[1]",
        ),
        "through time": Check(
            2,
            "The gradient runs back from each h to all observations of its episode: do not detach on the way.",
            [
                case([[1, 2, 3], [4, 5, 6]], [[False, True, False], [False, False, False]], [10, 20]),
                drawn(4, 2, ends=False),
                drawn(6, 3),
            ],
            through="f(cell, obs, done, state)[0]",
            gradient=("obs", "state"),
        ),
    },
    mistakes={
        "Nothing is reset: each episode begins with the memory of the one before.": (
            ".masked_fill(done[t].unsqueeze(-1), 0.0)",
            "",
        ),
        "One step too early: the step that ends an episode still belongs to it. Reset after its cell, not before.": [
            ("cell(obs[t], state)", "cell(obs[t], state.masked_fill(done[t].unsqueeze(-1), 0.0))"),
            ("h.masked_fill(done[t].unsqueeze(-1), 0.0)", "h"),
        ],
        "h itself is set to 0 where the episode ends: the last action is then chosen without any memory, even of its "
        "own observation.": ("states.append(h)", "states.append(h.masked_fill(done[t].unsqueeze(-1), 0.0))"),
        "All copies are reset when one ends: each has its own episodes.": (
            "done[t].unsqueeze(-1)",
            "done[t].any()",
        ),
        "The mask is inverted: `done` is True where an episode ended.": ("done[t].unsqueeze", "(~done[t]).unsqueeze"),
        "The rollout begins with 0: an episode that runs on from the rollout before has a state, use it.": (
            "f(cell, obs, done, torch.zeros_like(state))"
        ),
        "A reset leads back to the rollout's first state: a new episode begins with 0.": [
            ("states = []", "states, begun = [], state"),
            ("h.masked_fill(done[t].unsqueeze(-1), 0.0)", "torch.where(done[t].unsqueeze(-1), begun, h)"),
        ],
        "Every step begins with the rollout's first state: hand on the h of the step before.": (
            "state = h.masked_fill(done[t].unsqueeze(-1), 0.0)",
            "h = h.masked_fill(done[t].unsqueeze(-1), 0.0)",
        ),
        "The state for the next rollout is not reset where the last step ended an episode.": (
            "return torch.stack(states), state",
            "return torch.stack(states), h",
        ),
        "The state is detached at every step: no gradient can say what to remember.": (
            "cell(obs[t], state)",
            "cell(obs[t], state.detach())",
        ),
        "The whole result is detached: nothing can learn from it.": "tuple(x.detach() for x in f(*a))",
        "Copies and time are swapped: [T, N, H] is asked for.": "(f(*a)[0].transpose(0, 1), f(*a)[1])",
        "The flag of the step before is used: the state is 0 after the step that ends.": (
            "done[t].unsqueeze(-1)",
            "done[t - 1].unsqueeze(-1)",
        ),
        "The state is cleared before the step that ends the episode: that step still belongs to it.": (
            "h = cell(obs[t], state)",
            "h = cell(obs[t], state.masked_fill(done[t].unsqueeze(-1), 0.0))",
        ),
        "The state is detached at every step: no gradient flows through time.": (
            "state = h.masked_fill(done[t].unsqueeze(-1), 0.0)",
            "state = h.detach().masked_fill(done[t].unsqueeze(-1), 0.0)",
        ),
        "The next rollout begins with 0: it goes on with the last state, unless an episode ended.": (
            "state = h.masked_fill(done[t].unsqueeze(-1), 0.0)",
            (
                "state = h.masked_fill(done[t].unsqueeze(-1), 0.0); state = state if t < len(obs) - 1 else "
                "torch.zeros_like(state)"
            ),
        ),
        "Time is run through backwards.": ("range(len(obs))", "reversed(range(len(obs)))"),
        "The cell is given 0 at every step: it remembers nothing.": (
            "h = cell(obs[t], state)",
            "h = cell(obs[t], torch.zeros_like(state))",
        ),
        "What is collected is the state before the step: h_t comes out of the cell.": (
            "states.append(h)",
            "states.append(state)",
        ),
        "The state becomes 1 where an episode ends: it is 0.": (
            "state = h.masked_fill(done[t].unsqueeze(-1), 0.0)",
            "state = h.masked_fill(done[t].unsqueeze(-1), 1.0)",
        ),
        "The two results are in the other order.": (
            "return torch.stack(states), state",
            "return state, torch.stack(states)",
        ),
        "The first state was detached: the gradient flows into it, too.": (
            "    states = []\n",
            "    states = []\n    state = state.detach()\n",
        ),
        "The observations were detached: the gradient flows into them, too.": (
            "cell(obs[t], state)",
            "cell(obs[t].detach(), state)",
        ),
        "Only the states are returned: what the next rollout begins with is asked for, too.": (
            "return torch.stack(states), state",
            "return torch.stack(states)",
        ),
        "The flag of the step after is used: the state is 0 after the step that ends.": (
            "done[t].unsqueeze(-1)",
            "done[min(t + 1, len(obs) - 1)].unsqueeze(-1)",
        ),
        "Only the last h is returned: all of them are asked for, [T, N, H].": (
            "return torch.stack(states), state",
            "return h, state",
        ),
        "The state is cleared after every step, and not only where an episode ended.": (
            "h.masked_fill(done[t].unsqueeze(-1), 0.0)",
            "torch.zeros_like(h)",
        ),
        "Each cell is given the state that the rollout began with: it is the h of the step before.": [
            (
                "states = []",
                "states, begun = [], state",
            ),
            (
                "cell(obs[t], state)",
                "cell(obs[t], begun)",
            ),
        ],
        "Every step sees the first observation: `obs[t]`.": (
            "obs[t]",
            "obs[0]",
        ),
        "Once an episode has ended, the state stays 0: each row of `done` counts for its own step.": (
            "done[t]",
            "done[: t + 1].any(0)",
        ),
        "The reset comes one step late: the state is 0 after the step that ends.": (
            "done[t]",
            "done[max(t - 1, 0)]",
        ),
    },
)
