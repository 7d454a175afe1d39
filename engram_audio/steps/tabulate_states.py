"""Publish exported z_dyn beside the latents they came from, metric by metric."""

from pathlib import Path

from engram_audio.artifacts.identity import read_representation
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import write_csv
from engram_audio.factorizer.columns import FACTORIZER_STATES
from engram_audio.factorizer.state_comparison import comparison_table
from engram_audio.prediction.columns import PREDICTION
from engram_audio.steps._cli import Fact, Output, StepFiles, run
from engram_audio.structure.columns import LINEAR, STRUCTURE


class Files(StepFiles):
    sources: Fact[dict[str, str]]  # of each exported z_dyn
    structure: Path
    linear: Path
    prediction: Path | None
    summaries: list[Path]
    factorizer_states: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    table = comparison_table(
        files.sources,
        {read_representation(path): read_json(path) for path in files.summaries},
        read_csv(files.structure, STRUCTURE),
        read_csv(files.linear, LINEAR),
        read_csv(files.prediction, PREDICTION) if files.prediction else None,
    )
    write_csv(files.factorizer_states, table, FACTORIZER_STATES, files.manifest())


if __name__ == "__main__":
    run(main)
