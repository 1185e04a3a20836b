"""Pictures from tidy data; they never train. Importing this sets the course's look."""

from pgcourse.plots import style
from pgcourse.plots.advantage import sweet_spots, value_against_time_limit
from pgcourse.plots.continuous import action_densities, bins_against_joints, reaches
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
from pgcourse.plots.ppo import against_passes, clip_cases, details, film_strips
from pgcourse.plots.scores import aggregates, performance_profile
from pgcourse.plots.seeds import papers, spread_of_choices
from pgcourse.plots.theorem import (
    angles,
    ascents,
    credit,
    curl,
    gradient_by_sampling,
    grid_policies,
    landscape,
    objectives,
)
from pgcourse.plots.trust import gradient_paths, one_step_too_far, penalties, policy_balls, residuals, step_lengths

style.use()

__all__ = [
    "action_densities",
    "against_passes",
    "aggregates",
    "agreement",
    "angles",
    "animate_dives",
    "ascents",
    "bins_against_joints",
    "clip_cases",
    "credit",
    "curl",
    "details",
    "differences",
    "dives",
    "error_against_batch_size",
    "film_strips",
    "gradient_by_sampling",
    "gradient_paths",
    "grid_policies",
    "histograms",
    "landscape",
    "learning_curve_grid",
    "learning_curves",
    "ledger",
    "objectives",
    "one_step_too_far",
    "over_updates",
    "papers",
    "penalties",
    "performance_profile",
    "policy_balls",
    "power_laws",
    "reaches",
    "residuals",
    "simplex_field",
    "slope",
    "spread_of_choices",
    "spread_over_updates",
    "step_lengths",
    "style",
    "sweet_spots",
    "value_against_time_limit",
    "variance_against_baseline",
    "variance_ratios",
    "variance_sources",
]
