"""A report on a study that its records fill in by themselves: `pgcourse study report NAME`.

What it lists follows the checklists that venues ask for: Pineau et al. (2021), *Improving reproducibility in machine
learning research*, appendix; the NeurIPS paper checklist; Patterson et al. (2024), *Empirical design in reinforcement
learning*. What a record cannot know (the question, how settings were chosen) is what study.toml says in words; where it
says nothing, the report says so.
"""

from __future__ import annotations

import html
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from pgcourse.lab.configurations import nondefault
from pgcourse.lab.provenance import file_at
from pgcourse.lab.results import Results, changed_worlds
from pgcourse.stats import (
    holm,
    iqm,
    mean_interval,
    paired_test,
    probability_of_improvement,
    seeds_needed,
    welch_test,
)

TESTS = ("paired", "welch")  # of a difference; variants of a study share their seeds, and so their first policies
NOT_SAID = "**not said**"
STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1f2328 }
h1 { line-height: 1.2 } h2 { margin-top: 2rem } code { font-size: 90% }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { border: 1px solid #d0d7de; padding: .3rem .6rem }
th { background: #f6f8fa; text-align: left } td { vertical-align: top }
@media (prefers-color-scheme: dark) {
  body { background: #0d1117; color: #e6edf3 } th { background: #161b22 } th, td { border-color: #30363d } }
"""


def markdown(results: Results, test: str = "paired") -> str:
    """The report as Markdown: question, checklist, scores, comparisons. `test` as in `comparisons`."""
    study = results.study
    parts = [
        f"# {study.title}",
        _stated(results),
        "## Checklist",
        _table(["item", "what the record says"], _checklist(results, test)),
        "## Scores",
        _scores(results),
    ]
    if len(study.variants) > 1:
        parts += ["## Comparisons", _comparisons(results, test)]
    parts += ["## Settings", _settings(results), "## Deviations", _listed(_deviations(results))]
    return "\n\n".join(parts) + "\n"


def page(results: Results, test: str = "paired") -> str:
    """The report as an HTML page that needs no other file. `test` as in `comparisons`."""
    from markdown_it import MarkdownIt

    body = MarkdownIt().enable("table").render(markdown(results, test))
    title = html.escape(results.study.title)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>\n{STYLE}</style>\n{body}</html>\n'
    )


def comparisons(results: Results, test: str = "paired") -> pd.DataFrame:
    """Each variant against the study's first, in each environment: a row a comparison.

    Columns: `env`, `variant`, `difference` of the mean final returns with `low` and `high` of its 95 % interval,
    `p`, `p corrected` (Holm, over all rows), `better` (probability that a seed of it scores higher) with its 95 %
    bootstrap interval, `seeds` that the test would need for 80 % power at this difference, and `verdict`. Where every
    seed has the same difference there is no test; p is NaN. Of one seed there is a difference alone, the rest is NaN.

    Args:
        test: `paired`, seed by seed, since all variants have the same seeds; or `welch`, as if each had its own.

    Raises:
        ValueError: another test.
    """
    if test not in TESTS:
        raise ValueError(f"test is one of {', '.join(TESTS)}, got {test!r}")
    first, *others = results.study.variants
    rows = []
    for env in results.study.environments:
        scores = _by_variant(results, env)
        if first not in scores:
            continue
        for variant in others:
            if variant in scores:
                rows.append((env, variant, *_compared(scores[variant], scores[first], test)))
    names = ["env", "variant", "difference", "low", "high", "p", "better", "better low", "better high", "seeds"]
    table = pd.DataFrame(rows, columns=names)
    tested = table["p"].notna()
    table["p corrected"] = np.nan
    table.loc[tested, "p corrected"] = holm(table.loc[tested, "p"].to_numpy())
    clear = table["p corrected"] < 0.05
    excluded = (table["low"] > 0) | (table["high"] < 0)
    words = np.where(table["difference"] > 0, "better", "worse")
    table["verdict"] = np.where(clear, words, np.where(excluded, "not clear after correction", "inconclusive"))
    table.loc[~tested, "verdict"] = "every seed has the same difference"
    table.loc[table["low"].isna(), "verdict"] = "one seed: no comparison"
    return table


def _compared(x: np.ndarray, y: np.ndarray, test: str) -> tuple[float, ...]:
    if len(x) == 1:
        return (float(x[0] - y[0]), *[np.nan] * 7)
    better = probability_of_improvement(x[:, None], y[:, None], np.random.default_rng(0)).average
    paired = test == "paired"
    if np.ptp(x - y) == 0 and (paired or np.ptp(x) == 0):
        gap = float(x[0] - y[0])
        return (gap, gap, gap, np.nan, *map(float, better), np.nan)
    (difference, low, high), p_value = (paired_test if paired else welch_test)(x, y)
    least = 1e-9 * float(np.ptp([*x, *y]))
    spread = [max(float(each.std(ddof=1)), least) for each in ((x - y,) if paired else (x, y))]
    try:
        sd = spread[0] if paired else (spread[0], spread[1])
        seeds = float(seeds_needed(float(difference), sd, paired=paired))
    except ValueError:  # over a million
        seeds = np.inf
    return (float(difference), float(low), float(high), float(p_value), *map(float, better), seeds)


def _by_variant(results: Results, env: str) -> dict[str, np.ndarray]:
    """Each variant's mean final returns in an environment, [seed], in the order of the seeds."""
    table = results.evaluations
    if "env" in table:
        table = table[table["env"] == env]
    groups = table.sort_values("seed", kind="stable").groupby("variant", sort=False)["mean_return"]
    return {str(name): values.to_numpy(np.float64) for name, values in groups}


def _stated(results: Results) -> str:
    study = results.study
    return (
        f"Study `{study.name}`.\n\n**Question.** {study.question or NOT_SAID}\n\n"
        f"**Analysis, stated beforehand.** {study.analysis or NOT_SAID}"
    )


def _checklist(results: Results, test: str = "paired") -> Iterator[tuple[str, str]]:
    study = results.study
    manifests = list(chain(*results.manifests.values()))
    machines = [each["machine"] for each in manifests]
    seeds = study.seeds
    variants = [
        name if len(worlds) == len(study.environments) else f"{name} (in {', '.join(worlds)} only)"
        for name, worlds in study.variants.items()
    ]
    envs = [f"{each.name} ({each.steps:,} steps of each seed)" for each in study.environments.values()]
    episodes = study.evaluation_episodes
    cpu, wall = (sum(each[name] for each in manifests) for name in ("cpu_seconds", "wall_seconds"))
    versions = sorted({f"{name} {m[name]}" for m in machines for name in ("python", "torch", "numpy", "gymnasium")})
    first, *others = study.variants.values()
    compared = sum(env in first for each in others for env in each)
    yield "environments", "; ".join(envs)
    yield "variants", f"{len(variants)}: {'; '.join(variants)}"
    yield "seeds", f"{seeds} of each variant in each environment, numbers 0 to {seeds - 1}; all are reported"
    yield (
        "score",
        f"mean undiscounted return of the final policy over {episodes} episodes of each seed, actions sampled; "
        "not the best checkpoint, not the training average",
    )
    yield "unit", "the seed: n is the number of seeds, never that of episodes or steps"
    of = {
        "paired": "Student's t of a mean and of a difference, seed by seed",
        "welch": "Student's t of a mean, Welch's of a difference",
    }
    yield "intervals", f"95 %, two-sided: {of[test]}; bootstrap of a probability"
    if compared:
        several = f", in {len(envs)} environments" if len(envs) > 1 else ""
        yield (
            "comparisons",
            f"{compared} with the first variant{several}; p-values corrected by Holm's method over all of them",
        )
    yield "tuning", study.tuning or NOT_SAID
    yield "compute", f"{cpu:,.0f} s of CPU time ({wall:,.0f} s on the clock), {_said(m['cpu_model'] for m in machines)}"
    yield "versions", ", ".join(versions)
    yield "code", _said(f"commit {(each['commit'] or 'unknown')[:12]}" for each in manifests)
    yield (
        "repeat it",
        f"`pgcourse reproduce {study.name}`: the first iterations; with `--full`, everything",
    )
    yield "data", f"every episode and curve: `pg.lab.load({study.name!r})`, each file under a SHA-256"


def _scores(results: Results) -> str:
    rows = []
    for env in results.study.environments:
        for variant, x in _by_variant(results, env).items():
            mean, low, high = map(float, mean_interval(x) if len(x) > 1 else (x[0], np.nan, np.nan))
            numbers = (float(np.median(x)), float(iqm(x)), x.min(), x.max())
            rows.append((env, variant, str(len(x)), _figure(mean), _span(low, high), *map(_figure, numbers)))
    head = ["environment", "variant", "seeds", "mean", "95 % interval", "median", "IQM", "worst seed", "best seed"]
    return _table(head, rows)


def _comparisons(results: Results, test: str) -> str:
    first = next(iter(results.study.variants))
    rows = []
    for row in comparisons(results, test).to_dict("records"):
        seeds = "–" if not np.isfinite(row["seeds"]) else f"{row['seeds']:.0f}"
        p = "–" if np.isnan(row["p"]) else f"{row['p']:.2g} ({row['p corrected']:.2g})"
        chance = f"{row['better']:.2f} ({row['better low']:.2f} to {row['better high']:.2f})"
        better = "–" if np.isnan(row["better"]) else chance
        cells = (row["env"], row["variant"], _figure(row["difference"]), _span(row["low"], row["high"]), p, better)
        rows.append((*cells, seeds, row["verdict"]))
    head = [
        "environment", "variant", "difference", "95 % interval", "p (corrected)", "P(better)", "seeds for 80 % power",
        "verdict",
    ]  # fmt: skip
    return f"Against **{first}**; a positive difference means higher return.\n\n" + _table(head, rows)


def _settings(results: Results) -> str:
    rows = []
    for variant, envs in results.study.variants.items():
        for env, each in envs.items():
            said = {**nondefault(each.algorithm), **{f"network.{k}": v for k, v in nondefault(each.network).items()}}
            rows.append((variant, env, type(each.algorithm).__name__, ", ".join(f"{k} = {v}" for k, v in said.items())))
    return "What differs from the algorithms' defaults.\n\n" + _table(
        ["variant", "environment", "algorithm", "options"], rows
    )


def _deviations(results: Results) -> Iterator[str]:
    """What is not as it should be, or not the same for all runs."""
    study = results.study
    for variant, records in results.records.items():
        for record in records:
            manifest = record.manifest
            if manifest["commit"] is None:
                yield f"{variant}: `{record.name}` was made where git knew no commit"
            elif manifest["dirty"]:
                yield f"{variant}: `{record.name}` was made from code that differed from its commit"
            if manifest["resumed"]:
                yield f"{variant}: `{record.name}` was stopped and taken up again {manifest['resumed']} times"
    yield from _said_afterwards(results)
    manifests = list(chain(*results.manifests.values()))
    for name, what in (("commit", "commits"), ("constraints", "sets of pinned versions")):
        if len(found := {each[name] for each in manifests}) > 1:
            yield f"the records come from {len(found)} {what}"
    for name in ("cpu_model", "cpu_capability", "torch"):
        if len(found := {each["machine"][name] for each in manifests}) > 1:
            yield f"the records come from machines that differ in {name}: {', '.join(sorted(map(str, found)))}"
    declared = {record.name for records in results.records.values() for record in records}
    if others := [name for name in study.store.names() if name not in declared]:
        yield f"records that no variant leads to any more: {', '.join(others)}"
    yield from changed_worlds(results)
    if study.seeds < 5:
        seeds = f"{study.seeds} seed{'s' * (study.seeds > 1)}"
        yield f"{seeds}: too few for a bootstrap, and for any but the largest differences"


def _said_afterwards(results: Results) -> Iterator[str]:
    """Whether question and analysis stood in study.toml when the records were computed, as git has it."""
    study = results.study
    stated = {name: getattr(study, name) for name in ("question", "analysis") if getattr(study, name)}
    for commit in sorted({each["commit"] for each in chain(*results.manifests.values()) if each["commit"]}) * bool(
        stated
    ):
        text = file_at(commit, study.folder / "study.toml")
        try:
            then = tomllib.loads(text or "")
        except tomllib.TOMLDecodeError:
            then = {}
        if text is None:
            yield f"commit {commit[:12]}, from which records come, has no study.toml: nothing was stated there"
        for name in (name for name, said in stated.items() if text is not None and then.get(name) != said):
            yield f"the {name} is not the one that commit {commit[:12]} had, from which records come"


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"* {line}" for line in lines) or "None that the records show."


def _said(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values)))


def _figure(x: float) -> str:
    return f"{x:,.4g}" if abs(x) < 10_000 else f"{x:,.0f}"


def _span(low: float, high: float) -> str:
    return "one seed" if np.isnan(low) else f"{_figure(low)} to {_figure(high)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in lines)
