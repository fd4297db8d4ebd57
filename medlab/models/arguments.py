"""Networks that remember the arguments they were built with, so that `save_model` can write them down."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import nn


def remember_arguments(builder: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Give what `builder`, a class or a function, builds the attribute `built_by`: the builder's name and arguments.

    Subclasses have other arguments, so their instances get none. Functions among the arguments are left out: they
    cannot be written down, and would keep what they refer to in memory.
    """
    signature = inspect.signature(builder)

    def note(network: Any, args: tuple, kwargs: dict) -> nn.Module:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()  # they may be others in the next version
        kept = {name: value for name, value in given.arguments.items() if not inspect.isroutine(value)}
        network.built_by = builder.__name__, kept
        return network

    if not isinstance(builder, type):
        return wraps(builder)(lambda *args, **kwargs: note(builder(*args, **kwargs), args, kwargs))
    network: Any = builder
    init = network.__init__

    @wraps(init)
    def init_and_note(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if type(self) is builder:
            note(self, args, kwargs)

    network.__init__ = init_and_note
    return builder
