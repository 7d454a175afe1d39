"""The planted bugs: each is one replaced text of a file and the tests that must go red."""

from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_name("bugs.yaml")


class Mutant(NamedTuple):
    """One planted bug.

    Attributes:
        name: Unique.
        stage: Where it is planted, for the report.
        what: What is wrong, in words.
        file: Path of the changed file.
        old: The text that is replaced; it stands there exactly once.
        new: What takes its place.
        tests: At most three fast test files, one of which must fail.
        chosen: Which of their tests run, as pytest's `-k`; "" for all.
    """

    name: str
    stage: str
    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    chosen: str = ""

    def text(self, root: Path = ROOT) -> str:
        """Return the changed file.

        Raises:
            ValueError: The old text does not stand there exactly once.
        """
        text = (root / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.name}: {self.file} holds its text {text.count(self.old)} times"
            )
        return text.replace(self.old, self.new)


def read_mutants(path: Path = TABLE) -> list[Mutant]:
    """Return the planted bugs in the order of the table."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        Mutant(name, stage, tests=tuple(f"tests/{test}.py" for test in row.pop("tests")), **row)
        for stage, bugs in rows.items()
        for name, row in bugs.items()
    ]
