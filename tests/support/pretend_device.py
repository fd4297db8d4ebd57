"""A pretend accelerator: a device of this process that refuses what CUDA refuses, computed by the CPU's kernels.

PyTorch keeps a key, PrivateUse1, for devices written by others. Here it is a tensor subclass that holds a CPU tensor:
an operation is unwrapped, computed, and its result wrapped again. Refused are CPU tensors beside the device's (but
those without axes in pointwise operations, and CPU indices), a generator of the CPU for numbers drawn on the device,
and `.numpy()`. Copies to the device are counted, and waits for it, by the line of medlab that asked for them.

It trains in float32. Speed, memory, and bits that differ from run to run are beyond it. Made for PyTorch 2.11 and 2.12,
whose interface for it is private.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import pytest
import torch
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "pretend"
COPY, WAIT = "copy to the device", "wait for the device"

counted: Counter = Counter()  # (kind, operation, place): how often

# Operations by name: those whose result the CPU must see; those that take indices of the CPU; those that may mix
# devices; those that take CPU tensors without axes though not tagged as pointwise; and factories that change the shape
# of an empty tensor unless they have a kernel of their own.
READS = "_local_scalar_dense equal is_nonzero nonzero masked_select _unique2 unique_dim bincount".split()
INDEXED = "index index_put index_put_ _index_put_impl_ _unsafe_index _unsafe_index_put".split()
COPIES = "copy_ _foreach_copy_ _to_copy".split()
SCALARS = "fill_ masked_fill masked_fill_ where _foreach_mul_ _foreach_div_ _foreach_add_ lerp lerp_ clamp".split()
FACTORIES = """arange arange.start arange.start_step linspace eye eye.m randperm randperm.generator tril_indices
triu_indices copy_""".split()


class MixedDevicesError(RuntimeError):
    """What CUDA would refuse."""


class DeviceTensor(torch.Tensor):
    """A tensor on the device; `inner` is its CPU tensor, of the same shape and strides."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "DeviceTensor":
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device=torch.device(NAME, 0), requires_grad=False,
        )  # fmt: skip
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    def __reduce_ex__(self, protocol):
        return self.inner.__reduce_ex__(protocol)  # as a file of the device's tensors, loaded to the CPU

    def __repr__(self, *, tensor_contents=None):
        return f"DeviceTensor({self.inner!r})"

    def numpy(self, *, force=False):
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def __array__(self, dtype=None):
        return self.numpy()

    def tolist(self):
        _count(WAIT, "tolist")
        return self.inner.tolist()

    def __format__(self, spec):
        return self.item().__format__(spec) if self.dim() == 0 else object.__format__(self, spec)


class Backend(_DummyBackendModule):
    """The module `torch.pretend`."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


def _count(kind: str, operation: str) -> None:
    """Count a copy or a wait, by the innermost line of medlab that is running, or of a cell; else that of a test."""
    frame = sys._getframe(1)
    while frame.f_back is not None and not any(part in frame.f_code.co_filename for part in ("/medlab/", "cell-")):
        frame = frame.f_back
    counted[kind, operation, f"{frame.f_code.co_filename.rpartition('/medlab/')[2]}:{frame.f_lineno}"] += 1


def _on_device(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


class Operation(NamedTuple):
    """What the schema of an operation says: its name, whether it is made of others, what it writes to and returns."""

    name: str
    composite: bool
    pointwise: bool
    writes: list[tuple[int, str, set[str]]]  # an argument's number and name, and its aliases
    returns: list[set[str] | None]  # the aliases of an argument that was written to; None for what is new


@cache  # the schema is slow to read, and an operation runs thousands of times
def _operation(func) -> Operation:
    def written(value: Any) -> set[str] | None:
        return value.alias_info.before_set if value.alias_info is not None and value.alias_info.is_write else None

    arguments = [(number, one.name, written(one)) for number, one in enumerate(func._schema.arguments)]
    return Operation(
        func._schema.name.removeprefix("aten::"),
        torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"),
        torch.Tag.pointwise in func.tags,
        [(number, name, aliases) for number, name, aliases in arguments if aliases is not None],
        [written(one) for one in func._schema.returns],
    )


def _leaves(values: Any) -> Iterator[Any]:
    """The values in lists and tuples of lists and tuples: operations are given nothing deeper."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _leaves(value)
        else:
            yield value


def _inner(value: Any) -> Any:
    if isinstance(value, DeviceTensor):
        return value.inner
    return type(value)(map(_inner, value)) if type(value) in (list, tuple) else value


