"""Generalized advantage estimation."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def gae(reward, u, u_next, terminated, truncated, gamma, lam):
    """Â_t = (1-λ) Σ_{n<T} λ^(n-1) Â_t^(n) + λ^(T-1) Â_t^(T), T the steps left. Schulman et al. (2016), section 3.

    The mean of all n-step advantages, not the sum of residuals: the two agree where u_next is the next step's u.
    """
    rows = [x.reshape(-1, x.shape[-1]) for x in (reward, u, u_next, terminated, truncated)]
    found = [
        [_one([x[t:] for x in row], gamma, lam) for t in range(reward.shape[-1])] for row in zip(*rows, strict=True)
    ]
    return np.reshape(found, reward.shape)


def _one(row, gamma, lam):
    """Â of the first step."""
    reward, u, u_next, terminated, truncated = row
    ends = np.flatnonzero(terminated | truncated)
    left = ends[0] + 1 if len(ends) else len(reward)
    later = np.where(terminated, 0.0, u_next)
    n_step = [(gamma ** np.arange(n)) @ reward[:n] + gamma**n * later[n - 1] - u[0] for n in range(1, left + 1)]
    weights = [(1 - lam) * lam ** (n - 1) for n in range(1, left)] + [lam ** (left - 1)]
    return np.dot(weights, n_step)


def rollout(reward, u, last, gamma, lam, terminated=(), truncated=(), after=None):
    """A case of one rollout: u_next is u of the next step, `last` at the end, and `after` where an episode ended."""
    time, ends = len(reward), {"terminated": terminated, "truncated": truncated}
    u_next = np.array([*u[1:], last], float)
    for t, value in (after or {}).items():
        u_next[t] = value
    flags = {name: np.isin(np.arange(time), list(steps)) for name, steps in ends.items()}
    return {"reward": list(reward), "u": list(u), "u_next": u_next, **flags, "gamma": gamma, "lam": lam}


def drawn(shape, ends, gamma=(0.6, 0.95), lam=(0.5, 0.9)):
    """A case of random rollouts, where of the steps the part `ends` ends an episode, half of these either way."""

    def case(rng):
        u, reward = rng.normal(2.0, 2.0, shape), rng.normal(0.0, 2.0, shape)
        dice = rng.uniform(size=shape)
        if ends:  # one of each kind in every rollout
            dice[..., 1], dice[..., -2] = ends / 4, 3 * ends / 4
        terminated, truncated = dice < ends / 2, (dice >= ends / 2) & (dice < ends)
        u_next = np.concatenate([u[..., 1:], rng.normal(2.0, 2.0, (*shape[:-1], 1))], -1)
        u_next = np.where(terminated | truncated, rng.normal(2.0, 2.0, shape), u_next)
        flags = {"terminated": terminated, "truncated": truncated}
        numbers = {"gamma": float(rng.uniform(*gamma)), "lam": float(rng.uniform(*lam))}
        return {"reward": reward, "u": u, "u_next": u_next, **flags, **numbers}

    return case


DELTA = "reward + gamma * u_next.masked_fill(terminated, 0.0) - u"
CARRY = "gamma * lam * ~(terminated | truncated)"

EXERCISE = implement(
    gae,
    title="GAE",
    goal="Judge every step of a rollout in one pass, over the two ways in which an episode can stop.",
    minutes=20,
    difficulty=3,
    importance=5,
    hints=[
        "Which flag decides whether the critic's word on the next state counts? And which whether the sum goes on?",
        "δ is r + γ u_next - u with u_next replaced by 0 where `terminated`. Then from the back: "
        "Â_t = δ_t + γλ Â_{t+1}, without the last term where `terminated | truncated`, and with 0 after the last step.",
    ],
    checks={
        "one episode": Check(
            2,
            "Â_t = δ_t + γλ Â_{t+1} from the back. After the rollout's last step there is no residual, but a guess.",
            [
                rollout([1], [2], 3, 0.5, 0.8),
                rollout([1, 0, 2], [2, 1, 3], 10, 0.8, 0.5),
                drawn((4, 5), 0),
            ],
        ),
        "the world ends": Check(
            2,
            "Where `terminated`, nothing follows: u_next counts as 0, whatever the critic says.",
            [
                rollout([1, 0, 2], [2, 1, 3], 7, 0.8, 0.5, terminated=[2]),
                rollout([1, 0, 2], [2, 1, 3], 7, 0.8, 0.5, terminated=[0], after={0: 5}),
            ],
        ),
        "a time limit": Check(
            2,
            "Where `truncated`, the world goes on unseen: u_next counts, but the next step belongs to another episode.",
            [
                rollout([1, 0, 2], [2, 1, 3], 7, 0.8, 0.5, truncated=[1], after={1: 5}),
                rollout([1, 0, 2], [2, 1, 3], 7, 0.8, 0.5, truncated=[2]),
            ],
        ),
        "many episodes": Check(
            2,
            "Both flags end the sum, only `terminated` silences the critic. If both are set, the world has ended.",
            [
                rollout([1, 0, 2], [2, 1, 3], 7, 0.8, 0.5, terminated=[1], truncated=[1], after={1: 5}),
                drawn((3, 8), 0.4),
                drawn((5, 12), 0.3),
            ],
        ),
        "extreme γ and λ": Check(
            1,
            "λ = 0 leaves δ, λ = 1 the reward-to-go minus u, γ = 0 the reward minus u.",
            [drawn((3, 6), 0.3, *ends) for ends in (((0.9, 0.9), (0, 0)), ((0.9, 0.9), (1, 1)), ((0, 0), (0.5, 0.5)))]
            + [drawn((3, 6), 0.3, (1, 1), (1, 1))],
        ),
        "axes and dtype": Check(
            1,
            "Time is the last axis: `x[..., t]`. Write into a new tensor of the rewards' dtype.",
            [drawn((5, 5), 0.4), drawn((2, 3, 5), 0.4)],
            leading_axes=("reward", "u", "u_next", "terminated", "truncated"),
            dtype="as input",
            leaves_input_alone=True,
            tolerance=(1e-6, 1e-6),  # γλ times a mask is float32, as in the chapter
        ),
    },
    mistakes={
        "The sum runs on across the end of an episode: there γλ Â_{t+1} belongs to another one.": (
            CARRY,
            "gamma * lam * (terminated == terminated)",
        ),
        "A time limit is treated as the end of the world: where only `truncated` is set, u_next still counts.": (
            "terminated, 0.0",
            "terminated | truncated, 0.0",
        ),
        "The flags are ignored in δ: where the world has terminated, u_next counts as 0.": (
            ".masked_fill(terminated, 0.0)",
            "",
        ),
        "Only `terminated` ends the sum: after a time limit, too, another episode follows.": (
            "~(terminated | truncated)",
            "~terminated",
        ),
        "A step with both flags is bootstrapped: if the world has ended, nothing follows, whoever stopped watching.": (
            "masked_fill(terminated, 0.0)",
            "masked_fill(terminated & ~truncated, 0.0)",
        ),
        "Only `truncated` ends the sum: after termination, too, another episode follows.": (
            "~(terminated | truncated)",
            "~truncated",
        ),
        "The flags are swapped in δ: `terminated` silences the critic, `truncated` does not.": (
            "masked_fill(terminated",
            "masked_fill(truncated",
        ),
        "λ is missing: this is λ = 1.": (CARRY, "gamma * ~(terminated | truncated)"),
        "γ is missing in the recursion: Â_{t+1} is weighted with γλ.": (CARRY, "lam * ~(terminated | truncated)"),
        "γ is missing in δ: it is r + γ u' - u.": (DELTA, "reward + u_next.masked_fill(terminated, 0.0) - u"),
        "γ is applied twice: Â_{t+1} is weighted with γλ, and γ is in δ already.": (
            CARRY,
            "gamma * gamma * lam * ~(terminated | truncated)",
        ),
        "You run forward through time: Â_t needs what comes after t.": (
            "reversed(range(reward.shape[-1]))",
            "range(reward.shape[-1])",
        ),
        "The last step is left at 0: its advantage is δ.": [
            ("reversed(range(reward.shape[-1]))", "reversed(range(reward.shape[-1] - 1))"),
            ("empty_like", "zeros_like"),
        ],
        "The rollout's end is treated as the end of the world: the last u_next counts.": (
            "f(reward, u, torch.nn.functional.pad(u_next[..., :-1], (0, 1)), terminated, truncated, gamma, lam)"
        ),
        "You take u[t + 1] for the next value: where an episode was cut, that is the first state of the next one. The "
        "true successor's is u_next.": (
            "f(reward, u, torch.cat([u[..., 1:], u_next[..., -1:]], -1), terminated, truncated, gamma, lam)"
        ),
        "The flags are read one step late, at t + 1: `terminated[t]` says what step t led to.": (
            "f(reward, u, u_next, *(torch.nn.functional.pad(x[..., 1:], (0, 1)) for x in (terminated, truncated)),"
            " gamma, lam)"
        ),
        "Where an episode ends the whole residual is dropped: its reward and u still count.": (
            "f(torch.where(terminated | truncated, u, reward), u,"
            " u_next.masked_fill(terminated | truncated, 0.0), terminated, truncated, gamma, lam)"
        ),
        "u is not subtracted: δ is r + γ u' - u.": (" - u\n", "\n"),
        "This is the critic's target Â + u already: return Â alone.": "f(*a) + u",
        "Sign flipped? δ is what came minus what was expected.": "-f(*a)",
        "These are the residuals δ alone: each also takes γλ times the next advantage.": "f(*a[:-1], 0.0)",
        "The advantages are shifted and scaled here: that is a step of its own, later.": (
            "(lambda x: (x - x.mean()) / (x.std(correction=0) + 1e-8))(f(*a))"
        ),
        "The sum over later residuals is multiplied with 1 - λ: that factor is used up in turning the mean of n-step "
        "advantages into this sum.": "(1 - lam) * f(*a)",
        "You run along the first axis. Time is the last one.": (
            "f(*(x.movedim(0, -1) for x in a[:5]), gamma, lam).movedim(-1, 0)"
        ),
        "The result is always float32: keep the rewards' dtype.": "f(*a).float()",
        "An argument is overwritten in place: write into a new tensor.": (
            "advantage = torch.empty_like(reward)",
            "advantage = reward",
        ),
        "The flags are inverted in the recursion: it stops where an episode ended, and goes on elsewhere.": (
            "~(terminated | truncated)",
            "(terminated | truncated)",
        ),
        "The flags are inverted in δ: where the world has terminated, u_next counts as 0, and only there.": (
            "masked_fill(terminated, 0.0)",
            "masked_fill(~terminated, 0.0)",
        ),
        "u is added: δ is r + γ u' - u.": (
            " - u\n",
            " + u\n",
        ),
        "The reward is discounted, too: δ is r + γ u' - u.": (
            "delta = reward + gamma",
            "delta = gamma * reward + gamma",
        ),
        "The reward is missing in δ: it is r + γ u' - u.": (
            "delta = reward + gamma",
            "delta = 0 * reward + gamma",
        ),
        "The advantages stand in reversed order: you filled them from the end, so turn them round.": "f(*a).flip(-1)",
        "δ has u twice: the first one is u', what the critic says of the next state.": (
            "gamma * u_next.masked_fill",
            "gamma * u.masked_fill",
        ),
        "λ is 0.95 whatever was asked for: use the argument.": (
            "gamma * lam *",
            "gamma * 0.95 *",
        ),
        "Only a step with both flags ends the sum: one of them is enough.": (
            "~(terminated | truncated)",
            "~(terminated & truncated)",
        ),
        "γλ is missing in the recursion: the next advantage counts in full.": (
            "gamma * lam * ~(terminated | truncated)",
            "1.0 * ~(terminated | truncated)",
        ),
        "γ(1-λ) stands in the recursion in the place of γλ.": (
            "gamma * lam * ~(terminated | truncated)",
            "(1 - lam) * gamma * ~(terminated | truncated)",
        ),
        "Where the world has terminated the whole residual is dropped: only what follows counts as 0.": (
            "reward + gamma * u_next.masked_fill(terminated, 0.0) - u",
            "(reward + gamma * u_next - u).masked_fill(terminated, 0.0)",
        ),
        "The first step is left at 0: the recursion goes on to t = 0.": [
            ("reversed(range(reward.shape[-1]))", "reversed(range(1, reward.shape[-1]))"),
            ("empty_like", "zeros_like"),
        ],
        "The advantages are standardised here, with `std`: that is a step of its own, later.": (
            "(f(*a) - f(*a).mean()) / (f(*a).std() + 1e-8)"
        ),
        "The recursion reads the flags one step early, at t - 1: `terminated[t]` says what step t led to.": (
            "carry[..., t] * after",
            "carry[..., t - 1] * after",
        ),
        "The recursion reads the flags one step late, at t + 1: `terminated[t]` says what step t led to.": (
            "carry[..., t] * after",
            "carry[..., min(t + 1, reward.shape[-1] - 1)] * after",
        ),
        "u_next is not used: u[t + 1] is another episode's behind a cut, and does not exist behind the last step.": (
            "f(reward, u, torch.nn.functional.pad(u[..., 1:], (0, 1)), terminated, truncated, gamma, lam)"
        ),
        "The recursion starts with the critic's guess: that is in the last δ already, and Â_T counts as 0.": (
            "after = torch.zeros_like(reward[..., 0])",
            "after = u_next[..., -1]",
        ),
        "u_next is set to 0 in place where the world has terminated: an argument stays as it is.": (
            "delta = reward + gamma * u_next.masked_fill(terminated, 0.0) - u",
            "u_next[terminated] = 0.0\n    delta = reward + gamma * u_next - u",
        ),
    },
)
