"""Run the real workflow in a scratch folder and read which jobs it ran or would run."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import studies

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What one Snakemake call printed and returned."""

    code: int
    text: str

    @property
    def jobs(self) -> dict[str, int]:
        """Number of jobs by rule, from the table that Snakemake prints; empty when idle."""
        table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", self.text, re.M | re.S)
        if table is None:
            return {}
        rows = (line.split() for line in table.group(1).splitlines() if line.strip())
        return {name: int(count) for name, count in rows}


def snakemake(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> Outcome:
    """Run Snakemake on this repository's Snakefile with `folder` as working directory."""
    variables = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        **(environment or {}),
    }
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    done = subprocess.run(
        [*command, "--directory", str(folder), *arguments],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


def write_config(folder: Path, config: dict[str, Any], name: str = "config.yaml") -> str:
    """Write a configuration into the scratch folder and return its path."""
    path = folder / name
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
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
