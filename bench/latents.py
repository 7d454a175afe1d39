"""Extraction against the loop of public recipes: one file at a time, read, resampled, encoded.

Both read the same files of mixed length, with the same number of threads, and end with the same
frames. The plain loop calls the model as its documentation does (transformers' own forward on the
whole clip, nothing folded, nothing read ahead); extraction is what the workflow runs. They take
turns, the smallest time of each counts: other processes only add to it. Times are CPU seconds of
this process and wall seconds; on a shared machine the CPU ratio is the one to read. Latents must
agree within `batch_tolerance`, or the bench fails.

    python bench/latents.py                             all families, random weights, noise files
    python bench/latents.py --codec mimi --audio DIR --num-threads 2
    python bench/latents.py --codec lyra --lyra DIR --audio DIR
    python bench/latents.py --codec mimi --device cuda

Prints one JSON list, one row per codec; `--output FILE` writes it.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import TypeAdapter

from engram_audio.artifacts.audio import read_waveform, write_flac
from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import CodecSection
from engram_audio.codecs.registry import load_codec
from engram_audio.codecs.waveform import resample
from engram_audio.latents import extraction
from engram_audio.latents.batching import encode_batch, plan_batches

GUARD_FRAMES, TOLERANCE = 8, 1e-4
LYRA_FILES = ("soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite")
# Published sizes: transformers' defaults, but for DAC, whose 16 kHz release has other ratios.
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mimi": ("MimiConfig", "MimiModel", {}),
    "pocket_tts": ("PocketTTSAudioTokenizerConfig", "PocketTTSAudioTokenizerModel", {}),
    "encodec": ("EncodecConfig", "EncodecModel", {}),
    "dac": ("DacConfig", "DacModel", {"downsampling_ratios": [2, 4, 5, 8]}),
    "vibevoice": ("VibeVoiceAcousticTokenizerConfig", "VibeVoiceAcousticTokenizerModel", {}),
}
Encoder = Callable[[np.ndarray], np.ndarray]


class Subject(NamedTuple):
    """A codec and the plain way to encode one clip [S] with the same weights, to [T, D]."""

    codec: Codec
    encode_plainly: Encoder


class NoParts:
    """Keeps nothing: an extraction that always begins at the first batch."""

    def get(self, number: int, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
        """Return nothing."""
        return None

    def put(self, number: int, tensors: dict[str, np.ndarray]) -> None:
        """Drop it."""


def random_family(kind: str, device: str, num_threads: int) -> Subject:
    """Return a family in its published size with seeded random weights."""
    import transformers
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    config_class, model_class, sizes = FAMILIES[kind]
    torch.manual_seed(0)
    model: Any = getattr(transformers, model_class)(getattr(transformers, config_class)(**sizes))
    for module in model.encoder.modules():
        # Initial weights let the signal fade to rounding. DAC's residuals carry it; larger weights
        # there make sines of thousands, which a rounding error moves.
        if kind != "dac" and isinstance(module, torch.nn.Conv1d):
            weight = torch.nn.init.kaiming_normal_(torch.empty_like(module.weight), mode="fan_in")
            is_normed = torch.nn.utils.parametrize.is_parametrized(module)
            with torch.no_grad():
                module.weight = weight if is_normed else torch.nn.Parameter(weight)
    values = {"kind": kind, "checkpoint": "./x", "revision": None, "weights_sha256": None}
    if kind == "mimi":
        values |= {"latent_space": "pre_quantizer", "num_codebooks": None}
    settings: Any = TypeAdapter(CodecSection).validate_python(values)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        files = [Path(folder, "model.safetensors"), Path(folder, "config.json")]
        codec = load_codec(settings, files, device, num_threads)
    model = model.to(device).eval()

    @torch.no_grad()
    def encode_plainly(clip: np.ndarray) -> np.ndarray:
        audio = torch.from_numpy(clip).to(device)[None, None]
        if kind == "mimi":
            latents = model.encoder(audio).latents.transpose(1, 2)
        elif kind == "pocket_tts":
            latents = model.encode(audio).latents
        elif kind == "vibevoice":
            latents = model.encode(audio, sample=False).latents
        else:
            latents = model.encoder(audio).transpose(1, 2)
        return latents[0].cpu().numpy()

    return Subject(codec, encode_plainly)


def lyra(folder: Path, num_threads: int) -> Subject:
    """Return Lyra; the plain loop runs the graph frame by frame in one thread, as its examples."""
    values = {"kind": "lyra", "weights_dir": str(folder), "num_quantizers": None}
    settings: Any = TypeAdapter(CodecSection).validate_python(values)
    files = [folder / name for name in LYRA_FILES]
    single = load_codec(settings, files, "cpu", 1)
    many = load_codec(settings, files, "cpu", num_threads)
    return Subject(many, lambda clip: encode_batch(single, [clip], 0)[0])


def noise_files(folder: Path, num_clips: int) -> list[Path]:
    """Write seeded noise of 2 to 16 s at 16 kHz, the lengths and rate of LibriSpeech."""
    generator = np.random.default_rng(0)
    files = [folder / f"{number:03d}.flac" for number in range(num_clips)]
    for file, seconds in zip(files, generator.uniform(2, 16, num_clips), strict=True):
        write_flac(file, generator.normal(0, 0.1, int(seconds * 16000)).astype(np.float32), 16000)
    return files


def load_at(file: Path, codec: Codec) -> np.ndarray:
    """Read a file at the codec's rate."""
    waveform, rate = read_waveform(file)
    return resample(waveform, rate, codec.sample_rate_hz)


