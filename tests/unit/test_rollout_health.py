"""Health of runs: detectors fire on planted paths, measures are 0 or 1 on data itself."""

import numpy as np
import pytest
import torch

from engram_audio.numerics.kmeans import assign, fit_kmeans
from engram_audio.rollout.forecasts import Gaussians, Marginals
from engram_audio.rollout.guard import fit_codebook, fit_nearest
from engram_audio.rollout.health import Detector, survival, true_run, true_survival
from engram_audio.rollout.late import Measured, measure_health
from engram_audio.rollout.measures import DETAILS, STATISTICS
from engram_audio.rollout.method_config import CodebookGuard, NearestGuard
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.setup import ScoringSetup
from engram_audio.rollout.simulate import Limits, Run
from engram_audio.rollout.stretches import (
    Rows,
    Stretches,
    autocorrelations,
    central_ranges,
    deviations,
    energy_distance,
    log_spectrum,
    pair_distances,
    step_lengths,
)
from engram_audio.rollout.support import nearest_distances
from engram_audio.stats.estimate import Estimate, t_interval, uncertain
from tests.unit.rollout_material import flat_starts, rollout_section, unit_limits

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


def setup_of(num_dims: int = 2, factor: float = 10.0) -> ScoringSetup:
    """White data of unit variance."""
    draws = torch.Generator().manual_seed(3)
    zero, one = torch.zeros(num_dims), torch.ones(num_dims)
    train = torch.randn((3000, num_dims), generator=draws)
    laws = Marginals(Gaussians(zero, one * 2**0.5), Gaussians(zero, one))
    settings = rollout_section(
        horizon_frames=32, frozen_frames=8, maximum_energy_frames=2000, autocovariance_lags_frames=4
    )
    return ScoringSetup(
        settings, laws, Limits(zero, one, factor), one * 2**0.5, train[:2000], train
    )


def white_starts(count: int = 240, speakers: int = 12, seed: int = 1) -> Starts:
    """White noise of unit variance: each start in an utterance of its own."""
    starts = flat_starts(count, 32, seed=seed)
    names = np.array([f"s{number % speakers:02d}" for number in range(count)])
    return starts._replace(speaker_ids=names)


def health_of(
    run: Run, starts: Starts, others: Starts | None = None, setup: ScoringSetup | None = None
) -> Measured:
    draws = torch.Generator().manual_seed(0)
    others = white_starts(len(starts.history), seed=2) if others is None else others
    return measure_health(run, starts, others, setup or setup_of(), draws)


def value(found: Measured, name: str) -> float:
    return float(found.run[name][0])


def excess(found: Measured, name: str) -> tuple[float, float, float]:
    """An excess with its interval over speakers."""
    values = found.run[name] - found.true[name]
    influence = (values[0] - values[1:]) * (1 - found.share)
    own = t_interval(uncertain(Estimate(values[0], influence, found.share)), 0.95)
    return float(own.low), float(values[0]), float(own.high)


def test_a_run_of_the_data_is_healthy():
    """White noise beside white noise: ratios 1, errors those of true stretches, distance 0."""
    found = health_of(white_run(4, 240), white_starts())
    for name in ("spread_ratio", "std_ratio", "step_ratio"):
        assert value(found, name) == pytest.approx(1, abs=0.03)
    for name in STATISTICS:
        low, _, high = excess(found, name)
        assert low - 0.01 < 0 < high + 0.01, name
    assert found.num_stretches == 240


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_a_wrong_spread_is_seen(spread: float):
    run = white_run(4, 240)
    found = health_of(run._replace(states=spread * run.states), white_starts())
    for name in ("spread_ratio", "std_ratio"):
        assert value(found, name) == pytest.approx(spread, rel=0.03)
    assert found.details["std_ratio_lowest"] <= value(found, "std_ratio")
    assert value(found, "std_ratio") <= found.details["std_ratio_highest"]
    assert excess(found, "energy_distance")[0] > 0.05
    assert value(found, "spectrum_error") == pytest.approx(2 * abs(np.log(spread)), rel=0.1)


def shifted(run: Run, starts: Starts, others: Starts, means: torch.Tensor) -> Measured:
    """Health where each start's frames lie about a mean of their own, [N, D]."""
    move = means[:, None]
    return health_of(
        run._replace(states=run.states + move), starts._replace(future=starts.future + move),
        others._replace(future=others.future + move),
    )  # fmt: skip


