"""What a practitioner looks at, against counts and sums over one response at a time; and jumps."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pgcourse.rlhf.diagnostics import diagnosed, spikes
from pgcourse.rlhf.language import Tokens

EOS = 1


def test_diagnostics_count_tokens_and_no_padding():
    generator = torch.Generator().manual_seed(0)
    own, reference = (torch.randn(2, 4, 3, 5, generator=generator, dtype=torch.float64).log_softmax(-1) for _ in "ab")
    response = torch.tensor([[[2, 3, EOS], [4, EOS, 0], [2, 3, EOS], [2, 2, 2]], [[EOS, 0, 0]] * 3 + [[3, 4, 2]]])
    mask = response != 0
    tokens = (Tokens(x.gather(-1, response.unsqueeze(-1)).squeeze(-1), x) for x in (own, reference))
    found = diagnosed(*tokens, response, mask, EOS)
    for seed in range(2):
        kl, sampled, entropies, lengths = [], [], [], []
        for one, p, q in zip(
            response[seed].tolist(), own[seed].exp().numpy(), reference[seed].exp().numpy(), strict=True
        ):
            real = [t for t, token in enumerate(one) if token]
            kl.append(sum(np.sum(p[t] * np.log(p[t] / q[t])) for t in real))
            sampled.append(sum(np.log(p[t, one[t]] / q[t, one[t]]) for t in real))
            entropies += [-np.sum(p[t] * np.log(p[t])) for t in real]
            lengths.append(len(real))
        wanted = {"kl": kl, "kl_k1": sampled, "entropy": entropies, "tokens": lengths}
        for name, values in wanted.items():
            assert getattr(found, name)[seed].item() == pytest.approx(np.mean(values))
    assert found.finished.tolist() == [0.75, 0.75]
    assert found.unique.tolist() == [0.75, 0.5]


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1)), st.integers(1, 9), st.floats(1, 5))
def test_a_spike_is_above_so_many_times_what_was_usual_before_it(x, window, times):
    found = spikes(torch.from_numpy(x), times, window)
    for t in range(len(x)):
        before = sorted(x[max(0, t - window) : t])
        usual = before[(window - 1) // 2] if t >= window else np.inf
        assert found[t].item() == (x[t] > times * usual)


def test_spikes_are_of_one_series():
    with pytest.raises(ValueError, match=r"x must be \[iteration\] and window 1 or more, got \[2, 3\] and 8"):
        spikes(torch.zeros(2, 3))
