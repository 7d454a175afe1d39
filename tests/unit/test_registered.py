"""The gate is stamped before eval scores are read; a change after a look is told."""

from pathlib import Path
from typing import Any

import pytest

from engram_audio.artifacts.registered import (
    NAME,
    SCORES,
    count_scoring,
    history_words,
    read_history,
    stamp,
)
from engram_audio.errors import InputError

GATE: dict[str, Any] = {"lag_frames": 2, "operative_gate": {"minimum_added_fraction": 0.05}}
LOWER: dict[str, Any] = {"lag_frames": 2, "operative_gate": {"minimum_added_fraction": 0.01}}


def _scored(results: Path) -> None:
    """Judge eval scores once, as `decide` does."""
    (results / SCORES).parent.mkdir(parents=True, exist_ok=True)
    (results / SCORES).touch()
    count_scoring(results)


def test_a_gate_that_was_stamped_first_is_said_to_be_fixed_before(tmp_path: Path):
    stamp(tmp_path, GATE)
    _scored(tmp_path)
    words = history_words(read_history(tmp_path))
    assert "fixed before the first eval score was read" in words and "once since" in words


def test_a_second_run_with_the_same_gate_writes_nothing(tmp_path: Path):
    stamp(tmp_path, GATE)
    _scored(tmp_path)
    before = (tmp_path / NAME).read_bytes()
    stamp(tmp_path, GATE)
    assert (tmp_path / NAME).read_bytes() == before


def test_a_gate_that_changed_after_a_look_says_so_and_names_what_changed(tmp_path: Path):
    stamp(tmp_path, GATE)
    _scored(tmp_path)
    _scored(tmp_path)
    stamp(tmp_path, LOWER)
    words = history_words(read_history(tmp_path))
    assert "changed after a look" in words and "2 times under an earlier one" in words
    assert "decision.operative_gate.minimum_added_fraction: 0.05 -> 0.01" in words
    assert "0 times since" in words


def test_changing_back_is_a_change_too(tmp_path: Path):
    stamp(tmp_path, GATE)
    _scored(tmp_path)
    stamp(tmp_path, LOWER)
    stamp(tmp_path, GATE)
    assert "changed after a look" in history_words(read_history(tmp_path))


def test_a_change_before_any_score_is_no_change_after_a_look(tmp_path: Path):
    stamp(tmp_path, GATE)
    stamp(tmp_path, LOWER)
    _scored(tmp_path)
    assert "fixed before the first eval score" in history_words(read_history(tmp_path))


def test_a_first_stamp_beside_scores_is_late(tmp_path: Path):
    (tmp_path / SCORES).parent.mkdir(parents=True)
    (tmp_path / SCORES).touch()
    stamp(tmp_path, GATE)
    assert "changed after a look" in history_words(read_history(tmp_path))


def test_tables_of_another_folder_are_not_counted(tmp_path: Path):
    """`before_states/` has no stamp of its own, and its decision counts nothing."""
    count_scoring(tmp_path / "before_states")
    assert not (tmp_path / "before_states").exists()
    assert "Nobody stamped" in history_words(read_history(tmp_path))


def test_a_file_that_was_edited_is_one_line(tmp_path: Path):
    stamp(tmp_path, GATE)
    path = tmp_path / NAME
    path.write_text(path.read_text(encoding="utf-8").replace("0.05", "0.01"), encoding="utf-8")
    with pytest.raises(InputError, match=r"registered\.json.*delete it"):
        stamp(tmp_path, GATE)
