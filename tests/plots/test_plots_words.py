"""A figure's words: those that it shows, and where its lines begin and end."""

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
from nbclient import NotebookClient

import pgcourse as pg
from pgcourse.plots.words import in_words


def test_title_axes_and_the_ends_of_named_lines_are_said():
    figure, ax = plt.subplots()
    ax.plot([0, 1, 2], [20.0, np.nan, 490.0], label="PPO")
    ax.plot([0, 1, 2], [7.0, 7.0, 7.0], label=r"$\gamma^{t}$ dropped")
    ax.plot([0, 1, 2], [1.0, 2.0, 3.0])  # without a name
    ax.axvline(1.0, label="here")
    ax.set(title="Two learners.", xlabel=r"$N\times T$, steps", ylabel=r"$\mathrm{KL}(\pi\|\,q)$")
    assert (
        in_words(figure)
        == "Two learners. KL(π‖ q) against N× T, steps. PPO: 20 to 490; γ^t dropped: 7 throughout; here"
    )


def test_panels_are_numbered_and_colour_bars_are_none():
    figure, (left, right, bare) = plt.subplots(1, 3)
    figure.colorbar(left.imshow([[1, 2], [3, 4]]))
    left.set_title("L")
    right.text(0, 0, "a note")
    bare.set_visible(False)
    figure.supxlabel("x")
    assert in_words(figure) == "Panel 1 of 2: L. Panel 2 of 2: a note. x"


def test_a_figure_without_words_says_so():
    assert in_words(plt.figure()) == "A figure without words"


def test_a_plot_of_the_course_has_words():
    curves = pd.DataFrame({"seed": [0, 0, 1, 1], "step": [0, 9, 0, 9], "return": [1.0, 5.0, 2.0, 6.0]})
    ax = pg.plots.learning_curves(curves, label="mine", target=4, title="A training")
    assert in_words(ax.figure).startswith("A training. return of an episode against environment steps of one seed. ")
    assert "mine" in in_words(ax.figure)


def test_a_notebook_keeps_them_beside_the_picture():
    source = (
        "import pgcourse as pg, matplotlib.pyplot as plt\npg.plots.style\n"
        "plt.plot([1, 2], [3, 4], label='a line');\nplt.title('So');"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    pictures = [output.data for output in notebook.cells[0].outputs if "image/png" in output.get("data", {})]
    assert [data["text/plain"] for data in pictures] == ["So. a line: 3 to 4"]
