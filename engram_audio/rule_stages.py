"""Which stage a rule belongs to: the file of `rules/` that declares it."""

import re
from pathlib import Path

DECLARATION = re.compile(r"^\s*(?:rule (\w+):|use rule \w+ as (\w+) with:)", re.M)


class Stages(dict[str, str]):
    """Stage of each rule. A job of many members belongs to the stage of theirs (`batches`)."""

    def __missing__(self, rule: str) -> str:
        """Return the stage of the members of a rule that no file declares."""
        member, separator, _ = rule.partition("_of_")
        if not separator:
            raise KeyError(rule)
        return self[member]

    def __contains__(self, rule: object) -> bool:
        """Whether a rule, or that of its members, is declared."""
        return super().__contains__(rule) or super().__contains__(str(rule).partition("_of_")[0])


def stages_of_rules(folder: Path) -> Stages:
    """Return rule -> stage, a name in words, for all rules that the files of a folder declare."""
    return Stages(
        (plain or derived, path.stem.replace("_", " "))
        for path in sorted(folder.glob("*.smk"))
        for plain, derived in DECLARATION.findall(path.read_text(encoding="utf-8"))
    )


def step_of_rule(folder: Path, rule: str) -> str:
    """Return the step that a rule runs: its own, or that of the rule that it repeats."""
    for path in folder.glob("*.smk"):
        found = re.search(rf"^\s*use rule (\w+) as {rule} with:", path.read_text("utf-8"), re.M)
        if found:
            return found[1]
    return rule
