"""Probes of what a gain is made of, each on a planted case whose answer is known."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from engram_audio.calibration.registry import make_world
from engram_audio.calibration.worlds_table import SymbolTable
from engram_audio.generation.data import codes_of_rows
from engram_audio.generation.frame_scores import FrameScores, score_frames
from engram_audio.generation.insertion import GatedValue
from engram_audio.generation.names import COST_SHARE, GAIN, LAW_SHARE, MEAN_GATE
from engram_audio.generation.probes import (
    asked,
    clamp,
    donors,
    drift,
    flip,
    readouts,
    reencoding,
    states,
    visits,
)
from engram_audio.generation.probes.codes import CodeBook, code_book
from engram_audio.generation.probes.sums import COLUMNS
from engram_audio.generation.sources import tables_of
from engram_audio.generation.task import GeneratorTask, count_visits
from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.seeds import named_generator
from engram_audio.steps.reencode_generators import joined
from tests.statistical.planted_probes import exact_law, table_block
from tests.unit.generator_material import ENGRAM, NGRAM, NUM_DIMS, arm, data, insertion

CPU = torch.device("cpu")
MANY = 10**6  # visits of every code, where frequency plays no part


def generator() -> np.random.Generator:
    return named_generator(0, "probes")


def noise_block(num_utterances: int = 6, length: int = 30) -> LatentBlock:
    rng = np.random.default_rng(1)
    offsets = np.arange(num_utterances + 1) * length
    frames = rng.normal(size=(offsets[-1], NUM_DIMS)).astype(np.float32)
    names = np.array([f"u{n}" for n in range(num_utterances)])
    speakers = np.array([f"s{n % 3}" for n in range(num_utterances)])
    return LatentBlock(
        frames=frames, energy=np.ones(len(frames), np.float32), offsets=offsets,
        utterance_ids=names, speaker_ids=speakers,
    )  # fmt: skip


def targets(block: LatentBlock, first: int = 5) -> np.ndarray:
    return np.concatenate([
        np.arange(start + first, stop)
        for start, stop in zip(block.offsets[:-1], block.offsets[1:], strict=True)
    ])  # fmt: skip


def scores(nll: np.ndarray, gate: np.ndarray | None = None) -> FrameScores:
    own = torch.from_numpy(np.asarray(nll, np.float64))
    of_gate = torch.full_like(own, math.nan) if gate is None else torch.from_numpy(gate)
    return FrameScores(own, of_gate, own * 0 + 0.1)


def ratio(table: pd.DataFrame, **wanted: str) -> float:
    own = table
    for name, value in wanted.items():
        own = own.loc[own[name] == value]
    assert len(own), wanted
    return float(own["numerator"].to_numpy(float).sum() / own["denominator"].to_numpy(float).sum())


# The gate.


def test_a_gate_that_is_right_by_construction_has_an_auroc_of_one():
    helps = generator().random(400) < 0.4
    assert clamp.auroc(helps.astype(float), helps) == 1
    assert clamp.auroc(1.0 - helps, helps) == 0
    assert clamp.auroc(np.ones(400), helps) == 0.5, "ties count half"
    assert math.isnan(clamp.auroc(np.ones(400), np.ones(400, bool)))


def test_a_gate_counts_within_speakers_and_its_cost_is_a_share_of_the_gain():
    """Speakers' own levels of the gate would spoil a pooled AUROC; costs are 25 % of the gain."""
    rng = generator()
    speakers = np.repeat(["a", "b"], 200)
    helps = rng.random(400) < 0.5
    gate = helps * 0.1 + (speakers == "b") * 0.5
    nll = np.where(helps, 1.0, 3.0)
    small, level = nll + np.where(helps, 1.0, -0.2), nll + 0.25
    found = clamp.clamp_sums(
        scores(nll, gate), {clamp.CLOSED: scores(small), MEAN_GATE: scores(level)}, small, speakers
    )
    for measure in (clamp.OVER_SMALL, clamp.OVER_CLOSED):
        assert ratio(found, measure=measure) == 1
    gain = (small - nll).mean()
    assert ratio(found, condition=clamp.OWN, measure=GAIN) == pytest.approx(gain)
    assert ratio(found, condition=MEAN_GATE, measure=COST_SHARE) == pytest.approx(0.25 / gain)
    assert ratio(found, condition=clamp.CLOSED, measure=COST_SHARE) == pytest.approx(1)


