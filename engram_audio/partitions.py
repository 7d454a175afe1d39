"""Where rules with `gpu=1` run on a cluster, and how they ask for a GPU.

A rule says only `gpu=1`. A site says the rest once, under `default-resources` of its profile:
`gpu_partition` and `gpu_request`, and with `gpu_batch_runtime` that models of a kind are one job
(`batches`). Snakemake's own expressions there know neither the rule nor its
GPU, so this module hands both on to each rule after all rules are read.
"""

import re
from collections.abc import Mapping
from typing import Any

from engram_audio.errors import InputError

PARTITION, REQUEST, BATCH_RUNTIME = "gpu_partition", "gpu_request", "gpu_batch_runtime"
GRES = re.compile(r"gpu(:[A-Za-z]\w*)?:\d+")


def send_gpu_rules(workflow: Any) -> None:
    """Send all rules with `gpu=1` to the GPU partition of the profile.

    What `--set-resources` says of a rule wins. Without either name nothing changes.

    Args:
        workflow: Snakemake's, with all rules.

    Raises:
        InputError: `gpu_request` of the profile has no known form.
    """
    settings = workflow.resource_settings
    site = named_resources(settings.default_resources)
    changes = gpu_resources(site)
    for rule in workflow.rules:
        kept = (settings.overwrite_resources or {}).get(rule.name, {})
        wanted = changes if _wants_gpu(rule) else {}
        for name, value in {**wanted, **dict.fromkeys((PARTITION, REQUEST, BATCH_RUNTIME))}.items():
            if name not in kept:
                rule.resources[name] = value  # None: the job does not have this resource


def named_resources(defaults: Any) -> dict[str, str]:
    """Return the default resources of a profile as they are written there, without empty ones."""
    pairs = (text.split("=", 1) for text in (defaults.args if defaults else ()))
    written = {name: value.strip("'\"") for name, value in pairs}
    return {name: value for name, value in written.items() if value}


def batch_runtime(workflow: Any) -> str | None:
    """Return the longest time of a job of many members, or None where each is a job of its own."""
    return named_resources(workflow.resource_settings.default_resources).get(BATCH_RUNTIME)


def gpu_resources(site: Mapping[str, str]) -> dict[str, str | None]:
    """Return what a rule with `gpu=1` asks for instead on a site.

    Raises:
        InputError: `gpu_request` has no known form.
    """
    request = site.get(REQUEST, "gpus")
    if request == "none":
        return {"gpu": None}
    partition: dict[str, str | None] = {}
    if site.get(PARTITION, "None") != "None":  # an empty line in YAML arrives as this word
        partition["slurm_partition"] = site[PARTITION]
    if request == "gpus":  # Snakemake's own form, `--gpus=1`
        return partition
    if GRES.fullmatch(request):
        return {**partition, "gpu": None, "gres": request}
    raise InputError(
        f"profile: default-resources.{REQUEST} is {request!r}; allowed are gpus, none, and a gres "
        "such as gpu:1 or gpu:a100:1 (docs/cluster.md)"
    )


def _wants_gpu(rule: Any) -> bool:
    return "gpu" in rule.resources and rule.resources["gpu"] != 0
