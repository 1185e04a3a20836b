"""Running mean and variance of values that arrive in batches."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class RunningMoments(NamedTuple):
    """Of `number` values so far: their mean and their variance, its denominator the count."""

    mean: Tensor
    variance: Tensor
    number: Tensor

    def merged(self, new: Tensor, mask: Tensor) -> RunningMoments:
        """With the values [seed, sample, k] added where mask [seed, sample]; self's mean is [seed, k], its number
        [seed, 1]. Chan, Golub & LeVeque (1983), eq. 2.1."""
        added = mask.sum(1, keepdim=True)
        mask = mask.unsqueeze(-1)
        mean = new.where(mask, 0.0).sum(1) / added
        variance = (new - mean.unsqueeze(1)).where(mask, 0.0).square().sum(1) / added
        number = self.number + added
        part = added / number
        change = mean - self.mean
        spread = (1 - part) * self.variance + part * variance + part * (1 - part) * change.square()
        return RunningMoments(self.mean + part * change, spread, number)
