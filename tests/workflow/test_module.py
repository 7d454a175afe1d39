"""Another workflow takes this one as a module, from its own folder and with its own configuration.

Law: its rules come under a prefix, the base study stands below its configuration, and its outputs
lie where that says. Nothing is installed there, and the other folder holds no file of ours.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ROOT
from tests.workflow.test_own_data import write_array_table, write_arrays

SNAKEFILE = """
configfile: "mine.yaml"


module engram:
    snakefile:
        "{root}/Snakefile"
    config:
        config["engram"]


use rule * from engram as engram_*


rule answer:
    default_target: True
    input:
        "out/engram/verdicts.csv",
    output:
        "answer.txt",
    shell:
        "head -2 {{input}} > {{output}}"
"""


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The folder of another workflow, with a study of arrays."""
    write_arrays(tmp_path / "latents")
    write_array_table(tmp_path / "latents.csv")
    study = yaml.safe_load((ROOT / "studies" / "arrays.yaml").read_text(encoding="utf-8"))
    study |= {"path": "latents", "table": "latents.csv"}
    study["pathvars"] = {"results": "out/engram", "logs": "out/logs", "benchmarks": "out/times"}
    text = yaml.safe_dump({"engram": study, "own": 1})
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=ROOT), encoding="utf-8")
    return tmp_path


def snakemake(folder: Path, *options: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", *options],
        cwd=folder, env={**os.environ, "PATH": path, "PYTHONPATH": ""}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_rules_come_under_a_prefix_and_run_before_those_of_the_other_workflow(other: Path):
    text = snakemake(other, "-n", "--quiet", "host")
    for line in ("rule engram_import_arrays:", "rule engram_decide:", "rule answer:"):
        assert line in text
    assert "out/engram/latents/arrays/shard-000.zarr.zip" in text
    assert not (other / "results").exists()


@pytest.mark.slow
def test_a_job_runs_and_the_start_of_a_run_is_ours(other: Path):
    """The gate is stamped before the first job: Snakemake calls no hook of a module by itself."""
    snakemake(other, "out/engram/splits/arrays/seed-0/splits.parquet")
    assert (other / "out" / "engram" / "registered.json").is_file()
    assert "Nothing to be done" in snakemake(
        other, "out/engram/splits/arrays/seed-0/splits.parquet"
    )
