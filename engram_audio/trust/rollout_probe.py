"""Free running of a process whose forecasts are known at every horizon.

x_t = a x_{t-1} + sqrt(1 - a^2) n_t in one dimension, and the exact law takes the steps. After h
steps the forecast is a Gaussian of variance 1 - a^(2h). It gains -1/2 ln(1 - a^(2h)) nats over the
marginal, and its energy score is sqrt(1 - a^(2h)) / sqrt(pi).

Shapes: N starts, W window, H horizon.
"""

import numpy as np
import torch
from torch import Tensor

from engram_audio.calibration.rows import CalibrationRow, compare
from engram_audio.calibration.truth import Truth
from engram_audio.densities.base import Batch
from engram_audio.densities.density import Density
from engram_audio.rollout import forecasts, scores, simulate, tables
from engram_audio.rollout.laws import step_law
from engram_audio.rollout.paths import Starts
from engram_audio.stats.estimate import Estimate

STAGE, WORLD = "rollout", "ar1"
SLOPE, STEP_SD = 0.9, float(np.sqrt(1 - 0.9**2))
STARTS, WINDOW, HORIZON, DRAWS = 1500, 2, 8, 64
HORIZONS = (1, 4, 8)


class ExactStep(Density):
    """The exact law of the step: delta = (a - 1) x_{t-1} + sqrt(1 - a^2) n."""

    target = "delta"

    @property
    def has_moments(self) -> bool:
        """See `Density.has_moments`."""
        return True

    def log_prob(self, batch: Batch) -> Tensor:
        """See `Density.log_prob`."""
        mean = self.mean(batch)
        law = forecasts.Gaussians(mean, torch.full_like(mean, STEP_SD))
        return law.log_prob(batch.current - batch.previous)

    def mean(self, batch: Batch) -> Tensor:
        """See `Density.mean`."""
        return (SLOPE - 1) * batch.context[:, -1]

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Density.moments`."""
        mean = self.mean(batch)
        return mean, torch.full_like(mean, STEP_SD**2)

    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Tensor:
        """See `Density.sample`."""
        mean = self.mean(batch)
        return mean + STEP_SD * torch.randn((num_samples, *mean.shape), generator=generator)


def rollout_rows() -> list[CalibrationRow]:
    """Return every comparison."""
    starts, model = _starts(), ExactStep()
    limits = simulate.Limits(torch.zeros(1), torch.ones(1), 10.0)
    how = simulate.Settings(HORIZON, True, None, STARTS * DRAWS, lambda b: step_law(model, b))
    run = simulate.free_run(model, starts, how, limits, DRAWS, torch.Generator().manual_seed(0))
    zero, one = torch.zeros(1), torch.ones(1)
    step_sd = torch.full((1,), float(np.sqrt(2 - 2 * SLOPE)))
    marginals = forecasts.Marginals(
        forecasts.Gaussians(zero, step_sd), forecasts.Gaussians(zero, one)
    )
    told = forecasts.moment_matched(run, HORIZON, marginals).log_prob(starts)["position"]
    gained = told - marginals.log_prob(starts)["position"]
    energy = scores.energy_score(run.states, starts.future, one)
    climate = torch.randn((STARTS, 1), generator=torch.Generator().manual_seed(3))
    climatology = scores.climatology_score(climate, starts.future, one)
    spread = run.states[:, :, -1].double().std(0).mean()
    rows = [row for horizon in HORIZONS for row in _at(horizon, gained, energy)]
    known = 1 / float(np.sqrt(np.pi))
    return [
        *rows,
        _mean_row("energy score of climatology", HORIZON, known, climatology[:, -1]),
        _exact("SD of paths about their mean", HORIZON, _sd(HORIZON), float(spread), 0.01),
        *_kept_rows(),
    ]


def _at(horizon: int, gained: Tensor, energy: Tensor) -> list[CalibrationRow]:
    """Compare nats and energy score at a horizon."""
    nats, score = -np.log(_sd(horizon)), _sd(horizon) / np.sqrt(np.pi)
    # the mean and the spread of M draws cost about 1 / M nats
    return [
        _mean_row("nats over the marginal", horizon, nats, gained[:, horizon - 1], 1 / DRAWS),
        _mean_row("energy score", horizon, float(score), energy[:, horizon - 1]),
    ]


def _sd(horizon: int) -> float:
    return float(np.sqrt(1 - SLOPE ** (2 * horizon)))


def _mean_row(
    quantity: str, horizon: int, truth: float, values: Tensor, loss: float = 0.0
) -> CalibrationRow:
    own = values.double()
    error = float(own.std()) / len(own) ** 0.5
    known = Truth(f"{quantity}, {horizon} steps on", 1, truth)
    return compare(WORLD, STAGE, known, float(own.mean()), error, loss_below=loss)


def _exact(
    quantity: str, horizon: int, truth: float, measured: float, tolerance: float
) -> CalibrationRow:
    known = Truth(f"{quantity}, {horizon} steps on", 1, truth)
    return compare(WORLD, STAGE, known, measured, 0.0, resolution=tolerance)


def _kept_rows() -> list[CalibrationRow]:
    """A method that is worse than the marginal keeps less than nothing of the attainable."""
    rng = np.random.default_rng(0)
    spread = 1e-3 * rng.standard_normal((2, 40))
    own, best = (
        Estimate(np.array(value), one - one.mean(), np.full(40, 1 / 40))
        for value, one in zip((0.1, -0.2), spread, strict=True)
    )
    kept = tables._share("kept", own, best, -1.0, 0.95)["kept"]
    nothing = tables._share("kept", own, own, -1.0, 0.95)["kept"]
    return [
        _exact("kept by what is worse than nothing", 1, -0.5, kept, 1e-9),
        _exact("no share of what is worse than nothing", 1, 1.0, float(np.isnan(nothing)), 1e-9),
    ]


def _starts() -> Starts:
    """Return true paths of the process, each from its own utterance."""
    rng = np.random.default_rng(1)
    path = np.empty((STARTS, WINDOW + HORIZON))
    path[:, 0] = rng.standard_normal(STARTS)
    for t in range(1, path.shape[1]):
        path[:, t] = SLOPE * path[:, t - 1] + STEP_SD * rng.standard_normal(STARTS)
    frames = torch.from_numpy(path[:, :, None].astype(np.float32))
    names = np.array([f"s{number:04d}" for number in range(STARTS)])
    return Starts(
        frames[:, :WINDOW], frames[:, WINDOW:], torch.full((STARTS,), HORIZON),
        torch.zeros(STARTS, 1), names, names, np.full(STARTS, WINDOW),
    )  # fmt: skip
