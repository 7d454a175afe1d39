"""The null `ridge_mixture`: linear data of any shape owe their shape to it, not to context."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch

from engram_audio.densities import marginal_em
from engram_audio.densities.config import RidgeMixtureSection
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.fit import Material, train_head
from engram_audio.densities.marginal_em import MixtureParameters
from engram_audio.densities.nulls import LinearNull
from engram_audio.densities.ridge_mixture import (
    RidgeMixture,
    build_ridge_mixture,
    fit_ridge_mixture,
    fit_ridge_mixtures,
    pack_ridge_mixtures,
    unpack_ridge_mixtures,
)
from engram_audio.densities.task import DensityTask
from engram_audio.training.loop import Callbacks
from tests.unit.prediction_material import (
    Simulator,
    World,
    head_settings,
    make_world,
    recipe,
)

CPU = torch.device("cpu")
T5_SD = np.sqrt(5 / 3)


def settings(**changes: float) -> RidgeMixtureSection:
    values = {
        "num_components": 4, "maximum_components": 16, "minimum_gain_nats": 0.01,
        "maximum_frames": 20000,
    }  # fmt: skip
    return RidgeMixtureSection.model_validate({**values, **changes})


def heavy_tailed(num_dims: int) -> Simulator:
    """VAR(1) with independent t5 innovations of variance 1."""
    rotation = np.linalg.qr(np.random.default_rng(9).standard_normal((num_dims, num_dims)))[0]
    weight = 0.7 * rotation

    def simulate(generator: np.random.Generator, length: int) -> np.ndarray:
        noise = generator.standard_t(5, (length, num_dims)) / T5_SD
        x = noise.copy()
        for t in range(1, length):
            x[t] = x[t - 1] @ weight + noise[t]
        return x

    return simulate


def two_valued(generator: np.random.Generator, length: int) -> np.ndarray:
    """Independent frames of +-1 give or take .1."""
    signs = generator.choice([-1.0, 1.0], size=(length, 1))
    return signs + 0.1 * generator.standard_normal((length, 1))


def nll(model: ConditionalDensity, world: World, lag: int) -> float:
    data = world.eval_data(lag)
    with torch.no_grad():
        return DensityTask(model, data, data, CPU).validate()


def null_of(material: Material, name: str, lag: int, event: str) -> LinearNull:
    place = (name, lag, event)
    return next(r for r in material.linear_nulls if (r.name, r.lag_frames, r.event) == place)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(heavy_tailed(4), 20, 20, 10, num_select_speakers=4)


@pytest.fixture(scope="module")
def fitted(world: World) -> RidgeMixture:
    return fit_ridge_mixture(settings(), world.material, 1, "delta", 0)


def test_a_gain_of_shape_is_the_nulls_own(world: World, fitted: RidgeMixture):
    """VAR(1) with t5 innovations: a trained head gains over the ridge, and not over this null.

    The exact law gains D (h(N) - h(t5)) = 4 x .0468 = .187 nats over the Gaussian of its variance.
    Nothing that is fitted gains more, but for what the ridge itself misses of the linear law.
    """
    settings = head_settings("student_t_mixture", whitening="full")
    steps = recipe(num_steps=150, batch_frames=256, validation_interval_steps=30)
    head, _, _ = train_head(settings, steps, world.material, 1, "delta", 0, CPU, None, Callbacks())
    ridge = build_gaussian(null_of(world.material, "ridge_full", 1, "delta").fit.arrays)
    scores = [nll(model, world, 1) for model in (ridge, build_ridge_mixture(fitted), head.eval())]
    of_null, of_head = scores[0] - scores[1], scores[0] - scores[2]
    possible = 4 * (scipy.stats.norm.entropy() - scipy.stats.t(5, scale=1 / T5_SD).entropy())
    assert possible == pytest.approx(0.187, abs=0.001)
    assert 0.3 * possible < of_head < possible + 0.02  # read against the ridge: context
    assert of_head - of_null <= 0.005  # and it is none


def test_on_gaussian_data_it_is_the_ridge():
    """Nothing is gained from a shape that is not there."""
    world = make_world(lambda g, n: g.standard_normal((n, 3)), 20, 20, num_select_speakers=4)
    fit = fit_ridge_mixture(settings(), world.material, 2, "position", 0)
    ridge = build_gaussian(null_of(world.material, "ridge_full", 2, "position").fit.arrays)
    assert abs(nll(build_ridge_mixture(fit), world, 2) - nll(ridge, world, 2)) < 0.02


def test_it_is_chosen_among_families_units_and_sizes(fitted: RidgeMixture):
    """The kept fit is the best of all that was looked at, and both families are among them."""
    assert {family for _, family, _, _ in fitted.tried} == {"gaussian", "student_t"}
    assert {ridge for ridge, _, _, _ in fitted.tried} == {"ridge", "ridge_full"}
    assert fitted.choice_nll == min(score for *_, score in fitted.tried)
    sizes = [count for _, family, count, _ in fitted.tried if family == "student_t"]
    assert sizes == [4 * 2**n for n in range(len(sizes))] and len(sizes) > 1


def test_components_are_added_where_the_choice_part_gains():
    """Frames of +-1 give or take .1: two components gain ln 10 - ln 2 = 1.61 nats over one."""
    world = make_world(two_valued, 8, 8, 10, num_select_speakers=2)
    asked = settings(num_components=1, maximum_components=4)
    fit = fit_ridge_mixture(asked, world.material, 1, "position", 0)
    assert len(fit.mixture.weights) > 1
    one = fit_ridge_mixture(settings(num_components=1, maximum_components=1), world.material, 1,
                            "position", 0)  # fmt: skip
    assert one.choice_nll - fit.choice_nll > 1


def test_a_score_with_its_mean_is_the_score(world: World, fitted: RidgeMixture):
    """Both ways to ask for a density give the same one, its units included."""
    model = build_ridge_mixture(fitted)
    batch = world.eval_data(1).batch(torch.arange(50), CPU)
    with torch.no_grad():
        score, mean = model.log_prob_and_mean(batch)
        torch.testing.assert_close(score, model.log_prob(batch))
        torch.testing.assert_close(mean, model.mean(batch))


def test_the_stated_score_is_that_of_the_choice_part(world: World, fitted: RidgeMixture):
    data = world.material.data("select", 1, 20000)
    with torch.no_grad():
        score = DensityTask(build_ridge_mixture(fitted), data, data, CPU).validate()
    assert score == pytest.approx(fitted.choice_nll, abs=1e-4)


def test_one_component_is_the_gaussian_of_the_residuals(world: World):
    """A single Gaussian of mean 0 and SD 1 in whitened units is the ridge itself."""
    base = null_of(world.material, "ridge_full", 1, "delta").fit.arrays
    dims = len(base.frame_mean)
    one = MixtureParameters(np.ones(1), np.zeros((1, dims)), np.ones((1, dims)), np.full(1, np.inf))
    model = build_ridge_mixture(RidgeMixture(base, one, 0.0, []))
    assert nll(model, world, 1) == pytest.approx(nll(build_gaussian(base), world, 1), abs=1e-5)


@pytest.mark.parametrize("freedom", [np.inf, 5.0])
def test_the_density_integrates_to_one(freedom: float):
    """In one dimension, whatever the context says the mean is."""
    world = make_world(lambda g, n: g.standard_normal((n, 1)).cumsum(0) * 0.3, 4, 4)
    base = null_of(world.material, "ridge_full", 1, "delta").fit.arrays
    mixture = MixtureParameters(
        np.array([0.3, 0.7]), np.array([[-1.0], [0.5]]), np.array([[0.4], [1.2]]),
        np.full(2, freedom),
    )  # fmt: skip
    model = build_ridge_mixture(RidgeMixture(base, mixture, 0.0, []))
    batch = world.eval_data(1).batch(torch.arange(1), CPU)
    values = np.linspace(-40, 40, 40001)
    steps = torch.from_numpy(values).float().reshape(1, -1, 1) * base.scale.item()
    with torch.no_grad():
        density = model.log_prob_of(batch, steps).exp().double().numpy()[0]
    assert scipy.integrate.simpson(density, x=values * base.scale.item()) == pytest.approx(
        1, abs=1e-3
    )


def test_it_comes_back_from_disk_as_it_was(world: World):
    """At lag 1 one fit scores both events; the others are fits of their own."""
    fits = fit_ridge_mixtures(settings(), world.material, (1, 2), ("delta", "position"), 0)
    assert fits[1, "delta"] is fits[1, "position"]
    arrays, entries = pack_ridge_mixtures(fits)
    # a reader refuses what is not finite, and normal components have infinite freedom
    assert all(np.isfinite(values).all() for values in arrays.values())
    found = unpack_ridge_mixtures(arrays, entries)
    assert list(found) == list(fits)
    for (lag, event), fit in fits.items():
        assert nll(found[lag, event], world, lag) == nll(build_ridge_mixture(fit), world, lag)


@pytest.mark.parametrize("is_student", [False, True])
def test_no_step_of_em_lowers_the_likelihood(is_student: bool):
    """The law of EM (Dempster 1977), for t as for normal components, but for the rounding.

    With the wrong normaliser of a t's scales the likelihood falls by tenths of a nat.
    """
    rng = np.random.default_rng(0)
    z = rng.standard_t(3.5, size=(2000, 3)) + 4 * rng.integers(0, 2, size=(2000, 1))
    floor, points = np.full(3, 1e-3), marginal_em.make_points(z)
    mixture = marginal_em._start(z, 2, floor, is_student, np.random.default_rng(1))
    scores = [marginal_em.mean_nll(points, mixture)]
    for _ in range(30):
        mixture = marginal_em._step(points, mixture, floor, False)
        scores.append(marginal_em.mean_nll(points, mixture))
    assert np.diff(scores).max() < 1e-6
    assert scores[-1] < scores[0] - 0.05
