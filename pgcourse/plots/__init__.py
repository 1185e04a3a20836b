"""Pictures from tidy data; they never train. The first one used sets the course's look."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Where each public name stands; matplotlib is imported when the first is used.
_HOMES = {
    "chapter_00": "coverage explore_seeds papers spread_of_choices",
    "chapter_01": "animate_dives corridor_learners dives explore_softmax histograms spread_over_updates step_sizes",
    "chapter_02": "credit gradient_by_sampling",
    "chapter_02b": "angles ascents curl grid_policies landscape objectives",
    "chapter_03": "agreement one_learner returns_grid several_learners with_and_without_baseline",
    "chapter_04": (
        "critic_fit error_against_batch_size ledger normalisation paired_differences "
        "variance_against_baseline variance_ratios variance_sources"
    ),
    "chapter_05": (
        "bias_against_steps directions explore_gae side_by_side sweet_spots "
        "value_against_time_limit variance_along_lambda"
    ),
    "chapter_06": "action_densities bins_against_joints reaches",
    "chapter_07": "gradient_paths learning_panels one_step_too_far penalties policy_balls residuals step_lengths",
    "chapter_08": "against_passes clip_cases crossing details explore_clip film_strips settings symptoms",
    "chapter_09": "disturbances footfalls gait_measures kinds phase_portraits pose_strips",
    "chapter_09b": "reported",
    "chapter_09d": "every_episode survival",
    "chapter_10": (
        "against_distance at_equal_kl clip_and_passes explore_samples overoptimization proxy_and_gold rubric_terms"
    ),
    "chapter_10b": "family_gradients family_planes family_spreads pass_curves",
    "chapter_11": "conclusions every_seed improvements profiles_and_curves shares_against_seeds",
    "explorable": "Explorable",
    "from_rewards": "rlhf_diagnostics",
    "learning": "learning_curve_grid learning_curves metric_curves",
    "lines": "over_updates power_laws slope",
    "scores": "aggregates differences performance_profile",
    "simplex": "simplex_field",
    "steering": "asked_and_done four_feet steered",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted({"style", *_HOME})


def __getattr__(name: str) -> Any:
    if name == "style":
        return import_module("pgcourse.plots.style")
    if name in _HOME:
        return getattr(import_module(f"pgcourse.plots.{_HOME[name]}"), name)
    raise AttributeError(f"pgcourse.plots has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
