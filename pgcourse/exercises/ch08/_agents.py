"""More answers to 08.agent: `python -m pgcourse.exercises.ch08._agents [SEEDS [NAME ...]]` says how often each passes.

Right agents that differ in taste, and wrong ones that raise no error.
"""

import sys

from pgcourse.grading.calibration import calibrate
from pgcourse.grading.exercise import Change

GAIN = "torch.minimum(ratio * good, ratio.clamp(1 - self.clip, 1 + self.clip) * good)"
RIGHT: dict[str, Change] = {
    "the solution": [],
    "step size 0.003": ("lr=5e-3", "lr=3e-3"),
    "step size 0.01": ("lr=5e-3", "lr=1e-2"),
    "relu": ("torch.nn.Tanh()", "torch.nn.ReLU()"),
    "torch's own first weights": [
        ("            torch.nn.init.orthogonal_(layer.weight, gain)\n", ""),
        ("            torch.nn.init.zeros_(layer.bias)\n", "            pass\n"),
    ],
    "advantages as they are": ("good = (advantage - advantage.mean()) / (advantage.std() + 1e-8)", "good = advantage"),
    "an entropy bonus": (
        "- gain).mean()",
        "- gain).mean() - 0.01 * self.policy(obs).entropy().mean()",
    ),
    "ten passes": ("0.2, 4, 4", "0.2, 10, 4"),
    "λ = 0.9": ("0.99, 0.95", "0.99, 0.9"),
}
WRONG: dict[str, Change] = {
    "a time limit is an end": (" * ~terminated - v", " * ~(terminated | truncated) - v"),
    "the next row's value": (
        "self.critic(next_obs).squeeze(-1)",
        "torch.cat([self.critic(obs)[1:], self.critic(next_obs)[-1:]]).squeeze(-1)",
    ),
    "the state's own value": ("self.critic(next_obs)", "self.critic(obs)"),
    "sums run on into the next episode": (" * ~(terminated[t] | truncated[t])", ""),
    "sums run on behind a time limit": ("~(terminated[t] | truncated[t])", "~terminated[t]"),
    "GAE forwards": ("reversed(range(len(delta)))", "range(len(delta))"),
    "gradients pile up": ("        self.optimizer.zero_grad()\n", ""),
    "the larger of the two": ("torch.minimum", "torch.maximum"),
    "the ratio upside down": (
        "(self.policy(obs).log_prob(action) - log_old)",
        "(log_old - self.policy(obs).log_prob(action))",
    ),
    "the critic is not trained": ("[*self.actor.parameters(), *self.critic.parameters()]", "self.actor.parameters()"),
    "the policy is not trained": ("[*self.actor.parameters(), *self.critic.parameters()]", "self.critic.parameters()"),
    "the critic's target is the advantage": ("advantage + v)]", "advantage)]"),
    "another action's probability": (".log_prob(action) - log_old", ".log_prob(self.policy(obs).sample()) - log_old"),
    "the entropy is lowered": ("- gain).mean()", "- gain).mean() + 0.1 * self.policy(obs).entropy().mean()"),
    "the entropy is all that counts": ("- gain).mean()", "- gain).mean() - 5.0 * self.policy(obs).entropy().mean()"),
    "advantages paired with other samples": ("advantage, advantage + v)]", "advantage.flip(0), advantage + v)]"),
}

if __name__ == "__main__":
    for some in (RIGHT, WRONG):
        chosen = {name: change for name, change in some.items() if name in sys.argv[2:] or not sys.argv[2:]}
        calibrate("08.agent", chosen, int(sys.argv[1]) if len(sys.argv) > 1 else 8, wrong=some is WRONG)
