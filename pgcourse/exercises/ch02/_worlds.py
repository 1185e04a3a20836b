"""Random small worlds, for this chapter's cases."""

import numpy as np


def world(rng, states, actions, ends=0.0):
    """Dynamics [state, action, next state] whose rows sum to 1 - ends, rewards, a start distribution."""
    return {
        "transition": (1 - ends) * rng.dirichlet(np.ones(states), (states, actions)),
        "reward": rng.normal(size=(states, actions)),
        "start": rng.dirichlet(np.ones(states)),
    }


def chain():
    """The chapter's chain of two states: stay or switch, paid 1 in state 1."""
    transition = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    return {"transition": transition, "reward": np.array([[0.0, 0.0], [1.0, 1.0]]), "start": np.array([1.0, 0.0])}
