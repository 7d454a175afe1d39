"""One line for each stage, when its last job is done; what the terminal says at the end."""

import logging
from pathlib import Path

import pandas as pd
import pytest
from snakemake.scheduling.job_scheduler import _ERROR_MSG_FINAL

from engram_audio.artifacts.table import write_csv
from engram_audio.corpus.columns import EXCLUSIONS
from engram_audio.end_message import chain_lines, end_message, left_out_lines, verdicts_of
from engram_audio.progress import FAILED, FINISHED, StageLines, is_shown
from engram_audio.provenance import ROOT
from engram_audio.rule_stages import stages_of_rules
from engram_audio.verdicts.advice import advice_of
from engram_audio.verdicts.answers import HEADLINE, STAGE
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED, Judged, Measured
from engram_audio.verdicts.row import NOT_RUN, VerdictRow
from engram_audio.verdicts.words import STOP
from engram_audio.verdicts.words import UNDECIDED as INTERVALS

STAGES = {"fit_keys": "keys", "score_keys": "structure", "decide": "decision"}
JOBS = {1: "fit_keys", 2: "fit_keys", 3: "score_keys", 4: "decide", 5: "all"}


class Clock:
    """A clock that tests set."""

    time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def handler(clock: Clock, seconds: dict[int, float] | None = None) -> tuple[StageLines, list[str]]:
    lines: list[str] = []
    return StageLines(JOBS, STAGES, seconds or {}, lines.append, clock), lines


def finish(handler: StageLines, job: int, event: str = FINISHED) -> None:
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "", None, None)
    record.__dict__.update(event=event, job_id=job)
    handler.handle(record)


def test_a_stage_is_named_once_when_its_last_job_ends(clock):
    counter, lines = handler(clock)
    clock.time = 60
    finish(counter, 1)
    finish(counter, 1)  # told twice, as of a group
    finish(counter, 2, event="job_started")
    assert lines == []
    finish(counter, 2)
    assert lines == ["1 min 00 s: keys is done, 2 jobs. 2 of 4 jobs are left, about 1 min 00 s."]
    finish(counter, 5)  # the target does no work
    finish(counter, 3)
    finish(counter, 4)
    assert lines[-1] == "1 min 00 s: decision is done, 1 job."


def test_a_failed_job_is_one_line_with_its_reason_and_log(clock, tmp_path: Path):
    counter, lines = handler(clock)
    log = tmp_path / "import.log"
    log.write_text("INFO x\nerror: latents.csv: lacks the column speaker_id; add it\n")
    counter.handle(logging.makeLogRecord(
        {"event": FAILED, "rule_name": "import_arrays", "log": [str(log)]}
    ))  # fmt: skip
    counter.handle(logging.makeLogRecord({"event": FAILED, "rule_name": "decide", "log": []}))
    assert lines == [
        f"import_arrays failed: latents.csv: lacks the column speaker_id; add it ({log})",
        "decide failed: its log holds no reason",
    ]


def test_time_left_is_that_of_the_work_that_is_left_at_the_pace_so_far(clock):
    """Two keys of 1 s took 10 s, so 99 s of scores and 1 s of a decision take 500 s."""
    counter, lines = handler(clock, {1: 1.0, 2: 1.0, 3: 99.0, 4: 1.0})
    clock.time = 10
    finish(counter, 1)
    finish(counter, 2)
    assert lines[0].endswith("about 8 min 20 s.")


def test_the_lines_about_each_job_and_failure_are_known_and_no_other_is():
    def record(message: str, **more: str) -> logging.LogRecord:
        return logging.makeLogRecord({"msg": message, **more})

    assert not is_shown(record("Execute 1 jobs...", event="job_started"))
    assert not is_shown(record("Select jobs to execute..."))
    assert not is_shown(record("Finished jobid: 1 (Rule: x)", event="job_finished"))
    assert not is_shown(record("1 of 9 steps (11%) done", event="progress"))
    assert is_shown(record("Error in rule x", event="job_error"))
    assert is_shown(record("structure is done"))
    assert not is_shown(record("RuleException:\nCalledProcessError in file x:\nCommand"))
    assert not is_shown(record(_ERROR_MSG_FINAL))
    assert is_shown(record("RuleException:\nMissingOutputException in rule x"))
    assert is_shown(record("decide failed: its log holds no reason"))


