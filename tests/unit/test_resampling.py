"""Laws of a change of frame rate: orthonormal, the same in shards, causal, losses counted."""

import numpy as np
import pytest

from engram_audio.latents.block import LatentBlock, concatenate_blocks
from engram_audio.latents.resampling import (
    group_frames,
    group_turn,
    resample_block,
    ungroup_frames,
    within_group_share,
)
from engram_audio.latents.summary import carried_over, gather_extraction
from tests.property.test_surrogates import block, part

MODES = ("stack", "average", "average_residual")
SIZES = [13, 2, 9, 24]


@pytest.mark.parametrize("size", [2, 3, 8])
def test_the_turn_is_orthonormal_and_begins_with_the_mean(size: int):
    turn = group_turn(size)
    np.testing.assert_allclose(turn @ turn.T, np.eye(size), atol=1e-12)
    np.testing.assert_allclose(turn[0], 1 / np.sqrt(size))


@pytest.mark.parametrize("mode", ["stack", "average_residual"])
def test_grouping_is_undone_but_for_the_partial_group(mode: str):
    frames = block([23]).frames
    groups = group_frames(frames, 4, mode)
    assert groups.shape == (5, 4 * 3)
    np.testing.assert_allclose(ungroup_frames(groups, 4, mode), frames[:20], atol=1e-5)


def test_distances_are_those_of_stacked_frames():
    """An orthonormal map keeps every distance, hence every density."""
    first, second = block([20]).frames, block([20], seed=1).frames
    gaps = [group_frames(first, 5, m) - group_frames(second, 5, m) for m in MODES]
    stacked, averaged, turned = (np.linalg.norm(gap, axis=1) for gap in gaps)
    np.testing.assert_allclose(turned, stacked, rtol=1e-5)
    assert np.all(averaged * np.sqrt(5) <= stacked + 1e-5)
    np.testing.assert_allclose(gaps[2][:, :3], np.sqrt(5) * gaps[1], atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_shards_give_the_groups_of_the_whole(mode: str):
    data = block(SIZES)
    whole = resample_block(data, 3, mode)
    shards = [resample_block(part(data, number), 3, mode) for number in range(len(SIZES))]
    joined = concatenate_blocks([shard.block for shard in shards if len(shard.block.frames)])
    for field in LatentBlock._fields[:-1]:
        np.testing.assert_array_equal(getattr(joined, field), getattr(whole.block, field))
    np.testing.assert_array_equal(joined.scored(), whole.block.scored())
    assert sum(shard.num_dropped for shard in shards) == whole.num_dropped == 1 + 2
    assert whole.left_out.tolist() == [1]  # two frames are no group of three


@pytest.mark.parametrize("mode", MODES)
def test_a_group_depends_on_its_own_frames_only(mode: str):
    frames = block([24]).frames
    changed = frames.copy()
    changed[12:] += 1.0
    before, after = (group_frames(rows, 4, mode) for rows in (frames, changed))
    np.testing.assert_array_equal(before[:3], after[:3])
    assert np.all(np.any(before[3:] != after[3:], axis=1))


def test_energy_is_the_rms_over_the_group():
    data = block([8])
    grouped = resample_block(data, 4, "average").block
    expected = np.sqrt((data.energy.astype(float) ** 2).reshape(2, 4).mean(1))
    np.testing.assert_allclose(grouped.energy, expected, rtol=1e-6)


def test_the_share_that_averaging_drops_is_that_of_the_whole_representation():
    """Law of total variance: what is left between groups is the variance of the means."""
    data = block([12, 24, 36])
    moments = [resample_block(part(data, n), 4, "average").moments for n in range(3)]
    between = data.frames.reshape(-1, 4, 3).mean(1).var(axis=0, dtype=float).sum()
    expected = 1 - between / data.frames.var(axis=0, dtype=float).sum()
    assert within_group_share(moments) == pytest.approx(expected, rel=1e-5)


def test_white_frames_lose_all_but_one_in_r_of_their_variance():
    generator = np.random.default_rng(0)
    data = block([8000])._replace(frames=generator.normal(size=(8000, 3)).astype(np.float32))
    share = within_group_share([resample_block(data, 4, "average").moments])
    # 24 000 values: the share's SD is about sqrt(2 / 24 000) = 0.009
    assert share == pytest.approx(1 - 1 / 4, abs=0.03)


def test_nothing_grouped_has_no_share_and_no_rows():
    resampled = resample_block(block([2, 1]), 3, "stack")
    assert resampled.block.frames.shape == (0, 9)
    assert np.isnan(within_group_share([resampled.moments]))


def test_a_summary_adds_up_the_shards_and_keeps_the_self_tests_of_the_codec():
    test = {"name": "weights", "value": None, "is_passed": True}
    source = {"extraction": {"self_tests": [test], "excluded": [1]}, "rate": {"bits_per_s": 8.0}}
    shared = {"source": "a", "mode": "stack", "frames_per_group": 4}
    manifests = [
        {**carried_over(source), "resampling": {**shared, "num_dropped_frames": n, "moments": m}}
        for n, m in enumerate(resample_block(block([8 + k]), 4, "stack").moments for k in range(3))
    ]
    found = gather_extraction(manifests)
    assert found["resampling"]["num_dropped_frames"] == 0 + 1 + 2
    assert found["self_tests"] == [test] and found["excluded"] == []
    assert found["rate"] == {"bits_per_s": 8.0}
    posterior = {**source, "rate": {"bits_per_s": 8.0, "kind": "posterior_kl"}}
    assert "rate" not in carried_over(posterior)  # measured on whole clips, and no bound
