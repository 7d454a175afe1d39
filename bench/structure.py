"""Time and memory of the structure stage, beside the plain recipe and at full size.

    python bench/structure.py           against the plain recipe where that fits (some minutes);
                                        --num-sizes 1 takes the smallest of each dimension
    python bench/structure.py --full    4.5 M frames x 512 dimensions on disk, all key families

Everything runs in subprocesses, on one thread by default, so that peak memory is that of one job.
Latents are synthetic: x_t = 0.9 x_{t-1} + noise with a mixing of dimensions and speaker offsets.
Writes structure.json and structure.md beside this file (structure-full.* with --full).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from scipy.signal import lfilter

from engram_audio.artifacts.latents import LatentMetadata, LatentStore, write_latent_shard
from engram_audio.keys.config import KeysSection
from engram_audio.keys.fit import KeyMaterial, fit_family
from engram_audio.latents.block import LatentBlock
from engram_audio.structure.config import ScoredFamily, StructureSection, TargetOracleKeys
from engram_audio.structure.key_scores import score_keys
from engram_audio.structure.linear import score_linear
from engram_audio.structure.material import prepare

HERE = Path(__file__).parent
UTTERANCE_FRAMES, UTTERANCES_PER_SPEAKER = 150, 20
SMALL_FAMILIES = {
    "pca": '{"kind":"pca","inputs":["raw"],"num_components":8,'
    '"quantizers":[{"kind":"kmeans","codebook_sizes":[256]}]}',
    "mean_pool": '{"kind":"mean_pool","inputs":["raw"],'
    '"quantizers":[{"kind":"kmeans","codebook_sizes":[64]}]}',
}
INPUTS = '["raw","speaker_centred","increments"]'
SIZES = ((512, (8, 12, 20)), (64, (16, 32)))  # dimensions, shards of 6 000 frames
FULL_FAMILIES = {
    "mean_pool": f'{{"kind":"mean_pool","inputs":{INPUTS},'
    '"quantizers":[{"kind":"kmeans","codebook_sizes":[64]}]}',
    "pca": '{"kind":"pca","inputs":["raw"],"num_components":8,"quantizers":'
    '[{"kind":"kmeans","codebook_sizes":[256,1024,4096]},'
    '{"kind":"quantile_bins","num_bins":4}]}',
    "last_frame": '{"kind":"last_frame","inputs":["raw"],'
    '"quantizers":[{"kind":"kmeans","codebook_sizes":[256]}]}',
    "predictive": '{"kind":"predictive","inputs":["raw"],"num_components":8,'
    '"quantizers":[{"kind":"kmeans","codebook_sizes":[256]}]}',
    "target_oracle": '{"kind":"target_oracle","codebook_sizes":[64,256]}',
}


def key_settings(section: StructureSection) -> KeysSection:
    """Keys fitted with the effort of the stage's oracle."""
    return KeysSection(
        window_frames=section.window_frames,
        minimum_cell_frames=10,
        speaker_pseudo_frames=10.0,
        ridge=1e-3,
        block_frames=section.block_frames,
        fit_memory_gib=section.fit_memory_gib,
        kmeans_restarts=10,
        kmeans_iterations=100,
        seed=section.seed,
    )


def settings(full: bool) -> StructureSection:
    """Settings of the bench: one lag, slice `all`."""
    return StructureSection(
        window_frames=8,
        lags_frames=(1,),
        slices=("all",),
        medial_range=(0.17, 0.83),
        speech_range_db=35.0,
        minimum_cell_frames=100,
        std_floor=1e-6,
        principal_subspaces=(8, 32) if full else (),
        variance_shrinkage_frames=20.0,
        linear_ridges=(1e-6, 1e-2),
        block_frames=65536 if full else 8192,
        fit_memory_gib=2.0 if full else 0.06,
        confidence_quantiles=(0.1, 0.25, 0.5, 0.75, 1.0),
        ngram_orders=(1, 2, 3),
        ngram_minimum_counts=(1, 2, 5, 10),
        seed=0,
    )


