"""Planted worlds: equations, moments, determinism, held-out parameters."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from engram_audio.calibration.chains import cycle
from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.names import WORLD_NAMES
from engram_audio.calibration.registry import WORLDS, make_world
from engram_audio.calibration.truths import cosines
from engram_audio.calibration.world import eval_block, simulate
from engram_audio.calibration.worlds_gated import GatedCycle
from engram_audio.calibration.worlds_motif import Motifs
from engram_audio.calibration.worlds_table import SymbolTable
from engram_audio.errors import InputError
from engram_audio.windows import position_fraction, target_rows

TINY = WorldSize(2, 1, 3)
SMALL = WorldSize(20, 10, 10)
# sample variances of spikes need more than a small sample; gated worlds have no closed form
NO_VARIANCE = ("spikes", "heavy_spikes", "silence", "boundary", "silent_motifs")


@pytest.mark.parametrize("name", WORLD_NAMES)
def test_same_seed_same_bits_other_seed_other_frames(name):
    """A world is a function of its name, parameters and seed."""
    first, again = (simulate(make_world(name, 3), TINY) for _ in range(2))
    other = simulate(make_world(name, 4), TINY)
    assert np.array_equal(first.block.frames, again.block.frames)
    assert np.array_equal(first.block.energy, again.block.energy)
    assert first.block.frames[0, 0] != other.block.frames[0, 0]


@pytest.mark.parametrize("name", WORLD_NAMES)
def test_blocks_hold_whole_utterances_of_the_recipe(name):
    """Lengths are 40 to 80 frames, speakers are adjacent, hints follow the speakers."""
    draw = simulate(make_world(name, 0), TINY)
    lengths = np.diff(draw.block.offsets)
    assert draw.block.frames.dtype == np.float32
    assert np.isfinite(draw.block.frames).all()
    assert (draw.block.energy > 0).all()
    assert lengths.min() >= 40 and lengths.max() <= 80
    assert draw.split_hint.tolist() == sorted(draw.split_hint, reverse=True)  # train, then eval
    if WORLDS[name].parameters.get("speaker_sizes", "equal") == "equal":
        assert draw.split_hint.tolist() == ["train"] * 6 + ["eval"] * 3
    assert len(np.unique(draw.block.speaker_ids.astype(str))) == 3
    assert all(len(values) == len(draw.block.frames) for values in draw.hidden.values())


def test_a_larger_world_contains_the_smaller_one():
    """Speakers have streams of their own: more speakers change nobody's frames."""
    world = make_world("type1", 0)
    small, large = simulate(world, WorldSize(2, 1, 3)), simulate(world, WorldSize(5, 1, 3))
    size = len(eval_block(small).frames)
    rows = small.block.offsets[6]
    assert np.array_equal(small.block.frames[:rows], large.block.frames[:rows])
    assert np.array_equal(small.block.frames[-size:], large.block.frames[-size:])


@pytest.mark.parametrize("name", [n for n in WORLD_NAMES if n not in NO_VARIANCE])
def test_delta_has_the_variance_that_the_equations_say(name):
    """Simulated delta variances agree with `delta_variance` about `delta_mean`.

    Tolerance: the standard error of the mean variance, from the spread of speakers (30 of them),
    five times: 33 worlds are looked at.
    """
    world = make_world(name, 0)
    size = SMALL if world.num_dims < 100 else WorldSize(10, 5, 3)
    expected = world.delta_variance()
    assert expected is not None
    block = simulate(world, size).block
    rows = target_rows(block.offsets, 1, 1)
    delta = block.frames[rows].astype(np.float64) - block.frames[rows - 1]
    scores = ((delta - world.delta_mean()) ** 2 / expected).mean(axis=1)
    speaker = np.repeat(block.speaker_ids, np.diff(block.offsets))[rows].astype(str)
    means = np.array([scores[speaker == name].mean() for name in np.unique(speaker)])
    error = means.std(ddof=1) / np.sqrt(len(means))
    assert abs(means.mean() - 1) < 5 * error + 1e-3


