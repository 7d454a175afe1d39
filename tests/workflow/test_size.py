"""The full study stays small enough to plan: seconds, jobs and inputs."""

from pathlib import Path

from bench import dag

# CPU seconds, which other work on the machine does not stretch: Snakemake plans on one core, so
# they are the wall time of a quiet machine.
MAXIMUM_CPU_S = 10.0


def test_the_full_study_is_planned_within_its_limits(tmp_path: Path):
    figures = dag.plan_figures(tmp_path / "study")
    assert figures["dry run (CPU)"] <= MAXIMUM_CPU_S
    assert figures["most inputs of a job"] <= dag.MAXIMUM_INPUTS
