"""A small representation, ready for scoring: 20 speakers, two slices at two lags."""

import numpy as np

from engram_audio.latents.block import LatentBlock
from engram_audio.structure.config import StructureSection
from engram_audio.structure.material import Material, prepare

SPEAKERS, UTTERANCES, FRAMES, DIMS = 20, 2, 40, 2
SECTION = StructureSection(
    window_frames=4, lags_frames=(1, 2), slices=("all", "medial"), medial_range=(0.17, 0.83),
    speech_range_db=35.0, minimum_cell_frames=5, std_floor=1e-6, principal_subspaces=(),
    variance_shrinkage_frames=20.0, linear_ridges=(1e-2,), block_frames=8192, fit_memory_gib=0.1,
    confidence_quantiles=(0.5, 1.0), ngram_orders=(1,), ngram_minimum_counts=(1,), seed=0,
)  # fmt: skip


def material_of() -> Material:
    """Return the representation, in blocks of four utterances; every fifth speaker is eval."""
    names = [f"s{speaker:02d}" for speaker in range(SPEAKERS) for _ in range(UTTERANCES)]
    utterances = [f"{name}-{number}" for number, name in enumerate(names)]
    frames = np.random.default_rng(3).standard_normal((len(names), FRAMES, DIMS), np.float32)
    part_of = {
        one: "eval" if int(one[1:3]) % 5 == 4 else "val" if int(one[1:3]) % 5 == 3 else "train"
        for one in utterances
    }

    def source():
        for first in range(0, len(names), 4):
            chosen = slice(first, first + 4)
            yield LatentBlock(
                frames[chosen].reshape(-1, DIMS), np.ones(4 * FRAMES, np.float32),
                np.arange(5) * FRAMES, np.array(utterances[chosen], dtype=object),
                np.array(names[chosen], dtype=object),
            )  # fmt: skip

    return prepare(source, part_of, SECTION)
