"""Will this study run here? One line for each check, and the remedy where one fails.

`python -m engram_audio.doctor [snakemake options]` looks at Python, the package, the plan with its
cost, disks, weights, and at SLURM with its nodes where there is one. It starts one short job on a
node of each partition and changes nothing. Exits 1 where a check fails.
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from engram_audio.cost.__main__ import planned
from engram_audio.cost.jobs import Job
from engram_audio.cost.totals import GB, Costed, beyond_limits, costed
from engram_audio.cost.units import MIB, read_units
from engram_audio.doctor_slurm import Site, check_slurm, read_site
from engram_audio.errors import InputError
from engram_audio.provenance import ROOT
from engram_audio.quota import free_of_quota
from engram_audio.start import refuse_other_python

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"
DOWNLOADS = {"download_codec", "download_librispeech"}


class Check(NamedTuple):
    """A check, its outcome and what was found."""

    name: str
    outcome: str
    said: str

    def __str__(self) -> str:
        """Return its line."""
        return f"{self.outcome:8}{self.name}: {self.said}"


def looked_at(name: str, look: Callable[[], str]) -> Check:
    """Return a check's outcome; what raises `InputError` has failed."""
    try:
        return Check(name, OK, look())
    except InputError as error:
        return Check(name, FAILED, str(error))


def check_python() -> str:
    """Return which Python jobs run, and that it has the package and what that needs."""
    refuse_other_python(ROOT)
    return f"{shutil.which('python')} imports {ROOT / 'engram_audio'}"


def check_limits(jobs: Sequence[Costed]) -> str:
    """Return what the study costs.

    Raises:
        InputError: Some job is estimated beyond its own time or memory.
    """
    beyond = beyond_limits(jobs)
    if beyond:
        raise InputError(f"{beyond[0]} ({len(beyond)} in all; `make cost` lists them)")
    cpu = sum(one.cost.cpu_s for one in jobs if not one.cost.gpu_s) / 3600
    gpu = sum(one.cost.gpu_s for one in jobs) / 3600
    return (
        f"{len(jobs)} jobs, about {cpu:.1f} CPU-hours and {gpu:.1f} GPU-hours, each in its limits"
    )


def check_disk(jobs: Sequence[Costed], folder: Path) -> str:
    """Return the space for results.

    Raises:
        InputError: The disk or the quota leaves less than the study writes.
    """
    needs = sum(one.cost.disk_bytes for one in jobs)
    free = shutil.disk_usage(folder).free
    left = free_of_quota(folder)
    space = free if left is None else min(free, left)
    room = f"{space / GB:.1f} GB {'free' if space == free else 'left of the quota'}"
    if needs > space:
        raise InputError(
            f"{folder}: {room}, and the study writes about {needs / GB:.1f} GB; "
            "free some, or let pathvars.results name another disk"
        )
    return f"{folder}: {room}, about {needs / GB:.1f} GB needed"


def check_weights(jobs: Iterable[Job]) -> str:
    """Return that what nodes cannot download is here.

    Raises:
        InputError: A file is missing.
    """
    wanted = [path for job in jobs if job.rule in DOWNLOADS for path in job.outputs]
    missing = [path for path in wanted if not Path(path).exists()]
    if missing:
        raise InputError(
            f"{missing[0]}: not here, {len(missing)} of {len(wanted)} downloads are missing; where "
            f"there is internet, run `snakemake --profile slurm {missing[0]}`"
        )
    return f"{len(wanted)} downloads are here" if wanted else "this study downloads nothing"


def most_resident(jobs: Sequence[Costed]) -> float:
    """Return the bytes that a job maps from scratch space at most."""
    return max((one.cost.peak_mib * MIB for one in jobs if one.job.resources.get("gpu")), default=0)


def all_checks(options: Sequence[str], site: Site | None) -> Iterator[Check]:
    """Yield the checks of a study, in order."""
    yield looked_at("python", check_python)
    try:
        plan = planned(options)
        jobs = costed(plan, read_units())
    except InputError as error:
        yield Check("plan", FAILED, str(error).strip())
        return
    yield looked_at("cost", lambda: check_limits(jobs))
    yield looked_at("disk", lambda: check_disk(jobs, _results(plan)))
    yield looked_at("weights", lambda: check_weights(plan))
    if site is None:
        yield Check("SLURM", SKIPPED, "none answers here; partitions and nodes were not looked at")
        return
    for name, look in check_slurm(site, jobs, most_resident(jobs)):
        yield looked_at(name, look)


def _results(jobs: Sequence[Job]) -> Path:
    """Return the nearest folder that is there of where results go."""
    outputs = [Path(path) for job in jobs if job.rule not in DOWNLOADS for path in job.outputs]
    place = (outputs or [Path("results")])[0].resolve()
    return next(folder for folder in place.parents if folder.is_dir())


def main() -> None:
    """Print a line for each check."""
    try:
        site = read_site(Path("slurm/profile.yaml"))
    except InputError as error:
        sys.exit(f"error: {error}")
    is_sound = True
    for check in all_checks(sys.argv[1:], site):
        print(check, flush=True)
        is_sound &= check.outcome != FAILED
    sys.exit(0 if is_sound else 1)


if __name__ == "__main__":
    main()
