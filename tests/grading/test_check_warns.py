"""The check in the notebook warns where the grader would find another answer; in a real kernel."""

import nbformat
import pytest
from nbclient import NotebookClient
from submissions import RIGHT

START = f"{RIGHT}\nimport pgcourse as pg\nfrom pgcourse.grading import check"
CHECK = "check('03.reward_to_go', {})"
# (cells, what the warning says; nothing where the grade is the same)
NOTEBOOKS = {
    "same": (["SCALE = 0.0\nSCALE += 1.0", "def reward_to_go(r, g): return right(r, g) * SCALE"], ""),
    "deleted_cell_is_known": (["%%time\nreward_to_go = right"], ""),
    "from_the_course": (
        ["SCALE = pg.PPO().clip / pg.PPO().clip", "def reward_to_go(r, g): return right(r, g) * SCALE"],
        "would give 0 of 6 points: it starts from what the cells define as reward_to_go, without what else this kernel "
        "knows. There, values: NameError: name 'SCALE' is not defined (cell [3], line 1) (cell [2]: NameError: name "
        "'pg' is not defined)",
    ),
    "by_another_way": (
        ["get_ipython().push({'SCALE': 1.0})", "def reward_to_go(r, g): return right(r, g) * SCALE"],
        "no cell defines SCALE",
    ),
    "not_what_is_checked": (["def reward_to_go(r, g): return r", "reward = right"], "There, values: 0 instead of 0.5"),
    "not_defined": ([], "it takes what the cells define as reward_to_go, and no cell defines reward_to_go."),
    "from_a_file_beside_it": (
        ["import helpers", "def reward_to_go(r, g): return right(r, g) * helpers.SCALE"],
        "(cell [2]: ModuleNotFoundError: helpers is a file of yours, and the grader has the notebook alone)",
    ),
    "from_what_every_python_has": (
        [
            "import sys, itertools, zipimport, numpy as np",
            "def reward_to_go(r, g): return right(r, g) * (1 + 0 * sys.maxsize)",
        ],
        "",
    ),
    "from_what_is_installed_for_the_user": (
        [
            "import os, sys\nsys.path.insert(0, os.path.abspath('.local/lib/site-packages'))\nimport installed",
            "def reward_to_go(r, g): return right(r, g) * installed.SCALE",
        ],
        "",
    ),
    "from_data_beside_it": (
        ["SCALE = float(open('scale.txt').read())", "def reward_to_go(r, g): return right(r, g) * SCALE"],
        "name 'SCALE' is not defined (cell [3], line 1) (cell [2]: FileNotFoundError: ",
    ),
    "slow": (  # the last one, as every answer is from then on
        ["import sys\nsys.modules['pgcourse.grading.check'].SLOW = 0", "reward_to_go = right"],
        "The grader stops an answer after 5 s of computing for a check. This one took ",
    ),
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What each of them showed, from one kernel; what a notebook leaves in it, the next one deletes."""
    folder = tmp_path_factory.mktemp("beside")
    (folder / ".local" / "lib" / "site-packages").mkdir(parents=True)
    for module in ("helpers.py", ".local/lib/site-packages/installed.py"):
        (folder / module).write_text("SCALE = 1.0\n", encoding="utf-8")
    (folder / "scale.txt").write_text("1.0", encoding="utf-8")
    nb = nbformat.v4.new_notebook()
    for name, (cells, _) in NOTEBOOKS.items():
        answer = {"not_what_is_checked": "reward", "not_defined": "right"}.get(name, "reward_to_go")
        reset = "get_ipython().reset()\nget_ipython().history_manager.reset()\nget_ipython().execution_count = 1"
        for source in (reset, START, *cells, CHECK.format(answer)):
            nb.cells.append(nbformat.v4.new_code_cell(source))
        nb.cells[-1].metadata.name = name
    NotebookClient(nb, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return {cell.metadata.name: cell.outputs[0]["data"]["text/plain"] for cell in nb.cells if "name" in cell.metadata}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_warns_where_the_grade_would_be_another(shown, name):
    assert "solved, 6 of 6 points" in shown[name]
    warning = next((line for line in shown[name].splitlines() if line.startswith("⚠")), "")
    expected = NOTEBOOKS[name][1]
    assert expected in warning
    assert bool(warning) == bool(expected)
