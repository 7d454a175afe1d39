"""Spares the plan the rules that it would not choose.

Snakemake 9.27 plans a job of every rule that could make a file, with all that each job reads, and
then takes a rule without wildcards before one with them. Here a file that a rule names word for
word is looked up first, and no other rule is asked. A job that does the work of many names its
files so: without this, each of its members would be planned beside it and dropped.
"""

import functools
from collections import defaultdict
from collections.abc import Iterable
from typing import Any


def ask_no_others(index_class: Any) -> None:
    """Let an index of outputs return the rules that name a file, where there are any.

    A workflow that orders rules by name is left alone: that order comes before wildcards.

    Args:
        index_class: `snakemake.output_index.OutputIndex`.
    """
    prepare, search = index_class.__init__, index_class.match_producers
    if hasattr(search, "__wrapped__"):  # by an earlier study in this process
        return

    @functools.wraps(prepare)
    def __init__(self: Any, rules: Iterable[Any]) -> None:
        rules = list(rules)
        prepare(self, rules)
        is_ordered = any(rule.workflow._ruleorder.order for rule in rules[:1])
        self.exact = {} if is_ordered else named_files(rules)

    @functools.wraps(search)
    def match_producers(self: Any, targetfile: str) -> set[Any]:
        found = self.exact.get(str(targetfile))
        return set(found) if found else search(self, targetfile)

    index_class.__init__, index_class.match_producers = __init__, match_producers


def named_files(rules: Iterable[Any]) -> dict[str, set[Any]]:
    """Return, for each file that a rule without wildcards makes, all such rules."""
    found: dict[str, set[Any]] = defaultdict(set)
    for rule in rules:
        if not rule.has_wildcards():
            for product in rule.products():
                found[str(product)].add(rule)
    return dict(found)
