"""Functions that chapter 07 defines on its page are the library's."""

import json

import pytest
import torch
from tracked import notebook

from pgcourse.core import MLP, SoftmaxPolicy, Streams, trust_region
from pgcourse.exact import bounds, random_mdp

CHAPTER = notebook("chapters/07_trust_regions.ipynb")
F64 = torch.float64


@pytest.fixture(scope="module")
def page():
    """What the cells that define something leave behind."""
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(CHAPTER.read_text("utf-8"))["cells"]}
    names = {}
    for cell in ("imports", "surrogate-define", "bound-define", "cg-define", "trpo-parts", "trpo-step"):
        exec(cells[cell], names)
    return names


def test_surrogate_and_bound(page):
    mdp = random_mdp(seed=3)
    theta, new = (Streams(3, dtype=F64).child(name).normal(mdp.policy.size) for name in ("old", "new"))
    for name in ("expected_advantage", "surrogate_gain"):
        assert torch.equal(page[name](mdp, theta, new), getattr(bounds, name)(mdp, theta, new))
    torch.testing.assert_close(
        page["worst_case"](mdp, theta, new), bounds.surrogate_penalty(mdp, theta, new).worst_case
    )


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_conjugate_gradients_to_the_bit(page, dtype):
    """Also where some rows are solved long before the others."""
    streams = Streams(4, dtype=dtype)
    root, b = streams.child("root").normal(9, 9), streams.child("b").normal(9)
    a = root @ root.mT + torch.tensor([0.1, 10, 1e3, 1e6], dtype=dtype).view(-1, 1, 1) * torch.eye(9, dtype=dtype)
    for steps in (1, 4, 10):
        results = [
            solve(lambda v: (a @ v.unsqueeze(2)).squeeze(2), b, steps)
            for solve in (page["conjugate_gradient"], trust_region.conjugate_gradient)
        ]
        for ours, library in zip(*results, strict=True):
            assert torch.equal(ours, library)


def test_fisher_product(page):
    policy, streams = SoftmaxPolicy(MLP((3, 4, 3))), Streams(2, dtype=F64)
    theta, obs, v = policy.init(streams), streams.child("obs").normal(7, 3), streams.child("v").normal(policy.size)
    product = page["fisher_product"](lambda x: (None, policy(theta, obs).kl(policy(x, obs)).mean(1)), theta)
    library = trust_region.fisher_product(policy, theta, obs, torch.ones(2, 7, dtype=torch.bool))
    torch.testing.assert_close(product(v), library(v), rtol=1e-10, atol=1e-14)
