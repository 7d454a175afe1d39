"""What is done, runs, failed and why: from a dry run's text, records of begun jobs, and logs."""

import base64
from pathlib import Path

import pytest

from engram_audio.job_log import error_in
from engram_audio.results_lock import hold_results
from engram_audio.rule_stages import Stages, stages_of_rules
from engram_audio.status import (
    DONE,
    FAILED,
    RUNNING,
    WAITING,
    PlannedJob,
    driver_of,
    finished_jobs,
    look_at,
    planned_jobs,
    report,
    started_outputs,
)

ROOT = Path(__file__).resolve().parents[2]
STAGES = {"import_arrays": "latents", "decide": "decision"}
DRY_RUN = """
rule import_arrays:
    input: results/config/import_arrays/study.0123456789abcdef.json, data/a.npy
    output: results/latents/arrays/shard-000.zarr.zip
    log: logs/import.log (check log file(s) for error details)
    jobid: 3
    reason: Missing output files: results/latents/arrays/shard-000.zarr.zip
    wildcards: representation=arrays, shard=000

localrule decide:
    input: x
    output: results/decision.json, results/other.json
    log: logs/decide.log
    jobid: 1

localrule all:
    input: results/decision.json
    jobid: 0
"""
SUMMARY = "\n".join(
    "\t".join(line)
    for line in (
        ("output_file", "date", "rule", "log-file(s)", "status", "plan"),
        ("a", "x", "import_arrays", "log-a", "ok", "no update"),
        ("b", "x", "import_arrays", "log-a", "ok", "no update"),
        ("c", "x", "import_arrays", "-", "ok", "no update"),
        ("d", "-", "decide", "-", "missing", "update pending"),
        ("e", "x", "all", "-", "ok", "no update"),
    )
)


@pytest.fixture
def job(tmp_path: Path) -> PlannedJob:
    return PlannedJob("decide", "", ("results/decision.json",), tmp_path / "decide.log")


def test_jobs_of_a_dry_run_with_outputs_log_and_wildcards():
    first, second = planned_jobs(DRY_RUN, STAGES)
    assert str(first) == "import_arrays (representation=arrays, shard=000)"
    assert first.log == Path("logs/import.log")
    assert second.outputs == ("results/decision.json", "results/other.json")


def test_jobs_are_counted_once_however_many_outputs_they_have():
    assert finished_jobs(SUMMARY, STAGES) == {"import_arrays": 2}


def test_a_job_of_many_members_belongs_to_the_stage_of_theirs():
    """Its rule stands in no file: `batches` makes it."""
    stages = stages_of_rules(ROOT / "rules")
    assert stages["train_density_of_mimi_1"] == stages["train_density"] == "prediction"
    assert "train_density_of_mimi_1" in stages
    assert "all" not in stages and "no_rule_of_mimi" not in stages
    with pytest.raises(KeyError):
        stages["no_rule"]
    text = DRY_RUN.replace("localrule decide", "rule decide_of_x").replace(
        "json,", "json (update),"
    )
    assert planned_jobs(text, Stages(STAGES))[1].outputs[0] == "results/decision.json"


def test_records_of_begun_jobs_name_outputs_also_long_ones(tmp_path: Path):
    short, long = "results/a.csv", "results/" + "x" * 400
    for output in (short, long):
        text = base64.urlsafe_b64encode(output.encode()).decode()
        parts = [text[i : i + 253] for i in range(0, len(text), 253)]
        path = tmp_path.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    assert {short, long} <= started_outputs(tmp_path)


def test_a_begun_job_runs_while_its_driver_lives_and_was_killed_otherwise(job):
    assert look_at(job, job.outputs, is_driven=True).outcome == RUNNING
    killed = look_at(job, job.outputs, is_driven=False)
    assert killed.outcome == FAILED and "killed" in killed.reason
    assert look_at(job, (), is_driven=True).outcome == WAITING


def test_a_failed_job_is_told_with_its_line(job):
    assert job.log is not None
    job.log.write_text("INFO starts\nerror: table.csv: lacks a column; add it\n")
    found = look_at(job, (), is_driven=False)
    assert (found.outcome, found.reason) == (FAILED, "error: table.csv: lacks a column; add it")
    job.log.write_text("Traceback (most recent call last):\n  x\nValueError: no\n")
    assert error_in(job.log) == "ValueError: no"
    job.log.write_text("INFO all is well\n")
    assert error_in(job.log) == "" and error_in(None) == ""


def test_the_answer_names_counts_and_what_failed(job):
    assert job.log is not None
    job.log.write_text("error: no\n")
    text = report({"import_arrays": 2}, [look_at(job, (), is_driven=False)], STAGES)
    assert text.startswith("2 of 3 jobs are done.")
    assert f"decide: error: no\n    {job.log}" in text
    assert DONE in text and "Running:" not in text


def test_a_living_driver_is_found_by_the_lock_on_the_results(tmp_path: Path):
    job = PlannedJob("decide", "", (str(tmp_path / "results" / "a" / "b.csv"),), None)
    assert driver_of([job]) is None
    hold_results(tmp_path / "results", tmp_path)
    assert driver_of([job]) is not None
