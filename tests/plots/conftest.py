"""What the tests of figures share."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def reports():
    """`reports("GRPO", "PPO")`: of two variants three seeds with ten reports each.

    KL rises by the step; gold is the seed and a half of the first variant, less a half of the second.
    """

    def made(first: str, second: str) -> pd.DataFrame:
        rows = [
            {"variant": name, "seed": seed, "step": 10 * step, "kl": float(step), "gold": seed + bonus}
            for name, bonus in ((first, 0.5), (second, -0.5))
            for seed in range(3)
            for step in range(1, 11)
        ]
        return pd.DataFrame(rows)

    return made
