"""Keys, slots, entries and the law of a lookup memory."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engram_audio.densities.model_predictor import ModelPredictor
from engram_audio.densities.predictor import View
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.latents.targets import targets_of
from engram_audio.memory import fit
from engram_audio.memory import lookup as lookup_kind
from engram_audio.memory.density import MemoryDensity
from engram_audio.memory.entries import (
    Segments,
    Shrinkage,
    fit_entries,
    segment_medians,
)
from engram_audio.memory.fit import fit_lookup, mean_nll
from engram_audio.memory.folds import fold_of_speakers, linear_candidates, without_fold
from engram_audio.memory.ngrams import foreign_contexts, ngram_ids
from engram_audio.memory.slots import build_slots
from tests.unit.memory_material import PRESETS, key_of, lookup, table_of
from tests.unit.prediction_material import World, first_order, make_world, white_noise

CPU = torch.device("cpu")
KEYS = ("last_frame.raw.kmeans_16", "pca.raw.kmeans_16", "pca.increments.product_2x4",
        "last_frame.increments.lsh_4")  # fmt: skip


@pytest.fixture(scope="module")
def table() -> World:
    return make_world(table_of(), 8, 6, 12)


@pytest.fixture(scope="module")
def fitted(table: World):
    candidates = linear_candidates(table.material, 1, "position", 2)
    return fit_lookup(lookup(), key_of(table.material), table.material, 1, candidates, 0, CPU)


def test_a_memory_is_scored_as_any_density(table: World, fitted):
    """A predictor needs no head: rollouts and acceptance tests hand it whole memories."""
    material = table.material
    speakers = material.reference.speakers
    predictor = ModelPredictor(fitted.model, material.window_frames, speakers, 64, CPU)
    targets = targets_of(table.eval, material.window_frames, material.max_lag_frames)
    found = predictor.log_density(View(table.eval, targets, 1, "position"))
    with torch.no_grad():
        batch = table.eval_data(1).batch(torch.arange(len(targets)), CPU)
        own = fitted.model.log_prob(batch).double().numpy()
    assert found == pytest.approx(own, rel=1e-5, abs=1e-5)
    assert not predictor.is_mean_sampled


@pytest.mark.parametrize("name", KEYS)
def test_codes_see_nothing_but_the_newest_frames(table: World, name: str):
    """A code is a function of its state: frames before it change nothing, ages shift it."""
    key = KeyEncoder(key_of(table.material, name))
    context = table.eval_data(1).batch(torch.arange(50), CPU).context
    count = 1 + context.shape[1] - key.state_frames
    codes = key.codes(context, count)
    changed = context.clone()
    changed[:, : -key.state_frames] += 7.0
    assert torch.equal(key.codes(changed, 1)[:, 0], codes[:, 0])
    if count > 1:
        assert torch.equal(key.codes(context[:, :-1], 1)[:, 0], codes[:, 1])
    assert int(codes.min()) >= 0 and int(codes.max()) < key.num_codes


def test_nearest_codes_are_ordered_and_begin_with_the_code(table: World):
    key = KeyEncoder(key_of(table.material))
    context = table.eval_data(1).batch(torch.arange(50), CPU).context
    codes, squares = key.nearest(context, 4)
    assert torch.equal(codes[:, 0], key.codes(context, 1)[:, 0])
    assert bool((squares.diff(dim=1) >= 0).all())
    direct = (
        (key.features(context) - key.get_buffer("cells_centroids")[codes[:, 1]]).square().sum(1)
    )
    assert squares[:, 1].numpy() == pytest.approx(direct.numpy(), rel=1e-4, abs=1e-5)


@given(st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=3), min_size=2, max_size=40))
def test_ngrams_are_numbered_one_to_one(rows: list[list[int]]):
    codes = torch.tensor(rows)
    numbers = ngram_ids(codes, 3, 7)
    assert len(set(numbers.tolist())) == len({tuple(row) for row in rows})


def test_ngrams_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="63 bits"):
        ngram_ids(torch.zeros((1, 4), dtype=torch.int64), 4, 2**16)


class _Codes:
    num_codes = 5


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 6))
def test_slots_hold_the_frames_of_their_ngram(seed: int, minimum: int, most: int):
    """Every entry has enough frames, holds its own, and the highest order is found first."""
    codes = torch.from_numpy(np.random.default_rng(seed).integers(0, 5, size=(60, 2)))
    slots, frames = build_slots(codes, _Codes(), (2, 1), minimum, most, 99)  # type: ignore[arg-type]
    found = slots.slots(codes, 5).numpy()
    for slot in range(slots.num_slots):
        own = frames.items[frames.starts[slot] : frames.starts[slot + 1]]
        assert len(own) == min(frames.counts[slot], most) == len(set(own.tolist()))
        assert frames.counts[slot] >= minimum
        order = 2 if slot < slots.first[1] else 1
        assert len({tuple(codes[item, :order].tolist()) for item in own}) == 1
    pairs, total = np.unique(codes.numpy(), axis=0, return_counts=True)
    known = {tuple(pair) for pair, count in zip(pairs, total, strict=True) if count >= minimum}
    is_pair = [tuple(row) in known for row in codes.tolist()]
    assert np.array_equal(found < slots.first[1], np.array(is_pair))


def test_an_unseen_ngram_is_a_miss():
    codes = torch.tensor([[0, 1], [0, 1], [2, 2]])
    slots, _ = build_slots(codes, _Codes(), (2,), 2, 8, 99)  # type: ignore[arg-type]
    assert slots.slots(torch.tensor([[0, 1], [2, 2], [4, 4]]), 5).tolist() == [0, 1, 1]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 99))
def test_segment_medians_are_medians(sizes: list[int], seed: int):
    values = np.random.default_rng(seed).standard_normal((sum(sizes), 2))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    expected = [np.median(values[a:b], axis=0) for a, b in itertools.pairwise(starts)]
    assert segment_medians(values, starts) == pytest.approx(np.array(expected))


def test_robust_entries_find_the_bulk_and_its_weight():
    """200 frames per slot, 10 % from the base: centres are within 5 standard errors."""
    generator = np.random.default_rng(0)
    sizes = np.full(20, 200)
    centres = generator.standard_normal((20, 4)) * 2
    z = np.repeat(centres, sizes, axis=0) + 0.2 * generator.standard_normal((4000, 4))
    is_out = generator.random(4000) < 0.1
    z[is_out] = generator.standard_normal((int(is_out.sum()), 4))
    base_log = -0.5 * (z**2).sum(1) - 2 * np.log(2 * np.pi)
    segments = Segments(z, base_log, np.concatenate([[0], np.cumsum(sizes)]))
    entries = fit_entries(segments, "robust", "slot", "slot", Shrinkage(0.0, 1.0), np.full(4, 1e-3))
    assert np.abs(entries.mean - centres).max() < 5 * 0.2 / np.sqrt(180)
    assert np.exp(entries.log_sd).mean() == pytest.approx(0.2, rel=0.03)
    # 4,000 coins: SE .005
    assert entries.weight.mean() == pytest.approx(0.9, abs=0.02)


def test_a_spread_holds_the_uncertainty_of_its_mean():
    """One spread for all slots: a mean of m frames leaves 1/m of the variance beside it."""
    sizes = np.array([2] * 30 + [200] * 10)
    z = np.random.default_rng(0).standard_normal((int(sizes.sum()), 3))
    segments = Segments(z, np.zeros(len(z)), np.concatenate([[0], np.cumsum(sizes)]))
    own = fit_entries(segments, "mean", "slot", "one", Shrinkage(0.0, 1e9), np.full(3, 1e-3))
    variance = np.exp(2 * own.log_sd)
    assert variance[0] / variance[-1] == pytest.approx((1 + 1 / 2) / (1 + 1 / 200), rel=1e-3)


@pytest.mark.parametrize("name", PRESETS)
def test_the_law_integrates_to_one_and_samples_from_itself(name: str):
    """In one dimension the density sums to 1 over a grid, and samples have its mean.

    2,000 samples of SD about 2: five standard errors are .25.
    """
    world = make_world(table_of(num_dims=1), 8, 6, 12)
    candidates = linear_candidates(world.material, 1, "position", 2)
    model = fit_lookup(
        lookup(**PRESETS[name]), key_of(world.material), world.material, 1, candidates, 0, CPU
    ).model
    batch = world.eval_data(1).batch(torch.arange(20), CPU)
    grid = torch.linspace(-30, 30, 60001)
    values = grid[None, :, None].expand(20, -1, 1)
    with torch.no_grad():
        density = model.log_prob_of(batch, values).exp()
        mean = model.mean(batch)
        samples = model.sample(batch, 2000, torch.Generator().manual_seed(0))
        own = model.log_prob_of(batch, batch.current.unsqueeze(1))[:, 0]
        log_prob = model.log_prob(batch)
    step = float(grid[1] - grid[0])
    assert (density.sum(1) * step).numpy() == pytest.approx(np.ones(20), abs=2e-3)
    by_grid = (density * grid).sum(1, keepdim=True) * step
    assert mean.numpy() == pytest.approx(by_grid.numpy(), abs=5e-3)
    assert samples.mean(0).numpy() == pytest.approx(mean.numpy(), abs=0.25)
    if model.target == "position":
        assert log_prob.numpy() == pytest.approx(own.numpy(), abs=1e-4)


def test_what_is_held_out_is_held_out(table: World):
    """Folds cover the train speakers once; a fold's base changes when only other frames change."""
    material = table.material
    folds = fold_of_speakers(material.block, material.part_of, 3)
    assert set(folds.values()) == {0, 1, 2}
    held = without_fold(material, 0, 3)
    changed = {n for n, part in held.part_of.items() if part != material.part_of[n]}
    pairs = zip(material.block.utterance_ids, material.block.speaker_ids, strict=True)
    expected = {
        str(name)
        for name, speaker in pairs
        if folds.get(str(speaker)) == 0 and material.part_of[str(name)] in ("train", "val")
    }
    assert changed == expected
    with pytest.raises(ValueError, match=r"lower memory\.num_folds"):
        fold_of_speakers(material.block, material.part_of, 99)


