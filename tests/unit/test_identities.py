"""One person has one id, and two people keep two."""

import itertools

import pandas as pd
import pytest

from engram_audio.artifacts.external_arrays import read_array_table
from engram_audio.corpus.identities import identity_key, require_distinct
from engram_audio.corpus.splits import make_splits
from engram_audio.corpus.utterances import AudioFacts, build_index
from engram_audio.errors import InputError

SPELLINGS = [
    ("1", "01", "1.0", "1.", "001", " 1 ", "1.00", "\N{FULLWIDTH DIGIT ONE}"),
    ("84", "0084", "84.0", "0084.0"),
    ("s1", "S1", " s1", "s1\t", "s01", "S001"),
    ("spk_1", "spk_01", "SPK_001"),
    ("0", "00", "0.0"),
    ("e\u0301", "\u00e9", "\u00c9", "E\u0301"),  # an accent of its own, and letters with it
    ("stra\N{LATIN SMALL LETTER SHARP S}e", "STRASSE"),
    ("p225-a", "P225-A"),
    ("\N{LATIN SMALL LIGATURE FI}n", "fin"),
]  # fmt: skip
DIFFERENT = (
    "1", "10", "100", "11", "1-2", "1-20", "12", "1.1", "1.10", "1.01", "2.0.1", "2.0", "s1", "s10",
    "s1a", "1s", "spk1", "spk_1", "spk-1", "spk.1", "0x1", "a0b", "ab", "-1", "1e0",
)  # fmt: skip


@pytest.mark.parametrize("names", SPELLINGS, ids=lambda names: names[0])
def test_spellings_of_one_id_share_a_key(names: tuple[str, ...]):
    assert len({identity_key(name) for name in names}) == 1
    for one, two in itertools.combinations(names, 2):
        with pytest.raises(InputError, match=r"t\.csv: the speaker ids .* and .* are one id; mend"):
            require_distinct("t.csv", "speaker", [one, two, one, "other"], "mend")


def test_ids_that_may_be_two_people_stay_two():
    assert len({identity_key(name) for name in DIFFERENT}) == len(DIFFERENT)
    require_distinct("t.csv", "speaker", [*DIFFERENT, *DIFFERENT], "mend")
    require_distinct("t.csv", "speaker", map(str, range(2000)), "mend")


def test_a_key_is_its_own_key():
    for name in (*itertools.chain(*SPELLINGS), *DIFFERENT):
        assert identity_key(identity_key(name)) == identity_key(name)


@pytest.mark.parametrize("names", SPELLINGS, ids=lambda names: names[0])
@pytest.mark.parametrize("column", ["speaker_id", "utterance_id"])
def test_a_table_of_arrays_names_both_ids(tmp_path, names: tuple[str, ...], column: str):
    other = "utterance_id" if column == "speaker_id" else "speaker_id"
    path = tmp_path / "table.csv"
    values = [f"x{'abc'[n]}" for n in range(2)] if column == "speaker_id" else ["p", "p"]
    pd.DataFrame({column: names[:2], other: values}).to_csv(path, index=False)
    kind = column.removesuffix("_id")
    with pytest.raises(InputError, match=rf"table\.csv: the {kind} ids .* are one id; write every"):
        read_array_table(path)


def fact(speaker: str, name: str) -> AudioFacts:
    path = f"s/{speaker}/1/{name}.flac"
    return AudioFacts(path, path, None, "", 16000, 1, 16000 * 5, path)


def index(facts: list[AudioFacts], sexes: dict[str, str]) -> pd.DataFrame:
    return build_index("root", facts, sexes, {}, 1.0).utterances


def test_folders_of_one_person_are_refused_and_so_is_another_spelling_in_the_list():
    """84 in the folders and 0084 in SPEAKERS.TXT: the sex would be lost without a word."""
    with pytest.raises(InputError, match="root: the speaker ids '0084' and '84' are one id; give"):
        index([fact("84", "a"), fact("0084", "b")], {})
    with pytest.raises(InputError, match="root: the speaker ids '0084' and '84' are one id; give"):
        index([fact("84", "a")], {"0084": "F"})
    with pytest.raises(InputError, match="root: the utterance ids 'A' and 'a' are one id; rename"):
        index([fact("84", "a"), fact("85", "A")], {})
    # people of the list who have no audio here are nobody's business
    assert index([fact("84", "a")], {"84": "F", "7": "M", "07": "M"})["sex"].tolist() == ["F"]


def test_no_split_is_drawn_over_two_ids_of_one_person():
    speakers = ["1", "2", "3", "4", "01"]
    table = pd.DataFrame({
        "utterance_id": [f"u{n}" for n in range(5)], "speaker_id": speakers, "sex": "F",
        "duration_s": 1.0,
    })  # fmt: skip
    with pytest.raises(InputError, match="'01' and '1' are one id; one person would be in train"):
        make_splits(table, 0.5, 0.2, 0.1, 0)
