"""The full study stays small enough to plan and to queue; `bench/dag.py` has what a plan costs."""

from pathlib import Path

import pytest

from bench import dag
from engram_audio.cost.jobs import from_dry_run
from engram_audio.cost.totals import beyond_limits, by_rule, costed
from engram_audio.cost.units import read_units

pytestmark = pytest.mark.slow  # a plan of thousands of jobs


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the full study."""
    return dag.full_checkout(tmp_path_factory.mktemp("full") / "study")


@pytest.fixture(scope="module")
def output(study: Path) -> str:
    """What a dry run of the full study prints."""
    return dag.plan(study)


def test_no_job_has_more_inputs_than_a_command_holds(output: str):
    assert 1 < dag.most_inputs(output) <= dag.MAXIMUM_INPUTS


def test_the_default_study_is_few_slurm_jobs_with_one_gpu_each(output: str):
    """Shards aside, at most 250."""
    assert "train_density_of_mimi_1" in dag.slurm_jobs(output)
    assert dag.num_slurm_jobs(output) <= dag.MAXIMUM_SLURM_JOBS


def test_no_job_of_the_default_study_is_estimated_beyond_its_limits(
    output: str, study: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(study)  # frozen files of the plan
    jobs = costed(from_dry_run(output), read_units())
    rows = {row.rule: row for row in by_rule(jobs)}
    assert rows["extract_latents"].num_jobs == 30
    assert rows["extract_latents"].disk_gb > 2 * 9  # Mimi, and with its blocks permuted
    assert beyond_limits(jobs) == []
