"""Score every null of every lag on train, val and eval, through the heads' own code path."""

from engram_audio.artifacts.table import write_table
from engram_audio.prediction.assess import TABLES, assess, null_entries
from engram_audio.prediction.config import PredictionEvaluationSection, PredictionSection
from engram_audio.steps import _cli
from engram_audio.steps._frames import open_frames, read_nulls
from engram_audio.steps._prediction import open_stage, read_models


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "evaluate_nulls",
        __doc__,
        inputs=["nulls", "splits"],
        optional_inputs=["decoder"],
        input_lists=["shards", "marginals"],
        outputs=TABLES,
        wildcards=["seed"],
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    evaluation = arguments.load_section("evaluation_section", PredictionEvaluationSection)
    reference, rungs = read_nulls(arguments.nulls)
    frames = open_frames(arguments.shards, arguments.splits)
    stage = open_stage(frames, reference, section, evaluation, "cpu", arguments.decoder)
    marginals = {
        path.parent.parent.name: read_models(path, "marginals", reference)
        for path in arguments.marginals
    }
    tables = assess(null_entries(rungs, marginals, stage), stage)
    for name in TABLES:
        write_table(getattr(arguments, name), tables[name], arguments.manifest(int(arguments.seed)))


if __name__ == "__main__":
    _cli.run(main)
