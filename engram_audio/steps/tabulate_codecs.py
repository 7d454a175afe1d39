"""Publish every codec side by side, and the frontier of rate, distortion and predictability."""

from pathlib import Path
from typing import NamedTuple

from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.prediction_tables import join, locate
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import read_table, read_table_manifest, write_csv
from engram_audio.comparison.columns import CODECS, FRONTIER
from engram_audio.comparison.config import ComparedSection
from engram_audio.comparison.information import measure
from engram_audio.comparison.tables import Key, Row, codec_table, frontier_table
from engram_audio.prediction.config import PredictionSection
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps import _cli
from engram_audio.structure.columns import STRUCTURE
from engram_audio.structure.config import DecisionSection

LABELS = ("model", "lag_frames", "event", "part", "slice", "speaker_id", "nll", "num_frames")


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "tabulate_codecs",
        __doc__,
        inputs=["structure"],
        input_lists=["prediction_scores", "summaries", "origins"],
        optional_lists=["reconstructions"],
        outputs=["codecs", "frontier"],
        argv=argv,
    )  # fmt: skip
    section = arguments.load_section("section", ComparedSection)
    decision = arguments.load_section("decision_section", DecisionSection)
    statistics = arguments.load_section("statistics_section", StatisticsSection)
    prediction = arguments.load_section("prediction_section", PredictionSection)
    origins = [str(item).split("=") for item in arguments.origins]
    origin_of = {name: Origin(*rest) for name, *rest in origins}
    decoded = {path.parent.name: path for path in arguments.reconstructions}
    rows = {
        path.parent.name: _row(path, origin_of, decoded, arguments.prediction_scores)
        for path in arguments.summaries
    }
    key = Key(decision.keys[0], decision.lag_frames, decision.operative_gate)
    table = codec_table(
        rows, section, read_csv(arguments.structure, STRUCTURE), key, prediction.window_frames,
        statistics.confidence,
    )  # fmt: skip
    write_csv(arguments.codecs, table, CODECS, arguments.manifest())
    frontier = frontier_table(table, section.ladders)
    write_csv(arguments.frontier, frontier, FRONTIER, arguments.manifest())


class Origin(NamedTuple):
    """Where a representation comes from: `=` between them on the command line."""

    codec: str
    family: str
    permuted_block_s: str


def _row(
    summary: Path,
    origin_of: dict[str, Origin],
    decoded: dict[str, Path],
    scored: list[Path],
) -> Row:
    name = summary.parent.name
    heads_of: dict[str, list[str]] = {}
    places = list(map(locate, scored))
    for place in places:
        heads_of.setdefault(place.representation, []).append(place.scored)
    paths = [place.path for place in places if place.representation == name]
    scores = join(paths, LABELS)
    heads, shuffled = (
        sorted({*heads_of.get(each, ())} - {"nulls"}) for each in (name, f"{name}--shuffled")
    )
    path = decoded.get(name)
    columns = ["utterance_id", "speaker_id", "log_mel_l1", "stoi", "pesq"]
    origin = origin_of.get(name, Origin("", "", ""))
    return Row(
        name,
        origin.codec,
        origin.family,
        read_json(summary),
        measure(scores, heads),
        None if path is None else read_table(path, columns),
        () if path is None else read_table_manifest(path)["absent_metrics"],
        measure(
            scores.loc[~scores["model"].isin([h for h in heads if h not in shuffled])], shuffled
        ),
        float(origin.permuted_block_s) if origin.permuted_block_s else None,
    )


if __name__ == "__main__":
    _cli.run(main)