def test_held_out_parameters_reach_the_equations():
    """Parameters other than the named defaults change what they should."""
    assert make_world("type2", 0, key_ratio=0.5).exact_truths((1,))[0].value == pytest.approx(0.5)
    assert make_world("iid", 0, num_dims=5).num_dims == 5
    walk = make_world("drift", 0, num_phases=5, speed=2.0)
    assert walk.parameters()["speed"] == 2.0
    assert simulate(walk, TINY).hidden["phase"].max() == 4


def test_unknown_names_and_parameters_are_explained():
    """A wrong name names the nearest, a wrong parameter names the right ones."""
    with pytest.raises(InputError, match="did you mean type2"):
        make_world("typo2", 0)
    with pytest.raises(InputError, match="no parameter sigma; it has correlation, num_dims"):
        make_world("iid", 0, sigma=1.0)


@pytest.mark.parametrize("ratio", [0.2, 0.3, 0.6])
@pytest.mark.parametrize("shared", [1.0, 0.5, 0.0])
def test_motif_noise_gives_the_asked_key_ratio(ratio, shared):
    """Sigma solves its equation: the phase as key scores what `key_ratio` asks for."""
    world = Motifs(seed=1, key_ratio=ratio, shared_fraction=shared)
    explained, total = world.signal_variances(1)
    share = (explained / (total + 2 * world.noise_sd**2)).mean()
    assert share == pytest.approx(1 - ratio, abs=1e-9)


def test_measured_key_ratio_is_the_closed_form():
    """Cell means of delta by the hidden phase give the closed-form ratio at lags 1, 2 and 4.

    Tolerance: five standard errors of the ratio, from the spread of per-speaker residuals.
    """
    world = make_world("type2", 0)
    draw = simulate(world, SMALL)
    block, phase = draw.block, draw.hidden["phase"]
    rows = target_rows(block.offsets, 1, 4)
    delta = block.frames[rows].astype(np.float64) - block.frames[rows - 1]
    truths = {
        row.lag_frames: row.value
        for row in world.exact_truths((1, 2, 4))
        if row.quantity == "key_ratio"
    }
    for lag, truth in truths.items():
        key = phase[rows - lag]
        means = np.array([delta[key == number].mean(axis=0) for number in range(24)])
        residual = ((delta - means[key]) ** 2 / delta.var(axis=0)).mean(axis=1)
        error = residual.std() / np.sqrt(len(rows) / 24)  # runs of one cycle move together
        assert abs(residual.mean() - truth) < 5 * error


@pytest.mark.parametrize("name", ["silence", "boundary"])
def test_the_null_slice_of_a_gated_world_is_a_random_walk(name):
    """Outside the gate delta is white: unit variance, no correlation with the frame before.

    Tolerance: 5 / sqrt(number of values) for a correlation of independent values.
    """
    world = make_world(name, 0)
    assert isinstance(world, GatedCycle)
    draw = simulate(world, SMALL)
    block = draw.block
    rows = target_rows(block.offsets, 1, 1)
    if name == "silence":
        low = draw.hidden["is_on"]
        assert block.energy[low].max() < block.energy[~low].min()
        assert block.energy[rows].max() > np.median(block.energy)
        in_slice = block.energy[rows] > np.median(block.energy)
        assert abs(low.mean() - world.parameters()["low_fraction"]) < 0.03  # 4 of 10 utterances
    else:
        position = position_fraction(block.offsets, rows)
        in_slice = (position >= 0.17) & (position < 0.83)
    chosen = rows[in_slice]
    delta = block.frames[chosen].astype(np.float64) - block.frames[chosen - 1]
    before = block.frames[chosen - 1].astype(np.float64)
    tolerance = 5 / np.sqrt(delta.size)
    correlation = np.mean((delta - delta.mean()) * (before - before.mean()))
    correlation /= delta.std() * before.std()
    assert abs(correlation) < tolerance
    assert abs(delta.var() - 1) < np.sqrt(2) * tolerance


