"""Spares the plan what Python and Snakemake 9.27 do again for each job."""

import functools
import gc
from collections.abc import Callable, Mapping
from typing import Any

# Objects made between two looks for garbage. A plan keeps nearly all that it makes, and with
# Python's own 700 an eighth of its time goes into looking at it again.
OBJECTS_BETWEEN_COLLECTIONS = 100_000


def collect_rarely() -> None:
    """Look for garbage once in many new objects."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


def ask_parameters_once(*modules: Any) -> None:
    """Let modules remember the parameters of the functions that they are given.

    Snakemake inspects an input, parameter or resource function two times in each of its calls.

    Args:
        modules: Modules that call `get_function_params`, `snakemake.common` and `snakemake.rules`.
    """
    for module in modules:
        asked = getattr(module, "get_function_params", None)  # another version may have none
        if asked and not hasattr(asked, "__wrapped__"):  # by an earlier study in this process
            module.get_function_params = remembered(asked)


def remembered(
    asked: Callable[[Callable[..., Any]], Mapping[str, Any]],
) -> Callable[[Callable[..., Any]], Mapping[str, Any]]:
    """Return a function that answers with what it answered before."""
    known = functools.cache(asked)

    @functools.wraps(asked)
    def parameters(function: Callable[..., Any]) -> Mapping[str, Any]:
        try:
            return known(function)
        except TypeError:  # a callable without a hash, or one without parameters to inspect
            return asked(function)

    return parameters
