"""The PPO that chapter 08 shows as one file learns; the one that its details start from leaves them something to do."""

import json
import re

import pytest
import torch
from tracked import notebook

import pgcourse as pg

CHAPTER = notebook("chapters/08_ppo.ipynb")


def test_the_whole_file_learns_cartpole(capsys):
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(CHAPTER.read_text("utf-8"))["cells"]}
    (program,) = re.findall(r"```python\n(.*?)```", cells["exercises"], re.DOTALL)
    assert " 100, 0.99," in program  # so many updates; fewer suffice to see it learn
    torch.manual_seed(0)
    exec(program.replace(" 100, 0.99,", " 40, 0.99,"), {})
    assert float(capsys.readouterr().out) > 60  # about 22 without learning


@pytest.mark.parametrize("world", ["CartPole-v1", "Pendulum-v1"])
def test_the_configuration_that_the_details_start_from_moves_and_is_clipped(world):
    """Where updates hardly move, leaving out the clip or the penalty shows nothing, whatever they do elsewhere."""
    ablation = pg.lab.load("ppo-ablation").on(world)
    updates = ablation.curves[ablation.curves["variant"] == "PPO"]
    assert 0.05 < updates["clip_fraction"].median() < 0.2
    assert updates["kl"].mean() > 0.003
    final = ablation.evaluations[ablation.evaluations["variant"] == "PPO"].groupby("seed")["mean_return"].mean()
    assert (final >= {"CartPole-v1": 475, "Pendulum-v1": -200}[world]).sum() >= 9
