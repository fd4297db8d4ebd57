"""How exercises are checked: a student's function is called on cases, and the first wrong answer is reported.

A check is a function of one `Attempt` per student function; it calls them, and `compare` or `wrong` end it at the first
failing case, with the likely mistake where one fits; the texts on these are in mistakes.toml. `exercise` turns it into
what a notebook calls: it prints, returns True or False, and never raises, so that an unsolved notebook runs from top to
bottom. Only strict mode, for tests and marking, raises.
"""

import copy
import functools
import inspect
import math
import os
import reprlib
import tomllib
import traceback
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

STRICT = ("MEDLAB_STRICT", "NBGRADER_EXECUTION")  # the second is set while nbgrader validates or marks a notebook
MISTAKES = tomllib.loads(Path(__file__).with_name("mistakes.toml").read_text(encoding="utf-8"))  # by exercise and key
SOLUTION = "the solution"  # as the cells tagged `solution` name it
SHORT = 12  # arrays of up to this many values are shown whole


class Wrong(Exception):
    """The first failing case, as the text for the student."""


class NotAttempted(Exception):
    """The student's function raises NotImplementedError at its first call."""


class Attempt:
    """A student's function: called on copies, and whatever it does is an answer, a `Wrong` or `NotAttempted`."""

    def __init__(self, name: str, function: Any, mistakes: dict[str, str]) -> None:
        self.name, self.function, self.mistakes = name, function, mistakes
        self.answered = False
        self.forbidden: set[str] = set()  # torch functions that the answer is not to call
        self.ruled_out: set[str] = set()  # mistakes that would have shown in a case already passed
        self.case = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.begin_case(args, kwargs)
        if not callable(self.function):
            self._end(describe(self.function), "a function")
        given = copy.deepcopy((args, kwargs))
        try:
            with Calls(self.forbidden) as library:
                got = self.function(*given[0], **given[1])
            got = float(got) if isinstance(got, Fraction | Decimal) else got
        except KeyboardInterrupt:  # the way out of an endless loop
            raise
        except BaseException as error:  # SystemExit too: exit() in an answer must not end the notebook
            if isinstance(error, NotImplementedError) and not self.answered:
                raise NotAttempted(self.name, to_text(error)) from None
            self._crashed(error)
        self.answered = True
        if library.seen:
            self.wrong(f"a call of torch's own {library.seen[0]}", "one of your own", "library_call")
        if not _same(given, (args, kwargs)):
            self._end("the input was changed", "the input left as it was", "an operation in place; work on a copy")
        return got

    def begin_case(self, args: tuple, kwargs: dict[str, Any]) -> None:
        """Note the arguments of a call, for the report."""
        shown = [describe(arg) for arg in args] + [f"{name}={describe(arg)}" for name, arg in kwargs.items()]
        self.case = f"{self.name}({', '.join(shown)})"

    def compare(self, got: Any, expected: Any, mistakes: Mapping[str, Any], tolerance: float = 1e-5) -> None:
        """End the check unless `got` is of the kind of `expected` and equals it.

        Args:
            got: the answer to the latest call.
            expected: tensor or array (floating point), int or float.
            mistakes: the answers that likely mistakes give, by the keys of the mistakes.
            tolerance: absolute, and relative to the expected value; an int must be exact.

        nan is right where nan is expected; elsewhere the mistakes `nan` and `no_nan`, if the exercise has them, tell.
        """
        answers = {self.mistakes[key]: answer for key, answer in mistakes.items()}  # an unknown key fails in any case
        kinds = {Tensor: "a torch tensor", np.ndarray: "a NumPy array", int: "a whole number (int)", float: "a number"}
        kind = next(kind for kind in kinds if isinstance(expected, kind))
        if not _is(kind, got):
            hint = f"returned {type(got).__name__}, not {kinds[kind]}"
            self._end(got, f"{kinds[kind]}, {describe(expected)}", hint)
        tolerance = 0.0 if kind is int else tolerance
        if _close(got, expected, tolerance):
            if kind in (Tensor, np.ndarray) and "float" not in str(got.dtype):
                self._end(got, expected, f"returned {got.dtype}, not floating point")
            if kind is int and _array(got).dtype.kind not in "iu":
                self._end(got, expected, f"returned {type(got).__name__}, not int: divide with //")
            self.ruled_out |= {text for text, answer in answers.items() if not _close(got, answer, tolerance)}
            return
        if kind is float and math.isnan(got) != math.isnan(expected):
            key = "nan" if math.isnan(got) else "no_nan"
            answers = {self.mistakes[key]: got} if key in self.mistakes else answers
        for text, answer in answers.items():
            if text not in self.ruled_out and _close(got, answer, tolerance):
                self._end(got, expected, text)
        self._end(got, expected, _difference(_array(got), _array(expected), tolerance))

    def check_gradient(self, *args: Any) -> None:
        """End the check unless gradients flow from the answer, a tensor, back to the arguments that require them."""
        if not self(*args).requires_grad:
            self.wrong("a tensor without gradient", "a tensor through which gradients flow", "no_gradient")

    def wrong(self, got: object, expected: object, mistake: str = "", **values: object) -> None:
        """End the check: report the latest case; texts are shown as they are, other values described.

        Args:
            got: what the student's function returned, or a text about it.
            expected: the right answer, or a text about it.
            mistake: the key of the likely mistake, if one is known; `values` fill the braces of its text.
        """
        self._end(got, expected, self.mistakes[mistake].format(**values) if mistake else "")

    def _end(self, got: object, expected: object, hint: str = "") -> None:
        hint = "there is no `return`" if got is None else hint
        lines = [f"case:     {self.case}", f"got:      {describe(got)}", f"expected: {describe(expected)}"]
        if hint:
            lines.append(f"likely mistake: {hint}")
        raise Wrong("\n  ".join(["not right yet", *lines]))

    def _crashed(self, error: BaseException) -> None:
        code = getattr(self.function, "__code__", None)
        lines = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
        where = f", at line {lines[-1].lineno} of its cell or file: {lines[-1].line}" if lines else ""
        self._end(f"{type(error).__name__}: {to_text(error)}{where}", "an answer, not an exception")


