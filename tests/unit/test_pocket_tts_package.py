"""The Pocket-TTS tokenizer through its own package, on a small random model saved as it ships."""

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

pytest.importorskip("pocket_tts", reason="needs pocket-tts: pip install .[pocket]")

from engram_audio.codecs.config import PocketTtsPackageCodecSettings
from engram_audio.codecs.pocket_tts_package import PocketTtsPackageCodec
from engram_audio.codecs.registry import load_codec
from engram_audio.errors import InputError
from engram_audio.latents.batching import encode_batch, pad_batch
from engram_audio.latents.self_tests import require_passed, run_self_tests
from tests.unit.codec_material import assert_only_untrained, noise

TOLERANCE = 1e-4
MIMI: dict[str, Any] = {
    "dtype": "float32", "sample_rate": 24000, "inner_dim": 8, "outer_dim": 32, "channels": 1,
    "frame_rate": 12.5,
    "seanet": {
        "dimension": 32, "channels": 1, "n_filters": 4, "n_residual_layers": 1, "ratios": [6, 5, 4],
        "kernel_size": 7, "residual_kernel_size": 3, "last_kernel_size": 3, "dilation_base": 2,
        "pad_mode": "constant", "compress": 2,
    },
    "transformer": {
        "d_model": 32, "num_heads": 4, "num_layers": 2, "layer_scale": 0.5, "context": 250,
        "dim_feedforward": 64, "input_dimension": 32, "output_dimensions": [32],
    },
    "quantizer": {"dimension": 8, "output_dimension": 32},
}  # fmt: skip


def save(folder: Path, mimi: dict[str, Any] = MIMI, zeroed: str = "") -> Path:
    """Save a random model under the names that published checkpoints use."""
    from pocket_tts.models.mimi import build_mimi
    from pocket_tts.utils.config import MimiConfig

    torch.manual_seed(0)
    state = build_mimi(MimiConfig(**mimi)).state_dict()
    for name, weight in state.items():
        if zeroed and name.startswith(zeroed):
            weight.zero_()
    folder.mkdir(exist_ok=True)
    save_file({f"mimi.{k}": v for k, v in state.items()}, folder / "model.safetensors")
    (folder / "config.yaml").write_text(yaml.safe_dump({"weights_path": "x", "mimi": mimi}))
    return folder


def load(folder: Path, **changes: Any) -> PocketTtsPackageCodec:
    values = {
        "kind": "pocket_tts_package", "checkpoint": str(folder), "revision": None,
        "weights_sha256": None, "weights_file": None, "package_config": None,
    }  # fmt: skip
    settings = PocketTtsPackageCodecSettings.model_validate({**values, **changes})
    codec = load_codec(settings, [Path(file) for file in settings.files()], "cpu")
    assert isinstance(codec, PocketTtsPackageCodec)
    return codec


def test_its_random_weights_fail_one_self_test_alone(tmp_path: Path):
    """Batch = single, causality, and a piece of 20 s with all its context against the whole."""
    codec = load(save(tmp_path))
    assert (codec.sample_rate_hz, codec.hop_samples, codec.num_dims) == (24000, 1920, 8)
    assert codec.context_frames is not None
    tests = run_self_tests(codec, [noise(60001), noise(45000, 1)], 2, TOLERANCE, 0)
    assert_only_untrained(tests)
    found = {test.name: test for test in tests}
    assert f"with {codec.context_frames} frames before it" in found["long_clip"].detail
    assert found["dead_dims"].limit == 0


def test_a_padded_batch_gives_the_frames_of_single_clips(tmp_path: Path):
    codec = load(save(tmp_path))
    waves = [noise(30000), noise(41111, 1)]
    batch, lengths = pad_batch(waves, codec.hop_samples, 1)
    together = codec._encode(torch.from_numpy(batch)[:, None])
    for rows, wave, length in zip(together, waves, lengths, strict=True):
        alone = encode_batch(codec, [wave], 0)[0]
        gap = np.abs(rows[: codec.num_frames(int(length))] - alone).max()
        assert gap < TOLERANCE * alone.std()


def test_decoding_in_one_call_equals_the_packages_own_steps(tmp_path: Path):
    """One call with a state of T frames against frame by frame, as the package generates."""
    from pocket_tts.modules.stateful_module import increment_steps, init_states

    codec = load(save(tmp_path))
    latents = encode_batch(codec, [noise(1920 * 6)], 0)[0]
    states = init_states(codec._model, batch_size=1, sequence_length=6 * 16)
    pieces = []
    with torch.inference_mode():
        for row in torch.from_numpy(latents)[None].split(1, dim=1):
            pieces.append(codec._model.decode_from_latent(row, states).reshape(-1))
            increment_steps(codec._model, states, 16)
    stepped = torch.cat(pieces).numpy()
    np.testing.assert_allclose(codec.decode(latents), stepped, atol=1e-4 * stepped.std())


def test_the_checkpoint_without_voice_cloning_is_refused(tmp_path: Path):
    """It ships an encoder of zeros; its decoder is real, so nothing else would notice."""
    codec = load(save(tmp_path, zeroed="encoder."))
    tests = run_self_tests(codec, [noise(48000)], 0, TOLERANCE, 0)
    with pytest.raises(InputError, match="self-test weights failed: all weights of encoder are"):
        require_passed(tests, "pocket")


def test_other_versions_of_the_package_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save(tmp_path)
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "2.1.0" if name == "pocket-tts" else real(name)
    )
    with pytest.raises(InputError, match=r"pocket-tts 2\.1\.0 is installed, .* another layout"):
        load(tmp_path)


def test_a_model_with_the_older_layout_is_refused(tmp_path: Path):
    """Channels first, as version 2 gave them, must not pass for frames first."""
    codec = load(save(tmp_path))
    encode = codec._model.encode_to_latent
    codec._model.encode_to_latent = lambda audio: encode(audio).transpose(1, 2)
    with pytest.raises(InputError, match="frames come first in version 4"):
        encode_batch(codec, [noise(1920 * 5)], 0)


def test_voice_features_are_not_taken_for_latents(tmp_path: Path):
    save(tmp_path, {**MIMI, "inner_dim": 32})
    with pytest.raises(InputError, match="32-d voice features, not the 8-d latents"):
        load(tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path):
    save(tmp_path)
    other = {**MIMI, "seanet": {**MIMI["seanet"], "n_filters": 8}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"mimi": other}))
    with pytest.raises(InputError, match=r"model\.safetensors: cannot be loaded as the Mimi"):
        load(tmp_path)
    (tmp_path / "config.yaml").write_text("flow_lm: {}")
    with pytest.raises(InputError, match=r"config\.yaml: not a configuration of pocket-tts"):
        load(tmp_path)
    with pytest.raises(ValueError, match="weights_file belongs to a hub checkpoint"):
        load(tmp_path, weights_file="languages/english/model.safetensors")
