"""The checks of all exercises under one name: ``check.window(window)`` in a notebook. Each docstring is the task.

A check prints "not attempted yet", "passed" or the first case that failed, and returns whether it passed. It raises
only in strict mode: ``check.strict()``, or MEDLAB_STRICT=1 in the environment.
"""

from medlab.classroom.exercise import strict
from medlab.classroom.lesson00 import split_patients, window
from medlab.classroom.lesson01 import conv2d_unfold, conv_arithmetic, macro_f1

__all__ = ["conv2d_unfold", "conv_arithmetic", "macro_f1", "split_patients", "strict", "window"]
