"""The VAR twin: parameters recovered, stationary at once, stable, shards independent."""

import numpy as np
import pytest

from engram_audio.errors import InputError
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.var import (
    VarModel,
    fit_var,
    simulate_var,
    spectral_radius,
    stationary_covariance,
)

TRANSITION = np.array([[0.7, 0.2], [-0.1, 0.5]])  # x_t = TRANSITION x_{t-1} + e
INNOVATION = np.array([[1.0, 0.3], [0.3, 0.5]])
MEAN = np.array([5.0, -40.0])


def layout(sizes: np.ndarray, dims: int = 2) -> LatentBlock:
    return LatentBlock(
        frames=np.zeros((int(sizes.sum()), dims), np.float32),
        energy=np.zeros(int(sizes.sum()), np.float32),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        utterance_ids=np.array([f"u{i}" for i in range(len(sizes))], dtype=object),
        speaker_ids=np.array(["s"] * len(sizes), dtype=object),
    )


def truth() -> VarModel:
    def factor(matrix: np.ndarray) -> np.ndarray:
        return np.linalg.cholesky(matrix)

    coefficients = TRANSITION.T
    return VarModel(
        coefficients=coefficients,
        mean=MEAN,
        innovation_factor=factor(INNOVATION),
        start_factor=factor(stationary_covariance(coefficients, INNOVATION)),
        fitted_radius=np.array([spectral_radius(coefficients)]),
        radius=np.array([spectral_radius(coefficients)]),
        num_frames=np.array([0]),
        residuals=np.zeros((0, 2), np.float32),
    )


def halves(data: LatentBlock) -> list[LatentBlock]:
    middle = len(data.utterance_ids) // 2
    cut = data.offsets[middle]
    return [
        LatentBlock(data.frames[:cut], data.energy[:cut], data.offsets[: middle + 1],
                    data.utterance_ids[:middle], data.speaker_ids[:middle]),
        LatentBlock(data.frames[cut:], data.energy[cut:], data.offsets[middle:] - cut,
                    data.utterance_ids[middle:], data.speaker_ids[middle:]),
    ]  # fmt: skip


@pytest.mark.parametrize("order", [1, 3])
def test_a_known_var_is_recovered(order: int):
    """Coefficient errors have SD about sqrt(q / (N p)), here 0.006 to 0.008; 5 SD are allowed.

    Orders above the true one get coefficients that are zero within the same error.
    """
    data = simulate_var(truth(), layout(np.full(400, 60)), 0)
    model = fit_var(lambda: halves(data), order)
    count = 400 * (60 - order)
    stationary = stationary_covariance(TRANSITION.T, INNOVATION)
    spread = np.sqrt(
        np.diag(INNOVATION)[None, :] * np.diag(np.linalg.inv(stationary))[:, None] / count
    )
    # with more lags the regressors are correlated; conditioning on the past leaves INNOVATION
    if order > 1:
        spread = np.sqrt(
            np.diag(INNOVATION)[None, :] * np.diag(np.linalg.inv(INNOVATION))[:, None] / count
        )
        np.testing.assert_array_less(
            np.abs(model.coefficients[2:]), 5 * 1.5 * np.tile(spread, (2, 1))
        )
    np.testing.assert_array_less(np.abs(model.coefficients[:2] - TRANSITION.T), 5 * spread)
    found = model.innovation_factor @ model.innovation_factor.T
    np.testing.assert_allclose(found, INNOVATION, atol=5 * np.sqrt(2 / count))
    assert int(model.num_frames[0]) == count
    assert model.radius == model.fitted_radius


