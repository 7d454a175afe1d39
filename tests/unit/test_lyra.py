"""The SoundStream adapter on the published graphs (skipped where they are absent)."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from engram_audio.artifacts.audio import read_waveform
from engram_audio.codecs.config import LyraCodecSettings
from engram_audio.codecs.lyra import LyraCodec
from engram_audio.codecs.registry import load_codec
from engram_audio.errors import InputError
from engram_audio.latents.batching import encode_batch
from engram_audio.latents.self_tests import run_self_tests

NAMES = ("soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite")


def load(folder: Path, num_quantizers: int | None = None, num_workers: int = 1) -> LyraCodec:
    settings = LyraCodecSettings.model_validate(
        {"kind": "lyra", "weights_dir": str(folder), "num_quantizers": num_quantizers}
    )
    codec = load_codec(settings, [folder / name for name in NAMES], "cpu", num_workers)
    assert isinstance(codec, LyraCodec)
    return codec


@pytest.fixture(scope="module")
def lyra_folder(shared_data: Path) -> Path:
    return shared_data / "lyra"


def clip(num_samples: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    time = np.arange(num_samples) / 16000
    tone = np.sin(2 * np.pi * 150 * time) * (0.2 + 0.1 * np.sin(2 * np.pi * 3 * time))
    return (tone + 0.01 * generator.normal(size=num_samples)).astype(np.float32)


def test_rates_and_sizes_come_from_the_graph(lyra_folder: Path):
    codec = load(lyra_folder)
    assert (codec.hop_samples, codec.num_dims, codec.frame_rate_hz) == (320, 64, 50.0)


def test_it_passes_its_self_tests(lyra_folder: Path):
    files = sorted((lyra_folder.parent / "real-speech").rglob("*.flac"))
    if not files:
        pytest.skip("no real speech beside the weights")
    clips = [
        read_waveform(file)[0][:size]
        for file, size in zip(files[::97], (48000, 40001), strict=False)
    ]
    tests = run_self_tests(load(lyra_folder), clips, 2, 1e-4, 0)
    assert all(test.is_passed for test in tests), tests
    assert (tests[-1].name, (tests[-1].value or 1) < 0.6) == ("own_clip", True)


def test_every_clip_starts_from_a_fresh_state(lyra_folder: Path):
    """State lives in the interpreter: order, company and threads must not change a clip."""
    clips = [clip(9000, seed) for seed in range(3)]
    forward = encode_batch(load(lyra_folder), clips, 2)
    backward = encode_batch(load(lyra_folder, num_workers=2), clips[::-1], 0)[::-1]
    for first, second in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(first, second)


def test_more_quantizers_come_nearer_to_the_continuous_latents(lyra_folder: Path):
    wave = clip(8000)
    exact = encode_batch(load(lyra_folder), [wave], 0)[0]
    errors = [
        np.abs(encode_batch(load(lyra_folder, count), [wave], 0)[0] - exact).mean()
        for count in (16, 30, 46)
    ]
    assert errors[0] > errors[1] > errors[2] > 0
    assert load(lyra_folder, 16).weight_hash() != load(lyra_folder).weight_hash()
    assert load(lyra_folder, 16).latent_space == "dequantized_16_quantizers"


def test_the_stated_bit_rates_are_the_published_ones(lyra_folder: Path):
    stated = [load(lyra_folder, count).bits_per_s for count in (None, 16, 30, 46)]
    assert stated == [None, 3200.0, 6000.0, 9200.0]


def test_missing_and_damaged_graphs_are_refused(lyra_folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"soundstream_encoder\.tflite: no such file"):
        load(tmp_path)
    for name in NAMES:
        (tmp_path / name).write_bytes(b"not a graph")
    with pytest.raises(InputError, match="damaged"):
        load(tmp_path)