@pytest.mark.parametrize("form", ["minimal", "engram"])
def test_a_clamp_holds_every_gate_and_lets_it_go(form: str):
    model = arm("SM", memory=insertion(ENGRAM) if form == "engram" else None)
    block = noise_block()
    codes = codes_of_rows(model.key, torch.from_numpy(block.frames), block.offsets)
    own = score_frames(model, block, targets(block), None, 4)
    with clamp.clamped(model, 0.0):
        closed = score_frames(model, block, targets(block), None, 4)
        other = score_frames(model, block, targets(block), codes * 0, 4)
    assert not closed.gate.any() and torch.equal(closed.nll, other.nll), "no row is read"
    assert torch.equal(score_frames(model, block, targets(block), None, 4).nll, own.nll)
    assert not torch.equal(own.nll, closed.nll)


# The flip.


def test_the_exact_law_of_a_table_flips_by_its_closed_form():
    """D / 2 is .95 ln(.9502 * 256 / .05) = 8.1 nats, but for the jumps that were drawn."""
    world = make_world("table", 0, num_symbols=256)
    assert isinstance(world, SymbolTable)
    block, symbols = table_block(world, 6, 200)
    book = CodeBook(np.full(256, MANY), world.centres)
    pairs = flip.choose_pairs(block, targets(block), symbols, book, 400, generator())
    assert len(pairs.first) == 400
    found = flip.differences(pairs, exact_law(world, block))
    jump = world.jump_probability
    ratio_of_laws = math.log((1 - jump + jump / 256) * 256 / jump)
    looked_up = world.chain.successor[symbols[:-1]] == symbols[1:]
    drawn = (looked_up[pairs.first].mean() + looked_up[pairs.second].mean()) / 2
    assert (1 - jump) * ratio_of_laws == pytest.approx(8.07, abs=0.01)
    # A jump that lands on the mate's or a filler's successor is one in 256.
    assert found.own.mean() == pytest.approx(drawn * ratio_of_laws, abs=0.05)
    assert abs(found.filler.mean()) < 0.1
    assert abs(found.own.mean() - (1 - jump) * ratio_of_laws) < 4 * ratio_of_laws * (
        math.sqrt(jump * (1 - jump) / (2 * 400))
    )


def test_pairs_are_of_one_utterance_with_well_visited_codes_and_matched_fillers():
    block, rng = noise_block(), generator()
    codes = rng.integers(0, 9, len(block.frames))
    codes[::7] = 8  # no key
    counts = np.array([20, 20, 30, 30, 40, 40, 60, 3])
    book = CodeBook(counts, rng.normal(size=(8, NUM_DIMS)))
    pairs = flip.choose_pairs(block, targets(block), codes, book, 50, rng)
    assert len(pairs.first) == 50
    place = np.searchsorted(block.offsets, np.stack([pairs.first, pairs.second]), side="right")
    assert (place[0] == place[1]).all() and (pairs.own != pairs.other).all()
    for rows, read in ((pairs.first, pairs.own), (pairs.second, pairs.other)):
        assert (codes[rows] == read).all() and (counts[read] >= flip.LEAST_VISITS).all()
    quads = np.stack([pairs.own, pairs.other, pairs.filler, pairs.other_filler])
    assert all(len(set(column)) == 4 for column in quads.T)
    for read, filler in ((pairs.own, pairs.filler), (pairs.other, pairs.other_filler)):
        both = counts[read] / counts[filler]
        assert both.max() <= 2 and both.min() >= 0.5


def model_pairs(name: Any, **changes: Any):
    model, block = arm(name, **changes), noise_block()
    codes = codes_of_rows(model.key, torch.from_numpy(block.frames), block.offsets)
    book = CodeBook(np.full(model.key.num_codes, MANY), np.zeros((model.key.num_codes, NUM_DIMS)))
    pairs = flip.choose_pairs(block, targets(block), codes.numpy(), book, 40, generator())
    return model, block, codes, pairs


