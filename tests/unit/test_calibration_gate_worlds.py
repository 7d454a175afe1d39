"""Worlds that once deceived the gate: each obeys its equation, and its truths are right."""

import itertools

import numpy as np
import pytest

from engram_audio.calibration.added import added_truths, hidden_key_added, linear_r2
from engram_audio.calibration.config import OVERLAPPING_WORLDS, world_rows
from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.oracle import Task
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.truths import oracle_truths
from engram_audio.calibration.world import simulate
from engram_audio.calibration.worlds_filtered import OverlapSymbols, Pulses
from engram_audio.calibration.worlds_gate import Sines, SpeakerAutoregression
from engram_audio.calibration.worlds_gated import SilentCycle
from engram_audio.calibration.worlds_stochvol import StochasticVolatility
from engram_audio.config import parse_config
from engram_audio.numerics.units import LOG_2PI
from engram_audio.windows import target_rows, utterance_of_rows
from tests import studies

SMALL_FILTERS = {
    "pulses": Pulses(seed=1, num_dims=3, num_taps=3, maximum_pulses=3, probability=0.3),
    "overlap_symbols": OverlapSymbols(seed=1, num_dims=3, num_taps=3),
}
SMALL = WorldSize(20, 10, 10)
WINDOW, LAG = 8, 2