def write_shards(
    folder: Path, num_shards: int, speakers_per_shard: int, num_dims: int
) -> dict[str, str]:
    """Write shards and return the part of each utterance; every fifth speaker is eval."""
    metadata = LatentMetadata("bench", num_dims, 12.5, "synthetic", "0" * 64, True, 0)
    scale = np.geomspace(2, 0.2, num_dims).astype(np.float32)
    part_of: dict[str, str] = {}
    num_utterances = speakers_per_shard * UTTERANCES_PER_SPEAKER
    num_frames = num_utterances * UTTERANCE_FRAMES
    for shard in range(num_shards):
        rng = np.random.default_rng([11, shard])
        frames = rng.standard_normal((num_frames, num_dims), dtype=np.float32)
        frames = lfilter(np.ones(1, np.float32), np.array([1, -0.9], np.float32), frames, axis=0)
        frames = np.roll(frames, 1, axis=1) + frames
        speaker = shard * speakers_per_shard + np.arange(num_utterances) // UTTERANCES_PER_SPEAKER
        offsets = rng.standard_normal((speakers_per_shard, num_dims), dtype=np.float32)
        frames += np.repeat(offsets, UTTERANCES_PER_SPEAKER * UTTERANCE_FRAMES, axis=0)
        frames *= scale
        names = [f"s{shard:03d}-u{number:04d}" for number in range(num_utterances)]
        for number, name in enumerate(names):
            held_out = "val" if number % 10 == 3 else "train"
            part_of[name] = "eval" if speaker[number] % 5 == 4 else held_out
        block = LatentBlock(
            frames=frames.astype(np.float32, copy=False),
            energy=rng.random(num_frames, dtype=np.float32),
            offsets=np.arange(num_utterances + 1) * UTTERANCE_FRAMES,
            utterance_ids=np.array(names, dtype=object),
            speaker_ids=np.array([f"p{number:05d}" for number in speaker], dtype=object),
        )
        path = folder / f"shard-{shard:03d}.zarr.zip"
        write_latent_shard(path, block, np.arange(num_frames) / 12.5, metadata, {})
    return part_of


