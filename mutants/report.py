"""docs/trust.md: how many planted bugs the tests catch, stage by stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mutants.table import Mutant

PACKAGE = "engram_audio/"
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
        NOTES.read_text(encoding="utf-8").strip(), "", "## Every planted bug",
    ]  # fmt: skip
    for stage in dict.fromkeys(one.stage for one in mutants):
        own = [one for one in mutants if one.stage == stage]
        num_caught, num_run = (sum(one in group for one in own) for group in (caught, run))
        lines += ["", f"**{stage}**: caught {num_caught} of {num_run}.", ""]
        for file in dict.fromkeys(one.file for one in own):
            bugs = [_bug(one, outcomes) for one in own if one.file == file]
            lines.append(f"- `{file.removeprefix(PACKAGE)}`: {'; '.join(bugs)}.")
    return "\n".join([*lines, ""])


def _bug(mutant: Mutant, outcomes: Mapping[str, str]) -> str:
    """Return what is wrong; of a bug that no test has caught also its name and what came out."""
    outcome = outcomes.get(mutant.name, "not run")
    return mutant.what if outcome == "caught" else f"{mutant.what} ({mutant.name}: {outcome})"
