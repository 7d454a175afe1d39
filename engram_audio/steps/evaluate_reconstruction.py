"""Decode eval utterances from a representation and score them against the original."""

import logging

import numpy as np
import pandas as pd

from engram_audio.artifacts.audio import read_indexed
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.artifacts.tensors import read_tensors
from engram_audio.codecs.config import codec_model
from engram_audio.codecs.registry import load_codec
from engram_audio.codecs.waveform import resample
from engram_audio.comparison.config import ReconstructionSection
from engram_audio.comparison.reconstruction import (
    SCORES,
    choose_utterances,
    installed_metrics,
    round_trip,
    score,
)
from engram_audio.corpus.utterances import AUDIO_COLUMNS, indexed_audio
from engram_audio.errors import InputError
from engram_audio.latents.config import NoisyRepresentation, ResampledRepresentation, link_model
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)
COLUMNS = ["utterance_id", "speaker_id"]


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "evaluate_reconstruction",
        __doc__,
        inputs=["utterances", "splits"],
        optional_inputs=["noise_scale"],
        input_lists=["weights"],
        outputs=["scores"],
        wildcards=["representation"],
        uses_device=True,
        argv=argv,
    )
    section = arguments.load_section("section", ReconstructionSection)
    settings = arguments.load_section(
        "codec_section", codec_model(arguments.section_text("codec_section"))
    )
    sections = arguments.load_sections("links", link_model)
    links = [s for s in sections if isinstance(s, NoisyRepresentation | ResampledRepresentation)]
    std = None
    if arguments.noise_scale is not None:
        std = read_tensors(arguments.noise_scale, ["std"])[0]["std"]
    device = resolve_device(arguments.device, settings.uses_torch)
    codec = load_codec(
        settings, arguments.weights, device, arguments.num_workers, arguments.weight_digests
    )
    metrics = installed_metrics()
    absent = [name for name in SCORES[1:] if name not in metrics]
    if absent:
        LOG.warning("not installed, left empty: %s (pip install .[quality])", ", ".join(absent))
    splits = read_table(arguments.splits, ["utterance_id", "split"])
    held_out = splits.loc[splits["split"] == "eval", "utterance_id"]
    utterances = read_table(arguments.utterances, [*COLUMNS, *AUDIO_COLUMNS])
    chosen = choose_utterances(
        utterances.loc[utterances["utterance_id"].isin(held_out)], section.num_utterances
    )
    longest = round(section.maximum_duration_s * codec.sample_rate_hz)
    rows = []
    names = (chosen[name].astype(str).tolist() for name in COLUMNS)
    clips = zip(*names, indexed_audio(chosen), strict=True)
    for name, speaker, audio in track(clips, len(chosen), arguments.representation, "utterances"):
        waveform, rate = read_indexed(audio)
        waveform = resample(waveform, rate, codec.sample_rate_hz)[:longest]
        pair = round_trip(codec, waveform, links, std, name)
        if pair is not None:
            duration = len(pair.original) / codec.sample_rate_hz
            found = score(pair, codec.sample_rate_hz, metrics)
            rows.append((name, speaker, duration, *found.values()))
    if not rows:
        raise InputError(
            f"{arguments.utterances}: no eval utterance is long enough to decode; raise "
            "comparison.reconstruction.maximum_duration_s"
        )
    frame = pd.DataFrame(rows, columns=["utterance_id", "speaker_id", "duration_s", *SCORES])
    frame[list(SCORES)] = frame[list(SCORES)].astype(np.float64)
    write_table(arguments.scores, frame, {**arguments.manifest(), "absent_metrics": absent})


if __name__ == "__main__":
    _cli.run(main)