@pytest.mark.parametrize("unit", ["utterance", "speaker"])
def test_what_differs_between_utterances_hides_no_noise_and_is_none(unit: str):
    """Frames = mean of the utterance, or of the speaker, + noise of the same SD.

    The law itself has no excess. With 20 % too much noise the spread is sqrt((1 + 1.44) / 2), or
    1.105 times the data's, and the steps are 1.2 times as long. A floor from other utterances held
    the difference of means and made such runs .256 better than the truth.
    """
    draws = torch.Generator().manual_seed(5)
    means = torch.randn((240, 2), generator=draws)
    if unit == "speaker":
        means = means[np.arange(240) % 12]
    run, starts, others = white_run(4, 240), white_starts(), white_starts(seed=2)
    exact = shifted(run, starts, others, means)
    assert abs(excess(exact, "energy_distance")[1]) < 0.005
    for name in ("spread_ratio", "step_ratio"):
        low, middle, high = excess(exact, name)
        assert low < 0 < high and abs(middle) < 0.03
    noisy = shifted(run._replace(states=1.2 * run.states), starts, others, means)
    low, middle, _ = excess(noisy, "spread_ratio")
    assert low > 0 and middle == pytest.approx(1.22**0.5 - 1, abs=0.03)
    assert excess(noisy, "step_ratio")[1] == pytest.approx(0.2, abs=0.03)
    assert excess(noisy, "energy_distance")[0] > 0


def test_a_run_that_forgets_its_speaker_has_the_law_of_frames_all_the_same():
    """Means drawn anew for every start: the law of frames has not changed."""
    draws = torch.Generator().manual_seed(5)
    means = torch.randn((12, 2), generator=draws)[np.arange(240) % 12]
    run, starts, others = white_run(4, 240), white_starts(), white_starts(seed=2)
    anew = torch.randn((240, 2), generator=draws) - means
    elsewhere = run._replace(states=run.states + anew[:, None])
    low, middle, high = excess(shifted(elsewhere, starts, others, means), "energy_distance")
    assert low < 0 < high or abs(middle) < 0.01


def test_a_path_beside_the_data_is_off_the_support():
    """Captured at 3.5 SD in one direction: near enough for any RMS, and 1 of 100 true frames is."""
    run = white_run(4, 240)
    evidence = run._replace(states=0.1 * run.states + 3.5)
    found = health_of(evidence, white_starts())
    assert value(found, "diverged_late") == 0
    assert value(found, "off_support_share") > 0.95
    assert excess(found, "off_support_share")[0] > 0.9
    assert found.true["off_support_share"][0] == pytest.approx(0, abs=0.01)


def test_the_nearest_distance_is_that_of_any_block_size():
    draws = torch.Generator().manual_seed(0)
    frames, train = (torch.randn((count, 3), generator=draws) for count in (50, 70))
    whole = nearest_distances(frames, train, 10**6)
    assert torch.allclose(whole, torch.cdist(frames, train).amin(1), atol=1e-5)
    assert torch.allclose(whole, nearest_distances(frames, train, 1), atol=1e-5)


def test_dimensions_that_stand_still_are_seen():
    """A third of the dimensions frozen: the median SD is right, spread and distance are not."""
    draws = torch.Generator().manual_seed(1)
    starts, others = (
        each._replace(future=torch.randn((240, 32, 3), generator=draws))
        for each in (white_starts(), white_starts(seed=2))
    )
    starts, others = (each._replace(history=torch.zeros((240, 3, 3))) for each in (starts, others))
    states = torch.randn((4, 240, 32, 3), generator=draws)
    states[..., 2] = 0.0
    found = health_of(planted_run(states), starts, others, setup_of(3))
    assert value(found, "std_ratio") == pytest.approx(1, abs=0.03)
    assert found.details["std_ratio_lowest"] == 0
    assert excess(found, "energy_distance")[0] > 0.02
    assert excess(found, "spread_ratio")[2] < -0.5


def test_true_paths_that_stand_still_are_counted_by_the_same_rule():
    """Two of ten stretches stop: a fifth of the data is frozen by the detector's own rule."""
    starts = flat_starts(10, 32)
    starts.future[:2, 8:] = starts.future[:2, 8:9].clone()
    shares = true_survival(starts, setup_of()).frozen
    assert float(shares[6]) == 0.0
    assert float(shares[-1]) == pytest.approx(0.2)


