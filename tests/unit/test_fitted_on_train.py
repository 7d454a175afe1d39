"""What is fitted on which frames: slices on their own, twins on train speakers of their split."""

import numpy as np
import pandas as pd
import pytest

from engram_audio.latents.block import LatentBlock
from engram_audio.latents.var import fit_on_train
from engram_audio.structure.comparisons import Analysed, surrogates_of
from engram_audio.structure.material import prepare
from engram_audio.structure.targets import TRAIN
from tests.statistical.planted import section

PARTS = ("train", "train", "val", "select", "eval")
FRAMES, DIMS = 120, 3


def block(scale_of: dict[str, float], edge: float = 1.0) -> LatentBlock:
    """One utterance of each part, scaled by part; steps at its edges are `edge` times larger."""
    rng = np.random.default_rng(4)
    position = np.arange(FRAMES) / FRAMES
    size = np.where((position < 0.17) | (position >= 0.83), edge, 1.0)[:, None]
    frames = [
        scale_of.get(part, 1.0) * np.cumsum(size * rng.standard_normal((FRAMES, DIMS)), axis=0)
        for part in PARTS
    ]
    names = np.array([f"u{number}" for number in range(len(PARTS))], dtype=object)
    rows = np.concatenate(frames).astype(np.float32)
    offsets = np.arange(len(PARTS) + 1) * FRAMES
    return LatentBlock(rows, np.ones(len(rows), np.float32), offsets, names, names)


def part_of(data: LatentBlock) -> dict[str, str]:
    return dict(zip(data.utterance_ids, PARTS, strict=True))


def test_a_slice_is_normalised_by_its_own_train_frames():
    """Steps are five times larger at the edges: the SD of all frames is not that of the middle."""
    data = block({}, edge=5.0)
    material = prepare(
        lambda: iter([data]), part_of(data), section(slices=("all", "medial", "initial"))
    )
    for name in ("all", "medial", "initial"):
        targets, normalization = material.places[name, 1]
        rows = targets.rows[0][targets.part == TRAIN]
        z = normalization.apply(data.frames, rows).astype(np.float64)
        np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose((z**2).mean(axis=0), 1, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("part", ["val", "select", "eval"])
def test_statistics_and_twins_do_not_see_other_parts(part: str):
    """Frames of a part are made seven times larger, and no bit of what train says moves."""
    found = []
    for scale in (1.0, 7.0):
        data = block({part: scale})
        material = prepare(lambda data=data: iter([data]), part_of(data), section(slices=("all",)))
        model = fit_on_train(lambda names, data=data: [chosen(data, names)], part_of(data), 2)
        found.append([*material.places["all", 1].normalization[:2], *model])
    for before, after in zip(*found, strict=True):
        np.testing.assert_array_equal(before, after)


def chosen(data: LatentBlock, names: set[str]) -> LatentBlock:
    """Return some utterances."""
    kept = [number for number, name in enumerate(data.utterance_ids) if name in names]
    rows = np.concatenate([np.arange(*data.offsets[n : n + 2]) for n in kept])
    return LatentBlock(
        data.frames[rows], data.energy[rows], np.arange(len(kept) + 1) * FRAMES,
        data.utterance_ids[kept], data.speaker_ids[kept],
    )  # fmt: skip


def test_surrogates_stand_beside_a_key_of_their_own_split():
    known = {
        (name, seed): Analysed(pd.DataFrame({"seed": [seed]}), {})
        for name in ("codec", "codec--var", "codec--shuffled")
        for seed in (3, 0, 7)
    }
    for seed in (3, 0, 7):
        found = surrogates_of(("codec", seed), known)
        assert set(found) == {"var", "shuffled"}
        assert all(one is known[f"codec--{kind}", seed] for kind, one in found.items())
