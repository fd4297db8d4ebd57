"""Networks that check the arguments they are built with, and remember them, for `save_model` to write them down."""

import inspect
from functools import wraps
from typing import Any

from torch import nn

from medlab.errors import not_negative, whole_number


def remember_arguments(builder: Any) -> Any:
    """Give what `builder`, a class or a function, builds the attribute `built_by`: the builder's name and arguments.

    A whole number below 1 (or below a default of 0) among the arguments is refused, and any other that is negative or
    NaN. Subclasses have other arguments, so their instances get none. Functions among the arguments are left out: they
    cannot be written down, and would keep what they refer to in memory.
    """
    signature = inspect.signature(builder)

    def check(args: tuple, kwargs: dict) -> dict[str, Any]:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()  # they may be others in the next version
        for name, value in given.arguments.items():
            parameter = signature.parameters[name]
            if parameter.annotation is int:
                whole_number(name, value, 0 if parameter.default == 0 else 1)
            elif parameter.annotation in (float, float | None) and value is not None:
                not_negative(name, value)
        return {name: value for name, value in given.arguments.items() if not inspect.isroutine(value)}

    def note(kept: dict[str, Any], network: Any) -> nn.Module:
        network.built_by = builder.__name__, kept
        return network

    if not isinstance(builder, type):
        return wraps(builder)(lambda *args, **kwargs: note(check(args, kwargs), builder(*args, **kwargs)))
    network: Any = builder
    init = network.__init__

    @wraps(init)
    def init_and_note(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        kept = check(args, kwargs) if type(self) is builder else None
        init(self, *args, **kwargs)
        if kept is not None:
            note(kept, self)

    network.__init__ = init_and_note
    return builder
