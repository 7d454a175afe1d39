"""Planted latents of 512 dimensions, for the units that the demo's 32 dimensions do not tell.

`python bench/wide_arrays.py` writes data/wide and data/wide.csv. Then
`snakemake -c1 --configfile studies/arrays.yaml bench/wide.yaml` makes a study of them, and
`python bench/unit_costs.py results/demo results/wide` fits the units to both.
"""

import csv
from pathlib import Path

import numpy as np

DIMS, SPEAKERS, UTTERANCES, FRAMES = 512, 20, 12, 50
DECAY = 0.6  # of a frame into the next one
FOLDER = Path("data/wide")


def main() -> None:
    """Write one autoregressive array for each utterance."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    rows = []
    for number in range(SPEAKERS * UTTERANCES):
        frames = generator.normal(size=(FRAMES, DIMS))
        for place in range(1, FRAMES):
            frames[place] += DECAY * frames[place - 1]
        np.save(FOLDER / f"u{number:03d}.npy", frames.astype(np.float32))
        rows.append((f"u{number:03d}", f"s{number // UTTERANCES:02d}"))
    with FOLDER.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("utterance_id", "speaker_id"), *rows])


if __name__ == "__main__":
    main()
