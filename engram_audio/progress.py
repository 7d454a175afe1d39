"""One line for each stage whose jobs are all done, with the time that is left.

`quiet: [rules]` of a profile switches off Snakemake's paragraph for each job. The lines that it
still writes for each job go as well then. `progress` must not stand there: jobs that end are then
not told to anybody.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engram_audio.job_log import error_in
from engram_audio.verdicts import number

FINISHED = "job_finished"  # Snakemake's event of a job that has ended well
FAILED = "job_error"
OF_JOBS, SELECTING = {"job_started", FINISHED, "progress"}, "Select jobs to execute..."
# What Snakemake says of a failed job, and that the line of the failure says better.
OF_FAILURES = (
    "RuleException:\nCalledProcessError",
    "Shutting down, this might take some time.",
    "Exiting because a job execution failed.",
    "WorkflowError:\nAt least one job did not complete successfully.",
)
TERMINAL = "DefaultStreamHandler"  # name of the handler that writes to the screen


class StageLines(logging.Handler):
    """A handler of Snakemake's log that counts finished jobs."""

    def __init__(
        self,
        jobs: Mapping[int, str],
        stages: Mapping[str, str],
        seconds: Mapping[int, float],
        write: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start to count.

        Args:
            jobs: Rule of each planned job, by its number.
            stages: Stage of each rule; a rule without a stage is the target and does no work.
            seconds: Estimate of each job, by its number; without any, all jobs count the same. The
                ratio between jobs counts only: how fast this machine is shows while it works.
            write: Takes a line.
            now: Seconds of a clock.
        """
        super().__init__()
        self._waiting = {number: rule for number, rule in jobs.items() if rule in stages}
        self._stages, self._write, self._now = stages, write, now
        self._left = Counter(stages[rule] for rule in self._waiting.values())
        self._total, self._start = dict(self._left), now()
        self._weights = {number: seconds.get(number, 1.0) for number in self._waiting}
        self._all = self._work()

    def emit(self, record: logging.LogRecord) -> None:
        """Count a job that has ended. Write a line where its stage has, or where a job failed."""
        event, job = str(getattr(record, "event", "")), getattr(record, "job_id", None)
        if event == FAILED:
            self._write(_failure(record.__dict__))
        if event != FINISHED or job not in self._waiting:
            return
        stage = self._stages[self._waiting.pop(job)]
        self._left[stage] -= 1
        if not self._left[stage]:
            self._write(self._line(stage))

    def _line(self, stage: str) -> str:
        passed, count = self._now() - self._start, self._total[stage]
        line = f"{number.duration(passed)}: {stage} is done, {count} job{'s' if count > 1 else ''}."
        if not self._waiting:
            return line
        total = sum(self._total.values())
        return f"{line} {len(self._waiting)} of {total} jobs are left, about {self._rest(passed)}."

    def _rest(self, passed: float) -> str:
        """Return the time left, if what is left goes at the pace of what is done."""
        left = self._work()
        return number.duration(passed * left / max(self._all - left, 1e-9))

    def _work(self) -> float:
        return sum(self._weights[number] for number in self._waiting)


def _failure(record: Mapping[str, Any]) -> str:
    """Return the line of a failed job's log that says why, with its rule and the log."""
    logs = [Path(str(path)) for path in record.get("log") or ()]
    reason = next(filter(None, map(error_in, logs)), "error: its log holds no reason")
    where = f" ({logs[0]})" if logs else ""
    return f"{record.get('rule_name', 'a job')} failed: {reason.removeprefix('error: ')}{where}"


def show_stages(
    logger: logging.Logger, workflow: Any, stages: Mapping[str, str], seconds: Mapping[int, float]
) -> None:
    """Write a line for each stage from now on, in `onstart`."""
    logger.addHandler(StageLines(planned_jobs(workflow), stages, seconds, logger.info))
    if "rules" in {str(one.name).lower() for one in workflow.output_settings.quiet or ()}:
        for handler in logger.handlers:
            if handler.name == TERMINAL:
                handler.addFilter(is_shown)


def is_shown(record: logging.LogRecord) -> bool:
    """Whether a line is none of those that Snakemake writes of each job and of each failure."""
    is_of_job = str(getattr(record, "event", "")) in OF_JOBS or record.msg == SELECTING
    return not (is_of_job or str(record.msg).startswith(OF_FAILURES))


def planned_jobs(workflow: Any) -> dict[int, str]:
    """Return the rule of each job that Snakemake will run, by its number, in `onstart`."""
    return {job.jobid: job.rule.name for job in workflow.dag.needrun_jobs()}
