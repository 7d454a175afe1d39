"""Decode a few eval utterances from factorised latents, for people to listen to."""

from pathlib import Path
from typing import Any

from engram_audio.artifacts.audio import read_waveform
from engram_audio.artifacts.json_document import read_text, write_json
from engram_audio.artifacts.media import embed_audio, embed_picture
from engram_audio.artifacts.table import read_table
from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import codec_model
from engram_audio.codecs.registry import load_codec
from engram_audio.factorizer.model import Factorizer
from engram_audio.factorizer.resynthesis import resynthesize
from engram_audio.latents.batching import encode_batch
from engram_audio.latents.config import CodecRepresentation, ExtractionSection
from engram_audio.latents.round_trip import (
    choose_examples,
    log_mel_distance,
    picture,
    spectrogram,
    whole_frames,
)
from engram_audio.latents.waveform import WaveformSettings, prepare_waveform
from engram_audio.report.config import ReportSection
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._factorizer import read_factorizer

COLUMNS = ["utterance_id", "speaker_id", "sex", "audio_path", "duration_s", "transcript"]
KINDS = (
    ("original", "Original"),
    ("full", "State and innovation"),
    ("prior", "Innovation from its prior"),
    ("state", "State alone"),
)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "render_resyntheses",
        __doc__,
        inputs=[
            "representation_section", "codec_section", "section", "report_section", "model",
            "utterances", "splits",
        ],
        input_lists=["weights"],
        outputs=["players"],
        wildcards=["representation", "factorizer"],
        uses_device=True,
        argv=argv,
    )  # fmt: skip
    representation = arguments.load_section(arguments.representation_section, CodecRepresentation)
    settings = arguments.load_section(
        arguments.codec_section, codec_model(read_text(arguments.codec_section))
    )
    extraction = arguments.load_section(arguments.section, ExtractionSection)
    report = arguments.load_section(arguments.report_section, ReportSection)
    device = resolve_device(arguments.device, settings.uses_torch)
    codec = load_codec(settings, arguments.weights, device, arguments.num_workers)
    model, header = read_factorizer(arguments.model)
    splits = read_table(arguments.splits, ["utterance_id", "split"])
    held_out = splits.loc[splits["split"] == "eval", "utterance_id"].tolist()
    utterances = read_table(arguments.utterances, COLUMNS)
    chosen = choose_examples(
        utterances.loc[utterances["utterance_id"].isin(held_out)],
        report.num_players,
        report.player_duration_s,
    )
    waves = WaveformSettings(codec.sample_rate_hz, representation.permute_blocks_s, extraction.seed)

    def example(row: Any) -> dict[str, Any]:
        waveform, rate = read_waveform(Path(row.audio_path))
        prepared = prepare_waveform(waveform, rate, row.utterance_id, waves)
        sounds = _sounds(codec, model, prepared, report.player_duration_s, extraction.seed)
        return {
            "utterance_id": row.utterance_id,
            "speaker_id": row.speaker_id,
            "sex": row.sex,
            **sounds,
        }

    document = {
        "representation": arguments.representation,
        "factorizer": arguments.factorizer,
        "collapse": header["collapse"],
        "sample_rate_hz": codec.sample_rate_hz,
        "examples": [example(row) for row in chosen.itertuples()],
        "manifest": arguments.manifest(extraction.seed),
    }
    write_json(arguments.players, document)


def _sounds(
    codec: Codec, model: Factorizer, waveform: Any, duration_s: float, seed: int
) -> dict[str, Any]:
    original = whole_frames(codec, waveform, duration_s)
    versions = resynthesize(model, encode_batch(codec, [original], 0)[0], seed)
    waveforms = {"original": original}
    waveforms |= {
        name: codec.decode(latents)[: len(original)].clip(-1.0, 1.0)
        for name, latents in versions.items()
    }
    reference = spectrogram(codec, original)
    found: dict[str, Any] = {}
    for name, sound in waveforms.items():
        spectrum = spectrogram(codec, sound)
        found[name] = embed_audio(sound, codec.sample_rate_hz)
        found[f"{name}_picture"] = embed_picture(picture(spectrum, reference))
        found[f"{name}_log_mel_l1"] = log_mel_distance(reference, spectrum)
    return found | {
        "duration_s": len(original) / codec.sample_rate_hz,
        "log_mel_l1": found["full_log_mel_l1"],
        "kinds": KINDS,
    }


if __name__ == "__main__":
    _cli.run(main)
