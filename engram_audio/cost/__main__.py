"""What a study will cost: `python -m engram_audio.cost [snakemake options]`.

A dry run names all jobs, as if nothing was made yet. Exits 1 where a job is estimated beyond its
own time or memory.
"""

import subprocess
import sys
from collections.abc import Sequence

from engram_audio.cost.jobs import Job, from_dry_run
from engram_audio.cost.page import page
from engram_audio.cost.totals import beyond_limits, costed
from engram_audio.cost.units import read_units
from engram_audio.errors import InputError


def planned(options: Sequence[str]) -> list[Job]:
    """Return the jobs of a study, finished ones too.

    Raises:
        InputError: Snakemake refuses the study; its own words.
    """
    # A profile may silence the paragraphs that name jobs.
    command = [sys.executable, "-m", "snakemake", "-n", "--forceall", "--nolock", *options]
    run = subprocess.run([*command, "--quiet", "host"], capture_output=True, text=True, check=False)
    if run.returncode:
        raise InputError(run.stdout + run.stderr)
    return from_dry_run(run.stdout + run.stderr)


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
