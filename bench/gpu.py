"""Every rule that uses a GPU, beside the same rule on the CPU: equality, speed, memory.

    python bench/gpu.py [--cores 8]

Runs the rehearsal (studies/rehearsal.yaml: every rule once, 20 training steps) twice, without the
GPU and with it. The numbers of both are compared file by file. On 16 cores beside one GPU it should
take less than ten minutes. Without a GPU it says so and ends. Prints a table and writes gpu.md
beside this file. No GPU was at hand when this was written: only what surrounds the runs is tested.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import yaml
from safetensors.numpy import load_file

from engram_audio.cost.__main__ import planned
from engram_audio.cost.jobs import Job

HERE = Path(__file__).parent
ROOT = HERE.parent
STUDY = ("studies/demo.yaml", "studies/rehearsal.yaml")
PLACES = ("results", "logs", "benchmarks")
# Products of a GPU sum in another order, and each of 20 steps of training multiplies what differs.
# A size to look at, not a law: it was set without a GPU.
TOLERANCE = 1e-2
MEMORY = re.compile(r"device memory: ([\d.]+) MiB")


class Row(NamedTuple):
    """A rule on both devices: seconds, largest relative difference, MiB of the GPU."""

    rule: str
    num_jobs: int
    cpu_s: float
    gpu_s: float
    difference: float
    memory_mib: float

    def line(self) -> str:
        """Return the row of the table."""
        is_equal = "yes" if self.difference <= TOLERANCE else "NO"
        return (
            f"| {self.rule} | {self.num_jobs} | {self.cpu_s:.1f} | {self.gpu_s:.1f} | "
            f"{self.cpu_s / max(self.gpu_s, 1e-9):.2f} | {self.difference:.1e} | {is_equal} | "
            f"{self.memory_mib:.0f} |"
        )


HEADER = (
    "| rule | jobs | CPU, s | GPU, s | ratio | largest difference | equal | GPU memory, MiB |\n"
    "|---|---|---|---|---|---|---|---|"
)


def study_options(folder: Path) -> list[str]:
    """Write an overlay that puts a study below a folder; return Snakemake's options for it."""
    folder.mkdir(parents=True, exist_ok=True)
    overlay = folder / "place.yaml"
    places = {name: str(folder / name) for name in PLACES}
    overlay.write_text(yaml.safe_dump({"pathvars": places}), encoding="utf-8")
    return ["--configfile", *STUDY, str(overlay)]


def run(folder: Path, cores: int, has_gpu: bool, *targets: str) -> None:
    """Make targets of a study, or all of it."""
    hidden = {} if has_gpu else {"CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet", "all"]
    command += ["--scheduler", "greedy", *study_options(folder), "--", *targets]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **hidden}, check=True)


def numbers(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the numeric columns or arrays of a file by name; of other files nothing."""
    match path.suffix:
        case ".parquet":
            table = pd.read_parquet(path).select_dtypes("number")
            yield from ((name, table[name].to_numpy(float)) for name in table)
        case ".safetensors":
            arrays = load_file(path)
            yield from ((name, one.astype(float)) for name, one in arrays.items())


def difference(ours: Path, theirs: Path) -> float:
    """Return the largest difference of two files' numbers, over the largest number beside it.

    Infinite where they differ in names, shapes or in what is no number.
    """
    left, right = dict(numbers(ours)), dict(numbers(theirs))
    if left.keys() != right.keys():
        return np.inf
    return max((_apart(one, right[name]) for name, one in left.items()), default=0.0)


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape or (np.isfinite(one) != np.isfinite(other)).any():
        return np.inf
    is_number = np.isfinite(one)
    if not is_number.any():
        return 0.0
    scale = max(np.abs(one[is_number]).max(), np.abs(other[is_number]).max())
    return float(np.abs(one - other)[is_number].max() / scale) if scale else 0.0


def seconds(path: Path) -> float:
    """Return the wall seconds of a benchmark file."""
    return float(pd.read_csv(path, sep="\t").iloc[-1]["s"])


def memory_mib(logs: Iterable[Path]) -> float:
    """Return the largest peak that steps noted in their logs; 0 where none did."""
    found = (MEMORY.findall(path.read_text(encoding="utf-8")) for path in logs if path.is_file())
    return max((float(one) for own in found for one in own), default=0.0)


def rows(jobs: Mapping[str, list[Job]], cpu: Path, gpu: Path) -> Iterator[Row]:
    """Yield the comparison of each rule.

    Args:
        jobs: Jobs of the study in `gpu`, by rule.
        cpu: Folder of the study on the CPU.
        gpu: Folder of the study on the GPU.
    """

    def on_cpu(path: str) -> Path:
        return cpu / Path(path).relative_to(gpu)

    for rule, own in jobs.items():
        files = [(on_cpu(path), Path(path)) for job in own for path in job.outputs]
        logs = [Path(job.benchmark.replace("/benchmarks/", "/logs/", 1)) for job in own]
        yield Row(
            rule,
            len(own),
            sum(seconds(on_cpu(job.benchmark)) for job in own),
            sum(seconds(Path(job.benchmark)) for job in own),
            max((difference(*pair) for pair in files), default=0.0),
            memory_mib(log.with_suffix(".log") for log in logs),
        )


def gpu_jobs(folder: Path) -> dict[str, list[Job]]:
    """Return the jobs of a study that ask for a GPU, by rule."""
    found: dict[str, list[Job]] = {}
    for job in planned(study_options(folder)):
        if job.resources.get("gpu"):
            found.setdefault(job.rule, []).append(job)
    return found


def compare(folder: Path, cores: int) -> list[Row]:
    """Run the rehearsal on both devices and compare."""
    cpu, gpu = folder / "cpu", folder / "gpu"
    run(cpu, cores, False)
    jobs = gpu_jobs(gpu)
    run(gpu, cores, True, *(job.outputs[0] for own in jobs.values() for job in own))
    return list(rows(jobs, cpu, gpu))


def main() -> None:
    """Print the table; exit 1 where a rule differs by more than the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, default=Path("data/bench_gpu"))
    arguments: Any = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"skipped: torch {torch.__version__} sees no CUDA device here")
        return
    folder = arguments.folder.resolve()
    found = compare(folder, arguments.cores)
    text = "\n".join([torch.cuda.get_device_name(), "", HEADER, *(row.line() for row in found)])
    print(text)
    (HERE / "gpu.md").write_text(text + "\n", encoding="utf-8")
    shutil.rmtree(folder)
    if wrong := [row.rule for row in found if row.difference > TOLERANCE]:
        sys.exit(f"differ by more than {TOLERANCE}: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
