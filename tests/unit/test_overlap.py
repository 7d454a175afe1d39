"""The overlap controls tell an encoder's receptive field from what speech itself predicts.

Two worlds with known answers: a moving-average codec on white audio, whose latents predict each
other for one reason only, and a codec without memory on audio that moves slowly.
"""

import numpy as np
import pandas as pd
import pytest

from engram_audio.codecs.base import Codec
from engram_audio.comparison.information import (
    Information,
    complement,
    information_share,
    measure,
)
from engram_audio.errors import InputError
from engram_audio.latents.batching import encode_batch
from engram_audio.latents.self_tests import run_self_tests
from engram_audio.latents.truncated import truncated
from engram_audio.latents.waveform import WaveformSettings, check_blocks, permute_blocks
from tests.unit.test_extraction import HOP, Smoother

NUM_FRAMES, SPEAKERS = 1000, {"train": 8, "val": 6, "eval": 10}


@pytest.mark.parametrize(
    ("block_s", "rate_hz", "frame_rate_hz", "is_refused"),
    [
        (0.08, 24000, 12.5, False),
        (0.16, 24000, 12.5, False),
        (0.04, 24000, 12.5, True),
        (0.12, 24000, 12.5, True),
        (0.0116, 44100, 44100 / 512, False),  # to the sample
        (0.012, 44100, 44100 / 512, True),
    ],
)
def test_blocks_are_whole_frames(block_s, rate_hz, frame_rate_hz, is_refused):
    """What is refused says a length that is not."""
    settings = WaveformSettings(rate_hz, block_s, 0)
    if not is_refused:
        check_blocks(settings, frame_rate_hz, "x")
        return
    with pytest.raises(
        InputError, match=r"representations\.library\.x\.permute_blocks_s"
    ) as caught:
        check_blocks(settings, frame_rate_hz, "x")
    remedy = float(str(caught.value).split("for example ")[1].split()[0])
    check_blocks(settings._replace(permute_blocks_s=remedy), frame_rate_hz, "x")