def test_blocks_and_their_mean_do_not_change_the_fit():
    """Streaming is exact: one block, two blocks and a shifted copy give the same coefficients."""
    data = simulate_var(truth(), layout(np.full(50, 40)), 1)
    one, two = fit_var(lambda: [data], 2), fit_var(lambda: halves(data), 2)
    moved = fit_var(lambda: [data._replace(frames=data.frames + np.float32(64))], 2)
    np.testing.assert_allclose(one.coefficients, two.coefficients, atol=1e-5)
    # float32 frames near 64 resolve 64 * 2^-24 = 4e-6 of values of SD 1.3
    np.testing.assert_allclose(one.coefficients, moved.coefficients, atol=1e-4)
    np.testing.assert_allclose(one.mean + 64, moved.mean, atol=1e-4)


def test_simulation_is_stationary_from_the_first_frame():
    """Covariance at frame 0 and at the last frame both equal the stationary one.

    4000 utterances: relative SD of a variance is sqrt(2 / 4000) = 0.022; 5 SD are allowed, in units
    of the product of the two SDs.
    """
    data = simulate_var(truth(), layout(np.full(4000, 8)), 2)
    stationary = stationary_covariance(TRANSITION.T, INNOVATION)
    scale = np.sqrt(np.outer(np.diag(stationary), np.diag(stationary)))
    for frame in (0, 7):
        rows = data.frames[data.offsets[:-1] + frame] - MEAN
        gap = (rows.T @ rows / 4000 - stationary) / scale
        assert np.abs(gap).max() < 5 * np.sqrt(2 / 4000)
        assert np.abs(rows.mean(axis=0) / np.sqrt(np.diag(stationary))).max() < 5 / np.sqrt(4000)


def test_the_twin_has_the_autocorrelation_of_its_origin():
    """Fit on one process, simulate, compare lag-one matrices within 5 SD of sampling."""
    origin = simulate_var(truth(), layout(np.full(300, 80)), 3)
    twin = simulate_var(fit_var(lambda: [origin], 2), layout(np.full(300, 80)), 4)

    def lag_one(data: LatentBlock) -> np.ndarray:
        rows = data.frames.reshape(300, 80, 2) - MEAN
        return np.einsum("uti,utj->ij", rows[:, 1:], rows[:, :-1]) / (300 * 79)

    # each estimate has SD of about variance * sqrt(correlation time / N) <= 2.5 * sqrt(10 / 23700)
    np.testing.assert_allclose(lag_one(twin), lag_one(origin), atol=5 * 2**0.5 * 2.5 * 0.0205)


def test_a_resampled_twin_keeps_the_shape_of_the_innovations():
    """Innovations of +-1: their kurtosis is 1, a Gaussian twin's is 3; both keep the spectrum.

    A kurtosis of 3 has SD sqrt(24 / N) = 0.03 here, one of 1 has less. The start is Gaussian and a
    hundredth of it is left: coefficients that are wrong by 0.006 move the kurtosis by less.
    """
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(300, 80)).astype(np.float32)
    frames = np.zeros((300, 80), np.float32)
    for t in range(1, 80):
        frames[:, t] = 0.8 * frames[:, t - 1] + signs[:, t]
    data = layout(np.full(300, 80), 1)._replace(frames=frames.reshape(-1, 1))
    model = fit_var(lambda: [data], 1)

    def kurtosis(kind: str) -> tuple[float, float]:
        rows = simulate_var(model, data, 0, kind).frames.reshape(300, 80)
        innovations = rows[:, 1:] - 0.8 * rows[:, :-1]
        return float(np.mean(innovations**4) / np.mean(innovations**2) ** 2), float(rows.var())

    gaussian, resampled = kurtosis("var"), kurtosis("var_resampled")
    assert gaussian[0] == pytest.approx(3, abs=5 * 0.03)
    assert resampled[0] == pytest.approx(1, abs=0.05)
    # variance 1 / (1 - .64) = 2.78; SD of its estimate 2.78 sqrt(2 * 4.6 / 24000) = .054
    assert resampled[1] == pytest.approx(1 / (1 - 0.64), abs=5 * 0.054)


