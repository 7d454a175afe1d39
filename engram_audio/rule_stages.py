"""Which stage a rule belongs to: the file of `rules/` that declares it."""

import re
from pathlib import Path

DECLARATION = re.compile(r"^\s*(?:rule (\w+):|use rule \w+ as (\w+) with:)", re.M)


def stages_of_rules(folder: Path) -> dict[str, str]:
    """Return rule -> stage, a name in words, for all rules that the files of a folder declare."""
    return {
        plain or derived: path.stem.replace("_", " ")
        for path in sorted(folder.glob("*.smk"))
        for plain, derived in DECLARATION.findall(path.read_text(encoding="utf-8"))
    }


def step_of_rule(folder: Path, rule: str) -> str:
    """Return the step that a rule runs: its own, or that of the rule that it repeats."""
    for path in folder.glob("*.smk"):
        found = re.search(rf"^\s*use rule (\w+) as {rule} with:", path.read_text("utf-8"), re.M)
        if found:
            return found[1]
    return rule
