"""Keys that are centred by speaker where models read contexts: memories, guards, free runs."""

from typing import cast

import numpy as np
import pytest
import torch

from engram_audio.densities.base import Batch
from engram_audio.densities.density import Density
from engram_audio.densities.fit import Material
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.fitted import FittedKey, stream_cells
from engram_audio.keys.so_far import means_before, running_means
from engram_audio.latents.block import LatentBlock, drop_utterances
from engram_audio.memory.density import MemoryDensity
from engram_audio.memory.fit import all_codes, fit_lookup, mean_nll
from engram_audio.memory.folds import linear_candidates
from engram_audio.rollout.paths import Starts, collect_starts
from engram_audio.rollout.simulate import Settings, contexts_along, free_run
from tests.unit.memory_material import key_of, lookup, table_of
from tests.unit.prediction_material import WINDOW, World, make_world
from tests.unit.rollout_material import unit_limits

CPU = torch.device("cpu")
KEYS = ("last_frame.speaker_centred.kmeans_16", "pca.speaker_centred.kmeans_16")


def shifted(block: LatentBlock) -> LatentBlock:
    """Every speaker far from the others: what a key of raw frames reads is the speaker."""
    names = np.repeat(block.speaker_ids, np.diff(block.offsets)).astype(str)
    number = np.unique(names, return_inverse=True)[1]
    offsets = 6 * np.random.default_rng(len(names)).standard_normal((number.max() + 1, 3))
    frames = (block.frames + offsets[number]).astype(np.float32)
    return block._replace(frames=frames)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(table_of(), 8, 6, 12, change=shifted)


@pytest.fixture(scope="module")
def material(world: World) -> Material:
    before = means_before(lambda: iter([world.train, world.eval]))
    reference = world.material.reference
    known = reference._replace(speakers=reference.speakers._replace(before=before))
    return world.material._replace(reference=known)


def streamed(key: FittedKey, block: LatentBlock, rows: np.ndarray, lag: int) -> np.ndarray:
    return stream_cells([key], lambda: iter([block]), [rows], lag)[0].cells


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("lag", [1, 2])
def test_a_context_has_the_code_that_its_row_has_in_the_stream(
    material: Material, name: str, lag: int
):
    """What the structure stage scores under a name is what a memory reads, older states too."""
    key = key_of(material, name)
    data = material.data("train", lag)
    codes = all_codes(data, KeyEncoder(key), 1, CPU)[:, 0].numpy()
    assert len(np.unique(codes)) > 8
    # single precision: a feature on the edge of two cells may fall on either side
    assert np.mean(codes == streamed(key, material.block, data.targets.numpy(), lag)) > 0.995
    if name.startswith("last_frame"):
        both = all_codes(data, KeyEncoder(key), 2, CPU).numpy()
        older = streamed(key, material.block, data.targets.numpy() - 1, lag)
        assert np.mean(both[:, 1] == older) > 0.995


def test_a_mean_so_far_is_that_of_the_stream_whatever_utterances_are_read(world: World):
    """By hand: frames of the speaker up to this one, in the order of the stream, silence aside."""
    block = world.train
    is_scored = np.random.default_rng(0).random(len(block.frames)) < 0.8
    block = block._replace(is_scored=is_scored)
    before = means_before(lambda: iter([block]))
    utterance = np.repeat(block.utterance_ids, np.diff(block.offsets)).astype(str)
    kept = drop_utterances(block, range(0, len(block.utterance_ids), 2))
    kept = kept._replace(is_scored=is_scored[np.isin(utterance, kept.utterance_ids.astype(str))])
    found = running_means(kept, before)
    speaker = np.repeat(block.speaker_ids, np.diff(block.offsets)).astype(str)
    rows = np.flatnonzero(np.isin(utterance, kept.utterance_ids.astype(str)))
    for place in range(0, len(rows), 97):
        row = rows[place]
        heard = (speaker[: row + 1] == speaker[row]) & is_scored[: row + 1]
        assert found[place, -1] == heard.sum()
        mean = block.frames[: row + 1][heard].mean(0, dtype=np.float64) if heard.any() else 0
        np.testing.assert_allclose(found[place, :-1], mean, rtol=0, atol=2e-5)


