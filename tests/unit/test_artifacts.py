"""Artifacts are whole or absent, versioned, and refused with one line otherwise."""

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.checksum import checksum_path
from engram_audio.artifacts.columns import Column, Table
from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import read_table, read_table_manifest, write_csv, write_table
from engram_audio.errors import InputError

FRAME = pd.DataFrame({"utterance_id": ["a", "b"], "num_frames": [3, 4]})
PLAIN = Table("a", "row", tuple(Column(name, "A column.") for name in FRAME.columns))


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path):
    target = tmp_path / "x.json"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("killed")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_json_round_trip_and_version(tmp_path: Path):
    write_json(tmp_path / "x.json", {"a": [1, 2.5, None]})
    assert read_json(tmp_path / "x.json")["a"] == [1, 2.5, None]
    with pytest.raises(InputError, match="schema_version 1, but this code reads 2"):
        read_json(tmp_path / "x.json", schema_version=2)


def test_nan_never_enters_json(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]"])
def test_damaged_json_is_refused_with_the_file_name(tmp_path: Path, content: bytes):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json"):
        read_json(path)


def test_table_round_trip_keeps_the_manifest_and_the_bytes(tmp_path: Path):
    for name in ("a.parquet", "b.parquet"):
        write_table(tmp_path / name, FRAME, {"step": "test"})
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet", ["num_frames"]), FRAME)
    assert read_table_manifest(tmp_path / "a.parquet")["step"] == "test"
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_missing_column_or_file_or_a_truncated_table_is_refused(tmp_path: Path):
    path = tmp_path / "a.parquet"
    with pytest.raises(InputError, match="no such file"):
        read_table(path, [])
    write_table(path, FRAME, {})
    with pytest.raises(InputError, match="lacks the column"):
        read_table(path, ["speaker_id"])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"a\.parquet: not a readable parquet"):
        read_table(path, [])


def test_csv_keeps_nine_significant_digits(tmp_path: Path):
    write_csv(tmp_path / "a.csv", pd.DataFrame({"x": [1 / 3]}), Table("a", "", (Column("x", ""),)))
    assert (tmp_path / "a.csv").read_text() == "x\n0.333333333\n"


@pytest.mark.parametrize(
    "damage", [('"a": 1e100', '"a": 1e500'), ('"a"', '"b"'), ('"a": 1e100', '"a": ' + "9" * 5000)]
)
def test_a_document_with_any_other_number_is_refused(tmp_path: Path, damage: tuple[str, str]):
    """Infinity and a number of 5,000 digits are refused like any other value."""
    path = tmp_path / "x.json"
    write_json(path, {"a": 1e100})
    path.write_text(path.read_text().replace("1e+100", "1e100").replace(*damage))
    with pytest.raises(InputError, match=r"x\.json: (differs|not JSON)"):
        read_json(path)


def test_a_document_with_whole_numbers_as_keys_is_read_back(tmp_path: Path):
    """JSON turns keys into text and sorts them as text: the digest is that of what is read."""
    write_json(tmp_path / "x.json", {"by_lag": {2: 0.5, 10: 1.5, 1: 2.5}})
    assert read_json(tmp_path / "x.json")["by_lag"] == {"1": 2.5, "10": 1.5, "2": 0.5}


def test_any_change_of_a_table_is_refused(tmp_path: Path):
    """One digest over the whole file: statistics, names, types and values alike."""
    path = tmp_path / "a.parquet"
    write_table(path, FRAME, {"step": "test"})
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(InputError, match=r"a\.parquet: (differs|not a readable parquet)"):
            read_table(path, [])
    FRAME.to_parquet(path)
    with pytest.raises(InputError, match="no digest at its end: cut short, or written by another"):
        read_table(path, [])


def test_a_published_table_needs_the_checksum_beside_it(tmp_path: Path):
    path = tmp_path / "a.csv"
    write_csv(path, FRAME, PLAIN, {"step": "test"})
    pd.testing.assert_frame_equal(read_csv(path, PLAIN), FRAME)
    if shutil.which("sha256sum"):
        command = ["sha256sum", "-c", "--strict", "a.csv.sha256"]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    path.write_text(path.read_text().replace("3", "4"))
    with pytest.raises(InputError, match=r"a\.csv: differs from what was written .* delete it"):
        read_csv(path, PLAIN)
    checksum_path(path).unlink()
    with pytest.raises(InputError, match=r"a\.csv: a\.csv\.sha256 is missing beside it; delete it"):
        read_csv(path, PLAIN)
