"""Score one method from all starts of a part: sums by speaker and horizon, and health of the runs.

Modes: `sampled` (paths drawn step by step; forecast by matched moments), `mean` (the conditional
mean followed: the first experiment's rollout and its score), `forecast` (all horizons at once).

Shapes: S samples, N starts, H horizon, K forecast horizon, D dimensions.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from engram_audio.densities.density import Density
from engram_audio.densities.reference import Reference
from engram_audio.latents.block import BlockSource
from engram_audio.memory.reading import memory_of
from engram_audio.rollout.config import RolloutSection
from engram_audio.rollout.forecasters import Forecaster
from engram_audio.rollout.forecasts import (
    Forecast,
    Gaussians,
    Marginals,
    marginals_of,
    moment_matched,
)
from engram_audio.rollout.health import (
    frozen_paths,
    measure_health,
    step_rms,
    survival,
    true_frozen_share,
    true_stretches,
)
from engram_audio.rollout.laws import step_law
from engram_audio.rollout.measures import Health
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.reads import read_dynamics
from engram_audio.rollout.scores import climatology_score, energy_score
from engram_audio.rollout.simulate import (
    Guard,
    Limits,
    Run,
    Settings,
    as_steps,
    earlier_log_density,
    free_run,
)

OF_MOTION = (
    "step_ratio", "autocorrelation_error", "autocorrelation_error_all",
    "autocorrelation_error_worst", "spectrum_error",
)  # fmt: skip
NO_INJECTION = 0  # how tables write that the true frame is never put in
COVERAGE_Z = 1.6448536269514722  # of a central 90 % interval


class Bench(NamedTuple):
    """What every method is scored with.

    Attributes:
        settings: Horizons and thresholds.
        marginals: Laws without context.
        limits: When a path has blown up.
        delta_sd: SD of steps, [D].
        climate: Train frames, [C, D]: the forecast that knows nothing.
    """

    settings: RolloutSection
    marginals: Marginals
    limits: Limits
    delta_sd: Tensor
    climate: Tensor

    def generator(self, *names: int) -> torch.Generator:
        """Return a generator of a fixed seed on the bench's device."""
        seed = int(np.random.default_rng([self.settings.seed, *names]).integers(2**62))
        return torch.Generator(device=self.climate.device).manual_seed(seed)


class Scored(NamedTuple):
    """Tables of one method on one part.

    Attributes:
        scores: One row per mode, injection, horizon and speaker: sums over starts.
        health: One row per mode, injection and horizon: shares; health at the last horizon.
    """

    scores: pd.DataFrame
    health: pd.DataFrame


def evaluate_method(
    model: nn.Module, guard: Guard | None, starts: Starts, bench: Bench, with_health: bool
) -> Scored:
    """Score a method on a part; without health only what forecasts are chosen by."""
    model.eval()
    if isinstance(model, Forecaster):
        return _evaluate_forecaster(model, starts, bench, with_health)
    density = as_steps(model)
    tables, healths = [], []
    injections = (NO_INJECTION, *bench.settings.injections_frames) if with_health else (0,)
    for inject in injections:
        table, health = _evaluate_sampled(density, guard, starts, bench, inject, with_health)
        tables.append(table)
        healths.append(health)
    if with_health:
        table, health = _evaluate_mean(density, starts, bench)
        tables.append(table)
        healths.append(health)
    return Scored(pd.concat(tables, ignore_index=True), pd.concat(healths, ignore_index=True))


