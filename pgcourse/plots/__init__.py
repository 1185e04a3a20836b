"""Pictures from tidy data; they never train. Importing this sets the course's look."""

from pgcourse.plots import style
from pgcourse.plots.curves import learning_curve_grid, learning_curves
from pgcourse.plots.noise import agreement
from pgcourse.plots.seeds import papers, spread_of_choices

style.use()

__all__ = ["agreement", "learning_curve_grid", "learning_curves", "papers", "spread_of_choices", "style"]
