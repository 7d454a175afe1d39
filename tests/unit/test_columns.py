"""A published table is what its stage declares: nothing more, nothing less, in that order."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.columns import Column, Table, choose, first_row
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import write_csv
from engram_audio.errors import InputError
from engram_audio.latents.config import SURROGATE_NAMES
from engram_audio.prediction.columns import PREDICTION
from engram_audio.report.published_tables import TABLES, table_of_file
from engram_audio.structure.columns import CURVES, LINEAR, NGRAMS, SPEAKERS, STRUCTURE
from engram_audio.structure.side_tables import curve_rows, linear_rows, ngram_rows, speaker_rows
from engram_audio.structure.structure_table import analyse
from tests.unit.structure_scores import Planted, linear_table, tables
from tests.unit.test_estimates import structure

SCORES = Table(
    "scores", "cell",
    (
        Column("key", "Its name."),
        Column("ratio", "A ratio.", has_interval=True, has_standard_error=True),
        Column("nll_q<number>", "A quantile.", has_null=True),
        Column("surrogate_<name>_gain", "A gain."),
    ),
)  # fmt: skip
NAMES = ["key", "ratio", "ratio_low", "ratio_high", "ratio_se"]


def frame(names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(np.arange(2.0 * len(names)).reshape(2, -1), columns=names)


def test_an_interval_an_error_and_a_null_are_columns_of_their_own():
    assert SCORES.names() == list(SCORES.empty().columns) == NAMES


def test_a_family_has_as_many_members_as_the_frame_gives_it():
    members = ["nll_q05", "nll_q05_null", "nll_q95", "nll_q95_null", "surrogate_a_b_gain"]
    SCORES.check([*NAMES, *members], "scores.csv")
    with pytest.raises(InputError, match=r"lacks the declared column.*nll_q95_null"):
        SCORES.check([*NAMES, *members[:3], members[4]], "scores.csv")


@pytest.mark.parametrize("name", ["nll_q", "nll_qq", "nll_q5_low", "surrogate__gain_x", "ratio_x"])
def test_what_looks_like_a_member_and_is_none_is_refused(name: str):
    with pytest.raises(InputError, match=f"undeclared column.*'{name}'"):
        SCORES.check([*NAMES, name], "scores.csv")


@pytest.mark.parametrize("lost", NAMES)
@pytest.mark.parametrize("change", ["renamed", "dropped", "moved", "twice", "added"])
def test_no_other_frame_is_written_and_nothing_is_left_behind(
    tmp_path: Path, lost: str, change: str
):
    found = frame(NAMES)
    if change == "renamed":
        found = found.rename(columns={lost: f"{lost}_new"})
    elif change == "dropped":
        found = found.drop(columns=lost)
    elif change == "moved":
        found = found.reindex(columns=[*(name for name in reversed(NAMES) if name != lost), lost])
    else:
        one = found.reindex(columns=[lost])
        added = one if change == "twice" else one.add_suffix("_new")
        found = pd.concat([found, added], axis=1)
    with pytest.raises(InputError, match=r"scores\.csv: "):
        write_csv(tmp_path / "scores.csv", found, SCORES)
    assert not list(tmp_path.iterdir())


def test_the_error_names_both_names_of_a_renamed_column():
    with pytest.raises(InputError, match=r"'ratoi'.*lacks.*'ratio'.*'ratoi' may be 'ratio'"):
        SCORES.check(["key", "ratoi", *NAMES[2:]], "scores.csv")


def test_arranging_moves_columns_and_never_values():
    moved = frame(["surrogate_a_gain", *reversed(NAMES)])
    found = SCORES.arrange(moved)
    assert list(found.columns) == [*NAMES, "surrogate_a_gain"]
    pd.testing.assert_frame_equal(found.reindex(columns=moved.columns), moved)


def test_a_table_written_by_other_code_is_refused_by_its_reader(tmp_path: Path):
    older = SCORES._replace(columns=SCORES.columns[1:])
    path = tmp_path / "scores.csv"
    write_csv(path, frame(NAMES[1:]), older)
    with pytest.raises(InputError, match=r"scores\.csv: lacks the declared column\(s\) 'key'"):
        read_csv(path, SCORES)


def test_a_table_that_no_stage_publishes_is_refused():
    with pytest.raises(InputError, match=r"notes\.csv: no stage publishes this table"):
        table_of_file("notes.csv")


@pytest.mark.parametrize(("name", "near"), [("lag", "lag_frames"), ("part_", "part")])
def test_a_filter_by_an_absent_column_raises_with_the_nearest_name(name: str, near: str):
    with pytest.raises(InputError, match=f"no column '{name}'; did you mean '{near}'"):
        choose(LINEAR.empty(), **{name: 2})


def test_a_filter_keeps_the_rows_that_agree():
    found = pd.DataFrame({"lag": [1, 2, 2], "part": ["a", "a", "b"]})
    assert list(choose(found, lag=2).index) == [1, 2]
    assert list(choose(found, lag=[1, 2], part="a").index) == [0, 1]


@pytest.mark.parametrize("rows", [0, 1])
def test_a_row_knows_its_columns_with_rows_and_without(rows: int):
    row = first_row(frame(NAMES).head(rows))
    assert list(row) == NAMES and np.isnan(row["key"]) == (rows == 0)
    with pytest.raises(KeyError):
        row["ratoi"]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_accepts_its_own_columns(name: str):
    table = TABLES[name]
    table.check(list(table.empty().columns), name)


def test_members_of_families_of_predictions_stand_together():
    members = ["nll_q05", "explained_pc_1_8", "explained_pc_1_8_null",
               "surrogate_phase_randomized_gain_nats"]  # fmt: skip
    names = PREDICTION.names([*PREDICTION.names(), *members])
    assert len(names) == len(PREDICTION.names()) + len(members)
    assert names.index("explained_pc_1_8_null") == names.index("explained_pc_1_8") + 1


def named(table: pd.DataFrame) -> pd.DataFrame:
    """What the step adds to the rows of a representation."""
    return table.assign(representation="x", split_seed=0)


def test_the_stage_publishes_what_it_declares():
    """The structure stage's own functions; the others arrange inside theirs."""
    scores, keys = tables(Planted())
    analysed = analyse(scores, keys)
    place = {"key": "a", "lag_frames": 1, "slice": "all", "part": "eval", "speaker_id": "s"}
    sums = {"num_frames": 9, "sse_residual": 1.0, "sse_total": 2.0}
    curves = pd.DataFrame([{**place, "matching": "plain", "kept_fraction": 0.5, **sums}])
    grams = pd.DataFrame([{"key": "a", "order": 1, "minimum_count": 1, "part": "eval",
                           "num_ngrams": 4, "num_covered": 2}])  # fmt: skip
    surrogates = {kind: Planted() for kind in SURROGATE_NAMES}
    STRUCTURE.arrange(named(structure(Planted(), surrogates)))
    LINEAR.arrange(named(linear_rows(linear_table(), 0.95)))
    CURVES.arrange(named(curve_rows(curves, 0.95)))
    NGRAMS.arrange(named(ngram_rows(grams)))
    SPEAKERS.arrange(named(speaker_rows(analysed)))
