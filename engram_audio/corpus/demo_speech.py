"""The demo corpus: sentences of our own, read by espeak-ng voices.

It exists so that everything runs offline. Rule-made prosody and a synthetic source say that the
plumbing works, not how people speak, and no verdict drawn from it is about speech. Voices share
sentences, as readers of one book would.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import soxr

from engram_audio.corpus.demo_voices import VOICES, Voice
from engram_audio.corpus.espeak import speak
from engram_audio.errors import InputError
from engram_audio.numerics.seeds import named_generator

SUBSET = "demo-speech"
SAMPLE_RATE_HZ = 16000
FIRST_SPEAKER = 1001
# Of a text by its number of words, seconds; words differ in length, so the audio is within a fifth.
SHORTEST_TEXT_S, LONGEST_TEXT_S = 4.2, 9.2
MINIMUM_WORDS, MAXIMUM_WORDS = 8, 20


class DemoUtterance(NamedTuple):
    """One utterance to synthesise.

    Attributes:
        utterance_id: `<speaker>-<chapter>-<number>`.
        speaker_id: Digits, as in LibriSpeech.
        chapter_id: The speaker's one chapter.
        text: Sentences with punctuation, as spoken.
        voice: Who speaks.
        seed: Of espeak-ng, below 2**31.
    """

    utterance_id: str
    speaker_id: str
    chapter_id: str
    text: str
    voice: Voice
    seed: int

    @property
    def folder(self) -> str:
        """Folder of the audio, relative to the corpus's root."""
        return f"{SUBSET}/{self.speaker_id}/{self.chapter_id}"

    @property
    def transcript(self) -> str:
        """The text as LibriSpeech writes it: capitals, apostrophes, no other punctuation."""
        kept = (c if c.isalpha() or c in "' " else " " for c in self.text.upper())
        return " ".join("".join(kept).split())


def parse_sentences(text: str, source: str) -> list[str]:
    """Return the sentences of a text, one on each line.

    Raises:
        InputError: A line is not 8 to 20 ASCII words, or occurs twice.
    """
    sentences = [line.strip() for line in text.splitlines() if line.strip()]
    for number, sentence in enumerate(sentences, start=1):
        if not MINIMUM_WORDS <= len(sentence.split()) <= MAXIMUM_WORDS or not sentence.isascii():
            raise InputError(
                f"{source}: sentence {number} is not {MINIMUM_WORDS} to {MAXIMUM_WORDS} words in "
                "ASCII; change it"
            )
    if len(set(sentences)) < len(sentences):
        raise InputError(f"{source}: a sentence occurs twice; remove one")
    return sentences


def plan_demo_speech(
    sentences: Sequence[str], num_speakers: int, num_utterances_per_speaker: int, seed: int
) -> list[DemoUtterance]:
    """Decide who says what; a speaker's plan depends on no other speaker.

    Args:
        sentences: At least enough to make one utterance of 4 s.
        num_speakers: At most the number of voices.
        num_utterances_per_speaker: Utterances of each.
        seed: Seed of the order of sentences and of the synthesis.

    Raises:
        InputError: There are not so many voices.
    """
    if num_speakers > len(VOICES):
        raise InputError(f"num_speakers: {num_speakers}, but there are {len(VOICES)} voices")
    plan = []
    for number, voice in enumerate(VOICES[:num_speakers]):
        speaker = str(FIRST_SPEAKER + number)
        chapter = f"{speaker}1"
        generator = named_generator(seed, "demo_speech", speaker)
        texts = _texts(sentences, voice.words_per_minute, generator)
        for index in range(num_utterances_per_speaker):
            plan.append(
                DemoUtterance(
                    utterance_id=f"{speaker}-{chapter}-{index:04d}",
                    speaker_id=speaker,
                    chapter_id=chapter,
                    text=next(texts),
                    voice=voice,
                    seed=int(generator.integers(2**31)),
                )
            )
    return plan


def _texts(
    sentences: Sequence[str], words_per_minute: int, generator: np.random.Generator
) -> Iterator[str]:
    """Yield texts of one or more sentences; all sentences are used before one comes again."""
    waiting: list[str] = []
    while True:
        text: list[str] = []
        while _text_s(text, words_per_minute) < SHORTEST_TEXT_S:
            if len(waiting) < len(sentences):
                waiting += [sentences[int(i)] for i in generator.permutation(len(sentences))]
            chosen = waiting.pop(_first_that_fits(text, waiting, words_per_minute))
            text.append(chosen)
        yield " ".join(text)


def _first_that_fits(text: list[str], waiting: list[str], words_per_minute: int) -> int:
    for index, sentence in enumerate(waiting):
        if sentence not in text and _text_s([*text, sentence], words_per_minute) <= LONGEST_TEXT_S:
            return index
    return 0


def _text_s(text: list[str], words_per_minute: int) -> float:
    return 60.0 * sum(len(sentence.split()) for sentence in text) / words_per_minute


def check_voices(plan: Sequence[DemoUtterance], variants: Collection[str]) -> None:
    """Check that espeak-ng has the variants, which it would replace silently.

    Args:
        plan: What will be spoken.
        variants: Names of the files in `voices/!v`.

    Raises:
        InputError: One is missing.
    """
    missing = sorted({utterance.voice.variant for utterance in plan} - set(variants))
    if missing:
        raise InputError(
            f"espeak-ng: this build has no voice variant {', '.join(missing)}; install "
            "espeakng-loader in the range that pyproject.toml asks for"
        )


def synthesize(utterance: DemoUtterance, library_path: str, data_path: str) -> np.ndarray:
    """Return the utterance's waveform, int16 at 16 kHz, shape [num_samples].

    Args:
        utterance: What to say.
        library_path: Shared library of espeak-ng.
        data_path: Its `espeak-ng-data` folder.
    """
    voice = utterance.voice
    speech = speak(
        utterance.text,
        f"en-us+{voice.variant}",
        voice.rate,
        voice.pitch,
        utterance.seed,
        library_path,
        data_path,
    )
    samples = speech.samples.astype(np.float64)
    waveform = np.asarray(
        soxr.resample(samples, speech.sample_rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    )
    return np.clip(np.rint(waveform), -32768, 32767).astype(np.int16)
