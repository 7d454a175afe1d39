"""docs/trust.md: how many planted bugs the tests catch, stage by stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mutants.table import Mutant

NOTES = Path(__file__).with_name("notes.md")  # what people found out about survivors


def report(mutants: Sequence[Mutant], outcomes: Mapping[str, str]) -> str:
    """Return the page."""
    caught = [one for one in mutants if outcomes[one.name] in ("caught", "hung")]
    lines = [
        "# Why the numbers can be trusted", "",
        "Written by `make mutants`. Each bug below was planted alone in a copy of the code. It is "
        "caught where one of at most three fast test files, named beforehand, goes red.", "",
        f"**Caught {len(caught)} of {len(mutants)}.**", "",
        "| stage | caught | of |", "| --- | ---: | ---: |",
    ]  # fmt: skip
    for stage in dict.fromkeys(one.stage for one in mutants):
        own = [one for one in mutants if one.stage == stage]
        lines.append(f"| {stage} | {sum(one in caught for one in own)} | {len(own)} |")
    lines += ["", NOTES.read_text(encoding="utf-8").strip(), "", "## Every planted bug", "",
              "| bug | what is wrong | file | outcome |", "| --- | --- | --- | --- |"]  # fmt: skip
    for one in mutants:
        lines.append(f"| {one.name} | {one.what} | `{one.file}` | {outcomes[one.name]} |")
    return "\n".join([*lines, ""])
