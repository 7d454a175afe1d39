"""What a finished run says in the terminal: the five answers, and where the page lies."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.published import read_csv
from engram_audio.corpus.columns import EXCLUSIONS
from engram_audio.errors import InputError
from engram_audio.verdicts.advice import advice_of
from engram_audio.verdicts.answers import HEADLINE, STAGE
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import UNDECIDED
from engram_audio.verdicts.row import INVALID, VerdictRow, row_of
from engram_audio.verdicts.sentences import (
    answer_word,
    first_sentence,
    number_words,
    numbers_of,
    rest_of_answer,
)

PAGES = {"render_report", "render_question"}


def pages(workflow: Any) -> list[Path]:
    """Return the pages that a run was asked for, in `onsuccess`."""
    jobs = [job for job in workflow.dag.jobs if job.rule.name in PAGES]
    return sorted(Path(str(path)) for job in jobs for path in job.output)


def end_message(page: Path) -> list[str]:
    """Return the lines on one page; only its path where its verdicts cannot be read."""
    last = [*left_out_lines(page.parent / "tables" / "exclusions.csv"), f"The page: {page}"]
    try:
        rows = [row_of(record) for record in read_json(verdicts_of(page))["rows"]]
    except (InputError, KeyError):
        return last
    return [*chain_lines(rows), *last]


def left_out_lines(path: Path) -> list[str]:
    """Return one line on what a study left out, by reason; none where no table names anything.

    Args:
        path: `tables/exclusions.csv`.
    """
    try:
        rows = read_csv(path, EXCLUSIONS)
    except InputError:
        return []
    reasons = Counter(str(row["reason"]) for row in rows.to_dict("records")
                      if str(row["is_kept"]) != "True")  # fmt: skip
    if not reasons:
        return []
    words = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return [f"Left out: {sum(reasons.values())} ({words}). Each stands in {path} with its remedy."]


def verdicts_of(page: Path) -> Path:
    """Return the verdicts that a page shows."""
    own = page.parent / "questions" / page.stem / "verdicts.json"
    return page.parent / "verdicts.json" if page.stem == "report" else own


def chain_lines(rows: Iterable[VerdictRow]) -> list[str]:
    """Return the headline and one line for each of the five questions, aligned."""
    rows = list(rows)
    chain = [row for row in rows if row.stage == STAGE]
    top = [row.sentence for row in chain if row.question == HEADLINE]
    build = [
        f"What to build next: {advice_of(row.case, row.reason).build}"
        for row in chain
        if row.question == HEADLINE
    ]
    answers = sorted((row for row in chain if row.case.isdigit()), key=lambda row: int(row.case))
    width = max((len(row.question) for row in answers), default=0)
    words = max((len(answer_word(row)) for row in answers), default=0)
    lines = [
        f"  {row.case} {row.question:{width}}  {answer_word(row):{words}}  {_numbers(row, rows)}"
        for row in answers
    ]
    return [*top, *_causes(answers), *lines, *build]


def _causes(answers: Sequence[VerdictRow]) -> list[str]:
    """Return why the first question is open, where it is; its words alone tell no cause."""
    first = [row for row in answers if row.case == "1" and row.outcome in (UNDECIDED, INVALID)]
    texts = (first_sentence(rest_of_answer(row)) for row in first)
    return [f"{text[:1].upper()}{text[1:]}" for text in texts]


def _numbers(answer: VerdictRow, rows: Sequence[VerdictRow]) -> str:
    stage = next((name for name, words in WORDS.items() if words == answer.question), "")
    shown = numbers_of(answer, [row for row in rows if row.stage == stage])
    named = zip(shown.own, shown.names, strict=True)
    return ", ".join(f"{name}: {text}" if name else text
                     for row, name in named if (text := number_words(row)))  # fmt: skip
