"""What the steps that make sound for the report share: codec, chosen utterances, embedding."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engram_audio.artifacts.audio import read_indexed
from engram_audio.artifacts.media import embed_audio, embed_picture
from engram_audio.artifacts.table import read_table
from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import CodecSection
from engram_audio.codecs.registry import load_codec
from engram_audio.corpus.utterances import AUDIO_COLUMNS, IndexedAudio, indexed_audio
from engram_audio.latents.config import CodecRepresentation, ExtractionSection
from engram_audio.latents.round_trip import (
    choose_examples,
    log_mel_distance,
    picture,
    spectrogram,
    whole_frames,
)
from engram_audio.latents.truncated import truncated
from engram_audio.latents.waveform import WaveformSettings, prepare_waveform
from engram_audio.report.config import ReportSection
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, Wildcard, Workers
from engram_audio.steps._device import resolve_device

COLUMNS = ["utterance_id", "speaker_id", "sex", "duration_s", "transcript", *AUDIO_COLUMNS]


class Examples(NamedTuple):
    """A codec and the eval utterances that people hear.

    Attributes:
        codec: The representation's codec.
        seed: Seed of the extraction.
        rows: What is known of each utterance.
        originals: Its waveform at the codec's rate, cut to whole frames, each [S].
    """

    codec: Codec
    seed: int
    rows: list[dict[str, Any]]
    originals: Iterator[np.ndarray]


class ExampleFiles(StepFiles):
    """What every step reads that makes sound from a codec's latents."""

    representation: Wildcard[str]
    representation_section: Frozen[CodecRepresentation]
    codec_section: Frozen[CodecSection]
    section: Frozen[ExtractionSection]
    report_section: Frozen[ReportSection]
    utterances: Path
    splits: Path
    weights: list[Path]
    device: Device
    num_workers: Workers


class PlayerFiles(ExampleFiles):
    """The same of a step that writes players for the page."""

    players: Output


def open_examples(files: ExampleFiles) -> Examples:
    """Load the codec and choose utterances."""
    representation, settings = files.representation_section, files.codec_section
    extraction, report = files.section, files.report_section
    device = resolve_device(files.device, settings.uses_torch)
    loaded = load_codec(settings, files.weights, device, files.num_workers, files.weight_digests)
    budget = round(extraction.batch_duration_s * loaded.sample_rate_hz)
    codec = truncated(loaded, representation.context_s, budget, files.representation)
    splits = read_table(files.splits, ["utterance_id", "split"])
    held_out = splits.loc[splits["split"] == "eval", "utterance_id"].tolist()
    utterances = read_table(files.utterances, COLUMNS)
    chosen = choose_examples(
        utterances.loc[utterances["utterance_id"].isin(held_out)],
        report.num_players,
        report.player_duration_s,
    )
    waves = WaveformSettings(codec.sample_rate_hz, representation.permute_blocks_s, extraction.seed)

    def original(name: str, audio: IndexedAudio) -> np.ndarray:
        waveform, rate = read_indexed(audio)
        prepared = prepare_waveform(waveform, rate, name, waves)
        return whole_frames(codec, prepared, report.player_duration_s)

    names = ("utterance_id", "speaker_id", "sex")
    rows = [{name: getattr(row, name) for name in names} for row in chosen.itertuples()]
    clips = zip(chosen["utterance_id"], indexed_audio(chosen), strict=True)
    originals = (original(name, audio) for name, audio in clips)
    return Examples(codec, extraction.seed, rows, originals)


def embedded(
    codec: Codec, original: np.ndarray, versions: Mapping[str, np.ndarray], closest: str
) -> dict[str, Any]:
    """Return an original and versions of it as embedded sound and pictures.

    Args:
        codec: Gives the rate.
        original: Shape [S].
        versions: Waveforms by name, each [S].
        closest: The version whose log-mel distance stands for all.
    """
    reference = spectrogram(codec, original)
    found: dict[str, Any] = {"duration_s": len(original) / codec.sample_rate_hz}
    for name, sound in {"original": original, **versions}.items():
        spectrum = spectrogram(codec, sound)
        found[name] = embed_audio(np.clip(sound, -1.0, 1.0), codec.sample_rate_hz)
        found[f"{name}_picture"] = embed_picture(picture(spectrum, reference))
        if name == closest:
            found["log_mel_l1"] = log_mel_distance(reference, spectrum)
    return found