def plain_loop(subject: Subject, files: list[Path]) -> list[np.ndarray]:
    """Read and encode each file alone, padded to a multiple of the hop, cropped to its frames."""
    codec, found = subject.codec, []
    for file in files:
        clip = load_at(file, codec)
        padded = np.pad(clip, (0, -len(clip) % codec.hop_samples))
        found.append(subject.encode_plainly(padded)[: codec.num_frames(len(clip))])
    return found


def extracted(
    subject: Subject, files: list[Path], lengths: np.ndarray, batch_s: float, num_readers: int
) -> list[np.ndarray]:
    """Extract as the workflow does, back in the given order."""
    codec = subject.codec
    budget = round(batch_s * codec.sample_rate_hz)
    batches = plan_batches(lengths, codec.hop_samples, GUARD_FRAMES, budget)
    names = np.array([file.stem for file in files], dtype=object)

    def load(clip: int) -> np.ndarray:
        return load_at(files[clip], codec)

    parts = extraction.extract(codec, load, batches, GUARD_FRAMES, NoParts(), num_readers)
    block = extraction.assemble(list(parts), batches, names, names).block
    place = {name: number for number, name in enumerate(block.utterance_ids)}
    return [
        block.frames[block.offsets[place[name]] : block.offsets[place[name] + 1]] for name in names
    ]


def timed(run: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what `run` gives, with its wall and CPU seconds."""
    start, cpu_start = time.perf_counter(), time.process_time()
    result = run()
    return result, time.perf_counter() - start, time.process_time() - cpu_start


def compare(name: str, subject: Subject, files: list[Path], arguments: Any) -> dict[str, Any]:
    """Time both ways in turns and check that their latents agree."""
    codec = subject.codec
    lengths = np.array([len(load_at(file, codec)) for file in files])
    num_readers = arguments.num_threads if arguments.device == "cuda" else 1

    def run_plainly() -> list[np.ndarray]:
        torch.set_num_threads(arguments.num_threads)
        return plain_loop(subject, files)

    def run_extraction() -> list[np.ndarray]:
        torch.set_num_threads(1)  # its clips run side by side
        return extracted(subject, files, lengths, arguments.batch_s, num_readers)

    plain_loop(subject, files[:1])  # warm up
    turns = [(timed(run_plainly), timed(run_extraction)) for _ in range(arguments.repeats)]
    (expected, *_), (found, *_) = turns[-1]
    spread = float(np.sqrt(np.mean(np.concatenate(expected).var(axis=0, dtype=np.float64))))
    # A codec that looks ahead sees its own silence after the clip, the plain loop sees the edge.
    tail = codec.lookahead_frames + 1 if codec.lookahead_frames else 0
    gaps = [
        float(np.abs(a[: len(a) - tail] - b[: len(b) - tail]).max()) / spread
        for a, b in zip(expected, found, strict=True)
    ]
    if max(gaps) > TOLERANCE:
        raise SystemExit(f"{name}: latents differ by {max(gaps):.2g} SD; limit {TOLERANCE}")
    plain_s, plain_cpu_s = np.min([turn[0][1:] for turn in turns], axis=0).tolist()
    ours_s, ours_cpu_s = np.min([turn[1][1:] for turn in turns], axis=0).tolist()
    audio_s = float(lengths.sum() / codec.sample_rate_hz)
    return {
        "codec": name,
        "device": arguments.device,
        "num_threads": arguments.num_threads,
        "num_clips": len(files),
        "audio_s": round(audio_s, 1),
        "plain_cpu_s": round(plain_cpu_s, 2),
        "extraction_cpu_s": round(ours_cpu_s, 2),
        "cpu_ratio": round(plain_cpu_s / ours_cpu_s, 2),
        "plain_wall_s": round(plain_s, 2),
        "extraction_wall_s": round(ours_s, 2),
        "wall_ratio": round(plain_s / ours_s, 2),
        "extraction_times_real_time": round(audio_s / ours_s, 1),
        "largest_difference_sd": float(f"{max(gaps):.2g}"),
    }


def main() -> None:
    """Run the comparisons and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codec", nargs="*", choices=[*FAMILIES, "lyra"])
    parser.add_argument("--lyra", type=Path, help="folder of the Lyra graphs; adds that codec")
    parser.add_argument("--audio", type=Path, help="folder of .flac files; default: noise")
    parser.add_argument("--num-clips", type=int, default=12)
    parser.add_argument("--batch-s", type=float, default=160.0)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--num-threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if arguments.audio is None:
            files = noise_files(Path(folder), arguments.num_clips)
        else:
            files = sorted(arguments.audio.rglob("*.flac"))[: arguments.num_clips]
        every = [*FAMILIES, *(["lyra"] if arguments.lyra else [])]
        for name in arguments.codec or every:
            if name == "lyra":
                subject = lyra(arguments.lyra, arguments.num_threads)
            else:
                subject = random_family(name, arguments.device, arguments.num_threads)
            rows.append(compare(name, subject, files, arguments))
            print(json.dumps(rows[-1], indent=1), flush=True)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
