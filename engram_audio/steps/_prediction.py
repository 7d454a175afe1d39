"""What the steps that run densities read in the same way: material, streams, models."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.resident import block_source, kept_source, resident_block
from engram_audio.artifacts.tensors import read_tensors
from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.config import (
    PredictionEvaluationSection,
    PredictionSection,
)
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.dequantization import noise_costs, noisy_source
from engram_audio.densities.fit import Material
from engram_audio.densities.nulls import LinearNull
from engram_audio.densities.reference import Reference
from engram_audio.densities.storage import unpack_models
from engram_audio.latents.block import BlockSource
from engram_audio.prediction.assess import Stage, most_targets, thin_utterances
from engram_audio.prediction.scores import compact_sensitivity
from engram_audio.steps._frames import Frames, noise_of, read_nulls, with_means_so_far
from engram_audio.steps._shared import loaded


@contextmanager
def load_material(
    frames: Frames, nulls: Path, section: PredictionSection, is_centred: bool = False
) -> Iterator[Material]:
    """Load train and the choice part for training; local disk is freed at the end of the `with`.

    Members of one job share it.

    Args:
        frames: Split frames.
        nulls: Train statistics and linear nulls.
        section: Window, lags, noise.
        is_centred: Whether a key is centred by speaker, so that targets know the mean so far.
    """
    key = ("material", id(frames), nulls, section.model_dump_json())
    with loaded(key, lambda: _material(frames, nulls, section)) as material:
        if is_centred:
            reference = with_means_so_far(material.reference, frames, section.block_frames)
            material = material._replace(reference=reference)
        yield material


@contextmanager
def _material(frames: Frames, nulls: Path, section: PredictionSection) -> Iterator[Material]:
    reference, linear_nulls = read_nulls(nulls)
    noise_sd = noise_of(reference, section)
    index = frames.store.index
    used = index["utterance_id"].map(frames.part_of.__getitem__).isin(frames.fitting_parts)
    source = noisy_source(
        frames.source(frames.fitting_parts, section.block_frames), noise_sd, section.noise_seed
    )
    num_frames, num_dims = int(index.loc[used, "num_frames"].sum()), frames.store.metadata.num_dims
    longest = max(section.lags_frames)
    with resident_block(source, num_frames, num_dims, section.resident_memory_gib) as block:
        yield Material(
            block, frames.part_of, reference, linear_nulls, section.window_frames, longest, noise_sd
        )


def open_stage(
    frames: Frames,
    reference: Reference,
    section: PredictionSection,
    evaluation: PredictionEvaluationSection,
    device: str,
    decoder: Path | None,
    linear_nulls: Sequence[LinearNull] = (),
) -> Stage:
    """Open the streams that predictors are scored on: a share of train, all of the others.

    With linear nulls it also says what the noise costs, which `assess` publishes.
    """
    index = frames.store.index
    parts = index["utterance_id"].map(frames.part_of.__getitem__)
    noise_sd = noise_of(reference, section)
    sources, num_targets = {}, {}
    for part in frames.present_parts:
        rows = np.flatnonzero(parts == part)
        counts = most_targets(index["num_frames"].to_numpy()[rows], section)
        names = index["utterance_id"].to_numpy()[rows].tolist()
        total = reference.num_targets.get(part, 0)
        if part == TRAIN:
            names = thin_utterances(names, total, evaluation.maximum_train_frames)
        kept = index["utterance_id"].isin(names).to_numpy()[rows]
        num_targets[part] = min(int(counts[kept].sum()), total)
        sources[part] = _stream(frames, names, section, noise_sd)
    lags, targets = section.lags_frames, section.targets
    return Stage(
        sources, num_targets, frames.part_of, reference, section, evaluation,
        read_sensitivity(decoder), torch.device(device),
        noise_costs(linear_nulls, lags, targets, noise_sd) if linear_nulls else {},
    )  # fmt: skip


def _stream(
    frames: Frames, names: Collection[str], section: PredictionSection, noise_sd: np.ndarray
) -> BlockSource:
    """Stream utterances with noise, from memory where they fit."""
    index = frames.store.index
    num_frames = int(index.loc[index["utterance_id"].isin(list(names)), "num_frames"].sum())
    source = block_source(frames.store, set(names), section.block_frames)
    noisy = noisy_source(source, noise_sd, section.noise_seed)
    return kept_source(noisy, num_frames, frames.store.metadata.num_dims)


def open_held_out(
    frames: Frames, reference: Reference, section: PredictionSection
) -> dict[str, BlockSource]:
    """Open the streams of the parts that nothing was fitted on, however they are evaluated."""
    index = frames.store.index
    parts = index["utterance_id"].map(frames.part_of.__getitem__)
    noise_sd = noise_of(reference, section)
    return {
        part: _stream(frames, index.loc[parts == part, "utterance_id"].tolist(), section, noise_sd)
        for part in frames.present_parts
        if part != TRAIN
    }


def held_out(stage: Stage) -> dict[str, BlockSource]:
    """Return the streams of the parts that nothing was fitted on."""
    return {part: source for part, source in stage.sources.items() if part != TRAIN}


def read_sensitivity(decoder: Path | None) -> np.ndarray | None:
    """Return the linear map of a decoder whose weights hold `components` [D, Q], else None."""
    if decoder is None:
        return None
    tensors, _ = read_tensors(decoder, ["components"])
    return compact_sensitivity(tensors["components"].T)


def read_models(path: Path, field: str, reference: Reference) -> dict[str, ConditionalDensity]:
    """Read densities by label from a file that has them under `field` of its header."""
    arrays, header = read_bundle(path)
    return unpack_models(arrays, header[field], reference.input_scales)