def peak_mib() -> float:
    """Return the peak resident memory of this process, MiB (getrusage would add its parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def work(shards: list[Path], parts: Path, families: dict[str, str], full: bool) -> dict[str, Any]:
    """Run families (and `linear`) in this process; return eval ratios, time and memory."""
    imported = peak_mib()
    start, cpu = time.perf_counter(), time.process_time()
    section = settings(full)
    store = LatentStore(shards)
    part_of = json.loads(parts.read_text())
    material = prepare(lambda: store.blocks(block_frames=section.block_frames), part_of, section)
    ratios: dict[str, float] = {}
    for name, text in families.items():
        if name == "linear":
            score_linear(material)
            continue
        family: Any = TypeAdapter(ScoredFamily).validate_json(text)
        if not isinstance(family, TargetOracleKeys):
            keys = KeyMaterial(material.source, part_of, key_settings(section))
            family = fit_family(name, family, section.lags_frames, keys)
        scores: Any = score_keys(name, family, material).scores
        rows = scores[(scores["part"] == "eval") & (scores["subspace"] == "all")]
        sums = rows.groupby(["key", "control"])[["sse_key", "sse_zero"]].sum()
        for (key, control), row in sums.iterrows():
            if row["sse_zero"] > 0:  # a key without an effective cell scores nothing
                ratios[f"{key}.{control}"] = float(row["sse_key"] / row["sse_zero"])
    return {
        "wall_s": time.perf_counter() - start,
        "cpu_s": time.process_time() - cpu,
        "peak_mib": peak_mib(),
        "imported_mib": imported,
        "ratios": ratios,
    }


def in_subprocess(
    script: str, shards: list[Path], parts: Path, threads: int, *more: str
) -> dict[str, Any]:
    """Run a worker and return its JSON."""
    command = [sys.executable, str(HERE / script), "--parts", str(parts), *more, "--shards"]
    count = str(threads)
    environment = {"OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
    done = subprocess.run(
        [*command, *map(str, shards)],
        env={**os.environ, **environment, "OMP_WAIT_POLICY": "PASSIVE"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare(folder: Path, threads: int, num_sizes: int | None) -> Iterator[dict[str, Any]]:
    """Yield the plain recipe beside the stage at growing N; `num_sizes` of each dimension."""
    for num_dims, sizes in SIZES:
        data = folder / f"d{num_dims}"
        data.mkdir()
        parts = folder / f"parts-{num_dims}.json"
        parts.write_text(json.dumps(write_shards(data, sizes[-1], 2, num_dims)))
        shards = sorted(data.iterdir())
        for size in sizes[:num_sizes]:
            chosen = shards[:size]
            yield {
                "family": f"D={num_dims}",
                "num_dims": num_dims,
                "num_frames": size * 2 * UTTERANCES_PER_SPEAKER * UTTERANCE_FRAMES,
                "stage": in_subprocess("structure.py", chosen, parts, threads, "--worker", "small"),
                "plain": in_subprocess("plain_structure.py", chosen, parts, threads),
            }


def full(
    folder: Path, num_shards: int, threads: int, done: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield all families at a quarter, half and all of the shards (4.5 M frames at 60).

    Hours on one core, so rows that an interrupted run has left are kept.
    """
    known = {(row["family"], row["num_frames"]): row for row in done}
    parts = folder / "parts.json"
    if not parts.exists():
        parts.write_text(json.dumps(write_shards(folder, num_shards, 25, 512)))
    shards = sorted(folder.glob("shard-*.zarr.zip"))[:num_shards]
    for share in (4, 2, 1):
        chosen = shards[: len(shards) // share]
        frames = len(chosen) * 25 * UTTERANCES_PER_SPEAKER * UTTERANCE_FRAMES
        for family in (*FULL_FAMILIES, "linear"):
            if (family, frames) in known:
                yield known[family, frames]
                continue
            job = in_subprocess("structure.py", chosen, parts, threads, "--worker", family)
            yield {"family": family, "num_frames": frames, "stage": job}


def extra_mib(job: dict[str, Any]) -> float:
    """Return what a job needed beyond its imports."""
    return job["peak_mib"] - job["imported_mib"]


def compared_line(row: dict[str, Any]) -> str:
    """Return the Markdown row of a comparison."""
    stage, plain = row["stage"], row["plain"]
    key = "pca.raw.kmeans_256.none"
    return (
        f"| {row['num_dims']} | {row['num_frames']} | {plain['cpu_s']:.1f} | "
        f"{stage['cpu_s']:.1f} | {plain['cpu_s'] / stage['cpu_s']:.1f} | "
        f"{plain['wall_s'] / stage['wall_s']:.1f} | {extra_mib(plain):.0f} | "
        f"{extra_mib(stage):.0f} | {extra_mib(plain) / extra_mib(stage):.1f} | "
        f"{plain['ratios'][key]:.4f} | {stage['ratios'][key]:.4f} |"
    )


def measured_line(row: dict[str, Any]) -> str:
    """Return the Markdown row of a family."""
    job = row["stage"]
    return (
        f"| {row['family']} | {row['num_frames']} | {job['wall_s']:.0f} | {job['cpu_s']:.0f} | "
        f"{job['peak_mib']:.0f} |"
    )


def growth_exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return b of CPU time ~ N^b for each family and contestant with several sizes."""
    found = {}
    for family in dict.fromkeys(row["family"] for row in rows):
        own = [row for row in rows if row["family"] == family]
        if len(own) < 2:
            continue
        sizes = np.log([row["num_frames"] for row in own])
        for who in ("stage", "plain"):
            if who in own[0]:
                times = np.log([row[who]["cpu_s"] for row in own])
                found[f"{family} {who}"] = float(np.polyfit(sizes, times, 1)[0])
    return found


def write_report(name: str, header: str, lines: list[str], rows: list[dict[str, Any]]) -> None:
    """Write JSON and Markdown after each row, so that an interrupted run keeps what it has."""
    exponents = growth_exponents(rows)
    document = {"rows": rows, "time_exponents": exponents}
    (HERE / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    notes = [f"- CPU time ~ N^{value:.2f}: {family}" for family, value in exponents.items()]
    (HERE / f"{name}.md").write_text("\n".join([header, *lines, "", *notes]) + "\n")


def kept_rows(name: str) -> list[dict[str, Any]]:
    """Return the rows of an earlier run; delete its JSON to measure all of them again."""
    path = HERE / f"{name}.json"
    return json.loads(path.read_text())["rows"] if path.is_file() else []


COMPARED_HEADER = (
    "| D | frames | plain CPU s | stage CPU s | CPU ratio | wall ratio | plain MiB | stage MiB | "
    "memory ratio | plain pca256 | stage pca256 |\n|---|---|---|---|---|---|---|---|---|---|---|"
)
FULL_HEADER = "| family | frames | wall s | CPU s | peak MiB |\n|---|---|---|---|---|"


def main() -> None:
    """Parse the mode, run it, write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="4.5 M frames x 512 on disk")
    parser.add_argument("--num-sizes", type=int, help="of each dimension, without --full")
    parser.add_argument("--num-shards", type=int, default=60, help="of 75 000 frames, with --full")
    parser.add_argument("--data", type=Path, help="keep the data of --full in this folder")
    parser.add_argument("--threads", type=int, default=1, help="of each subprocess")
    parser.add_argument("--worker", help="one subprocess: `small` or a family")
    parser.add_argument("--shards", type=Path, nargs="+")
    parser.add_argument("--parts", type=Path)
    arguments = parser.parse_args()
    if arguments.worker:
        small = arguments.worker == "small"
        name = arguments.worker
        families = SMALL_FAMILIES if small else {name: FULL_FAMILIES.get(name, "")}
        print(json.dumps(work(arguments.shards, arguments.parts, families, full=not small)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.data or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.full:
            name, header, line = "structure-full", FULL_HEADER, measured_line
            results = full(folder, arguments.num_shards, arguments.threads, kept_rows(name))
        else:
            name, header, line = "structure", COMPARED_HEADER, compared_line
            results = compare(folder, arguments.threads, arguments.num_sizes)
        print(header, flush=True)
        rows: list[dict[str, Any]] = []
        for row in results:
            rows.append(row)
            print(line(row), flush=True)
            write_report(name, header, [line(done) for done in rows], rows)


if __name__ == "__main__":
    main()
