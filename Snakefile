"""Can a lookup memory help an autoregressive model of continuous audio latents?

snakemake --profile slurm results/report.html    on a cluster
snakemake --profile demo                         offline, on a laptop
"""

import os
import sys

from snakemake.utils import min_version
from snakemake_interface_common.exceptions import ApiError

min_version("9.25")

# Of this file, also where another workflow takes it as a module.
HOME = workflow.current_basedir.get_path_or_uri(secret_free=True)
sys.path.insert(0, HOME)
from engram_audio import config_files
from engram_audio.errors import InputError


class StudyError(ApiError):
    """A fault of the study. Snakemake prints it as it stands, without places in our rules."""

    __traceback__ = property(lambda error: None, lambda error, value: None)


BASE = os.path.join(HOME, "workflow_config.yaml")
try:
    config_files.check_files([BASE])
except InputError as error:
    raise StudyError(str(error)) from None


# The base study. `--configfile` and `--config` are merged over it.
configfile: BASE


# Used only with --sdm apptainer.
container: "docker://condaforge/miniforge3:25.3.0-3"


include: "rules/common.smk"
include: "rules/pages.smk"
include: "rules/corpus.smk"
include: "rules/codecs.smk"
include: "rules/latents.smk"
include: "rules/derived_latents.smk"
include: "rules/calibration.smk"
include: "rules/keys.smk"
include: "rules/structure.smk"
include: "rules/prediction.smk"
include: "rules/factorizer.smk"
include: "rules/memory.smk"
include: "rules/comparison.smk"
include: "rules/rollout.smk"
include: "rules/generation.smk"
include: "rules/decision.smk"
include: "rules/calibration_stage.smk"
include: "rules/report.smk"
include: "rules/targets.smk"


localrules:
    calibration,


rule calibration:
    """Calibrate only: every configured world, power and sabotage."""
    input:
        "<results>/calibration.json",


rule all:
    """Everything that the report shows, and the report."""
    default_target: True
    input:
        "<results>/report.html",
        "<results>/decision.json",
        "<results>/verdicts.csv",
        "<results>/verdicts.json",
        expand("<results>/tables/{table}.csv", table=REPORT_TABLES),


include: "rules/batches.smk"
include: "rules/cluster.smk"
