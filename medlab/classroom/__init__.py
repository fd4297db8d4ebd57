"""Exercises: checks (`from medlab.classroom import check`), the student edition, and a course for nbgrader."""

from medlab.classroom.editions import student_edition
from medlab.classroom.grading import nbgrader_course
from medlab.classroom.instruction_sets import patches_per_second

__all__ = ["nbgrader_course", "patches_per_second", "student_edition"]
