"""Errors of wrong arguments: what was given, what is allowed, and the most similar name."""

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral


def unknown_name_error(kind: str, given: object, allowed: Iterable[str]) -> ValueError:
    """Return the error for a name that is not in `allowed`, e.g. ``raise unknown_name_error("model", name, MODELS)``.

    Args:
        kind: what the name names, for the message.
        given: the wrong name.
        allowed: the right names.
    """
    names = sorted(allowed)
    nearest = get_close_matches(str(given).lower(), [name.lower() for name in names], n=1, cutoff=0.5)
    hint = ""
    if nearest:
        hint = f" Did you mean {next(name for name in names if name.lower() == nearest[0])!r}?"
    return ValueError(f"unknown {kind} {given!r}.{hint} Allowed: {', '.join(names)}.")


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """Return `value` as a Python int (a checkpoint may hold no NumPy number).

    Raises:
        ValueError: it is not a whole number, below `least` or above `most`; the message calls it `name`.
    """
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    number = int(value)
    if most is not None and number > most:
        raise ValueError(f"{name} must be at most {most}, got {value!r}")
    return number
