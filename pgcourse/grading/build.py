"""Exercise notebooks from solution notebooks: `python -m pgcourse.grading.build [--check]`, in a clone of the course.

nbgrader's own preprocessors (the extra `pgcourse[instructor]`) cut out what stands between ### BEGIN SOLUTION and
### END SOLUTION, lock the check cells and write checksums.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat

FOLDERS = ("solutions", "exercises")


def build(solution: str) -> str:
    """The exercise notebook of a solution notebook, both as the text of their files.

    Raises:
        RuntimeError: a solution region that does not end, or outside a cell marked as an answer.
        nbgrader.nbgraderformat.ValidationError: wrong nbgrader metadata, such as one id twice.
    """
    from nbgrader.nbgraderformat import MetadataValidator
    from nbgrader.preprocessors import ClearSolutions, ComputeChecksums, LockCells

    notebook = nbformat.reads(solution, as_version=4)
    MetadataValidator().validate_nb(notebook)
    for preprocessor in (ClearSolutions(), LockCells(), ComputeChecksums()):
        notebook, _ = preprocessor.preprocess(notebook, {})
    return nbformat.writes(notebook) + "\n"


def main(arguments: list[str]) -> int:
    """Build all exercise notebooks; with --check write nothing, and return 1 if one differs from its solution's."""
    solutions, exercises = map(Path, FOLDERS)
    sources = sorted(solutions.glob("*.ipynb"))
    if arguments not in ([], ["--check"]) or not sources:
        print(f"usage, where the folders {' and '.join(FOLDERS)} are: python -m pgcourse.grading.build [--check]")
        return 2
    stale = []
    for source in sources:
        built, target = build(source.read_text(encoding="utf-8")), exercises / source.name
        if target.exists() and target.read_text(encoding="utf-8") == built:
            continue
        stale.append(target)
        if not arguments:
            target.parent.mkdir(exist_ok=True)
            target.write_text(built, encoding="utf-8", newline="\n")
    verdict = "differs from its solution; run python -m pgcourse.grading.build" if arguments else "built"
    for target in stale:
        print(f"{target}: {verdict}")
    return 1 if arguments and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
