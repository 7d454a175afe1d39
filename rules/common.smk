"""Wildcard constraints, the validated configuration and the functions that rules share."""

import os
import sys

sys.path.insert(0, workflow.basedir)

from snakemake.exceptions import WorkflowError

from engram_audio import cluster, reruns, study
from engram_audio import config as workflow_config
from engram_audio.errors import InputError


wildcard_constraints:
    section=r"[a-z0-9_.]+",
    corpus=r"[a-z][a-z0-9_]*",
    codec=r"[a-z][a-z0-9_]*",
    representation=r"[a-z][a-z0-9_]*(--[a-z_]+)?",
    family=r"[a-z][a-z0-9_]*",
    shard=r"\d{3}",
    split_seed=r"\d+",
    subset=r"[a-z0-9-]+",


# Jobs share cores: idle OpenMP threads must sleep, not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

# CPU analysis runs beside the driver, or on the profile's CPU partition: docs/cluster.md.
ANALYSIS_IS_LOCAL = os.environ.get("ENGRAM_ANALYSIS", "local") != "partition"

try:
    STUDY = study.Study(workflow_config.parse_config(config))
except InputError as error:
    raise WorkflowError(str(error)) from None


onstart:
    try:
        cluster.refuse_strays(os.getcwd())
        reruns.keep_noted()
    except InputError as error:
        raise WorkflowError(str(error)) from None


def step_code(step: str, *more: str) -> str:
    """Digest of a step's code; `more` are modules that it loads by name."""
    return reruns.step_digest(f"engram_audio.steps.{step}", *more)


def download_receipts(wildcards) -> list[str]:
    """Receipts of the LibriSpeech subsets that the wildcard's corpus wants downloaded."""
    name = wildcards.corpus
    return [
        f"<results>/corpus/{name}/download-{subset}.json"
        for subset in STUDY.subsets_to_download(name)
    ]


def latent_shards(wildcards) -> list[str]:
    """All latent shards of the wildcard's representation."""
    name = wildcards.representation
    return [f"<results>/latents/{name}/shard-{shard}.zarr.zip" for shard in STUDY.shards(name)]


def splits_table(wildcards) -> str:
    """The splits that the wildcard's representation and split seed are analysed on."""
    corpus = STUDY.corpus_of(wildcards.representation)
    return f"<results>/splits/{corpus}/seed-{wildcards.split_seed}/splits.parquet"


def section_of(wildcards) -> str:
    """Canonical JSON of one section."""
    return workflow_config.section_text(STUDY.config, wildcards.section)
