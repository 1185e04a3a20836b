"""Wrong answers of chapters 05 to 07, as changes of right ones in another style: called by their name, by no other.

Each list was written from the text of its exercise, before its known mistakes were read. None: no known mistake.
"""

import pytest
from wrong_answers import all_are_named

RIGHT = {
    "05.gae_by_hand": """
def by_hand():
    g, lam = 0.5, 0.8
    r = [1, 0, 2]
    u = [2, 4, 3, 6]
    out = {}
    delta = [r[t] + g * u[t + 1] - u[t] for t in range(3)]
    carry = 0
    for t in [2, 1, 0]:
        carry = delta[t] + g * lam * carry
        out[f"delta_{t}"] = delta[t]
        out[f"advantage_{t}"] = carry
    out["two_step_0"] = r[0] + g * r[1] + g**2 * u[2] - u[0]
    out["target_0"] = out["advantage_0"] + u[0]
    return out
""",
    "05.n_step": """
def n_step(reward, u, last, gamma, n):
    T = reward.shape[-1]
    uu = torch.cat([u, last[..., None]], dim=-1)
    out = torch.zeros_like(reward)
    for t in range(T):
        m = min(n, T - t)
        total = -u[..., t]
        for k in range(m):
            total = total + gamma**k * reward[..., t + k]
        out[..., t] = total + gamma**m * uu[..., t + m]
    return out
""",
    "05.gae": """
def gae(reward, u, u_next, terminated, truncated, gamma, lam):
    T = reward.shape[-1]
    delta = reward + gamma * u_next * (~terminated) - u
    out = torch.zeros_like(delta)
    carry = torch.zeros_like(delta[..., 0])
    for t in reversed(range(T)):
        on = ~(terminated[..., t] | truncated[..., t])
        carry = delta[..., t] + gamma * lam * carry * on
        out[..., t] = carry
    return out
""",
    "05.truncation": """
def settled_value(reward, state, next_state, terminated, truncated, gamma):
    states = int(state.max()) + 1
    ended = terminated
    visits = torch.bincount(state, minlength=states)
    u = torch.zeros(states, dtype=reward.dtype)
    for _ in range(200):
        target = reward + gamma * u[next_state].masked_fill(ended, 0.0)
        u = torch.zeros_like(u).index_add(0, state, target) / visits
    return u
""",
    "05.critic_bias": """
def critic_bias(pi, transition, d, error, gamma, lam):
    P = torch.einsum("sa,sat->st", pi, transition)
    x = torch.linalg.solve(torch.eye(len(d), dtype=pi.dtype) - gamma * lam * P, error)
    q = gamma * (1 - lam) * transition @ x
    base = (pi * q).sum(1, keepdim=True)
    return d[:, None] * pi * (q - base)
""",
    "06.gaussian_score": """
def gaussian_score(action, mean, log_std):
    std = log_std.exp()
    z = (action - mean) / std
    return z / std, z**2 - 1
""",
    "06.entropy": """
def gaussian_entropy(log_std):
    k = log_std.shape[-1]
    return 0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)
""",
    "06.clipped_log_prob": """
def act(mean, log_std, noise, low, high):
    std = log_std.exp()
    action = (mean + std * noise).detach()
    executed = action.clamp(low, high)

    def log_density(x):
        z = (x - mean) / std
        return (-0.5 * z.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    return executed, action, log_density(action)
""",
    "06.tanh_jacobian": """
def squashed_log_prob(u, mean, log_std):
    z = (u - mean) / log_std.exp()
    normal = -0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi)
    jac = 2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))
    return (normal - jac).sum(-1)
""",
    "07.kl_direction": """
def kl_direction(old_logits, new_logits):
    old = old_logits.detach().log_softmax(-1)
    new = new_logits.log_softmax(-1)
    return (old.exp() * (old - new)).sum(-1)
""",
    "07.kl_gaussian": """
def kl_gaussian(old_mean, old_log_std, new_mean, new_log_std):
    vo, vn = (2 * old_log_std).exp(), (2 * new_log_std).exp()
    return (new_log_std - old_log_std + (vo + (old_mean - new_mean) ** 2) / (2 * vn) - 0.5).sum(-1)
""",
    "07.step_length": """
def natural_step(g, fisher, delta):
    x = torch.linalg.solve(fisher, g)
    gain = g @ x
    if gain <= 0:
        return torch.zeros_like(g)
    return torch.sqrt(2 * delta / gain) * x
""",
    "07.fisher_vector_product": """
def fisher_vector_product(log_probs, theta, v, damping):
    x = theta.detach().clone().requires_grad_(True)
    new = log_probs(x)
    old = new.detach()
    kl = (old.exp() * (old - new)).sum(-1).mean()
    (g,) = torch.autograd.grad(kl, x, create_graph=True)
    (h,) = torch.autograd.grad(g @ v, x)
    return h + damping * v
""",
    "07.conjugate_gradient": """
def safe(a, b):
    return torch.where(b == 0, torch.zeros_like(a), a / torch.where(b == 0, torch.ones_like(b), b))

def conjugate_gradient(product, b, steps):
    x, r, p = torch.zeros_like(b), b, b
    for k in range(steps):
        Ap = product(p)
        rr = (r * r).sum(-1, keepdim=True)
        length = safe(rr, (p * Ap).sum(-1, keepdim=True))
        x = x + length * p
        r = r - length * Ap
        p = r + safe((r * r).sum(-1, keepdim=True), rr) * p
    return x
""",
    "07.line_search": """
def line_search(objective, theta, step, delta, backtracks, shrink):
    start, _ = objective(theta)
    for k in range(backtracks + 1):
        x = theta + shrink**k * step
        gain, kl = objective(x)
        if gain > start and kl <= delta:
            return x
    return theta
""",
}

AFTER = "gamma**m * uu[..., t + m]"
STORE = "out[..., t] = total + gamma**m * uu[..., t + m]"
ON = "on = ~(terminated[..., t] | truncated[..., t])"
DELTA = "reward + gamma * u_next * (~terminated) - u"
BIAS = "d[:, None] * pi * (q - base)"
LATER = "q = gamma * (1 - lam) * transition @ x"
BASELINE = "base = (pi * q).sum(1, keepdim=True)"
CONSTANT = "0.5 * k * (1 + math.log(2 * math.pi))"
ENTROPY = "0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)"
RETURNED = "return executed, action, log_density(action)"
JACOBIAN = "jac = 2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))"
LOGS = "old = old_logits.detach().log_softmax(-1)\n    new = new_logits.log_softmax(-1)"
KL = "(old.exp() * (old - new)).sum(-1)"
KL_GAUSSIAN = "return (new_log_std - old_log_std + (vo + (old_mean - new_mean) ** 2) / (2 * vn) - 0.5).sum(-1)"
MOVED = "vo + (old_mean - new_mean) ** 2"
LENGTH = "torch.sqrt(2 * delta / gain)"
SOLVED = "x = torch.linalg.solve(fisher, g)"
TWICE = "    (g,) = torch.autograd.grad(kl, x, create_graph=True)\n    (h,) = torch.autograd.grad(g @ v, x)"
BETA = "p = r + safe((r * r).sum(-1, keepdim=True), rr) * p"
PASSES = "gain > start and kl <= delta"
TARGET = 'out["advantage_0"] + u[0]'
TWO_STEPS = "r[0] + g * r[1] + g**2 * u[2] - u[0]"
LAST = "            return x\n    return theta"
RR = "(r * r).sum(-1, keepdim=True)"
SAFE = "torch.where(b == 0, torch.zeros_like(a), a / torch.where(b == 0, torch.ones_like(b), b))"

