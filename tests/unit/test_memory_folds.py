"""What a memory or the k-NN stores of a frame comes from a base that has not seen its speaker."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engram_audio import windows
from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.nulls import base_for
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.memory.fit import build_datastore, fit_lookup, held_out
from engram_audio.memory.folds import Candidate, fold_of_speakers, linear_candidates, without_fold
from engram_audio.memory.ngrams import foreign_contexts
from engram_audio.steps._density_training import MemoryStageFiles
from tests.unit.memory_material import key_of, lookup, table_of
from tests.unit.prediction_material import World, make_world

CPU, FOLDS = torch.device("cpu"), 2


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(table_of(), 6, 2, 6)


@pytest.fixture(scope="module")
def candidate(world: World) -> Candidate:
    return linear_candidates(world.material, 1, "position", FOLDS)[-1]


def speakers_of(world: World, targets: np.ndarray) -> list[str]:
    owner = windows.utterance_of_rows(world.material.block.offsets, targets)
    return [str(name) for name in world.material.block.speaker_ids[owner]]


def test_each_frame_meets_the_model_without_its_speaker(world: World, candidate: Candidate):
    """Every train target exactly once."""
    material = world.material
    data = material.data(TRAIN, 1)
    fold_of = fold_of_speakers(material.block, material.part_of, FOLDS)
    items, seen = np.arange(len(data)), []
    for rows, _, own in held_out(material, data, items, candidate.fold_models, CPU):
        (number,) = (n for n, model in enumerate(candidate.fold_models) if model is own)
        names = speakers_of(world, data.targets.numpy()[rows.numpy()])
        assert {fold_of[name] for name in names} == {number}
        seen += rows.tolist()
    assert sorted(seen) == items.tolist()


def test_bases_go_from_the_simplest_to_the_best(world: World):
    """At lag 1 the diagonal Gaussian of steps is one: what is white stays white in a cell."""
    names = [one.name for one in linear_candidates(world.material, 1, "position", FOLDS)]
    best = min(
        (
            base_for(world.material.linear_nulls, 1, "position", True, full)
            for full in (True, False)
        ),
        key=lambda null: null.fit.choice_nll,
    ).name
    simple = ["gaussian_marginal_full_position", "gaussian_marginal_delta", "ar1_full"]
    assert names == [*(name for name in simple if name != best), best]
    later = [one.name for one in linear_candidates(world.material, 2, "position", FOLDS)]
    assert "gaussian_marginal_delta" not in later


@pytest.mark.parametrize("target", ["delta", "position"])
def test_memory_steps_predict_the_studys_target(target: str):
    """At lag 2 a step and a position are two events."""
    files = MemoryStageFiles()
    files.lag = 2
    files.stage_section = SimpleNamespace(target=target)  # type: ignore[assignment]
    assert files.event == target


def test_the_fold_is_out_of_train_and_of_val(world: World):
    """A model that stops early on a speaker's own utterances has seen the speaker."""
    material = world.material
    fold_of = fold_of_speakers(material.block, material.part_of, FOLDS)
    held = without_fold(material, 0, FOLDS)
    pairs = zip(material.block.utterance_ids, material.block.speaker_ids, strict=True)
    out = [str(name) for name, speaker in pairs if fold_of[str(speaker)] == 0]
    assert {held.part_of[name] for name in out} == {"held"}
    assert {material.part_of[name] for name in out} == {"train", "val"}


def test_the_datastore_holds_residuals_of_the_fold_models(world: World, candidate: Candidate):
    """Not those of the base that was fitted on all: the two differ."""
    material = world.material
    store = build_datastore(
        material, 1, KeyEncoder(key_of(material)), 1, candidate, 10**6, CPU
    ).values
    data = material.data(TRAIN, 1)
    batch = data.batch(torch.arange(len(data)), CPU)
    fold_of = fold_of_speakers(material.block, material.part_of, FOLDS)
    fold = torch.tensor([fold_of[name] for name in speakers_of(world, data.targets.numpy())])

    def residual(model: ConditionalDensity) -> torch.Tensor:
        base: Any = candidate.model.base
        with torch.no_grad():
            return base.whiten(base.value(batch, base.target) - model.mean(batch))

    for number, model in enumerate(candidate.fold_models):
        torch.testing.assert_close(store[fold == number], residual(model)[fold == number])
    assert float((store - residual(candidate.model)).abs().max()) > 1e-3


def test_a_shuffled_lookup_reads_the_keys_of_other_contexts(world: World, candidate: Candidate):
    """It reads what they would read by themselves, and not its own entry."""
    material = world.material
    settings = lookup(may_switch_off=False)
    model = fit_lookup(settings, key_of(material), material, 1, [candidate], 0, CPU, True).model
    context = material.data(TRAIN, 1).batch(torch.arange(64), CPU).context
    shuffled = model.lookup.read(context).slots
    model.lookup.is_shuffled = False
    assert torch.equal(shuffled, model.lookup.read(foreign_contexts(context)).slots)
    assert not torch.equal(shuffled, model.lookup.read(context).slots)
