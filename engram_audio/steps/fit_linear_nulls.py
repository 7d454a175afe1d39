"""Measure train statistics and fit every linear null of every lag in two streamed passes."""

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.prediction.config import PredictionNullsSection, PredictionSection
from engram_audio.prediction.dequantization import noisy_source
from engram_audio.prediction.null_storage import pack_reference, pack_rungs
from engram_audio.prediction.nulls import LadderMoments, fit_ladder
from engram_audio.prediction.reference import measure_reference
from engram_audio.steps import _cli
from engram_audio.steps._frames import PARTS, noise_of, open_frames


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "fit_linear_nulls",
        __doc__,
        inputs=["splits"],
        input_lists=["shards"],
        outputs=["nulls"],
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    ladder = arguments.load_section("nulls_section", PredictionNullsSection)
    frames = open_frames(arguments.shards, arguments.splits)
    window, lags = section.window_frames, section.lags_frames
    source = frames.source(PARTS, section.block_frames)
    reference = measure_reference(source, frames.part_of, window, max(lags))
    fitted_on = noisy_source(
        frames.source(("train", "val"), section.block_frames),
        noise_of(reference, section),
        section.noise_seed,
    )
    moments = LadderMoments(reference, window, lags)
    moments.accumulate(fitted_on, frames.part_of, window)
    rungs = fit_ladder(moments, section.targets, ladder.orders, ladder.ridges)
    arrays, header = pack_reference(reference)
    rung_arrays, entries = pack_rungs(rungs)
    write_bundle(
        arguments.nulls,
        {**arrays, **rung_arrays},
        {**arguments.manifest(), "reference": header, "rungs": entries},
    )


if __name__ == "__main__":
    _cli.run(main)
