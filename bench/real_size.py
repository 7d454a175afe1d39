"""Every rule at real size: time and peak memory of each job, beside its limits and its estimate.

    python bench/real_size.py --frames 500000 1000000 2000000    structure stage, growth with N
    python bench/real_size.py --frames 4500000                   all of it, with the largest books

Writes synthetic latents in the study's layout (251 speakers, 512 dimensions, 10 shards), plans a
study of them and runs its jobs one at a time, each rule as the workflow runs it. A row that
real_size.json has is not measured again, so a run may be stopped anywhere. It writes
docs/real-size.md after each job. Data and results lie below --folder: 21 GB at 4.5 M frames, to be
deleted afterwards.
"""

import argparse
import csv
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.unit_costs import read_times
from engram_audio.cost.__main__ import planned
from engram_audio.cost.totals import Costed, costed
from engram_audio.cost.units import read_units

HERE = Path(__file__).parent
TABLE, PAGE = HERE / "real_size.json", HERE.parent / "docs" / "real-size.md"
DIMS, SPEAKERS, FRAMES, DECAY = 512, 251, 150, 0.9  # FRAMES of an utterance
OVERLAYS = ("studies/arrays.yaml", "bench/wide.yaml", "bench/real_size.yaml")
FULL = 4_000_000  # frames from which the largest codebooks have train frames enough
STRUCTURE = ("index_arrays", "import_arrays", "fit_keys", "score_structure_keys")
RULES = (
    *STRUCTURE, "score_linear_baselines", "summarize_latents", "fit_linear_nulls", "fit_marginal",
    "fit_ridge_mixture", "train_density", "evaluate_density", "evaluate_nulls", "train_factorizer",
    "evaluate_factorizer", "train_fold_density", "fit_memory", "train_memory", "train_matched",
    "train_curve", "evaluate_memory", "train_key_predictor", "train_learned_keys",
    "score_key_laws", "train_rollout", "evaluate_rollout", "train_generators",
    "evaluate_generators",
)  # fmt: skip
BOOKS = {"mean_pool": [64], "pca": [16, 256, 1024], "last_frame": [64, 2048], "predictive": [1024]}
ORACLE = [64, 1024]
LARGEST = {"pca": 16384, "predictive": 4096}
LARGEST_ORACLE = 4096


def write_arrays(folder: Path, num_utterances: int) -> Path:
    """Write what is missing of an array for each utterance; return a table of them.

    Each speaker has an offset and each frame is made of the one before it. Utterances have
    generators of their own, so a smaller corpus is the beginning of a larger one.
    """
    arrays = folder / "arrays"
    arrays.mkdir(parents=True, exist_ok=True)
    scale = np.geomspace(2, 0.2, DIMS).astype(np.float32)
    rows = []
    for speaker in range(SPEAKERS):
        offset = np.random.default_rng([11, speaker]).standard_normal(DIMS, dtype=np.float32)
        for number in range(num_utterances):
            name = f"s{speaker:03d}-u{number:03d}"
            rows.append((name, f"s{speaker:03d}"))
            path = arrays / f"{name}.npy"
            if not path.is_file():
                generator = np.random.default_rng([12, speaker, number])
                frames = generator.standard_normal((FRAMES, DIMS), dtype=np.float32)
                for place in range(1, FRAMES):
                    frames[place] += DECAY * frames[place - 1]
                partial = path.with_suffix(".part")
                with partial.open("wb") as file:
                    np.save(file, (frames + np.roll(frames, 1, axis=1) + offset) * scale)
                partial.replace(path)
    table = folder / f"{num_utterances * SPEAKERS * FRAMES}.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("utterance_id", "speaker_id"), *rows])
    return table


def write_study(folder: Path, table: Path, num_frames: int) -> list[str]:
    """Write the overlay of a size; return Snakemake's options for its study."""
    own = folder / f"size-{num_frames}"
    largest = num_frames >= FULL
    books = {
        name: {
            "inputs": ["raw"],
            "quantizers": [
                {"kind": "kmeans", "codebook_sizes": [*sizes, *([LARGEST[name]] if largest else ())]
                 if name in LARGEST else sizes}
            ],
        }
        for name, sizes in BOOKS.items()
    }  # fmt: skip
    oracle = [*ORACLE, LARGEST_ORACLE] if largest else ORACLE
    overlay = {
        "path": str(folder / "arrays"),
        "table": str(table),
        "pathvars": {name: str(own / name) for name in ("results", "logs", "benchmarks")},
        "keys": {"library": books},
        "structure": {"library": {"target_oracle": {"codebook_sizes": oracle}}},
    }
    path = folder / f"size-{num_frames}.yaml"
    path.write_text(yaml.safe_dump(overlay), encoding="utf-8")
    return ["--configfile", *OVERLAYS, str(path)]


def cell_name(one: Costed, num_frames: int) -> str:
    """Name a job and the size it worked on, as the table does."""
    return f"{one.job} at {num_frames}"


