"""Score one head at one lag on every part, and roll its mean out."""

from pathlib import Path

from engram_audio.artifacts.table import write_table
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.prediction.assess import TABLES, assess, head_entries, roll_out
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames, read_nulls
from engram_audio.steps._prediction import open_stage, read_models


class Files(StepFiles):
    head: Wildcard[str]
    lag: Wildcard[int]
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    evaluation_section: Frozen[PredictionEvaluationSection]
    nulls: Path
    marginal: Path
    model: Path
    splits: Path
    decoder: Path | None
    shards: list[Path]
    scores: Output
    frames: Output
    worst: Output
    calibration: Output
    dimensions: Output
    rollout: Output
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device = resolve_device(files.device, uses_torch=True)
    reference, linear_nulls = read_nulls(files.nulls)
    frames = open_frames(files.shards, files.splits)
    stage = open_stage(
        frames,
        reference,
        files.section,
        files.evaluation_section,
        device,
        files.decoder,
        linear_nulls,
    )
    models = read_models(files.model, "models", reference)
    marginals = read_models(files.marginal, "marginals", reference)
    head, lag = files.head, files.lag
    tables = assess(head_entries(head, lag, models, marginals, stage), stage)
    tables["rollout"] = roll_out(head, lag, models, linear_nulls, stage)
    for name in (*TABLES, "rollout"):
        write_table(files.output_files[name], tables[name], files.manifest(files.seed))


if __name__ == "__main__":
    run(main)
