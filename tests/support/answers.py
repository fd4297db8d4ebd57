"""Right and wrong answers to the exercises of all lessons: for each check, the list of functions that it is given."""

from importlib import import_module
from pathlib import Path

FILES = sorted(Path(__file__).parent.glob("answers_[0-9]*.py"))
LESSONS = {int(path.stem[-2:]): import_module(path.stem) for path in FILES}


def listed(functions):
    """The answers to a check of several functions are a list already."""
    return functions if isinstance(functions, list) else [functions]


RIGHT = {name: listed(answer) for lesson in LESSONS.values() for name, answer in lesson.RIGHT.items()}
OTHER = [(name, listed(answer)) for lesson in LESSONS.values() for name, answer in lesson.OTHER]
WRONG = [wrong for lesson in LESSONS.values() for wrong in lesson.WRONG]


def with_first(name, function):
    """`function` as the first answer to a check, with right ones after it."""
    return function if isinstance(function, list) else [function, *RIGHT[name][1:]]
