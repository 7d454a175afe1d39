"""What the oracle's small effort loses: 10 passes over 64 frames a cell, against 100 over all.

`python bench/oracle.py` plants 120,000 frames twice, as Gaussian noise and as 64
prototypes beside noise, fits cells both ways and prints the share of held-out variance that their
means explain. Writes oracle.json beside this file. The oracle says what is attainable, so a loss
makes it too small.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np

from engram_audio.numerics.kmeans import assign, evenly, fit_kmeans
from engram_audio.structure.oracle import FRAMES_PER_CELL, ITERATIONS

FRAMES, HELD_OUT, PROTOTYPES = 120_000, 30_000, 64


def planted(kind: str, num_dims: int) -> np.ndarray:
    """Return frames to fit on and to score, [N, D], float32."""
    generator = np.random.default_rng([5, num_dims])
    frames = generator.standard_normal((FRAMES + HELD_OUT, num_dims), dtype=np.float32)
    if kind == "prototypes":
        centres = generator.standard_normal((PROTOTYPES, num_dims), dtype=np.float32)
        frames += centres[generator.integers(PROTOTYPES, size=len(frames))]
    return frames


def explained(frames: np.ndarray, num_cells: int, most: int, passes: int) -> tuple[float, float]:
    """Return the share of held-out variance that cells explain, and the CPU seconds of the fit."""
    start = time.process_time()
    sample = evenly(frames[:FRAMES], most)
    cells = fit_kmeans(sample, num_cells, 1, passes, np.random.default_rng(0))
    took = time.process_time() - start
    held_out = frames[FRAMES:]
    left = float(assign(held_out, cells)[1].sum(dtype=np.float64))
    total = float(np.square(held_out - held_out.mean(0), dtype=np.float64).sum())
    return 1.0 - left / total, took


def compared(kind: str, num_dims: int, num_cells: int) -> dict[str, float | int | str]:
    """Return both shares, and what is lost."""
    frames = planted(kind, num_dims)
    small, small_s = explained(frames, num_cells, FRAMES_PER_CELL * num_cells, ITERATIONS)
    whole, whole_s = explained(frames, num_cells, FRAMES, 100)
    return {
        "frames": kind, "dims": num_dims, "cells": num_cells, "explained": round(small, 4),
        "explained_by_100_passes": round(whole, 4), "lost": round(whole - small, 4),
        "cpu_s": round(small_s, 1), "cpu_s_of_100_passes": round(whole_s, 1),
    }  # fmt: skip


def main() -> None:
    """Print and write a row for each kind of frames and number of cells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dims", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--cells", type=int, nargs="+", default=[64, 256])
    arguments = parser.parse_args()
    rows = []
    for kind in ("noise", "prototypes"):
        for num_dims, num_cells in itertools.product(arguments.dims, arguments.cells):
            rows.append(compared(kind, num_dims, num_cells))
            print(rows[-1], flush=True)
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
