"""Decode eval utterances from a representation and score them against the original.

Fails where no eval utterance is long enough to decode.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from engram_audio.artifacts.audio import read_indexed
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.artifacts.tensors import read_tensors
from engram_audio.codecs.config import CodecSection
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
from engram_audio.latents.config import LinkSection
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, Wildcard, Workers, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)
COLUMNS = ["utterance_id", "speaker_id"]


class Files(StepFiles):
    representation: Wildcard[str]
    section: Frozen[ReconstructionSection]
    links: Frozen[list[LinkSection]]
    codec_section: Frozen[CodecSection]
    utterances: Path
    splits: Path
    noise_scale: Path | None
    weights: list[Path]
    scores: Output
    device: Device
    num_workers: Workers


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    links = [link for link in files.links if link.kind != "codec"]
    std = None
    if files.noise_scale is not None:
        std = read_tensors(files.noise_scale, ["std"])[0]["std"]
    device = resolve_device(files.device, files.codec_section.uses_torch)
    codec = load_codec(
        files.codec_section, files.weights, device, files.num_workers, files.weight_digests
    )
    metrics = installed_metrics()
    absent = [name for name in SCORES[1:] if name not in metrics]
    if absent:
        LOG.warning("not installed, left empty: %s (pip install .[quality])", ", ".join(absent))
    splits = read_table(files.splits, ["utterance_id", "split"])
    held_out = splits.loc[splits["split"] == "eval", "utterance_id"]
    utterances = read_table(files.utterances, [*COLUMNS, *AUDIO_COLUMNS])
    chosen = choose_utterances(
        utterances.loc[utterances["utterance_id"].isin(held_out)], files.section.num_utterances
    )
    longest = round(files.section.maximum_duration_s * codec.sample_rate_hz)
    rows = []
    names = (chosen[name].astype(str).tolist() for name in COLUMNS)
    clips = zip(*names, indexed_audio(chosen), strict=True)
    for name, speaker, audio in track(clips, len(chosen), files.representation, "utterances"):
        waveform, rate = read_indexed(audio)
        waveform = resample(waveform, rate, codec.sample_rate_hz)[:longest]
        pair = round_trip(codec, waveform, links, std, name)
        if pair is not None:
            duration = len(pair.original) / codec.sample_rate_hz
            found = score(pair, codec.sample_rate_hz, metrics)
            rows.append((name, speaker, duration, *found.values()))
    if not rows:
        raise InputError(
            f"{files.utterances}: no eval utterance is long enough to decode; raise "
            "comparison.reconstruction.maximum_duration_s"
        )
    frame = pd.DataFrame(rows, columns=["utterance_id", "speaker_id", "duration_s", *SCORES])
    frame[list(SCORES)] = frame[list(SCORES)].astype(np.float64)
    write_table(files.scores, frame, {**files.manifest(), "absent_metrics": absent})


if __name__ == "__main__":
    run(main)
