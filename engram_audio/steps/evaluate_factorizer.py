"""Score one factoriser in x space on every part."""

from pathlib import Path

import pandas as pd
import torch

from engram_audio.artifacts.table import write_table
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.factorizer.config import FactorizerEvaluationSection
from engram_audio.factorizer.evaluation import Scope, score_part
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._factorizer import read_factorizer
from engram_audio.steps._frames import open_frames, read_nulls
from engram_audio.steps._prediction import open_stage


class Files(StepFiles):
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    prediction_evaluation_section: Frozen[PredictionEvaluationSection]
    evaluation_section: Frozen[FactorizerEvaluationSection]
    nulls: Path
    model: Path
    splits: Path
    shards: list[Path]
    scores: Output
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device = resolve_device(files.device, uses_torch=True)
    reference, _ = read_nulls(files.nulls)
    model, _ = read_factorizer(files.model)
    frames = open_frames(files.shards, files.splits)
    stage = open_stage(
        frames, reference, files.section, files.prediction_evaluation_section, device, None
    )
    scope = Scope(
        frames.part_of, files.section.window_frames, max(files.section.lags_frames),
        reference.loud, files.prediction_evaluation_section,
    )  # fmt: skip
    tables = [
        score_part(
            model, stage.sources[part], part, scope, files.evaluation_section, torch.device(device)
        ).assign(part=part)
        for part in frames.present_parts
    ]
    write_table(
        files.scores,
        pd.concat(tables, ignore_index=True),
        files.manifest(files.seed),
    )


if __name__ == "__main__":
    run(main)
