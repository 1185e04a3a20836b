import pytest
import torch

from pgcourse.core.optimizer import Adam


def test_a_gradient_that_is_nan_names_its_rows_and_moves_nothing():
    adam = Adam(torch.ones(3, 2), lr=0.1)
    scale = torch.tensor([1.0, torch.nan, 1.0])
    with pytest.raises(FloatingPointError, match=r"rows \[1\] of θ is NaN or infinite"):
        adam.minimize(adam.parameters.square().sum(1) * scale)
    assert torch.equal(adam.parameters.detach(), torch.ones(3, 2))
