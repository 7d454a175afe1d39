"""What libraries compute too, on latents of real speech: not one of these references is ours.

The latents are mel_pca frames of sixty shared recordings, ten speakers. Toy numbers are kind: real
latents are correlated, skewed, and end in silence.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.stats
import soundfile
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.mixture import GaussianMixture

from engram_audio import windows
from engram_audio.codecs.config import MelPcaCodecSettings
from engram_audio.codecs.mel_pca import MelPcaCodec, fit_mel_pca
from engram_audio.densities.base import Batch, LinearBase
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.gaussian_mixture import GaussianMixture as Mixture
from engram_audio.densities.gaussian_mixture import head_parameters
from engram_audio.densities.linear import LaggedMoments, ridge_regression
from engram_audio.densities.marginal_em import MixtureParameters, fit_mixture, make_points, mean_nll
from engram_audio.densities.student_t_mixture import StudentTMixture
from engram_audio.densities.trunks import FreeParameters
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.var import fit_var
from engram_audio.numerics.covariance import Covariance
from engram_audio.numerics.kmeans import assign, fit_kmeans
from engram_audio.numerics.subspace import leading_eigenvectors
from engram_audio.numerics.window_moments import WindowAccumulator
from engram_audio.stats.estimate import t_interval, uncertain
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.structure.joint import ContextMoments, ridge_slope

NUM_FILES, NUM_DIMS, WINDOW, LAG = 60, 12, 4, 1
SETTINGS = MelPcaCodecSettings(
    kind="mel_pca", corpus="speech", split_seed=0, sample_rate_hz=16000, num_mels=40, hop_s=0.01,
    window_s=0.04, stack_hops=8, magnitude_floor=1e-5, num_components=NUM_DIMS,
    griffin_lim_iterations=2,
)  # fmt: skip


class Speech(NamedTuple):
    """Latents with their targets, contexts [M, W D] and steps [M, D] in float64."""

    block: LatentBlock
    rows: np.ndarray
    contexts: np.ndarray
    steps: np.ndarray

    @property
    def speakers(self) -> np.ndarray:
        """Speaker of each target, as a number."""
        owner = windows.utterance_of_rows(self.block.offsets, self.rows)
        return np.unique(self.block.speaker_ids.astype(str), return_inverse=True)[1][owner]


@pytest.fixture(scope="module")
def speech(shared_data: Path) -> Speech:
    files = sorted((shared_data / "real-speech").rglob("*.flac"))
    if len(files) < NUM_FILES:
        pytest.skip("shared/data/real-speech lacks its recordings")
    files = files[:: len(files) // NUM_FILES][:NUM_FILES]
    sounds = [soundfile.read(path, dtype="float32")[0] for path in files]
    codec = MelPcaCodec(fit_mel_pca(iter(sounds), SETTINGS), SETTINGS)
    hop = codec.hop_samples
    usable = [sound[: len(sound) // hop * hop] for sound in sounds]
    parts = [codec.encode(one[None], np.array([len(one)]))[0] for one in usable]
    block = LatentBlock(
        frames=np.concatenate(parts).astype(np.float32),
        energy=np.ones(sum(map(len, parts)), np.float32),
        offsets=np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64),
        utterance_ids=np.array([path.stem for path in files], dtype=object),
        speaker_ids=np.array([path.stem.split("-")[0] for path in files], dtype=object),
    )
    rows = windows.target_rows(block.offsets, WINDOW, LAG)
    contexts = windows.gather_contexts(block.frames, rows, LAG, WINDOW).reshape(len(rows), -1)
    steps = windows.delta(block.frames, rows)
    return Speech(block, rows, contexts.astype(np.float64), steps.astype(np.float64))


def test_ridge_is_that_of_scikit_learn(speech: Speech):
    """The structure stage's slope, from moments that never built a window."""
    accumulator = WindowAccumulator(WINDOW, NUM_DIMS, NUM_DIMS)
    frames = speech.block.frames.astype(np.float64)
    accumulator.add(frames, speech.block.offsets, speech.rows, LAG, speech.steps)
    moments = accumulator.moments()
    for strength in (1e-6, 1e-2, 1.0):
        penalty = strength * float(np.trace(moments.covariance)) / len(moments.mean)
        own = ridge_slope(
            ContextMoments(Covariance(moments.covariance.copy()), moments.cross, penalty)
        )
        model = Ridge(alpha=penalty * len(speech.rows)).fit(speech.contexts, speech.steps)
        assert own == pytest.approx(model.coef_.T, rel=1e-6, abs=1e-8)


