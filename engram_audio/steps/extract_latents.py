"""Encode the utterances of one shard; an interrupted run goes on where it stopped."""

import logging
from pathlib import Path

import numpy as np

from engram_audio.artifacts.audio import read_indexed
from engram_audio.artifacts.latents import LatentMetadata, write_latent_shard
from engram_audio.artifacts.partial import PartialStore
from engram_audio.artifacts.table import read_table
from engram_audio.codecs.base import QUANTISED, Codec
from engram_audio.codecs.config import CodecSection
from engram_audio.codecs.registry import load_codec
from engram_audio.corpus.utterances import AUDIO_COLUMNS, indexed_audio
from engram_audio.latents import extraction, self_tests
from engram_audio.latents.batching import plan_batches
from engram_audio.latents.config import CodecRepresentation, ExtractionSection
from engram_audio.latents.truncated import truncated
from engram_audio.latents.waveform import WaveformSettings, check_blocks, prepare_waveform
from engram_audio.provenance import canonical_json, text_digest
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, Wildcard, Workers, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)
COLUMNS = ["utterance_id", "speaker_id", *AUDIO_COLUMNS]


class Files(StepFiles):
    representation: Wildcard[str]
    shard: Wildcard[str]
    representation_section: Frozen[CodecRepresentation]
    codec_section: Frozen[CodecSection]
    section: Frozen[ExtractionSection]
    utterances: Path
    shards: Path
    weights: list[Path]
    checked: list[Path]
    latents: Output
    device: Device
    num_workers: Workers


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    name = files.representation
    section = files.section
    device = resolve_device(files.device, files.codec_section.uses_torch)
    loaded = load_codec(
        files.codec_section, files.weights, device, files.num_workers, files.weight_digests
    )
    budget = round(section.batch_duration_s * loaded.sample_rate_hz)
    codec = truncated(loaded, files.representation_section.context_s, budget, name)
    shards = read_table(files.shards, ["utterance_id", "shard"])
    members = shards.loc[shards["shard"] == files.shard, ["utterance_id"]]
    clips = members.merge(read_table(files.utterances, COLUMNS), on="utterance_id", how="left")
    waves = WaveformSettings(
        codec.sample_rate_hz, files.representation_section.permute_blocks_s, section.seed
    )
    check_blocks(waves, codec.frame_rate_hz, name)
    clips_audio, names = indexed_audio(clips), clips["utterance_id"].tolist()

    def load(clip: int) -> np.ndarray:
        waveform, rate = read_indexed(clips_audio[clip])
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
    manifest = files.manifest(section.seed)
    key = {"manifest": manifest, "weights": codec.weight_hash(), "clips": clips.to_csv(index=False)}
    parts = PartialStore(
        files.latents.parent.parent / ".partial" / name / f"shard-{files.shard}",
        text_digest(canonical_json({**key, "device": device})),
    )
    num_readers = files.num_workers if device == "cuda" else 1  # else they would compete
    encoded = extraction.extract(codec, load, batches, section.guard_frames, parts, num_readers)
    results = list(track(encoded, len(batches), f"{name} shard {files.shard}", "batches"))
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
    write_latent_shard(
        files.latents,
        shard.block,
        times,
        _metadata(name, codec),
        manifest,
        compression=files.representation_section.compression,
    )
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
    run(main)
