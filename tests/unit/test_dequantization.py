"""How much noise frames get, and what it costs."""

import numpy as np
import pytest

from engram_audio.densities.dequantization import dequantization_sd, noise_cost, noise_costs
from engram_audio.densities.nulls import NullMoments, base_for, fit_linear_nulls
from engram_audio.latents.block import LatentBlock
from tests.unit.prediction_material import Simulator, World, first_order, make_world, white_noise


def mixed(num_dims: int) -> Simulator:
    """A slow walk (r = .999) in the first dimensions, white noise in the last one."""
    slow, white = first_order(0.999, num_dims - 1), white_noise(1)
    return lambda generator, length: np.concatenate(
        [slow(generator, length), white(generator, length)], axis=1
    )


def test_the_noise_is_a_share_of_the_smaller_of_position_and_step():
    """A slow dimension by its steps; a white one, whose steps are larger, by its position."""
    reference = make_world(mixed(3), num_utterances=4).material.reference
    noise = dequantization_sd(reference, 0.01)
    expected = [*(0.01 * reference.delta_sd[:2]), 0.01 * reference.frame_sd[2]]
    assert noise == pytest.approx(expected)
    assert (noise[:2] < 0.002 * reference.frame_sd[:2] * 10).all()


def with_added(world: World, noise_sd: np.ndarray) -> list:
    """Linear nulls of a world's train frames with independent noise added."""
    generator = np.random.default_rng(7)
    block: LatentBlock = world.train
    noise = noise_sd * generator.standard_normal(block.frames.shape)
    noisy = block._replace(frames=(block.frames + noise).astype(np.float32))
    material = world.material
    moments = NullMoments(material.reference, material.window_frames, (1, 2), "val")
    moments.accumulate(lambda: iter([noisy]), world.part_of, material.window_frames)
    return fit_linear_nulls(moments, ("delta", "position"), (1, 2, 4), (1e-6,))


@pytest.mark.parametrize("noise", [0.05, 0.4])
@pytest.mark.parametrize(("lag", "event"), [(1, "delta"), (1, "position"), (2, "delta")])
def test_the_cost_is_what_the_residual_loses_without_the_noise(noise: float, lag: int, event: str):
    """AR(1), D = 2: against the clean residual's variance for the null's very weights.

    The noise is independent of the frames, so the formula is exact but for sampling: the product of
    noise and frame averages to 0 with an SD of about 2 noise / sqrt(5000) of the variance.
    """
    world = make_world(first_order(0.8, 2), num_train_speakers=10)
    noise_sd = np.full(2, noise)
    arrays = base_for(with_added(world, noise_sd), lag, event, True, True).fit.arrays
    found = noise_cost(arrays, lag, noise_sd)
    total = np.linalg.slogdet(arrays.scale @ arrays.scale)[1]
    assert found == pytest.approx(
        0.5 * (total - clean_log_det(world, arrays, lag)), abs=0.1 * noise
    )
    assert found > noise**2 / 2  # each of two dimensions loses half the noise's share at least


def clean_log_det(world: World, arrays, lag: int) -> float:
    """Log determinant of the same weights' residual on the frames without noise."""
    data = world.material.data("train", lag)
    frames, rows = world.train.frames.astype(np.float64), data.targets.numpy()
    order = len(arrays.weight) // 2
    newest = frames[rows - lag] - arrays.frame_mean
    steps = [frames[rows - lag - j] - frames[rows - lag - j - 1] for j in range(order - 1)]
    value = frames[rows] - (frames[rows - 1] if arrays.target == "delta" else 0.0)
    residual = value - arrays.intercept - np.concatenate([newest, *steps], 1) @ arrays.weight
    return float(np.linalg.slogdet(np.cov(residual.T))[1])


def test_a_slow_walk_pays_little_for_its_noise_and_much_for_a_share_of_its_position():
    world = make_world(first_order(0.999, 4))
    reference = world.material.reference
    costs = [
        noise_costs(with_added(world, sd), (1,), ("delta",), sd)[1, "delta"]
        for sd in (dequantization_sd(reference, 0.01), 0.05 * reference.frame_sd)
    ]
    assert costs[0] < 0.001  # 4 dims, (1 % + 1 %)^2 of a step's variance each, halved
    assert costs[1] > 0.3