def test_every_rule_belongs_to_a_stage():
    stages = stages_of_rules(ROOT / "rules")
    assert stages["train_density"] == "prediction"
    assert stages["fit_calibration_keys"] == "calibration stage", "derived by `use rule`"
    text = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert len(stages) == text.count("\nrule ") + text.count("use rule ")


def _row(case: str, question: str, outcome: str, sentence: str, **more) -> VerdictRow:
    return VerdictRow(STAGE, question, "mine", case, Judged(outcome, ""), sentence, **more)


def test_the_end_names_headline_answers_and_numbers():
    rows = [
        _row("STOP", HEADLINE, NOT_MET, "STOP: question 1 decides."),
        _row("2", "Second?", MET, "yes. It does.", measured=Measured(0.5, 0.4, 0.6), unit="nats"),
        _row("1", "The first?", NOT_MET, "STOP: nothing there."),
        _row("5", "Last?", NOT_RUN, "not run."),
    ]
    top, *lines = (line.rstrip() for line in chain_lines(rows))
    assert top == "STOP: question 1 decides."
    assert lines == [
        "  1 The first?  STOP",
        "  2 Second?     yes      0.50 [0.40, 0.60] nats",
        "  5 Last?       not run",
        f"What to build next: {advice_of(STOP, '').build}",
    ]


def test_the_end_names_why_question_one_is_open():
    rows = [
        _row("UNDECIDED", HEADLINE, UNDECIDED, "UNDECIDED: question 1 is open."),
        _row("1", "First?", UNDECIDED, "UNDECIDED: these data do not decide: it is wide. First."),
        _row("2", "Second?", UNDECIDED, "UNDECIDED. It is open."),
    ]
    lines = chain_lines(rows)
    assert lines[1] == "These data do not decide: it is wide."
    assert lines[-1].endswith(advice_of(INTERVALS, "").build)


def test_question_one_names_its_key_and_lag_and_the_heads():
    """Four numbers of the gate: the chosen key's own, on all frames, and the heads' beside it."""
    size = Measured(0.02, 0.01, 0.03)
    gate = ("structure", "operative gate", "mimi")
    on_all, words = "lag 2 · slice all · split 0", WORDS["structure"]
    rows = [
        _row("1", words, NOT_MET, "STOP: nothing there.")._replace(subject="mimi", measured=size),
        VerdictRow(*gate, f"heads gain · {on_all}", Judged(MET, ""), "", Measured(0.3, 0.2, 0.4),
                   unit="nats/frame"),
        VerdictRow(*gate, "heads gain · lag 2 · slice medial · split 0", Judged(MET, ""), "",
                   Measured(0.7, 0.6, 0.8)),
        VerdictRow(*gate, f"added fraction · pca.raw.kmeans_64 · {on_all}", Judged(NOT_MET, ""),
                   "", size),
    ]  # fmt: skip
    (line,) = chain_lines(rows)
    assert line.endswith(
        "pca.raw.kmeans_64, lag 2: 0.020 [0.010, 0.030], heads: 0.30 [0.20, 0.40] nats/frame"
    )


def test_what_was_left_out_is_told_at_the_end(tmp_path: Path):
    """Notes on what is kept are no loss."""
    path = tmp_path / "tables" / "exclusions.csv"
    path.parent.mkdir()
    assert left_out_lines(path) == []
    given = [("too_short", False), ("too_short", False), ("unreadable", False), ("clipped", True)]
    rows = pd.DataFrame([
        {**dict.fromkeys(EXCLUSIONS.names(), ""), "reason": reason, "is_kept": is_kept}
        for reason, is_kept in given
    ])  # fmt: skip
    write_csv(path, rows.iloc[3:], EXCLUSIONS, {})
    assert left_out_lines(path) == []
    write_csv(path, rows, EXCLUSIONS, {})
    (line,) = left_out_lines(path)
    assert line.startswith("Left out: 3 (2 too_short, 1 unreadable).") and str(path) in line
    assert end_message(tmp_path / "report.html")[0] == line


def test_a_page_without_readable_verdicts_is_named_all_the_same(tmp_path: Path):
    page = tmp_path / "report.html"
    assert end_message(page) == [f"The page: {page}"]
    assert verdicts_of(tmp_path / "structure.html") == (
        tmp_path / "questions" / "structure" / "verdicts.json"
    )
