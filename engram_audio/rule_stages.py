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
