"""The full study stays small enough to plan and to queue; `bench/dag.py` has what a plan costs."""

import pytest

from bench import dag


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a dry run of the full study prints."""
    return dag.plan(dag.full_checkout(tmp_path_factory.mktemp("full") / "study"))


def test_no_job_has_more_inputs_than_a_command_holds(output: str):
    assert 1 < dag.most_inputs(output) <= dag.MAXIMUM_INPUTS


def test_the_default_study_is_few_slurm_jobs_with_one_gpu_each(output: str):
    """Shards aside, at most 250."""
    assert "train_density_of_mimi_1" in dag.slurm_jobs(output)
    assert dag.num_slurm_jobs(output) <= dag.MAXIMUM_SLURM_JOBS
