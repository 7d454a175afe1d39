"""Which analysis a table is of, and what corpora publish."""

from pathlib import Path

import pandas as pd
import pytest

from engram_audio.artifacts.identity import Analysis, Scored, read_identity
from engram_audio.artifacts.published import read_cells, read_csv
from engram_audio.artifacts.structure_tables import group_by_analysis
from engram_audio.artifacts.table import read_table, write_csv, write_table
from engram_audio.corpus.columns import EXCLUSIONS
from engram_audio.corpus.corpus_tables import (
    corpus_rows,
    corpus_table,
    exclusion_rows,
    representation_row,
)
from engram_audio.errors import InputError
from engram_audio.structure import key_tables

UTTERANCES = pd.DataFrame(
    {
        "utterance_id": ["a-1", "a-2", "b-1", "c-1", "d-1"],
        "speaker_id": ["a", "a", "b", "c", "d"],
        "sex": ["F", "F", "M", "unknown", "F"],
        "duration_s": [3.0, 4.0, 5.0, 6.0, 7.0],
    }
)
SPLITS = {
    0: pd.DataFrame(
        {
            "utterance_id": UTTERANCES["utterance_id"],
            "split": ["train", "val", "train", "eval", "select"],
        }
    )
}
HOSTILE = '<script>alert("x")</script>, "quoted"\nnew line; =1+1'


COLUMNS = {
    name: value for name, value in vars(key_tables).items() if name.endswith("_COLUMNS")
    and isinstance(value, tuple)
}  # fmt: skip


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
def test_a_table_without_rows_keeps_text_apart_from_numbers(tmp_path: Path, columns: tuple):
    """A family too fine for its frames scores no key; the page filters its tables all the same."""
    path = tmp_path / "cells.parquet"
    write_table(path, key_tables.TableBuilder(columns).frame(), {})
    found = read_table(path, columns)
    assert len(found) == 0
    assert [name for name in columns if pd.api.types.is_numeric_dtype(found[name])] == [
        name for name in columns if name not in key_tables.TEXT_COLUMNS
    ]
    if "slice" in columns and "lag_frames" in columns:
        for drawn in (["pca.raw.kmeans_256"], []):  # no key is drawn where none could be chosen
            assert len(read_cells(path, drawn, 1, "all")) == 0


def written(path: Path, **identity: str) -> Path:
    write_table(path, pd.DataFrame({"a": [1]}), {"identity": identity})
    return path


def test_tables_are_grouped_by_what_their_manifests_name(tmp_path: Path):
    """Whatever their paths say."""
    one = {"representation": "mimi--var", "split_seed": "3"}
    paths = [
        written(tmp_path / "structure" / "mel" / "split-0" / f"{family}.parquet", **one)
        for family in ("pca", "last_frame")
    ]
    other = written(tmp_path / "x.parquet", representation="mel", split_seed="0", family="pca")
    grouped = group_by_analysis([paths[0], other, paths[1]])
    assert grouped == {("mimi--var", 3): paths, ("mel", 0): [other]}


def test_identity_has_its_types_and_defaults(tmp_path: Path):
    path = written(tmp_path / "a.parquet", representation="mel", lag="2", seed="1", head="flow")
    assert read_identity(path, Scored) == ("mel", 1, "flow", 2)
    path = written(tmp_path / "b.parquet", representation="mel", seed="1")
    assert read_identity(path, Scored) == ("mel", 1, "", 0)


def test_a_manifest_that_names_too_little_is_refused_in_one_line(tmp_path: Path):
    path = written(tmp_path / "a.parquet", representation="mel")
    with pytest.raises(InputError, match=r"a\.parquet: .*split_seed.*delete it") as caught:
        read_identity(path, Analysis)
    assert "\n" not in str(caught.value)


def test_corpus_rows_count_every_utterance_once_per_split():
    exclusions = pd.DataFrame({"path": ["x", "y"], "is_kept": [False, True]})
    rows = corpus_table(corpus_rows("demo", UTTERANCES, exclusions, SPLITS))
    whole, parts = rows.iloc[0], rows.iloc[1:]
    assert list(parts["split"]) == ["train", "val", "select", "eval"]
    assert parts["num_utterances"].sum() == whole["num_utterances"] == 5
    assert parts["duration_s"].sum() == pytest.approx(whole["duration_s"])
    assert whole["num_speakers"] == 4
    assert (whole["num_female_speakers"], whole["num_male_speakers"]) == (2, 1)
    assert whole["num_excluded"] == 1, "a note about a file that stays is no exclusion"


def test_representation_row_has_frames_and_rate():
    summary = {
        "metadata": {"frame_rate_hz": 12.5, "num_dims": 32}, "num_speakers": 3,
        "num_utterances": 4, "num_frames": 100, "excluded": [{}],
        "repeated_frame_share": 0.01, "silent_frame_share": None,
        "near_copies": {"utterance_share": 0.0, "pairs": []},
    }  # fmt: skip
    row = corpus_table([representation_row("mimi", "demo", summary)]).iloc[0]
    assert (row["num_frames"], row["frame_rate_hz"], row["num_excluded"]) == (100, 12.5, 1)


def test_exclusions_keep_untrusted_text_as_it_is(tmp_path: Path):
    corpus = pd.DataFrame(
        {
            "path": [HOSTILE], "utterance_id": [None], "speaker_id": ["007"],
            "reason": ["unsafe_name"], "detail": ["nan"], "is_kept": [False],
        }
    )  # fmt: skip
    lost = {"utterance_id": "a-1", "speaker_id": "a", "reason": "zero_variance", "detail": "all"}
    table = exclusion_rows({"demo": corpus}, {"mimi": ("demo", {"excluded": [lost]})})
    path = tmp_path / "exclusions.csv"
    write_csv(path, table, EXCLUSIONS)
    read = read_csv(path, EXCLUSIONS)
    assert read["path"].iloc[0] == HOSTILE
    assert read["detail"].iloc[0] == "nan"
    assert read["representation"].iloc[1] == "mimi" and read["reason"].iloc[1] == "zero_variance"


def test_no_exclusions_leave_a_table_with_its_header(tmp_path: Path):
    empty = pd.DataFrame({"path": [], "utterance_id": [], "speaker_id": [], "reason": []})
    write_csv(tmp_path / "exclusions.csv", exclusion_rows({"demo": empty}, {}), EXCLUSIONS)
    assert list(read_csv(tmp_path / "exclusions.csv", EXCLUSIONS).columns)[:2] == [
        "corpus",
        "representation",
    ]
