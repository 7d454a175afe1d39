"""Encode the utterances of one shard; an interrupted run goes on where it stopped."""

import logging

import numpy as np

from engram_audio.artifacts.audio import read_indexed
from engram_audio.artifacts.latents import LatentMetadata, write_latent_shard
from engram_audio.artifacts.partial import PartialStore
from engram_audio.artifacts.table import read_table
from engram_audio.codecs.base import QUANTISED, Codec
from engram_audio.codecs.config import codec_model
from engram_audio.codecs.registry import load_codec
from engram_audio.corpus.utterances import AUDIO_COLUMNS, indexed_audio
from engram_audio.latents import extraction, self_tests
from engram_audio.latents.batching import plan_batches
from engram_audio.latents.config import CodecRepresentation, ExtractionSection
from engram_audio.latents.truncated import truncated
from engram_audio.latents.waveform import WaveformSettings, check_blocks, prepare_waveform
from engram_audio.provenance import canonical_json, text_digest
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)
COLUMNS = ["utterance_id", "speaker_id", *AUDIO_COLUMNS]


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "extract_latents",
        __doc__,
        inputs=["utterances", "shards"],
        input_lists=["weights"],
        outputs=["latents"],
        wildcards=["representation", "shard"],
        uses_device=True,
        argv=argv,
    )
    name = arguments.representation
    representation = arguments.load_section("representation_section", CodecRepresentation)
    settings = arguments.load_section(
        "codec_section", codec_model(arguments.section_text("codec_section"))
    )
    section = arguments.load_section("section", ExtractionSection)
    device = resolve_device(arguments.device, settings.uses_torch)
    loaded = load_codec(
        settings, arguments.weights, device, arguments.num_workers, arguments.weight_digests
    )
    budget = round(section.batch_duration_s * loaded.sample_rate_hz)
    codec = truncated(loaded, representation.context_s, budget, name)
    shards = read_table(arguments.shards, ["utterance_id", "shard"])
    members = shards.loc[shards["shard"] == arguments.shard, ["utterance_id"]]
    clips = members.merge(read_table(arguments.utterances, COLUMNS), on="utterance_id", how="left")
    waves = WaveformSettings(codec.sample_rate_hz, representation.permute_blocks_s, section.seed)
    check_blocks(waves, codec.frame_rate_hz, name)
    files, names = indexed_audio(clips), clips["utterance_id"].tolist()

    def load(clip: int) -> np.ndarray:
        waveform, rate = read_indexed(files[clip])
        return prepare_waveform(waveform, rate, names[clip], waves)

    lengths = extraction.clip_samples(
        clips["num_samples"].to_numpy(), clips["sample_rate_hz"].to_numpy(), codec.sample_rate_hz
    )
    probes = extraction.load_probes(load, self_tests.choose_probes(lengths), name)
    tests = self_tests.run_self_tests(
        codec,
        self_tests.cut_probes(probes, codec.sample_rate_hz),
        section.guard_frames,
        section.batch_tolerance,
        section.seed,
    )
    self_tests.require_passed(tests, name)
    batches = plan_batches(lengths, codec.hop_samples, section.guard_frames, budget)
    manifest = arguments.manifest(section.seed)
    key = {"manifest": manifest, "weights": codec.weight_hash(), "clips": clips.to_csv(index=False)}
    parts = PartialStore(
        arguments.latents.parent.parent / ".partial" / name / f"shard-{arguments.shard}",
        text_digest(canonical_json({**key, "device": device})),
    )
    num_readers = arguments.num_workers if device == "cuda" else 1  # else they would compete
    encoded = extraction.extract(codec, load, batches, section.guard_frames, parts, num_readers)
    results = list(track(encoded, len(batches), f"{name} shard {arguments.shard}", "batches"))
    shard = extraction.assemble(
        results, batches, clips["utterance_id"].to_numpy(), clips["speaker_id"].to_numpy()
    )
    manifest["extraction"] = {
        "device": device,
        "self_tests": [test._asdict() for test in tests],
        "excluded": [row._asdict() for row in shard.excluded],
        "num_resampled": int((clips["sample_rate_hz"] != codec.sample_rate_hz).sum()),
        "permute_blocks_samples": waves.block_samples,
    }
    # a KL was measured on the audio in its order
    is_stated = codec.bits_are == QUANTISED or waves.block_samples is None
    if codec.bits_per_s is not None and is_stated:
        manifest["rate"] = {"bits_per_s": codec.bits_per_s, "kind": codec.bits_are}
    times = extraction.frame_times(shard.block.offsets, codec.frame_rate_hz)
    write_latent_shard(arguments.latents, shard.block, times, _metadata(name, codec), manifest)
    parts.clear()
    LOG.info("%d utterances, %d excluded", len(shard.block.utterance_ids), len(shard.excluded))


def _metadata(name: str, codec: Codec) -> LatentMetadata:
    return LatentMetadata(
        representation=name,
        num_dims=codec.num_dims,
        frame_rate_hz=codec.frame_rate_hz,
        latent_space=codec.latent_space,
        weight_hash=codec.weight_hash(),
        is_causal=codec.is_causal,
        cold_start_frames=codec.cold_start_frames,
    )


if __name__ == "__main__":
    _cli.run(main)