WRONG = {
    "05.gae_by_hand": [
        (("u = [2, 4, 3, 6]", "u = [2, 4, 3, 10]"), "10 is the value of another"),
        (("u = [2, 4, 3, 6]", "u = [2, 4, 3, 0]"), "A time limit is no end of "),
        (("r[t] + g * u[t + 1] - u[t]", "r[t] + u[t + 1] - u[t]"), "γ is missing in the residu"),
        (("r[t] + g * u[t + 1] - u[t]", "u[t] - r[t] - g * u[t + 1]"), "Signs of the residuals fli"),
        (("r[t] + g * u[t + 1] - u[t]", "r[t] + g * u[t + 1]"), "In the residuals u(s_t) is"),
        (("r[t] + g * u[t + 1] - u[t]", "r[t] + g * (u[t + 1] - u[t])"), "Both values are discounted"),
        (("r[t] + g * u[t + 1] - u[t]", "r[t] - u[t]"), "In the residuals the next "),
        (("g**2 * u[2] - u[0]", "0 - u[0]"), "The second reward is disco"),
        (("g**2 * u[2] - u[0]", "g * u[2] - u[0]"), "The critic's word after tw"),
        (("g**2 * u[2] - u[0]", "g**2 * u[2]"), "The two-step advantage is "),
        (("g**2 * u[2] - u[0]", "g**2 * u[1] - u[0]"), "Two steps are δ_0 + γ δ_1:"),
        ((TWO_STEPS, "delta[0] + delta[1]"), "Two steps are δ_0 + γ δ_1:"),
        ((TWO_STEPS, "delta[0] + g * lam * delta[1]"), "Two steps are δ_0 + γ δ_1:"),
        ((TWO_STEPS, "r[0] + g * r[1] + g**2 * r[2] + g**3 * u[3] - u[0]"), "The two-step advantage has"),
        ((TWO_STEPS, "r[0] + r[1] + u[2] - u[0]"), "γ is missing in the two-st"),
        (("g * lam * carry", "g * carry"), "In the recursion γ alone d"),
        (("g * lam * carry", "lam * carry"), "In the recursion λ alone d"),
        (("g * lam * carry", "0 * carry"), "The advantages are the res"),
        (("g * lam * carry", "carry"), "In the recursion the next "),
        (("for t in [2, 1, 0]", "for t in [0, 1, 2]"), "The recursion runs forward"),
        ((TARGET, "r[0] + g * u[1]"), "The target is the one-step"),
        ((TARGET, 'out["advantage_0"]'), "The target is the advantag"),
        ((TARGET, 'out["advantage_0"] + u[1]'), "The target is measured fro"),
        ((TARGET, "r[0] + g * r[1] + g**2 * r[2]"), "The target is the three re"),
        ((TARGET, "r[0] + g * r[1] + g**2 * r[2] + g**3 * u[3]"), "The target is that of wait"),
        ((TARGET, 'u[0] - out["advantage_0"]'), "In the target the advantag"),
        ((TARGET, 'out["two_step_0"] + u[0]'), "The target is made of the "),
        (("g, lam = 0.5, 0.8", "g, lam = 0.8, 0.5"), "γ and λ are exchanged: γ ="),
        (("g * lam * carry", "(1 - lam) * g * carry"), "In the recursion γ(1-λ) st"),
        (
            ("carry = delta[t] + g * lam * carry", "carry = (1 - lam) * delta[t] + g * lam * carry"),
            "1 - λ stands before the re",
        ),
        (("r[t] + g * u[t + 1]", "[0, 2, 0][t] + g * u[t + 1]"), None),
    ],
    "05.n_step": [
        ((AFTER, "gamma * uu[..., t + m]"), "The critic's word is disco"),
        ((AFTER, "uu[..., t + m]"), "The critic's word is not d"),
        ((AFTER, "gamma**n * uu[..., t + m]"), "The critic is always disco"),
        ((AFTER, "gamma**(m - 1) * uu[..., t + m]"), "The critic is discounted b"),
        ((AFTER, "gamma**(m + 1) * uu[..., t + m]"), "The critic is discounted b"),
        ((AFTER, "gamma**m * uu[..., t + m - 1]"), "The critic is asked for th"),
        (("total + gamma**m * uu[..., t + m]", "total"), "The critic is left out alt"),
        (("total = -u[..., t]", "total = 0 * u[..., t]"), "Nothing is taken away: an "),
        (("total = -u[..., t]", "total = u[..., t]"), "u(s_t) is added: it is wha"),
        (("total = -u[..., t]", "total = -gamma**m * u[..., t]"), None),
        (("gamma**k * reward", "gamma**(k + 1) * reward"), "Rewards are discounted onc"),
        (("gamma**k * reward", "reward"), "Rewards are not discounted"),
        (("gamma**k * reward", "gamma * reward"), "Every reward is discounted"),
        (("reward[..., t + k]", "reward[..., t]"), "The step's own reward is t"),
        (("for k in range(m):", "for k in range(m - 1):"), "The last of the m rewards "),
        (("for k in range(m):", "for k in range(1, m):"), "The own reward is missing:"),
        (("for k in range(m):", "for k in range(min(m + 1, T - t)):"), "Where rewards are left one"),
        (("m = min(n, T - t)", "m = min(n, T - t - 1)"), "Near the end one step too "),
        (("m = min(n, T - t)", "m = T - t"), "This waits to the end what"),
        (("m = min(n, T - t)", "m = 1"), "This is one step whatever "),
        (("m = min(n, T - t)", "m = n"), "n is taken for every step,"),
        (("m = min(n, T - t)", "m = min(n + 1, T - t)"), "One reward too many: Â^(n)"),
        (("m = min(n, T - t)", "m = min(n, T) if t + n <= T else T - t - 1"), None),
        ((AFTER, "(gamma**m * uu[..., t + m] if t + n < T else 0)"), "Where the recording stops "),
        ((AFTER, "(gamma**m * uu[..., t + m] if t + n <= T else 0)"), "Where fewer than n rewards"),
        (("last[..., None]", "0 * last[..., None]"), "Where the recording stops "),
        (("last[..., None]", "u[..., -1:]"), "Where the recording stops "),
        (("    return out", "    out[..., max(T - n + 1, 0):] = 0\n    return out"), "Steps with fewer than n le"),
        (
            ("        m = min(n, T - t)", "        if t + n > T:\n            continue\n        m = n"),
            "Steps with fewer than n le",
        ),
        ((STORE, "out[..., t] = (total + gamma**m * uu[..., t + m]) / m"), "The advantage is divided b"),
        ((STORE, "out[..., t] = gamma**t * (total + gamma**m * uu[..., t + m])"), "All is multiplied with γ^t"),
        (("    for t in range(T):", "    for t in range(T - 1):"), "The last step is left out:"),
        ([("reward.shape[-1]", "reward.shape[0]"), ("dim=-1", "dim=0")], None),
        (("    return out", "    return -out"), "Sign flipped? What came mi"),
        (("    return out", "    return out + u"), "Nothing is taken away: an "),
    ],
    "05.gae": [
        (("(~terminated)", "(~(terminated | truncated))"), "A time limit is treated as"),
        (("(~terminated)", "(~truncated)"), "The flags are swapped in δ"),
        (("* (~terminated)", ""), "The flags are ignored in δ"),
        (("(~terminated)", "terminated"), "The flags are inverted in "),
        ((ON, "on = ~terminated[..., t]"), "Only `terminated` ends the"),
        ((ON, "on = ~truncated[..., t]"), "Only `truncated` ends the "),
        ((ON, "on = ~(terminated[..., t] & truncated[..., t])"), "Only a step with both flag"),
        ((ON, "on = 1"), "The sum runs on across the"),
        (("gamma * lam * carry", "gamma * carry"), "λ is missing: this is λ = "),
        (("gamma * lam * carry", "lam * carry"), "γ is missing in the recurs"),
        (("gamma * lam * carry", "carry"), "γλ is missing in the recur"),
        (("gamma * lam * carry", "(1 - lam) * gamma * carry"), "γ(1-λ) stands in the recur"),
        (("gamma * lam * carry * on", "0"), "These are the residuals δ "),
        (("reward + gamma * u_next", "reward + u_next"), "γ is missing in δ: it is r"),
        (("* (~terminated) - u", "* (~terminated) + u"), "u is added: δ is r + γ u' "),
        (("* (~terminated) - u", "* (~terminated)"), "u is not subtracted: δ is "),
        ((DELTA, "u - reward - gamma * u_next * (~terminated)"), "Sign flipped? δ is what ca"),
        ((DELTA, "(reward + gamma * u_next - u) * (~terminated)"), "Where the world has termin"),
        (("reversed(range(T))", "range(T)"), "You run forward through ti"),
        (("reversed(range(T))", "reversed(range(T - 1))"), "The last step is left at 0"),
        (("reversed(range(T))", "range(T - 1, 0, -1)"), "The first step is left at "),
        (("    return out", "    return out + u"), "This is the critic's targe"),
        (("    return out", "    return (out - out.mean()) / (out.std() + 1e-8)"), "The advantages are standar"),
        (("    return out", "    return out.flip(-1)"), "The advantages stand in re"),
        (
            (
                "carry = delta[..., t] + gamma * lam * carry * on\n        out[..., t] = carry",
                "carry = (delta[..., t] + gamma * lam * carry) * on\n        out[..., t] = carry",
            ),
            "Where an episode ends the ",
        ),
        ((ON, "on = ~(terminated[..., t - 1] | truncated[..., t - 1])"), "The recursion reads the fl"),
        (
            (ON, "on = ~(terminated[..., min(t + 1, T - 1)] | truncated[..., min(t + 1, T - 1)])"),
            "The recursion reads the fl",
        ),
        (
            (DELTA, "reward + gamma * torch.cat([u[..., 1:], torch.zeros_like(u[..., :1])], -1) * (~terminated) - u"),
            "u_next is not used: u[t + ",
        ),
        (
            (DELTA, "reward + gamma * torch.cat([u[..., 1:], u_next[..., -1:]], -1) * (~terminated) - u"),
            "You take u[t + 1] for the ",
        ),
        (("carry = torch.zeros_like(delta[..., 0])", "carry = u_next[..., -1]"), "The recursion starts with "),
        (("carry = torch.zeros_like(delta[..., 0])", "carry = delta[..., -1]"), None),
        (("torch.zeros_like(delta)", "torch.zeros(delta.shape)"), "The result is always float"),
        (
            (
                "    delta = reward + gamma * u_next * (~terminated) - u",
                "    u_next[terminated] = 0\n    delta = reward + gamma * u_next - u",
            ),
            "u_next is set to 0 in plac",
        ),
        (
            (
                "    delta = reward + gamma * u_next * (~terminated) - u",
                "    reward -= u\n    delta = reward + gamma * u_next * (~terminated)",
            ),
            "An argument is overwritten",
        ),
        (
            [
                ("reward.shape[-1]", "reward.shape[0]"),
                ("delta[..., 0]", "delta[0]"),
                ("terminated[..., t] | truncated[..., t]", "terminated[t] | truncated[t]"),
                ("delta[..., t]", "delta[t]"),
                ("out[..., t]", "out[t]"),
            ],
            "You run along the first ax",
        ),
        (
            (
                "carry = delta[..., t] + gamma * lam * carry * on",
                "carry = (1 - lam) * delta[..., t] + gamma * lam * carry * on",
            ),
            "The sum over later residua",
        ),
        (("gamma * lam * carry * on", "gamma**(T - t) * lam * carry * on"), None),
        (("gamma * lam * carry", "gamma + lam * carry"), None),
    ],
    "05.truncation": [
        (("ended = terminated", "ended = truncated"), "The flags are swapped: `te"),
        (("ended = terminated", "ended = terminated & truncated"), "Only steps with both flags"),
        (("ended = terminated", "ended = torch.zeros_like(terminated)"), "Now nothing ends the world"),
        (("ended = terminated", "ended = ~terminated"), "The flag is inverted: what"),
        (("ended = terminated", "ended = ~(terminated | truncated)"), "Both flags are inverted: w"),
        (("ended = terminated", "ended = ~truncated"), "What follows counts only w"),
        (("ended = terminated", "ended = terminated ^ truncated"), "A step with both flags goe"),
        (("ended = terminated", "ended = terminated & ~truncated"), "A step with both flags goe"),
        (("ended = terminated", "ended = truncated & ~terminated"), "Only a time limit ends the"),
        (("ended = terminated", "ended = torch.ones_like(terminated)"), "The mean reward alone: wha"),
        (("u[next_state]", "u[state]"), "The state's own value is t"),
        (("gamma * u", "u"), "γ is missing: without it a"),
        (("range(200)", "range(1)"), "The mean reward alone: wha"),
        (("range(200)", "range(10)"), "Ten passes do not settle w"),
        (("/ visits", ""), "The mean over a state's st"),
        (("/ visits", "/ len(reward)"), "The divisor is the number "),
        (("/ visits", "/ torch.bincount(state[~truncated], minlength=states)"), "Steps that were cut off ar"),
        (
            (
                "    visits",
                (
                    "    keep = ~truncated\n    reward, state, next_state, ended = reward[keep], state[keep], "
                    "next_state[keep], terminated[keep]\n    visits"
                ),
            ),
            "Steps that were cut off ar",
        ),
        (
            (
                "    visits",
                (
                    "    keep = ~(terminated | truncated)\n    reward, state, next_state, ended = reward[keep], "
                    "state[keep], next_state[keep], terminated[keep]\n    visits"
                ),
            ),
            "Steps at which an episode ",
        ),
        (
            (
                "reward + gamma * u[next_state].masked_fill(ended, 0.0)",
                "(reward + gamma * u[next_state]).masked_fill(ended, 0.0)",
            ),
            "Where the world has ended ",
        ),
        (("reward + gamma", "reward.masked_fill(truncated, 0.0) + gamma"), "A cut step's reward is dro"),
        (("return u", "return u * 1.5"), None),
        (("    return u", "    return torch.full_like(u, 1 / (1 - gamma))"), "This is 1/(1-γ) whatever w"),
        (("masked_fill(ended, 0.0)", "masked_fill(ended, 1 / (1 - gamma))"), None),
        (
            ("masked_fill(ended, 0.0)", "masked_fill(ended, 0.0).masked_fill(truncated, 1 / (1 - gamma))"),
            "After a time limit 1/(1-γ)",
        ),
        (
            (
                "gamma * u[next_state].masked_fill(ended, 0.0)",
                "gamma * torch.where(truncated, u[state], u[next_state]).masked_fill(ended, 0.0)",
            ),
            "After a time limit the val",
        ),
    ],
    "05.critic_bias": [
        (("gamma * (1 - lam) * transition", "(1 - lam) * transition"), "γ is missing: the error of"),
        (("gamma * (1 - lam) * transition", "gamma * transition"), "1 - λ is missing: most of "),
        (("gamma * (1 - lam) * transition", "gamma * lam * transition"), "λ stands in the place of 1"),
        (("gamma * (1 - lam) * transition", "gamma * transition / (1 - lam + 1e-9)"), None),
        (("gamma * (1 - lam) * transition @ x", "gamma * transition @ error"), "This is TD's bias for ever"),
        (
            ("gamma * (1 - lam) * transition @ x", "gamma * (1 - lam) * transition @ error"),
            "1 - λ is right, but the su",
        ),
        (("- gamma * lam * P, error", "- gamma * P, error"), "γλ in the series has lost "),
        (("- gamma * lam * P, error", "- lam * P, error"), "γλ in the series has lost "),
        (("- gamma * lam * P, error", "- gamma * lam * P.T, error"), "P_π is transposed in the s"),
        (("- gamma * lam * P, error", "+ gamma * lam * P, error"), "The series has the wrong s"),
        (("- gamma * lam * P, error", "- gamma * (1 - lam) * P, error"), "1 - λ stands in the series"),
        ((BASELINE, "base = 0"), "The mean over actions is n"),
        ((BASELINE, "base = q.mean(1, keepdim=True)"), "The mean over actions is a"),
        ((BASELINE, "base = q.sum(1, keepdim=True)"), "The plain sum over actions"),
        ((BASELINE, "base = (pi * q).sum(0, keepdim=True)"), "The mean runs over the sta"),
        ((BASELINE, "base = error[:, None]"), "The error of the state its"),
        ((BIAS, "pi * (q - base)"), "The states are not weighte"),
        ((BIAS, "d[:, None] * (q - base)"), "π(b|s) is missing in front"),
        ((BIAS, "d[:, None] / d.sum() * pi * (q - base)"), "d_π is divided by its sum "),
        ((BIAS, "-d[:, None] * pi * (q - base)"), "Sign flipped? The bias is "),
        ((BIAS, "d[:, None] * pi * (1 - pi) * q"), "π (1 - π) x is the part of"),
        ((BIAS, "d[:, None] * (1 - pi) * (q - base)"), None),
        ((BIAS, "d[:, None] * pi.square() * (q - base)"), "π is squared: it comes in "),
        ((BIAS, "(1 - gamma) * d[:, None] * pi * (q - base)"), "d_π is multiplied by 1 - γ"),
        (('"sa,sat->st", pi, transition', '"sa,sat->ts", pi, transition'), "P_π is transposed in the s"),
        (('torch.einsum("sa,sat->st", pi, transition)', "transition.mean(1)"), "P_π is a plain mean over a"),
        (("error)\n", "error)\n    x = x - error\n"), "The series starts too late"),
        (
            (LATER, "q = gamma * (1 - lam) * (transition / transition.sum(-1, keepdim=True).clamp_min(1e-9)) @ x"),
            "The rows of P are made to ",
        ),
        (("return d", "return 0 * d"), "This is zero: a wrong crit"),
        (
            ("return d[:, None] * pi * (q - base)", "return (d[:, None] * pi * (q - base)).sum(0)"),
            "The states are summed: θ h",
        ),
        ((LATER, "q = gamma * (1 - lam) * transition @ x; q = q * 1 / (1 - gamma * lam)"), None),
    ],
    "05.curves": [
        ("{**f(), 'A': 'gamma is 0'}", "A's values are 0, not 1: w"),
        ("{**f(), 'A': 'nothing'}", "A: a healthy run learns be"),
        ("{**f(), 'A': 'lambda is 0'}", "A: with λ = 0 a critic tha"),
        ("{**f(), 'A': 'gamma is 0.5'}", "A: with γ = 0.5 no value i"),
        ("{**f(), 'B': 'gamma is 0'}", "B's values settle near 2, "),
        ("{**f(), 'B': 'lambda is 0'}", "B: with λ = 0 a critic tha"),
        ("{**f(), 'B': 'the critic does not learn'}", "B: if nobody changes φ the"),
        ("{**f(), 'B': 'nothing'}", "B: a healthy run learns be"),
        ("{**f(), 'C': 'lambda is 0'}", "C: with λ = 0 a critic tha"),
        ("{**f(), 'C': 'gamma is 0'}", "C: with γ = 0 no value is "),
        ("{**f(), 'C': 'the critic does not learn'}", "C: if nobody changes φ the"),
        ("{**f(), 'D': 'nothing'}", "D: a healthy run learns be"),
        ("{**f(), 'D': 'the critic does not learn'}", "D: if nobody changes φ the"),
        ("{**f(), 'D': 'gamma is 0'}", "D: with γ = 0 no value is "),
        ("{**f(), 'D': \"the sign of the policy's loss\"}", "D: with the wrong sign the"),
        ("{**f(), 'D': 'lambda is 0'}", "D: with λ = 0 a critic tha"),
        ("{**f(), 'E': 'theta is never changed'}", "E: if nobody changes θ the"),
        ("{**f(), 'E': 'gamma is 0'}", "E: with γ = 0 no value is "),
        ("{**f(), 'E': 'gamma is 0.5'}", "E: with γ = 0.5 no value i"),
        ("{**f(), 'E': 'lambda is 0'}", "E: with λ = 0 a critic tha"),
        ("{**f(), 'F': 'nothing'}", "F: a healthy run learns be"),
        ("{**f(), 'F': \"the sign of the policy's loss\"}", "F: with the wrong sign the"),
        ("{**f(), 'F': 'gamma is 0.5'}", "F: with γ = 0.5 no value i"),
        ("{**f(), 'F': 'gamma is 0'}", "F: with γ = 0 no value is "),
        ("{**f(), 'C': 'lambda is 0', 'F': 'nothing'}", "C and F are confused: after a"),
        (
            "{**f(), 'D': \"the sign of the policy's loss\", 'E': 'theta is never changed'}",
            "D does not learn the wrong",
        ),
        ("{**f(), 'A': 'gamma is 0.5', 'B': 'the critic does not learn'}", "A and B are confused: one "),
        ("{**f(), 'A': 'theta is never changed', 'D': 'the critic does not learn'}", "A and D are confused: with"),
        ("{**f(), 'B': 'lambda is 0', 'F': 'gamma is 0.5'}", "B and F are confused: with"),
    ],
    "06.gaussian_score": [
        (("z / std,", "z,"), "The score of the mean is z"),
        (("z / std,", "-z / std,"), "Sign flipped in the mean's"),
        (("z / std,", "2 * z / std,"), "The score of the mean is t"),
        (("z / std,", "z / std / 2,"), "The score of the mean is h"),
        (("z / std,", "z * std,"), "The σ² is missing: the sco"),
        (("z / std,", "z / std**2,"), "In the mean's score σ divi"),
        (("z**2 - 1", "z**2"), "The -1 is missing: log σ s"),
        (("z**2 - 1", "z**2 + 1"), "+1 in place of -1: on aver"),
        (("z**2 - 1", "1 - z**2"), "The sign of log σ's score "),
        (("z**2 - 1", "(z**2 - 1) / std"), "This is the derivative by "),
        (("z**2 - 1", "z**2 / 2 - 1"), "Half of z² only: the 2 of "),
        (("z**2 - 1", "z**2 / std - 1 / std"), "This is the derivative by "),
        (("z**2 - 1", "z**2 - 0.5"), "z² - ½: on average over th"),
        (("z**2 - 1", "2 * (z**2 - 1)"), "The score of log σ is twic"),
        (("z**2 - 1", "0.5 * (z**2 - 1)"), "This is the derivative by "),
        (("z**2 - 1", "-z**2 - 1"), "z² has the wrong sign: an "),
        (("z**2 - 1", "z - 1"), "The square is missing in l"),
        (("z**2 - 1", "z**2 - std"), "-σ in the place of -1: by "),
        (("z**2 - 1", "(action - mean)**2 / std - 1"), "The square of a - μ is div"),
        (("z**2 - 1", "(action - mean)**2 - 1"), "The square of a - μ is not"),
        (("z**2 - 1", "(action - mean)**2 / std**3 - 1 / std"), "This is the derivative by "),
        (("z**2 - 1", "z**3 - 1"), None),
        (("z / std, z**2 - 1", "z**2 - 1, z / std"), "The two are the wrong way "),
        (("z / std, z**2 - 1", "(z / std).sum(-1), (z**2 - 1).sum(-1)"), "The scores are summed over"),
        (("z / std, z**2 - 1", "z / std, (z**2 - 1).mean(0)"), "log σ's score is averaged "),
        (("z / std, z**2 - 1", "z / std, (z**2 - 1).sum(-1, keepdim=True).expand_as(z)"), "log σ's score is summed ov"),
        (("std = log_std.exp()", "std = log_std"), "log σ is taken for σ: use "),
        (("std = log_std.exp()", "std = log_std.exp() + 1e-2"), "A hundredth is added to σ:"),
        (("std = log_std.exp()", "std = log_std.exp().sqrt()"), "log σ is taken for log σ²:"),
        (("std = log_std.exp()", "std = (2 * log_std).exp()"), "exp(log σ) is squared befo"),
        (("std = log_std.exp()", "std = 10 ** log_std"), "log σ is the natural logar"),
        (("std = log_std.exp()", "std = log_std.exp().clamp(min=0.05)"), None),
        (("(action - mean)", "(mean - action)"), "Sign flipped in the mean's"),
        (
            ("    return z / std, z**2 - 1", "    log_pi = (-0.5 * z**2 - log_std).sum()\n    return log_pi, log_pi"),
            None,
        ),
    ],
    "06.entropy": [
        ((CONSTANT, "0.5 * k * math.log(2 * math.pi)"), "The ½ from E[z²]/2 is miss"),
        ((CONSTANT, "0.5 * (1 + math.log(2 * math.pi))"), "The constant counts once f"),
        ((CONSTANT, "k * (1 + math.log(2 * math.pi))"), "The ½ before the logarithm"),
        ((CONSTANT, "k * (0.5 + math.log(2 * math.pi))"), "The ½ before log 2π is mis"),
        ((CONSTANT, "0.5 * k * (1 - math.log(2 * math.pi))"), "½ log 2π is subtracted: it"),
        ((CONSTANT, "-0.5 * k * (1 + math.log(2 * math.pi))"), "The constant is subtracted"),
        ((CONSTANT, "0.5 * k * (1 + math.log(math.pi))"), "The constant lacks a facto"),
        ((CONSTANT, "0.5 * k * (1 + 2 * math.pi)"), "The logarithm of 2π is mis"),
        ((CONSTANT, "0.5 * k * (math.e + math.log(2 * math.pi))"), "e stands where its logarit"),
        ((CONSTANT, "k * (1 + 0.5 * math.log(2 * math.pi))"), "The constant has 1 where ½"),
        (("+ log_std.sum(dim=-1)", "+ 2 * log_std.sum(dim=-1)"), "log σ² stands where log σ "),
        (("+ log_std.sum(dim=-1)", "+ 0.5 * log_std.sum(dim=-1)"), "log σ is taken for log σ²:"),
        (("+ log_std.sum(dim=-1)", "- log_std.sum(dim=-1)"), "log σ is subtracted: a wid"),
        (("+ log_std.sum(dim=-1)", "+ log_std.exp().sum(dim=-1)"), "σ stands where log σ belon"),
        (("+ log_std.sum(dim=-1)", "+ log_std.exp().square().sum(dim=-1)"), "σ² stands where log σ belo"),
        (("+ log_std.sum(dim=-1)", "+ log_std.mean(dim=-1)"), "The joints' log σ are aver"),
        (("log_std.sum(dim=-1)", "log_std.sum()"), "The log σ of all states ar"),
        (("log_std.sum(dim=-1)", "log_std.sum(dim=0)"), "log σ is summed along the "),
        (("log_std.sum(dim=-1)", "log_std.detach().sum(dim=-1)"), "No gradient is left: a bon"),
        ((ENTROPY, "0.5 * (1 + math.log(2 * math.pi)) + log_std"), "The joints are not summed."),
        (
            (ENTROPY, "(0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)) / math.log(2)"),
            "In bits: the course measur",
        ),
        ((ENTROPY, "(0.5 * (1 + math.log(2 * math.pi)) + log_std).mean(-1)"), "The joints are averaged: e"),
        (
            (
                "return 0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)",
                "return -(0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1))",
            ),
            "Sign flipped? A wide polic",
        ),
        (
            (
                "return 0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)",
                "return (0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)).clamp(min=0)",
            ),
            "An entropy below 0 is cut ",
        ),
        (
            (
                "return 0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)",
                "return (0.5 * torch.log(2 * math.pi * math.e * log_std.exp())).sum(-1)",
            ),
            "log σ is taken for log σ²:",
        ),
        (
            (
                "return 0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)",
                "return (0.5 * torch.log(2 * math.pi * math.e * log_std**2)).sum(-1)",
            ),
            "log σ is taken for σ: its ",
        ),
        (
            (
                "return 0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)",
                (
                    "a = log_std.exp() * torch.randn(1000, *log_std.shape)\n    return "
                    "-torch.distributions.Normal(0, log_std.exp()).log_prob(a).mean(0).sum(-1)"
                ),
            ),
            None,
        ),
        (
            (
                "return 0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)",
                (
                    "p = torch.distributions.Normal(0 * log_std, log_std.exp())\n    return "
                    "-p.log_prob(torch.zeros_like(log_std)).sum(-1)"
                ),
            ),
            "The ½ from E[z²]/2 is miss",
        ),
        (
            (
                "return 0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)",
                "return sum(1.4189 + float(x) for x in log_std.reshape(-1))",
            ),
            None,
        ),
        (
            (
                "return 0.5 * k * (1 + math.log(2 * math.pi)) + log_std.sum(dim=-1)",
                "return (log_std.exp() * (0.5 * (1 + math.log(2 * math.pi)) + log_std)).sum(-1)",
            ),
            None,
        ),
    ],
    "06.clipped_log_prob": [
        ((RETURNED, "return executed, executed, log_density(executed)"), "The executed action is sto"),
        ((RETURNED, "return executed, executed, log_density(action)"), "What is stored is the exec"),
        ((RETURNED, "return action, action, log_density(action)"), "Nothing is clipped any mor"),
        ((RETURNED, "return action, executed, log_density(action)"), "What is executed and what "),
        ((RETURNED, "return action, action, log_density(executed)"), None),
        (("(mean + std * noise).detach()", "mean + std * noise"), "The action is not held fix"),
        (("log_density(action)", "log_density(action.detach()).detach()"), "The log-probability is no "),
        (("    action = ", "    mean = mean.clamp(low, high)\n    action = "), "The mean is clipped as wel"),
        (("log_density(action)", "log_density(mean)"), "This is the density at the"),
        (("log_density(action)", "log_density(noise)"), "The noise is taken for the"),
        (
            [
                ("(mean + std * noise).detach()", "(mean + std * noise).detach().clamp(low, high)"),
                ("action.clamp(low, high)", "action"),
            ],
            "The executed action is sto",
        ),
        (("action.clamp(low, high)", "low + (high - low) * torch.sigmoid(action)"), None),
        (("action.clamp(low, high)", "torch.tanh(action)"), "The action is squashed by "),
        (("action.clamp(low, high)", "action.clamp(max=high)"), "The lower limit is gone: b"),
        (("action.clamp(low, high)", "action.clamp(-1, 1)"), "The limits are ±1 whatever"),
        ((".sum(-1)", ".mean(-1)"), "log π is averaged over the"),
        ((".sum(-1)", ""), "log π is not summed over t"),
        ((".sum(-1)", ".sum()"), "log π is summed over the s"),
        (("- log_std -", "-"), "log σ is missing in the de"),
        (("- log_std -", "+ log_std -"), "log σ is added: a narrow p"),
        (("- 0.5 * math.log(2 * math.pi)", ""), "The constant ½ log 2π is m"),
        (("-0.5 * z.square()", "0.5 * z.square()"), "The square has the wrong s"),
        (("-0.5 * z.square()", "-z.square()"), "The ½ before z² is missing"),
        (("(x - mean) / std", "(x - mean.detach()) / std"), "The log-probability is no "),
        (("(x - mean) / std", "(x - mean) / std**2"), "z is divided by σ². That l"),
        (("(x - mean) / std", "(mean - x) * std"), "z is multiplied by σ: divi"),
        (
            ("log_density(action)", "log_density(action) * ((action > low) & (action < high)).all(-1)"),
            "Clipped actions get no log",
        ),
        (
            ("log_density(action)", "(-0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)"),
            "The log-probability is no ",
        ),
        (("log_density(action)", "log_density(action).exp()"), "This is the density, not i"),
        (("mean + std * noise", "mean + log_std * noise"), "log σ is taken for σ in th"),
    ],
    "06.tanh_jacobian": [
        ((JACOBIAN, "jac = torch.log(1 - torch.tanh(u)**2)"), "Far out 1 - tanh² u is 0, "),
        ((JACOBIAN, "jac = torch.log(1 - torch.tanh(u)**2 + 1e-6)"), "An ε in the logarithm hide"),
        ((JACOBIAN, "jac = torch.log((1 - torch.tanh(u)**2).clamp(min=1e-6))"), "A clamp hides the -∞, but "),
        ((JACOBIAN, "jac = torch.log1p(-torch.tanh(u)**2)"), "Far out 1 - tanh² u is 0, "),
        ((JACOBIAN, "jac = 0"), "The Jacobian is missing: t"),
        ((JACOBIAN, "jac = -2 * torch.log(torch.cosh(u))"), "cosh overflows from u = 90"),
        ((JACOBIAN, "jac = -2 * torch.log((torch.exp(u) + torch.exp(-u)) / 2)"), "cosh overflows from u = 90"),
        (
            (JACOBIAN, "jac = 2 * math.log(2) - 2 * u - 2 * torch.log(1 + torch.exp(-2 * u))"),
            "The exponential overflows ",
        ),
        ((JACOBIAN, "jac = 2 * (math.log(2) - u - torch.nn.functional.softplus(2 * u))"), "The sign in softplus: 1 - "),
        (
            (JACOBIAN, "jac = 2 * (math.log(2) + u - torch.nn.functional.softplus(-2 * u))"),
            "u has the wrong sign in th",
        ),
        (("jac = 2 * (math.log(2) - u", "jac = 2 * (-u"), "log 2 is missing in the Ja"),
        ((JACOBIAN, "jac = math.log(2) - u - torch.nn.functional.softplus(-2 * u)"), "Half the Jacobian: 1 - tan"),
        (("softplus(-2 * u)", "softplus(-u)"), "softplus of -u: it is that"),
        (("softplus(-2 * u)", "softplus(-2 * u.abs())"), "|u| stands in one place on"),
        (("normal - jac", "normal + jac"), "The Jacobian is added: whe"),
        (("(normal - jac).sum(-1)", "normal.sum(-1) - jac.mean(-1)"), "The Jacobian is averaged o"),
        (("(normal - jac).sum(-1)", "(normal - jac).mean(-1)"), "The joints are averaged: p"),
        (("(normal - jac).sum(-1)", "normal - jac"), "The joints are not summed:"),
        (("(normal - jac).sum(-1)", "(normal - jac).sum()"), "The sum runs over everythi"),
        (("(normal - jac).sum(-1)", "(normal - jac).sum(0)"), "The sum runs along the fir"),
        (("z = (u - mean)", "z = (torch.tanh(u) - mean)"), "tanh u is measured against"),
        (("z = (u - mean)", "z = (torch.atanh(torch.tanh(u)) - mean)"), "u is recovered from tanh u"),
        (
            ("z = (u - mean)", "z = (torch.atanh(torch.tanh(u).clamp(-1 + 1e-6, 1 - 1e-6)) - mean)"),
            "u is recovered from a clam",
        ),
        (("- log_std -", "-"), "log σ is missing in the Ga"),
        (("- log_std -", "+ log_std -"), "log σ is added: a narrow p"),
        (("- 0.5 * math.log(2 * math.pi)", ""), "The constant ½ log 2π is m"),
        (("-0.5 * z**2", "-z**2"), "The ½ before z² is missing"),
        (("/ log_std.exp()", "/ log_std.exp()**2"), "z is divided by σ²: it is "),
        (("jac = 2 *", "jac = 2 * 0.5 *"), "Half the Jacobian: 1 - tan"),
        (("    z = ", "    u = u.clamp(-9, 9)\n    z = "), None),
        (
            (
                "    jac = 2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))",
                "    v = u.clamp(-9, 9)\n    jac = torch.log(1 - torch.tanh(v)**2)",
            ),
            None,
        ),
        (
            (
                "    jac = 2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))",
                "    jac = torch.where(u.abs() < 8, torch.log(1 - torch.tanh(u)**2), 2 * math.log(2) - 2 * u.abs())",
            ),
            "`where` hides the -∞ in th",
        ),
        (("softplus(-2 * u))", "softplus(-2 * u)).detach()"), "The Jacobian is detached: "),
        (("    z = ", "    u = u.detach()\n    z = "), "No gradient is left: u was"),
        ((JACOBIAN, "jac = 1 - torch.tanh(u)**2"), "The logarithm of the slope"),
        ((JACOBIAN, "jac = torch.log(1 - torch.tanh(u))"), "The square is missing: the"),
        ((JACOBIAN, "jac = torch.log(1 - u**2 + 1e-6)"), "tanh is missing in the Jac"),
        ((JACOBIAN, "jac = torch.log(1 - torch.tanh(u.double())**2 + 1e-30).float()"), None),
        ((JACOBIAN, "jac = 2 * math.log(2) - 2 * u.abs()"), "This is right far out only"),
    ],
    "06.sigma_collapse": [
        ("{**f(), 'A': 'nothing'}", "A: a healthy σ starts at 1"),
        ("{**f(), 'A': 'sigma starts large'}", "A does not start wide: its"),
        ("{**f(), 'A': 'an entropy bonus with the wrong sign'}", "A: with the wrong sign ent"),
        ("{**f(), 'A': 'sigma is not trained'}", "A: a σ that is not trained"),
        ("{**f(), 'A': 'sigma starts small'}", "A: a σ that starts small i"),
        ("{**f(), 'B': 'an entropy bonus with the wrong sign'}", "B: with the wrong sign ent"),
        ("{**f(), 'B': 'nothing'}", "B: a healthy σ starts at 1"),
        ("{**f(), 'B': 'an entropy bonus'}", "B: an entropy bonus drives"),
        ("{**f(), 'B': 'sigma starts large'}", "B: a σ that starts large i"),
        ("{**f(), 'B': 'sigma is not trained'}", "B: a σ that is not trained"),
        ("{**f(), 'C': 'nothing'}", "C: a healthy σ starts at 1"),
        ("{**f(), 'C': 'sigma starts large'}", "C: a σ that starts large i"),
        ("{**f(), 'C': 'an entropy bonus'}", "C: an entropy bonus drives"),
        ("{**f(), 'C': 'an entropy bonus with the wrong sign'}", "C: with the wrong sign ent"),
        ("{**f(), 'D': 'an entropy bonus with the wrong sign'}", "D: with the wrong sign ent"),
        ("{**f(), 'D': 'sigma is not trained'}", "D: a σ that is not trained"),
        ("{**f(), 'D': 'an entropy bonus'}", "D: an entropy bonus drives"),
        ("{**f(), 'D': 'sigma starts large'}", "D: a σ that starts large i"),
        ("{**f(), 'E': 'sigma starts small'}", "E: a σ that starts small i"),
        ("{**f(), 'E': 'nothing'}", "E: a healthy σ starts at 1"),
        ("{**f(), 'E': 'an entropy bonus'}", "E: an entropy bonus drives"),
        ("{**f(), 'E': 'sigma starts large'}", "E: a σ that starts large i"),
        ("{**f(), 'A': 'nothing', 'D': 'an entropy bonus'}", "A is not the healthy one: "),
        (
            "{**f(), 'B': 'an entropy bonus with the wrong sign', 'E': 'sigma starts small'}",
            "B and E are confused: whic",
        ),
        ("{**f(), 'A': 'an entropy bonus with the wrong sign', 'E': 'an entropy bonus'}", "A and E are confused: a bo"),
        ("{**f(), 'C': 'nothing', 'D': 'sigma is not trained'}", "C and D are confused: a he"),
        ("{**f(), 'D': 'an entropy bonus with the wrong sign', 'E': 'nothing'}", "E is not healthy: its σ fa"),
    ],
    "07.kl_direction": [
        (("old.exp() * (old - new)", "new.exp() * (new - old)"), "Swapped, although the new "),
        (("old.exp() * (old - new)", "new.exp() * (old - new)"), "The log-ratio is weighted "),
        (("old.exp() * (old - new)", "old.exp() * (new - old)"), "Sign flipped? It is old mi"),
        (("old.exp() * (old - new)", "old * (old - new)"), "The log-ratio is weighted "),
        (("old.exp() * (old - new)", "old - new"), "The log-ratio is not weigh"),
        (("old.exp() * (old - new)", "-old.exp() * new"), "This is the cross-entropy:"),
        (("old.exp() * (old - new)", "old.exp() * old"), "log π_new is missing: this"),
        (("old.exp() * (old - new)", "old.exp() * (old.exp() - new.exp())"), "The difference of the prob"),
        (("old.exp() * (old - new)", "old.exp() * (old_logits - new_logits)"), "The weights are right, but"),
        (("old.exp() * (old - new)", "old.exp() * (old - new) / 0.6931471805599453"), "This is in bits: take the "),
        (
            ("old.exp() * (old - new)", "0.5 * (old.exp() * (old - new) + new.exp() * (new - old))"),
            "The mean of both direction",
        ),
        (("old.exp() * (old - new)", "0.5 * (old - new).square()"), None),
        (("old.exp() * (old - new)", "old.exp() * (old - new).square() / 2"), "This is the squared differ"),
        (("old_logits.detach()", "old_logits"), "A gradient flows into the "),
        (("new_logits.log_softmax(-1)", "new_logits.detach().log_softmax(-1)"), "No gradient reaches the ne"),
        (
            [("old_logits.detach().log_softmax", "old_logits.log_softmax"), ("= new_logits", "= new_logits.detach()")],
            "The wrong one is detached:",
        ),
        ((KL, "(old.exp() * (old - new)).mean(-1)"), "A mean over actions: the e"),
        ((KL, "(old.exp() * (old - new)).sum()"), "The sum runs over the stat"),
        ((KL, "(old.exp() * (old - new)).sum(-1).mean()"), "The mean over the states i"),
        ((KL, "(old.exp() * (old - new)).sum(0)"), "The sum runs along the fir"),
        ((KL, "(old.exp() - new.exp()).abs().sum(-1) / 2"), "This is half the sum of ab"),
        (
            (
                LOGS,
                "old = (old_logits.detach().softmax(-1) + 1e-8).log()\n    new = (new_logits.softmax(-1) + 1e-8).log()",
            ),
            "An ε in the logarithm: as ",
        ),
        (
            (
                LOGS,
                (
                    "e = old_logits.detach().exp(); old = (e / e.sum(-1, keepdim=True)).log()\n    f = "
                    "new_logits.exp(); new = (f / f.sum(-1, keepdim=True)).log()"
                ),
            ),
            "exp of the logits overflow",
        ),
        ((LOGS, "old = old_logits.detach()\n    new = new_logits"), "The logits are taken for l"),
        (
            (LOGS, "old = old_logits.detach().log_softmax(0)\n    new = new_logits.log_softmax(0)"),
            "Both policies are normalis",
        ),
        (
            (KL, "torch.nn.functional.kl_div(old, new, reduction='none', log_target=True).sum(-1)"),
            "Swapped, although the new ",
        ),
        ((KL, "torch.nn.functional.kl_div(new, old, reduction='none').sum(-1)"), "`kl_div` takes probabiliti"),
        ((KL, "torch.nn.functional.kl_div(new, old.exp(), reduction='batchmean')"), "`batchmean` divides by the"),
        ((KL, "torch.nn.functional.kl_div(new, old.exp(), reduction='mean')"), "`kl_div` averages over all"),
        ((KL, "(old.exp() * (old - new)).sum(-1).detach()"), "No gradient reaches the ne"),
        ((KL, "(old.exp() * (old - new)).amax(-1)"), None),
        (("old.exp() * (old - new)", "old.exp().log() * 0 + old.exp() * (old / new)"), "This is the ratio of the l"),
    ],
    "07.kl_gaussian": [
        (("new_log_std - old_log_std +", "old_log_std - new_log_std +"), "The logarithms of σ stand "),
        (("new_log_std - old_log_std +", ""), "The logarithms of σ are mi"),
        (("new_log_std - old_log_std +", "2 * (new_log_std - old_log_std) +"), "log σ² in place of log σ: "),
        (("new_log_std - old_log_std +", "new_log_std.exp() / old_log_std.exp() +"), "The logarithm of σ_new/σ_o"),
        (("(2 * vn) - 0.5", "(2 * vo) - 0.5"), "The variances stand the wr"),
        (("(2 * vn) - 0.5", "(2 * vn) - 1"), "-1 in place of -½: of a po"),
        (("(2 * vn) - 0.5", "(2 * vn)"), "The -½ is missing: of a po"),
        (("(2 * vn) - 0.5", "(2 * vn) + 0.5"), "+½ in place of -½: of a po"),
        (("(2 * vn) - 0.5", "vn - 0.5"), "The 2 below the fraction i"),
        (("(2 * vn) - 0.5", "vn - 1"), "The ½ before the bracket i"),
        ((MOVED, "vo"), "The means do not count: a "),
        ((MOVED, "(old_mean - new_mean) ** 2"), "The old variance is missin"),
        ((MOVED, "vo + (old_mean - new_mean).abs()"), "The distance of the means "),
        ((MOVED, "vo + (old_mean - new_mean)"), "The difference of the mean"),
        ((MOVED, "vo - (old_mean - new_mean) ** 2"), "The move of the mean is su"),
        ((MOVED, "vo.sqrt() + (old_mean - new_mean) ** 2"), None),
        (
            (
                "vo, vn = (2 * old_log_std).exp(), (2 * new_log_std).exp()",
                "vo, vn = old_log_std.exp(), new_log_std.exp()",
            ),
            "σ stands where its square ",
        ),
        (
            (
                "vo, vn = (2 * old_log_std).exp(), (2 * new_log_std).exp()",
                "vn, vo = (2 * old_log_std).exp(), (2 * new_log_std).exp()",
            ),
            "Old and new variance are e",
        ),
        (
            (
                "    vo, vn",
                (
                    "    old_mean, old_log_std, new_mean, new_log_std = new_mean, new_log_std, old_mean, "
                    "old_log_std\n    vo, vn"
                ),
            ),
            "Swapped: this is KL(new ‖ ",
        ),
        ((".sum(-1)", ".mean(-1)"), "The joints are averaged: d"),
        ((".sum(-1)", ".sum()"), "The states are summed as w"),
        ((".sum(-1)", ""), "The joints are not summed."),
        ((".sum(-1)", ".sum(0)"), "The sum runs along the fir"),
        ((".sum(-1)", ".sum(-1).mean()"), "The mean over the states i"),
        ((".sum(-1)", ".sum(-1).detach()"), "No gradient reaches the ne"),
        (("    vo, vn", "    new_mean = new_mean.detach()\n    vo, vn"), "No gradient reaches the ne"),
        (("    vo, vn", "    new_log_std = new_log_std.detach()\n    vo, vn"), "No gradient reaches the ne"),
        (("return (", "return -("), "Sign flipped? A KL diverge"),
        (("return (", "return 2 * ("), "Twice the divergence."),
        (
            (KL_GAUSSIAN, "return ((old_mean - new_mean) ** 2 / (2 * vo) + (new_log_std - old_log_std) ** 2).sum(-1)"),
            "This is the quadratic appr",
        ),
        ((KL_GAUSSIAN, "return ((old_mean - new_mean) ** 2 / (2 * vn)).sum(-1)"), "The spreads do not count: "),
        (("return (", "return (1 / 0.6931471805599453) * ("), "This is in bits: take the "),
        (
            (
                KL_GAUSSIAN,
                (
                    "a = old_mean\n    return (new_log_std - old_log_std + (a - new_mean)**2 / (2 * vn) - (a - "
                    "old_mean)**2 / (2 * vo)).sum(-1)"
                ),
            ),
            "The log-ratio is taken at ",
        ),
        (
            (
                KL_GAUSSIAN,
                (
                    "a = old_mean + vo.sqrt() * torch.randn(4000, *old_mean.shape)\n    return (new_log_std - "
                    "old_log_std + (a - new_mean)**2 / (2 * vn) - (a - old_mean)**2 / (2 * vo)).sum(-1).mean(0)"
                ),
            ),
            None,
        ),
    ],
    "07.step_length": [
        (("2 * delta / gain", "delta / gain"), "The ½ of ½ sᵀFs is missing"),
        (("2 * delta / gain", "delta / (2 * gain)"), "The ½ is on the wrong side"),
        (("2 * delta / gain", "4 * delta / gain"), "The factor is 4 where 2 be"),
        (("2 * delta / gain", "2 * delta * gain"), "The root stands on the wro"),
        (("2 * delta / gain", "gain / (2 * delta)"), "The length is upside down."),
        ((LENGTH, "(2 * delta / gain)"), "The square root is missing"),
        ((LENGTH, "delta**0.5"), "√δ times F⁻¹g: its cost is"),
        (("torch.sqrt(2 * delta / gain) * x", "x"), "The natural gradient itsel"),
        (("torch.sqrt(2 * delta / gain) * x", "delta * x"), "A natural gradient with st"),
        (("torch.sqrt(2 * delta / gain) * x", "torch.sqrt(2 * delta / gain) * g"), "The length is right, but t"),
        (("torch.sqrt(2 * delta / gain) * x", "-torch.sqrt(2 * delta / gain) * x"), "Downhill: J is to rise, so"),
        (
            ("torch.sqrt(2 * delta / gain) * x", "torch.sqrt(2 * delta / gain) * (fisher @ g)"),
            "The direction is F g, alth",
        ),
        (
            ("torch.sqrt(2 * delta / gain) * x", "torch.sqrt(torch.tensor(2 * delta)) * x / x.norm()"),
            "The length is measured by ",
        ),
        (("torch.sqrt(2 * delta / gain) * x", "delta * x / x.norm()"), "The step has the length δ:"),
        (("gain = g @ x", "gain = g @ g"), "The length is measured by "),
        (("gain = g @ x", "gain = x @ x"), "The length is measured by "),
        (("gain = g @ x", "gain = g @ fisher @ g"), "The length is measured by "),
        (("gain = g @ x", "gain = x @ fisher @ x * 2"), "The ½ of ½ sᵀFs is missing"),
        (("gain = g @ x", "gain = (g @ x) ** 2"), "The root covers 2δ only: √"),
        (("gain = g @ x", "gain = (g * x).mean()"), "g·x is averaged: it is the"),
        (("gain = g @ x", "gain = g * x + 1e-12"), None),
        ((SOLVED, "x = g / fisher.diagonal()"), "Only the diagonal of F is "),
        ((SOLVED, "x = torch.linalg.solve(fisher + 0.1 * torch.eye(len(g)), g)"), "A tenth is added to F's di"),
        ((SOLVED, "x = g"), "This is the plain gradient"),
        ((SOLVED, "x = fisher @ g"), "The gradient is multiplied"),
        ((SOLVED, "x = torch.linalg.solve(fisher @ fisher, g)"), None),
        ((SOLVED, "x = (1 / fisher) @ g"), "Where g is 0 NaN comes out"),
        (
            ("    x = torch.linalg.solve(fisher, g)\n    gain = g @ x", "    x = g\n    gain = g @ fisher @ g"),
            "This is the plain gradient",
        ),
        (("    if gain <= 0:\n        return torch.zeros_like(g)\n", ""), "Where g is 0 NaN comes out"),
        ((LENGTH, "torch.sqrt(2 * delta / (gain + 1e-3))"), None),
        (("if gain <= 0:", "if gain < 1e-2:"), "A small gradient is taken "),
        (("torch.zeros_like(g)", "torch.ones_like(g) * delta"), "Where g is 0 you step all "),
        ((LENGTH, "min(1.0, float(torch.sqrt(2 * delta / gain)))"), "The factor is cut off at 1"),
    ],
    "07.fisher_vector_product": [
        (("h + damping * v", "h"), "Damping is missing: add da"),
        (("h + damping * v", "h + damping"), "Damping is added to the pr"),
        (("h + damping * v", "h - damping * v"), "Damping is subtracted: it "),
        (("h + damping * v", "(1 + damping) * h"), "Damping multiplies: (F + d"),
        (("h + damping * v", "h + damping * g.detach()"), "Damping is missing: add da"),
        (("h + damping * v", "(1 - damping) * h + damping * v"), "F is weighted with 1 - d: "),
        (("h + damping * v", "-h + damping * v"), "F itself has the wrong sig"),
        (("h + damping * v", "damping * v"), "F v came out as 0, and onl"),
        (("h + damping * v", "2 * h + damping * v"), "Twice it: F is the Hessian"),
        (("h + damping * v", "0.5 * h + damping * v"), "Half of it: ½ sᵀFs is what"),
        ((".sum(-1).mean()", ".sum()"), "The sum over states is not"),
        ((".sum(-1).mean()", ".mean()"), "A mean over actions as wel"),
        ((".sum(-1).mean()", ".mean(-1).sum()"), "The mean is over actions, "),
        ((".sum(-1).mean()", ".sum(0).mean()"), "The mean is over actions, "),
        (("old = new.detach()", "old = new"), "F v came out as 0, and onl"),
        (("old.exp() * (old - new)", "new.exp() * (old - new)"), "F itself has the wrong sig"),
        (("old.exp() * (old - new)", "old.exp() * (new - old)"), "F itself has the wrong sig"),
        (("old.exp() * (old - new)", "old - new"), "The log-ratio is not weigh"),
        (("old.exp() * (old - new)", "-old * new"), None),
        (("old.exp() * (old - new)", "(old - new) ** 2"), "The square of the log-rati"),
        (("old.exp() * (old - new)", "0.5 * (old - new) ** 2"), "Squares of log-ratios are "),
        (("old.exp() * (old - new)", "old.exp() * (old - new) ** 2"), "Twice it: F is the Hessian"),
        (("old.exp() * (old - new)", "old.exp() * (old.exp() - new.exp())"), "The difference of the prob"),
        (("g @ v, x", "g.sum(), x"), "The product is with ones i"),
        (("g @ v, x", "(g * v).mean(), x"), "The product with v is aver"),
        (("g @ v, x", "g @ g, x"), "F v came out as 0, and onl"),
        (("    (h,) = torch.autograd.grad(g @ v, x)", "    h = g * v"), "F v came out as 0, and onl"),
        (("    (h,) = torch.autograd.grad(g @ v, x)", "    h = g * (g @ v)"), "F v came out as 0, and onl"),
        (
            (
                TWICE,
                (
                    "    J = torch.autograd.functional.jacobian(log_probs, theta.detach())\n    h = "
                    "torch.einsum('sai,saj,j->i', J, J, v) / len(old)"
                ),
            ),
            "Squares of log-ratios are ",
        ),
        (
            (
                TWICE,
                (
                    "    J = torch.autograd.functional.jacobian(log_probs, theta.detach())\n    h = "
                    "torch.einsum('sa,sai,saj,j->i', old.exp(), J, J, v)"
                ),
            ),
            "The sum over states is not",
        ),
        (
            (
                TWICE,
                (
                    "    (g0,) = torch.autograd.grad((old.exp() * (old - log_probs(x))).sum(-1).mean(), x)\n    y = "
                    "(theta + 1e-2 * v).detach().requires_grad_()\n    (g1,) = torch.autograd.grad((old.exp() * "
                    "(old - log_probs(y))).sum(-1).mean(), y)\n    h = (g1 - g0) / 1e-2"
                ),
            ),
            None,
        ),
        (
            (TWICE, "    (g,) = torch.autograd.grad((new - 0).mean(), x)\n    h = g * (g @ v)"),
            "This is the square of one ",
        ),
        (("create_graph=True", "retain_graph=True"), "Autograd has no way back"),
        (("    return h + damping * v", "    v *= damping\n    return h + v"), "v is changed in place: con"),
        (
            ("    return h + damping * v", "    h = h / v.norm()\n    return h + damping * v"),
            "v is divided by its length",
        ),
    ],
    "07.conjugate_gradient": [
        (("range(steps)", "range(steps - 1)"), "One step too few."),
        (("range(steps)", "range(steps + 1)"), "One step too many."),
        (("range(steps)", "range(b.shape[-1])"), "All steps are taken, whate"),
        (("range(steps)", "range(max(steps, 1))"), "At least one step is taken"),
        (
            ("(r * r).sum(-1, keepdim=True)\n        length", "(r * r).sum()\n        length"),
            "The old r·r is a sum over ",
        ),
        (
            [
                ("rr = (r * r).sum(-1, keepdim=True)", "rr = (r * r).sum()"),
                ("(p * Ap).sum(-1, keepdim=True)", "(p * Ap).sum()"),
                ("safe((r * r).sum(-1, keepdim=True), rr)", "safe((r * r).sum(), rr)"),
            ],
            "All rows share one length:",
        ),
        (
            [
                ("rr = (r * r).sum(-1, keepdim=True)", "rr = (r * r).sum(0)"),
                ("(p * Ap).sum(-1, keepdim=True)", "(p * Ap).sum(0)"),
                ("safe((r * r).sum(-1, keepdim=True), rr)", "safe((r * r).sum(0), rr)"),
            ],
            "Dot products run over the ",
        ),
        (("rr = (r * r).sum(-1, keepdim=True)", "rr = (r * r).mean(-1, keepdim=True)"), "The old r·r is a mean, and"),
        (("x, r, p = torch.zeros_like(b), b, b", "x, r, p = b.clone(), b, b"), "x starts at b: the first r"),
        (
            ("x, r, p = torch.zeros_like(b), b, b", "x, r, p = torch.zeros_like(b), b - product(b), b"),
            "The residual starts at b -",
        ),
        (("(p * Ap).sum", "(p * p).sum"), "The length has p·p below: "),
        (("(p * Ap).sum", "(Ap * Ap).sum"), "The length has Ap·Ap below"),
        (("(p * Ap).sum(-1, keepdim=True)", "(p * Ap).sum(-1, keepdim=True).sqrt()"), None),
        (("x = x + length * p", "x = x + length * r"), "x moves along the residual"),
        (("x = x + length * p", "x = x - length * p"), "Sign flipped? A x = b, not"),
        (("x = x + length * p", "x = x + p"), "The length is missing wher"),
        (("x = x + length * p", "x = length * p"), "x is overwritten: each ste"),
        (("r = r - length * Ap", "r = r + length * Ap"), "The residual grows: x has "),
        (("r = r - length * Ap", "r = b - length * Ap"), "The residual starts again "),
        (("r = r - length * Ap", "r = r - length * p"), "The residual loses the dir"),
        (("r = r - length * Ap", "r = r - Ap"), "The length is missing in t"),
        ((BETA, "p = r"), "This is steepest descent: "),
        ((BETA, "p = r - safe((r * r).sum(-1, keepdim=True), rr) * p"), "β is negative: add the las"),
        ((BETA, "p = r + safe(rr, (r * r).sum(-1, keepdim=True)) * p"), "β is upside down: new r·r "),
        ((BETA, "p = r + p"), "β is 1: it is new r·r over"),
        ((BETA, "p = r + safe((r * r).sum(-1, keepdim=True), rr).sqrt() * p"), "β is the ratio of lengths:"),
        ((BETA, "p = p + safe((r * r).sum(-1, keepdim=True), rr) * r"), "The next direction starts "),
        ((BETA, "pass"), "The direction never change"),
        (
            (
                "        p = r + safe((r * r).sum(-1, keepdim=True), rr) * p",
                (
                    "        rr = (r * r).sum(-1, keepdim=True)\n        p = r + safe((r * r).sum(-1, "
                    "keepdim=True), rr) * p"
                ),
            ),
            "β is 1: it is new r·r over",
        ),
        ((SAFE, "a / b"), "0/0 is NaN: where the resi"),
        ((SAFE, "a / (b + 1e-3)"), None),
        (("    return x\n", "    return r\n"), "This is the residual, not "),
        (("    return x\n", "    return p\n"), "This is the direction, not"),
        (("        rr = ", "        if (r.abs() < 1e-6).any(): break\n        rr = "), "One row that is done stops"),
        (
            ("        rr = ", "        if (r.norm(dim=-1) < 1e-6).any(): break\n        rr = "),
            "One row that is done stops",
        ),
        (("        Ap = product(p)\n        rr", "        Ap = product(r)\n        rr"), "A is applied to the residu"),
        (
            [
                ("x, r, p = torch.zeros_like(b), b, b", "x, r, p = torch.zeros_like(b), b, b"),
                (
                    "        x = x + length * p\n        r = r - length * Ap",
                    "        r -= length * Ap\n        x = x + length * p",
                ),
            ],
            None,
        ),
    ],
    "07.line_search": [
        ((PASSES, "gain > start"), "A step beyond δ is accepte"),
        ((PASSES, "kl <= delta"), "A step that lowers the gai"),
        ((PASSES, "gain > start or kl <= delta"), "One condition is enough fo"),
        ((PASSES, "gain >= start and kl <= delta"), "A step that gains nothing "),
        ((PASSES, "gain > start and kl < delta"), "Exactly δ is allowed."),
        ((PASSES, "gain > start and kl >= delta"), "The sign of the comparison"),
        ((PASSES, "gain < start and kl <= delta"), "The sign of the comparison"),
        ((PASSES, "gain > 0 and kl <= delta"), "The gain is compared with "),
        ((PASSES, "gain > start and kl <= 1.5 * delta"), "Half as much again as δ is"),
        ((PASSES, "gain > start and 0.5 * kl <= delta"), "Twice δ is accepted: δ is "),
        ((PASSES, "gain > start and kl.sqrt() <= delta"), "The root of the divergence"),
        ((PASSES, "True"), "Every step is accepted: bo"),
        (("range(backtracks + 1)", "range(backtracks)"), "One try too few: k runs to"),
        (("range(backtracks + 1)", "range(1, backtracks + 1)"), "The full step is never tri"),
        (("range(backtracks + 1)", "range(1, backtracks + 2)"), "The first try is shortened"),
        (("range(backtracks + 1)", "range(backtracks + 2)"), "One try too many: k runs t"),
        (("range(backtracks + 1)", "range(100)"), "The search has no end: k r"),
        (("range(backtracks + 1)", "reversed(range(backtracks + 1))"), "The last good try is retur"),
        (("shrink**k * step", "shrink * k * step"), "The step is multiplied wit"),
        (("shrink**k * step", "step / (k + 1)"), "The step shrinks linearly,"),
        (("shrink**k * step", "0.5**k * step"), "The step is halved whateve"),
        (("shrink**k * step", "0.8**k * step"), "The step shrinks to 0.8 of"),
        (("shrink**k * step", "(1 - shrink)**k * step"), "The step shrinks by 1 - c:"),
        (("shrink**k * step", "shrink**(2 * k) * step"), "The step is shrunk twice f"),
        (("theta + shrink**k * step", "theta - shrink**k * step"), "Downhill: the step is adde"),
        (("theta + shrink**k * step", "shrink**k * (theta + step)"), "θ is shrunk, too: tried is"),
        (("theta + shrink**k * step", "shrink**k * step"), "What is tried and returned"),
        ((LAST, "            return x\n    return x"), "Where nothing passes the l"),
        ((LAST, "            return x\n    return theta + step"), "Where nothing passes the f"),
        ((LAST, "            return x"), "Where nothing passes nothi"),
        ((LAST, "            return x\n    return torch.zeros_like(theta)"), "Where nothing passes 0 is "),
        ((LAST, "            return shrink**k * step\n    return theta"), "What is returned is the st"),
        ((LAST, "            return x - theta\n    return torch.zeros_like(theta)"), "The step is returned, not "),
        ((LAST, "            theta = x\n    return theta"), "After a step that passes t"),
        ((LAST, "            best = x\n    return best"), "The last good try is retur"),
        (
            ("        x = theta + shrink**k * step", "        theta = theta + shrink**k * step; x = theta"),
            "The steps add up: each try",
        ),
        (
            (
                "        x = theta + shrink**k * step",
                "        x = theta.add_(step) if k == 0 else theta.sub_(shrink**(k - 1) * step).add_(shrink**k * step)",
            ),
            "θ is changed in place: who",
        ),
        (
            ("        x = theta + shrink**k * step", "        step *= shrink\n        x = theta + step"),
            "The full step is never tri",
        ),
        (("gain, kl = objective(x)", "kl, gain = objective(x)"), "Gain and divergence are ex"),
        (
            ("        if gain > start", "        start, gain = max(start, gain), gain\n        if gain >= start"),
            "A step that gains nothing ",
        ),
        ((LAST, "            return x\n        start = gain\n    return theta"), "The gain is compared with "),
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_they_lose_points_and_are_called_by_their_name(name):
    all_are_named(name, WRONG[name], RIGHT.get(name, ""))