def run(command: Sequence[str]) -> tuple[bool, float]:
    """Return whether a command ended well, and the peak memory of its largest process, MiB.

    Snakemake samples the memory of a job, ever more rarely, and misses its peak. A process counts
    with what its parent held when it began.
    """
    process = subprocess.Popen(command, cwd=HERE.parent)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode == 0, used.ru_maxrss / 1024


def make(options: Sequence[str], one: Costed) -> float:
    """Make the outputs of a job, and what it needs; return the peak memory, MiB."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
    is_made, peak_mib = run([*command, *options, "--", one.job.outputs[0]])
    if not is_made:
        print(f"{one.job} failed: {one.job.benchmark} has no time", file=sys.stderr)
    return peak_mib


def row_of(one: Costed, num_frames: int, peak_mib: float) -> dict[str, Any] | None:
    """Return the row of a job; None where it has not finished."""
    path = HERE.parent / one.job.benchmark
    times = read_times(path) if path.is_file() else None
    if times is None:
        return None
    return {
        "rule": one.job.rule,
        "job": str(one.job),
        "frames": num_frames,
        "cpu_s": round(times[0], 1),
        "peak_mib": round(max(times[1], peak_mib)),
        "estimated_cpu_s": round(one.cost.cpu_s, 1),
        "estimated_mib": round(one.cost.peak_mib),
        "limit_s": 60 * one.job.resources["runtime"],
        "limit_mib": round(one.job.resources["mem_mb"] * 1e6 / 2**20),
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    }


def kept_rows() -> dict[str, dict[str, Any]]:
    """Return the rows of earlier runs by name."""
    return json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.is_file() else {}


def growth(rows: Iterable[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Return b of time ~ N^b and the peaks' b, of jobs that have several sizes below `FULL`.

    Larger books join at `FULL`, so that size is none of the line's.
    """
    found = {}
    below = [row for row in rows if row["frames"] < FULL]
    for job in dict.fromkeys(row["job"] for row in below):
        own = [row for row in below if row["job"] == job]
        if len(own) >= 2:
            sizes = np.log([row["frames"] for row in own])
            found[job] = tuple(
                float(np.polyfit(sizes, np.log([row[name] for row in own]), 1)[0])
                for name in ("cpu_s", "peak_mib")
            )
    return found


HEADER = """# Real size, rule by rule

Written by `python bench/real_size.py`: synthetic latents, 512 dimensions, 251 speakers, 10 shards.
One slice, one lag, one split, two Lloyd passes, 20 training steps, one thread. Memory is that of
the largest process, at least Snakemake's own 300 MiB. The estimate of `make cost` was made before
the job was measured. To measure a row again, delete it from `bench/real_size.json`, and its data.
A job that is not in the table was not measured.

| job | frames | CPU s | estimate / measured | limit, s | peak, MiB | limit, MiB | within | date |
|---|---|---|---|---|---|---|---|---|
"""


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Return docs/real-size.md."""
    lines = []
    order = {rule: place for place, rule in enumerate(RULES)}
    for row in sorted(rows, key=lambda row: (order[row["rule"]], row["job"], row["frames"])):
        within = row["cpu_s"] <= row["limit_s"] and row["peak_mib"] <= row["limit_mib"]
        lines.append(
            f"| {row['job']} | {row['frames']:,} | {row['cpu_s']:.0f} | "
            f"{row['estimated_cpu_s'] / row['cpu_s']:.2f} | {row['limit_s']} | {row['peak_mib']} | "
            f"{row['limit_mib']} | {'yes' if within else 'NO'} | {row['date']} |"
        )
    total, estimated = (sum(row[name] for row in rows) for name in ("cpu_s", "estimated_cpu_s"))
    lines += ["", f"All rows: estimated {estimated:.0f} of {total:.0f} CPU-s."]
    lines += [
        f"- {job}: CPU time ~ N^{time:.2f}, peak ~ N^{peak:.2f}"
        for job, (time, peak) in growth(rows).items()
    ]
    return HEADER + "\n".join(lines) + "\n"


def measure(folder: Path, num_frames: int, rules: Sequence[str]) -> None:
    """Run what is missing of a size, job by job, each with a Snakemake of its own."""
    num_utterances = round(num_frames / (SPEAKERS * FRAMES))
    num_frames = num_utterances * SPEAKERS * FRAMES
    options = write_study(folder, write_arrays(folder, num_utterances), num_frames)
    jobs = costed(planned(options), read_units())
    for rule in sorted({*rules}, key=RULES.index):
        for one in jobs:
            name = cell_name(one, num_frames)
            if one.job.rule == rule and name not in kept_rows():
                row = row_of(one, num_frames, make(options, one))
                write_rows(kept_rows() | ({name: row} if row else {}))


def write_rows(rows: dict[str, dict[str, Any]]) -> None:
    """Write the table and the page."""
    TABLE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if rows:
        PAGE.write_text(page(list(rows.values())), encoding="utf-8")


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[500_000])
    parser.add_argument("--rules", nargs="+", choices=RULES, default=STRUCTURE)
    parser.add_argument("--folder", type=Path, default=Path("data/real_size"))
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for num_frames in arguments.frames:
        measure(arguments.folder.resolve(), num_frames, arguments.rules)


if __name__ == "__main__":
    main()
