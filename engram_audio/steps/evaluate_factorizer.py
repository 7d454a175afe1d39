"""Score one factoriser in x space on train, val and eval."""

import pandas as pd
import torch

from engram_audio.artifacts.table import write_table
from engram_audio.factorizer.config import FactorizerEvaluationSection
from engram_audio.factorizer.evaluation import Scope, score_part
from engram_audio.prediction.config import PredictionEvaluationSection, PredictionSection
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._factorizer import read_factorizer
from engram_audio.steps._frames import PARTS, open_frames, read_nulls
from engram_audio.steps._prediction import open_stage


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "evaluate_factorizer",
        __doc__,
        inputs=["nulls", "model", "splits"],
        input_lists=["shards"],
        outputs=["scores"],
        wildcards=["seed"],
        uses_device=True,
        argv=argv,
    )  # fmt: skip
    section = arguments.load_section("section", PredictionSection)
    direct = arguments.load_section("prediction_evaluation_section", PredictionEvaluationSection)
    settings = arguments.load_section("evaluation_section", FactorizerEvaluationSection)
    device = resolve_device(arguments.device, uses_torch=True)
    reference, _ = read_nulls(arguments.nulls)
    model, _ = read_factorizer(arguments.model)
    frames = open_frames(arguments.shards, arguments.splits)
    stage = open_stage(frames, reference, section, direct, device, None)
    scope = Scope(
        frames.part_of, section.window_frames, max(section.lags_frames), reference.energy_median,
        direct,
    )  # fmt: skip
    tables = [
        score_part(model, stage.sources[part], part, scope, settings, torch.device(device)).assign(
            part=part
        )
        for part in PARTS
    ]
    write_table(
        arguments.scores,
        pd.concat(tables, ignore_index=True),
        arguments.manifest(int(arguments.seed)),
    )


if __name__ == "__main__":
    _cli.run(main)