def test_components_are_those_of_scikit_learn(speech: Speech):
    """Of contexts, by their covariance alone; a component's sign is free."""
    values, vectors = leading_eigenvectors(np.cov(speech.contexts.T, bias=True), 6)
    reference = PCA(6, svd_solver="full").fit(speech.contexts)
    scale = (len(speech.contexts) - 1) / len(speech.contexts)
    assert values == pytest.approx(reference.explained_variance_ * scale, rel=1e-9)
    assert np.abs(np.sum(vectors.T * reference.components_, axis=1)) == pytest.approx(1, abs=1e-8)


def test_kmeans_is_as_good_as_scikit_learns(speech: Speech):
    """Within 2 % of the better of five runs; runs of scikit-learn spread by as much."""
    frames = speech.block.frames
    own = fit_kmeans(frames, 32, 5, 100, np.random.default_rng(0))
    inertia = float(assign(frames, own)[1].sum(dtype=np.float64))
    few: Any = {"n_init": 5, "random_state": 0}  # stubs say text
    reference: Any = KMeans(32, **few).fit(frames)
    assert inertia < 1.02 * reference.inertia_
    start: Any = {"init": own, "n_init": 1, "max_iter": 1}
    nearest: Any = KMeans(32, **start).fit(frames)
    assert np.mean(assign(frames, nearest.cluster_centers_.astype(np.float32))[0]
                   == nearest.predict(frames)) > 0.999  # fmt: skip


def test_a_mixture_is_as_good_as_scikit_learns(speech: Speech):
    """By EM on the same frames: no more than .05 nats worse; and its density is the same."""
    z = (speech.steps - speech.steps.mean(0)) / speech.steps.std(0)
    train, choice = z[::2], z[1::2]
    floor = np.full(NUM_DIMS, 1e-3)
    mixture, score = fit_mixture(
        train, choice, 8, floor, False, np.random.default_rng(0), minimum_gain=1e-4
    )
    reference: Any = GaussianMixture(
        8, covariance_type="diag", random_state=0, max_iter=200, n_init=3
    )
    reference.fit(train)
    assert score < -float(reference.score(choice)) + 0.05
    same = MixtureParameters(
        reference.weights_, reference.means_, np.sqrt(reference.covariances_), np.full(8, np.inf)
    )
    assert mean_nll(make_points(choice), same) == pytest.approx(-reference.score(choice), rel=1e-9)
    assert np.isfinite(mixture.weights).all()


def test_mixture_densities_are_those_of_torch_and_scipy(speech: Speech):
    """Of heads: Gaussians by torch.distributions, multivariate t by scipy."""
    z = speech.steps[:200] / speech.steps.std(0)
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(3))
    means, scales = rng.standard_normal((3, NUM_DIMS)), rng.uniform(0.5, 2.0, (3, NUM_DIMS))
    normal = MixtureParameters(weights, means, scales, np.full(3, np.inf))
    head = Mixture(NUM_DIMS, 3, (-7.0, 7.0))
    found = head.log_prob(head_parameters(normal), torch.from_numpy(z).float())
    law = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.from_numpy(weights)),
        torch.distributions.Independent(
            torch.distributions.Normal(torch.from_numpy(means), torch.from_numpy(scales)), 1
        ),
    )
    assert found.double().numpy() == pytest.approx(
        law.log_prob(torch.from_numpy(z)).numpy(), rel=1e-4
    )
    multivariate_t: Any = scipy.stats.multivariate_t
    heavy = MixtureParameters(weights, means, scales, np.array([3.0, 5.0, 10.0]))
    tails = StudentTMixture(NUM_DIMS, 3, (-7.0, 7.0), is_tail_shared=True)
    found = tails.log_prob(head_parameters(heavy), torch.from_numpy(z).float())
    logs = [
        multivariate_t(m, np.diag(s**2), df=nu).logpdf(z)
        for m, s, nu in zip(means, scales, heavy.freedom, strict=True)
    ]
    expected = np.logaddexp.reduce(np.log(weights)[:, None] + np.array(logs), axis=0)
    assert found.double().numpy() == pytest.approx(expected, rel=1e-4)


