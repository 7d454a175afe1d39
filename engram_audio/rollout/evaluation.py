"""Score one method from all starts of a part: sums by speaker and horizon, and health of the runs.

Modes: `sampled` (paths drawn step by step; forecast by matched moments), `mean` (the conditional
mean followed: the first experiment's rollout and its score), `forecast` (all horizons at once).

Shapes: S samples, N starts, H horizon, K forecast horizon, D dimensions.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from engram_audio.densities.density import Density
from engram_audio.memory.reading import memory_of
from engram_audio.rollout.forecasters import Forecaster
from engram_audio.rollout.forecasts import Forecast, Gaussians, moment_matched
from engram_audio.rollout.health_tables import HealthTables, health_tables, without_motion
from engram_audio.rollout.laws import step_law
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.reads import read_dynamics
from engram_audio.rollout.scores import (
    climatology_score,
    energy_score,
    tails_of_law,
    tails_of_samples,
)
from engram_audio.rollout.setup import ScoringSetup
from engram_audio.rollout.simulate import (
    Guard,
    Run,
    Settings,
    as_steps,
    earlier_log_density,
    free_run,
)
from engram_audio.rollout.speaker_sums import by_speaker, extremes

NO_INJECTION = 0  # how tables write that the true frame is never put in
NO_HEALTH = HealthTables(pd.DataFrame(), pd.DataFrame())


class Scored(NamedTuple):
    """Tables of one method on one part.

    Attributes:
        scores: One row per mode, injection, horizon and speaker: sums over starts.
        health: One row per mode, injection and horizon: shares, and the health of the whole run.
        differences: One row per mode, injection and speaker: by how much each excess of health
            falls without the speaker.
    """

    scores: pd.DataFrame
    health: pd.DataFrame
    differences: pd.DataFrame


def evaluate_method(
    model: nn.Module,
    guard: Guard | None,
    starts: Starts,
    others: Starts | None,
    setup: ScoringSetup,
) -> Scored:
    """Score a method on a part.

    Args:
        model: Takes steps, or forecasts.
        guard: Keeps its draws on the support.
        starts: Where it runs from.
        others: Other starts of the same utterances (`paths.other_starts`), beside which health is
            judged. None measures no health: only what forecasts are chosen by.
        setup: What every method is scored with.
    """
    model.eval()
    if isinstance(model, Forecaster):
        return _evaluate_forecaster(model, starts, others, setup)
    density = as_steps(model)
    if others is None:
        return _evaluate_sampled(density, guard, starts, None, setup, NO_INJECTION)
    parts = [
        _evaluate_sampled(density, guard, starts, others, setup, inject)
        for inject in (NO_INJECTION, *setup.settings.injections_frames)
    ]
    if density.has_log_prob:
        parts.append(_evaluate_mean(density, starts, others, setup))
    return _joined(parts)


def evaluate_run(run: Run, starts: Starts, others: Starts, setup: ScoringSetup) -> Scored:
    """Return energy scores and health of sampled paths, whatever drew them; see `evaluate_method`.

    At least two paths from each start are needed.
    """
    horizons = tuple(range(1, run.states.shape[2] + 1))
    energies = _energy_columns(run.states, starts, setup, horizons)
    scores = by_speaker(energies, starts, horizons, "sampled", NO_INJECTION)
    no_spread = pd.DataFrame({"horizon_frames": horizons})
    found = health_tables(run, starts, others, setup, no_spread, "sampled", NO_INJECTION)
    return Scored(scores, *found)


def _joined(parts: Sequence[Scored]) -> Scored:
    return Scored(*(pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)))


def _evaluate_sampled(
    model: Density,
    guard: Guard | None,
    starts: Starts,
    others: Starts | None,
    setup: ScoringSetup,
    inject: int,
) -> Scored:
    settings, generator = setup.settings, setup.generator(1, inject)
    short = settings.forecast_horizon_frames
    horizons = tuple(range(1, short + 1))
    columns = _sampled_columns(model, guard, starts, setup, inject, generator)
    tables = [by_speaker(columns, starts, horizons, "sampled", inject)]
    if others is None:
        return Scored(tables[0], *NO_HEALTH)
    how = Settings(settings.horizon_frames, True, inject or None, settings.batch_paths)
    count = settings.num_long_samples
    long = free_run(model, starts, how, setup.limits, count, generator, guard)
    late = tuple(range(short + 1, settings.horizon_frames + 1))
    if late and settings.num_long_samples > 1:
        energies = _energy_columns(long.states[:, :, short:], starts, setup, late)
        tables.append(by_speaker(energies, starts, late, "sampled", inject))
    spread = extremes(columns["dnll_position"], starts, horizons)
    found = health_tables(long, starts, others, setup, spread, "sampled", inject)
    reader = memory_of(model)
    if inject:
        found = without_motion(found)
    elif reader is not None:
        reads = read_dynamics(reader, starts, long, settings.batch_paths)
        found = found._replace(health=found.health.assign(**reads))
    return Scored(pd.concat(tables, ignore_index=True), *found)


def _sampled_columns(
    model: Density,
    guard: Guard | None,
    starts: Starts,
    setup: ScoringSetup,
    inject: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Return every score of M sampled paths up to horizon K, [N, K]; a few starts at a time."""
    settings = setup.settings
    short, samples = settings.forecast_horizon_frames, settings.num_samples
    # under a guard: the density's own law of the last step, from contexts that the guard has kept
    law = partial(step_law, model) if model.has_moments else None
    how = Settings(short, True, inject or None, settings.batch_paths, law)
    size = max(settings.batch_paths // samples, 1)
    horizons = tuple(range(1, short + 1))
    parts = []
    for low in range(0, len(starts.history), size):
        part = starts.rows(slice(low, low + size))
        run = free_run(model, part, how, setup.limits, samples, generator, guard)
        columns = _forecast_columns(moment_matched(run, short, setup.marginals), part, setup)
        columns |= tails_of_samples(run.states, part.future[:, :short])
        parts.append(columns | _energy_columns(run.states, part, setup, horizons))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _evaluate_mean(model: Density, starts: Starts, others: Starts, setup: ScoringSetup) -> Scored:
    settings = setup.settings
    run = free_run(
        model, starts, Settings(settings.horizon_frames, False, None, settings.batch_paths),
        setup.limits, 1, setup.generator(2),
    )  # fmt: skip
    earlier = earlier_log_density(model, starts, run, settings.batch_paths)
    reference = setup.marginals.log_prob(starts)["delta"]
    horizons = tuple(range(1, settings.horizon_frames + 1))
    columns = {"first_experiment_dnll": reference - earlier}
    table = by_speaker(columns, starts, horizons, "mean", NO_INJECTION)
    spread = extremes(columns["first_experiment_dnll"], starts, horizons)
    found = health_tables(run, starts, others, setup, spread, "mean", NO_INJECTION)
    return Scored(table, *found)


@torch.no_grad()
def forecast_of(model: Forecaster, starts: Starts, horizon: int, batch_paths: int) -> Forecast:
    """Return a forecaster's laws from all starts."""
    parts = [
        model.forecast(
            starts.history[low : low + batch_paths], starts.speaker_mean[low : low + batch_paths],
            horizon,
        )
        for low in range(0, len(starts.history), batch_paths)
    ]  # fmt: skip
    delta, position = (
        Gaussians(
            torch.cat([getattr(part, name).mean for part in parts]),
            torch.cat([getattr(part, name).sd for part in parts]),
        )
        for name in ("delta", "position")
    )
    return Forecast(delta, position, parts[0].horizons)


def _evaluate_forecaster(
    model: Forecaster, starts: Starts, others: Starts | None, setup: ScoringSetup
) -> Scored:
    settings = setup.settings
    forecast = forecast_of(model, starts, settings.horizon_frames, settings.batch_paths)
    columns = _forecast_columns(forecast, starts, setup)
    truth = starts.future[:, torch.tensor(forecast.horizons) - 1]
    columns |= tails_of_law(forecast.position, truth)
    samples = forecast.samples(settings.num_long_samples + 1, setup.generator(3))
    columns |= _energy_columns(samples, starts, setup, forecast.horizons)
    table = by_speaker(columns, starts, forecast.horizons, "forecast", NO_INJECTION)
    if others is None:
        return Scored(table, *NO_HEALTH)
    spread = extremes(columns["dnll_position"], starts, forecast.horizons)
    if forecast.horizons != tuple(range(1, settings.horizon_frames + 1)):
        labels = {"mode": "forecast", "inject_frames": NO_INJECTION}
        # no path: some horizons are not forecast
        return Scored(table, spread.assign(**labels), pd.DataFrame())
    states = forecast.position.mean.unsqueeze(0)
    first = starts.history[:, -1:].unsqueeze(0)
    run = Run(
        states, torch.cat([first, states[:, :, :-1]], 2), setup.limits.is_inside(states), (0.0, 0.0)
    )
    found = health_tables(run, starts, others, setup, spread, "forecast", NO_INJECTION)
    return Scored(table, *found)


def _forecast_columns(forecast: Forecast, starts: Starts, setup: ScoringSetup) -> dict[str, Tensor]:
    """Return dNLL of both events against their marginals, each [N, K]."""
    rows = torch.tensor(forecast.horizons) - 1
    found, reference = forecast.log_prob(starts), setup.marginals.log_prob(starts)
    return {f"dnll_{name}": reference[name][:, rows] - found[name] for name in found}


def _energy_columns(
    samples: Tensor, starts: Starts, setup: ScoringSetup, horizons: tuple[int, ...]
) -> dict[str, Tensor]:
    truth = starts.future[:, torch.tensor(horizons) - 1]
    scale = setup.limits.sd
    return {
        "energy_score": energy_score(samples, truth, scale),
        "energy_climate": climatology_score(setup.climate, truth, scale),
    }
