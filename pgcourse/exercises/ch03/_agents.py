"""More answers to 03.agent: `python -m pgcourse.exercises.ch03._agents [SEEDS [NAME ...]]` says how often each passes.

Right agents that differ in taste, and wrong ones that raise no error.
"""

import sys

from pgcourse.grading.calibration import calibrate
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Change

NETWORK = "nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2)"
LOSS = "-(torch.cat(returns) * log_prob).sum() / len(batch)"
ADAM = "torch.optim.Adam(self.network.parameters(), lr=0.005)"
CRITIC = """self.critic = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
        self.optimizer = torch.optim.Adam([*self.network.parameters(), *self.critic.parameters()], lr=0.005)"""
EACH = """    def learn(self, batch):
        for one in batch:
            self.update([one])

    def update(self, batch):"""
WEIGHT = "torch.cat(returns) * log_prob"
RIGHT: dict[str, Change] = {
    "the solution": [],
    "step size 0.002": ("0.005", "0.002"),
    "step size 0.001": ("0.005", "0.001"),
    "step size 0.01": ("0.005", "0.01"),
    "step size 0.02": ("0.005", "0.02"),
    "relu": (NETWORK, NETWORK.replace("Tanh", "ReLU")),
    "one wide layer": (NETWORK, "nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 2)"),
    "γ 0.95": ("0.99 * after", "0.95 * after"),
    "normalised": (
        "-(torch.cat(returns) * log_prob)",
        "-((lambda x: (x - x.mean()) / (x.std() + 1e-8))(torch.cat(returns)) * log_prob)",
    ),
    "the whole return": ("ret[t] = after", "ret[:] = after"),
    "γ^t kept": (
        LOSS,
        LOSS.replace("log_prob)", "log_prob * torch.cat([0.99 ** torch.arange(len(x)) for x in returns]))"),
    ),
    "mean over steps": ("/ len(batch)", "/ len(actions)"),
    "minus the mean": (WEIGHT, "(torch.cat(returns) - torch.cat(returns).mean()) * log_prob"),
    "a running mean as the baseline": [
        (ADAM, ADAM + "\n        self.mean = 0.0"),
        (WEIGHT, "(torch.cat(returns) - self.mean) * log_prob"),
        (
            "        loss.backward()",
            "        loss.backward()\n        self.mean += 0.1 * (float(torch.cat(returns).mean()) - self.mean)",
        ),
    ],
    "a critic as the baseline": [
        (f"self.optimizer = {ADAM}", CRITIC),
        (
            LOSS,
            "(lambda g, v: (v - g).square().mean() - ((g - v.detach()) * log_prob).sum() / len(batch))("
            "torch.cat(returns), self.critic(states)[:, 0])",
        ),
    ],
    "an entropy bonus": (LOSS, LOSS + " - 0.01 * Categorical(logits=self.network(states)).entropy().mean()"),
    "the gradient clipped": (
        "        self.optimizer.step()",
        "        nn.utils.clip_grad_norm_(self.network.parameters(), 0.5)\n        self.optimizer.step()",
    ),
    "RMSprop": (ADAM, "torch.optim.RMSprop(self.network.parameters(), lr=0.002)"),
    "AdamW": (ADAM, "torch.optim.AdamW(self.network.parameters(), lr=0.005)"),
    "SGD on normalised returns": [
        (ADAM, "torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9)"),
        (LOSS, "-((lambda x: (x - x.mean()) / (x.std() + 1e-8))(torch.cat(returns)) * log_prob).mean()"),
    ],
    "an update for each episode": [
        ("    def learn(self, batch):", EACH),
        ("0.005", "0.0005"),
    ],
    "a sigmoid": [
        (NETWORK, NETWORK.replace("(64, 2)", "(64, 1)")),
        (
            "Categorical(logits=self.network(obs)).sample()",
            "torch.distributions.Bernoulli(logits=self.network(obs)[:, 0]).sample()",
        ),
        (
            "Categorical(logits=self.network(states)).log_prob(actions)",
            "torch.distributions.Bernoulli(logits=self.network(states)[:, 0]).log_prob(actions.float())",
        ),
    ],
    "16 units": (NETWORK, "nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2)"),
    "no layer between": [(NETWORK, "nn.Linear(4, 2)"), ("0.005", "0.05")],
    "indifferent at first": (ADAM, ADAM + "\n        nn.init.zeros_(self.network[-1].weight)"),
}
CHANGES = [mistake.change for mistake in EXERCISES["03.agent"].mistakes]
WRONG: dict[str, Change] = {
    **dict(
        zip(
            (
                "greedy",
                "zero_grad late",
                "sign",
                "own reward only",
                "own reward missing",
                "[N] against [N, 1]",
                "gradients pile up",
                "softmax over the batch",
                "probability instead of its logarithm",
                "too slow",
            ),
            CHANGES,
            strict=True,
        )
    ),
    "optimiser over a copy": (
        "Adam(self.network.parameters()",
        "Adam([p.detach().clone().requires_grad_() for p in self.network.parameters()]",
    ),
    "no step": ("        self.optimizer.step()\n", ""),
    "detached loss": ("loss.backward()", "loss.detach().requires_grad_().backward()"),
    "a new network at each update": ("        returns = []\n", "        returns = []\n        self.__init__()\n"),
    "one weight for all": ("torch.cat(returns) * log_prob", "torch.cat(returns).mean() * log_prob"),
    "rewards summed forwards": ("reversed(range(len(rewards)))", "range(len(rewards))"),
    "the next state": ("episode[i] for", "episode[i].roll(-i, 0) for"),
    "another action's log-probability": (
        ".log_prob(actions)",
        ".log_prob(Categorical(logits=self.network(states)).sample())",
    ),
    "the likeliest action's log-probability": (".log_prob(actions)", ".log_prob(self.network(states).argmax(-1))"),
    "the previous action": ("for i in (0, 1))", "for i in (0, 1))\n        actions = actions.roll(1)"),
    "the other action": (".log_prob(actions)", ".log_prob(1 - actions)"),
    "softmax twice": [
        ("logits=self.network(obs)", "logits=self.network(obs).softmax(-1)"),
        ("logits=self.network(states)", "logits=self.network(states).softmax(-1)"),
    ],
    "returns run on into the next episode": [
        ("ret, after = torch.zeros_like(rewards), 0.0", "ret = torch.zeros_like(rewards)"),
        ("returns = []", "returns, after = [], 0.0"),
    ],
    "returns normalised in each episode": (
        "returns.append(ret)",
        "returns.append((ret - ret.mean()) / (ret.std(correction=0) + 1e-8))",
    ),
    "the loss squared": ("loss.backward()", "loss.square().backward()"),
    "the loss's size": ("loss.backward()", "loss.abs().backward()"),
    "one episode of the batch": ("        returns = []\n", "        returns, batch = [], batch[:1]\n"),
    "the last step of each episode": ("ret[t] = after", "ret[t] = after if t == len(rewards) - 1 else 0.0"),
}

if __name__ == "__main__":
    for some in (RIGHT, WRONG):
        chosen = {name: change for name, change in some.items() if name in sys.argv[2:] or not sys.argv[2:]}
        calibrate("03.agent", chosen, int(sys.argv[1]) if len(sys.argv) > 1 else 30, wrong=some is WRONG)
