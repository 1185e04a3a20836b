"""Pictures from tidy data; they never train. Importing this sets the course's look."""

from pgcourse.plots import style
from pgcourse.plots.curves import learning_curve_grid, learning_curves
from pgcourse.plots.dives import animate_dives, dives, spread_over_updates
from pgcourse.plots.estimators import (
    differences,
    error_against_batch_size,
    ledger,
    variance_against_baseline,
    variance_ratios,
    variance_sources,
)
from pgcourse.plots.noise import agreement
from pgcourse.plots.policies import histograms, over_updates, power_laws, simplex_field, slope
from pgcourse.plots.seeds import papers, spread_of_choices

style.use()

__all__ = [
    "agreement",
    "animate_dives",
    "differences",
    "dives",
    "error_against_batch_size",
    "histograms",
    "learning_curve_grid",
    "learning_curves",
    "ledger",
    "over_updates",
    "papers",
    "power_laws",
    "simplex_field",
    "slope",
    "spread_of_choices",
    "spread_over_updates",
    "style",
    "variance_against_baseline",
    "variance_ratios",
    "variance_sources",
]
