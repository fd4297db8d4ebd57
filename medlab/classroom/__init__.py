"""Exercises: checks (`from medlab.classroom import check`), the student edition, and a course for nbgrader."""

from medlab.classroom.editions import student_edition
from medlab.classroom.grading import nbgrader_course
from medlab.classroom.updating import lock_of, update_lessons

__all__ = ["lock_of", "nbgrader_course", "student_edition", "update_lessons"]
