"""Draws the picture of the README, `python docs/picture.py`: chapter 04's first figure, with chapter 05's critics."""

from pathlib import Path

import matplotlib
import torch

matplotlib.use("Agg")

import pgcourse as pg

torch.set_num_threads(1)
mdp = pg.exact.random_mdp(states=5, actions=3, seed=12)
theta = pg.Streams(1, dtype=torch.float64).child("theta").normal(mdp.policy.size)
ledger = pg.exact.ledger(mdp, theta, pg.Streams(1), episodes=200_000, lams=(0.0, 0.5, 0.8, 1.0))
variance, _ = pg.plots.ledger(ledger)
variance.figure.savefig(Path(__file__).with_name("ledger.png"))
