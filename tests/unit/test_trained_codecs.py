"""Networks and adapters of trained codecs: causal to the sample, any batch, hashed, refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.codecs.base import Codec
from engram_audio.codecs.bottleneck import Posterior, beta_at
from engram_audio.codecs.fitted_config import MelVaeCodecSettings, VaeCodecSettings
from engram_audio.codecs.mel_vae import MelVaeCodec
from engram_audio.codecs.mel_vae_networks import MelVae
from engram_audio.codecs.registry import load_codec
from engram_audio.codecs.training import pack_codec
from engram_audio.codecs.vae import VaeCodec
from engram_audio.codecs.vae_networks import WaveformVae
from engram_audio.errors import InputError
from engram_audio.latents.self_tests import require_passed, run_self_tests
from tests.unit.codec_material import assert_only_untrained
from tests.unit.trained_codec_material import mel_vae_settings, vae_settings, voice

HOP = 640
CONTEXT = 3
MEL_SETTINGS = mel_vae_settings(encoder_context_frames=CONTEXT, decoder_context_frames=2)


def awake(network: torch.nn.Module) -> torch.nn.Module:
    """Random weights everywhere, layers that start at zero included."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def mel_network() -> MelVae:
    torch.manual_seed(0)
    network = MelVae(MEL_SETTINGS, torch.full((160,), -3.0), torch.full((1,), 1.5))
    awake(network)
    return network


def wave_network() -> WaveformVae:
    torch.manual_seed(0)
    network = WaveformVae(vae_settings())
    awake(network)
    return network


CODECS = ("mel_vae", "vae")


def network_of(kind: str) -> MelVae | WaveformVae:
    return mel_network() if kind == "mel_vae" else wave_network()


def settings_of(kind: str) -> MelVaeCodecSettings | VaeCodecSettings:
    return MEL_SETTINGS if kind == "mel_vae" else vae_settings()


def adapt(network: MelVae | WaveformVae) -> Codec:
    if isinstance(network, MelVae):
        return MelVaeCodec(network, MEL_SETTINGS, "cpu")
    return VaeCodec(network, vae_settings(), "cpu")


def make(kind: str) -> Codec:
    return adapt(network_of(kind))


def encode(codec: Codec, waveform: np.ndarray) -> np.ndarray:
    return codec.encode(waveform[None], np.array([len(waveform)]))[0]


def test_frame_rates_and_sizes_follow_the_settings():
    for kind in CODECS:
        codec = make(kind)
        assert (codec.hop_samples, codec.frame_rate_hz, codec.num_dims) == (HOP, 12.5, 4)
        assert codec.is_causal and codec.latent_space == "vae_mean"
        latents = encode(codec, voice(0)[: 20 * HOP])
        assert latents.shape == (20, 4) and latents.dtype == np.float32
        assert codec.decode(latents).shape == (20 * HOP,)


@pytest.mark.parametrize("kind", CODECS)
def test_the_future_does_not_reach_the_past(kind: str):
    """Changing samples from a frame's first one on leaves every earlier latent bit for bit."""
    codec = make(kind)
    waveform = voice(1)[: 20 * HOP]
    before = encode(codec, waveform)
    for frame in (3, 11):
        changed = waveform.copy()
        changed[frame * HOP :] = voice(7)[: (20 - frame) * HOP]
        after = encode(codec, changed)
        assert np.array_equal(after[:frame], before[:frame])
        assert np.abs(after[frame] - before[frame]).max() > 1e-6


@pytest.mark.parametrize("kind", CODECS)
def test_the_decoder_is_causal_too(kind: str):
    """Changing latent t leaves the decoded samples (or stacks) before frame t as they were."""
    network = network_of(kind)
    latents = torch.randn(1, 12, 4, generator=torch.Generator().manual_seed(0))
    changed = latents.clone()
    changed[:, 7] += 1
    with torch.no_grad():
        first, second = network.decode(latents), network.decode(changed)
    step = 1 if kind == "mel_vae" else HOP
    assert torch.equal(first[:, : 7 * step], second[:, : 7 * step])
    assert not torch.allclose(first[:, 7 * step : 8 * step], second[:, 7 * step : 8 * step])


@pytest.mark.parametrize("kind", CODECS)
def test_the_cold_start_is_as_long_as_what_came_before_is_felt(kind: str):
    """From the cold start on frames do not feel what precedes the clip; the one before does."""
    codec = make(kind)
    clip = voice(2)[: 12 * HOP]
    lead = voice(5)[: 10 * HOP]
    fresh = encode(codec, clip)
    warm = encode(codec, np.concatenate([lead, clip]))[10:]
    cold = codec.cold_start_frames
    assert 0 < cold < 8
    np.testing.assert_allclose(fresh[cold:], warm[cold:], atol=1e-5)
    assert np.abs(fresh[cold - 1] - warm[cold - 1]).max() > 1e-4


