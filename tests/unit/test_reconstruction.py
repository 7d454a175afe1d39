"""Decoded speech is scored where its latents are kept, at one rate, on utterances dealt evenly."""

import numpy as np
import pandas as pd
import pytest

from engram_audio.codecs.base import Codec
from engram_audio.comparison.reconstruction import (
    choose_utterances,
    installed_metrics,
    round_trip,
    score,
)
from engram_audio.latents.config import NoisyRepresentation, ResampledRepresentation
from tests.unit.test_mel_pca import voice

HOP = 40


class Lossless(Codec):
    """Samples of a frame as its latent; the first frame is spoilt by a fresh start."""

    sample_rate_hz = 16000
    hop_samples = HOP
    num_dims = HOP
    latent_space = "samples"
    is_causal = True
    cold_start_frames = 1

    def weight_hash(self) -> str:
        return "none"

    def encode(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        latents = waveforms.reshape(len(waveforms), -1, HOP).astype(np.float32)
        latents[:, 0] = 9.0
        return latents

    def decode(self, latents: np.ndarray) -> np.ndarray:
        return latents.reshape(-1)


def groups(mode: str) -> ResampledRepresentation:
    values = {"kind": "resampled", "source": "a", "frames_per_group": 4, "mode": mode}
    return ResampledRepresentation.model_validate(values)


def noise(ratio: float) -> NoisyRepresentation:
    values = {"kind": "noisy", "source": "a", "noise_to_signal": ratio, "seed": 0}
    return NoisyRepresentation.model_validate(values)


WAVE = voice(0, 24000)


@pytest.mark.parametrize("links", [[], [groups("stack")], [groups("average_residual")]])
def test_lossless_links_change_nothing_after_the_cold_start(links: list):
    pair = round_trip(Lossless(), WAVE, links, None, "u")
    assert pair is not None
    assert len(pair.original) == (599 // 4 * 4 if links else 599) * HOP
    np.testing.assert_array_equal(pair.original, WAVE[HOP : HOP + len(pair.original)])
    np.testing.assert_allclose(pair.decoded, pair.original, atol=1e-5)
    assert score(pair, 16000, {})["log_mel_l1"] == pytest.approx(0, abs=0.02)


def test_averaging_and_noise_are_heard_and_more_noise_is_heard_more():
    std = np.full(HOP, WAVE.std())
    chains = [[groups("average")], [noise(0.1)], [noise(1.0)], [noise(1.0), groups("stack")]]
    pairs = [round_trip(Lossless(), WAVE, links, std, "u") for links in chains]
    averaged, little, much, stacked = (score(p, 16000, {})["log_mel_l1"] for p in pairs if p)
    assert averaged > 0.05 and 0.05 < little < much
    assert stacked == pytest.approx(much, rel=0.02)  # the same noise, cut at a whole group


def test_too_short_for_a_group_is_no_round_trip():
    assert round_trip(Lossless(), WAVE[: 3 * HOP], [groups("stack")], None, "u") is None


def test_utterances_are_dealt_evenly_over_speakers():
    table = pd.DataFrame(
        {
            "utterance_id": [f"{s}-{n}" for s, count in zip("abc", (5, 2, 9), strict=True)
                             for n in range(count)],
        }
    )  # fmt: skip
    table["speaker_id"] = table["utterance_id"].str[0]
    shuffled = table.sample(frac=1, random_state=0)
    assert choose_utterances(shuffled, 8)["utterance_id"].tolist() == [
        "a-0", "b-0", "c-0", "a-1", "b-1", "c-1", "a-2", "c-2",
    ]  # fmt: skip
    assert choose_utterances(shuffled, 2)["speaker_id"].tolist() == ["a", "c"]
    assert len(choose_utterances(shuffled, 100)) == 16


def test_a_metric_whose_library_is_absent_is_empty():
    pair = round_trip(Lossless(), WAVE, [], None, "u")
    assert pair is not None
    scores = score(pair, 16000, {"stoi": lambda original, decoded: 0.5})
    assert scores["stoi"] == 0.5 and np.isnan(scores["pesq"])


def test_installed_metrics_order_what_is_worse():
    """STOI and PESQ of a copy are their maxima; noise lowers both; silence has neither."""
    pytest.importorskip("pystoi")
    pytest.importorskip("pesq")
    metrics = installed_metrics()
    noisy = WAVE + np.random.default_rng(0).normal(0, WAVE.std(), len(WAVE)).astype(np.float32)
    assert metrics["stoi"](WAVE, WAVE) == pytest.approx(1.0, abs=1e-3)
    assert metrics["stoi"](WAVE, noisy) < 0.9
    assert metrics["pesq"](WAVE, noisy) < metrics["pesq"](WAVE, WAVE) <= 4.65
    assert np.isnan(metrics["stoi"](WAVE[:2000], WAVE[:2000]))
    assert np.isnan(metrics["pesq"](WAVE[:2000], WAVE[:2000]))