@pytest.mark.parametrize("name", ["SM1", "S", "SMm"])
def test_a_model_that_reads_no_code_flips_by_exactly_zero(name: Any):
    model, block, codes, pairs = model_pairs(name)
    found = flip.differences(pairs, flip.law_of_model(model, block, codes))
    assert len(found.own) == 40 and not found.own.any() and not found.filler.any()


@pytest.mark.parametrize("name", ["SM", "SMx", "SMl"])
@pytest.mark.parametrize("form", ["minimal", "n-grams"])
def test_a_flip_scores_the_next_frame_as_a_whole_pass_with_that_code_does(name: Any, form: str):
    """The right code gives the plain score; another gives that of a whole changed sequence."""
    memory = insertion(NGRAM) if form == "n-grams" else None
    model, block, codes, pairs = model_pairs(name, memory=memory)
    law = flip.law_of_model(model, block, codes)
    rows = pairs.first[:5]
    wrong = (codes[rows].numpy() + 1) % model.key.num_codes
    if name != "SMx":
        plain = score_frames(model, block, np.sort(rows) + 1, codes, 4).nll
        np.testing.assert_allclose(
            law(np.sort(rows), codes[np.sort(rows)].numpy()), -plain, rtol=1e-4
        )
    for row, code in zip(rows, wrong, strict=True):
        changed = codes.clone()
        if name == "SMx":  # whose codes are those of the donor's rows
            continue
        changed[row] = int(code)
        whole = score_frames(model, block, np.array([row + 1]), changed, 4).nll
        np.testing.assert_allclose(law(np.array([row]), np.array([code])), -whole, rtol=1e-4)
    moved = np.abs(law(rows, wrong) - law(rows, codes[rows].numpy()))
    assert (moved.max() == 0) == (name == "SMl"), "a late code tells nothing about the next frame"


def test_shares_of_the_law_are_of_sums_net_of_fillers():
    own = flip.Differences(np.array([3.0, 5.0]), np.array([1.0, 1.0]))
    law = flip.Differences(np.array([8.0, 9.0]), np.array([0.0, 1.0]))
    found = flip.flip_sums(own, law, np.array(["a", "b"]))
    assert ratio(found, condition="net", measure=flip.HALF) == 3
    assert ratio(found, measure=LAW_SHARE) == pytest.approx(6 / 16)


# Codes and donors.


def test_a_code_book_counts_whole_keys_and_averages_their_frames():
    frames = np.array([[2.0], [4.0], [6.0], [8.0]])
    book = code_book(np.array([0, 0, 1, 2]), frames, np.array([2.0]), 2)
    assert book.visits.tolist() == [2, 1]
    np.testing.assert_allclose(book.means[:, 0], [1.5, 3.0])


def test_donors_are_the_nearest_and_an_equally_frequent_code():
    book = CodeBook(np.array([100, 90, 400, 2, 16]), np.array([[0.0], [5.0], [1.0], [0.1], [9.0]]))
    found = donors.donors_of(book, generator())
    assert found[donors.NEAREST].tolist() == [2, 2, 0, 0, 1], "a rare code is no donor"
    assert found[donors.RANDOM].tolist() == [1, 0, -1, -1, -1]


def test_donors_cost_what_the_law_says():
    """A law that pays the code's own number: costs are differences of numbers."""
    codes = np.array([0, 1, 2, 2])
    of_code = {"nearest": np.array([1, 0, -1])}
    found = donors.donor_sums(
        lambda rows, read: -read.astype(float), np.arange(4), codes, of_code, np.array(list("abab"))
    )
    assert found["denominator"].to_numpy().sum() == 2, "a code without a donor is left out"
    assert found["numerator"].tolist() == [1.0, -1.0]


def test_the_mean_row_is_read_inside_and_no_longer_outside():
    model, block = arm("SM"), noise_block()
    codes = codes_of_rows(model.key, torch.from_numpy(block.frames), block.offsets)
    tables_of(model)[0].visits += 1
    plain = score_frames(model, block, targets(block), codes, 4).nll
    with donors.averaged(model):
        mean = score_frames(model, block, targets(block), codes, 4).nll
        other = score_frames(model, block, targets(block), codes * 0, 4).nll
    assert torch.equal(mean, other) and not torch.equal(mean, plain)
    assert torch.equal(score_frames(model, block, targets(block), codes, 4).nll, plain)


