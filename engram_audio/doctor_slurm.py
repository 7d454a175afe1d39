"""What the doctor asks of SLURM: partitions, account, and one short job on a node of each."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from engram_audio.cost.totals import GB, Costed
from engram_audio.errors import InputError
from engram_audio.partitions import PARTITION, REQUEST
from engram_audio.provenance import ROOT

ANSWER_S, JOB_S = 30.0, 600.0
NODE_MB, NODE_MINUTES = 2000, 5  # of the job that looks at a node: it imports torch
PROBE = """
import json, os, shutil, sys, tempfile
import torch
import engram_audio.steps._cli
scratch = os.environ.get("TMPDIR") or tempfile.gettempdir()
print(json.dumps({
    "python": sys.executable, "package": os.path.dirname(engram_audio.__file__),
    "cuda": torch.cuda.is_available(), "visible": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
    "torch": torch.__version__, "node": os.uname().nodename, "scratch": scratch,
    "free": shutil.disk_usage(scratch).free,
}))
"""


class Site(NamedTuple):
    """What the profile says of a cluster; an empty word leaves the choice to SLURM."""

    account: str
    cpu_partition: str
    gpu_partition: str
    gpu_request: str


def read_site(profile: Path) -> Site | None:
    """Return the site of a profile; None where no SLURM answers.

    Raises:
        InputError: The profile is no YAML.
    """
    if shutil.which("sinfo") is None or not _answers(["sinfo", "--noheader"]):
        return None
    return site_in(profile)


def site_in(profile: Path) -> Site:
    """Return what a profile says under `default-resources`.

    Raises:
        InputError: It cannot be read.
    """
    try:
        document = yaml.safe_load(profile.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{profile}: cannot be read ({error}); restore it") from error
    names = (document or {}).get("default-resources") or {}
    account, cpu, gpu, request = (
        str(names.get(name) or "")
        for name in ("slurm_account", "slurm_partition", PARTITION, REQUEST)
    )
    return Site(account, cpu, gpu, request or "gpus")


def _answers(command: Sequence[str]) -> bool:
    return _run(command, ANSWER_S).returncode == 0


def _run(command: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except (OSError, subprocess.SubprocessError) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def check_slurm(
    site: Site, jobs: Sequence[Costed], scratch_bytes: float
) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield the checks of a cluster by name.

    Args:
        site: What the profile says.
        jobs: Jobs of the study, for what is asked at most.
        scratch_bytes: What a job may map from scratch space.
    """
    kinds = {False: "CPU partition", True: "GPU partition"}
    for has_gpu, name in kinds.items():
        asked = [one for one in jobs if bool(one.job.resources.get("gpu")) == has_gpu]
        words = requested(site, has_gpu)
        if asked:
            yield name, lambda asked=asked, words=words: check_partition(words, asked)
            yield (
                f"{name}, node",
                lambda words=words, has_gpu=has_gpu: check_node(
                    words, has_gpu and site.gpu_request != "none", scratch_bytes
                ),
            )


def requested(site: Site, has_gpu: bool) -> list[str]:
    """Return how a job of a kind asks SLURM for a place."""
    is_sent = has_gpu and site.gpu_request != "none"
    partition = site.gpu_partition if is_sent else site.cpu_partition
    words = [f"--partition={partition}"] if partition else []
    words += [f"--account={site.account}"] if site.account else []
    if is_sent:
        words.append("--gpus=1" if site.gpu_request == "gpus" else f"--gres={site.gpu_request}")
    return words


def check_partition(words: Sequence[str], jobs: Sequence[Costed]) -> str:
    """Return that SLURM would take the largest job: account, partition, time and memory.

    Raises:
        InputError: It refuses it; its own words.
    """
    memory = max(one.job.resources.get("mem_mb", 0) for one in jobs)
    minutes = max(one.job.resources.get("runtime", 0) for one in jobs)
    limits = [f"--mem={memory}", f"--time={minutes}"]
    done = _run(["sbatch", "--test-only", *words, *limits, "--wrap=true"], ANSWER_S)
    asked = f"{' '.join(words)} with {memory} MB and {minutes} min"
    if done.returncode:
        raise InputError(
            f"{asked}: {_last(done.stderr)}; correct slurm/profile.yaml, or lower what the rule "
            "asks for with --set-resources"
        )
    return f"{asked} would start"


def check_node(words: Sequence[str], needs_cuda: bool, scratch_bytes: float) -> str:
    """Return what a job sees on a node: Python, package, CUDA, scratch space.

    Raises:
        InputError: The job fails, or something that the study needs is not there.
    """
    limits = [f"--mem={NODE_MB}", f"--time={NODE_MINUTES}", "--ntasks=1", "--quiet"]
    done = _run(["srun", *words, *limits, "python", "-c", PROBE], JOB_S)
    if done.returncode:
        raise InputError(
            f"a job with {' '.join(words)} fails: {_last(done.stderr)}; its environment must lie "
            "on a file system that nodes see (docs/cluster.md, Environments on nodes)"
        )
    found = json.loads(done.stdout.splitlines()[-1])
    problems = list(node_problems(found, needs_cuda, scratch_bytes))
    if problems:
        raise InputError(f"{found['node']}: {'; '.join(problems)}")
    return (
        f"{found['node']} runs {found['python']} with torch {found['torch']}, "
        f"CUDA {'seen' if found['cuda'] else 'not asked for'}, {found['free'] / GB:.0f} GB in "
        f"{found['scratch']}"
    )


def node_problems(found: dict[str, Any], needs_cuda: bool, scratch_bytes: float) -> Iterator[str]:
    """Yield what is wrong with a node, with the remedy."""
    own = ROOT / "engram_audio"
    if not os.path.samefile(found["package"], own):
        yield f"it imports {found['package']}, not {own}: activate the environment of this folder"
    if needs_cuda and not found["cuda"]:
        seen = found["visible"] or "none"
        yield (
            f"torch {found['torch']} sees no CUDA (GPUs given by SLURM: {seen}): install a torch "
            "built for CUDA, or set gpu_request to none"
        )
    if found["free"] < scratch_bytes:
        yield (
            f"{found['scratch']} has {found['free'] / GB:.1f} GB and a job may map "
            f"{scratch_bytes / GB:.1f} GB there: let TMPDIR name a larger disk"
        )


def _last(text: str) -> str:
    lines = text.strip().splitlines() or ["no reason given"]
    return lines[-1].removeprefix("sbatch: error: ").removeprefix("srun: error: ")
