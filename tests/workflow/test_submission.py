"""Every ready job is submitted, by the profile as it is; settings that would lose some are refused.

The commands are stand-ins, Snakemake and its SLURM plugin are real. With a driver that hangs these
tests end at pytest's limit.
"""

from pathlib import Path

import pytest

from tests.workflow import stand_in_slurm
from tests.workflow.many_shards import PROFILE, SHARDS, ManyShards

SOON = {"slurm-init-seconds-before-status-checks": 1}


@pytest.fixture
def site(tmp_path: Path) -> ManyShards:
    """Many shards, and SLURM's commands beside them."""
    return ManyShards(tmp_path / "study", stand_in_slurm.install(tmp_path / "commands"))


def numbers(site: ManyShards) -> list[str]:
    return stand_in_slurm.submitted(Path(site.variables["STAND_IN_SLURM"]))


def test_the_profile_submits_more_ready_shards_than_twice_its_rate_and_its_jobs(site: ManyShards):
    rate = int(PROFILE["max-jobs-per-timespan"].split("/")[0])
    assert 2 * rate < SHARDS
    outcome = site.run("--jobs", "8", **SOON)
    assert outcome.code == 0, outcome.text[-3000:]
    assert (site.made(), len(numbers(site))) == (SHARDS, SHARDS)


def test_arrays_that_have_room_hold_every_shard(site: ManyShards):
    """By the lines of docs/cluster.md."""
    lines = {"slurm-array-jobs": "extract_latents", "max-jobs-per-timespan": "100000/1s"}
    outcome = site.run("--jobs", str(SHARDS), **lines, **SOON)
    assert outcome.code == 0, outcome.text[-3000:]
    assert site.made() == SHARDS
    assert len({number.split("_")[0] for number in numbers(site)}) == 1, "one array"


def test_arrays_under_the_rate_of_the_profile_are_refused(site: ManyShards):
    outcome = site.run("--slurm-array-jobs", "extract_latents", **SOON)
    assert outcome.code != 0
    (line,) = [line for line in outcome.text.splitlines() if "slurm-array-jobs with" in line]
    assert "max-jobs-per-timespan 10/1s" in line and "docs/cluster.md" in line
    assert "Traceback" not in outcome.text
    assert numbers(site) == []
