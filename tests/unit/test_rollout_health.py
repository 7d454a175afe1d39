"""Health of runs: detectors fire on planted paths, measures are 0 or 1 on data itself."""

import numpy as np
import pytest
import torch

from engram_audio.numerics.kmeans import assign, fit_kmeans
from engram_audio.rollout.guard import fit_codebook, fit_nearest
from engram_audio.rollout.health import (
    Stretches,
    autocorrelations,
    distance_floor,
    energy_distance,
    frozen_paths,
    halves_of,
    late_stretches,
    log_spectrum,
    measure_health,
    std_ratios,
    step_rms,
    survival,
    true_frozen_share,
    true_stretches,
)
from engram_audio.rollout.method_config import CodebookGuard, NearestGuard
from engram_audio.rollout.simulate import Run
from tests.unit.rollout_material import flat_starts

UNIT = (torch.ones(2), torch.full((2,), 2**0.5))


def planted_run(states: torch.Tensor, alive: torch.Tensor | None = None) -> Run:
    """A run of states [S, N, H, D] that started at zero."""
    before = torch.cat([torch.zeros_like(states[:, :, :1]), states[:, :, :-1]], 2)
    if alive is None:
        alive = torch.ones(states.shape[:3], dtype=torch.bool)
    return Run(states, before, alive, (0.0, 0.0))


def white_run(samples: int = 4, starts: int = 400, horizon: int = 32) -> Run:
    generator = torch.Generator().manual_seed(7)
    return planted_run(torch.randn((samples, starts, horizon, 2), generator=generator))


def test_a_run_of_the_data_is_healthy():
    """White noise beside white noise: ratios 1, errors and distance 0, within sampling error."""
    generator = torch.Generator().manual_seed(0)
    found = measure_health(white_run(), flat_starts(400, 32), UNIT, 4, 2000, generator)
    assert found is not None
    assert found.std_ratio == pytest.approx(1, abs=0.02)
    assert found.step_ratio == pytest.approx(1, abs=0.02)
    assert found.autocorrelation_error < 0.02
    assert abs(found.energy_distance) < 0.01
    assert abs(found.energy_distance_floor) < 0.01
    assert found.spectrum_error < 0.1


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_a_wrong_spread_is_seen(spread: float):
    run = white_run()
    wide = run._replace(states=spread * run.states)
    generator = torch.Generator().manual_seed(0)
    found = measure_health(wide, flat_starts(400, 32), UNIT, 4, 2000, generator)
    assert found is not None
    assert found.std_ratio == pytest.approx(spread, rel=0.02)
    assert found.std_ratio_lowest <= found.std_ratio <= found.std_ratio_highest
    assert found.energy_distance > 0.05
    assert found.spectrum_error == pytest.approx(2 * abs(np.log(spread)), rel=0.1)