class Memoryless(Smoother):
    """The mean of each frame, and of its square."""

    def encode(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        frames = waveforms.reshape(len(waveforms), -1, HOP)
        return np.stack([frames.mean(axis=2), (frames**2).mean(axis=2)], axis=2)


def white(generator: np.random.Generator) -> np.ndarray:
    return generator.normal(size=NUM_FRAMES * HOP).astype(np.float32)


def slow(generator: np.random.Generator) -> np.ndarray:
    """A level that moves from frame to frame as an autoregression with coefficient .9."""
    level = np.zeros(NUM_FRAMES)
    for t in range(1, NUM_FRAMES):
        level[t] = 0.9 * level[t - 1] + generator.normal()
    return (np.repeat(level, HOP) + 0.1 * white(generator)).astype(np.float32)


def with_past(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    past = np.concatenate([latents[1:-1], latents[:-2], np.ones((len(latents) - 2, 1))], axis=1)
    return latents[2:], past


def gaussian_nll(rows: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    _, logdet = np.linalg.slogdet(2 * np.pi * covariance)
    return 0.5 * (logdet + np.einsum("nd,de,ne->n", rows, np.linalg.inv(covariance), rows))


def information(codec: Codec, audio, permute: bool) -> Information:
    """Linear prediction from two frames, fitted on train speakers, scored by speaker."""
    generator, found = np.random.default_rng(5), {}
    for part, count in SPEAKERS.items():
        waves = [audio(generator) for _ in range(count)]
        if permute:
            waves = [permute_blocks(wave, HOP, generator) for wave in waves]
        found[part] = [with_past(encode_batch(codec, [wave], 0)[0].astype(float)) for wave in waves]
    values, past = (np.concatenate(parts) for parts in zip(*found["train"], strict=True))
    weights = np.linalg.lstsq(past, values, rcond=None)[0]
    mean, total = values.mean(0), np.cov(values.T)
    residual = np.cov((values - past @ weights).T)
    rows = []
    for part in ("val", "eval"):
        for number, (own, before) in enumerate(found[part]):
            scores = {
                "ridge": gaussian_nll(own - before @ weights, residual),
                "gaussian_marginal_position": gaussian_nll(own - mean, total),
            }
            rows += [
                {
                    "model": name, "lag_frames": 1, "event": "position", "part": part,
                    "slice": "all", "speaker_id": f"{part}-{number:02d}",
                    "nll": nll.sum(), "num_frames": len(nll),
                }
                for name, nll in scores.items()
            ]  # fmt: skip
    measured = measure(pd.DataFrame(rows), [])
    assert measured is not None
    return measured


def test_a_moving_average_of_white_audio_predicts_by_overlap_alone():
    """Permuting the audio changes nothing: the share is 1. One frame of memory loses it all."""
    codec = Smoother()
    whole = information(codec, white, permute=False)
    assert float(whole.information.value) > 0.3  # type: ignore[union-attr]
    share = information_share(information(codec, white, permute=True), whole, 0.99)
    assert share.low < 1 < share.high and share.high - share.low < 0.2
    short = truncated(codec, HOP / codec.sample_rate_hz, 10_000, "row")
    lost = complement(information_share(information(short, white, False), whole, 0.99))
    assert lost.value == pytest.approx(1.0, abs=0.02)


def test_slow_audio_without_overlap_has_no_overlap_share():
    """Permuting takes the dynamics away, so the share is 0; the codec had no memory to lose."""
    codec = Memoryless()
    whole = information(codec, slow, permute=False)
    share = information_share(information(codec, slow, permute=True), whole, 0.99)
    assert abs(share.value) < 0.02 and share.high < 0.05
    short = truncated(codec, HOP / codec.sample_rate_hz, 10_000, "row")
    lost = complement(information_share(information(short, slow, False), whole, 0.99))
    assert lost.value == pytest.approx(0, abs=1e-9)


def test_what_predicts_nothing_has_no_share():
    """White audio, no memory: the whole cannot be told from 0, and the interval says so."""
    nothing = information(Memoryless(), white, permute=False)
    share = information_share(nothing, nothing, 0.95)
    assert np.isnan([share.low, share.high]).all()
    assert np.isnan(information_share(None, nothing, 0.95).value)


@pytest.mark.parametrize("batch_samples", [1, 5 * 3 * HOP, 10_000])
def test_a_context_as_long_as_the_receptive_field_changes_nothing(batch_samples: int):
    """The moving average sees three frames; clips of any batch give the whole clip's latents."""
    codec = Smoother()
    waves = [white(np.random.default_rng(n))[: n * 50 + 17] for n in (1, 3)]
    short = truncated(codec, 3 * HOP / codec.sample_rate_hz, batch_samples, "row")
    for own, other in zip(
        encode_batch(short, waves, 2), encode_batch(codec, waves, 2), strict=True
    ):
        np.testing.assert_allclose(own, other, atol=1e-6)
    one = truncated(codec, HOP / codec.sample_rate_hz, batch_samples, "row")
    third = Memoryless().encode(waves[1][None, : 20 * HOP], np.array([20 * HOP]))[0] / 3
    np.testing.assert_allclose(encode_batch(one, waves, 2)[1][:20], third, atol=1e-6)


def test_truncation_makes_a_codec_that_looks_ahead_causal():
    codec = Smoother(flaw="causality")
    waves = [white(np.random.default_rng(n)) for n in range(2)]
    tests = {t.name: t for t in run_self_tests(codec, waves, 2, 1e-4, 0)}
    assert not tests["causality"].is_passed
    short = truncated(codec, 5 * HOP / codec.sample_rate_hz, 10_000, "row")
    passed = run_self_tests(short, waves, 2, 1e-4, 0)
    assert [test.name for test in passed if not test.is_passed] == []


@pytest.mark.parametrize("context_s", [0.005, 0.0125, 0.4 * HOP / 800])
def test_contexts_of_no_whole_frame_are_refused_with_the_nearest(context_s: float):
    with pytest.raises(InputError, match=r"row.context_s: .* give a multiple .* 0\.01"):
        truncated(Smoother(), context_s, 1000, "row")


def test_no_context_is_the_codec_itself():
    codec = Smoother()
    assert truncated(codec, None, 1000, "x") is codec
