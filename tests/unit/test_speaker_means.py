"""A speaker's mean never holds the utterance that it is told to."""

import numpy as np
import pytest

from engram_audio.densities.speakers import speaker_means

FALLBACK = np.array([7.0, -7.0])


def test_the_mean_is_that_of_the_other_utterances():
    """Weighted by frames; a speaker with one utterance has the train mean."""
    frames = [
        np.full((2, 2), 1.0),
        np.full((6, 2), 3.0),
        np.full((2, 2), 5.0),
        np.full((4, 2), 9.0),
    ]
    sums, counts = np.stack([own.sum(0) for own in frames]), np.array([2, 6, 2, 4])
    names = np.array(["a1", "a2", "a3", "b1"], dtype=object)
    speakers = np.array(["a", "a", "a", "b"], dtype=object)
    found = speaker_means(names, speakers, sums, counts, FALLBACK).of(names)
    expected = [(18 + 10) / 8, (2 + 10) / 4, (2 + 18) / 8]
    assert found[:3, 0] == pytest.approx(expected)
    assert found[3] == pytest.approx(FALLBACK)


def test_an_utterance_has_no_say_in_its_own_mean():
    """Other frames of it change the others' means and not its own."""
    rng = np.random.default_rng(0)
    names, speakers = np.array(["u0", "u1", "u2"]), np.array(["s", "s", "s"])
    sums, counts = rng.normal(size=(3, 2)), np.array([5, 6, 7])
    before = speaker_means(names, speakers, sums, counts, FALLBACK).of(names)
    sums[1] += 100
    after = speaker_means(names, speakers, sums, counts, FALLBACK).of(names)
    assert np.array_equal(before[1], after[1])
    assert np.abs(after[[0, 2]] - before[[0, 2]]).min() > 1
