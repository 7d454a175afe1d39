"""The noisy channel: its numbers come again, its ceiling is exact where it can be known."""

import numpy as np
import pytest

from engram_audio.errors import InputError
from engram_audio.latents.noise import (
    add_noise,
    capacity_bits_per_frame,
    channel_rate,
    measure_scale,
    noisy_block,
)
from tests.property.test_surrogates import block, part

STD = np.array([1.0, 2.0, 0.0])


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_white_gaussian_frames_carry_exactly_the_capacity(ratio: float):
    """I(x; x + n) = D/2 log2(1 + 1/n^2), measured by regression on a million numbers."""
    generator = np.random.default_rng(1)
    frames = generator.normal(size=(200_000, 4)) * [1.0, 2.0, 3.0, 4.0]
    data = block([len(frames)])._replace(frames=frames.astype(np.float32))
    scale = measure_scale([data])
    capacity = capacity_bits_per_frame(scale, ratio)
    assert capacity == pytest.approx(2.0 * np.log2(1 + ratio**-2), rel=1e-3)
    noisy = noisy_block(data, scale.std, ratio, 0).frames
    squared = [np.corrcoef(x, y)[0, 1] ** 2 for x, y in zip(frames.T, noisy.T, strict=True)]
    information = -0.5 * np.log2(1 - np.array(squared)).sum()
    assert information == pytest.approx(capacity, rel=0.02)


def test_dimensions_that_are_copies_carry_less_than_independent_ones():
    frames = np.random.default_rng(0).normal(size=(5000, 1)) * np.ones((1, 3))
    scale = measure_scale([block([5000])._replace(frames=frames.astype(np.float32))])
    assert capacity_bits_per_frame(scale, 1.0) == pytest.approx(0.5 * np.log2(1 + 3), rel=1e-3)


def test_the_scale_is_that_of_numpy_whatever_the_blocks():
    data = block([30, 5, 41])
    scale = measure_scale(part(data, number) for number in range(3))
    np.testing.assert_allclose(scale.std, data.frames.std(axis=0, dtype=float), rtol=1e-5)
    np.testing.assert_allclose(
        scale.correlation, np.corrcoef(data.frames.T.astype(float)), rtol=1e-5
    )


def test_a_constant_dimension_gets_no_noise_and_carries_nothing():
    frames = np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)
    frames = np.concatenate([frames, np.ones((1000, 1), np.float32)], axis=1)
    scale = measure_scale([block([1000])._replace(frames=frames)])
    assert scale.std[2] == 0
    assert capacity_bits_per_frame(scale, 1.0) == pytest.approx(1.0, abs=0.01)
    assert np.all(add_noise(frames, scale.std, 1.0, 0, "u")[:, 2] == 1)


def test_noise_comes_again_and_does_not_depend_on_the_shard():
    data = block([12, 7, 20])
    whole = noisy_block(data, STD, 0.5, 3)
    for number in range(3):
        alone = noisy_block(part(data, number), STD, 0.5, 3)
        np.testing.assert_array_equal(alone.frames, part(whole, number).frames)
    assert np.any(noisy_block(data, STD, 0.5, 4).frames != whole.frames)
    assert np.any(whole.frames[:7, 0] - data.frames[:7, 0] != whole.frames[12:19, 0])


def test_a_head_of_an_utterance_draws_the_same_noise():
    """Noise keeps the past as it was: what comes later changes no earlier frame."""
    frames = block([20]).frames
    long, short = (add_noise(rows, STD, 0.5, 0, "u") for rows in (frames, frames[:8]))
    np.testing.assert_array_equal(long[:8], short)


def test_no_channel_tells_more_than_its_source_had():
    quantised = {"bits_per_s": 100.0, "kind": "quantised"}
    assert channel_rate(quantised, 300.0) == quantised
    assert channel_rate(quantised, 30.0) == {"bits_per_s": 30.0, "kind": "capacity_bound"}
    assert channel_rate(None, 30.0)["bits_per_s"] == 30.0


def test_no_train_frame_is_refused():
    with pytest.raises(InputError, match="no train frame"):
        measure_scale([])
