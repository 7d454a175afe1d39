"""Publish every memory beside its controls, and whether lookup helps."""

from pathlib import Path

from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.memory_paths import locate_memory
from engram_audio.artifacts.prediction_tables import join, locate
from engram_audio.artifacts.table import read_table, write_csv
from engram_audio.memory.columns import MEMORY, MEMORY_VERDICT
from engram_audio.memory.config import MemoryStageSection, MemoryVerdictSection
from engram_audio.memory.tables import Direct, Run, memory_table, verdict_table
from engram_audio.prediction.config import PredictionEvaluationSection
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps import _cli

LABELS = ("model", "lag_frames", "event", "part", "slice", "speaker_id", "nll")


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "tabulate_memory",
        __doc__,
        input_lists=["scores", "usage", "run_summaries", "direct_scores", "summaries"],
        outputs=["memory", "memory_verdict"],
        argv=argv,
    )
    stage = arguments.load_section("stage_section", MemoryStageSection)
    verdict = arguments.load_section("verdict_section", MemoryVerdictSection)
    evaluation = arguments.load_section("evaluation_section", PredictionEvaluationSection)
    statistics = arguments.load_section("statistics_section", StatisticsSection)
    files = zip(arguments.scores, arguments.usage, arguments.run_summaries, strict=True)
    runs = [_run(*paths) for paths in files]
    seeds = sorted({run.seed for run in runs})
    directs = {
        (path.parent.name, seed): _direct(path, arguments.direct_scores, seed)
        for path in arguments.summaries
        for seed in seeds
    }
    table = memory_table(runs, directs, stage.target, evaluation.slices, statistics.confidence)
    write_csv(arguments.memory, table, MEMORY, arguments.manifest())
    verdicts = verdict_table(table, verdict)
    write_csv(arguments.memory_verdict, verdicts, MEMORY_VERDICT, arguments.manifest())


def _run(scores: Path, usage: Path, summary: Path) -> Run:
    return Run(
        *locate_memory(scores),
        read_json(summary),
        read_table(scores, ["slice", "speaker_id", "part", "model", "nll"]),
        read_table(usage, ["model", "part", "num_slots"]),
    )


def _direct(summary: Path, direct_scores: list[Path], seed: int) -> Direct:
    """Gather what the prediction stage scored on the representation of a latent summary."""
    name = summary.parent.name
    places = map(locate, direct_scores)
    own = [place for place in places if (place.representation, place.seed) == (name, seed)]
    heads = sorted({place.scored for place in own} - {"nulls"})
    rate = read_json(summary)["metadata"]["frame_rate_hz"]
    return Direct(rate, heads, join([place.path for place in own], LABELS))


if __name__ == "__main__":
    _cli.run(main)
