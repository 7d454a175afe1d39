"""Planning asks each function for its parameters once, and answers as Snakemake would."""

import functools
import inspect
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.common import get_function_params

from engram_audio.quick_planning import ask_parameters_once


class Unhashable:
    """A callable that no table of answers can hold."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, wildcards: Any) -> str:
        return ""


class Plan:
    """Has input functions as methods."""

    def files(self, wildcards: Any, attempt: int) -> str:
        return ""

    def more(self, wildcards: Any, **others: Any) -> str:
        return ""


def module_of(asked: list[Any]) -> SimpleNamespace:
    """A module whose function notes what it is asked."""

    @functools.wraps(get_function_params)
    def parameters(function: Callable[..., Any]) -> Mapping[str, Any]:
        asked.append(function)
        return get_function_params(function)

    del parameters.__wrapped__  # type: ignore[attr-defined]
    return SimpleNamespace(get_function_params=parameters)


@pytest.mark.parametrize(
    "function",
    [lambda wildcards: "", lambda wildcards, input: "", Plan().files, Plan().more, Unhashable(),
     functools.partial(Plan().files, attempt=2)],
)  # fmt: skip
def test_parameters_are_those_of_the_function(function: Callable[..., Any]):
    module = module_of([])
    ask_parameters_once(module)
    ask_parameters_once(module)  # a second study in the same process
    for _ in range(2):
        assert module.get_function_params(function) == inspect.signature(function).parameters


def test_a_function_is_asked_once_and_two_objects_are_told_apart():
    asked: list[Any] = []
    module = module_of(asked)
    ask_parameters_once(module)
    plans = (Plan(), Plan())
    for plan in (*plans, *plans):
        module.get_function_params(plan.files)
    assert asked == [plan.files for plan in plans]


def test_what_cannot_be_inspected_says_so_each_time():
    module = module_of([])
    ask_parameters_once(module)
    for _ in range(2):
        with pytest.raises(TypeError, match="not a callable"):
            module.get_function_params(3)
