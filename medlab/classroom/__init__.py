"""Exercises: checks (`from medlab.classroom import check`), the edition without solutions, a course with marks."""

from medlab.classroom.editions import student_edition
from medlab.classroom.grading import nbgrader_course

__all__ = ["nbgrader_course", "student_edition"]
