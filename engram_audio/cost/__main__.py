"""What a study will cost: `python -m engram_audio.cost [snakemake options]`.

A dry run names all jobs, as if nothing was made yet. Exits 1 where a job is estimated beyond its
own time or memory.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from engram_audio.config_files import mistakes_of
from engram_audio.cost.jobs import Job, from_dry_run
from engram_audio.cost.page import page
from engram_audio.cost.totals import beyond_limits, costed
from engram_audio.cost.units import read_units
from engram_audio.errors import InputError

REASON = re.compile(r"^Error: ((?:.+\n?)+)", re.M)


def planned(options: Sequence[str]) -> list[Job]:
    """Return the jobs of a study, finished ones too.

    Raises:
        InputError: A configuration file cannot be read, or Snakemake refuses the study: the lines
            that say why.
    """
    if mistakes := [line for path in _configfiles(options) for line in mistakes_of(path)]:
        raise InputError("\n".join(mistakes))
    # A profile may silence the paragraphs that name jobs.
    command = [sys.executable, "-m", "snakemake", "-n", "--forceall", "--nolock", *options]
    run = subprocess.run([*command, "--quiet", "host"], capture_output=True, text=True, check=False)
    if run.returncode:
        raise InputError(reason(run.stdout + run.stderr))
    return from_dry_run(run.stdout + run.stderr)


def _configfiles(options: Sequence[str]) -> Iterator[Path]:
    """Yield the files that `--configfile` names, but pipes: they cannot be read twice."""
    is_file = False
    for word in options:
        name, _, first = word.partition("=")
        if word.startswith("-"):
            is_file = name in ("--configfile", "--configfiles")
            word = first
        if is_file and word and not Path(word).is_fifo():
            yield Path(word)


def reason(text: str) -> str:
    """Return what a study's fault says, without what Snakemake prints before; else all of it."""
    found = REASON.search(text)
    return found[1] if found else text


def main() -> None:
    """Print the estimate."""
    try:
        units = read_units()
        jobs = costed(planned(sys.argv[1:]), units)
    except InputError as error:
        sys.exit(str(error))
    print(page(jobs, units))
    if beyond_limits(jobs):
        sys.exit(1)


if __name__ == "__main__":
    main()