# Visits.


def test_visits_are_of_exact_ngrams_within_an_utterance():
    offsets = np.array([0, 4, 7])
    codes = np.array([0, 1, 0, 1, 0, 1, 3])  # 3: no key
    pairs = visits.ngrams(codes, offsets, 2, 3)
    assert pairs.tolist() == [-1, 1, 3, 1, -1, 1, -1]
    assert visits.visits_of(pairs, pairs).tolist() == [0, 3, 1, 3, 0, 3, 0]
    assert visits.visits_of(np.array([7, -1]), pairs).tolist() == [0, 0]


def test_gains_stand_in_the_bucket_of_their_visits():
    counts = np.array([0, 1, 3, 4, 15, 16, 63, 64, 1000])
    names = ["0", "1-3", "1-3", "4-15", "4-15", "16-63", "16-63", "64+", "64+"]
    assert visits.bucket_names() == ["0", "1-3", "4-15", "16-63", "64+"]
    nll = np.zeros(len(counts))
    found = visits.visit_sums(
        counts, scores(nll, nll + 0.5), np.arange(len(counts)).astype(float),
        np.array(["a"] * len(counts)),
    )  # fmt: skip
    for name in set(names):
        own = [number for number, other in enumerate(names) if other == name]
        assert ratio(found, condition=name, measure=visits.GAIN) == np.mean(own)
        assert ratio(found, condition=name, measure=visits.SHARE) == pytest.approx(len(own) / 9)


# Drift.


def test_an_untrained_model_has_not_drifted_and_a_scaled_one_by_its_factor():
    start, model = (arm("SM", is_stirred=False) for _ in range(2))
    for one in (start, model):
        task = GeneratorTask(one, data(), data(4, seed=2), CPU)
        count_visits(task)
    assert ratio(drift.drift_sums(model, start), measure="row_rms_ratio") == 1
    with torch.no_grad():
        tables_of(model)[0].table.weight *= 3
        assert model.memory is not None
        for reader in model.memory.readers.values():
            assert isinstance(reader, GatedValue)
            reader.value.weight *= 0.5
    found = drift.drift_sums(model, start)
    assert ratio(found, measure="row_rms_ratio") == pytest.approx(3)
    assert ratio(found, measure="value_rms_ratio") == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["SMa", "SMv"])
def test_rows_that_start_at_zero_have_no_ratio_to_their_start(name: Any):
    start, model = (arm(name, is_stirred=False) for _ in range(2))
    for one in (start, model):
        count_visits(GeneratorTask(one, data(), data(4, seed=2), CPU))
    assert not tables_of(start)[0].table.weight.any()
    with torch.no_grad():
        tables_of(model)[0].table.weight += 1
    found = drift.drift_sums(model, start)
    assert not found["measure"].str.endswith("row_rms_ratio").any()
    assert ratio(found, measure="directions") == pytest.approx(1)


def test_nothing_found_is_an_empty_table():
    own = asked.joined([], 3)
    assert own.empty and {*COLUMNS, "arm", "seed"} == {*own.columns}


def test_directions_of_rows():
    even = torch.eye(4)
    assert drift.effective_directions(even) == pytest.approx(4)
    assert drift.directions_of_share(even, 0.75) == 3
    one = torch.outer(torch.arange(5.0), torch.ones(4))
    assert drift.effective_directions(one) == pytest.approx(1)
    assert drift.directions_of_share(one, 0.8) == 1


# Read-outs.


