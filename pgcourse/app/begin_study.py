"""`pgcourse study new`: a declaration that runs as it is, and a notebook that leads from the question to the report."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from rich.console import Console

from pgcourse.lab.records import write_whole
from pgcourse.lab.studies import StudyError, results_folder, study_names

WORDS = ("list", "new", "report")  # what `pgcourse study` understands otherwise

DECLARATION = """\
title = "{title}"
question = "Does … raise the return of … in …?"
analysis = "Final returns, seed by seed: yes or no, if the 95 % interval is above or below 0, else inconclusive."
tuning = "Settings are the algorithms' defaults; no seed was looked at before."

env = "CartPole-v1"
steps = 20_000            # of each seed
seeds = 10
evaluation_episodes = 20
network = {{ hidden = [32, 32] }}

# The first variant is what all others are compared with. Vary one thing at a time.
[defaults]
algorithm = "a2c"

[variants."as it is"]

[variants."with entropy bonus"]
entropy = 0.01
"""

NOTEBOOK = [
    (
        "question",
        """# {title}

**Question.** …

Write question, analysis and tuning into `study.toml` beside this notebook, *before* anything is computed, and commit
them: the report says whether they stood there when the records were made. Say which number will be compared, over how
many seeds, and which outcome means what, an inconclusive one included.""",
    ),
    (
        "declaration",
        """import pgcourse as pg

study = pg.lab.Study.read("{name}")
print("Question:", study.question)
print("Analysis:", study.analysis)
print(len(study.variants), "variants,", study.seeds, "seeds,", *study.environments)""",
    ),
    (
        "power",
        """How large a difference would you care about? All variants have the same seeds, so they are compared seed by
seed: how much do such differences scatter? A pilot on *other* seeds tells, or a record like yours. Where the two scores
of a seed have nothing to do with each other, their difference scatters √2 times as much as either. Below is how often
some numbers of seeds would find such a difference.""",
    ),
    (
        "seeds",
        """from pgcourse.stats import paired_power

difference, sd = 40, 70  # sd is that of the differences
for seeds in (5, 10, 20):
    print(seeds, "seeds:", format(paired_power(seeds, difference, sd), ".0%"))""",
    ),
    ("compute", "Compute it. What is there already is not computed again."),
    ("run", "!pgcourse study {name}"),
    ("look", "All seeds first, then the comparison that you stated, and nothing else."),
    (
        "curves",
        """results = pg.lab.load("{name}")
pg.plots.learning_curves(results.curves);""",
    ),
    ("comparison", "pg.lab.comparisons(results)"),
    ("write", "The report, with the checklist that the records fill in by themselves."),
    ("report", "!pgcourse study report {name}"),
    (
        "conclusion",
        """## Conclusion

Answer the question in one sentence, with the interval. What you found beside it is a question for another study, with
other seeds.""",
    ),
]


def begin(console: Console, *names: str) -> None:
    """Write results/NAME/study.toml and results/NAME/NAME.ipynb, and say what comes next.

    Raises:
        StudyError: more than one name, a name that is no folder's or is taken, or no folder of studies.
    """
    if len(names) > 1:
        raise StudyError(f"one study at a time: new {names[0]}")
    (name,) = names
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) or name in WORDS:
        raise StudyError(f"{name!r} is no name of a study: small letters, digits and hyphens, such as wider-clip")
    if name in study_names() or (results_folder() / name).exists():
        raise StudyError(f"there is a study {name!r} already; take another name, or change its study.toml")
    folder = results_folder() / name
    title = name.replace("-", " ").capitalize()
    write_whole(folder / "study.toml", DECLARATION.format(title=title).encode())
    write_whole(folder / f"{name}.ipynb", nbformat.writes(notebook(name, title)).encode())
    for line in _next_steps(folder, name):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def notebook(name: str, title: str) -> nbformat.NotebookNode:
    """The notebook of a new study."""
    cells = []
    for cell, text in NOTEBOOK:
        markdown = text.startswith("#") or text[0].isupper()
        kind = new_markdown_cell if markdown else new_code_cell
        cells.append(kind(text.replace("{name}", name).replace("{title}", title), id=cell))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return new_notebook(cells=cells, metadata=kernel)


def _next_steps(folder: Path, name: str) -> list[str]:
    return [
        f"{folder / 'study.toml'}: question, analysis, variants. It runs as it is; make it yours.",
        f"{folder / f'{name}.ipynb'}: from the question to the report.",
        f"Commit both, then: pgcourse study {name}",
    ]
