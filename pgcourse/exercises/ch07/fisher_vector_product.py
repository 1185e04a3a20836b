"""The product of the Fisher matrix with a vector."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, code, implement


def fisher_vector_product(log_probs, theta, v, damping):
    """(F + dI) v with F = E_s Σ_a π(a|s) ∇log π ∇log πᵀ: the dense matrix, from the scores of all actions.

    Amari (1998), section 2. That it is the Hessian of the KL divergence is what the answer uses, not this.
    """
    theta = torch.as_tensor(theta)
    score = torch.autograd.functional.jacobian(log_probs, theta).detach().numpy()  # [state, action, parameter]
    pi = log_probs(theta).exp().detach().numpy()
    fisher = np.einsum("sa,sai,saj->ij", pi, score, score) / len(pi)
    return fisher @ v + damping * v


LINEAR = "lambda x: (torch.as_tensor(obs) @ x.reshape(obs.shape[1], -1)).log_softmax(-1)"
NETWORK = "lambda x: ((torch.as_tensor(obs) @ x[:6].reshape(2, 3)).tanh() @ x[6:].reshape(3, -1)).log_softmax(-1)"


def linear(states, inputs, actions, damping=0.0):
    """A case of a linear softmax policy."""

    def case(rng):
        theta, v = rng.normal(size=(2, inputs * actions))
        policy = code(LINEAR, obs=rng.normal(size=(states, inputs)))
        return {"log_probs": policy, "theta": theta, "v": v, "damping": damping}

    return case


def network(states, actions, damping):
    """A case of a network with three hidden units."""

    def case(rng):
        theta, v = rng.normal(size=(2, 6 + 3 * actions))
        policy = code(NETWORK, obs=rng.normal(size=(states, 2)))
        return {"log_probs": policy, "theta": theta, "v": v, "damping": damping}

    return case


COIN = {"log_probs": code(LINEAR, obs=[[1]]), "theta": [0, 0], "v": [0, 1], "damping": 0.0}

EXERCISE = implement(
    fisher_vector_product,
    title="F v without F",
    goal="Multiply by a matrix that nobody writes down, by differentiating a KL divergence twice.",
    minutes=25,
    difficulty=4,
    importance=4,
    hints=[
        "F is the Hessian of KL(π_old ‖ π_θ) at θ = θ_old. Differentiate once with `create_graph=True`, take the "
        "product with v, and differentiate that number. Which of the two policies must not be differentiated?",
        "leaf = theta.detach().requires_grad_(); new = log_probs(leaf); old = new.detach(); kl = (old.exp() * (old - "
        "new)).sum(-1).mean(); slope = autograd.grad(kl, leaf, create_graph=True)[0]; autograd.grad(slope, leaf, v)[0] "
        "+ damping * v.",
    ],
    checks={
        "one state": Check(
            2,
            "With one state and two actions F = p(1-p) [[1, -1], [-1, 1]].",
            [COIN, linear(1, 1, 3), linear(1, 2, 2)],
        ),
        "many states": Check(
            2,
            "F is the mean over states of a sum over actions: sum the KL over the last axis, then take the mean.",
            [linear(3, 2, 3), linear(5, 3, 2)],
        ),
        "damping": Check(
            1,
            "(F + dI) v = F v + d v.",
            [{**COIN, "damping": 0.5}, linear(4, 2, 3, 0.1), linear(4, 2, 3, 1.0)],
        ),
        "a network": Check(
            2,
            "θ may be anything that gives log-probabilities: let autograd differentiate, twice.",
            [network(4, 2, 0.1), network(6, 3, 0.1)],
        ),
        "a long v": Check(
            1,
            "A product is linear in v: twice the v, twice the result; v is not normalised, and not changed.",
            [
                lambda rng: {**COIN, "v": 100 * rng.normal(size=2), "damping": 0.1},
                {**COIN, "v": [0, 0], "damping": 0.1},
            ],
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "Damping is missing: add damping · v to the product.": ("product + damping * v", "product"),
        "Damping is added to the product as a number: it is d times v.": ("product + damping * v", "product + damping"),
        "Damping multiplies: (F + dI) v = F v + d v.": ("product + damping * v", "(1 + damping) * product"),
        "Damping is subtracted: it makes the matrix larger.": ("product + damping * v", "product - damping * v"),
        "F v came out as 0, and only damping is left. Does the gradient flow through π_old as well? Then the KL "
        "divergence is 0 for every θ. Or is slope · v not differentiated once more? The slope itself is 0 at θ_old.": (
            "new.detach()",
            "new",
        ),
        "F itself has the wrong sign: the KL divergence has old minus new log-probability.": (
            "(old - new)",
            "(new - old)",
        ),
        "The sum over states is not a mean: F would grow with the rollout.": (".sum(-1).mean()", ".sum()"),
        "A mean over actions as well: the KL divergence is a sum over actions, and a mean over states.": (
            ".sum(-1).mean()",
            ".mean()",
        ),
        "The mean is over actions, the sum over states: the other way round.": (".sum(-1).mean()", ".mean(-1).sum()"),
        "Half of it: ½ sᵀFs is what a step costs, F itself is the whole Hessian.": (
            "product + damping * v",
            "0.5 * product + damping * v",
        ),
        "The actions are weighted alike: weight log-ratios with π_old(a|s).": ("old.exp() * ", "1 / new.shape[-1] * "),
        "Autograd has no way back: `create_graph=True` is missing in the first derivative, which is differentiated "
        "again, or θ was never told `requires_grad_()`.": (", create_graph=True", ""),
        "The product is with ones, not with v: this is F's row sums.": (
            "torch.autograd.grad(slope, leaf, v)[0]",
            "torch.autograd.grad(slope.sum(), leaf)[0] * v",
        ),
        "Only the diagonal of F is used: F v mixes all parameters.": (
            "product = torch.autograd.grad(slope, leaf, v)[0]",
            "product = torch.stack([torch.autograd.grad(slope[i], leaf, retain_graph=True)[0][i] for i in "
            "range(len(leaf))]) * v",
        ),
        "This is the Hessian of the entropy's negative, Σ π log π: F is that of the KL divergence.": (
            "(old.exp() * (old - new))",
            "(new.exp() * new)",
        ),
        "v is divided by its length here: a product is linear in v.": (
            "f(log_probs, theta, v / v.norm().clamp(min=1e-12), damping)"
        ),
        "This is vᵀFv, a number: the vector is asked for.": "(v * f(*a)).sum()",
        "Damping multiplies θ: it multiplies v.": ("product + damping * v", "product + damping * theta"),
        "The product is with ones in the place of v: these are F's row sums.": (
            "autograd.grad(slope, leaf, v)[0]",
            "autograd.grad(slope, leaf, torch.ones_like(v))[0]",
        ),
        "This is the square of one mean score: F is the mean of squares, under the policy's own probabilities.": (
            "product = torch.autograd.grad(slope, leaf, v)[0]",
            "s = torch.autograd.grad(log_probs(leaf).mean(), leaf)[0]; product = s * (s @ v)",
        ),
        "F is missing: this is v.": ("product + damping * v", "v"),
        "The result is divided by the length of v: a product grows with v.": (
            "return product + damping * v",
            "return (product + damping * v) / v.norm()",
        ),
        "Twice it: F is the Hessian itself.": ("return product + damping * v", "return 2 * product + damping * v"),
        "v is divided by its length: a product grows with v.": (
            "autograd.grad(slope, leaf, v)[0]",
            "autograd.grad(slope, leaf, v / v.norm())[0]",
        ),
        "This is the Hessian of the entropy, not of the KL divergence.": (
            "kl = (old.exp() * (old - new)).sum(-1).mean()",
            "kl = -(new.exp() * new).sum(-1).mean()",
        ),
        "All actions count alike: the squares are weighted with π.": (
            "kl = (old.exp() * (old - new)).sum(-1).mean()",
            "kl = 0.5 * (old - new).square().mean(-1).mean()",
        ),
        "Damping multiplies v², it is d times v.": ("product + damping * v", "product + damping * v.square()"),
        "The log-ratio is not weighted with π_old.": ("(old.exp() * (old - new))", "(old - new)"),
        "F is weighted with 1 - d: damping is added, (F + dI) v.": ("return product", "return (1 - damping) * product"),
        "Squares of log-ratios are not weighted with π_old: F is a mean under the policy's probabilities.": (
            "(old.exp() * (old - new)).sum(-1).mean()",
            "0.5 * (old - new).square().sum(-1).mean()",
        ),
        "The product with v is averaged: it is a sum.": (
            "autograd.grad(slope, leaf, v)[0]",
            "autograd.grad(slope, leaf, v / len(v))[0]",
        ),
        "v is changed in place: conjugate gradients still need it.": ("damping * v", "v.mul_(damping)"),
        "The difference of the probabilities stands in the place of that of their logarithms.": (
            "(old - new)",
            "(old.exp() - new.exp())",
        ),
        "The square of the log-ratio has no ½, and no weight π_old.": (
            "(old.exp() * (old - new)).sum(-1).mean()",
            "(old - new).square().sum(-1).mean()",
        ),
    },
)