def test_the_floor_holds_no_difference_of_speakers():
    """Speakers 1 SD apart: a run of the data has distance 0 and floor 0; odd ones out are left."""
    starts = flat_starts(240, 32)
    names = np.array([f"s{number // 24}" for number in range(240)])
    own = np.array([f"{names[number]}-{number % 24 // 6}" for number in range(240)])
    own[-6:] = own[-7]  # three utterances left: one of them in no half
    means = torch.from_numpy(np.random.default_rng(0).normal(size=(10, 2)))[
        np.repeat(np.arange(10), 24)
    ].float()
    starts = starts._replace(
        future=starts.future + means[:, None], speaker_ids=names, utterance_ids=own
    )
    run = white_run(4, 240)
    run = run._replace(states=run.states + means[:, None])
    generator = torch.Generator().manual_seed(0)
    found = measure_health(run, starts, UNIT, 4, 2000, generator)
    assert found is not None
    assert abs(found.energy_distance) < 0.01
    assert abs(found.energy_distance_floor) < 0.01
    half = halves_of(starts, generator)
    for name in np.unique(names):
        sizes = [len(set(own[(names == name) & (half == side)])) for side in (0, 1)]
        assert sizes == [len(set(own[names == name])) // 2] * 2
    one = starts._replace(utterance_ids=names)
    assert np.isnan(distance_floor(one, UNIT[0], 2000, generator))


def test_dimensions_that_stand_still_are_seen():
    """A third of the dimensions frozen: the median spread is right, lowest and distance are not."""
    starts = flat_starts(400, 32)
    starts = starts._replace(future=starts.future[:, :, [0, 1, 0]].clone())
    starts.future[:, :, 2] = torch.randn(
        starts.future.shape[:2], generator=torch.Generator().manual_seed(1)
    )
    states = torch.randn((4, 400, 32, 3), generator=torch.Generator().manual_seed(2))
    states[..., 2] = 0.0
    scales = (torch.ones(3), torch.full((3,), 2**0.5))
    found = measure_health(planted_run(states), starts, scales, 4, 2000, torch.Generator())
    assert found is not None
    assert found.std_ratio == pytest.approx(1, abs=0.02)
    assert found.std_ratio_lowest == 0
    assert found.energy_distance - found.energy_distance_floor > 0.05


def test_true_paths_that_stand_still_are_counted_by_the_same_rule():
    """Two of ten stretches stop: a fifth of the data is frozen by the detector's own rule."""
    starts = flat_starts(10, 32)
    starts.future[:2, 8:] = starts.future[:2, 8:9].clone()
    shares = true_frozen_share(starts, UNIT[1], 1.0, 0.1, 8)
    assert float(shares[6]) == 0.0
    assert float(shares[-1]) == pytest.approx(0.2)


def test_a_frozen_path_is_found_and_a_moving_one_is_not():
    """A path that stops after step 10 counts as frozen once its last 8 steps are still."""
    states = white_run(1, 6, 32).states.clone()
    states[0, 0, 10:] = states[0, 0, 10:11]
    run = planted_run(states)
    frozen = frozen_paths(run, UNIT[1], 1.0, 0.1, 8)
    assert not bool(frozen[0, 1:].any())
    assert frozen[0, 0].nonzero()[0, 0] == 18
    shares = survival(run, frozen)
    assert float(shares.frozen[-1]) == pytest.approx(1 / 6)
    assert float(shares.surviving[0]) == 1.0


def test_a_blown_path_is_counted_and_not_averaged():
    """Its frames after the blow-up are in no measure; nothing left alive is no health at all."""
    run = white_run()
    alive = run.is_alive.clone()
    alive[0, :, 20:] = False
    states = run.states.clone()
    states[0, :, 20:] = 1e6
    blown = planted_run(states, alive)
    shares = survival(blown, torch.zeros_like(alive))
    assert float(shares.blown[19]) == 0.0
    assert float(shares.blown[20]) == 0.25
    assert float(late_stretches(blown).rows().abs().max()) < 10
    dead = planted_run(states, torch.zeros_like(alive))
    assert measure_health(dead, flat_starts(40, 32), UNIT, 4, 100, torch.Generator()) is None


def test_the_energy_distance_is_that_of_two_laws():
    """Two unit Gaussians in one dimension, one apart: 2 E|X-Y| - 2 * 2/sqrt(pi), exactly .527."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn((4000, 1), generator=generator) + shift for shift in (0.0, 1.0))
    normal = torch.distributions.Normal(0.0, 1.0)
    gap = torch.tensor(1 / 2**0.5)
    across = 2 * 2**0.5 * (normal.log_prob(gap).exp() + gap * (normal.cdf(gap) - 0.5))
    exact = 2 * float(across) - 2 * 2 / np.pi**0.5
    assert energy_distance(first, second) == pytest.approx(exact, abs=0.03)
    assert abs(energy_distance(first, first.flip(0) + 0.0)) < 2e-3


def test_autocorrelation_and_spectrum_of_a_first_order_process():
    """AR(1), a = .8: lag l has a^l; white noise has a flat spectrum, this one falls."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((600, 64, 2), generator=generator)
    x = noise.clone()
    for step in range(1, 64):
        x[:, step] = 0.8 * x[:, step - 1] + 0.6 * noise[:, step]
    full = Stretches(x, torch.ones(x.shape[:2], dtype=torch.bool))
    lags = autocorrelations(full, 3, UNIT[0])
    expected = torch.tensor([0.8, 0.64, 0.512])
    assert torch.allclose(lags.mean(1), expected, atol=0.02)
    spectrum = log_spectrum(full, 32, UNIT[0]).mean(1)
    assert float(spectrum[0] - spectrum[-1]) > 3
    flat = log_spectrum(Stretches(noise, full.is_real), 32, UNIT[0]).mean(1)
    assert float(flat.max() - flat.min()) < 0.4


def test_measures_take_true_frames_only():
    """What stands after an utterance's end is in no measure of the data."""
    starts = flat_starts(50, 16)
    starts = starts._replace(lengths=torch.full((50,), 9))
    wild = starts._replace(future=starts.future.clone())
    wild.future[:, 9:] = 1e5
    for one, other in ((true_stretches(starts), true_stretches(wild)),):
        assert torch.equal(one.rows(), other.rows())
        assert step_rms(one, UNIT[1]) == step_rms(other, UNIT[1])
        assert torch.equal(*(autocorrelations(part, 2, UNIT[0]) for part in (one, other)))
        assert torch.allclose(std_ratios(one, other, UNIT[0]), torch.ones(2))


GUARDS = {
    "nearest": NearestGuard(
        kind="nearest", num_frames=2000, num_neighbours=1, quantile=0.99, num_attempts=2
    ),
    "codebook": CodebookGuard(
        kind="codebook",
        key="last_frame.raw.kmeans_64",
        shrinkage=0.2,
        quantile=0.99,
        num_attempts=2,
    ),
}


@pytest.mark.parametrize("kind", list(GUARDS))
def test_a_guard_learns_a_tilted_box(kind: str):
    """Uniform on a turned square: held-out frames are inside, far ones are not and go to data.

    Points of the axis-parallel box around it that are not in it are told apart.
    """
    generator = np.random.default_rng(0)
    turn = np.array([[1.0, 1.0], [-1.0, 1.0]]) / 2**0.5
    frames = generator.uniform(-1, 1, (6000, 2)) @ turn
    mean, sd = frames.mean(0), frames.std(0)
    settings = GUARDS[kind]
    if isinstance(settings, NearestGuard):
        guard = fit_nearest(settings, frames[:4000], frames[4000:5000], mean, sd)
    else:
        train = frames[:4000].astype(np.float32)
        codes, _ = assign(train, fit_kmeans(train, 64, 2, 25, np.random.default_rng(0)))
        guard = fit_codebook(settings, frames[:4000], frames[4000:5000], mean, sd, codes)
    draws = torch.Generator()
    inside = guard.keeps(torch.from_numpy(frames[5000:]).float(), draws)
    assert float(inside.float().mean()) == pytest.approx(0.99, abs=0.015)
    corners = torch.tensor([[1.3, 1.3], [-1.3, 1.3], [1.2, -1.2], [5.0, 0.0], [0.0, -30.0]])
    assert not bool(guard.keeps(corners, draws).any())
    moved = guard.project(corners)
    gap = torch.cdist(moved.double(), torch.from_numpy(frames[:4000]))
    assert float(gap.amin(1).max()) < 1e-5
    assert float((moved - corners)[:3].norm(dim=1).max()) < 1.2
    stuck = guard.project(torch.tensor([[float("nan"), 0.0]]))
    assert bool(torch.isfinite(stuck).all())