def test_true_paths_that_leave_the_data_are_counted_by_the_same_rule():
    """A frame at 20 SD: gone from there on, as a run would be; no later frame counts."""
    starts = flat_starts(10, 32)
    starts.future[0, 20] = 20.0
    assert torch.allclose(true_survival(starts, setup_of()).diverged[[19, 20, 31]],
                          torch.tensor([0.0, 0.1, 0.1]).double())  # fmt: skip
    alive = true_run(starts, unit_limits()).is_alive[0, 0]
    assert alive[:20].all() and not alive[20:].any()


def test_as_many_true_paths_may_leave_and_stop_as_do():
    """One of ten true stretches leaves, one stops: a run that does as much has no excess."""
    starts, others, run = white_starts(), white_starts(seed=2), white_run(4, 240)
    for frames in (starts.future, others.future, *run.states):
        frames[:24, 10:] = 15.0
        frames[24:48, 2:] = frames[24:48, 2:3].clone()
    alive = run.is_alive.clone()
    alive[:, :24, 10:] = False
    found = health_of(planted_run(run.states, alive), starts, others)
    for name in ("diverged_late", "frozen_late"):
        assert value(found, name) == pytest.approx(0.1)
        assert excess(found, name)[1] == 0
    worse = alive.clone()
    worse[:, 48:72, 10:] = False
    found = health_of(planted_run(run.states, worse), starts, others)
    assert excess(found, "diverged_late")[1] == pytest.approx(0.1)


def test_a_frozen_path_is_found_and_a_moving_one_is_not():
    """A path that stops after step 10 counts as frozen once its last 8 steps are still."""
    states = white_run(1, 6, 32).states.clone()
    states[0, 0, 10:] = states[0, 0, 10:11]
    run = planted_run(states)
    frozen = Detector(UNIT[1], 1.0, 0.1, 8).finds(run)
    assert not bool(frozen[0, 1:].any())
    assert frozen[0, 0].nonzero()[0, 0] == 18
    shares = survival(run, frozen)
    assert float(shares.frozen[-1]) == pytest.approx(1 / 6)
    assert float(shares.surviving[0]) == 1.0


def test_a_gone_path_is_counted_and_not_averaged():
    """Its frames after it left are in no measure; nothing left alive has no law of frames."""
    run = white_run(4, 240)
    alive = run.is_alive.clone()
    alive[0, :, 20:] = False
    states = run.states.clone()
    states[0, :, 20:] = 1e6
    gone = planted_run(states, alive)
    shares = survival(gone, torch.zeros_like(alive))
    assert float(shares.diverged[19]) == 0.0
    assert float(shares.diverged[20]) == 0.25
    found = health_of(gone, white_starts())
    assert value(found, "std_ratio") == pytest.approx(1, abs=0.05)
    assert value(found, "diverged_late") == pytest.approx(0.25 * 12 / 16)
    dead = health_of(planted_run(states, torch.zeros_like(alive)), white_starts())
    assert value(dead, "diverged_late") == 1
    assert np.isnan([value(dead, name) for name in STATISTICS[2:]]).all()


def test_stretches_that_end_too_early_have_no_health():
    """No true frame in the second half, or no other start: no number, and no error."""
    starts = white_starts(24)._replace(lengths=torch.full((24,), 10))
    found = health_of(white_run(2, 24), starts, white_starts(24, seed=2))
    assert np.isnan([found.run[name] for name in STATISTICS]).all() and found.num_stretches == 0
    alone = white_starts(24, seed=2)._replace(lengths=torch.zeros(24, dtype=torch.int64))
    found = health_of(white_run(2, 24), white_starts(24), alone)
    assert np.isnan([found.details[name] for name in DETAILS]).all() and found.num_stretches == 0


def rows_of(values: torch.Tensor, speakers: int = 10) -> Rows:
    return Rows(values, torch.arange(len(values)) % speakers, speakers)