def test_lookup_helps_where_the_next_symbol_is_looked_up(table: World, fitted):
    base = mean_nll(fitted.model.base, table.eval_data(1), CPU)
    own = mean_nll(fitted.model, table.eval_data(1), CPU)
    assert not fitted.is_off
    assert base - own > 1.0  # ln 8 nats of symbols are there to look up


@pytest.mark.parametrize("simulate", [white_noise(3), first_order(0.8, 3)])
def test_lookup_is_switched_off_where_there_is_nothing(simulate):
    world = make_world(simulate, 8, 6, 12)
    candidates = linear_candidates(world.material, 1, "position", 2)
    fit = fit_lookup(lookup(), key_of(world.material), world.material, 1, candidates, 0, CPU)
    data = world.eval_data(1)
    gain = mean_nll(candidates[-1].model, data, CPU) - mean_nll(fit.model, data, CPU)
    assert fit.is_off
    assert gain == pytest.approx(0.0, abs=1e-6) or fit.base != candidates[-1].name


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_choice_with_a_score_that_is_not_finite_is_never_kept(
    table: World, bad: float, monkeypatch: pytest.MonkeyPatch
):
    """The first choice has no finite score: the best of the others is kept."""
    candidates = linear_candidates(table.material, 1, "position", 2)[-1:]
    scores = iter([bad, 0.5, 0.25, *[1.0] * 100])
    monkeypatch.setattr(fit, "mean_nll", lambda *_: next(scores))
    settings = lookup(shrinkages_frames=[1.0, 5.0, 30.0], may_switch_off=False)
    chosen = fit_lookup(settings, key_of(table.material), table.material, 1, candidates, 0, CPU)
    monkeypatch.undo()
    wanted = lookup(shrinkages_frames=[30.0], may_switch_off=False)
    third = fit_lookup(wanted, key_of(table.material), table.material, 1, candidates, 0, CPU)
    for name, values in third.model.state_dict().items():
        assert torch.equal(values, chosen.model.state_dict()[name]), name


