import pytest
import torch
from torch import nn

from pgcourse.core import Streams
from pgcourse.core.networks import pieces
from pgcourse.rlhf import GPT, ScalarHead
from pgcourse.rlhf.pretraining import REVIEWERS

F64 = torch.float64


@pytest.fixture
def tiny():
    return GPT(vocabulary=11, context=9, width=8, layers=2, heads=2)


def random_theta(network, seeds=2, dtype=F64):
    """Weights that are not small: all of the network takes part."""
    return 0.5 * Streams(seeds, dtype=dtype).normal(network.size)


def random_ids(seeds=2, rows=3, tokens=7):
    return torch.randint(11, (seeds, rows, tokens), generator=torch.Generator().manual_seed(0))


def reference_logits(network, theta, ids):
    """The same network from torch's modules, for one seed: an encoder layer with a causal mask is a GPT's block."""
    d = network.width
    weights = pieces(theta.unsqueeze(0), network.layout)
    words, positions, *rest, gain, shift = (piece[0] for piece in weights)
    x = words[ids] + positions[: ids.shape[1]]
    causal = nn.Transformer.generate_square_subsequent_mask(ids.shape[1], dtype=F64)
    for first in range(0, len(rest), 12):
        g1, s1, w_qkv, b_qkv, w_out, b_out, g2, s2, w_up, b_up, w_down, b_down = rest[first : first + 12]
        layer = nn.TransformerEncoderLayer(
            d, network.heads, 4 * d, 0.0, nn.GELU(approximate="tanh"), batch_first=True, norm_first=True, dtype=F64
        )
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": w_qkv.T, "self_attn.in_proj_bias": b_qkv,
                "self_attn.out_proj.weight": w_out.T, "self_attn.out_proj.bias": b_out,
                "linear1.weight": w_up.T, "linear1.bias": b_up, "linear2.weight": w_down.T, "linear2.bias": b_down,
                "norm1.weight": g1, "norm1.bias": s1, "norm2.weight": g2, "norm2.bias": s2,
            }
        )  # fmt: skip
        x = layer.train()(x, src_mask=causal)
    return nn.functional.layer_norm(x, (d,), gain, shift) @ words.T


def test_logits_are_those_of_torchs_transformer(tiny):
    theta, ids = random_theta(tiny), random_ids()
    for seed in range(2):
        expected = reference_logits(tiny, theta[seed], ids[seed])
        torch.testing.assert_close(tiny(theta, ids)[seed], expected, rtol=1e-9, atol=1e-9)


def test_reading_on_gives_the_logits_of_reading_everything(tiny):
    theta, ids = random_theta(tiny), random_ids()
    whole = tiny(theta, ids)
    read = tiny.reader(theta)
    found = [read(ids[:, :, :3]), *(read(ids[:, :, t : t + 1]) for t in range(3, 7))]
    torch.testing.assert_close(torch.stack(found, 2), whole[:, :, 2:], rtol=1e-12, atol=1e-12)


def test_a_token_does_not_see_what_follows_it(tiny):
    theta, ids = random_theta(tiny), random_ids()
    other = ids.clone()
    other[:, :, 4:] = (ids[:, :, 4:] + 1) % 11
    assert torch.equal(tiny(theta, ids)[:, :, :4], tiny(theta, other)[:, :, :4])
    assert not torch.equal(tiny(theta, ids)[:, :, 4], tiny(theta, other)[:, :, 4])


def test_seeds_share_nothing(tiny):
    theta, ids = random_theta(tiny).requires_grad_(), random_ids()
    together = tiny(theta, ids)
    for seed in range(2):
        alone = tiny(theta[seed : seed + 1], ids[seed : seed + 1])
        torch.testing.assert_close(together[seed : seed + 1], alone, rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(together[0].sum(), theta)
    assert gradient[0].abs().sum() > 0
    assert not gradient[1].any()


def test_the_course_model_has_the_size_it_is_said_to_have():
    d, words, context = 48, 101, 31
    block = 2 * 2 * d + (3 * d * d + 3 * d) + (d * d + d) + (4 * d * d + 4 * d) + (4 * d * d + d)
    assert REVIEWERS.size == words * d + context * d + 2 * block + 2 * d == 62_976


def test_weights_start_as_they_are_said_to(tiny):
    big = GPT(vocabulary=200, context=60, width=48)
    theta = big.init(Streams(1))
    by_shape = [
        (tuple(piece.shape[1:]), piece.std().item(), piece.mean().item()) for piece in pieces(theta, big.layout)
    ]
    for shape, std, mean in by_shape:
        if len(shape) == 2:
            adds = shape in ((48, 48), (192, 48))
            assert std == pytest.approx(0.02 / (2 if adds else 1), rel=0.1)
        else:
            assert (std, mean) in ((0, 0), (0, 1))
    assert sum(mean == 1 for *_, mean in by_shape) == 5


def test_what_does_not_fit_is_refused(tiny):
    with pytest.raises(ValueError, match="heads = 3 must divide width = 8"):
        GPT(11, 9, width=8, heads=3)
    with pytest.raises(ValueError, match="a text has 9 tokens at most, got 10"):
        tiny(random_theta(tiny), random_ids(tokens=10))


def test_a_head_starts_at_zero_and_is_linear_in_what_the_logits_see(tiny):
    head, trunk, ids = ScalarHead(tiny), random_theta(tiny), random_ids()
    assert not head(head.on(trunk), ids).any()
    weight = Streams(2, dtype=F64).child("head").normal(8)
    theta = head.on(trunk, weight)
    expected = torch.einsum("srtd,sd->srt", tiny.hidden(trunk, ids), weight)
    torch.testing.assert_close(head(theta, ids), expected)
    mean, std = torch.tensor([1.0, -2.0], dtype=F64), torch.tensor([2.0, 0.5], dtype=F64)
    moved = head(head.standardized(theta, mean, std), ids)
    torch.testing.assert_close(moved, (expected - mean.view(2, 1, 1)) / std.view(2, 1, 1))
