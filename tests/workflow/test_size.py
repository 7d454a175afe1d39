"""The full study stays small enough to plan: seconds, jobs and inputs."""

import pytest

from bench import dag

# CPU seconds, which other work on the machine does not stretch: Snakemake plans on one core, so
# they are the wall time of a quiet machine.
MAXIMUM_CPU_S = 10.0


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Figures of planning the full study."""
    return dag.plan_figures(tmp_path_factory.mktemp("full") / "study")


def test_the_full_study_is_planned_within_ten_seconds(figures: dict[str, float]):
    assert figures["dry run (CPU)"] <= MAXIMUM_CPU_S


def test_no_job_has_more_than_a_thousand_inputs(figures: dict[str, float]):
    assert figures["most inputs of a job"] <= dag.MAXIMUM_INPUTS
