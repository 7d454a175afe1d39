"""Sorting files into utterances and exclusions: each file is in one of the two, with its reason."""

import pandas as pd
import pytest

from engram_audio.corpus.utterances import (
    AudioFacts,
    Exclusion,
    Transcript,
    build_index,
    count_reasons,
    majority_rate,
    name_problem,
    printable,
    require_utterances,
    seconds_by_speaker,
)
from engram_audio.errors import InputError

RATE = 16000


def fact(path: str, seconds: float = 5.0, rate: int = RATE, **changes: object) -> AudioFacts:
    good = AudioFacts(
        path, "f" + path, None, "", rate, 1, int(seconds * rate), pcm_sha256=f"pcm of {path}"
    )
    return good._replace(**changes)


def path(speaker: str, number: int) -> str:
    return f"s/{speaker}/{speaker}1/{speaker}-{speaker}1-{number:04d}.flac"


def index(facts: list[AudioFacts], sexes: dict[str, str] | None = None, **arguments: object):
    known = {"7": "F", "8": "M"} if sexes is None else sexes
    return build_index("root", facts, known, arguments.pop("transcripts", {}), 3.0, **arguments)  # type: ignore[arg-type]


def reasons(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["path"], table["reason"], strict=True))


def test_a_row_says_what_the_file_is():
    transcripts = {"7-71-0001": Transcript("s/7/71/7-71.trans.txt", "HELLO")}
    tables = index([fact(path("7", 1), 4.5)], transcripts=transcripts)
    assert tables.utterances.iloc[0].to_dict() == {
        "utterance_id": "7-71-0001",
        "speaker_id": "7",
        "sex": "F",
        "duration_s": 4.5,
        "sample_rate_hz": RATE,
        "num_samples": 72000,
        "audio_path": "root/s/7/71/7-71-0001.flac",
        "transcript": "HELLO",
        "pcm_sha256": f"pcm of {path('7', 1)}",
    }
    assert len(tables.exclusions) == 0
    assert list(tables.exclusions) == list(Exclusion._fields)


def test_each_problem_has_its_reason_and_no_file_is_lost():
    facts = [
        fact(path("7", 0)),
        fact(path("7", 1), failure="corrupt", detail="x"),
        fact(path("7", 2), num_channels=2, num_samples=0, pcm_sha256=None),
        fact(path("7", 3), rate=8000),
        fact(path("7", 4), seconds=2.999),
        fact(path("7", 5), pcm_sha256=f"pcm of {path('7', 0)}"),
        fact(path("8", 0)),
        fact("t/8/81/7-71-0000.flac"),
    ]
    tables = index(facts)
    assert reasons(tables.exclusions) == {
        path("7", 1): "corrupt",
        path("7", 2): "stereo",
        path("7", 3): "wrong_rate",
        path("7", 4): "too_short",
        path("7", 5): "duplicate",
        "t/8/81/7-71-0000.flac": "duplicate_id",
    }
    assert set(tables.utterances["utterance_id"]) == {"7-71-0000", "8-81-0000"}
    assert len(tables.utterances) + len(tables.exclusions) == len(facts)
    assert all(tables.exclusions["detail"])


def test_row_order_of_files_does_not_matter():
    facts = [fact(path(s, n), pcm_sha256=str(n // 2)) for s in "78" for n in range(4)]
    forward, backward = index(facts), index(facts[::-1])
    pd.testing.assert_frame_equal(forward.utterances, backward.utterances)
    pd.testing.assert_frame_equal(forward.exclusions, backward.exclusions)


def test_an_excluded_file_makes_no_duplicate():
    """A copy of a file that is excluded (here: too short) is excluded for itself, not as a copy."""
    facts = [fact(path("7", n), seconds=1.0, pcm_sha256="same") for n in range(2)]
    assert set(index(facts).exclusions["reason"]) == {"too_short"}


def test_exactly_the_minimum_is_long_enough():
    assert len(index([fact(path("7", 0), seconds=3.0)]).utterances) == 1


def test_an_unlisted_speaker_is_kept_and_noted():
    tables = index([fact(path("7", 0)), fact(path("9", 0))])
    assert tables.utterances["sex"].tolist() == ["F", "unknown"]
    note = tables.exclusions.iloc[0]
    assert (note["reason"], note["speaker_id"], note["is_kept"]) == ("no_speaker_entry", "9", True)


def test_a_missing_transcript_excludes_nothing_and_missing_audio_is_listed():
    transcripts = {"7-71-0009": Transcript("s/7/71/7-71.trans.txt", "WHERE")}
    tables = index([fact(path("7", 0))], transcripts=transcripts)
    assert tables.utterances["transcript"].isna().tolist() == [True]
    row = tables.exclusions.iloc[0]
    assert (row["reason"], row["utterance_id"]) == ("missing_audio", "7-71-0009")


def test_majority_counts_usable_mono_files_only():
    broken = [fact(path("7", n), rate=8000, failure="corrupt") for n in range(5)]
    stereo = [fact(path("7", n), rate=8000, num_channels=2) for n in range(5)]
    assert majority_rate([*broken, *stereo, fact(path("8", 0))]) == RATE
    assert majority_rate([fact("a"), fact("b", rate=24000)]) == 24000
    assert majority_rate(broken) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("s/1/2/1-2-0003.flac", None),
        ("s/1/2/1-2.trans.txt", None),
        ("s/1/2/né.flac", "non_ascii_name"),
        ("s/1/2/\udcff.flac", "non_ascii_name"),
        ("s/1/2/a b.flac", "unsafe_name"),
        ('s/1/2/"a".flac', "unsafe_name"),
        ("s/1/2/it's.flac", "unsafe_name"),
        ("s/1/2/a;rm.flac", "unsafe_name"),
        ("s/1/2/a\nb.flac", "unsafe_name"),
        ("s/1/2/<b>x.flac", "unsafe_name"),
        ("s/1/2/$(x).flac", "unsafe_name"),
        ("s/1/2/...flac", "unsafe_name"),
        ("s/1/2/a..b.flac", "unsafe_name"),
        ("s/1/2/.flac", "unsafe_name"),
        ("s/1/2/-x.flac", "unsafe_name"),
        ("s/1;/2/x.flac", "unsafe_name"),
    ],
)
def test_names_that_could_harm_are_excluded(name: str, reason: str | None):
    problem = name_problem(name)
    assert (problem.reason if problem else None) == reason
    if problem:
        text = problem.path + problem.detail
        assert text.encode("utf-8") and "\n" not in text


def test_printable_keeps_what_can_be_shown():
    assert printable("né/x") == "né/x"
    assert printable("a\nb\udcff") == r"a\nb\udcff"


def test_seconds_do_not_depend_on_row_order():
    """Exactly rounded sums: 0.1 + 0.2 + 0.3 differs from 0.3 + 0.2 + 0.1 when added in turn."""
    table = pd.DataFrame({"speaker_id": ["a"] * 3, "duration_s": [0.1, 0.2, 0.3]})
    assert seconds_by_speaker(table) == seconds_by_speaker(table.iloc[::-1]) == {"a": 0.6}


def test_an_empty_corpus_is_one_clear_line():
    tables = index([fact(path("7", n), seconds=1.0) for n in range(3)])
    with pytest.raises(InputError) as caught:
        require_utterances(tables, "corpora.mine.root", "root")
    message = str(caught.value)
    assert "corpora.mine.root" in message and "too_short 3" in message and "\n" not in message
    assert count_reasons(index([fact(path("7", 0))]).exclusions) == "nothing excluded"
