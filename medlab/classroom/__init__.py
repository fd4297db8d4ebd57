"""Exercises: checks for the notebooks (`from medlab.classroom import check`) and the edition without solutions."""

from medlab.classroom.editions import student_edition

__all__ = ["student_edition"]
