"""Extraction of padded batches against the plain loop of public recipes, one file at a time.

Both use the same codec and the same clips; the plain loop pads nothing, encodes each clip alone and
keeps the same frames. Prints one JSON object: wall and CPU seconds of each, their ratio, times real
time, and the largest difference of the latents in SD.

    python bench/latents.py                                  a small random Mimi, noise clips
    python bench/latents.py --lyra DIR --audio DIR --num-workers 2
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from engram_audio.artifacts.audio import read_waveform
from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import LyraCodecSettings, MimiCodecSettings
from engram_audio.codecs.registry import load_codec
from engram_audio.latents.batching import encode_batch, plan_batches
from engram_audio.latents.waveform import WaveformSettings, prepare_waveform

GUARD_FRAMES = 2
LYRA_FILES = ("soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite")


def random_mimi(device: str, num_workers: int) -> Codec:
    """Return a small Mimi with random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.MimiConfig(
        hidden_size=64,
        num_filters=8,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=16,
        intermediate_size=128,
        upsample_groups=64,
    )
    settings = MimiCodecSettings(
        kind="mimi",
        checkpoint="./mimi",
        revision=None,
        weights_sha256=None,
        latent_space="projected",
        num_codebooks=None,
    )
    with tempfile.TemporaryDirectory() as folder:
        transformers.MimiModel(config).save_pretrained(folder)
        files = [Path(folder, "model.safetensors"), Path(folder, "config.json")]
        return load_codec(settings, files, device, num_workers)


def load_clips(codec: Codec, audio: Path | None, num_clips: int) -> list[np.ndarray]:
    """Return clips of mixed length: files below a folder, or seeded noise of 2 to 15 s."""
    if audio is None:
        generator = np.random.default_rng(0)
        seconds = generator.uniform(2, 15, num_clips)
        return [
            generator.normal(0, 0.1, int(s * codec.sample_rate_hz)).astype(np.float32)
            for s in seconds
        ]
    settings = WaveformSettings(codec.sample_rate_hz, None, 0)
    files = sorted(audio.rglob("*.flac"))[:num_clips]
    return [prepare_waveform(*read_waveform(file), file.stem, settings) for file in files]


def plain_loop(codec: Codec, clips: list[np.ndarray]) -> list[np.ndarray]:
    """Encode each clip alone."""
    return [encode_batch(codec, [clip], 0)[0] for clip in clips]


def batched(codec: Codec, clips: list[np.ndarray], batch_s: float) -> list[np.ndarray]:
    """Encode in planned batches, back in the given order."""
    lengths = np.array([len(clip) for clip in clips])
    budget = round(batch_s * codec.sample_rate_hz)
    found: dict[int, np.ndarray] = {}
    for batch in plan_batches(lengths, codec.hop_samples, GUARD_FRAMES, budget):
        latents = encode_batch(codec, [clips[number] for number in batch], GUARD_FRAMES)
        found |= dict(zip(batch.tolist(), latents, strict=True))
    return [found[number] for number in range(len(clips))]


def main() -> None:
    """Run both and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lyra", type=Path, help="folder of the Lyra graphs; default: random Mimi")
    parser.add_argument("--audio", type=Path, help="folder of .flac files; default: noise")
    parser.add_argument("--num-clips", type=int, default=48)
    parser.add_argument("--batch-s", type=float, default=60.0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--num-workers", type=int, default=1)
    arguments = parser.parse_args()

    def load(num_workers: int) -> Codec:
        if arguments.lyra is None:
            return random_mimi(arguments.device, num_workers)
        settings = LyraCodecSettings(
            kind="lyra", weights_dir=str(arguments.lyra), num_quantizers=None
        )
        files = [arguments.lyra / name for name in LYRA_FILES]
        return load_codec(settings, files, "cpu", num_workers)

    single, many = load(1), load(arguments.num_workers)
    clips = load_clips(single, arguments.audio, arguments.num_clips)
    plain_loop(single, clips[:2])  # warm up
    start, cpu_start = time.perf_counter(), time.process_time()
    expected = plain_loop(single, clips)
    middle, cpu_middle = time.perf_counter(), time.process_time()
    found = batched(many, clips, arguments.batch_s)
    stop, cpu_stop = time.perf_counter(), time.process_time()
    audio_s = sum(len(clip) for clip in clips) / single.sample_rate_hz
    spread = float(np.concatenate(expected).std())
    gaps = [float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True)]
    result = {
        "codec": type(single).__name__,
        "num_clips": len(clips),
        "audio_s": round(audio_s, 1),
        "one_file_at_a_time_s": round(middle - start, 3),
        "batched_s": round(stop - middle, 3),
        "one_file_at_a_time_cpu_s": round(cpu_middle - cpu_start, 3),
        "batched_cpu_s": round(cpu_stop - cpu_middle, 3),
        "ratio": round((middle - start) / (stop - middle), 2),
        "batched_times_real_time": round(audio_s / (stop - middle), 1),
        "largest_difference_sd": max(gaps) / spread,
        "num_workers": arguments.num_workers,
        "device": arguments.device,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