def read_part(seed: int, num_frames: int, noise: float) -> readouts.Part:
    """States that hold four codes in a plane, and a next frame that is linear in them."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, num_frames)
    corners = np.array([[1.0, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0]])
    states = corners[codes] + noise * rng.normal(size=(num_frames, 3))
    following = states @ np.array([[2.0], [0.0], [1.0]]) + rng.normal(size=(num_frames, 1))
    return readouts.Part(states, codes, following)


def test_a_code_that_the_state_holds_is_read_out_and_one_that_it_lacks_is_not():
    """Clean corners give ln 4 nats; codes dealt anew give none, or little less than none."""
    train, choice, held = (read_part(seed, 4000, 0.05) for seed in range(3))
    nats, hits = readouts.read_code(train, choice, 4).gains(held)
    assert nats.mean() == pytest.approx(math.log(4), abs=0.01) and hits.mean() == 1
    dealt = [part._replace(codes=generator().permutation(part.codes)) for part in (train, choice)]
    other = held._replace(codes=np.random.default_rng(9).permutation(held.codes))
    nats, hits = readouts.read_code(dealt[0], dealt[1], 4).gains(other)
    assert abs(nats.mean()) < 0.01 and abs(hits.mean() - 0.25) < 0.05


def test_the_next_frame_is_read_out_by_as_much_as_a_linear_law_knows():
    """With unit noise on 2 a + c: half the log of its variance, up to 1 / sqrt(frames)."""
    train, choice, held = (read_part(seed, 20_000, 0.5) for seed in range(3))
    found = readouts.read_frame(train, choice).gains(held).mean()
    variance = 4 * (1 + 0.25) + 0.25 + 1
    assert found == pytest.approx(0.5 * math.log(variance), abs=3 * math.sqrt(0.5 / 20_000) + 0.01)
    empty = [part._replace(states=np.random.default_rng(7).normal(size=(20_000, 3)))
             for part in (train, choice, held)]  # fmt: skip
    assert abs(readouts.read_frame(empty[0], empty[1]).gains(empty[2]).mean()) < 0.005


@pytest.mark.parametrize("name", ["S", "SM", "SMx"])
def test_states_are_those_of_a_whole_pass(name: Any):
    """The last block's state, normed, is the feature; the first is the embedded frame."""
    model, block = arm(name), noise_block()
    codes = codes_of_rows(model.key, torch.from_numpy(block.frames), block.offsets)
    rows = targets(block) - 1
    found = states.states_of(model, block, rows, codes, 4)
    assert list(found) == ["block_0", "block_1", "block_2"]
    own = torch.from_numpy(block.frames[rows])
    with torch.no_grad():
        embedded = model.backbone.embed((own - model.mean) / model.sd)
        np.testing.assert_allclose(found["block_0"], embedded, atol=1e-5)
        last = model.norm(torch.from_numpy(found["block_2"]))
        recent = torch.from_numpy(block.frames)[torch.from_numpy(rows[:, None] + [-1, 0])]
        following = torch.from_numpy(block.frames[rows + 1])
        nll = -model.log_prob(last, recent, following)
    expected = score_frames(model, block, rows + 1, codes, 4).nll
    np.testing.assert_allclose(nll, expected, rtol=1e-4)


# Keys of frames that are encoded again.


def test_keys_that_come_back_agree_and_keys_of_other_frames_agree_by_chance():
    """A codec that gives frames back keeps every key; one that reverses them keeps chance."""
    key, rng = arm("SM").key, np.random.default_rng(5)
    latents = rng.normal(size=(4000, NUM_DIMS)).astype(np.float32)
    half = {reencoding.TRUE: latents, reencoding.GENERATED: latents[::-1].copy()}
    kept = reencoding.agreement_sums(key, half, lambda values: values, 1000, "a")
    assert [ratio(kept, condition=name) for name in half] == [1, 1]
    assert set(kept["denominator"]) == {3000}, "the prompt does not count"
    found = reencoding.agreement_sums(key, half, lambda values: values[::-1].copy(), 0, "a")
    chance = ratio(reencoding.chance_sums(key, [latents]))
    assert 0.1 < chance < 0.6  # six unequal cells
    error = math.sqrt(chance / 4000)
    assert ratio(found, condition=reencoding.TRUE) == pytest.approx(chance, abs=6 * error)


def test_what_stays_apart_is_added_up_by_speaker():
    one = reencoding.of_model("p", "c", {"m": 2.0}).assign(arm="SM", seed=0)
    both = joined([one, one])
    assert len(both) == 1 and both["numerator"].tolist() == [4.0]
