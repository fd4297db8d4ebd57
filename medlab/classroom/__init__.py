"""Exercises: checks (`from medlab.classroom import check`), the student edition, marks, and a course for nbgrader."""

from medlab.classroom.editions import student_edition
from medlab.classroom.grading import nbgrader_course
from medlab.classroom.marking import Marks, mark
from medlab.classroom.updating import lock_of, update_lessons

__all__ = ["Marks", "lock_of", "mark", "nbgrader_course", "student_edition", "update_lessons"]