def test_controls_take_one_part_away(table: World, fitted):
    """Random places and shuffled keys lose what lookup gains; the base is the base.

    Shuffled keys choose a base of their own, so they keep what needs no key.
    """
    data = table.eval_data(1)
    controls = lookup_kind.controls(fitted.model, fitted.counts, lambda: 0.0, 0)
    candidates = linear_candidates(table.material, 1, "position", 2)
    shuffled = fit_lookup(
        lookup(), key_of(table.material), table.material, 1, candidates, 0, CPU, is_shuffled=True
    )
    own = mean_nll(fitted.model, data, CPU)
    base = mean_nll(controls["knock_out"], data, CPU)
    assert mean_nll(controls["random_values"], data, CPU) > own + 0.5 * (base - own)
    best = min(mean_nll(candidate.model, data, CPU) for candidate in candidates)
    assert mean_nll(shuffled.model, data, CPU) > own + 0.5 * (best - own)
    constant = controls["constant_gate"]
    assert isinstance(constant, MemoryDensity)
    assert len(set(constant.weights[:-1].tolist())) == 1
    assert mean_nll(constant, data, CPU) < base


def test_a_budget_counts_the_table_the_codes_and_the_base(fitted):
    """A net matched to less would lose to capacity: S means, spreads and weights, K x D codes."""
    model = fitted.model
    slots, dims = model.means[:-1].shape
    codes = 16 * dims + 1  # centroids, and their mean squared distance
    base = model.base.budget()
    assert model.budget().parameters == base.parameters + codes + slots * (2 * dims + 1)
    assert model.budget().flops == base.flops + 2 * codes + 6 * dims


