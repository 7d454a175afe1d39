"""A file that a rule names word for word is asked of no rule with wildcards.

Law: what Snakemake would choose is what is left, and rules that tie are both left to it.
"""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from engram_audio.exact_outputs import ask_no_others


class Rule:
    """What an index reads of a rule."""

    def __init__(self, order: list[list[str]], *patterns: str) -> None:
        self._patterns = patterns
        self.workflow = SimpleNamespace(_ruleorder=SimpleNamespace(order=order))

    def has_wildcards(self) -> bool:
        return any("{" in pattern for pattern in self._patterns)

    def products(self) -> tuple[str, ...]:
        return self._patterns

    def makes(self, path: str) -> bool:
        return any(re.fullmatch(re.sub(r"\{\w+\}", ".+", one), path) for one in self._patterns)


def index_of(order: list[list[str]], **patterns: tuple[str, ...]) -> tuple[Any, dict[str, Rule]]:
    class Index:
        def __init__(self, rules: list[Rule]) -> None:
            self.rules = rules

        def match_producers(self, targetfile: str) -> set[Rule]:
            return {rule for rule in self.rules if rule.makes(targetfile)}

    ask_no_others(Index)
    ask_no_others(Index)  # a second study in the same process
    rules = {name: Rule(order, *own) for name, own in patterns.items()}
    return Index(iter(rules.values())), rules  # type: ignore[arg-type]


MANY = {"one": ("m/{seed}.bin",), "many": ("m/0.bin", "m/1.bin", "logs/many.log")}


@pytest.mark.parametrize(
    ("path", "names"),
    [("m/0.bin", {"many"}), ("m/2.bin", {"one"}), ("logs/many.log", {"many"}), ("n", set())],
)
def test_a_named_file_is_made_by_the_rule_that_names_it(path: str, names: set[str]):
    index, rules = index_of([], **MANY)
    assert index.match_producers(path) == {rules[name] for name in names}


def test_two_rules_that_name_a_file_are_both_left():
    index, rules = index_of([], **MANY, other=("m/0.bin",))
    assert index.match_producers("m/0.bin") == {rules["many"], rules["other"]}


def test_rules_that_are_ordered_by_name_are_all_asked():
    index, rules = index_of([["one", "many"]], **MANY)
    assert index.match_producers("m/0.bin") == set(rules.values())
