"""Exercises: checks (`from medlab.classroom import check`), the student edition, and a course for nbgrader."""

from medlab.classroom.editions import student_edition
from medlab.classroom.grading import nbgrader_course

__all__ = ["nbgrader_course", "student_edition"]