def test_no_code_knows_a_later_frame(material: Material):
    """Frames from the target on may be anything: the codes of earlier contexts stay."""
    key = key_of(material, KEYS[1])
    data = material.data("train", 1)
    first = all_codes(data, KeyEncoder(key), 1, CPU)[:, 0]
    block = material.block
    middle = int(block.offsets[len(block.offsets) // 2])
    frames = block.frames.copy()
    frames[middle:] = np.random.default_rng(1).standard_normal(frames[middle:].shape)
    torn = block._replace(frames=frames)
    before = means_before(lambda: iter([torn]))
    speakers = material.reference.speakers._replace(before=before)
    other = material._replace(block=torn, reference=material.reference._replace(speakers=speakers))
    second = all_codes(other.data("train", 1), KeyEncoder(key), 1, CPU)[:, 0]
    is_earlier = data.targets <= middle
    assert torch.equal(first[is_earlier], second[is_earlier])
    assert not torch.equal(first[~is_earlier], second[~is_earlier])


class _Recorder:
    """White noise around the newest frame; keeps what it saw."""

    target = "delta"
    has_moments = False

    def __init__(self) -> None:
        self.seen: list[Batch] = []

    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> torch.Tensor:
        self.seen.append(batch._replace(context=batch.context.clone(), so_far=_clone(batch)))
        return torch.randn((num_samples, *batch.previous.shape), generator=generator) / 4


def _clone(batch: Batch) -> torch.Tensor:
    assert batch.so_far is not None
    return batch.so_far.clone()


def starts_of(world: World, material: Material, horizon: int) -> Starts:
    return collect_starts(
        lambda: iter([world.eval]), material.reference.speakers, WINDOW, horizon, 2, 24
    )


@pytest.mark.parametrize("inject", [None, 2])
def test_a_run_goes_on_from_what_was_heard(world: World, material: Material, inject: int | None):
    """Step by step equals one pass over all frames that the run went on from, by hand."""
    horizon, model = 6, _Recorder()
    starts = starts_of(world, material, horizon)
    assert starts.so_far is not None
    limits = unit_limits(3, 1e6)
    run = free_run(
        cast(Density, model), starts, Settings(horizon, True, inject, 4096), limits, 2,
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    entered = torch.cat([run.before[:, :, 1:], run.states[:, :, -1:]], 2)
    for step, batch in enumerate(model.seen):
        heard = _clone(batch).view(2, -1, WINDOW, 4)
        count = starts.so_far[:, -1, -1] + step
        assert torch.equal(heard[:, :, -1, -1], count.expand(2, -1))
        total = starts.so_far[:, -1, :-1] * starts.so_far[:, -1, -1:]
        total = total + entered[:, :, :step].sum(2)
        torch.testing.assert_close(
            heard[:, :, -1, :-1], total / count[:, None], rtol=1e-4, atol=1e-4
        )
    if inject is None:
        contexts, whole = contexts_along(starts, run.states[0], horizon)
        assert whole is not None
        for step, batch in enumerate(model.seen):
            own = len(starts.history)
            assert torch.equal(contexts[:, step], batch.context[:own])
            torch.testing.assert_close(whole[:, step], _clone(batch)[:own])


def test_a_centred_memory_finds_what_a_raw_one_cannot(world: World, material: Material):
    """Speakers lie apart, symbols follow each other alike: eval speakers gain by centring only."""
    gains = {}
    for name in ("last_frame.raw.kmeans_16", KEYS[0]):
        bases = linear_candidates(material, 1, "position", 2)
        fitted = fit_lookup(lookup(), key_of(material, name), material, 1, bases, 0, CPU)
        data = world._replace(material=material).eval_data(1)
        base = cast(MemoryDensity, fitted.model).base
        gains[name] = mean_nll(base, data, CPU) - mean_nll(fitted.model, data, CPU)
    assert gains[KEYS[0]] > gains["last_frame.raw.kmeans_16"] + 0.2


def test_contexts_without_their_speaker_are_refused(material: Material):
    key = KeyEncoder(key_of(material, KEYS[0]))
    with pytest.raises(ValueError, match="does not know its speaker"):
        key.codes(torch.zeros(2, WINDOW, 3), 1)


def test_shuffled_keys_take_the_speaker_along(material: Material):
    """The control reads contexts of others whole: with what their speakers have said."""
    settings = lookup(may_switch_off=False)
    bases = linear_candidates(material, 1, "position", 2)
    model = fit_lookup(settings, key_of(material, KEYS[0]), material, 1, bases, 0, CPU, True).model
    batch = material.data("train", 1).batch(torch.arange(64), CPU)
    assert batch.so_far is not None
    shuffled = model.lookup.read(batch.context, batch.so_far).slots
    model.lookup.is_shuffled = False
    own = model.lookup.read(batch.context, batch.so_far).slots
    shift = max(round(0.381966 * 64), 1)
    assert torch.equal(shuffled, own.roll(shift, 0))
