"""Full precision inside autocast, for what bfloat16 would spoil or cannot do at all."""

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

DEVICES = ("cpu", "cuda")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def full_precision(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Run a function in float32: autocast is off inside, tensors of half precision come in wide.

    Log densities, covariances and triangular solves need it. Without autocast nothing changes.
    """

    @functools.wraps(function)
    def run(*args: Arguments.args, **named: Arguments.kwargs) -> Result:
        active = [device for device in DEVICES if torch.is_autocast_enabled(device)]
        if not active:
            return function(*args, **named)
        with ExitStack() as stack:
            for device in active:
                stack.enter_context(torch.autocast(device, enabled=False))
            wide: Any = [_widened(value) for value in args]
            return function(*wide, **named)

    return run


def _widened(value: Any) -> Any:
    is_half = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if is_half else value
