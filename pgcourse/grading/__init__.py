"""Graded exercises: feedback in the notebook, and grades computed outside the submission's process."""

from pgcourse.grading.check import CheckFailed, check, evidence, hint, solved
from pgcourse.grading.progress import progress

__all__ = ["CheckFailed", "check", "evidence", "hint", "progress", "solved"]