def test_the_energy_distance_is_that_of_two_laws():
    """Two unit Gaussians in one dimension, one apart: 2 E|X-Y| - 2 * 2/sqrt(pi), exactly .527."""
    draws = torch.Generator().manual_seed(0)
    first, second = (
        rows_of(torch.randn((4000, 1), generator=draws) + shift) for shift in (0.0, 1.0)
    )
    normal = torch.distributions.Normal(0.0, 1.0)
    middle = torch.tensor(1 / 2**0.5)
    across = 2 * 2**0.5 * (normal.log_prob(middle).exp() + middle * (normal.cdf(middle) - 0.5))
    exact = 2 * float(across) - 2 * 2 / np.pi**0.5
    inner = [pair_distances(each, each) for each in (first, second)]
    gap = pair_distances(first, second) - 0.5 * (inner[0] + inner[1])
    found = energy_distance(gap, torch.full((10,), 0.1).double())
    assert found.shape == (11,)
    assert float(found[0]) == pytest.approx(exact, abs=0.03)
    assert torch.allclose(found[1:], found[:1], atol=0.03)


def test_pairs_inside_a_speaker_are_no_part_of_the_distance():
    """Whatever their gap, and a speaker without rows counts for nothing."""
    gap = torch.full((4, 4), 0.25).double()
    gap[3], gap[:, 3] = torch.nan, torch.nan
    gap.diagonal()[:3] = torch.tensor([5.0, -3.0, 7.0])
    found = energy_distance(gap, torch.tensor([0.4, 0.3, 0.2, 0.1]).double())
    assert torch.allclose(found, torch.full((5,), 0.5).double())


def test_statistics_without_a_speaker_are_those_of_the_others():
    """SDs are exact. Quantiles move by a linear rule, here to a third of what the speaker does."""
    draws = torch.Generator().manual_seed(0)
    values = torch.randn((5000, 2), generator=draws)
    values[::10] *= 1.5  # the first speaker is wider
    rows = rows_of(values)
    kept = rows.speaker != 0
    rest = Rows(values[kept], rows.speaker[kept] - 1, 9)
    assert torch.allclose(deviations(rows)[1], deviations(rest)[0])
    found, exact = central_ranges(rows), central_ranges(rest)[0]
    moved = (found[0] - exact).abs()
    assert bool(((found[1] - exact).abs() < moved / 3).all())


def test_quantiles_are_of_no_one_frame():
    """One frame in a thousand at 1e6: the SD is anything, the central range as it was."""
    values = torch.randn((5000, 2), generator=torch.Generator().manual_seed(0))
    wild = values.clone()
    wild[::1000] = 1e6
    assert float(deviations(rows_of(wild))[0].min()) > 1e4
    ratio = central_ranges(rows_of(wild))[0] / central_ranges(rows_of(values))[0]
    assert torch.allclose(ratio, torch.ones(2).double(), atol=0.02)


def stretches_of(frames: torch.Tensor, is_real: torch.Tensor | None = None) -> Stretches:
    real = torch.ones(frames.shape[:2], dtype=torch.bool) if is_real is None else is_real
    return Stretches(frames, real, torch.arange(len(frames)) % 10, 10)


FAR = (torch.full((2,), -1e9), torch.full((2,), 1e9))


def test_autocorrelation_and_spectrum_of_a_first_order_process():
    """AR(1), a = .8: lag l has a^l; white noise has a flat spectrum, this one falls."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((600, 64, 2), generator=generator)
    x = noise.clone()
    for step in range(1, 64):
        x[:, step] = 0.8 * x[:, step - 1] + 0.6 * noise[:, step]
    full = stretches_of(x)
    lags = autocorrelations(full, 3, FAR, UNIT[0])[0]
    expected = torch.tensor([0.8, 0.64, 0.512]).double()
    assert torch.allclose(lags.mean(1), expected, atol=0.02)
    spectrum = log_spectrum(full, 32, UNIT[0])[0].mean(1)
    assert float(spectrum[0] - spectrum[-1]) > 3
    flat = log_spectrum(stretches_of(noise), 32, UNIT[0])[0].mean(1)
    assert (
        float(flat[:-1].max() - flat[:-1].min()) < 0.4
    )  # the last power is of one number, not two


def test_measures_take_true_frames_only():
    """What stands after an utterance's end is in no measure of the data."""
    real = (torch.arange(16) < 9).expand(50, 16)
    frames = flat_starts(50, 16).future
    wild = torch.where(real[..., None], frames, 1e5)
    pair = [stretches_of(each, real) for each in (frames, wild)]
    assert torch.equal(*(each.rows().values for each in pair))
    assert torch.equal(*(step_lengths(each, UNIT[1]) for each in pair))
    assert torch.equal(*(autocorrelations(each, 2, FAR, UNIT[0]) for each in pair))
    assert torch.equal(*(log_spectrum(each, 8, UNIT[0]) for each in pair))


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