def test_kept_residuals_are_evenly_spaced_over_blocks(monkeypatch: pytest.MonkeyPatch):
    """The kept residuals do not depend on where blocks end, and there are at most so many."""
    monkeypatch.setattr("engram_audio.latents.var.KEPT_RESIDUALS", 100)
    data = simulate_var(truth(), layout(np.full(51, 41)), 1)
    one, two = fit_var(lambda: [data], 1), fit_var(lambda: halves(data), 1)
    assert 90 <= len(one.residuals) <= 100
    np.testing.assert_allclose(one.residuals, two.residuals, atol=1e-4)


def test_an_unstable_fit_is_shrunk_and_says_so():
    """Growing sequences fit a radius above one; the model that is simulated is stable."""
    steps = np.arange(40)
    frames = np.concatenate([np.exp(0.05 * steps) * (1 + 0.01 * u) for u in range(30)]).astype(
        np.float32
    )[:, None]
    data = layout(np.full(30, 40), 1)._replace(frames=frames)
    model = fit_var(lambda: [data], 1)
    assert model.fitted_radius[0] > 1
    assert model.radius[0] == pytest.approx(np.exp(-30 / (30 * 39)))
    assert spectral_radius(model.coefficients) == pytest.approx(model.radius[0])
    assert np.isfinite(simulate_var(model, data, 0).frames).all()


def test_duplicated_dimensions_do_not_break_the_fit():
    """Singular normal equations: the fit predicts as well as without the copy."""
    data = simulate_var(truth(), layout(np.full(100, 40)), 5)
    doubled = data._replace(frames=np.hstack([data.frames, data.frames]))
    model, single = fit_var(lambda: [doubled], 1), fit_var(lambda: [data], 1)
    both = model.coefficients[:2, :2] + model.coefficients[2:, :2]
    np.testing.assert_allclose(both, single.coefficients, atol=1e-4)


def test_the_stationary_covariance_solves_its_equation_even_near_one():
    coefficients = np.array([[0.9999]])
    covariance = stationary_covariance(coefficients, np.array([[1.0]]))
    assert covariance[0, 0] == pytest.approx(1 / (1 - 0.9999**2), rel=1e-9)


def test_an_utterance_does_not_depend_on_its_shard():
    """Seeds are per utterance; only the rounding of a wider matrix product may differ."""
    sizes = np.array([7, 30, 12])
    whole = simulate_var(truth(), layout(sizes), 0)
    alone = layout(sizes[1:2])._replace(utterance_ids=np.array(["u1"], dtype=object))
    np.testing.assert_allclose(
        simulate_var(truth(), alone, 0).frames, whole.frames[7:37], atol=1e-4
    )
    assert not np.array_equal(simulate_var(truth(), layout(sizes), 1).frames, whole.frames)


def test_too_little_speech_is_refused():
    moving = np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)
    data = layout(np.array([5, 5]))._replace(frames=moving)
    with pytest.raises(InputError, match=r"representations\.surrogates\.var_order: 2 train frames"):
        fit_var(lambda: [data], 4)
    with pytest.raises(InputError, match="no frame"):
        fit_var(lambda: [], 1)


def test_the_innovations_variance_counts_the_fitted_coefficients():
    """White noise of variance 1, 60 frames, 17 coefficients: 1 and not 43 / 60.

    The mean over 40 fits of 4 dimensions with 43 degrees of freedom has a standard error of
    sqrt(2 / (160 x 43)) = .017.
    """
    found = []
    for seed in range(40):
        block = layout(np.array([64]), 4)
        noise = np.random.default_rng(seed).standard_normal(block.frames.shape)
        data = block._replace(frames=noise.astype(np.float32))
        model = fit_var(lambda data=data: [data], 4)
        found.append(np.diag(model.innovation_factor @ model.innovation_factor.T).mean())
    assert np.mean(found) == pytest.approx(1.0, abs=4 * 0.017)
