"""The full study stays small enough to plan, and its promised command resolves anywhere."""

from pathlib import Path

import pytest

from bench import dag
from tests.workflow.conftest import ROOT, snakemake


@pytest.mark.slow
def test_the_full_study_is_planned_under_the_slurm_profile_with_an_empty_home(tmp_path: Path):
    """`snakemake --profile slurm -n results/report.html`, without a home, a cluster or data.

    No job has more inputs than a command holds.
    """
    words = ["--profile", str(ROOT / "slurm"), "-n", "-p", "results/report.html"]
    nowhere = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "XDG_CONFIG_DIRS": ""}
    outcome = snakemake(tmp_path, *words, environment=nowhere)
    assert outcome.code == 0, outcome.text
    assert outcome.jobs["extract_latents"] > 1
    assert 1 < dag.most_inputs(outcome.text) <= dag.MAXIMUM_INPUTS
