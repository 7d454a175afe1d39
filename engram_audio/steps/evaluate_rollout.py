"""Run one method free from eval starts; score its forecasts and the health of its runs.

Fails where no utterance holds a context and a whole horizon.
"""

from pathlib import Path

import pandas as pd
import torch

from engram_audio.artifacts.table import write_table
from engram_audio.corpus.split_parts import EVAL, TRAIN
from engram_audio.densities.config import PredictionSection
from engram_audio.densities.dequantization import noisy_source
from engram_audio.densities.reference import Reference
from engram_audio.errors import InputError
from engram_audio.latents.block import BlockSource
from engram_audio.rollout.config import RolloutSection
from engram_audio.rollout.evaluation import evaluate_method
from engram_audio.rollout.paths import Starts, collect_starts, other_starts
from engram_audio.rollout.setup import make_scoring_setup
from engram_audio.steps._cli import Device, Frozen, Output, Wildcard, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import Frames, noise_of, open_frames, with_means_so_far
from engram_audio.steps._rollout import (
    MethodFiles,
    bases_of,
    knows_speaker,
    read_frame,
    read_method,
)


class Files(MethodFiles):
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    rollout_section: Frozen[RolloutSection]
    nulls: Path
    model: Path
    splits: Path
    shards: list[Path]
    scores: Output
    health: Output
    differences: Output
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device = torch.device(resolve_device(files.device, uses_torch=True))
    reference, frame = read_frame(files.nulls, files.section)
    model, guard = read_method(files.model, files.method_section, bases_of(files), reference, frame)
    frames = open_frames(files.shards, files.splits)
    if knows_speaker(model):
        reference = with_means_so_far(reference, frames, files.section.block_frames)
    train = _source(frames, TRAIN, files.section, reference)
    setup = make_scoring_setup(files.rollout_section, reference, train, device)
    if guard is not None:
        guard = guard.to(device)
    scores = []
    for part in (frames.fitting_parts[1], EVAL):  # forecasts are chosen on the first
        source = _source(frames, part, files.section, reference)
        starts = _starts(files, source, part, reference)
        others = None
        if part == EVAL:
            shortest = files.rollout_section.forecast_horizon_frames
            others = other_starts(source, reference.speakers, starts, shortest).to(device)
        found = evaluate_method(model.to(device), guard, starts.to(device), others, setup)
        scores.append(found.scores.assign(part=part))
    manifest = files.manifest(files.seed)
    write_table(files.scores, pd.concat(scores, ignore_index=True), manifest)
    write_table(files.health, found.health, manifest)
    write_table(files.differences, found.differences, manifest)


def _source(
    frames: Frames, part: str, section: PredictionSection, reference: Reference
) -> BlockSource:
    """Return a part's stream with the noise that models are trained on."""
    source = frames.source((part,), section.block_frames)
    return noisy_source(source, noise_of(reference, section), section.noise_seed)


def _starts(files: Files, source: BlockSource, part: str, reference: Reference) -> Starts:
    settings = files.rollout_section
    try:
        return collect_starts(
            source, reference.speakers, files.section.window_frames, settings.horizon_frames,
            settings.forecast_horizon_frames, settings.num_starts,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(
            f"{files.splits}: {part}: {error}; lower rollout.forecast_horizon_frames"
        ) from error


if __name__ == "__main__":
    run(main)
