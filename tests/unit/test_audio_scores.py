"""Scores of decoded speech on clips whose answers are known."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.audio_utils import mel_filter_bank

from engram_audio.audio_scores.distances import energy_distance, frechet_distance, halves
from engram_audio.audio_scores.hearing import RATE_HZ, Evaluators, hear, scores_of
from engram_audio.audio_scores.quality import INPUT_S, OVERALL, inputs_of, quality_of
from engram_audio.audio_scores.shaped_noise import shaped_noise
from engram_audio.audio_scores.silence import FRAME_S, frame_levels, num_silent, quiet_level
from engram_audio.audio_scores.speaker_encoder import (
    NUM_LAYERS,
    NUM_MELS,
    PART_FRAMES,
    STEP_FRAMES,
    WIDTH,
    SpeakerEncoder,
    cosine,
    embedding,
    mel_bands,
    part_starts,
    power_mels,
)
from engram_audio.audio_scores.words import character_errors, edit_distance, word_errors

RNG = np.random.default_rng(0)
SPEECH = (0.1 * RNG.standard_normal(3 * RATE_HZ)).astype(np.float32)
SEQUENCES = st.lists(st.sampled_from("abc"), max_size=6)


def lower(text: str) -> str:
    return text.lower().replace(".", "")


def by_definition(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    """Return the edit distance by trying everything."""

    @functools.cache
    def left(i: int, j: int) -> int:
        if i == len(first) or j == len(second):
            return len(first) - i + len(second) - j
        change = left(i + 1, j + 1) + (first[i] != second[j])
        return min(change, left(i + 1, j) + 1, left(i, j + 1) + 1)

    return left(0, 0)


@given(SEQUENCES, SEQUENCES)
def test_edit_distance_is_the_least_number_of_changes(first: list[str], second: list[str]):
    assert edit_distance(first, second) == by_definition(tuple(first), tuple(second))


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("the cat sat", 0),
        ("The cat. sat", 0),  # one spelling
        ("the cat", 1),
        ("the big cat sat", 1),
        ("the dog sat", 1),
        ("", 3),
        ("you you the cat sat", 2),
    ],
)
def test_word_errors_of_known_texts(heard: str, errors: int):
    assert word_errors("the cat sat", heard, lower) == (errors, 3)


def test_character_errors_count_spaces_between_words_once():
    assert character_errors("the  cat", "the cap", lower) == (1, 7)


def test_mel_bands_are_those_of_the_published_network():
    """Slaney's scale, triangles of equal area, as librosa and transformers have them."""
    other = mel_filter_bank(201, NUM_MELS, 0.0, 8000.0, RATE_HZ, norm="slaney", mel_scale="slaney")
    np.testing.assert_allclose(mel_bands(), other.T, atol=1e-12)