@pytest.mark.parametrize("kind", CODECS)
def test_a_stream_gives_the_latents_of_the_whole(kind: str):
    """Chunk after chunk, each with its cold start's worth of audio before it."""
    codec = make(kind)
    waveform = voice(3)[: 24 * HOP]
    whole = encode(codec, waveform)
    cold = codec.cold_start_frames
    parts = []
    for start in range(0, 24, 6):
        begin = max(start - cold, 0)
        chunk = encode(codec, waveform[begin * HOP : (start + 6) * HOP])
        parts.append(chunk[start - begin :])
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


@pytest.mark.parametrize("kind", CODECS)
def test_random_weights_fail_one_self_test_and_inform_where_they_are_kept(kind: str):
    """Batch equals single, causality, frame counts, decoded length hold; the sound is nobody's."""
    clips = [voice(seed, 1.0 + 0.3 * seed)[: -(17 + seed)] for seed in range(3)]
    codec = make(kind)
    assert_only_untrained(run_self_tests(codec, clips, 1, 1e-4, 0))
    codec.may_lose_sound = True
    tests = {test.name: test for test in run_self_tests(codec, clips, 1, 1e-4, 0)}
    require_passed(list(tests.values()), kind)
    assert (tests["own_clip"].value or 0) > 1 and "health.action" not in tests["own_clip"].name
    assert "for information" in tests["own_clip"].detail


@pytest.mark.parametrize("action", ["fail", "report"])
def test_the_settings_say_whether_a_codec_that_lost_the_sound_is_kept(action: str):
    health = {**MEL_SETTINGS.health.model_dump(), "action": action}
    settings = mel_vae_settings(encoder_context_frames=CONTEXT, health=health)
    network = MelVae(settings, torch.zeros(160), torch.ones(1))
    assert MelVaeCodec(network, settings, "cpu").may_lose_sound == (action == "report")


def test_the_kl_is_the_closed_form():
    """Against torch.distributions, and zero where the posterior is the prior."""
    generator = torch.Generator().manual_seed(0)
    mean, log_sd = torch.randn(2, 3, 5, 4, generator=generator)
    found = Posterior(mean, log_sd).kl_nats()
    normal = torch.distributions.Normal(mean, log_sd.exp())
    prior = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    torch.testing.assert_close(found, torch.distributions.kl_divergence(normal, prior))
    nothing = Posterior(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))
    assert not nothing.kl_nats().any()


def test_samples_have_the_posteriors_moments():
    torch.manual_seed(0)
    mean, log_sd = torch.tensor([1.0, -2.0]), torch.tensor([-1.0, 0.5])
    draws = Posterior(mean.expand(1, 100_000, 2), log_sd.expand(1, 100_000, 2)).sample()[0]
    torch.testing.assert_close(draws.mean(0), mean, atol=0.03, rtol=0)
    torch.testing.assert_close(draws.std(0), log_sd.exp(), atol=0.03, rtol=0)


def test_beta_grows_to_its_value_and_stays():
    assert [beta_at(step, 3.0, 2) for step in range(4)] == pytest.approx([1.0, 2.0, 3.0, 3.0])
    assert beta_at(0, 3.0, 0) == 3.0


def save(path: Path, network: torch.nn.Module) -> Path:
    write_bundle(path, pack_codec(network), {"health": {"rate_bits_per_s": 321.5}})
    return path


@pytest.mark.parametrize("kind", CODECS)
def test_trained_weights_load_again_and_others_are_refused(kind: str, tmp_path: Path):
    network, settings = network_of(kind), settings_of(kind)
    path = save(tmp_path / "weights.safetensors", network)
    codec, waveform = load_codec(settings, [path], "cpu"), voice(4)[: 6 * HOP]
    assert codec.weight_fault() is None
    assert codec.weight_hash() == make(kind).weight_hash()
    assert (codec.bits_per_s, codec.bits_are) == (321.5, "posterior_kl")
    np.testing.assert_array_equal(encode(codec, waveform), encode(make(kind), waveform))
    with pytest.raises(InputError, match=r"has shape .* is configured; delete it and rerun train"):
        load_codec(settings.model_copy(update={"num_dims": 3}), [path], "cpu")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"weights\.safetensors: not a readable safetensors file"):
        load_codec(settings, [path], "cpu")


@pytest.mark.parametrize("kind", CODECS)
def test_the_hash_follows_the_encoder_and_an_empty_one_is_refused(kind: str):
    """The decoder decides no latent: its weights do not count."""
    network = network_of(kind)
    first = adapt(network).weight_hash()
    with torch.no_grad():
        next(network.decoder.parameters()).add_(1)
    assert adapt(network).weight_hash() == first
    with torch.no_grad():
        next(network.encoder.parameters()).add_(1)
    assert adapt(network).weight_hash() != first
    with torch.no_grad():
        for parameter in network.encoder.parameters():
            parameter.zero_()
    assert adapt(network).weight_fault() == "all encoder weights are zero"
