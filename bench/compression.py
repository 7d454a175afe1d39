"""Size and speed of latent shards by compression: ratios against shards that are not packed.

`python bench/compression.py SHARD ...` packs each shard's latents anew in every way, reads them
back, and writes compression.json beside this file. Times are CPU seconds, the smallest of three.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engram_audio.artifacts.latents import COMPRESSORS, LatentStore, write_latent_shard
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.extraction import frame_times

REPEATS = 3
LEAST_FRAMES = 100_000  # shorter shards are repeated: a file must outlast what a process costs


def cpu_s(action: Callable[[], object]) -> float:
    """Return the CPU seconds of an action: the smallest of some."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def repeated(block: LatentBlock) -> LatentBlock:
    """Return a block often enough that it has the frames of a shard."""
    count = -(-LEAST_FRAMES // len(block.frames))
    sizes = np.tile(np.diff(block.offsets), count)
    names = np.array([f"u{number}" for number in range(len(sizes))], dtype=object)
    return block._replace(
        frames=np.tile(block.frames, (count, 1)),
        energy=np.tile(block.energy, count),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        utterance_ids=names,
        speaker_ids=np.tile(block.speaker_ids, count),
        is_scored=np.tile(block.scored(), count),
    )


def measure(path: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Return bytes per float, and CPU seconds of writing and reading over those of `none`."""
    store = LatentStore([path])
    block, metadata = repeated(store.load()), store.metadata._replace(cold_start_frames=0)
    times = frame_times(block.offsets, metadata.frame_rate_hz)
    rows = {}
    for name in COMPRESSORS:
        target = folder / f"{name}.zarr.zip"

        def write(target: Path = target, name: str = name) -> None:
            write_latent_shard(target, block, times, metadata, {}, compression=name)

        write_s = cpu_s(write)
        read_s = cpu_s(lambda target=target: LatentStore([target]).load())
        assert np.array_equal(LatentStore([target]).load().frames, block.frames)
        rows[name] = {"bytes": target.stat().st_size, "write_s": write_s, "read_s": read_s}
    plain = rows["none"]
    return {
        name: {key: round(value / plain[key], 3) for key, value in row.items()}
        for name, row in rows.items()
    }


def main() -> None:
    """Measure, print and write."""
    found = {}
    for path in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            name = LatentStore([path]).metadata.representation
            found[name] = measure(path, Path(folder))
    text = json.dumps(found, indent=1)
    print(text)
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
