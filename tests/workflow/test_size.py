"""The full study stays small enough to plan; `bench/dag.py` has what a plan costs."""

from pathlib import Path

from bench import dag


def test_no_job_has_more_inputs_than_a_command_holds(tmp_path: Path):
    output = dag.plan(dag.full_checkout(tmp_path / "study"))
    assert 1 < dag.most_inputs(output) <= dag.MAXIMUM_INPUTS
