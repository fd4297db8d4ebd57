"""Errors that say what to do: of wrong arguments what is allowed, of too little memory which argument to lower."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
    number = int(value) if isinstance(value, Integral) else None
    if number is None or number < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if most is not None and number > most:
        raise ValueError(f"{name} must be at most {most}, got {value!r}")
    return number


def not_negative(name: str, value: float, most: float = math.inf) -> float:
    """Return `value`; ValueError, which calls it `name`, if it is below 0, above `most`, infinite or NaN."""
    if not 0 <= value <= most or value == math.inf:
        allowed = "not be negative" if most == math.inf else f"lie between 0 and {most:g}"
        raise ValueError(f"{name} must {allowed}, got {value}")
    return value


@contextmanager
def explain_memory(advice: str) -> Iterator[None]:
    """Context in which PyTorch's error of a device out of memory, of the same type, ends in what to do about it."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).partition("\n")[0]
        if "out of memory" not in said and "can't allocate memory" not in said:
            raise
        raise type(error)(f"{said} Too little memory: {advice}.") from error
