"""Right and wrong answers to the exercises of all lessons: for each check, the list of functions that it is given."""

from importlib import import_module

LESSONS = {number: import_module(f"answers_{number:02}") for number in range(13)}


def listed(functions):
    """The answers to a check of several functions are a list already."""
    return functions if isinstance(functions, list) else [functions]


RIGHT = {name: listed(answer) for lesson in LESSONS.values() for name, answer in lesson.RIGHT.items()}
OTHER = [(name, listed(answer)) for lesson in LESSONS.values() for name, answer in lesson.OTHER]
WRONG = [wrong for lesson in LESSONS.values() for wrong in lesson.WRONG]


def with_first(name, function):
    """`function` as the first answer to a check, with right ones after it."""
    return function if isinstance(function, list) else [function, *RIGHT[name][1:]]