def steps_apart(block, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames and those `steps` before them, float64."""
    rows = target_rows(block.offsets, 1, max(steps, 1))
    frames = block.frames.astype(np.float64)
    return frames[rows], frames[rows - steps]


def speaker_error(block, rows: np.ndarray, values: np.ndarray) -> float:
    """Standard error of a mean over speakers."""
    names = block.speaker_ids[utterance_of_rows(block.offsets, rows)].astype(str)
    means = np.array([values[names == name].mean() for name in np.unique(names)])
    return float(means.std(ddof=1) / np.sqrt(len(means)))


@pytest.mark.parametrize(
    "name", ["seasonal", "sines", "pulses", "overlap_symbols", "spiky_var", "table", "type2", "ssm"]
)
@pytest.mark.parametrize("steps", [0, 1, 3, 7])
def test_frames_have_the_autocovariance_that_the_equation_says(name, steps):
    """The trace of E[x_t x_{t-h}'] agrees with the closed form within 5 standard errors."""
    world = make_world(name, 0)
    block = simulate(world, WorldSize(60, 30, 10)).block
    mean = block.frames.mean(axis=0, dtype=np.float64)  # worlds of prototypes have one
    now, before = steps_apart(block, steps)
    rows = target_rows(block.offsets, 1, max(steps, 1))
    products = ((now - mean) * (before - mean)).sum(axis=1)
    known = world.autocovariance(steps)
    assert known is not None
    expected = np.trace(known)
    assert abs(products.mean() - expected) < 5 * speaker_error(block, rows, products)


def test_seasonal_innovations_are_white():
    """x_t - .95 x_{t-7} has unit variance and nothing in common with the eight frames before."""
    block = simulate(make_world("seasonal", 0), SMALL).block
    rows = target_rows(block.offsets, 1, 8)
    frames = block.frames.astype(np.float64)
    noise = frames[rows] - 0.95 * frames[rows - 7]
    tolerance = 5 / np.sqrt(noise.size)
    assert abs(noise.var() - 1) < np.sqrt(2) * tolerance
    for steps in range(1, 9):
        before = frames[rows - steps]
        assert abs((noise * before).mean() / before.std()) < tolerance


def test_sines_stay_on_their_frequencies():
    """Without noise, x_t of one utterance is a sum of the three sines, and nothing else."""
    world = Sines(seed=0, noise_sd=1e-9, num_dims=2)
    block = simulate(world, WorldSize(1, 0, 3)).block
    for first, last in zip(block.offsets[:-1], block.offsets[1:], strict=True):
        time = np.arange(last - first)[:, None] * np.array(world.frequencies_rad)
        waves = np.hstack([np.cos(time), np.sin(time)])
        rest = (
            block.frames[first:last]
            - waves @ np.linalg.lstsq(waves, block.frames[first:last], rcond=None)[0]
        )
        assert np.abs(rest).max() < 1e-5  # single precision


@pytest.mark.parametrize("name", ["ar_speakers", "ar_speakers_signs"])
def test_each_speaker_has_its_own_coefficient(name):
    """Lag-one correlations are the speakers' coefficients within 5 / sqrt(values)."""
    world = make_world(name, 0)
    assert isinstance(world, SpeakerAutoregression)
    block = simulate(world, SMALL).block
    rows = target_rows(block.offsets, 1, 1)
    names = block.speaker_ids[utterance_of_rows(block.offsets, rows)].astype(str)
    frames = block.frames.astype(np.float64)
    found = set()
    for name_of in np.unique(names):
        own = rows[names == name_of]
        measured = (frames[own] * frames[own - 1]).mean()
        coefficient = world.coefficient(name_of)
        assert abs(measured - coefficient) < 5 * 2 / np.sqrt(frames[own].size)
        found.add(round(coefficient, 6))
    assert world.smallest <= min(found) and max(found) <= world.largest
    assert len(found) == (2 if world.is_signed else 30)


def brute_force(world, frames: np.ndarray, target: int, lag: int) -> tuple[float, np.ndarray]:
    """Log density and mean of delta at `target` given frames 0 .. target - lag, by enumeration.

    Every path of symbols is tried, those before the first frame included.
    """
    num_taps, count = len(world.taps), target + 1
    paths = np.indices((len(world.probabilities),) * (count + num_taps - 1))
    paths = paths.reshape(count + num_taps - 1, -1).T
    prior = np.log(world.probabilities)[paths].sum(axis=1)
    clean = np.zeros((len(paths), count, world.num_dims))
    for tap in range(num_taps):
        clean += world.taps[tap][paths[:, num_taps - 1 - tap : num_taps - 1 - tap + count]]
    sd = world.noise_sd
    seen = -0.5 * ((frames[: count - lag] - clean[:, : count - lag]) ** 2).sum((1, 2)) / sd**2
    change = clean[:, -1] - clean[:, -2]
    value = frames[target] - frames[target - 1]
    dims = world.num_dims
    density = -0.5 * ((value - change) ** 2).sum(1) / (2 * sd**2)
    density -= 0.5 * dims * (LOG_2PI + np.log(2 * sd**2))
    weight = np.exp(prior + seen - (prior + seen).max())
    weight /= weight.sum()
    return float(np.log(weight @ np.exp(density))), weight @ change


@pytest.mark.parametrize("lag", [2, 3])
@pytest.mark.parametrize("kind", ["pulses", "overlap_symbols"])
def test_the_posterior_over_symbols_is_that_of_all_paths(kind, lag):
    """Filter against the enumeration of every path of symbols: equal to rounding."""
    world = SMALL_FILTERS[kind]
    frames = simulate(world, WorldSize(1, 0, 1)).block.frames[:6].astype(np.float64)
    task = Task(
        "train-0000", frames, np.array([6]), np.arange(6), np.array([5]), lag, "delta"
    )  # fmt: skip
    law = world.oracle().predict(task)
    density, mean = brute_force(world, frames, 5, lag)
    assert law.log_density(task.values())[0] == pytest.approx(density, abs=1e-9)
    assert law.mean()[0] == pytest.approx(mean, abs=1e-9)
    # the newest frames alone: as if the utterance began with them
    windowed = world.oracle(6 - lag - 1).predict(task)
    shorter = brute_force(world, frames[1:], 4, lag)
    assert windowed.log_density(task.values())[0] == pytest.approx(shorter[0], abs=1e-9)


def particle_nats(world: StochasticVolatility, draw, rng, num_particles: int) -> np.ndarray:
    """-log p(d_t | d_1 .. d_{t-1}) by a particle filter, one value per utterance frame t >= 2."""
    block, scores = draw.block, []
    for first, last in zip(block.offsets[:-1], block.offsets[1:], strict=True):
        steps = np.diff(block.frames[first:last].astype(np.float64), axis=0)
        state = world.log_scale_sd * rng.standard_normal(num_particles)
        for number, step in enumerate(steps):
            noise = rng.standard_normal(num_particles)
            state = world.persistence * state + world.volatility_sd * noise
            log_parts = -0.5 * (step @ step) * np.exp(-state) - 0.5 * len(step) * (LOG_2PI + state)
            weight = np.exp(log_parts - log_parts.max())
            if number:
                scores.append(-np.log(weight.mean()) - log_parts.max())
            edges = np.cumsum(weight / weight.sum())
            places = (np.arange(num_particles) + rng.random()) / num_particles
            state = state[np.searchsorted(edges, places).clip(max=num_particles - 1)]
    return np.array(scores)


def test_the_grid_filter_of_stochastic_volatility_agrees_with_particles():
    """NLL at lag 1 of 10,000 particles and of the grid: equal within .005 nats."""
    world = make_world("stochvol", 0)
    assert isinstance(world, StochasticVolatility)
    draw = simulate(world, WorldSize(1, 0, 12))
    rows = target_rows(draw.block.offsets, 1, 2)
    grid = -world.oracle().log_density(draw.block, rows, 1)
    particles = particle_nats(world, draw, np.random.default_rng(0), 10_000)
    difference = grid - particles
    assert difference.std() / np.sqrt(len(rows)) < 0.005
    assert abs(difference.mean()) < 0.005


def test_log_scales_follow_their_autoregression():
    """Log scales have the stationary variance and the lag-one correlation of its equation."""
    draw = simulate(make_world("stochvol", 0), WorldSize(60, 30, 10))
    scale = draw.hidden["log_scale"]
    rows = target_rows(draw.block.offsets, 1, 1)
    variance = 0.3**2 / (1 - 0.95**2)
    error = speaker_error(draw.block, rows, scale[rows] ** 2)
    assert abs((scale[rows] ** 2).mean() - variance) < 5 * error
    innovation = scale[rows] - 0.95 * scale[rows - 1]
    assert innovation.std() == pytest.approx(0.3, rel=5 / np.sqrt(2 * len(rows)))


@pytest.mark.parametrize(
    ("name", "smallest", "largest"),
    [("unequal_third", 0.30, 0.37), ("unequal_half", 0.46, 0.54), ("type2", 0.03, 0.08)],
)
def test_the_largest_speaker_has_the_share_it_should(name, smallest, largest):
    """One eval speaker of 20 has a third or half of all frames."""
    block = simulate(make_world(name, 0), WorldSize(0, 20, 10)).block
    sizes = np.diff(block.offsets)
    names = block.speaker_ids.astype(str)
    share = [sizes[names == one].sum() / sizes.sum() for one in np.unique(names)]
    assert smallest < max(share) < largest


def test_lognormal_speakers_have_lognormal_sizes():
    """Utterance counts average the recipe's, and their effective number is N / exp(sd^2)."""
    block = simulate(make_world("iid", 0, speaker_sizes="lognormal"), WorldSize(0, 400, 30)).block
    counts = np.unique(block.speaker_ids.astype(str), return_counts=True)[1]
    assert abs(counts.mean() / 30 - 1) < 5 * 0.87 / 20  # SD of the factor: sqrt(exp(.5625) - 1)
    effective = counts.sum() ** 2 / (counts**2).sum() / 400
    assert effective == pytest.approx(np.exp(-(0.75**2)), abs=0.12)


def test_near_copies_are_train_utterances_with_a_little_noise():
    """Each copied eval utterance lies within 1.2 noise SD of one train utterance, others do not."""
    world = make_world("near_copies", 0)
    draw = simulate(world, WorldSize(4, 4, 10))
    block, copied = draw.block, []
    for number in np.flatnonzero(draw.split_hint == "eval"):
        own = block.frames[block.offsets[number] : block.offsets[number + 1]]
        distances = [
            np.sqrt(np.mean((block.frames[start : start + len(own)] - own) ** 2))
            for start in block.offsets[:40]
        ]
        is_copy = draw.hidden["is_copy"][block.offsets[number]]
        assert (min(distances) < 1.2 * world.parameters()["change_sd"]) == is_copy
        copied.append(is_copy)
    assert 0.2 < np.mean(copied) < 0.8  # 40 utterances, half of them copies


@pytest.mark.parametrize("name", ["silence", "silent_motifs"])
def test_speech_of_a_silence_world_is_a_random_walk(name):
    """No utterance changes its kind, quiet frames lie 35 dB down, and speech deltas are white."""
    world = make_world(name, 0)
    draw = simulate(world, WorldSize(20, 10, 20))
    block, is_low = draw.block, draw.hidden["is_on"]
    utterance = np.repeat(np.arange(len(block.offsets) - 1), np.diff(block.offsets))
    starts = is_low[block.offsets[:-1]]
    assert np.array_equal(is_low, starts[utterance])
    for name_of in np.unique(block.speaker_ids.astype(str)):
        own = (block.speaker_ids.astype(str) == name_of)[utterance]
        loud = np.quantile(block.energy[own], 0.95)
        assert (20 * np.log10(block.energy[own] / loud) < -35).tolist() == is_low[own].tolist()
    assert starts.mean() == pytest.approx(world.parameters()["low_fraction"], abs=0.03)
    rows = target_rows(block.offsets, 1, 2)
    rows = rows[~is_low[rows - 2]]
    delta = block.frames[rows].astype(np.float64) - block.frames[rows - 1]
    assert delta.var() == pytest.approx(1, abs=5 * np.sqrt(2 / delta.size))


def least_squares(name: str, with_key: bool) -> tuple[float, float]:
    """R^2 of delta on W frames, and what the hidden key adds, on half of the speakers each."""
    draw = simulate(make_world(name, 0), WorldSize(40, 40, 10))
    frames, block = draw.block.frames.astype(np.float64), draw.block
    rows = target_rows(block.offsets, WINDOW, LAG)
    fitted = rows < block.offsets[np.flatnonzero(draw.split_hint == "eval")[0]]
    values = frames[rows] - frames[rows - 1]
    values = (values - values[fitted].mean(0)) / values[fitted].std(0)
    context = [frames[rows - LAG - age] for age in range(WINDOW)]
    if name == "drift":
        context = [new - old for new, old in itertools.pairwise(context)]
    design = [np.concatenate(context, axis=1), np.ones((len(rows), 1))]
    if with_key:
        key = draw.hidden["symbol" if name == "table" else "phase"][rows - LAG]
        design.append((key[:, None] == np.arange(key.max())).astype(float))

    def score(parts: list[np.ndarray]) -> float:
        matrix = np.concatenate(parts, axis=1)
        weights = np.linalg.lstsq(matrix[fitted], values[fitted], rcond=None)[0]
        rest = values[~fitted] - matrix[~fitted] @ weights
        return 1 - (rest**2).sum() / (values[~fitted] ** 2).sum()

    linear = score(design[:2])
    return linear, score(design) - linear


@pytest.mark.parametrize("name", ["var1", "pulses", "overlap_symbols", "type2_edge", "drift"])
def test_exact_linear_r2_and_key_are_those_of_a_large_least_squares(name):
    """Second moments give what least squares finds on fresh speakers, within .01."""
    world = make_world(name, 0)
    has_key = name in ("type2_edge", "drift")
    linear, added = least_squares(name, has_key)
    assert linear == pytest.approx(linear_r2(world, LAG, WINDOW), abs=0.01)
    if has_key:
        assert added == pytest.approx(hidden_key_added(world, LAG, WINDOW), abs=0.006)


def known_symbols_r2(world: OverlapSymbols, lag: int) -> float:
    """R^2 of delta where every symbol up to t - lag is known: a bound for any key."""
    centred = world.taps - world.taps.mean(axis=1, keepdims=True)
    edge = np.zeros_like(centred[:1])
    change = np.concatenate([centred, edge]) - np.concatenate([edge, centred])
    variance = (change**2).mean(axis=1)
    known = variance[lag:].sum(axis=0)
    return float((known / (variance.sum(axis=0) + 2 * world.noise_sd**2)).mean())


def test_known_added_values():
    """Numbers that were computed from the equations: linear R^2, hidden key, ceiling, at lag 2."""
    found = {
        name: {row.quantity: row for row in added_truths(make_world(name, 0), (2,), 8, 10, 6)}
        for name in ("type2", "mag", "seasonal", "spiky_var", "pulses", "junk", "overlap_symbols")
    }
    assert found["type2"]["added_hidden_key"].value == pytest.approx(0.0399, abs=5e-4)
    assert found["junk"]["added_hidden_key"].value == pytest.approx(0.0022, abs=5e-4)
    for name in ("mag", "seasonal", "spiky_var"):  # their mean is linear: a lookup adds nothing
        assert found[name]["added_ceiling"] == ("added_ceiling", 2, 0.0, 0.0)
    pulses = found["pulses"]["added_ceiling"]
    assert abs(pulses.value - 0.0147) < 4 * pulses.standard_error
    world = make_world("overlap_symbols", 0)
    assert isinstance(world, OverlapSymbols)
    bound = known_symbols_r2(world, 2) - found["overlap_symbols"]["linear_r2"].value
    ceiling = found["overlap_symbols"]["added_ceiling"]
    assert ceiling.value < bound + 3 * ceiling.standard_error and bound < 0.02


def test_no_hidden_key_adds_more_than_the_exact_mean():
    """Where frames show the phase, the exact mean adds all that the phase as key adds."""
    rows = added_truths(make_world("type2_edge", 0), (2,), 8, 20, 8)
    found = {row.quantity: row for row in rows}
    ceiling = found["added_ceiling"]
    assert found["added_hidden_key"].value < ceiling.value + 3 * ceiling.standard_error


def test_overlapping_worlds_say_so():
    """Two frames share a sample in `overlap`, four a symbol in `overlap_symbols`, else none."""
    symbols = make_world("overlap_symbols", 0)
    assert isinstance(symbols, OverlapSymbols)
    assert {"overlap": 2, "overlap_symbols": symbols.num_taps} == OVERLAPPING_WORLDS


def test_speakers_with_own_coefficients_carry_a_law():
    """AR per speaker: the mean adds at most .005 to a linear model."""
    rows = added_truths(make_world("ar_speakers", 0), (2,), 8, 60, 10)
    ceiling = next(row for row in rows if row.quantity == "added_ceiling")
    assert ceiling.value < 0.005
    given = {
        row.quantity: row.value for row in oracle_truths(make_world("ar_speakers", 0), (2,), 8)
    }
    assert given["information_nats"] > 0.3


def test_silent_motifs_hold_as_much_speech_as_silence():
    """A slice needs train frames for its cells: the rare one gets its share of speakers."""
    section = parse_config(studies.study("demo", "full_calibration")).calibration.worlds
    speech = {}
    for name in ("silence", "silent_motifs"):
        world = make_world(name, 0)
        assert isinstance(world, SilentCycle)
        speakers = world_rows(section)[f"world_{name}"].num_train_speakers
        speech[name] = (1 - world.low_fraction) * speakers
    assert speech["silent_motifs"] == pytest.approx(speech["silence"], rel=0.05)
