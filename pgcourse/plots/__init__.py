"""Pictures from tidy data; they never train. Importing this sets the course's look."""

from pgcourse.plots import style
from pgcourse.plots.curves import learning_curve_grid, learning_curves

style.use()

__all__ = ["learning_curve_grid", "learning_curves", "style"]
