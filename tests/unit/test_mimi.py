"""The Mimi adapter on a small random model that is saved and loaded locally."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from engram_audio.codecs.config import MimiCodecSettings
from engram_audio.codecs.mimi import MimiCodec, convolution_cold_start
from engram_audio.codecs.registry import load_codec
from engram_audio.codecs.weights import file_sha256
from engram_audio.errors import InputError
from engram_audio.latents.batching import encode_batch, pad_batch
from engram_audio.latents.self_tests import run_self_tests
from tests.unit.codec_material import assert_only_untrained

# Equal-length batches differ from single clips by float32 rounding, 2e-6 .. 9e-6 SD as measured;
# a leaked padding frame gives 0.1 .. 0.7 SD.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 0.6 M weights with random codebooks (those of a new model are zero)."""
    torch.manual_seed(0)
    config = transformers.MimiConfig(
        hidden_size=64, num_filters=8, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, head_dim=16, intermediate_size=128, codebook_size=32,
        codebook_dim=16, vector_quantization_hidden_dimension=16, num_quantizers=4,
        upsample_groups=64,
    )  # fmt: skip
    model = transformers.MimiModel(config)
    for name, buffer in model.quantizer.named_buffers():
        if name.endswith("embed_sum"):
            buffer.normal_()
    folder = tmp_path_factory.mktemp("mimi")
    model.save_pretrained(folder)
    return folder


def settings(folder: Path, **changes: Any) -> MimiCodecSettings:
    values = {
        "kind": "mimi",
        "checkpoint": str(folder),
        "revision": None,
        "weights_sha256": None,
        "latent_space": "projected",
        "num_codebooks": None,
    }
    return MimiCodecSettings.model_validate({**values, **changes})


def load(folder: Path, **changes: Any) -> MimiCodec:
    files = [folder / "model.safetensors", folder / "config.json"]
    codec = load_codec(settings(folder, **changes), files, "cpu")
    assert isinstance(codec, MimiCodec)
    return codec


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, num_samples).astype(np.float32)


def test_rates_and_sizes_come_from_the_checkpoint(folder: Path):
    codec = load(folder)
    assert (codec.sample_rate_hz, codec.hop_samples, codec.num_dims) == (24000, 1920, 64)
    assert codec.frame_rate_hz == codec.nominal_frame_rate_hz == 12.5
    assert codec.weight_hash() == file_sha256([folder / "model.safetensors"])


def test_its_random_weights_fail_one_self_test_alone(folder: Path):
    """Batch = single, causal, frame formula, streamed = whole over 20 s, decoded length."""
    for space in ("pre_quantizer", "projected"):
        clips = [noise(30000), noise(41111, 1), noise(23001, 2)]
        tests = run_self_tests(load(folder, latent_space=space), clips, 2, TOLERANCE, 0)
        assert_only_untrained(tests)
        found = {test.name: test for test in tests}
        assert "streamed" in found["long_clip"].detail
        assert len(found) == 13


def test_a_padded_batch_gives_the_frames_of_single_clips(folder: Path):
    """The path of a GPU, where clips are encoded together: guard frames keep padding out."""
    codec = load(folder)
    clips = [noise(30000), noise(41111, 1), noise(23001, 2)]
    batch, lengths = pad_batch(clips, codec.hop_samples, 2)
    together = codec._encode(torch.from_numpy(batch)[:, None])
    for rows, clip, length in zip(together, clips, lengths, strict=True):
        alone = encode_batch(codec, [clip], 0)[0]
        gap = np.abs(rows[: codec.num_frames(int(length))] - alone).max()
        assert gap < TOLERANCE * alone.std()


