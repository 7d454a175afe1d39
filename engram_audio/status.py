"""What of a study is done, what runs, what failed and why.

`python -m engram_audio.status [snakemake options]` asks a dry run what is left, Snakemake's records
what has begun, and the logs what went wrong. It changes nothing, also while a run goes on.
"""

import base64
import binascii
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from engram_audio.job_log import error_in
from engram_audio.provenance import ROOT
from engram_audio.results_lock import Driver, holder
from engram_audio.rule_stages import stages_of_rules

PARAGRAPH = re.compile(r"^(?:local)?rule (\w+):\n((?: {4}.*\n?)+)", re.M)
STARTED = Path(".snakemake/incomplete")  # one record for each output of a job that has begun
DONE, RUNNING, FAILED, WAITING = "done", "running", "failed", "waiting"
OUTCOMES = (DONE, RUNNING, FAILED, WAITING)
MAXIMUM_LINES = 20


class PlannedJob(NamedTuple):
    """A job that a dry run names.

    Attributes:
        rule: Its rule.
        wildcards: Its wildcards in words, or "".
        outputs: Its outputs.
        log: Its log file, or None.
    """

    rule: str
    wildcards: str
    outputs: tuple[str, ...]
    log: Path | None

    def __str__(self) -> str:
        """Name it as a person would."""
        return f"{self.rule} ({self.wildcards})" if self.wildcards else self.rule


class Found(NamedTuple):
    """What became of a planned job, and why."""

    job: PlannedJob
    outcome: str
    reason: str = ""


def planned_jobs(text: str, stages: Mapping[str, str]) -> list[PlannedJob]:
    """Return the jobs of a dry run's output whose rules belong to a stage."""
    return [_job(rule, body) for rule, body in PARAGRAPH.findall(text) if rule in stages]


def _job(rule: str, body: str) -> PlannedJob:
    lines = (line.strip().partition(": ") for line in body.splitlines())
    values = {name: value for name, _, value in lines}
    log = values.get("log", "").split(", ")[0]
    return PlannedJob(
        rule,
        values.get("wildcards", ""),
        tuple(filter(None, values.get("output", "").replace(" (update)", "").split(", "))),
        Path(log.partition(" (")[0]) if log else None,
    )


def started_outputs(folder: Path) -> set[str]:
    """Return the outputs of jobs that have begun and not ended, from Snakemake's records.

    A record's path is the output's in base64. A long one is cut into folders with `@` in front.
    """
    found = set()
    for path in folder.rglob("*") if folder.is_dir() else ():
        parts = [part.removeprefix("@") for part in path.relative_to(folder).parts]
        try:
            found.add(base64.urlsafe_b64decode("".join(parts)).decode())
        except (binascii.Error, UnicodeDecodeError):  # a folder, or no record
            continue
    return found


def look_at(job: PlannedJob, started: Iterable[str], is_driven: bool) -> Found:
    """Return what became of a job.

    Args:
        job: A job of the dry run.
        started: Outputs of jobs that have begun.
        is_driven: Whether a Snakemake works on these results now.
    """
    has_begun = bool(set(job.outputs) & set(started))
    if has_begun and is_driven:
        return Found(job, RUNNING)
    reason = error_in(job.log)
    if reason:
        return Found(job, FAILED, reason)
    if has_begun:
        return Found(job, FAILED, "was killed: run the same command again")
    return Found(job, WAITING)


def finished_jobs(summary: str, stages: Mapping[str, str]) -> Counter[str]:
    """Return how many jobs of each rule are done, from Snakemake's table of all outputs."""
    rows = [line.split("\t") for line in summary.splitlines() if line.count("\t") == 5]
    done = {
        (rule, log if log != "-" else output)
        for output, _, rule, log, _, plan in rows
        if plan == "no update" and rule in stages
    }
    return Counter(rule for rule, _ in done)


def table(done: Mapping[str, int], found: Sequence[Found], stages: Mapping[str, str]) -> list[str]:
    """Return one line for each stage with the number of jobs of each kind."""
    counts: dict[str, Counter[str]] = {stage: Counter() for stage in dict.fromkeys(stages.values())}
    for rule, count in done.items():
        counts[stages[rule]][DONE] += count
    for one in found:
        counts[stages[one.job.rule]][one.outcome] += 1
    rows = [(stage, count) for stage, count in counts.items() if count.total()]
    head = f"  {'stage':20}" + "".join(f"{name:>9}" for name in OUTCOMES)
    return [head] + [
        f"  {stage:20}" + "".join(f"{count[name] or '':>9}" for name in OUTCOMES)
        for stage, count in rows
    ]


def report(
    done: Mapping[str, int],
    found: Sequence[Found],
    stages: Mapping[str, str],
    driver: Driver | None = None,
) -> str:
    """Return the answer as text."""
    total = sum(done.values()) + len(found)
    who = f" Process {driver.pid} on {driver.host} works on the rest." if driver else ""
    blocks = [[f"{sum(done.values())} of {total} jobs are done.{who}"], table(done, found, stages)]
    running = [f"  {one.job}" for one in found if one.outcome == RUNNING]
    failed = [line for one in found if one.outcome == FAILED for line in _failure(one)]
    for title, lines in (("Running", running), ("Failed", failed)):
        if lines:
            blocks.append([f"{title}:", *lines[:MAXIMUM_LINES]])
    return "\n\n".join("\n".join(block) for block in blocks)


def _failure(one: Found) -> list[str]:
    return [f"  {one.job}: {one.reason}", f"    {one.job.log}"]


def driver_of(jobs: Iterable[PlannedJob]) -> Driver | None:
    """Return the Snakemake that works on the results of some jobs now, if one does."""
    folders = {folder for job in jobs for path in job.outputs for folder in Path(path).parents}
    return next(filter(None, map(holder, sorted(folders))), None)


def _asked(*options: str) -> str:
    command = [sys.executable, "-m", "snakemake", *sys.argv[1:], *options, "--nolock"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    return run.stdout + run.stderr


def main() -> None:
    """Ask and print."""
    stages = stages_of_rules(ROOT / "rules")
    left = _asked("-n", "--rerun-incomplete", "--quiet", "host")
    done = finished_jobs(_asked("--summary"), stages)
    jobs, started = planned_jobs(left, stages), started_outputs(STARTED)
    driver = driver_of(jobs)
    print(report(done, [look_at(job, started, driver is not None) for job in jobs], stages, driver))


if __name__ == "__main__":
    main()
