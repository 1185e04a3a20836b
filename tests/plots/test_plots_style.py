import subprocess
import sys

import matplotlib
import seaborn

from pgcourse.plots import style


def test_the_look_is_seaborns_with_the_courses_colours():
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        style.use()
        ours = dict(matplotlib.rcParams)
        matplotlib.rcdefaults()
        seaborn.set_theme(style="ticks", palette=style.CYCLE, rc=style.RC)
        theirs = dict(matplotlib.rcParams)
    assert {name for name in ours if str(ours[name]) != str(theirs[name])} == {"image.cmap"}


def test_the_first_figure_waits_for_neither_seaborn_nor_notebook_machinery():
    """What a chapter's first cells import: 2.7 of 5.3 CPU seconds before."""
    code = (
        "import sys; import pgcourse as pg; from pgcourse import claim; from pgcourse.grading import check; "
        "pg.lab.load; pg.plots.learning_curves; pg.train; heavy = {'seaborn', 'scipy.stats', 'nbformat', 'jsonschema', "
        "'papermill', 'sympy', 'rich'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