def test_the_cold_start_covers_the_convolutions(folder: Path):
    """Audio before the cold start's frames cannot reach later convolutions: checked by brute force.

    Attention does reach back, so only the convolutional part (no transformer layer) is compared, in
    float64: rounding (2e-16 of the values, grown by some 1e4 additions a frame) stays below 1e-11.
    """
    model = load(folder)._model.double()
    hop, cold = 1920, convolution_cold_start(model.config, 1920)
    audio = torch.from_numpy(noise(12 * hop)).double()[None, None]

    def frames(wave):
        with torch.inference_mode():
            return model.encoder.downsample(model.encoder.encoder_seanet(wave))[0].T

    gap = (frames(audio)[4:] - frames(audio[..., 4 * hop :])).abs().amax(dim=1)
    assert cold == 3
    rounding = 1e-11 * frames(audio).abs().max()
    assert gap[cold:].max() < rounding < gap[cold - 1]


def test_projected_is_the_continuous_input_of_the_decoder(folder: Path):
    """Decoding pre-quantiser latents projects them first: both spaces give the same audio."""
    raw, projected = load(folder, latent_space="pre_quantizer"), load(folder)
    clip = noise(1920 * 6)
    first = raw.decode(encode_batch(raw, [clip], 0)[0])
    second = projected.decode(encode_batch(projected, [clip], 0)[0])
    assert len(first) == len(clip)
    np.testing.assert_allclose(first, second, atol=1e-5 * np.abs(second).max())


def test_codebooks_match_the_models_own_path(folder: Path):
    """The sum of n dequantised codes equals quantise-then-dequantise through the public API."""
    clip = noise(1920 * 6)
    for count in (1, 2, 4):
        codec = load(folder, latent_space="codebooks", num_codebooks=count)
        assert codec.latent_space == f"codebooks_{count}"
        mine = encode_batch(codec, [clip], 0)[0]
        with torch.inference_mode():
            audio = torch.from_numpy(clip)[None, None]
            codes = codec._model.encode(audio, num_quantizers=count).audio_codes
            theirs = codec._model.quantizer.decode(codes)[0].T.numpy()
        assert mine.std() > 0
        np.testing.assert_array_equal(mine, theirs)


def test_all_zero_encoders_and_codebooks_are_named(folder: Path, tmp_path: Path):
    model = transformers.MimiModel.from_pretrained(folder)
    assert model.encoder is not None
    with torch.no_grad():
        for weight in model.encoder.parameters():
            weight.zero_()
    model.save_pretrained(tmp_path)
    assert "all weights of encoder_seanet are zero" in str(load(tmp_path).weight_fault())
    tests = run_self_tests(load(tmp_path), [noise(20000)], 0, TOLERANCE, 0)
    assert not tests[0].is_passed
    assert load(folder).weight_fault() is None


def test_wrong_missing_or_damaged_weights_are_refused(folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match="is pinned in weights_sha256"):
        load(folder, weights_sha256="0" * 64)
    with pytest.raises(InputError, match=r"model\.safetensors: no such file"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("damage", ["", "[]", "{}", -1000, 9, "x" * 99, "\0" * 99])
def test_a_damaged_folder_is_refused_in_one_line(
    folder: Path, tmp_path: Path, name: str, damage: str | int
):
    """One file cut or replaced, the other whole; a download that stopped looks like this."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    content = (folder / name).read_bytes()
    cut = content[:damage] if isinstance(damage, int) else damage.encode()
    (tmp_path / name).write_bytes(cut)
    with pytest.raises(InputError, match="Mimi") as caught:
        load(tmp_path)
    assert str(caught.value).isprintable() and str(tmp_path) in str(caught.value)


def test_impossible_settings_are_refused(folder: Path):
    with pytest.raises(ValueError, match="num_codebooks belongs to latent_space"):
        settings(folder, num_codebooks=4)
    with pytest.raises(ValueError, match="num_codebooks belongs to latent_space"):
        settings(folder, latent_space="codebooks")
    with pytest.raises(ValueError, match="revision must be null"):
        settings(folder, revision="0" * 40)
    assert not settings(folder, checkpoint="kyutai/mimi", revision="0" * 40).is_local


def test_codebooks_state_their_bits(folder: Path):
    """Four codebooks of 32 entries at 12.5 Hz; continuous spaces state none."""
    codec = load(folder, latent_space="codebooks", num_codebooks=4)
    assert codec.bits_per_s == pytest.approx(4 * 5 * 12.5)
    assert load(folder).bits_per_s is None
