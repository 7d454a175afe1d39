"""A second device on a machine without one: what a GPU refuses is refused here too.

    pytest -p tests.second_device tests/workflow/test_memory_steps.py

runs tests with a stand-in for a GPU, which every step takes for its device. Tensors on it hold real
numbers, so every assertion of a test still counts. An operation that mixes devices is an error, and
so is `.numpy()` without `.cpu()`, as on a GPU.

It cannot show what only a GPU's own kernels do: their rounding, their memory, their order. Nor does
it see which device a generator is of.
"""

import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

from engram_audio.steps import _device

NAME = "meta"  # the one device whose name needs no driver
aten = torch.ops.aten
PLAIN_GENERATOR = torch.Generator
CROSSING = {aten.copy_.default, aten._to_copy.default, aten.set_.source_Tensor}
# A GPU takes indices that lie in main memory.
INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}


class SecondTensor(torch.Tensor):
    """A tensor that says it is elsewhere and holds its numbers in main memory."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "SecondTensor":
        """Wrap numbers."""
        made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, layout=held.layout, device=torch.device(NAME),
        )  # fmt: skip
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation; the mode is entered for what no mode has seen."""
        del types
        return dispatched(func, args, kwargs or {})

    def tolist(self) -> Any:
        """Return the numbers, which a GPU gives without being asked for a copy."""
        return self.held.tolist()

    def new_tensor(self, data: Any, **kwargs: Any) -> torch.Tensor:  # type: ignore[override]
        """Return data on the device that is asked for, by default this one."""
        return torch.tensor(data, **{"dtype": self.dtype, "device": self.device, **kwargs})

    def __repr__(self, **kwargs: Any) -> str:  # type: ignore[override]
        """Show the numbers."""
        return f"SecondTensor({self.held!r})"


class SecondGenerator(PLAIN_GENERATOR):
    """A generator in main memory, whatever device it is asked for."""

    def __new__(cls, device: Any = "cpu") -> "SecondGenerator":
        """Make one."""
        del device
        return super().__new__(cls, "cpu")  # type: ignore[call-arg]


class SecondDevice(TorchDispatchMode):
    """Sends every operation through `dispatched`."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation; in inference mode what is made of others arrives whole."""
        del types
        if func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):
            with self:
                return func.decompose(*args, **(kwargs or {}))
        return dispatched(func, args, kwargs or {})


def _is_second(device: Any) -> bool:
    return torch.device(device).type == NAME


def dispatched(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation on the numbers that tensors hold; wrap what lies on the second device.

    Raises:
        RuntimeError: Tensors of both devices.
    """
    leaves = [one for one in pytree.tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    seconds = [one for one in leaves if isinstance(one, SecondTensor)]
    asked = kwargs.get("device")
    is_second = bool(seconds) if asked is None else _is_second(asked)
    _refuse_mixed(func, args, leaves, bool(seconds))
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    held_args, held_kwargs = pytree.tree_map_only(
        SecondTensor, lambda one: one.held, (args, kwargs)
    )
    if "pin_memory" in held_kwargs:
        held_kwargs = {**held_kwargs, "pin_memory": False}
    out = func(*held_args, **held_kwargs)
    if func is aten.copy_.default:
        return args[0]
    if not is_second:
        return _same(args, held_args, out)
    wrapped = pytree.tree_map_only(torch.Tensor, SecondTensor, out)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if seconds else wrapped


def _same(args: Any, held: Any, out: Any) -> Any:
    """Return what an operation in place was given, else its result."""
    return args[0] if args and held and out is held[0] else out


def _of_data(plain: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return a maker of tensors from data: of the device `meta` torch takes the shape only."""

    @functools.wraps(plain)
    def made(data: Any, *, device: Any = None, **kwargs: Any) -> torch.Tensor:
        if device is None or not _is_second(device):
            return plain(data, device=device, **kwargs)
        return plain(data, **kwargs).to(device)

    return made


def _refuse_mixed(func: Any, args: Any, leaves: list[torch.Tensor], has_second: bool) -> None:
    if not has_second or func in CROSSING:
        return
    if func in INDEXED and isinstance(args[0], SecondTensor):
        leaves = [one for one in (args[0], *args[2:3]) if isinstance(one, torch.Tensor)]
    plain = [one for one in leaves if not isinstance(one, SecondTensor) and one.dim() > 0]
    if plain:
        raise RuntimeError(
            f"{func}: tensors on both devices, of shapes {[one.shape for one in plain]}"
        )


def entered() -> Iterator[None]:
    """Stand in for a GPU until the end.

    Yields:
        Once.
    """
    replaced: list[tuple[Any, str, Callable[..., Any]]] = [
        (torch, "Generator", SecondGenerator),
        (torch, "tensor", _of_data(torch.tensor)),
        (torch, "as_tensor", _of_data(torch.as_tensor)),
        (_device, "resolve_device", lambda _, uses_torch: NAME if uses_torch else "cpu"),
        (
            importlib.import_module("torch.optim.adam"),
            "_device_dtype_check_for_fused",
            lambda *_, **__: None,
        ),
    ]
    before = [getattr(owner, name) for owner, name, _ in replaced]
    for owner, name, value in replaced:
        setattr(owner, name, value)
    with SecondDevice():
        yield
    for (owner, name, _), value in zip(replaced, before, strict=True):
        setattr(owner, name, value)


def pytest_sessionstart(session: Any) -> None:
    """Enter it before the first module is imported, so before the first fixture."""
    session.config.second_device = entered()
    next(session.config.second_device)


def pytest_sessionfinish(session: Any) -> None:
    """Leave it."""
    next(session.config.second_device, None)
