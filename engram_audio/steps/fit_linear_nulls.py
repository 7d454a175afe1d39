"""Measure train statistics and fit every linear null of every lag in two streamed passes."""

from pathlib import Path

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.densities.config import PredictionNullsSection, PredictionSection
from engram_audio.densities.dequantization import noisy_source
from engram_audio.densities.null_storage import pack_linear_nulls, pack_reference
from engram_audio.densities.nulls import NullMoments, fit_linear_nulls
from engram_audio.densities.reference import measure_reference
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.steps._frames import noise_of, open_frames


class Files(StepFiles):
    section: Frozen[PredictionSection]
    nulls_section: Frozen[PredictionNullsSection]
    splits: Path
    shards: list[Path]
    nulls: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    frames = open_frames(files.shards, files.splits)
    window, lags = section.window_frames, section.lags_frames
    source = frames.source(frames.present_parts, section.block_frames)
    reference = measure_reference(
        source, frames.part_of, window, max(lags), frames.store.has_energy
    )
    fitted_on = noisy_source(
        frames.source(frames.fitting_parts, section.block_frames),
        noise_of(reference, section),
        section.noise_seed,
    )
    moments = NullMoments(reference, window, lags, frames.fitting_parts[1])
    moments.accumulate(fitted_on, frames.part_of, window)
    linear_nulls = fit_linear_nulls(
        moments, section.targets, files.nulls_section.orders, files.nulls_section.ridges
    )
    arrays, header = pack_reference(reference)
    null_arrays, entries = pack_linear_nulls(linear_nulls)
    write_bundle(
        files.nulls,
        {**arrays, **null_arrays},
        {**files.manifest(), "reference": header, "nulls": entries},
    )


if __name__ == "__main__":
    run(main)
