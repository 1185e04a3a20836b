"""The PPO that chapter 08 shows as one file is complete, and learns."""

import json
import re

import torch
from tracked import notebook

CHAPTER = notebook("chapters/08_ppo.ipynb")


def test_the_whole_file_learns_cartpole(capsys):
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(CHAPTER.read_text("utf-8"))["cells"]}
    (program,) = re.findall(r"```python\n(.*?)```", cells["exercises"], re.DOTALL)
    assert " 100, 0.99," in program  # so many updates; fewer suffice to see it learn
    torch.manual_seed(0)
    exec(program.replace(" 100, 0.99,", " 40, 0.99,"), {})
    assert float(capsys.readouterr().out) > 60  # about 22 without learning
