"""Encode and decode a few eval utterances for people to listen to."""

from pathlib import Path
from typing import Any

from engram_audio.artifacts.audio import read_waveform
from engram_audio.artifacts.json_document import read_text, write_json
from engram_audio.artifacts.media import embed_audio, embed_picture
from engram_audio.artifacts.table import read_table
from engram_audio.codecs.config import codec_model
from engram_audio.codecs.registry import load_codec
from engram_audio.latents.config import CodecRepresentation, ExtractionSection
from engram_audio.latents.round_trip import choose_examples, round_trip
from engram_audio.latents.waveform import WaveformSettings, prepare_waveform
from engram_audio.report.config import ReportSection
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device

COLUMNS = ["utterance_id", "speaker_id", "sex", "audio_path", "duration_s", "transcript"]


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "render_round_trips",
        __doc__,
        inputs=[
            "representation_section",
            "codec_section",
            "section",
            "report_section",
            "utterances",
            "splits",
        ],
        input_lists=["weights"],
        outputs=["players"],
        wildcards=["representation"],
        uses_device=True,
        argv=argv,
    )
    representation = arguments.load_section(arguments.representation_section, CodecRepresentation)
    settings = arguments.load_section(
        arguments.codec_section, codec_model(read_text(arguments.codec_section))
    )
    extraction = arguments.load_section(arguments.section, ExtractionSection)
    report = arguments.load_section(arguments.report_section, ReportSection)
    device = resolve_device(arguments.device, settings.uses_torch)
    codec = load_codec(settings, arguments.weights, device, arguments.num_workers)
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
        trip = round_trip(codec, prepared, report.player_duration_s)
        return {
            "utterance_id": row.utterance_id,
            "speaker_id": row.speaker_id,
            "sex": row.sex,
            "duration_s": len(trip.original) / codec.sample_rate_hz,
            "log_mel_l1": trip.log_mel_l1,
            "original": embed_audio(trip.original, codec.sample_rate_hz),
            "decoded": embed_audio(trip.decoded, codec.sample_rate_hz),
            "original_picture": embed_picture(trip.original_picture),
            "decoded_picture": embed_picture(trip.decoded_picture),
        }

    document = {
        "representation": arguments.representation,
        "sample_rate_hz": codec.sample_rate_hz,
        "latent_space": codec.latent_space,
        "examples": [example(row) for row in chosen.itertuples()],
        "manifest": arguments.manifest(extraction.seed),
    }
    write_json(arguments.players, document)


if __name__ == "__main__":
    _cli.run(main)
