"""A workflow of many ready shards, to be submitted by the SLURM profile as it is."""

import os
import sys
from pathlib import Path

import yaml

from tests.workflow.conftest import ROOT, Outcome
from tests.workflow.lab import started, waited

SHARDS = 24
PROFILE = yaml.safe_load((ROOT / "slurm" / "profile.yaml").read_text(encoding="utf-8"))
SNAKEFILE = f"""
from snakemake.exceptions import WorkflowError
from engram_audio import cluster
from engram_audio.errors import InputError

onstart:
    try:
        cluster.refuse_lossy_arrays(workflow)
    except InputError as error:
        raise WorkflowError(str(error)) from None

localrules: all

rule all:
    input: expand("{{shard}}.made", shard=range({SHARDS}))

rule extract_latents:
    output: "{{shard}}.made"
    shell: "touch {{output}}"
"""


class ManyShards:
    """A folder with that workflow."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        """Write it; `variables` say where SLURM's commands are."""
        self.folder = folder
        self.variables = {**variables, "PYTHONPATH": str(ROOT)}
        (folder / "slurm").mkdir(parents=True)
        (folder / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")

    def run(self, *arguments: str, **keys: object) -> Outcome:
        """Run with the profile of this repository, some of its keys with other values."""
        text = yaml.safe_dump({**PROFILE, **keys})
        (self.folder / "slurm" / "profile.yaml").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", *arguments]
        return waited(started(command, self.folder, self.variables))

    def made(self) -> int:
        """Number of shards that are there."""
        return len(list(self.folder.glob("*.made")))


def with_tools(folder: Path) -> dict[str, str]:
    """Variables under which commands of a folder come first, then those of this environment."""
    path = (str(folder), str(Path(sys.executable).parent), os.environ["PATH"])
    return {**os.environ, "PATH": os.pathsep.join(path)}
