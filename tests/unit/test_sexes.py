"""How corpora write a speaker's sex, and lists of speakers: read, or noted with what to write."""

from pathlib import Path

import numpy as np
import pytest

from engram_audio.artifacts.audio_source import AudioSource
from engram_audio.artifacts.external_arrays import read_array_table, read_arrays
from engram_audio.artifacts.librispeech_texts import read_sexes
from engram_audio.artifacts.librispeech_tree import digest_files, list_speaker_lists
from engram_audio.corpus.librispeech import SPEAKER_LISTS, parse_speakers
from engram_audio.corpus.sexes import sex_of
from engram_audio.errors import InputError
from engram_audio.latents.arrays import index_arrays

SPELLINGS = {
    "F": ("F", "f", "Female", "FEMALE", "female", "female_feminine", "F ", " f\t", "f.", "\ufefff",
          "female feminine", "Woman", "feminine"),
    "M": ("M", "m", "Male", "MALE", "male_masculine", "M ", "man", "Masculine"),
    "unknown": ("", " ", "unknown", "U", "?", "other", "nan", "NA", "N/A", "None", "non-binary",
                "do_not_wish_to_say", "transgender"),
}  # fmt: skip
# Heads and first lines as these corpora publish them.
LISTS = {
    "LibriSpeech": (
        "; a comment\n;ID  |SEX| SUBSET           |MINUTES| NAME\n"
        "14   | F | train-clean-360  | 25.03 | Kristin LeMoine\n16   | M | a | 1 | B | C | D\n",
        {"14": "F", "16": "M"},
    ),
    "LibriTTS speakers.tsv": (
        "READER\tGENDER\tSUBSET\tNAME\n14\tF\ttrain-clean-360\tKristin LeMoine\n16\tM\tdev\tAlys\n",
        {"14": "F", "16": "M"},
    ),
    "MLS metainfo.txt": (
        " SPEAKER   |   GENDER   | PARTITION  |  MINUTES   |  BOOK ID   | TITLE | CHAPTER \n"
        "  10749    |     M      |   train    |   17.876   |    7352    | One | I \n"
        "  10749    |     M      |   train    |   12.100   |    7353    | Two | II \n"
        "  1091     |     F      |    dev     |   18.2     |    9999    | One | I \n",
        {"10749": "M", "1091": "F"},
    ),
    "VCTK speaker-info.txt": (
        "ID  AGE  GENDER  ACCENTS  REGION COMMENTS\np225  23  F    English    Southern  England\n"
        "p280  24  F    French  France (mic2 files unavailable)\ns5  20  M  British\n",
        {"p225": "F", "p280": "F", "s5": "M"},
    ),
    "VCTK before 0.92": (
        "ID  AGE  GENDER  ACCENTS  REGION\n225  23  F    English    Southern  England\n",
        {"p225": "F"},
    ),
    "a CSV": ('speaker_id,age,Sex\n"a",3,Female\nb,4,MALE\n', {"a": "F", "b": "M"}),
}  # fmt: skip


@pytest.mark.parametrize("sex", SPELLINGS)
def test_every_spelling_of_a_sex_is_read(sex: str):
    assert {sex_of(text) for text in SPELLINGS[sex]} == {sex}


@pytest.mark.parametrize("text", ["femal", "1", "fm", "0", "yes", "x y"])
def test_what_is_no_spelling_is_not_guessed(text: str):
    assert sex_of(text) is None


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_speakers_are_read_as_corpora_write_them(name: str):
    text, sexes = LISTS[name]
    assert parse_speakers(text) == sexes
    assert parse_speakers("\ufeff" + text.replace("\n", "\r\n")) == sexes


def source_of(root: Path) -> AudioSource:
    files = list(digest_files(str(root), list_speaker_lists(root), 1))
    return AudioSource("directory", str(root), tuple(files), ())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", [*SPEAKER_LISTS, "SPEAKERS.TXT", "Speakers.txt", "SPEAKERS.txt", "speakers.TSV"]
)
def test_a_list_is_found_whatever_its_case(tmp_path: Path, name: str):
    (tmp_path / name).write_text("1 | F\n2 | femal\n")
    sexes, notes = read_sexes(source_of(tmp_path))
    assert sexes == {"1": "F", "2": "unknown"}
    assert [(n.path, n.speaker_id, n.reason, n.is_kept) for n in notes] == [
        (name, "2", "unknown_sex", True)
    ]
    assert "'femal' is read as unknown; write F, M or unknown" in notes[0].detail


def test_two_lists_complete_and_must_not_contradict_each_other(tmp_path: Path):
    """LibriTTS has SPEAKERS.txt and speakers.tsv: what one does not know, the other may."""
    (tmp_path / "SPEAKERS.txt").write_text("1 | F\n2 | ?\n")
    (tmp_path / "speakers.tsv").write_text("READER\tGENDER\n2\tM\n3\tF\n1\tunknown\n")
    assert read_sexes(source_of(tmp_path))[0] == {"1": "F", "2": "M", "3": "F"}
    (tmp_path / "speakers.tsv").write_text("READER\tGENDER\n1\tM\n")
    with pytest.raises(InputError, match="gives speaker 1 another sex than another list"):
        read_sexes(source_of(tmp_path))


def test_spellings_in_a_table_of_arrays(tmp_path: Path):
    """The same spellings, also below `gender` and with blanks around the title."""
    texts = {"a": "Female", "b": "FEMALE", "c": "female_feminine", "d": "F ", "e": "femal", "f": ""}
    for seed, name in enumerate(texts):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(seed).normal(size=(5, 3)))
    rows = "".join(f"{name}, s{name},{text}\n" for name, text in texts.items())
    for head in ("utterance_id,speaker_id,sex", " Utterance_ID;speaker_id ;Gender"):
        (tmp_path / "t.csv").write_text(
            f"{head}\n{rows if ';' not in head else rows.replace(',', ';')}"
        )
        index = index_arrays(
            read_arrays(tmp_path, read_array_table(tmp_path / "t.csv")), 12.5, 2, "mine"
        )
        assert index.utterances["sex"].tolist() == ["F", "F", "F", "F", "unknown", "unknown"]
        notes = index.exclusions[["utterance_id", "reason", "is_kept"]].to_numpy().tolist()
        assert notes == [["e", "unknown_sex", True]]
