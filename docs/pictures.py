"""Draws the README's pictures, `pgcourse run && python docs/pictures.py`; some of them, `python docs/pictures.py 09`.

An agent before and after training is drawn from a training of its own (under a minute), a robot that learns to walk
from the records. The small figures in the table of chapters are the first figure of each executed chapter in `_build/`.
"""

import base64
import dataclasses
import io
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

import pgcourse as pg
from pgcourse import film, gait
from pgcourse.course.runner import CHAPTER, find_chapters

DOCS = Path(__file__).resolve().parent
MOMENTS = 4  # pictures of an episode
SMALL = (220, 150)  # pixels of a chapter's figure, at most


def before_and_after(world: str = "CartPole-v1", seeds: int = 10, steps: int = 50_000) -> plt.Figure:
    """An untrained and a trained policy at play, and the returns of all learners on the way."""
    run = pg.train(pg.PPO(), world, seeds=seeds, steps=steps, show=False)
    untrained = dataclasses.replace(run.policy, theta=run.policy.policy.init(pg.Streams(seeds)))
    pg.plots.style.use()
    figure = plt.figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
    for strip, (when, policy) in zip(left.subfigures(2), (("before", untrained), ("after", run.policy)), strict=True):
        played = film.shoot(policy)
        at = np.linspace(0, len(played.frames) - 1, MOMENTS).round().astype(int)
        strip.suptitle(f"{when} training: balanced for {played.returns[0]:.0f} steps", x=0.02, ha="left", fontsize=11)
        for ax, moment in zip(strip.subplots(1, MOMENTS), at, strict=True):
            ax.imshow(played.frames[moment][150:330, 150:450])
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    ax = right.subplots()
    pg.plots.learning_curves(run.curves, ax=ax, title=f"{seeds} learners from different random seeds")
    ax.set(xlabel="steps of practice", ylabel="steps balanced")
    return figure


def walking(seed: int | None = None) -> plt.Figure:
    """One robot at four stages of its training, each over the first four seconds of an episode."""
    walker = pg.lab.load("bipedal-walker")
    steps = walker.study.environments[walker.study.env].steps
    strips = {}
    for part in (*walker.study.stages[:3], 1.0):
        (one,) = gait.record(walker.policy("PPO", at=part), seed)
        begin = one.trunk[0, 0]
        title = f"after {part * steps:,.0f} steps of practice: {gait.kind(one)}, return {one.reward.sum():.0f}"
        strips[title] = gait.strip(one, range(0, min(len(one), 200), 20), left=begin - 4, right=begin + 20)
    pg.plots.style.use()
    return pg.plots.pose_strips(strips)[0].figure


def first_figure(notebook: Path) -> Image.Image:
    """The first picture that an executed chapter shows, made small."""
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            if data := output.get("data", {}).get("image/png"):
                picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
                picture.thumbnail(SMALL, Image.Resampling.LANCZOS)
                return picture.quantize(48)
    raise SystemExit(f"{notebook} shows no figure")


if __name__ == "__main__":
    torch.set_num_threads(1)
    root = DOCS.parent
    (DOCS / "figures").mkdir(exist_ok=True)
    chapters = {CHAPTER.fullmatch(chapter.stem)["number"]: chapter for chapter in find_chapters(root)}
    drawn = {"before_and_after": before_and_after, "walking_robot": walking}
    for name in sys.argv[1:] or [*chapters, *drawn]:
        if name in drawn:
            drawn[name]().savefig(DOCS / f"{name}.png", dpi=100)
            continue
        executed = root / "_build" / "chapters" / chapters[name].name
        if not executed.is_file():
            raise SystemExit(f"{chapters[name].stem} has not run: pgcourse run")
        first_figure(executed).save(DOCS / "figures" / f"{name}.png", optimize=True)
