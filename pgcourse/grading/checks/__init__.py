"""All exercises of the course: one module a chapter, holding its checks and the mistakes that they must find."""

from pgcourse.grading.checks import chapter_03
from pgcourse.grading.exercise import Exercise

EXERCISES: dict[str, Exercise] = {exercise.name: exercise for exercise in (*chapter_03.EXERCISES,)}

__all__ = ["EXERCISES"]
