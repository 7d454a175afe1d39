"""The demo corpus: the plan is deterministic, the same text gives the same bits in any order."""

import re
from collections import Counter
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

import engram_audio.corpus
from engram_audio.artifacts.demo_tree import espeak_variants, require_own_root, write_texts
from engram_audio.corpus.demo_speech import (
    SAMPLE_RATE_HZ,
    check_voices,
    parse_sentences,
    plan_demo_speech,
    synthesize,
)
from engram_audio.corpus.demo_voices import VOICES
from engram_audio.corpus.espeak import EspeakError, speak
from engram_audio.corpus.librispeech import parse_speakers, parse_transcripts
from engram_audio.errors import InputError

LIBRARY, DATA = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
SENTENCES_FILE = Path(engram_audio.corpus.__file__).parent / "demo_sentences.txt"
SENTENCES = parse_sentences(SENTENCES_FILE.read_text(encoding="utf-8"), SENTENCES_FILE.name)


def test_there_are_sentences_enough():
    assert len(SENTENCES) >= 120


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("too short to read\n", "sentence 1"),
        ("nine words that are well but not plain ascii\u00e9 here\n", "sentence 1"),
        ("one two three four five six seven eight\n" * 2, "twice"),
    ],
)
def test_bad_sentences_are_named(text: str, message: str):
    with pytest.raises(InputError, match=message):
        parse_sentences(text, "sentences.txt")


def test_voices_differ_exist_and_are_balanced():
    assert len({(v.variant, v.pitch) for v in VOICES}) == len(VOICES) == 48
    check_voices(plan_demo_speech(SENTENCES, 48, 1, seed=0), espeak_variants())
    for count in (24, 32, 48):
        assert Counter(v.sex for v in VOICES[:count]) == {"F": count / 2, "M": count / 2}
    # human speakers only
    assert not any(re.search("robo|whisper|croak|demon", v.variant, re.I) for v in VOICES)


def test_a_missing_variant_is_refused():
    """espeak-ng would take the base voice and say nothing."""
    plan = plan_demo_speech(SENTENCES, 24, 1, seed=0)
    variants = set(espeak_variants()) - {VOICES[3].variant}
    with pytest.raises(InputError, match=VOICES[3].variant):
        check_voices(plan, variants)


def test_a_plan_gives_each_speaker_its_own_texts():
    plan = plan_demo_speech(SENTENCES, 32, 12, seed=0)
    assert len(plan) == 384 == len({u.utterance_id for u in plan})
    assert plan == plan_demo_speech(SENTENCES, 32, 12, seed=0)
    assert plan != plan_demo_speech(SENTENCES, 32, 12, seed=1)
    # speakers do not depend on how many others there are
    assert [u for u in plan if u.speaker_id < "1025"] == plan_demo_speech(SENTENCES, 24, 12, seed=0)
    for speaker in ("1001", "1032"):
        assert len({u.text for u in plan if u.speaker_id == speaker}) == 12


def test_all_sentences_are_read_before_one_comes_again():
    plan = [u for u in plan_demo_speech(SENTENCES, 1, 200, seed=0)]
    spoken = [s for u in plan for s in re.findall(r"[^.]+\.", u.text)]
    counts = Counter(sentence.strip() for sentence in spoken)
    assert set(counts) == set(SENTENCES)
    # sentences that fit no gap wait, so a round may overlap the next by one utterance
    assert max(counts.values()) <= len(spoken) // len(SENTENCES) + 2


def test_transcripts_are_capitals_and_apostrophes():
    plan = plan_demo_speech(SENTENCES, 24, 12, seed=0)
    assert all(re.fullmatch(r"[A-Z']+( [A-Z']+)*", u.transcript) for u in plan)
    assert any("'" in u.transcript for u in plan)


def test_the_same_text_gives_the_same_bits_in_any_order():
    """espeak-ng itself does not: it keeps state and seeds itself from the clock."""
    plan = plan_demo_speech(SENTENCES, 24, 1, seed=0)[:6]
    forward = [synthesize(u, LIBRARY, DATA) for u in plan]
    backward = [synthesize(u, LIBRARY, DATA) for u in plan[::-1]][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert all(2.5 < len(a) / SAMPLE_RATE_HZ < 12 for a in forward)
    assert all(np.abs(a).max() > 1000 for a in forward)


def test_the_seed_reaches_a_voice_that_draws_numbers():
    """f2 is rough by random numbers: another seed sounds another way, the same one the same."""

    def say(seed: int) -> np.ndarray:
        return speak(SENTENCES[0], "en-us+f2", 121, 50, seed, LIBRARY, DATA).samples

    assert np.array_equal(say(1), say(1))
    assert not np.array_equal(say(1), say(2))


def test_a_wrong_voice_or_library_is_an_error_of_one_line():
    for voice, library, data in (
        ("nonsense", LIBRARY, DATA),
        ("en-us", "/nowhere.so", DATA),
    ):
        with pytest.raises(EspeakError) as caught:
            speak("hello", voice, 150, 50, 0, library, data)
        assert "\n" not in str(caught.value)


def test_texts_have_the_layout(tmp_path: Path):
    plan = plan_demo_speech(SENTENCES, 24, 2, seed=0)
    files = write_texts(str(tmp_path), plan, [5.0] * len(plan))
    assert len(files) == 25
    sexes = parse_speakers((tmp_path / "SPEAKERS.TXT").read_text())
    assert Counter(sexes.values()) == {"F": 12, "M": 12}
    lines = parse_transcripts(
        (tmp_path / "demo-speech/1001/10011/1001-10011.trans.txt").read_text()
    )
    assert lines == {u.utterance_id: u.transcript for u in plan if u.speaker_id == "1001"}
    require_own_root(tmp_path)


@pytest.mark.parametrize("name", ["SPEAKERS.TXT", "train-clean-100/x.flac", "notes.txt"])
def test_another_corpus_is_never_written_to(tmp_path: Path, name: str):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("14 | F | train-clean-100 | 25 | A\n")
    with pytest.raises(InputError, match="folder of its own"):
        require_own_root(tmp_path)