def test_a_linear_null_has_the_density_of_scipy(speech: Speech):
    """The ridge's full Gaussian, frame by frame, and its score from moments alone."""
    frames = speech.block.frames.astype(np.float64)
    moments = LaggedMoments(NUM_DIMS, WINDOW + LAG, frames.mean(0))
    inner = windows.target_rows(speech.block.offsets, WINDOW + 1, LAG)
    moments.add(speech.block.frames, speech.block.offsets, inner)
    fit = ridge_regression((moments, moments), LAG, ("delta",), (2,), (1e-3,), False)
    arrays = fit.arrays
    newest, before = frames[inner - 1], frames[inner - 2]
    regressors = np.concatenate([newest - arrays.frame_mean, newest - before], axis=1)
    left = frames[inner] - newest - arrays.intercept - regressors @ arrays.weight
    multivariate_normal: Any = scipy.stats.multivariate_normal
    law = multivariate_normal(np.zeros(NUM_DIMS), arrays.scale @ arrays.scale)
    expected = law.logpdf(left)
    assert -fit.choice_nll == pytest.approx(float(expected.mean()), rel=1e-6)
    model = build_gaussian(arrays)
    contexts = windows.gather_contexts(speech.block.frames, inner, LAG, WINDOW)
    context, previous, current = (
        torch.from_numpy(np.ascontiguousarray(part))
        for part in (contexts, speech.block.frames[inner - 1], speech.block.frames[inner])
    )
    zeros = torch.zeros(len(inner), NUM_DIMS)
    found = model.log_prob(Batch(context, previous, current, zeros))
    assert found.detach().double().numpy() == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_a_whitened_mixture_has_the_density_of_torch(speech: Speech):
    """A mixture of residuals in the latents' own units: the log determinant is counted."""
    steps = torch.from_numpy(speech.steps[:500])
    covariance = np.cov(speech.steps.T)
    values, vectors = np.linalg.eigh(covariance)
    scale = (vectors * np.sqrt(values)) @ vectors.T
    base = BaseArrays("delta", np.zeros(NUM_DIMS), speech.steps.mean(0), np.zeros((0, NUM_DIMS)),
                      np.zeros(NUM_DIMS), scale)  # fmt: skip
    one = MixtureParameters(np.ones(1), np.zeros((1, NUM_DIMS)), np.ones((1, NUM_DIMS)),
                            np.full(1, np.inf))  # fmt: skip
    head = Mixture(NUM_DIMS, 1, (-7.0, 7.0))
    model = ConditionalDensity(LinearBase(base), FreeParameters(head_parameters(one)), head)
    zeros = torch.zeros(len(steps), NUM_DIMS)
    batch = Batch(zeros[:, None], zeros, steps.float(), zeros)
    law = torch.distributions.MultivariateNormal(
        torch.from_numpy(speech.steps.mean(0)), torch.from_numpy(covariance)
    )
    found = model.log_prob(batch).detach().double()
    assert found.numpy() == pytest.approx(law.log_prob(steps).numpy(), rel=1e-3, abs=1e-3)


def test_a_var_is_that_of_least_squares(speech: Speech):
    """Of order 2 with a constant: numpy's lstsq on all frames with two before them.

    statsmodels is no dependency here; its VAR is this regression.
    """
    model = fit_var(lambda: [speech.block], 2)
    rows = windows.target_rows(speech.block.offsets, 2, 1)
    rows = rows[speech.block.scored()[rows]]
    frames = speech.block.frames.astype(np.float64)
    design = np.column_stack([np.ones(len(rows)), frames[rows - 1], frames[rows - 2]])
    solution = np.linalg.lstsq(design, frames[rows], rcond=None)[0]
    left = frames[rows] - design @ solution
    assert float(model.fitted_radius[0]) < 1
    assert model.coefficients == pytest.approx(solution[1:], rel=1e-4, abs=1e-5)
    covariance = left.T @ left / (len(rows) - design.shape[1])
    own = model.innovation_factor @ model.innovation_factor.T
    assert own == pytest.approx(covariance, rel=1e-3, abs=1e-4 * covariance.max())


def test_an_interval_over_equal_speakers_is_that_of_scipy(speech: Speech):
    """The one-sample t test of speakers' means, where every speaker has as many frames.

    The jackknife's error is SD / sqrt(S - 1), scipy's SD / sqrt(S - 1) of the unbiased SD alike;
    degrees of freedom are set to S - 1, which Satterthwaite's only approach.
    """
    speakers = speech.speakers
    fewest = int(np.bincount(speakers).min())
    norms = np.linalg.norm(speech.steps, axis=1)
    sums = np.array([norms[speakers == own][:fewest].sum() for own in np.unique(speakers)])
    quantity = uncertain(ratio_of_sums(sums, np.full(len(sums), float(fewest))))
    own = t_interval(quantity._replace(df=np.array(len(sums) - 1.0)), 0.95)
    means = sums / fewest
    # influence / (1 - 1/S), squared and summed: SD^2 S / (S - 1)^2, and scipy has SD^2 / (S - 1)
    error = scipy.stats.sem(means) * np.sqrt(len(sums) / (len(sums) - 1))
    low, high = scipy.stats.t.interval(0.95, len(sums) - 1, means.mean(), error)
    assert (float(own.low), float(own.high)) == pytest.approx((low, high), rel=1e-9)
