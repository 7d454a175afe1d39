"""Speaker intervals cover as they say when speakers are unequal; two-way ones over seeds too."""

import numpy as np
import pytest

from engram_audio.stats.estimate import (
    MINIMUM_EFFECTIVE_SPEAKERS,
    Estimate,
    Interval,
    effective_number,
    t_interval,
    uncertain,
)
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.stats.two_way import two_way

NUM_STUDIES = 4000
SE_OF_A_TAIL = np.sqrt(0.025 * 0.975 / NUM_STUDIES)
TRUTH = 0.3


def _layout(name: str, num_speakers: int = 51) -> np.ndarray:
    """Return the frames of each speaker, relative."""
    frames = np.ones(num_speakers)
    if name == "log-normal":
        frames = np.exp(np.random.default_rng(1).normal(size=num_speakers))
    if name == "a third":
        frames[0] = (num_speakers - 1) / 2
    if name == "half":
        frames[0] = num_speakers - 1
    return frames


LAYOUTS = {
    "equal": _layout("equal"),
    "log-normal": _layout("log-normal"),
    "a third": _layout("a third"),
    "ten": _layout("equal", 10),
}


def _studies(frames: np.ndarray, within: float, seed: int) -> Estimate:
    """Simulate speakers' means about the truth.

    A share `within` of a speaker's variance comes from its own frames and falls with their number.
    """
    rng = np.random.default_rng(seed)
    variance = 1 - within + within * frames.mean() / frames
    means = TRUTH + 0.1 * np.sqrt(variance) * rng.normal(size=(NUM_STUDIES, len(frames)))
    return ratio_of_sums(means * frames, np.broadcast_to(frames, means.shape))


def _tails(interval: Interval, truth: float = TRUTH) -> tuple[float, float]:
    return float((interval.low > truth).mean()), float((interval.high < truth).mean())


@pytest.mark.parametrize("within", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_one_sided_error_is_at_most_a_fortieth(layout: str, within: float):
    """4000 studies: each tail within 3 Monte-Carlo errors of 2.5 % from above, coverage .93-.98."""
    frames = LAYOUTS[layout]
    assert effective_number(frames) > MINIMUM_EFFECTIVE_SPEAKERS
    interval = t_interval(uncertain(_studies(frames, within, seed=5)), 0.95)
    tails = _tails(interval)
    assert max(tails) < 0.025 + 3.5 * SE_OF_A_TAIL
    assert 0.93 < 1 - sum(tails) < 0.98


def test_speakers_taken_as_equal_cover_too_rarely():
    """The trap: SD of influences times sqrt(S / (S - 1)), S - 1 df, covers .87 with a third."""
    estimate = _studies(LAYOUTS["a third"], 0.0, seed=6)
    plain = (estimate.influence**2).sum(-1) * 51 / 50
    quantity = uncertain(estimate)._replace(se=np.sqrt(plain), df=np.full(NUM_STUDIES, 50.0))
    assert 1 - sum(_tails(t_interval(quantity, 0.95))) < 0.90


def test_a_speaker_with_half_of_the_frames_leaves_too_few_effective_speakers():
    """Its n_eff is 1 / (1/4 + 1/200) = 3.9, below the 5 that an interval needs."""
    assert effective_number(_layout("half")) == pytest.approx(3.92, abs=0.01)
    assert effective_number(_layout("half")) < MINIMUM_EFFECTIVE_SPEAKERS


# SD of seed, speaker and rest in nats: speech SM-F, table SM-SMx, var1 SM-F, no seed effect.
COMPONENTS = {
    "speech": (0.14, 0.14, 0.19),
    "table": (0.27, 0.06, 0.08),
    "var1": (0.006, 0.007, 0.010),
}


def _crossed(components: tuple[float, float, float], num_seeds: int, num_speakers: int) -> Estimate:
    rng = np.random.default_rng(num_seeds * num_speakers)
    seed, speaker, rest = components
    shape = (num_seeds, 10_000, num_speakers)
    gains = TRUTH + rest * rng.normal(size=shape)
    gains += seed * rng.normal(size=(num_seeds, 10_000, 1))
    gains += speaker * rng.normal(size=(1, 10_000, num_speakers))
    return ratio_of_sums(gains, np.ones(shape))


@pytest.mark.parametrize("num_speakers", [13, 51])
@pytest.mark.parametrize("num_seeds", [3, 5])
@pytest.mark.parametrize("components", COMPONENTS)
def test_two_way_interval_covers(components: str, num_seeds: int, num_speakers: int):
    """10,000 studies a case: .915 to .98, as the reference measured."""
    estimate = _crossed(COMPONENTS[components], num_seeds, num_speakers)
    low, high = _tails(t_interval(two_way(estimate), 0.95))
    assert 0.915 < 1 - low - high < 0.98


def test_speakers_alone_cover_too_rarely_where_seeds_differ():
    """The trap: one network's interval over speakers, .24 where the seed's SD is .27."""
    estimate = _crossed(COMPONENTS["table"], 3, 13)
    alone = uncertain(Estimate(*(part.mean(axis=0) for part in estimate)))
    assert 1 - sum(_tails(t_interval(alone, 0.95))) < 0.5
