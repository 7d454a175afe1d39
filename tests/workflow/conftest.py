"""Run the real workflow in a scratch folder and read which jobs it ran or would run."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import studies
from tests.workflow.many_plans import jobs_of, run_in_child

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Outcome:
    """What one Snakemake call printed and returned."""

    code: int
    text: str

    @property
    def jobs(self) -> dict[str, int]:
        """Number of jobs by rule, from the table that Snakemake prints; empty when idle."""
        return jobs_of(self.text)


def snakemake(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> Outcome:
    """Run Snakemake on this repository's Snakefile with `folder` as working directory.

    In a child of this process, which has Snakemake loaded: a start costs as much as a small plan.
    """
    words = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), *arguments]
    code, text, _ = run_in_child(words, {**VARIABLES, **(environment or {})})
    return Outcome(code, text)


def started_snakemake(folder: Path, *arguments: str, **environment: str) -> Outcome:
    """Do the same in a Python of its own, where what it reads at its start is asked."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    done = subprocess.run(
        [*command, "--directory", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, **VARIABLES, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


def write_config(folder: Path, config: dict[str, Any], name: str = "config.yaml") -> str:
    """Write a configuration into the scratch folder and return its path.

    As JSON, which is YAML and is read faster.
    """
    path = folder / name
    path.write_text(json.dumps(config), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def demo_config() -> dict[str, Any]:
    """The demo's configuration as plain values."""
    return studies.study("demo")


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkout whose tiny study has run for real, once for all test processes."""
    from tests.workflow.lab import finished_once

    base = tmp_path_factory.getbasetemp()
    return finished_once(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture
def lab(finished_study: Path, tmp_path: Path):
    """A copy of the finished study that a test may break."""
    from tests.workflow.lab import copy_of

    return copy_of(finished_study, tmp_path / "study")
