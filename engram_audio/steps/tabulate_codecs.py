"""Publish every codec side by side, and the frontier of rate, distortion and predictability."""

from pathlib import Path

from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.prediction_tables import join, locate
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import read_table, read_table_manifest, write_csv
from engram_audio.comparison.config import ComparedSection
from engram_audio.comparison.information import measure
from engram_audio.comparison.tables import Key, Row, codec_table, frontier_table
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps import _cli
from engram_audio.structure.config import DecisionSection

LABELS = ("model", "lag_frames", "event", "part", "slice", "speaker_id", "nll", "num_frames")


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "tabulate_codecs",
        __doc__,
        inputs=["section", "decision_section", "statistics_section", "structure"],
        input_lists=["prediction_scores", "summaries", "origins"],
        optional_lists=["reconstructions"],
        outputs=["codecs", "frontier"],
        argv=argv,
    )
    section = arguments.load_section(arguments.section, ComparedSection)
    decision = arguments.load_section(arguments.decision_section, DecisionSection)
    statistics = arguments.load_section(arguments.statistics_section, StatisticsSection)
    origins = [str(item).split("=") for item in arguments.origins]
    origin_of = {name: (codec, family) for name, codec, family in origins}
    decoded = {path.parent.name: path for path in arguments.reconstructions}
    rows = {
        path.parent.name: _row(path, origin_of, decoded, arguments.prediction_scores)
        for path in arguments.summaries
    }
    key = Key(decision.keys[0], decision.lag_frames)
    table = codec_table(rows, section, read_csv(arguments.structure), key, statistics.confidence)
    write_csv(arguments.codecs, table)
    write_csv(arguments.frontier, frontier_table(table, section.ladders))


def _row(
    summary: Path,
    origin_of: dict[str, tuple[str, str]],
    decoded: dict[str, Path],
    scored: list[Path],
) -> Row:
    name = summary.parent.name
    places = [place for place in map(locate, scored) if place.representation == name]
    heads = sorted({place.scored for place in places} - {"nulls"})
    path = decoded.get(name)
    columns = ["utterance_id", "speaker_id", "log_mel_l1", "stoi", "pesq"]
    return Row(
        name,
        *origin_of.get(name, ("", "")),
        read_json(summary),
        measure(join([place.path for place in places], LABELS), heads),
        None if path is None else read_table(path, columns),
        () if path is None else read_table_manifest(path)["absent_metrics"],
    )


if __name__ == "__main__":
    _cli.run(main)
