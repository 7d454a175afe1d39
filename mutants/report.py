"""docs/trust.md: how many planted bugs the tests catch, stage by stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mutants.table import Mutant

NOTES = Path(__file__).with_name("notes.md")  # what people found out about survivors


def report(mutants: Sequence[Mutant], outcomes: Mapping[str, str]) -> str:
    """Return the page."""
    run = [one for one in mutants if one.name in outcomes]
    caught = [one for one in run if outcomes[one.name] in ("caught", "hung")]
    missing = (
        f" {len(mutants) - len(run)} more were not run yet." if len(run) < len(mutants) else ""
    )
    lines = [
        "# Why the numbers can be trusted", "",
        "Written by `make mutants`. Each bug below was planted alone in a copy of the code. It is "
        "caught where one of at most three fast test files, named beforehand, goes red.", "",
        f"**Caught {len(caught)} of {len(run)}.**{missing}", "",
        "| stage | caught | run | planted |", "| --- | ---: | ---: | ---: |",
    ]  # fmt: skip
    for stage in dict.fromkeys(one.stage for one in mutants):
        own = [one for one in mutants if one.stage == stage]
        counts = sum(one in caught for one in own), sum(one in run for one in own), len(own)
        lines.append(f"| {stage} | {' | '.join(map(str, counts))} |")
    lines += ["", NOTES.read_text(encoding="utf-8").strip(), "", "## Every planted bug", "",
              "| bug | what is wrong | file | outcome |", "| --- | --- | --- | --- |"]  # fmt: skip
    for one in mutants:
        lines.append(
            f"| {one.name} | {one.what} | `{one.file}` | {outcomes.get(one.name, 'not run')} |"
        )
    return "\n".join([*lines, ""])
