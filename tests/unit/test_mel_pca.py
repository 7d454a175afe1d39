"""The mel_pca codec: frames share no samples, the fit is a PCA, the way back sounds alike."""

from pathlib import Path

import numpy as np
import pytest

from engram_audio.artifacts.tensors import write_tensors
from engram_audio.codecs.config import MelPcaCodecSettings
from engram_audio.codecs.mel import (
    MelAnalysis,
    analysis_of,
    hz_to_mel,
    log_mel,
    log_mel_distance,
    log_mel_stacks,
    mel_filterbank,
    mel_to_hz,
)
from engram_audio.codecs.mel_pca import MelPcaCodec, fit_mel_pca
from engram_audio.codecs.registry import load_codec
from engram_audio.errors import InputError

SETTINGS = MelPcaCodecSettings(
    kind="mel_pca",
    corpus="speech",
    split_seed=0,
    sample_rate_hz=16000,
    num_mels=40,
    hop_s=0.01,
    window_s=0.04,
    stack_hops=8,
    magnitude_floor=1e-5,
    num_components=12,
    griffin_lim_iterations=16,
)
ANALYSIS = analysis_of(SETTINGS)


def voice(seed: int, num_samples: int = 16000) -> np.ndarray:
    """Harmonics of a gliding pitch under a moving envelope, with a little noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(num_samples) / 16000
    pitch = 120 + 40 * np.sin(2 * np.pi * (0.5 + generator.random()) * time + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    loudness = 0.05 + 0.2 * np.abs(np.sin(2 * np.pi * 3 * time + seed))
    tones = sum(np.sin(n * phase + n * seed) / n for n in range(1, 12))
    return (loudness * tones + 0.002 * generator.normal(size=num_samples)).astype(np.float32)


@pytest.fixture(scope="module")
def codec() -> MelPcaCodec:
    return MelPcaCodec(fit_mel_pca((voice(seed) for seed in range(8)), SETTINGS), SETTINGS)


def encode(codec: MelPcaCodec, waveform: np.ndarray) -> np.ndarray:
    usable = len(waveform) // codec.hop_samples * codec.hop_samples
    return codec.encode(waveform[None, :usable], np.array([usable]))[0]


def test_the_mel_scale_inverts():
    frequencies = np.array([0.0, 200.0, 999.0, 1000.0, 1001.0, 7999.0])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(frequencies)), frequencies, atol=1e-9)
    assert hz_to_mel(1000.0) == pytest.approx(15.0)  # 1 kHz is 15 mel by definition


def test_every_mel_band_is_a_weighted_mean_of_at_least_one_bin():
    for num_mels in (40, 80):
        filters = mel_filterbank(ANALYSIS._replace(num_mels=num_mels))
        np.testing.assert_allclose(filters.sum(axis=1), 1.0, rtol=1e-5)
        assert (filters >= 0).all()


def test_a_full_scale_sine_has_the_magnitude_of_one_at_its_peak():
    """Normalisation: amplitude 1 reads 1, so the floor is in units of full scale."""
    analysis = MelAnalysis(16000, 160, 640, 1, 400, 1e-9)
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    # 400 bands are narrower than the window's main lobe: the best band reads near the peak
    peak = np.exp(log_mel(tone, analysis)[20:-20].max(axis=1))
    np.testing.assert_allclose(peak, 1.0, atol=0.15)


def test_changing_one_frame_of_audio_changes_only_that_latent(codec: MelPcaCodec):
    """Causal and without overlap by construction, exactly."""
    waveform = voice(3)
    before = encode(codec, waveform)
    changed = waveform.copy()
    changed[5 * 1280 : 6 * 1280] = voice(9)[:1280]
    difference = np.abs(encode(codec, changed) - before).max(axis=1)
    assert difference[5] > 0
    assert not np.delete(difference, 5).any()


def test_a_partial_last_frame_is_dropped():
    stacks = log_mel_stacks(voice(0, 3 * 1280 + 1279), ANALYSIS)
    assert stacks.shape == (3, 8 * 40)
    np.testing.assert_array_equal(
        stacks, log_mel_stacks(voice(0, 3 * 1280 + 1279)[:3840], ANALYSIS)
    )
    assert log_mel_stacks(voice(0, 100), ANALYSIS).shape == (0, 320)


def test_the_streamed_fit_is_the_pca_of_all_stacks():
    """Same subspace and variances as a direct eigendecomposition in float64."""
    waveforms = [voice(seed) for seed in range(8)]
    pca = fit_mel_pca(iter(waveforms), SETTINGS)
    stacks = np.concatenate([log_mel_stacks(w, ANALYSIS) for w in waveforms]).astype(np.float64)
    values = np.linalg.eigvalsh(np.cov(stacks.T))[::-1][:12]
    np.testing.assert_allclose(pca.explained_variance, values, rtol=1e-5)
    np.testing.assert_allclose(pca.components @ pca.components.T, np.eye(12), atol=1e-5)
    scores = (stacks - pca.mean) @ pca.components.T
    np.testing.assert_allclose(scores.var(axis=0, ddof=1), values, rtol=1e-4)
    assert int(pca.num_frames[0]) == len(stacks)


def test_more_components_bring_the_decoded_audio_nearer():
    """The distance after the round trip falls with D, and stays under that of the mean frame."""
    waveforms = [voice(seed) for seed in range(8)]
    distances = []
    for num_components in (1, 4, 16):
        settings = SETTINGS.model_copy(update={"num_components": num_components})
        codec = MelPcaCodec(fit_mel_pca(iter(waveforms), settings), settings)
        target = voice(11)[:15360]
        decoded = codec.decode(encode(codec, target))
        assert decoded.shape == target.shape
        distances.append(log_mel_distance(target, decoded, ANALYSIS))
    assert distances[0] > distances[1] > distances[2]
    spectrogram = log_mel(target, ANALYSIS)
    assert distances[2] < np.abs(spectrogram - spectrogram.mean(axis=0)).mean()


def test_decoding_is_deterministic(codec: MelPcaCodec):
    latents = encode(codec, voice(1))
    np.testing.assert_array_equal(codec.decode(latents), codec.decode(latents))


def test_silence_and_too_little_speech_are_refused():
    with pytest.raises(InputError, match="no variance"):
        fit_mel_pca([np.zeros(64000, np.float32)], SETTINGS)
    with pytest.raises(InputError, match="cannot fit 12 components"):
        fit_mel_pca([voice(0, 5000)], SETTINGS)


def test_the_weight_hash_follows_weights_and_sizes(codec: MelPcaCodec):
    pca = fit_mel_pca((voice(seed) for seed in range(8)), SETTINGS)
    assert MelPcaCodec(pca, SETTINGS).weight_hash() == codec.weight_hash()
    other = pca._replace(mean=pca.mean + np.float32(1))
    assert MelPcaCodec(other, SETTINGS).weight_hash() != codec.weight_hash()
    floor = SETTINGS.model_copy(update={"magnitude_floor": 1e-4})
    assert MelPcaCodec(pca, floor).weight_hash() != codec.weight_hash()


def test_fitted_weights_load_again_and_others_are_refused(tmp_path: Path, codec: MelPcaCodec):
    path = tmp_path / "weights.safetensors"
    pca = fit_mel_pca((voice(seed) for seed in range(8)), SETTINGS)
    write_tensors(path, pca._asdict(), {})
    assert load_codec(SETTINGS, [path], "cpu").weight_hash() == codec.weight_hash()
    with pytest.raises(InputError, match=r"components have shape \(12, 320\)"):
        load_codec(SETTINGS.model_copy(update={"num_components": 5}), [path], "cpu")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"weights\.safetensors: not a readable safetensors file"):
        load_codec(SETTINGS, [path], "cpu")
    with pytest.raises(InputError, match="no such file"):
        load_codec(SETTINGS, [tmp_path / "x" / "weights.safetensors"], "cpu")
