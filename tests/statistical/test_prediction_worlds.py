"""Known answers through the whole of fitting and scoring, at a size that takes seconds.

Gains are scored on held-out speakers. Their sampling error is stated where a tolerance uses it: a
frame's gain has an SD of about 0.3 nats per dimension here, and there are some 10,000 frames.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch

from engram_audio.densities.base import Batch
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.fit import fit_marginals, head_task, train_head
from engram_audio.densities.marginal_em import nearly_normal_freedom
from engram_audio.densities.nulls import linear_nulls_for
from engram_audio.densities.task import DensityTask
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks
from tests.unit.prediction_material import (
    Simulator,
    World,
    first_order,
    head_settings,
    make_world,
    recipe,
    white_noise,
)

CPU = torch.device("cpu")
SIZE: dict[str, Any] = {
    "num_train_speakers": 30,
    "num_eval_speakers": 12,
    "num_utterances": 20,
    "window": 8,
}
TRUNK = {"width": 64, "frame_width": 16}


def rotations(num_dims: int) -> tuple[np.ndarray, Simulator]:
    """Damped rotations with unit noise (a stable VAR(1)), and its simulator from stationarity."""
    transition = np.zeros((num_dims, num_dims))
    for pair, radius in enumerate(np.linspace(0.5, 0.95, num_dims // 2)):
        angle = 0.2 + 0.25 * pair
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        transition[2 * pair : 2 * pair + 2, 2 * pair : 2 * pair + 2] = radius * turn

    def simulate(generator: np.random.Generator, length: int) -> np.ndarray:
        noise = generator.standard_normal((length + 80, num_dims))
        for t in range(1, length + 80):
            noise[t] += transition @ noise[t - 1]
        return noise[80:]

    return transition, simulate


def information(transition: np.ndarray, lag: int) -> float:
    """Nats about delta_t in the frames up to t - lag of x_t = A x_{t-1} + n.

    delta_t given x_{t-lag} has covariance C_k = (A - I) P_{k-1} (A - I)^T + I with
    P_{k-1} = sum_{i < k-1} A^i A^iT; V = C_inf; I = 1/2 ln det V / det C_k.
    """
    identity = np.eye(len(transition))
    step = transition - identity

    def covariance(terms: int) -> np.ndarray:
        total, power = np.zeros_like(identity), identity
        for _ in range(terms):
            total, power = total + power @ power.T, transition @ power
        return step @ total @ step.T + identity

    logdets = [np.linalg.slogdet(covariance(terms))[1] for terms in (4000, lag - 1)]
    return 0.5 * (logdets[0] - logdets[1])


def nll(world: World, model, lag: int) -> float:
    data = world.eval_data(lag)
    with torch.no_grad():
        return DensityTask(model, data, data, CPU).validate()


def head_nll(world: World, lag: int, event: str, **changes: Any) -> float:
    settings = head_settings(trunk=TRUNK, **changes)
    steps = recipe(
        num_steps=600, batch_frames=256, warmup_steps=50, validation_interval_steps=100,
        patience_validations=2, maximum_validation_frames=4096,
    )  # fmt: skip
    model, _, _ = train_head(settings, steps, world.material, lag, event, 0, CPU, None, Callbacks())
    return nll(world, model, lag)


def null_nll(world: World, lag: int, event: str) -> tuple[float, str]:
    """Best linear null on val, scored on eval, with its name."""
    linear_nulls = linear_nulls_for(world.material.linear_nulls, lag, event)
    best = min(linear_nulls, key=lambda null: null.fit.choice_nll)
    return nll(world, build_gaussian(best.fit.arrays), lag), best.name


def nll_of_null(world: World, name: str, lag: int) -> float:
    null = next(null for null in world.material.linear_nulls if null.name == name)
    return nll(world, build_gaussian(null.fit.arrays), lag)


def test_white_noise_scores_the_first_experiments_headline_and_no_gain():
    """D = 32: dNLL at lag 1 is -(32/2) ln 2 = -11.09, and the gain over the best null is 0.

    The dNLL's standard error is sqrt(D/2 ...) / sqrt(frames) < 0.05; overfit allowed: 0.05 nats.
    """
    world = make_world(white_noise(32), **SIZE)
    head = head_nll(world, 1, "delta")
    null, _ = null_nll(world, 1, "delta")
    dnll = head - nll_of_null(world, "gaussian_marginal_delta", 1)
    assert dnll == pytest.approx(-16 * math.log(2), abs=0.15)
    assert abs(null - head) < 0.05


@pytest.mark.parametrize("correlation", [0.3, 0.9])
def test_first_order_gain_is_exact_and_the_linear_null_takes_it(correlation: float):
    """AR(1), D = 8: information about x_t is -1/2 ln(1 - r^2) per dim, all of it linear.

    Tolerance 2 % of the truth plus three standard errors of the mean gain, whose variance per
    frame and dimension is r^2 (that of the log ratio of two Gaussians).
    """
    world = make_world(first_order(correlation, 8), **SIZE)
    frames = len(world.eval_data(1))
    truth = -0.5 * 8 * math.log(1 - correlation**2)
    head = head_nll(world, 1, "position")
    gain = nll_of_null(world, "gaussian_marginal_position", 1) - head
    assert gain == pytest.approx(truth, abs=0.02 * truth + 3 * correlation * math.sqrt(8 / frames))
    null, name = null_nll(world, 1, "position")
    assert name in ("ar1", "ridge", "ar1_full", "ridge_full", "speaker_ar1")
    assert abs(null - head) < 0.05


@pytest.mark.parametrize(("lag", "share"), [(1, 0.97), (2, 0.97)])
def test_var_information_is_found(lag: int, share: float):
    """VAR(1), D = 16: at least 97 % of the exact information about delta at lags 1 and 2."""
    transition, simulate = rotations(16)
    world = make_world(simulate, **SIZE)
    truth = information(transition, lag)
    # against the full marginal, whose entropy is exact up to its own estimation
    gain = nll_of_null(world, "gaussian_marginal_full_delta", lag) - head_nll(world, lag, "delta")
    frames = len(world.eval_data(lag))
    assert gain > share * truth - 3 * math.sqrt(16 / frames)
    assert gain < truth + 3 * math.sqrt(16 / frames)


def cost_of_spikes(batch: Batch, steps: TrainingRecipe) -> float:
    """What spikes add to the mean of a t of the largest freedom that training can reach, nats.

    A t costs (v + D) / 2 ln(1 + r^2 / v) at r deviations: 255 nats at the v = 77 that a head
    of four dimensions starts from, where a normal costs 20,000. Adam moves a parameter, here
    log v, by no more than the learning rate a step. A step between two frames has the variance 2,
    so that its length is no less than r. Frames whose context holds a spike pay no more than it.
    """
    jumps = np.linalg.norm((batch.current - batch.previous).double().numpy(), axis=1)
    num_dims = batch.current.shape[1]
    freedom = nearly_normal_freedom(num_dims, 1) * math.exp(steps.num_steps * steps.learning_rate)
    costs = 0.5 * (freedom + num_dims) * np.log1p(jumps[jumps > 30] ** 2 / freedom)
    return float(costs.sum() / len(jumps))


def test_spikes_explode_a_gaussian_and_not_a_student():
    """Frames x 100, too rare to be learnt: the Gaussian head's score explodes, the t head's not.

    A spike of 100 SD in 4 dimensions costs a Gaussian with SD s about 4 (100 / s)^2 / 2 nats, a t
    only its logarithm; the median of both stays what it was.
    """
    world = make_world(white_noise(4), **SIZE)
    frames = world.eval.frames.copy()
    rows = world.eval_data(2).targets[::4000].numpy()
    frames[rows] *= 100
    spiked = world._replace(eval=world.eval._replace(frames=frames)).eval_data(2)
    ordinary = {}
    scores = {}
    steps = recipe(num_steps=300, batch_frames=256, maximum_validation_frames=2048)
    for kind in ("gaussian_mixture", "student_t_mixture"):
        raw = head_settings(kind, is_linear_skip=False, whitening="diagonal", trunk=TRUNK)
        model, _, _ = train_head(raw, steps, world.material, 2, "delta", 0, CPU, None, Callbacks())
        ordinary[kind] = nll(world, model, 2)
        with torch.no_grad():
            batch = spiked.batch(torch.arange(len(spiked)), CPU)
            scores[kind] = -model.log_prob(batch).double().numpy()
    gaussian, student = scores["gaussian_mixture"], scores["student_t_mixture"]
    assert gaussian.mean() > ordinary["gaussian_mixture"] + 1.0  # a handful among 14,000
    assert student.mean() - ordinary["student_t_mixture"] < cost_of_spikes(batch, steps)
    assert gaussian.max() > 20 * student.max()
    worst = np.argsort(gaussian)[-len(rows) :]
    jumps = np.linalg.norm((batch.current - batch.previous).numpy()[worst], axis=1)
    assert (jumps > 30).all()  # the culprits are the spikes, not ordinary frames
    assert np.median(gaussian) == pytest.approx(ordinary["gaussian_mixture"], abs=0.5)


def test_marginal_grows_until_the_shape_is_exhausted():
    """A scale mixture has no context; the grown marginal leaves a head nothing to gain."""

    def simulate(generator: np.random.Generator, length: int) -> np.ndarray:
        loud = np.where(generator.random(length) < 0.5, 0.2, 1.4)
        return np.cumsum(loud[:, None] * generator.standard_normal((length, 8)), axis=0)

    world = make_world(simulate, **{**SIZE, "num_train_speakers": 15})
    settings = head_settings(trunk=TRUNK)
    fit, _ = fit_marginals(settings, recipe(), world.material, 0)["delta"]
    gauss = nll_of_null(world, "gaussian_marginal_delta", 1)
    marginal = nll(world, fit.model, 1)
    head = head_nll(world, 1, "delta")
    assert gauss - marginal > 3.0  # shape alone, worth many nats against one Gaussian
    assert marginal - head < 0.05


def test_untrained_head_is_its_linear_base():
    """Training starts at the linear null: within 0.05 nats of it before the first step."""
    world = make_world(first_order(0.7, 8), **{**SIZE, "num_train_speakers": 8})
    task, base = head_task(head_settings(), world.material, 1, "delta", 0, 1024, CPU)
    task.model.eval()
    with torch.no_grad():
        start = task.validate()
        null = DensityTask(build_gaussian(base), task._choice, task._choice, CPU).validate()
    assert start - null < 0.05
