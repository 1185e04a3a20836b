"""The report on a study holds what the records hold, and says what they do not."""

import dataclasses
import subprocess

import numpy as np
import pytest
from markdown_it import MarkdownIt
from scipy import stats
from small_study import SMALL

from pgcourse.lab import Study, compute, load, store, study_report
from pgcourse.lab.study_report import comparisons, markdown, page
from pgcourse.stats import seeds_needed

SAID = 'question = "Which?"\nanalysis = "Seed by seed."\ntuning = "None."\n'


@pytest.fixture
def results(declare):
    """A small study that says what it is for, computed in this process."""
    declare(text=SAID + SMALL)
    for block in Study.read("small").blocks():
        store(block, compute(block))
    return load("small")


def with_manifest(results, **changes):
    """The results with every manifest changed."""
    records = {
        variant: [dataclasses.replace(record, manifest=record.manifest | changes) for record in records]
        for variant, records in results.records.items()
    }
    return dataclasses.replace(results, records=records)


def test_a_report_holds_the_records_numbers_and_what_was_said(results):
    said = markdown(results)
    scores = {name: rows["mean_return"].to_numpy() for name, rows in results.evaluations.groupby("variant")}
    for scored in scores.values():
        ends = stats.ttest_1samp(scored, 0).confidence_interval()
        assert f"| {len(scored)} | {scored.mean():.4g} | {ends.low:.4g} to {ends.high:.4g} |" in said
    for words in (
        "Which?",
        "Seed by seed.",
        "| tuning | None. |",
        "numbers 0 to 3; all are reported",
        "over 3 episodes",
    ):
        assert words in said
    assert f"torch {results.manifests['plain'][0]['machine']['torch']}" in said
    assert "envs = 4, baseline = none" in said
    assert "too few for a bootstrap" in said


def test_a_variant_that_is_not_in_all_worlds_is_said_to_be_so():
    items = dict(study_report._checklist(load("five-worlds")))
    assert items["variants"].startswith("6: REINFORCE; A2C; ")
    assert items["variants"].endswith("; PPO; DQN (in CartPole-v1, Acrobot-v1 only)")
    assert items["comparisons"].startswith(f"{4 * 5 + 2} with the first variant, in 5 environments; ")


def test_what_nobody_said_is_not_made_up(results):
    silent = dataclasses.replace(results, study=dataclasses.replace(results.study, question="", analysis="", tuning=""))
    assert markdown(silent).count("**not said**") == 3


@pytest.mark.parametrize("test", ["paired", "welch"])
def test_comparisons_are_students_or_welchs_and_mann_and_whitneys(results, test):
    (row,) = comparisons(results, test).to_dict("records")
    x, y = (results.evaluations.query("variant == @v")["mean_return"].to_numpy(np.float64) for v in ("critic", "plain"))
    theirs = stats.ttest_rel(x, y) if test == "paired" else stats.ttest_ind(x, y, equal_var=False)
    assert (row["env"], row["variant"]) == ("CartPole-v1", "critic")
    assert row["difference"] == pytest.approx(x.mean() - y.mean())
    assert row["p"] == row["p corrected"] == pytest.approx(theirs.pvalue)
    assert [row["low"], row["high"]] == pytest.approx(list(theirs.confidence_interval()))
    assert row["better"] == stats.mannwhitneyu(x, y).statistic / 16
    clear = theirs.pvalue < 0.05
    assert row["verdict"] == (("better" if x.mean() > y.mean() else "worse") if clear else "inconclusive")
    sd = (x - y).std(ddof=1) if test == "paired" else (x.std(ddof=1), y.std(ddof=1))
    assert row["seeds"] == seeds_needed(x.mean() - y.mean(), sd, paired=test == "paired")
    assert ("seed by seed" in markdown(results, test)) == (test == "paired")


def test_seeds_are_compared_with_themselves_in_whatever_order_records_hold_them(results):
    turned = dataclasses.replace(results, records={name: each[::-1] for name, each in results.records.items()})
    half = {"plain": results.records["plain"], "critic": results.records["critic"][::-1]}
    expected = comparisons(results).to_dict("records")
    assert comparisons(turned).to_dict("records") == expected
    assert comparisons(dataclasses.replace(results, records=half)).to_dict("records") == expected


def test_another_test_is_refused(results):
    with pytest.raises(ValueError, match="one of paired, welch, got 'student'"):
        comparisons(results, "student")


def test_seeds_that_agree_have_no_test(results):
    same = [
        dataclasses.replace(
            each, tables=each.tables | {"evaluations": each.tables["evaluations"].assign(**{"return": 9})}
        )
        for records in results.records.values()
        for each in records
    ]
    agreed = dataclasses.replace(results, records={"plain": same[:2], "critic": same[2:]})
    (row,) = comparisons(agreed).to_dict("records")
    assert np.isnan(row["p"])
    assert row["verdict"] == "every seed has the same difference"
    assert "| 9 | 9 to 9 |" in markdown(agreed)


@pytest.mark.parametrize("test", ["paired", "welch"])
def test_one_seed_has_a_difference_and_no_comparison(declare, test):
    declare(text=SMALL.replace("seeds = 4", "seeds = 1").replace("seeds_per_block = 2", "seeds_per_block = 1"))
    for block in Study.read("small").blocks():
        store(block, compute(block))
    alone = load("small")
    (row,) = comparisons(alone, test).to_dict("records")
    ends = alone.evaluations.set_index("variant")["mean_return"]
    assert row["difference"] == ends["critic"] - ends["plain"]
    assert np.isnan([row[name] for name in ("low", "high", "p", "better", "better low", "better high")]).all()
    assert row["verdict"] == "one seed: no comparison"
    cells = [cell.strip() for cell in markdown(alone, test).split("| critic |")[2].splitlines()[0].split("|")]
    assert cells[1:-1] == ["one seed", "–", "–", "–", "one seed: no comparison"]


def test_the_page_is_the_report_with_nothing_from_elsewhere(results):
    text = page(results)
    assert MarkdownIt().enable("table").render(markdown(results)) in text
    assert "src=" not in text
    assert "http" not in text
    assert "<title>A small study</title>" in text


def test_deviations_are_found(results):
    assert "stopped and taken up again 2 times" in markdown(with_manifest(results, resumed=2))
    assert "differed from its commit" in markdown(with_manifest(results, dirty=True, commit="0" * 40))
    assert "knew no commit" in markdown(with_manifest(results, commit=None))
    (results.study.folder / "old.seeds-0-1").mkdir()
    assert "records that no variant leads to any more: old.seeds-0-1" in markdown(results)


def test_what_was_said_after_the_runs_is_found_out(results):
    folder = results.study.folder

    def git(*arguments):
        names = ["-c", "user.name=x", "-c", "user.email=x"]
        return subprocess.run(
            ["git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "nothing yet")
    before = git("rev-parse", "HEAD").strip()
    git("add", "study.toml")
    git("commit", "-q", "-m", "declared")
    declared = with_manifest(results, commit=git("rev-parse", "HEAD").strip(), dirty=False, resumed=0)
    assert "is not the one" not in markdown(declared)
    assert "nothing was stated there" not in markdown(declared)
    changed = dataclasses.replace(declared, study=dataclasses.replace(declared.study, analysis="The median."))
    assert "the analysis is not the one that commit" in markdown(changed)
    assert "nothing was stated there" in markdown(with_manifest(declared, commit=before))
