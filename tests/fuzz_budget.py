"""How many damaged inputs the fuzzers try: one place for all of them.

`FUZZ_EXAMPLES` replaces every number of examples, `FUZZ_SEED` moves to other examples. An example
is drawn from its own seed, which a failing test names, so that it can be tried alone.
"""

import os
from typing import Any

import pytest

FAST = {"configurations": 200, "headers": 100, "arrays": 100, "stores": 60}
SLOW = {"configurations": 2000, "headers": 500, "arrays": 500, "stores": 500}
EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "0"))


def seeds(number: int) -> range:
    """Seeds of the examples."""
    return range(FIRST_SEED, FIRST_SEED + number)


def budget(name: str) -> Any:
    """Parametrize a test by `examples`: the fast budget, and the one that is marked slow."""
    fast, slow = (int(EXAMPLES or numbers[name]) for numbers in (FAST, SLOW))
    cases = [pytest.param(seeds(fast), id=f"{fast}"), slow_case(seeds(slow))]
    return pytest.mark.parametrize("examples", cases)


def slow_case(examples: range) -> Any:
    return pytest.param(examples, id=f"slow-{len(examples)}", marks=pytest.mark.slow)
