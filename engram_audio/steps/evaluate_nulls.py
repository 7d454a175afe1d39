"""Score every null of every lag on every part, through the heads' own code path."""

from pathlib import Path

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.identity import Scored, read_identity
from engram_audio.artifacts.table import write_table
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.densities.ridge_mixture import unpack_ridge_mixtures
from engram_audio.prediction.assess import TABLES, assess, null_entries
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._frames import open_frames, read_nulls
from engram_audio.steps._prediction import open_stage, read_models


class Files(StepFiles):
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    evaluation_section: Frozen[PredictionEvaluationSection]
    nulls: Path
    splits: Path
    decoder: Path | None
    shards: list[Path]
    marginals: list[Path]
    ridge_mixture: Path
    scores: Output
    frames: Output
    worst: Output
    calibration: Output
    dimensions: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    reference, linear_nulls = read_nulls(files.nulls)
    frames = open_frames(files.shards, files.splits)
    stage = open_stage(
        frames,
        reference,
        files.section,
        files.evaluation_section,
        "cpu",
        files.decoder,
        linear_nulls,
    )
    marginals = {
        read_identity(path, Scored).head: read_models(path, "marginals", reference)
        for path in files.marginals
    }
    arrays, header = read_bundle(files.ridge_mixture)
    mixtures = unpack_ridge_mixtures(arrays, header["ridge_mixtures"])
    entries = null_entries(linear_nulls, marginals, mixtures, stage, _stopped(files.marginals))
    tables = assess(entries, stage)
    for name in TABLES:
        write_table(files.output_files[name], tables[name], files.manifest(files.seed))


def _stopped(marginals: list[Path]) -> set[tuple[str, str]]:
    """Return head and space of the marginals that were grown until they stopped improving."""
    found = set()
    for path in marginals:
        head = read_identity(path, Scored).head
        spaces = read_bundle(path)[1]["marginals"]
        found |= {(head, space) for space, fit in spaces.items() if fit["has_stopped"]}
    return found


if __name__ == "__main__":
    run(main)