def test_a_stored_memory_is_the_memory(table: World, fitted):
    arrays, header = lookup_kind.pack("memory", fitted)
    scales = table.material.reference.input_scales
    again, counts = lookup_kind.unpack(
        lookup(), "memory", arrays, header, {fitted.base: fitted.model.base}.__getitem__, scales
    )
    data = table.eval_data(1)
    assert mean_nll(again, data, CPU) == mean_nll(fitted.model, data, CPU)
    assert np.array_equal(counts, fitted.counts)


def test_soft_retrieval_needs_distances():
    with pytest.raises(ValidationError, match="n-grams have no distance"):
        lookup(num_neighbors=2, ngram_orders=[2, 1])


def test_the_most_frequent_keys_keep_their_entries():
    codes = torch.tensor([[0], [1], [1], [2], [2], [2]])
    slots, frames = build_slots(codes, _Codes(), (1,), 1, 8, 2)  # type: ignore[arg-type]
    assert slots.known(0).tolist() == [1, 2] and frames.counts.tolist() == [2, 3]


@pytest.mark.parametrize("name", ["memory_only", "hybrid", "robust"])
def test_a_context_whose_key_was_never_seen_gets_the_base(table: World, name: str):
    """The miss has weight 0: its law is the base's."""
    candidates = linear_candidates(table.material, 1, "position", 2)
    changes = {"ngram_orders": [2], "minimum_count": 20, "may_switch_off": False}
    pairs = lookup(**{**PRESETS[name], **changes})
    model = fit_lookup(
        pairs, key_of(table.material), table.material, 1, candidates[-1:], 0, CPU
    ).model
    batch = table.eval_data(1).batch(torch.arange(500), CPU)
    is_hit = model.is_hit(batch)
    assert 0 < int(is_hit.sum()) < len(is_hit)
    with torch.no_grad():
        apart = (model.log_prob(batch) - model.base.log_prob(batch)).abs()
    assert float(apart[~is_hit].max()) < 1e-5 < float(apart[is_hit].max())


def test_table_and_strength_are_chosen_on_the_choice_part(table: World, fitted):
    """The score of the base alone, the last that is tried, is that of the choice part."""
    material, base = table.material, linear_candidates(table.material, 1, "position", 2)[-1].model
    scores = {
        part: mean_nll(base, material.data(part, 1), CPU)
        for part in (material.choice_part, "train")
    }
    assert fitted.tried[-1]["choice_nll"] == pytest.approx(scores[material.choice_part], abs=1e-6)
    assert abs(scores["train"] - scores[material.choice_part]) > 1e-4


def test_gradients_pass_misses_by(table: World):
    """A gradient is finite where no entry is read, and where all weight is the entry's."""
    candidates = linear_candidates(table.material, 1, "position", 2)
    pairs = lookup(ngram_orders=[2], minimum_count=20)
    for preset in ({}, PRESETS["residual"]):
        settings = lookup(**{**pairs.model_dump(mode="json"), **preset})
        model = fit_lookup(
            settings, key_of(table.material), table.material, 1, candidates[-1:], 0, CPU
        ).model
        batch = table.eval_data(1).batch(torch.arange(200), CPU)
        assert not bool(model.is_hit(batch).all())
        context = batch.context.clone().requires_grad_()
        previous = context[:, -1]
        model.log_prob(batch._replace(context=context, previous=previous)).sum().backward()
        assert context.grad is not None and bool(context.grad.isfinite().all())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ngram_orders": [1, 2]}, "the highest first"),
        ({"ngram_orders": [0]}, "greater than or equal to 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, words: str):
    with pytest.raises(ValidationError, match=words):
        lookup(**changes)


@pytest.mark.parametrize(
    ("samples", "starts"), [(1, 256), (4, 64), (8, 600), (16, 64), (32, 600), (64, 64), (256, 64)]
)
def test_keys_of_others_are_of_other_starts(samples: int, starts: int):
    """Batches are samples by starts: no row reads its own start, nor one of its neighbours'."""
    start = torch.arange(starts).repeat(samples)
    gap = (foreign_contexts(start) - start).abs()
    assert int(torch.minimum(gap, starts - gap).min()) > starts // 32