def test_a_spectrum_stands_every_ten_milliseconds():
    assert power_mels(SPEECH).shape == (1 + len(SPEECH) // 160, NUM_MELS)


@pytest.mark.parametrize("seconds", [0.3, 1.6, 2.0, 2.9, 3.0, 10.0])
def test_parts_cover_a_clip(seconds: float):
    """A last part lies three quarters in the clip, unless it is the only one."""
    size = round(seconds * RATE_HZ)
    starts = part_starts(size)
    assert starts == list(range(0, len(starts) * STEP_FRAMES, STEP_FRAMES))
    inside = (size - starts[-1] * 160) / (PART_FRAMES * 160)
    assert len(starts) == 1 or inside >= 0.75
    assert (size - (starts[-1] + STEP_FRAMES) * 160) / (PART_FRAMES * 160) < 0.75


def speaker_encoder(seed: int = 0) -> SpeakerEncoder:
    generator = torch.Generator().manual_seed(seed)
    lstm = torch.nn.LSTM(NUM_MELS, WIDTH, NUM_LAYERS)
    shapes = {f"lstm.{name}": value.shape for name, value in lstm.named_parameters()}
    shapes |= {"linear.weight": (WIDTH, WIDTH), "linear.bias": (WIDTH,)}
    weights = {n: 0.1 * torch.randn(shape, generator=generator) for n, shape in shapes.items()}
    weights["similarity_weight"] = torch.zeros(1)  # of the loss; the checkpoint has it
    return SpeakerEncoder(weights)


def test_a_speaker_is_as_like_himself_as_can_be():
    """Also where he speaks more quietly: quiet clips are made as loud. Silence is no error."""
    encoder = speaker_encoder()
    own, quiet, other, silent = (
        embedding(encoder.embed(wave))
        for wave in (0.1 * SPEECH, 0.01 * SPEECH, np.sin(np.arange(40000) / 9), 0 * SPEECH)
    )
    assert cosine(own, own) == pytest.approx(1.0)
    assert cosine(own, quiet) == pytest.approx(1.0, abs=1e-6)
    assert cosine(own, other) < 0.999
    assert np.isfinite(silent).all()


def test_quality_repeats_short_clips_and_averages_long_ones():
    size = int(INPUT_S * RATE_HZ)
    assert [len(part) for part in inputs_of(SPEECH)] == [size] * 3  # 12 s
    np.testing.assert_array_equal(inputs_of(SPEECH)[0][: 2 * len(SPEECH)], np.tile(SPEECH, 2))
    raw = iter([(1.0, 2.0, 3.0), (2.0, 3.0, 4.0), (3.0, 4.0, 5.0)])
    found = quality_of(SPEECH, lambda part: np.array(next(raw)))
    assert found.overall == pytest.approx(np.mean(np.polyval(OVERALL, [3, 4, 5])))


def test_only_long_quiet_stretches_are_silent():
    size = round(FRAME_S * RATE_HZ)
    wave = np.repeat(np.where(np.arange(200) % 100 < 31, 0.0, 1.0), size)
    assert num_silent(frame_levels(wave, RATE_HZ), 0.5) == 0
    wave = np.repeat(np.where(np.arange(200) % 100 < 32, 1e-4, 1.0), size)
    assert num_silent(frame_levels(wave, RATE_HZ), 0.5) == 64
    assert num_silent(frame_levels(wave, RATE_HZ), 1e-5) == 0
    assert num_silent(np.zeros(50), quiet_level(np.zeros(50))) == 50  # digital silence


def test_distances_of_one_law_are_near_zero_and_of_two_are_known():
    """The energy distance has no bias; the Frechet distance is that of the Gaussians."""
    first, second = RNG.standard_normal((2, 1500, 4))
    # SD of an unbiased energy distance under the null is of the order 1 / n
    assert abs(energy_distance(first, second)) < 10 / 1500
    moved = 2.0 * second + np.array([3.0, 0.0, 0.0, 0.0])
    # |m1 - m2|^2 = 9, and (1 - 2)^2 for each of four dimensions
    assert frechet_distance(first, moved) == pytest.approx((9 + 4) / 4, rel=0.05)
    assert energy_distance(first, moved) > 0.3
    pair = np.array([[0.0], [2.0]])  # |x - y| is 1 on average, and 2 for the one pair of each
    assert energy_distance(pair, pair) == pytest.approx(2 * 1 - 2 - 2)
    point, other = np.zeros((2, 3)), np.tile([3.0, 0.0, 4.0], (2, 1))
    assert energy_distance(point, other) == pytest.approx(2 * 5 / 3**0.5)


def test_halves_share_no_moment():
    even, odd = halves(np.arange(11)[:, None], 2)
    assert (even[:, 0].tolist(), odd[:, 0].tolist()) == ([0, 1, 4, 5], [2, 3, 6, 7])


@pytest.mark.parametrize("size", [4000, 4001])
def test_shaped_noise_has_the_same_spectrum_and_another_course(size: int):
    wave = SPEECH[:size]
    noise = shaped_noise(wave, np.random.default_rng(1))
    assert noise.dtype == wave.dtype
    np.testing.assert_allclose(
        np.abs(np.fft.rfft(noise)), np.abs(np.fft.rfft(wave)), rtol=1e-3, atol=1e-4
    )
    assert abs(np.corrcoef(noise, wave)[0, 1]) < 0.1


def test_a_score_is_absent_where_nobody_listens():
    """Without evaluators silence is left, and nothing pretends to be a number."""
    nobody = Evaluators(None, None, None, lower)
    heard = hear(SPEECH, nobody)
    assert set(scores_of(heard, heard, "a word", 0.01, lower)) == {"silence_share"}


def test_scores_of_a_clip_that_repeats_the_original():
    """Perfect words, the same speaker; a clip too short for words has none, all deleted."""
    everyone = Evaluators(
        lambda wave: "The cat sat.", speaker_encoder().embed, lambda part: np.ones(3), lower
    )
    heard = hear(SPEECH, everyone)
    found = scores_of(heard, heard, "the cat sits", 0.01, lower)
    assert found["wer"] == (1.0, 3.0)
    assert found["consistency"] == (0.0, 3.0)
    assert found["words_per_s"] == (3.0, 3.0)
    assert found["speaker_cosine"] == (pytest.approx(1.0), 1.0)
    short = hear(SPEECH[: RATE_HZ // 4], everyone)
    assert scores_of(short, heard, "the cat sits", 0.01, lower)["wer"] == (3.0, 3.0)
    assert "wer" not in scores_of(heard, heard, None, 0.01, lower)
