"""Near copies are found under another speaker, and independent utterances are never taken for one.

A pair is found by chance in one corpus of a thousand (`near_copies.FALSE_ALARMS`).
"""

import numpy as np
import pytest

from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.names import WORLD_NAMES
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.world import simulate
from engram_audio.latents.block import LatentBlock, drop_utterances
from engram_audio.latents.near_copies import Copied, Signatures

CHANGES = {
    "as it is": lambda frames, noise: frames,
    "noise": lambda frames, noise: frames + 0.1 * noise,
    "gain": lambda frames, noise: 1.15 * frames,
    "trimmed": lambda frames, noise: frames[1:],
}


def copied(*blocks: LatentBlock) -> Copied:
    signatures = Signatures()
    assert len(list(signatures.watch(blocks))) == len(blocks)
    return signatures.copied()


def with_copies(block: LatentBlock, change: str, speaker: str) -> LatentBlock:
    """Return the first three utterances once more, changed, under a speaker."""
    generator = np.random.default_rng(0)
    frames = [block.frames[block.offsets[u] : block.offsets[u + 1]] for u in range(3)]
    rows = [CHANGES[change](one, generator.normal(size=one.shape)) for one in frames]
    sizes = np.array([len(one) for one in rows])
    return LatentBlock(
        np.concatenate(rows).astype(np.float32), np.ones(sizes.sum(), np.float32),
        np.concatenate([[0], np.cumsum(sizes)]), np.array(["c0", "c1", "c2"], dtype=object),
        np.array([speaker] * 3, dtype=object),
    )  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["ar1_r09", "type2"])
def test_a_copy_under_another_speaker_is_found_and_named(name: str, change: str):
    block = simulate(make_world(name, 0), WorldSize(20, 20, 10)).block
    found = copied(block, with_copies(block, change, "another"))
    expected = {(str(block.utterance_ids[u]), f"c{u}") for u in range(3)}
    assert {(one.first, one.second) for one in found.pairs} == expected
    assert found.utterance_share == pytest.approx(6 / 403)
    same = with_copies(block, change, str(block.speaker_ids[0]))
    assert copied(block, same).utterance_share == 0, "splits keep a speaker's utterances together"


def test_no_planted_world_has_near_copies_but_the_one_that_plants_them():
    """46 worlds of 400 utterances: .05 pairs are expected by chance."""
    shares = {
        name: copied(simulate(make_world(name, 0), WorldSize(20, 20, 10)).block).utterance_share
        for name in WORLD_NAMES
    }
    assert shares.pop("near_copies") > 0.1
    assert not any(shares.values()), shares


def test_what_cannot_be_told_apart_is_not_called_a_copy():
    """Silent utterances are all alike, and a few utterances give no directions to tell by."""
    block = simulate(make_world("ar1_r09", 0), WorldSize(20, 20, 10)).block
    silent = block.frames.copy()
    silent[: block.offsets[30]] = 0.25
    assert copied(block._replace(frames=silent)).utterance_share == 0
    few = drop_utterances(block, range(10, len(block.utterance_ids)))
    assert copied(few, with_copies(few, "as it is", "another")).utterance_share == 0
    assert copied().utterance_share == 0
