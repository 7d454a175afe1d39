"""Publish the prediction stage's tables: gains over the best null, with intervals by speaker."""

from pathlib import Path

from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.prediction_tables import join, locate
from engram_audio.artifacts.table import write_csv
from engram_audio.prediction.columns import PREDICTION, WORST_FRAMES
from engram_audio.prediction.config import PredictionEvaluationSection, PredictionSection
from engram_audio.prediction.tables import Inputs, Settings, prediction_table, worst_table
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps import _cli

LABELS = ("model", "lag_frames", "event", "part")


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "tabulate_prediction",
        __doc__,
        input_lists=["scores", "frames", "worst", "summaries"],
        outputs=["prediction", "worst_frames"],
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    evaluation = arguments.load_section("evaluation_section", PredictionEvaluationSection)
    statistics = arguments.load_section("statistics_section", StatisticsSection)
    settings = Settings(
        section.lags_frames, section.targets, evaluation.slices, statistics.confidence,
        evaluation.trimmed_fraction, evaluation.quantiles,
    )  # fmt: skip
    inputs = _gather(arguments)
    table = prediction_table(inputs, settings)
    write_csv(arguments.prediction, table, PREDICTION, arguments.manifest())
    write_csv(arguments.worst_frames, worst_table(inputs), WORST_FRAMES, arguments.manifest())


def _gather(arguments: _cli.Arguments) -> list[Inputs]:
    metadata = {path.parent.name: read_json(path)["metadata"] for path in arguments.summaries}
    places = [locate(path) for path in arguments.scores]
    groups = []
    for name, seed in sorted({(place.representation, place.seed) for place in places}):

        def of_group(paths: list[Path], name: str = name, seed: int = seed) -> list[Path]:
            found = [locate(path) for path in paths]
            return [p.path for p in found if (p.representation, p.seed) == (name, seed)]

        heads = {p.scored for p in places if p.representation == name} - {"nulls"}
        groups.append(
            Inputs(
                name,
                seed,
                metadata[name]["frame_rate_hz"],
                metadata[name]["num_dims"],
                sorted(heads),
                join(of_group(arguments.scores), (*LABELS, "slice", "speaker_id", "nll")),
                join(of_group(arguments.frames), (*LABELS, "nll")),
                join(of_group(arguments.worst), (*LABELS, "utterance_id", "frame", "nll")),
            )
        )
    return groups


if __name__ == "__main__":
    _cli.run(main)
