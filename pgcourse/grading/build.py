"""Exercise notebooks from solution notebooks: `python -m pgcourse.grading.build [--check]`, in a clone of the course.

In a solution notebook the author writes prose and answers. This writes into it, for each exercise, a Markdown cell with
what the declaration says (title, goal, points, requirements), a cell that checks the answer, and nbgrader's metadata.
The exercise notebook is made from that: nbgrader's own preprocessors (the extra `pgcourse[instructor]`) cut out what
stands between ### BEGIN SOLUTION and ### END SOLUTION, lock the check cells and write checksums. Cells tagged
`solution`, which explain an answer, are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Exercise
from pgcourse.grading.solutions import MARKER, defines, edited

FOLDERS = ("solutions", "exercises")
METADATA = {  # as Jupyter writes it on saving, so that opening a notebook and saving it changes nothing
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": "3.11.7",
    },
}
FOR_NBGRADER = {"schema_version": 3, "task": False}


class Unbuildable(ValueError):
    """A solution notebook that exercises cannot be made of; the message says why."""


def complete(solution: str, exercises: list[Exercise]) -> str:
    """A solution notebook with everything in it that the declarations say, as the text of its file.

    Raises:
        Unbuildable: an exercise without an answer, or with more than one.
    """
    notebook = nbformat.reads(solution, as_version=4)
    notebook.metadata = nbformat.from_dict(METADATA)
    ours = {cell_id(kind, exercise) for kind in ("about", "check") for exercise in exercises}
    cells = [cell for cell in notebook.cells if cell.id not in ours]
    places = sorted((_place(cells, exercise), exercise.name, exercise) for exercise in exercises)
    for number, (_, _, exercise) in reversed(list(enumerate(places, 1))):
        at = _place(cells, exercise)
        cells[at].id = cell_id("answer", exercise)
        cells[at].metadata.nbgrader = _nbgrader(cells[at].id, answer=True)
        cells.insert(at + 1, _check_cell(exercise))
        if exercise.evidence and at and cells[at - 1].source.startswith("evidence("):
            at -= 1
        prose = at > 0 and cells[at - 1].cell_type == "markdown" and not cells[at - 1].source.startswith("#")
        cells.insert(at - 1 if prose else at, _about_cell(exercise, number))
    notebook.cells = cells
    return nbformat.writes(notebook) + "\n"


def cell_id(kind: str, exercise: Exercise) -> str:
    """The id of a cell of an exercise: "answer-reward-to-go"."""
    return f"{kind}-{exercise.name.partition('.')[2].replace('_', '-')}"


def _place(cells: list[Any], exercise: Exercise) -> int:
    found = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and defines(cell.source, exercise.entry)]
    if len(found) != 1:
        raise Unbuildable(
            f"{exercise.name}: {len(found)} cells of the solution notebook define {exercise.entry}, not one"
        )
    return found[0]


def _nbgrader(name: str, answer: bool, points: int = 0) -> dict[str, Any]:
    graded = {} if answer else {"points": points}
    return {"grade": not answer, "grade_id": name, "locked": not answer, "solution": answer, **graded, **FOR_NBGRADER}


def _check_cell(exercise: Exercise) -> Any:
    name = cell_id("check", exercise)
    return nbformat.v4.new_code_cell(
        f'check("{exercise.name}", {exercise.entry})',
        id=name,
        metadata={"nbgrader": _nbgrader(name, answer=False, points=exercise.points)},
    )


def _about_cell(exercise: Exercise, number: int) -> Any:
    return nbformat.v4.new_markdown_cell(about(exercise, number), id=cell_id("about", exercise), metadata={})


KINDS = {
    "implement": "Write",
    "gradient": "Write",
    "derive": "Derive and write",
    "repair": "Find the mistake in",
    "diagnose": "Diagnose in",
    "predict": "Predict, before you measure, in",
    "tune": "Choose the settings in",
    "learn": "Write",
}


def about(exercise: Exercise, number: int) -> str:
    """What the declaration of an exercise says to a learner, in Markdown."""
    parts = [f"## {number}. {exercise.title}", f"*{exercise.goal}*"]
    worth = ", ".join(f"{check.name} {check.points}" for check in exercise.checks)
    parts.append(
        f"{KINDS[exercise.kind]} `{exercise.entry}`. {exercise.minutes} minutes, difficulty {exercise.difficulty} of "
        f"5, importance {exercise.importance} of 5, {exercise.points} points ({worth})."
    )
    if exercise.choices:
        parts.append("Choose from: " + ", ".join(f'`"{choice}"`' for choice in exercise.choices) + ".")
    if wanted := list(dict.fromkeys(text for check in exercise.checks for text in check.requirements())):
        parts.append("Required: " + "; ".join(wanted) + ".")
    if exercise.kind == "repair":
        parts.append("Points are for a function that passes all checks.")
    return "\n\n".join(parts)


def build(solution: str, exercises: list[Exercise]) -> str:
    """The exercise notebook of a completed solution notebook, both as the text of their files.

    Raises:
        RuntimeError: a solution region that does not end, or outside a cell marked as an answer.
        nbgrader.nbgraderformat.ValidationError: wrong nbgrader metadata, such as one id twice.
    """
    from nbgrader.nbgraderformat import MetadataValidator
    from nbgrader.preprocessors import ClearSolutions, ComputeChecksums, LockCells

    notebook = nbformat.reads(solution, as_version=4)
    MetadataValidator().validate_nb(notebook)
    notebook.cells = [cell for cell in notebook.cells if "solution" not in cell.metadata.get("tags", [])]
    starts = {
        cell.id: edited(exercise, MARKER.sub("", cell.source).rstrip(), exercise.start)
        for exercise in exercises
        if exercise.start
        for cell in notebook.cells
        if cell.id == cell_id("answer", exercise)
    }
    notebook, _ = ClearSolutions().preprocess(notebook, {})
    for cell in notebook.cells:
        cell.source = starts.get(cell.id, cell.source)
    for preprocessor in (LockCells(), ComputeChecksums()):
        notebook, _ = preprocessor.preprocess(notebook, {})
    return nbformat.writes(notebook) + "\n"


def main(arguments: list[str]) -> int:
    """Build all notebooks; with --check write nothing, and return 1 if one differs from what would be built."""
    solutions, exercises = map(Path, FOLDERS)
    sources = sorted(solutions.glob("*.ipynb"))
    if arguments not in ([], ["--check"]) or not sources:
        print(f"usage, where the folders {' and '.join(FOLDERS)} are: python -m pgcourse.grading.build [--check]")
        return 2
    try:
        import nbgrader  # noqa: F401
    except ImportError:
        print("nbgrader, which cuts the answers out, is not installed; remedy: python3 start.py setup instructor")
        return 1
    stale = []
    for source in sources:
        some = EXERCISES.of(source.name.partition("_")[0])
        try:
            whole = complete(source.read_text(encoding="utf-8"), some)
            built = build(whole, some)
        except ValueError as error:
            print(f"{source}: {error}")
            return 1
        for target, text in ((source, whole), (exercises / source.name, built)):
            if target.exists() and target.read_text(encoding="utf-8") == text:
                continue
            stale.append(target)
            if not arguments:
                target.parent.mkdir(exist_ok=True)
                target.write_text(text, encoding="utf-8", newline="\n")
    verdict = "differs from what is built; run python -m pgcourse.grading.build" if arguments else "built"
    for target in stale:
        print(f"{target}: {verdict}")
    return 1 if arguments and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
