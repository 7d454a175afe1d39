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
        "Written by `make mutants`. Each bug of `mutants/bugs.yaml` was planted alone in a copy of "
        "the code. It is caught where one of at most three fast test files, named beforehand, goes "
        "red.", "",
        f"**Caught {len(caught)} of {len(run)}.**{missing}", "",
        NOTES.read_text(encoding="utf-8").strip(), "", "## Planted bugs by stage", "",
        "| stage | caught | planted |", "| --- | --- | --- |",
    ]  # fmt: skip
    for stage in dict.fromkeys(one.stage for one in mutants):
        own = [one for one in mutants if one.stage == stage]
        lines.append(f"| {stage} | {sum(one in caught for one in own)} | {len(own)} |")
    left = [one for one in mutants if one not in caught]
    lines += ["", *(_bug(one, outcomes) for one in left)]
    return "\n".join(lines).rstrip() + "\n"


def _bug(mutant: Mutant, outcomes: Mapping[str, str]) -> str:
    """Return what is wrong in a bug that no test has caught, its name and what came out."""
    outcome = outcomes.get(mutant.name, "not run")
    return f"- `{mutant.file}`: {mutant.what} ({mutant.name}: {outcome})."