def test_second_order_table_is_stationary_and_needs_two_frames():
    """The uniform law is invariant; one frame leaves num_residues successors open."""
    world = SymbolTable(seed=0, num_residues=4)
    law = world.chain.stationary()
    assert np.abs(world.chain.advance(law) - law).max() < 1e-15
    assert len(np.unique(world.chain.successor)) == world.chain.num_states
    successors = world.chain.successor.reshape(-1, 4) // 4
    assert all(len(set(row)) == 4 for row in successors.tolist())
    information = {row.quantity: row.value for row in world.exact_truths((1,))}
    assert information["symbol_information_nats"] == pytest.approx(6.39, abs=0.005)
    assert information["symbol_information_one_frame_nats"] == pytest.approx(5.07, abs=0.005)


def test_chain_paths_follow_its_matrix():
    """Transition frequencies of sampled paths agree with the matrix within 5 standard errors."""
    chain = cycle(5, 0.3)
    paths = chain.sample((200, 200), np.random.default_rng(0))
    counts = np.zeros((5, 5))
    np.add.at(counts, (paths[:, :-1].ravel(), paths[:, 1:].ravel()), 1)
    rates = counts / counts.sum(axis=1, keepdims=True)
    error = np.sqrt(chain.matrix() * (1 - chain.matrix()) / counts.sum(axis=1, keepdims=True))
    assert (np.abs(rates - chain.matrix()) < 5 * error).all()


def test_corrupted_keys_are_wrong_as_often_as_asked():
    """Flipped keys differ from the phase, at the asked rate within 5 standard errors."""
    world = make_world("key_corruption", 0)
    hidden = simulate(world, SMALL).hidden
    rate = (hidden["phase"] != hidden["corrupted_phase"]).mean()
    asked = world.parameters()["key_flip_probability"]
    assert abs(rate - asked) < 5 * np.sqrt(asked * (1 - asked) / len(hidden["phase"]))


def test_rare_spikes_are_planted_in_both_splits():
    """However small the sample, train and eval each hold a spike that stands out."""
    draw = simulate(make_world("heavy_spikes", 0), TINY)
    spikes = draw.hidden["is_spike"]
    is_eval = np.repeat(draw.split_hint == "eval", np.diff(draw.block.offsets))
    assert spikes[is_eval].any() and spikes[~is_eval].any()
    size = np.linalg.norm(np.diff(draw.block.frames, axis=0, prepend=0), axis=1)
    assert size[spikes].min() > 10 * np.median(size)


def test_rotated_logistic_leaves_no_box():
    """Rotation keeps norms about the centre but moves the support off the axes."""
    plain, turned = (simulate(make_world(n, 0), TINY) for n in ("logistic", "logistic_rotated"))
    assert plain.block.frames.min() >= 0 and plain.block.frames.max() <= 1
    assert turned.block.frames.min() < 0
    norms = [np.linalg.norm(draw.block.frames, axis=1) for draw in (plain, turned)]
    assert np.allclose(norms[0], norms[1], atol=1e-5)


def test_cosine_with_a_zero_vector_is_zero():
    """No direction predicted counts as cosine 0, not NaN."""
    pair = cosines(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 1.0], [2.0, 0.0]]))
    assert pair.tolist() == [0.0, 1.0]


def test_every_world_has_a_spec_with_its_family_parameters():
    """The registry names each world once and passes only parameters that exist."""
    assert tuple(WORLDS) == WORLD_NAMES
    for name, spec in WORLDS.items():
        fields = {field.name for field in dataclasses.fields(spec.family)}
        assert set(spec.parameters) <= fields, name


def test_documented_closed_forms_are_those_of_the_code():
    """Every exact number of the table is what the code says today, to the printed digits."""
    text = (Path(__file__).parents[2] / "docs" / "worlds-truths.csv").read_text(encoding="utf-8")
    truths: dict[str, dict] = {}
    checked = 0
    for line in text.splitlines()[1:]:
        name, quantity, *cells = line.split(",")
        if name not in truths:
            rows = make_world(name, 0).exact_truths((1, 2, 4, 8))
            truths[name] = {(row.quantity, row.lag_frames): row.value for row in rows}
        for lag, cell in zip((1, 2, 4, 8), cells, strict=True):
            # a cosine of exact zeros is measured without error, but is no closed form
            if "±" not in cell and (quantity, lag) in truths[name]:
                assert float(cell) == pytest.approx(truths[name][quantity, lag], abs=5.1e-5)
                checked += 1
    assert checked > 200
    assert set(truths) == set(WORLD_NAMES)
