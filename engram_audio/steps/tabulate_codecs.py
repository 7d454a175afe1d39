"""Publish every codec side by side, and the frontier of rate, distortion and predictability."""

from pathlib import Path
from typing import Any

from engram_audio.artifacts.identity import Scored, read_identity, read_representation
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.prediction_tables import join
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import read_table, read_table_manifest, write_csv
from engram_audio.comparison.columns import CODECS, FRONTIER
from engram_audio.comparison.config import ComparedSection
from engram_audio.comparison.information import measure
from engram_audio.comparison.tables import Row, codec_table, frontier_table
from engram_audio.densities.config import PredictionSection
from engram_audio.section import Section
from engram_audio.stats.config import StatisticsSection
from engram_audio.steps._cli import Fact, Frozen, Output, StepFiles, run
from engram_audio.structure.columns import STRUCTURE
from engram_audio.structure.config import DecisionSection

LABELS = ("model", "lag_frames", "event", "part", "slice", "speaker_id", "nll", "num_frames")


class Origin(Section):
    """Where a representation comes from.

    Attributes:
        codec: The codec at its root, or "".
        family: That codec's kind, or the root.
        permuted_block_s: Seconds of the blocks that the root's audio is permuted in.
    """

    codec: str
    family: str
    permuted_block_s: float | None


NOWHERE = Origin(codec="", family="", permuted_block_s=None)


class Files(StepFiles):
    origins: Fact[dict[str, Origin]]  # of each representation that is no surrogate
    section: Frozen[ComparedSection]
    decision_section: Frozen[DecisionSection]
    statistics_section: Frozen[StatisticsSection]
    prediction_section: Frozen[PredictionSection]
    structure: Path
    prediction_scores: list[Path]
    summaries: list[Path]
    reconstructions: list[Path]
    codecs: Output
    frontier: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    decoded = {read_representation(path): path for path in files.reconstructions}
    scored = {path: read_identity(path, Scored) for path in files.prediction_scores}
    summaries = {read_representation(path): read_json(path) for path in files.summaries}
    rows = {
        name: _row(name, summary, files.origins.get(name, NOWHERE), decoded.get(name), scored)
        for name, summary in summaries.items()
    }
    table = codec_table(
        rows, files.section, read_csv(files.structure, STRUCTURE),
        files.decision_section,
        files.prediction_section.window_frames, files.statistics_section.confidence,
    )  # fmt: skip
    write_csv(files.codecs, table, CODECS, files.manifest())
    frontier = frontier_table(table, files.section.ladders)
    write_csv(files.frontier, frontier, FRONTIER, files.manifest())


def _row(
    name: str,
    summary: dict[str, Any],
    origin: Origin,
    decoded: Path | None,
    scored: dict[Path, Scored],
) -> Row:
    heads_of: dict[str, list[str]] = {}
    for one in scored.values():
        heads_of.setdefault(one.representation, []).append(one.head)
    scores = join([p for p, one in scored.items() if one.representation == name], LABELS)
    heads, shuffled = (
        sorted({*heads_of.get(each, ())} - {""}) for each in (name, f"{name}--shuffled")
    )
    columns = ["utterance_id", "speaker_id", "log_mel_l1", "stoi", "pesq"]
    return Row(
        name,
        origin.codec,
        origin.family,
        summary,
        measure(scores, heads),
        None if decoded is None else read_table(decoded, columns),
        () if decoded is None else read_table_manifest(decoded)["absent_metrics"],
        measure(
            scores.loc[~scores["model"].isin([h for h in heads if h not in shuffled])], shuffled
        ),
        origin.permuted_block_s,
    )


if __name__ == "__main__":
    run(main)