def _evaluate_sampled(
    model: Density,
    guard: Guard | None,
    starts: Starts,
    bench: Bench,
    inject: int,
    with_health: bool,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    settings, generator = bench.settings, bench.generator(1, inject)
    short = settings.forecast_horizon_frames
    horizons = tuple(range(1, short + 1))
    columns = _sampled_columns(model, guard, starts, bench, inject, generator)
    if not with_health:
        return _by_speaker(columns, starts, horizons, "sampled", inject), pd.DataFrame()
    how = Settings(settings.horizon_frames, True, inject or None, settings.batch_paths)
    count = settings.num_long_samples
    long = free_run(model, starts, how, bench.limits, count, generator, guard)
    tables = [_by_speaker(columns, starts, horizons, "sampled", inject)]
    late = tuple(range(short + 1, settings.horizon_frames + 1))
    if late and settings.num_long_samples > 1:
        energies = _energy_columns(long.states[:, :, short:], starts, bench, late)
        tables.append(_by_speaker(energies, starts, late, "sampled", inject))
    spread = extremes(columns["dnll_position"], starts, horizons)
    health = _health_table(long, starts, bench, spread).assign(mode="sampled", inject_frames=inject)
    if inject:  # where a true frame was put in, states beside each other are of no one path
        health[list(OF_MOTION)] = np.nan
    reader = memory_of(model)
    if reader is not None and not inject:
        health = health.assign(**read_dynamics(reader, starts, long, settings.batch_paths))
    return pd.concat(tables, ignore_index=True), health


def _sampled_columns(
    model: Density,
    guard: Guard | None,
    starts: Starts,
    bench: Bench,
    inject: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Return every score of M sampled paths up to horizon K, [N, K]; a few starts at a time."""
    settings = bench.settings
    short, samples = settings.forecast_horizon_frames, settings.num_samples
    # under a guard: the density's own law of the last step, from contexts that the guard has kept
    law = partial(step_law, model) if model.has_moments else None
    how = Settings(short, True, inject or None, settings.batch_paths, law)
    size = max(settings.batch_paths // samples, 1)
    parts = []
    for low in range(0, len(starts.history), size):
        part = starts.rows(slice(low, low + size))
        run = free_run(model, part, how, bench.limits, samples, generator, guard)
        columns = _forecast_columns(moment_matched(run, short, bench.marginals), part, bench)
        horizons = tuple(range(1, short + 1))
        parts.append(columns | _energy_columns(run.states, part, bench, horizons))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _evaluate_mean(
    model: Density, starts: Starts, bench: Bench
) -> tuple[pd.DataFrame, pd.DataFrame]:
    settings = bench.settings
    run = free_run(
        model, starts, Settings(settings.horizon_frames, False, None, settings.batch_paths),
        bench.limits, 1, bench.generator(2),
    )  # fmt: skip
    earlier = earlier_log_density(model, starts, run, settings.batch_paths)
    reference = bench.marginals.log_prob(starts)["delta"]
    horizons = tuple(range(1, settings.horizon_frames + 1))
    columns = {"first_experiment_dnll": reference - earlier}
    table = _by_speaker(columns, starts, horizons, "mean", NO_INJECTION)
    spread = extremes(columns["first_experiment_dnll"], starts, horizons)
    health = _health_table(run, starts, bench, spread)
    return table, health.assign(mode="mean", inject_frames=NO_INJECTION)


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
    model: Forecaster, starts: Starts, bench: Bench, with_health: bool
) -> Scored:
    settings = bench.settings
    forecast = forecast_of(model, starts, settings.horizon_frames, settings.batch_paths)
    columns = _forecast_columns(forecast, starts, bench)
    samples = forecast.samples(settings.num_long_samples + 1, bench.generator(3))
    columns |= _energy_columns(samples, starts, bench, forecast.horizons)
    table = _by_speaker(columns, starts, forecast.horizons, "forecast", NO_INJECTION)
    if not with_health:
        return Scored(table, pd.DataFrame())
    spread = extremes(columns["dnll_position"], starts, forecast.horizons)
    labels = {"mode": "forecast", "inject_frames": NO_INJECTION}
    if forecast.horizons != tuple(range(1, settings.horizon_frames + 1)):
        return Scored(table, spread.assign(**labels))  # no path: some horizons are not forecast
    states = forecast.position.mean.unsqueeze(0)
    first = starts.history[:, -1:].unsqueeze(0)
    run = Run(
        states, torch.cat([first, states[:, :, :-1]], 2), bench.limits.is_inside(states), (0.0, 0.0)
    )
    return Scored(table, _health_table(run, starts, bench, spread).assign(**labels))


def _forecast_columns(forecast: Forecast, starts: Starts, bench: Bench) -> dict[str, Tensor]:
    """Return dNLL of both events against their marginals, and coverage, each [N, K]."""
    rows = torch.tensor(forecast.horizons) - 1
    found, reference = forecast.log_prob(starts), bench.marginals.log_prob(starts)
    columns = {f"dnll_{name}": reference[name][:, rows] - found[name] for name in found}
    z = (starts.future[:, rows] - forecast.position.mean) / forecast.position.sd
    columns["covered"] = (z.abs() <= COVERAGE_Z).float().mean(-1)
    return columns


def _energy_columns(
    samples: Tensor, starts: Starts, bench: Bench, horizons: tuple[int, ...]
) -> dict[str, Tensor]:
    truth = starts.future[:, torch.tensor(horizons) - 1]
    scale = bench.limits.sd
    return {
        "energy_score": energy_score(samples, truth, scale),
        "energy_climate": climatology_score(bench.climate, truth, scale),
    }


def _by_speaker(
    columns: dict[str, Tensor],
    starts: Starts,
    horizons: tuple[int, ...],
    mode: str,
    inject: int,
) -> pd.DataFrame:
    """Sum columns [N, K] over the starts of each speaker that have a true frame there.

    A start whose scores are not finite is left out of every sum; `extremes` counts it.
    """
    names, code = np.unique(starts.speaker_ids, return_inverse=True)
    is_true = starts.is_true()[:, torch.tensor(horizons) - 1].cpu().numpy()
    found = {name: values.double().cpu().numpy() for name, values in columns.items()}
    is_counted = is_true & np.all([np.isfinite(values) for values in found.values()], axis=0)
    table = {"num_starts": is_counted.astype(float)}
    table |= {name: np.where(is_counted, values, 0.0) for name, values in found.items()}
    sums = {}
    for name, values in table.items():
        total = np.zeros((len(names), len(horizons)))
        np.add.at(total, code, values)
        sums[name] = total.ravel()
    return pd.DataFrame({
        "mode": mode,
        "inject_frames": inject,
        "speaker_id": np.repeat(names, len(horizons)),
        "horizon_frames": np.tile(horizons, len(names)),
        **sums,
    })  # fmt: skip


def extremes(dnll: Tensor, starts: Starts, horizons: tuple[int, ...]) -> pd.DataFrame:
    """Return median and largest score of every horizon over starts, and how many are not finite."""
    is_true = starts.is_true()[:, torch.tensor(horizons) - 1].cpu().numpy()
    values = dnll.double().cpu().numpy()
    rows = []
    for number, horizon in enumerate(horizons):
        own = values[is_true[:, number], number]
        finite = own[np.isfinite(own)]
        rows.append({
            "horizon_frames": horizon,
            "dnll_median": np.median(finite) if len(finite) else np.nan,
            "dnll_highest": finite.max() if len(finite) else np.nan,
            "num_not_finite": len(own) - len(finite),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _health_table(run: Run, starts: Starts, bench: Bench, spread: pd.DataFrame) -> pd.DataFrame:
    settings, scale = bench.settings, bench.delta_sd
    detector = (
        scale, step_rms(true_stretches(starts), scale), settings.frozen_fraction,
        settings.frozen_frames,
    )  # fmt: skip
    shares = survival(run, frozen_paths(run, *detector))
    num_horizons = run.states.shape[2]
    table = pd.DataFrame({
        "horizon_frames": np.arange(1, num_horizons + 1),
        "diverged_share": shares.blown.cpu().numpy(),
        "frozen_share": shares.frozen.cpu().numpy(),
        "frozen_share_true": true_frozen_share(starts, *detector)[:num_horizons].cpu().numpy(),
        "surviving_share": shares.surviving.cpu().numpy(),
        "num_paths": run.states.shape[0] * run.states.shape[1],
        "num_diverged": (~run.is_alive).sum((0, 1)).cpu().numpy(),
        "guard_redrawn": run.guarded[0],
        "guard_moved": run.guarded[1],
    })  # fmt: skip
    health = measure_health(
        run, starts, (bench.limits.sd, scale), settings.autocovariance_lags_frames,
        settings.maximum_energy_frames, bench.generator(4),
    )  # fmt: skip
    for name in Health._fields:
        table[name] = np.nan if health is None else getattr(health, name)
    return table.merge(spread, on="horizon_frames", how="left")


def make_bench(
    settings: RolloutSection, reference: Reference, climate: np.ndarray, device: torch.device
) -> Bench:
    """Return the bench of train statistics and train frames [C, D]."""
    mean, sd, step = reference.frame_mean, reference.frame_sd, reference.delta_sd
    tensors = [
        torch.as_tensor(part, dtype=torch.float32, device=device) for part in (mean, sd, step)
    ]
    return Bench(
        settings,
        marginals_of(mean, sd, step, device),
        Limits(tensors[0], tensors[1], settings.divergence_factor),
        tensors[2],
        torch.as_tensor(climate, dtype=torch.float32, device=device),
    )


def climate_frames(source: BlockSource, settings: RolloutSection) -> np.ndarray:
    """Draw train frames of the whole stream evenly at random, [C, D]."""
    generator = np.random.default_rng([settings.seed, 5])
    size = settings.maximum_energy_frames
    kept: list[np.ndarray] = []
    keys: list[np.ndarray] = []
    for block in source():
        rows = np.flatnonzero(block.scored())
        key = generator.random(len(rows))
        best = np.argsort(key)[:size]
        kept.append(np.asarray(block.frames[rows[best]]))
        keys.append(key[best])
    order = np.argsort(np.concatenate(keys), kind="stable")[:size]
    return np.concatenate(kept)[order]
