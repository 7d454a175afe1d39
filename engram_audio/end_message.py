"""What a finished run says in the terminal: the five answers, and where the page lies."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engram_audio.artifacts.json_document import read_json
from engram_audio.errors import InputError
from engram_audio.verdicts import number
from engram_audio.verdicts.answers import HEADLINE, STAGE
from engram_audio.verdicts.row import VerdictRow, row_of
from engram_audio.verdicts.sentences import answer_word

PAGES = {"render_report", "render_question"}


def pages(workflow: Any) -> list[Path]:
    """Return the pages that a run was asked for, in `onsuccess`."""
    jobs = [job for job in workflow.dag.jobs if job.rule.name in PAGES]
    return sorted(Path(str(path)) for job in jobs for path in job.output)


def end_message(page: Path) -> list[str]:
    """Return the lines on one page; only its path where its verdicts cannot be read."""
    try:
        rows = [row_of(record) for record in read_json(verdicts_of(page))["rows"]]
    except (InputError, KeyError):
        return [f"The page: {page}"]
    return [*chain_lines(rows), f"The page: {page}"]


def verdicts_of(page: Path) -> Path:
    """Return the verdicts that a page shows."""
    own = page.parent / "questions" / page.stem / "verdicts.json"
    return page.parent / "verdicts.json" if page.stem == "report" else own


def chain_lines(rows: Iterable[VerdictRow]) -> list[str]:
    """Return the headline and one line for each of the five questions, aligned."""
    chain = [row for row in rows if row.stage == STAGE]
    top = [row.sentence for row in chain if row.question == HEADLINE]
    answers = sorted((row for row in chain if row.case.isdigit()), key=lambda row: int(row.case))
    width = max((len(row.question) for row in answers), default=0)
    words = max((len(answer_word(row)) for row in answers), default=0)
    return [
        *top,
        *(
            f"  {row.case} {row.question:{width}}  {answer_word(row):{words}}  {_number(row)}"
            for row in answers
        ),
    ]


def _number(row: VerdictRow) -> str:
    return f"{number.interval(*row.measured)} {row.unit}" if row.has_number else ""
