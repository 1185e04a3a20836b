"""Graded exercises: feedback in the notebook, and grades computed outside the submission's process."""

from pgcourse.grading.check import CheckFailed, check, solved

__all__ = ["CheckFailed", "check", "solved"]
