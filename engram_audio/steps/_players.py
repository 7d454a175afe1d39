"""What the steps that make sound for the report share: codec, chosen utterances, embedding."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from engram_audio.artifacts.audio import read_indexed
from engram_audio.artifacts.media import embed_audio, embed_picture
from engram_audio.artifacts.table import read_table
from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import codec_model
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
from engram_audio.steps._cli import Arguments
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


def open_examples(arguments: Arguments) -> Examples:
    """Load the codec and choose utterances; `arguments` holds sections, weights, tables, device."""
    representation = arguments.load_section("representation_section", CodecRepresentation)
    settings = arguments.load_section(
        "codec_section", codec_model(arguments.section_text("codec_section"))
    )
    extraction = arguments.load_section("section", ExtractionSection)
    report = arguments.load_section("report_section", ReportSection)
    device = resolve_device(arguments.device, settings.uses_torch)
    loaded = load_codec(
        settings, arguments.weights, device, arguments.num_workers, arguments.weight_digests
    )
    budget = round(extraction.batch_duration_s * loaded.sample_rate_hz)
    codec = truncated(loaded, representation.context_s, budget, arguments.representation)
    splits = read_table(arguments.splits, ["utterance_id", "split"])
    held_out = splits.loc[splits["split"] == "eval", "utterance_id"].tolist()
    utterances = read_table(arguments.utterances, COLUMNS)
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
    files = zip(chosen["utterance_id"], indexed_audio(chosen), strict=True)
    originals = (original(name, audio) for name, audio in files)
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
