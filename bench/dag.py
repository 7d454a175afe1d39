"""Cost of planning the full study: seconds per job against a Snakefile of as many empty rules.

Runs in a scratch folder. The empty rules have the jobs, the files and the edges of the study, and
nothing else: no configuration, no input function, no code digest, no wildcard. The speed of the
machine cancels in the ratio. Both plans take turns, and the smallest CPU time of each counts: other
processes only add to it. A stand-in for `python` then writes the outputs (their content does not
matter here), and both are planned again with nothing to do. Writes dag.json beside this file.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.workflow.many_plans import jobs_of  # noqa: E402  (the repository's root must come first)
from tests.workflow.tiny_study import checkout, environment, stand_in_environment  # noqa: E402

SHARDS = "extract_latents"  # a corpus of any size has as many
LIMITS = {"dry run": 1.5, "no-op run": 1.5}  # times the empty rules
# All of them stand in one word of bash, which takes 128 KiB: a hundred characters for each.
MAXIMUM_INPUTS = 1200
REPEATS = 2
# As the SLURM profile plans it: models of a kind are one job.
FEW_JOBS = ("--default-resources", "gpu_batch_runtime=24h", "disk_mb=1000")
STUDY = ("--configfile", "full.yaml", *FEW_JOBS)
EMPTY = ("--snakefile", "empty.smk")
JOB = re.compile(r"^(?:local)?rule (\w+):\n((?: {4}\w.*\n)+)", re.M)


def snakemake(folder: Path, variables: dict[str, str], *arguments: str) -> str:
    """Run Snakemake in a folder and return its output."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout + done.stderr


def cpu_s(folder: Path, *arguments: str) -> float:
    """CPU seconds of one Snakemake call."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    snakemake(folder, environment(folder), *arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def full_checkout(folder: Path) -> Path:
    """Make a fresh checkout with the full study's configuration."""
    checkout(folder)
    text = (ROOT / "workflow_config.yaml").read_text(encoding="utf-8")
    (folder / "full.yaml").write_text(text, encoding="utf-8")
    return folder


def plan(folder: Path) -> str:
    """What a dry run of the full study prints."""
    return snakemake(folder, environment(folder), *STUDY, "-n")


def files_of(output: str) -> list[tuple[list[str], list[str]]]:
    """Inputs and outputs of every job of a dry run."""

    def named(block: str, name: str) -> list[str]:
        found = re.search(rf"^ {{4}}{name}: (.*)$", block, re.M)
        return found[1].replace(" (update)", "").split(", ") if found else []

    return [(named(block, "input"), named(block, "output")) for _, block in JOB.findall(output)]


def slurm_jobs(output: str) -> dict[str, int]:
    """Return jobs by rule, of those that the SLURM profile submits: each holds one GPU.

    Raises:
        ValueError: A job asks for more than one.
    """
    found = [(rule, re.search(r"\bgpu=(\d+)", block)) for rule, block in JOB.findall(output)]
    if greedy := [rule for rule, gpus in found if gpus and gpus[1] != "1"]:
        raise ValueError(f"more than one GPU: {greedy}")
    return dict(Counter(rule for rule, gpus in found if gpus))


def num_slurm_jobs(output: str) -> int:
    """Return how many jobs the SLURM profile submits beside the shards of a corpus."""
    return sum(count for rule, count in slurm_jobs(output).items() if rule != SHARDS)


def most_inputs(output: str) -> int:
    """Return the largest number of inputs of a job."""
    return max(len(inputs) for inputs, _ in files_of(output))


def write_empty_rules(folder: Path, output: str) -> None:
    """Write a Snakefile with one empty rule for each job of a dry run, and the files none makes."""
    jobs = files_of(output)
    jobs.sort(key=lambda job: bool(job[1]))  # first the target, which has no outputs
    rules = [
        f"rule r{place}:\n    input: {inputs}\n    output: {outputs}\n"
        for place, (inputs, outputs) in enumerate(jobs)
    ]
    (folder / "empty.smk").write_text("\n".join(rules), encoding="utf-8")
    made = {path for _, outputs in jobs for path in outputs}
    write_files(folder, {path for inputs, _ in jobs for path in inputs} - made)


def write_files(folder: Path, paths: Iterable[str]) -> None:
    """Write empty files of one age, so that none is newer than what follows from it."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
        os.utime(folder / path, (0, 0))


def ratio(study: Path, empty: Path, *arguments: str) -> dict[str, float]:
    """CPU seconds of both plans, the least of each, and their ratio."""
    pairs = [
        (cpu_s(study, *STUDY, *arguments), cpu_s(empty, *EMPTY, *arguments)) for _ in range(REPEATS)
    ]
    ours, theirs = (min(times) for times in zip(*pairs, strict=True))
    return {"study_cpu_s": ours, "empty_rules_cpu_s": theirs, "ratio": ours / theirs}


def measure(folder: Path) -> dict[str, dict[str, float]]:
    """Return size and ratios of planning the full study, before it has run and after."""
    study, empty = full_checkout(folder / "study"), folder / "empty"
    empty.mkdir()
    output = plan(study)
    write_empty_rules(empty, output)
    size = {
        "jobs": sum(jobs_of(output).values()),
        "slurm_jobs_beside_shards": num_slurm_jobs(output),
        "most_inputs": most_inputs(output),
    }
    figures = {"size": size, "dry run": ratio(study, empty, "-n")}
    # The default scheduler solves a linear programme per round: minutes where jobs take no time.
    fast = ("-j8", "-q", "all", "--scheduler", "greedy")
    snakemake(study, stand_in_environment(study), *STUDY, *fast)
    write_files(empty, [path for _, outputs in files_of(output) for path in outputs])
    assert all(
        jobs_of(snakemake(folder, environment(folder), *words, "-n")) == {}
        for folder, words in ((study, STUDY), (empty, EMPTY))
    ), "both are finished"
    figures["no-op run"] = ratio(study, empty, "-j2")
    return figures


def main() -> None:
    """Print the figures and write dag.json; fail where a limit is passed."""
    with tempfile.TemporaryDirectory() as temporary:
        figures = measure(Path(temporary))
    text = json.dumps(figures, indent=1)
    print(text)
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    over = [name for name, limit in LIMITS.items() if figures[name]["ratio"] > limit]
    if over or figures["size"]["most_inputs"] > MAXIMUM_INPUTS:
        sys.exit(f"over the limit: {over or 'inputs'}")


if __name__ == "__main__":
    main()
