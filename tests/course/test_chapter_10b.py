"""The two functions that chapter 10b shows are the library's: advantages, and the loss of all eight algorithms."""

import ast
import json
from dataclasses import replace

import pytest
import torch
from tracked import notebook

from pgcourse.core import Streams
from pgcourse.rl import group_advantage
from pgcourse.rlhf import GPT, VARIANTS, LanguagePolicy
from pgcourse.rlhf.corpus import EOS, LONGEST, PAD, PROMPT, WORDS, prompts
from pgcourse.rlhf.trainer import Written

CHAPTER = notebook("chapters/10b_rlhf_family.ipynb")
F64 = torch.float64


@pytest.fixture(scope="module")
def page():
    """The functions of the page by name."""
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(CHAPTER.read_text("utf-8"))["cells"]}
    names = {"torch": torch}
    for cell in ("group-define", "loss-define"):
        functions = [node for node in ast.parse(cells[cell]).body if isinstance(node, ast.FunctionDef)]
        exec(compile(ast.Module(functions, []), cell, "exec"), names)
    return names


@pytest.mark.parametrize(
    ("baseline", "scale"), [("leave_one_out", "none"), ("group", "none"), ("group", "group"), ("batch", "batch")]
)
def test_advantages_are_the_librarys_bit_for_bit(page, baseline, scale):
    score = Streams(2).normal(3, 4)
    score[0, 0] = 0.3  # a silent group
    assert torch.equal(page["advantages"](score, baseline, scale), group_advantage(score, baseline, scale))


@pytest.mark.parametrize("name", VARIANTS)
def test_the_loss_and_its_gradient_are_the_librarys(page, name):
    streams = Streams(2, dtype=F64)
    network = GPT(len(WORDS), PROMPT + LONGEST, width=8, layers=1, heads=2)
    theta = network.init(streams)
    policy = LanguagePolicy(network, theta[0])
    prompt = prompts(streams.uniform(6))
    response = policy(theta, prompt).sample(policy.noise(streams, 6))
    response[0, 0, 3:] = PAD
    response[0, 0, 2] = EOS
    mask = response != PAD
    old = policy.tokens(theta, prompt, response).log_prob
    reference = old + 0.1 * streams.normal(*old.shape[1:])
    advantage = streams.normal(6, 1).expand_as(old)
    batch = Written(prompt, response, mask, old, reference, advantage)
    moved = (theta + 0.02 * streams.child("moved").normal(network.size)).requires_grad_()
    of = replace(VARIANTS[name], beta=0.1)
    expected, log_ratio = of.loss(policy, moved, batch)
    found, log_r = page["family_loss"](of, policy.tokens(moved, prompt, response).log_prob, batch, policy.longest)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(log_r, log_ratio, rtol=1e-12, atol=1e-14)
    slopes = [torch.autograd.grad(loss.sum(), moved)[0] for loss in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-12)
