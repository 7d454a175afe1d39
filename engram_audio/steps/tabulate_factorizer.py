"""Publish factorisers beside the direct predictors, and the sweeps' Pareto fronts."""

from pathlib import Path

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.factorizer_paths import locate_factorizer
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.prediction_tables import join, locate
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.factorizer.columns import FACTORIZER, FACTORIZER_SWEEP
from engram_audio.factorizer.config import FactorizerSection
from engram_audio.factorizer.tables import Direct, Run, factorizer_table, sweep_table
from engram_audio.prediction.config import PredictionEvaluationSection
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps import _cli

LABELS = ("model", "lag_frames", "event", "part", "slice", "speaker_id", "nll")


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "tabulate_factorizer",
        __doc__,
        input_lists=["models", "scores", "direct_scores", "summaries", "sweeps"],
        outputs=["factorizer", "factorizer_sweep"],
        argv=argv,
    )
    evaluation = arguments.load_section("evaluation_section", PredictionEvaluationSection)
    statistics = arguments.load_section("statistics_section", StatisticsSection)
    sweep_of = dict(str(item).split("=", maxsplit=1) for item in arguments.sweeps)
    runs = [
        _run(model, scores, sweep_of)
        for model, scores in zip(arguments.models, arguments.scores, strict=True)
    ]
    directs = {path.parent.name: _direct(path, arguments) for path in arguments.summaries}
    table = factorizer_table(runs, directs, evaluation.slices, statistics.confidence)
    write_csv(arguments.factorizer, table, FACTORIZER, arguments.manifest())
    sweep = sweep_table(table)
    write_csv(arguments.factorizer_sweep, sweep, FACTORIZER_SWEEP, arguments.manifest())


def _run(model: Path, scores: Path, sweep_of: dict[str, str]) -> Run:
    place = locate_factorizer(scores)
    _, header = read_bundle(model)
    return Run(
        place.representation,
        place.factorizer,
        sweep_of.get(place.factorizer, ""),
        place.seed,
        FactorizerSection.model_validate(header["factorizer"]["settings"], strict=False),
        header["health"],
        header["collapse"],
        read_table(scores, ["slice", "speaker_id", "part", "nll"]),
    )


def _direct(summary: Path, arguments: _cli.Arguments) -> Direct:
    """Gather what the prediction stage scored on the representation of a latent summary."""
    name = summary.parent.name
    metadata = read_json(summary)["metadata"]
    places = [locate(path) for path in arguments.direct_scores]
    # the first training seed: one direct predictor, chosen on val, is the yardstick
    own = [place for place in places if place.representation == name]
    first = min(place.seed for place in own)
    own = [place for place in own if place.seed == first]
    return Direct(
        name,
        metadata["frame_rate_hz"],
        metadata["num_dims"],
        sorted({place.scored for place in own} - {"nulls"}),
        join([place.path for place in own], LABELS),
    )


if __name__ == "__main__":
    _cli.run(main)