def exercise(body: Callable[..., None]) -> Callable[..., bool]:
    """Turn a check of one `Attempt` per parameter into one of plain functions; parameters are named as they are.

    What it prints names whose functions it judged: `of`, which stays "the solution" when these are checked again.
    """
    names = list(inspect.signature(body).parameters)
    solutions: list[Any] = []

    @functools.wraps(body)
    def check(*functions: Any, of: str = "your answer") -> bool:
        if of == SOLUTION:
            solutions[:] = functions
        elif any(function is one for function in functions for one in solutions):
            of = SOLUTION
        attempts = [Attempt(name, function, MISTAKES[body.__name__]) for name, function in zip(names, functions)]
        if len(functions) == len(names):
            passed, text = judge(body, attempts, of)
        else:
            passed, text = False, f"give it {len(names)} function(s): check.{body.__name__}({', '.join(names)})"
        text = f"Exercise {body.__name__}: {text}"
        if not passed and any(os.environ.get(name, "0") not in ("", "0") for name in STRICT):
            raise AssertionError(text)
        print(text)
        return passed

    return check


def strict(on: bool = True) -> None:
    """From now on, here and in child processes, a check that is not passed raises AssertionError (or no longer)."""
    os.environ["MEDLAB_STRICT"] = "1" if on else "0"


def judge(body: Callable[..., None], attempts: Sequence[Attempt], of: str) -> tuple[bool, str]:
    """Whether the check `body` is passed, and what it says."""
    try:
        body(*attempts)
    except NotAttempted as state:
        name, why = state.args
        done = [f"{attempt.name} is right, " for attempt in attempts if attempt.answered]
        text = "".join(done) + (name + " " if done else "") + "not attempted yet"
        return False, f"{text} ({why})" if why else text
    except Wrong as wrong:
        return False, f"{of} is {wrong}"
    except Exception as error:  # an answer that no comparison foresaw, such as an array of objects
        return False, f"{of} is not right yet\n  it cannot be read ({type(error).__name__}: {to_text(error)})"
    return True, f"{of} passed"


def describe(value: object) -> str:
    """One line on any value, also on one that cannot describe itself; a text is given as it is."""
    if isinstance(value, str):
        return value if len(value) < 500 else f"{value[:500]}..."
    if isinstance(value, Tensor | np.ndarray):
        kind = "tensor" if isinstance(value, Tensor) else "array"
        values = _array(value).ravel()
        start = ", ".join(f"{v:.4g}" if values.dtype.kind == "f" else str(v) for v in values[:SHORT])
        shape = "" if value.ndim == 1 and len(values) <= SHORT else f", shape {tuple(value.shape)}"
        return f"{kind}([{start}{', ...' if len(values) > SHORT else ''}]{shape})"
    if isinstance(value, nn.Module):
        return type(value).__name__
    return to_text(value, reprlib.repr)


def to_text(value: object, how: Callable[[object], str] = str) -> str:
    """What `how` makes of a value, also of one that raises when it is asked."""
    try:
        return how(value)
    except Exception:
        return f"<{type(value).__name__} that cannot be shown>"


def _array(value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = (value.double() if value.is_floating_point() else value).numpy()
    return np.asarray(value)


def _is(kind: type, value: object) -> bool:
    if kind in (int, float):
        single = isinstance(value, Tensor | np.ndarray) and value.ndim == 0
        return single or (isinstance(value, Real) and not isinstance(value, bool))
    return isinstance(value, kind)


def _close(got: Any, expected: Any, tolerance: float) -> bool:
    got, expected = _array(got), _array(expected)
    return got.shape == expected.shape and bool(np.allclose(got, expected, tolerance, tolerance, equal_nan=True))


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, nn.Module):
        return _same(_state(left), _state(right))
    if isinstance(left, dict):
        left, right = list(left.items()), list(right.items())
    if isinstance(left, tuple | list):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right))
    return np.array_equal(_array(left), _array(right))


def _state(network: nn.Module) -> list:
    learns = [one.requires_grad for one in network.parameters()]
    return [network.state_dict(), learns, [one.training for one in network.modules()]]


def _difference(got: np.ndarray, expected: np.ndarray, tolerance: float) -> str:
    if got.shape != expected.shape:
        return f"the shape is {got.shape}, not {expected.shape}"
    if got.ndim == 0:
        return "something is divided by 0" if math.isnan(got) else "none of the usual ones; work this case out by hand"
    at = tuple(int(i) for i in np.argwhere(~np.isclose(got, expected, rtol=tolerance, atol=tolerance))[0])
    return f"the shape is right; the first value that differs is at {list(at)}: {got[at]:.4g}, not {expected[at]:.4g}"


class Calls(TorchFunctionMode):
    """Context that keeps in `.seen` which torch functions of these names were called, however they were imported."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self.names = names
        self.seen: list[str] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in self.names:
            self.seen.append(func.__name__)
        return func(*args, **(kwargs or {}))
