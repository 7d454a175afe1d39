"""Run one method free from eval starts; score its forecasts and the health of its runs."""

import pandas as pd
import torch

from engram_audio.artifacts.table import write_table
from engram_audio.errors import InputError
from engram_audio.latents.block import BlockSource
from engram_audio.prediction.config import PredictionSection
from engram_audio.prediction.dequantization import noisy_source
from engram_audio.prediction.reference import Reference
from engram_audio.rollout.config import RolloutSection
from engram_audio.rollout.evaluation import climate_frames, evaluate_method, make_bench
from engram_audio.rollout.paths import Starts, collect_starts
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import Frames, noise_of, open_frames
from engram_audio.steps._rollout import (
    OPTIONAL_FILES,
    files_of,
    load_method,
    read_frame,
    read_method,
)

SCORED = ("val", "eval")  # forecasters are chosen on val


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "evaluate_rollout",
        __doc__,
        inputs=["nulls", "model", "splits"],
        optional_inputs=OPTIONAL_FILES,
        input_lists=["shards"],
        outputs=["scores", "health"],
        wildcards=["seed"],
        uses_device=True,
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    settings = arguments.load_section("rollout_section", RolloutSection)
    method = load_method(arguments, "method_section")
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    reference, frame = read_frame(arguments.nulls, section)
    files = files_of(arguments)
    model, guard = read_method(arguments.model, method, files, reference, frame)
    frames = open_frames(arguments.shards, arguments.splits)
    train = _source(frames, "train", section, reference)
    bench = make_bench(settings, reference, climate_frames(train, settings), device)
    if guard is not None:
        guard = guard.to(device)
    scores, health = [], pd.DataFrame()
    for part in SCORED:
        starts = _starts(arguments, frames, part, section, settings, reference).to(device)
        found = evaluate_method(model.to(device), guard, starts, bench, part == "eval")
        scores.append(found.scores.assign(part=part))
        health = found.health
    manifest = arguments.manifest(int(arguments.seed))
    write_table(arguments.scores, pd.concat(scores, ignore_index=True), manifest)
    write_table(arguments.health, health, manifest)


def _source(
    frames: Frames, part: str, section: PredictionSection, reference: Reference
) -> BlockSource:
    """Return a part's stream with the noise that models are trained on."""
    source = frames.source((part,), section.block_frames)
    return noisy_source(source, noise_of(reference, section), section.noise_seed)


def _starts(
    arguments: _cli.Arguments,
    frames: Frames,
    part: str,
    section: PredictionSection,
    settings: RolloutSection,
    reference: Reference,
) -> Starts:
    try:
        return collect_starts(
            _source(frames, part, section, reference), reference.speakers, section.window_frames,
            settings.horizon_frames, settings.forecast_horizon_frames, settings.num_starts,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(
            f"{arguments.splits}: {part}: {error}; lower rollout.forecast_horizon_frames"
        ) from error


if __name__ == "__main__":
    _cli.run(main)
