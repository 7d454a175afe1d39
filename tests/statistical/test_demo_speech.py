"""Voices of the demo corpus are different people to a simple listener."""

import itertools
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest
from scipy.fft import dct

import engram_audio.corpus
from engram_audio.corpus.demo_speech import SAMPLE_RATE_HZ, plan_demo_speech, synthesize

NUM_SPEAKERS, NUM_UTTERANCES = 32, 4
SENTENCES = Path(engram_audio.corpus.__file__).parent / "demo_sentences.txt"


def listen(samples: np.ndarray) -> np.ndarray:
    """Mean cepstrum of the loud frames: 19 numbers about the voice, few about the words."""
    width, hop = 512, 160
    starts = np.arange(0, len(samples) - width, hop)
    frames = (samples / 32768.0)[starts[:, None] + np.arange(width)] * np.hanning(width)
    power = np.abs(np.fft.rfft(frames)) ** 2
    loud = power.sum(1) > 1e-3 * power.sum(1).max()
    edges = np.geomspace(4, width // 2, 31).astype(int)  # log-spaced bands from 125 Hz
    bands = [power[loud, a : max(b, a + 1)].mean(1) for a, b in itertools.pairwise(edges)]
    cepstra = np.asarray(dct(np.log(np.stack(bands, 1) + 1e-10), norm="ortho"))
    return cepstra[:, 1:20].mean(0)


@pytest.mark.slow
def test_a_voice_is_recognised_from_other_sentences():
    """Leave one utterance out, nearest speaker mean in whitened space: at least 95 % of 128 right.

    Chance is 1 / 32. Voices of 32 readers who were one reader would be told apart no better than
    that; 95 % leaves room for 6 errors.
    """
    sentences = SENTENCES.read_text(encoding="utf-8").splitlines()
    plan = plan_demo_speech(sentences, NUM_SPEAKERS, NUM_UTTERANCES, seed=0)
    library, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    features = np.stack([listen(synthesize(u, library, data)) for u in plan])
    features = features.reshape(NUM_SPEAKERS, NUM_UTTERANCES, -1)
    within = features - features.mean(1, keepdims=True)
    features = features / np.sqrt((within**2).mean((0, 1)) * NUM_UTTERANCES / (NUM_UTTERANCES - 1))
    right = 0
    for held in range(NUM_UTTERANCES):
        means = np.delete(features, held, axis=1).mean(1)
        distance = ((features[:, held, None] - means[None]) ** 2).sum(-1)
        right += int((distance.argmin(1) == np.arange(NUM_SPEAKERS)).sum())
    assert right >= 0.95 * NUM_SPEAKERS * NUM_UTTERANCES
    assert SAMPLE_RATE_HZ == 16000
