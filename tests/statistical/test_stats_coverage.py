"""95 % intervals cover 95 % of the time on clustered data; frame-level ones do not."""

import numpy as np
import pytest

from engram_audio.stats.estimate import Interval, t_interval, uncertain
from engram_audio.stats.ratio import ratio_of_sums

NUM_SPEAKERS, NUM_UTTERANCES, FRAMES = 51, 20, 100
TRUTH, SPEAKER_SD, UTTERANCE_SD = 0.6, 0.03, 0.05


def _studies(count: int, seed: int, num_speakers: int = NUM_SPEAKERS):
    """Simulate variance ratios: speakers and utterances differ, speakers speak unequally long.

    Returns:
        Sums of residual and total by utterance, each [count, S, utterances].
    """
    rng = np.random.default_rng(seed)
    shape = (count, num_speakers, NUM_UTTERANCES)
    length = rng.uniform(0.5, 1.5, size=shape[:2])[..., None]
    total = FRAMES * length * rng.uniform(0.8, 1.2, size=shape)
    ratio = (
        TRUTH
        + SPEAKER_SD * rng.normal(size=shape[:2])[..., None]
        + UTTERANCE_SD * rng.normal(size=shape)
    )
    return ratio * total, total


def _coverage(interval: Interval) -> float:
    return float(((interval.low <= TRUTH) & (interval.high >= TRUTH)).mean())


def test_speaker_t_interval_covers_95_percent():
    """4000 studies: the binomial error is sqrt(.95 * .05 / 4000) = .0034; .93 .. .97 is 6 of it."""
    residual, total = _studies(4000, seed=0)
    interval = t_interval(uncertain(ratio_of_sums(residual.sum(-1), total.sum(-1))), 0.95)
    assert 0.93 < _coverage(interval) < 0.97


def test_speaker_t_interval_covers_with_ten_speakers():
    """With 10 speakers the percentile bootstrap falls to about .90; t does not (4000 studies)."""
    residual, total = _studies(4000, seed=1, num_speakers=10)
    interval = t_interval(uncertain(ratio_of_sums(residual.sum(-1), total.sum(-1))), 0.95)
    assert 0.92 < _coverage(interval) < 0.97


def test_utterances_taken_as_independent_cover_far_too_rarely():
    """The trap the speaker unit avoids: the same data, utterances as the unit (2000 studies).

    The speakers' share of the variance of the mean is (.03^2) / (.03^2 + .05^2 / 20) = .88, so the
    utterance interval is about (.03^2 + .05^2)^.5 / (20 * .03^2 + .05^2)^.5 = .41 times as wide.
    """
    residual, total = _studies(2000, seed=3)
    flat = [values.reshape(len(values), -1) for values in (residual, total)]
    interval = t_interval(uncertain(ratio_of_sums(*flat)), 0.95)
    assert _coverage(interval) < 0.70


@pytest.mark.parametrize("confidence", [0.9, 0.975])
def test_other_levels_cover_as_stated(confidence: float):
    """4000 studies: 5 binomial errors."""
    residual, total = _studies(4000, seed=4)
    interval = t_interval(uncertain(ratio_of_sums(residual.sum(-1), total.sum(-1))), confidence)
    slack = 5 * np.sqrt(confidence * (1 - confidence) / 4000) + 0.005
    assert abs(_coverage(interval) - confidence) < slack
