"""Frames that repeat and frames of digital silence decide nothing, in any instrument."""

from collections.abc import Callable

import numpy as np
import pytest

from engram_audio.densities.dequantization import with_noise
from engram_audio.latents.block import LatentBlock, concatenate_blocks, split_block
from engram_audio.latents.scored import SILENT_RMS, repeated_frames, scored_frames, silent_frames
from engram_audio.latents.summary import summarize
from engram_audio.rollout.paths import collect_starts
from tests.unit.instruments import measure
from tests.unit.prediction_material import World, first_order, make_block, make_world

ADDED = 40  # frames put behind every second clip: half of it


def lengthened(block: LatentBlock, is_silence: bool) -> LatentBlock:
    """Repeat the last frame of every second clip, or put frames of digital silence behind it.

    Silence is as bad as can be: each frame is another one, and most lie outside the data.
    """
    draws = np.random.default_rng(3)
    frames, energy, sizes = [], [], []
    for number in range(len(block.utterance_ids)):
        rows = slice(block.offsets[number], block.offsets[number + 1])
        count = ADDED if number % 2 else 0
        last = block.frames[rows][-1:].repeat(count, 0)
        if is_silence:
            last = 3 * draws.standard_normal(last.shape)
        frames.append(np.concatenate([block.frames[rows], last]).astype(np.float32))
        energy.append(np.pad(block.energy[rows], (0, count)))
        sizes.append(len(frames[-1]))
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    joined = block._replace(
        frames=np.concatenate(frames), energy=np.concatenate(energy), offsets=offsets
    )
    mark = scored_frames(joined.frames, joined.energy, offsets, is_energy_rms=is_silence)
    return joined._replace(is_scored=mark)


def world_with(change: Callable[[LatentBlock], LatentBlock] = lambda block: block) -> World:
    return make_world(first_order(0.7, 3), change=change)


@pytest.fixture(scope="module")
def own() -> dict[str, np.ndarray]:
    return measure(world_with())


@pytest.mark.parametrize("is_silence", [False, True])
def test_idle_ends_of_half_of_all_clips_change_no_number(
    own: dict[str, np.ndarray], is_silence: bool
):
    """The targets and their contexts are the same, so every fit and score is the same."""
    found = measure(world_with(lambda block: lengthened(block, is_silence)))
    for name, values in found.items():
        np.testing.assert_allclose(values, own[name], rtol=1e-6, atol=1e-7, err_msg=name)


def test_what_is_repeated_and_what_is_silent():
    """Equal in every dimension, within an utterance; at most one step of 16-bit audio."""
    frames = np.array([[0, 1], [0, 1], [0, 2], [0, 2], [0, 2]], np.float32)
    offsets = np.array([0, 3, 3, 5])
    assert repeated_frames(frames, offsets).tolist() == [False, True, False, False, True]
    assert not repeated_frames(np.empty((0, 2), np.float32), np.array([0])).any()
    energy = np.array([0.0, SILENT_RMS, np.nextafter(np.float32(SILENT_RMS), np.float32(1)), 1, 0])
    assert silent_frames(energy).tolist() == [True, True, False, False, True]
    both = scored_frames(frames, energy, offsets, is_energy_rms=True)
    assert both.tolist() == [False, False, True, True, False]
    # an energy that is no RMS tells no silence
    repeats = scored_frames(frames, energy, offsets, is_energy_rms=False)
    assert repeats.tolist() == [True, False, True, True, False]


def test_the_mark_stays_with_the_frames():
    """Noise hides a repetition. Joining and splitting keep the mark. Unmarked: repeats count."""
    block = lengthened(make_block(first_order(0.7, 3), 2, 4, 0), is_silence=False)
    noisy = with_noise(block._replace(is_scored=None), np.ones(3), 0)
    assert not repeated_frames(noisy.frames, noisy.offsets).any()
    np.testing.assert_array_equal(noisy.scored(), block.scored())
    pieces = list(split_block(noisy, 100))
    assert len(pieces) > 1
    np.testing.assert_array_equal(concatenate_blocks(pieces).scored(), block.scored())
    assert (~block.scored()).sum() == 4 * ADDED


def test_a_rollout_ends_before_the_first_idle_frame():
    world = world_with(lambda block: lengthened(block, is_silence=True))
    starts = collect_starts(
        lambda: iter([world.eval]), world.material.reference.speakers, 4, 20, 1, 10**6
    )
    idle = np.flatnonzero(~world.eval.scored())
    first = dict(zip(world.eval.utterance_ids, world.eval.offsets, strict=False))
    rows = np.array([first[name] for name in starts.utterance_ids]) + starts.first_frames
    last = rows + starts.lengths.numpy() - 1
    assert not np.isin(last, idle).any() and not np.isin(rows, idle).any()
    assert starts.is_true().sum(1).max() == 20


def test_the_summary_publishes_both_shares():
    """The repeated share needs no sound; the silent share is empty where energy is no RMS."""
    block = lengthened(make_block(first_order(0.7, 3), 2, 4, 0), is_silence=True)
    block.frames[1] = block.frames[0]
    found = summarize([block])
    assert found["repeated_frame_share"] == 1 / len(block.frames)
    assert found["silent_frame_share"] == 4 * ADDED / len(block.frames)
    unheard = summarize([block], is_energy_rms=False)
    assert unheard["silent_frame_share"] is None
    assert unheard["repeated_frame_share"] == found["repeated_frame_share"]
