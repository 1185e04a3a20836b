"""The power of Welch's test and of the paired test, and the number of seeds that a difference needs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pgcourse.stats.intervals import checked

if TYPE_CHECKING:
    import pandas as pd

MANY_SEEDS = 2**20
QUADRATURE = 128  # nodes a side: power to 1e-4 for two seeds, to 1e-5 for more


def welch_power(seeds: int, difference: float, sd: float | tuple[float, float], alpha: float = 0.05) -> float:
    """Probability that Welch's two-sided test at level α finds a true difference, with so many seeds on either side.

    For normal values of standard deviations σ₁, σ₂ (`sd`, one number if they are equal) and τ² = (σ₁² + σ₂²)/n,

        power = E[Φ((difference - c)/τ) + Φ((-difference - c)/τ)],    c = t_{1-α/2, ν} √((s₁² + s₂²)/n),

    the mean taken over both sample variances, (n-1) s²/σ² ~ χ²(n-1), on which c and Satterthwaite's ν depend: given
    them, x̄ - ȳ is still normal. Exact, by quadrature; one noncentral t would be so for Student's test only.

    Raises:
        ValueError: fewer than two seeds, a difference that is not finite, an sd that is not positive, α outside (0, 1).
    """
    from scipy import stats  # takes a second

    n = seeds
    _check(n, difference, alpha)
    if np.shape(sd) not in ((), (2,)) or not (np.isfinite(sd) & (np.asarray(sd) > 0)).all():
        raise ValueError(f"sd is a positive number, or one for each side, got {sd}")
    first, second = np.broadcast_to(np.square(sd, dtype=np.float64), 2)
    tau = np.sqrt((first + second) / n)
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE)
    ratio = stats.chi2.ppf((1 + nodes) / 2, n - 1) / (n - 1)
    s, t = first * ratio[:, None] / n, second * ratio / n  # s₁²/n and s₂²/n
    df = (n - 1) * (s + t) ** 2 / (s**2 + t**2)
    critical = stats.t.isf(alpha / 2, df) * np.sqrt(s + t)
    power = stats.norm.cdf((difference - critical) / tau) + stats.norm.cdf((-difference - critical) / tau)
    return float(weights @ power @ weights / 4)


def paired_power(seeds: int, difference: float, sd: float, alpha: float = 0.05) -> float:
    """Probability that the paired two-sided test at level α finds a true mean difference, with so many shared seeds.

    For normal differences of standard deviation σ (`sd`) and τ² = σ²/n,

        power = E[Φ((difference - c)/τ) + Φ((-difference - c)/τ)],    c = t_{1-α/2, n-1} s/√n,

    with (n-1) s²/σ² ~ χ²(n-1): Student's noncentral t, by quadrature. Where both sides have the standard deviation σ₁
    and the correlation ρ over seeds, σ = σ₁ √(2(1 - ρ)).

    Raises:
        ValueError: fewer than two seeds, a difference that is not finite, an sd that is not positive, α outside (0, 1).
    """
    from scipy import stats  # takes a second

    n = seeds
    _check(n, difference, alpha)
    if np.shape(sd) != () or not (np.isfinite(sd) and sd > 0):
        raise ValueError(f"sd is that of the differences, a positive number, got {sd}")
    tau = sd / np.sqrt(n)
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE)
    ratio = stats.chi2.ppf((1 + nodes) / 2, n - 1) / (n - 1)
    critical = stats.t.isf(alpha / 2, n - 1) * tau * np.sqrt(ratio)
    power = stats.norm.cdf((difference - critical) / tau) + stats.norm.cdf((-difference - critical) / tau)
    return float(weights @ power / 2)


def seeds_needed(
    difference: float, sd: float | tuple[float, float], alpha: float = 0.05, power: float = 0.8, *, paired: bool = False
) -> int:
    """Fewest seeds on either side with which Welch's test at level α finds a difference with probability `power`.

    Or, `paired`, with which the paired test does; `sd` is then that of the differences.

    Raises:
        ValueError: as `welch_power` or `paired_power`; a power outside (α, 1); a difference that needs over a million
            seeds.
    """
    if not alpha < power < 1:
        raise ValueError(f"power must lie between alpha = {alpha} and 1, got {power}")
    power_of = _power(paired)
    n = 2
    while power_of(n, difference, sd, alpha) < power:
        n *= 2
        if n > MANY_SEEDS:
            raise ValueError(
                f"a difference of {difference} at sd {sd} needs over a million seeds: ask for a larger one"
            )
    return 2 + bisect_left(range(2, n), power, key=lambda n: power_of(n, difference, sd, alpha))


def _power(paired: bool) -> Callable[..., float]:
    return paired_power if paired else welch_power


def _check(seeds: int, difference: float, alpha: float) -> None:
    if seeds < 2 or seeds != int(seeds):
        raise ValueError(f"seeds is the number of seeds on either side, 2 or more, got {seeds}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    if not np.isfinite(difference):
        raise ValueError(f"difference must be finite, got {difference}")


def plan(
    pairs: Mapping[str, tuple[ArrayLike, ArrayLike]], alpha: float = 0.05, power: float = 0.8, *, paired: bool = False
) -> pd.DataFrame:
    """How many seeds each comparison would need: a row for each of {name: (seeds' scores of one, of the other)}.

    Columns are `change`, the difference of means, `effect`, that in units of the standard deviation between seeds
    √((s²_x + s²_y)/2) (Cohen's d), `seeds`, with which Welch's test finds such a difference with probability `power`,
    and `found`, with what probability the seeds that there are would. Both take what was measured for the truth; an
    effect measured with few seeds is itself uncertain, and one that was noticed because it was large is too large.

    Where x and y are of the same seeds, `paired` plans for the paired test; the standard deviation is then that of the
    differences x - y.

    Raises:
        ValueError: as `seeds_needed`; seeds that agree on both sides; paired seeds that are not as many on either side.
    """
    import pandas as pd

    rows = {}
    for name, (x, y) in pairs.items():
        a, b = checked(x), checked(y)
        if paired and a.shape != b.shape:
            raise ValueError(f"{name}: x and y are not pairs: shapes {a.shape} and {b.shape}")
        change, sd = a.mean() - b.mean(), [each.std(ddof=1) for each in ([a - b] if paired else [a, b])]
        pooled = np.sqrt(np.mean(np.square(sd)))
        if pooled == 0:
            raise ValueError(f"{name}: the seeds agree on both sides, so any number of them tells the two apart")
        floor = [max(each, 1e-9 * pooled) for each in sd]
        spread = floor[0] if paired else (floor[0], floor[1])
        needed = seeds_needed(change, spread, alpha, power, paired=paired)
        found = _power(paired)(min(len(a), len(b)), change, spread, alpha)
        rows[name] = (float(change), float(change / pooled), needed, found)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["change", "effect", "seeds", "found"])