def _outer(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return DeviceTensor(value)
    return type(value)(map(_outer, value)) if type(value) in (list, tuple) else value


def _check_devices(func, args: tuple, kwargs: dict) -> None:
    """Refuse tensors of two devices in one operation, or a generator of the wrong one."""
    name, values = _operation(func).name, [*_leaves(args), *_leaves(kwargs.values())]
    here = [value for value in values if isinstance(value, DeviceTensor)]
    if (here or _on_device(kwargs.get("device"))) and any(isinstance(value, torch.Generator) for value in values):
        raise MixedDevicesError(f"{func}: Expected a '{NAME}' device type for generator but found 'cpu'")
    others = [value for value in values if isinstance(value, torch.Tensor) and not isinstance(value, DeviceTensor)]
    if not here or name in COPIES:
        return
    if name in INDEXED:
        if not isinstance(args[0], DeviceTensor):
            raise MixedDevicesError(f"{func}: indices should be on the device of the indexed tensor (cpu)")
        others = [value for value in args[2:] if any(value is other for other in others) and value.dim()]
    elif _operation(func).pointwise or name in SCALARS:
        others = [value for value in others if value.dim()]
    if others:
        shapes = ", ".join(str(tuple(value.shape)) for value in others)
        raise MixedDevicesError(f"{func}: Expected all tensors to be on the same device, but on the CPU is {shapes}")


def _count_traffic(name: str, args: tuple, kwargs: dict) -> None:
    """Count an operation that copies to the device, or that the CPU must wait for."""
    index = [one for one in args[1] if isinstance(one, torch.Tensor)] if name in INDEXED else []
    if name in READS or any(one.dtype in (torch.bool, torch.uint8) for one in index):
        _count(WAIT, name)
    if any(not isinstance(one, DeviceTensor) for one in index):
        _count(COPY, f"{name}, CPU index")
    if name == "_to_copy" and kwargs.get("device") is not None and not _on_device(kwargs["device"]):
        _count(WAIT, "to the CPU")
    elif name == "copy_" and isinstance(args[0], DeviceTensor) != isinstance(args[1], DeviceTensor):
        _count(COPY if isinstance(args[0], DeviceTensor) else WAIT, "copy_")


def _run(func, args: tuple, kwargs: dict) -> Any:
    """One operation: checked, counted, computed on the CPU, wrapped."""
    name = _operation(func).name
    if _operation(func).composite:
        return func.decompose(*args, **kwargs)
    _check_devices(func, args, kwargs)
    _count_traffic(name, args, kwargs)
    inner_args, inner_kwargs = map(_inner, args), {key: _inner(value) for key, value in kwargs.items()}
    to_cpu = name == "_to_copy" and kwargs.get("device") is not None and not _on_device(kwargs["device"])
    if _on_device(inner_kwargs.get("device")):
        inner_kwargs["device"] = torch.device("cpu")
    out = func(*inner_args, **inner_kwargs)
    return out if to_cpu else _wrap(func, args, kwargs, out)


def _wrap(func, args: tuple, kwargs: dict, out: Any) -> Any:
    """The result as tensors of the device; an argument that was written to is given back itself."""
    written = {}
    for number, name, aliases in _operation(func).writes:
        value = args[number] if number < len(args) else kwargs.get(name)
        written |= dict.fromkeys(aliases, value)
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, DeviceTensor) and one.shape != one.inner.shape:
                torch._C._swap_tensor_impl(one, DeviceTensor(one.inner))  # the shape changed in place

    def wrapped(value: Any, aliases: set[str] | None) -> Any:
        return _outer(value) if aliases is None else next(written[alias] for alias in aliases)

    returns = _operation(func).returns
    if len(returns) == 1:
        return wrapped(out, returns[0])
    return tuple(map(wrapped, out, returns)) if isinstance(out, tuple) else out


_libraries: list[torch.library.Library] = []  # they hold as long as this list


def _register() -> None:
    """Make the device, once a process."""
    if _libraries:
        return
    _setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
    fallback, factories = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    fallback.fallback(lambda op, *args, **kwargs: _run(op, args, kwargs), "PrivateUse1")
    fallback.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    for name in FACTORIES:
        packet, _, overload = name.partition(".")
        op = getattr(getattr(torch.ops.aten, packet), overload or "default")
        factories.impl(name, lambda *args, op=op, **kwargs: _run(op, args, kwargs), "PrivateUse1")
    _libraries.extend([fallback, factories])


@contextmanager
def pretend_device() -> Iterator[torch.device]:
    """The device, which `pick_device` chooses meanwhile unless another is named."""
    import medlab.train

    _register()
    device, real = torch.device(NAME, 0), medlab.train.pick_device
    keep_parameters = torch.__future__.get_swap_module_params_on_conversion()
    with pytest.MonkeyPatch.context() as patch, torch.autograd.set_multithreading_enabled(False):
        for module in [module for name, module in sys.modules.items() if name.startswith("medlab")]:
            if getattr(module, "pick_device", None) is real:
                chosen = lambda name=None: device if name is None or _on_device(name) else real(name)  # noqa: E731
                patch.setattr(module, "pick_device", chosen)
        # Composite operations would reach a tensor subclass whole in inference mode.
        patch.setattr(torch._C, "_InferenceMode", lambda mode: torch.no_grad())
        # Parameters stay the same objects when they are moved, as they do between CPU and CUDA.
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            yield device
        finally:
            torch.__future__.set_swap_module_params_on_conversion(keep_parameters)
