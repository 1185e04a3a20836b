"""The acceptance table of the grader: a submission, what becomes of it, and the tests that see it.

A test is named as `module: test`, or as `module: TABLE[entry]` where it runs over a table of submissions.
"""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROWS = {
    "1 correct: all points": [
        "test_exercises: test_the_solution_scores_everything_and_the_untouched_exercise_nothing",
        "test_cases: test_a_right_answer_gets_all_points",
        "test_right_answers: test_a_right_answer_gets_all_points",
    ],
    "2 untouched stub: 0, not attempted": [
        "test_exercises: test_the_solution_scores_everything_and_the_untouched_exercise_nothing",
        "test_submissions: WRONG_ANSWERS[stub]",
    ],
    "3 each known mistake fails its check": [
        "test_exercises: test_the_solution_passes_and_each_known_mistake_fails_and_is_named"
    ],
    "4 crashes only on an edge case: loses that check only": ["test_submissions: WRONG_ANSWERS[crashes_when_long]"],
    "5 syntax error in an unrelated cell: all points, the cell named": [
        "test_submissions: test_a_syntax_error_elsewhere_costs_nothing_and_its_cell_is_named"
    ],
    "6 syntax error in the answer: 0, message and line": [
        "test_submissions: test_an_answer_that_cannot_be_called_gets_a_reason"
    ],
    "7 missing or renamed: 0, not defined": ["test_submissions: test_an_answer_that_cannot_be_called_gets_a_reason"],
    "8 correct, with warnings and noise: all points": [
        "test_submissions: RIGHT_ANSWERS[noisy]",
        "test_submissions: RIGHT_ANSWERS[warns_of_errors]",
    ],
    "9 check cells, points and ids edited: as unedited": ["test_submissions: test_metadata_does_not_matter"],
    "10 patches comparisons and built-ins: 0": [
        "test_submissions: TAMPERING[comparisons]",
        "test_submissions: TAMPERING[built_ins]",
        "test_nbgrader: test_the_score_is_that_of_the_grader",
    ],
    "11 transformers of IPython: 0": ["test_grading_bubblewrap: test_hooks_of_ipython_change_nothing"],
    "12 equal to everything; subclasses of arrays and tensors: 0": [
        "test_submissions: WRONG_ANSWERS[equal_to_all]",
        "test_submissions: WRONG_ANSWERS[subclass]",
        "test_submissions: WRONG_ANSWERS[array_subclass]",
    ],
    "13 os._exit: 0": ["test_submissions: MISBEHAVIOUR[os_exit]"],
    "14 sys.exit: 0": ["test_submissions: MISBEHAVIOUR[sys_exit]"],
    "15 a loop that swallows BaseException: 0 inside the limit": ["test_submissions: MISBEHAVIOUR[swallows]"],
    "16 sleep(99): 0 inside the limit, no process left": [
        "test_submissions: MISBEHAVIOUR[sleeps]",
        "test_submissions: test_nothing_is_left_of_them",
    ],
    "17 memory bomb: 0, the host lives": [
        "test_submissions: MISBEHAVIOUR[memory_bomb]",
        "test_submissions: MISBEHAVIOUR[tensor_bomb]",
        "test_grading_bubblewrap: ATTEMPTS[hides_memory]",
    ],
    "18 segmentation fault, deep recursion: 0, the others graded": [
        "test_submissions: MISBEHAVIOUR[segmentation_fault]",
        "test_submissions: WRONG_ANSWERS[endless_recursion]",
        "test_submissions: test_the_answers_behind_them_are_graded_still",
    ],
    "19 forged frames and scores: 0, protocol violation": [
        "test_submissions: MISBEHAVIOUR[scores]",
        "test_submissions: MISBEHAVIOUR[ahead]",
        "test_submissions: MISBEHAVIOUR[error_without_words]",
    ],
    "20 pickle bomb, object dtype, 32 MB: 0, nothing unpickled": [
        "test_submissions: MISBEHAVIOUR[pickle]",
        "test_submissions: MISBEHAVIOUR[object_dtype]",
        "test_submissions: MISBEHAVIOUR[enormous]",
        "test_submissions: WRONG_ANSWERS[large]",
        "test_submissions: test_nothing_is_left_of_them",
    ],
    "21 NaN, complex, wrong shape, wrong dtype: 0, named": [
        f"test_submissions: WRONG_ANSWERS[{name}]"
        for name in ("not_a_number", "complex_numbers", "wrong_shape", "wrong_dtype")
    ],
    "22 mutates its inputs: by contract": [
        "test_submissions: WRONG_ANSWERS[changes_its_input]",
        "test_submissions: RIGHT_ANSWERS[restores_its_input]",
    ],
    "23 imports the course, reads the solutions: not available": [
        "test_grading_bubblewrap: ATTEMPTS[imports_the_course]",
        "test_grading_bubblewrap: ATTEMPTS[imports_the_course_s_parts]",
        "test_grading_bubblewrap: ATTEMPTS[reads_the_solutions]",
    ],
    "24 network, signals, daemon: blocked": [
        "test_grading_bubblewrap: ATTEMPTS[connects]",
        "test_grading_bubblewrap: ATTEMPTS[signals_the_grader]",
        "test_grading_bubblewrap: ATTEMPTS[starts_a_daemon]",
        "test_cases: HOSTILE[fork_setsid]",
    ],
    "25 markup, escapes, 1 MB of text, no notebook, 100 MB: escaped, cut, a reason, and the batch goes on": [
        "test_submissions: WRONG_ANSWERS[terminal_codes]",
        "test_submissions: test_a_file_that_is_no_notebook_gets_a_reason",
        "../app/test_grade_command: test_a_page_shows_what_strangers_wrote_and_executes_none_of_it",
        "../app/test_grade_command: test_what_is_no_submission_is_a_row_and_costs_nobody_a_grade",
    ],
}


def defined(module):
    """The names of a module's tests, and of its tables with their entries."""
    found = set()
    for node in ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            found |= {f"{target.id}[{key}]" for target in node.targets for key in keys}
    return found


def test_no_row_is_missing():
    assert [int(row.split()[0]) for row in ROWS] == [*range(1, 26)]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_its_tests(row):
    for test in ROWS[row]:
        module, name = re.split(": ", test)
        assert name in defined(module)
