"""What a user brings and what becomes of it: one line with a remedy, or the same value."""

import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from engram_audio.artifacts.external_arrays import read_array_table, read_arrays
from engram_audio.config import parse_config
from engram_audio.corpus.remedies import REMEDIES, with_remedy
from engram_audio.corpus.utterances import AudioNote, ExclusionReason
from engram_audio.errors import InputError
from engram_audio.latents.arrays import ArrayIndex, index_arrays
from engram_audio.plan import Plan
from engram_audio.user_files import require_user_files
from tests import studies

NOTES = {"unreadable_transcript", "no_speaker_entry", "unknown_sex"}
ROOT = Path(__file__).resolve().parents[2]


def test_every_reason_has_a_remedy():
    """Of audio by its type, of arrays by the words that stand in their code."""
    notes = NOTES | set(get_args(get_args(AudioNote)[0]))
    assert set(get_args(ExclusionReason)) - notes <= set(REMEDIES)
    for name in ("latents/arrays", "artifacts/external_arrays"):
        code = (ROOT / f"engram_audio/{name}.py").read_text(encoding="utf-8")
        reasons = re.findall(r'(?:return|failure=|drop\(row,) ?\(?"([a-z_]+)",', code)
        assert reasons and set(reasons) - {"changed"} <= set(REMEDIES), name


def test_a_detail_has_one_remedy():
    assert with_remedy("constant", "all equal") == "all equal; leave it out"
    assert with_remedy("constant", "all equal; cut it") == "all equal; cut it"


FRAMES = np.random.default_rng(0).normal(size=(50, 4))
# An array of each odd kind, and why it is excluded; None where it is the same as any other.
KINDS: dict[str, tuple[np.ndarray, str | None]] = {
    "fortran": (np.asfortranarray(FRAMES + 1), None),
    "big_endian": ((FRAMES + 2).astype(">f4"), None),
    "half": ((FRAMES + 3).astype("f2"), None),
    "double": (FRAMES + 4, None),
    "long_double": ((FRAMES + 5).astype(np.longdouble), None),
    "objects": (np.array([[1, 2], [3, 4]], object), "unreadable"),
    "scalar": (np.array(1.0), "wrong_shape"),
    "vector": (FRAMES[:, 0], "wrong_shape"),
    "cube": (FRAMES.reshape(5, 10, 4), "wrong_shape"),
    "no_frames": (FRAMES[:0], "wrong_shape"),
    "no_dims": (FRAMES[:, :0], "wrong_shape"),
    "complex": (FRAMES.astype("c8"), "wrong_dtype"),
    "integers": (np.ones((50, 4), "i2"), "wrong_dtype"),
    "booleans": (FRAMES > 0, "wrong_dtype"),
    "texts": (np.array([["a", "b"]]), "wrong_dtype"),
    "records": (np.zeros(3, [("x", "f4")]), "wrong_dtype"),
    "dates": (np.zeros((3, 4), "M8[s]"), "wrong_dtype"),
    "turned": (FRAMES.T, "wrong_dims"),
    "infinite": (np.full((50, 4), np.inf), "not_finite"),
}


def index(folder: Path, table: str) -> ArrayIndex:
    (folder / "t.csv").write_text(table, encoding="utf-8")
    rows = read_arrays(folder, read_array_table(folder / "t.csv"))
    return index_arrays(rows, 12.5, 2, "x")


def test_each_kind_of_array_is_read_or_one_row_with_a_remedy(tmp_path: Path):
    for name, (array, _) in KINDS.items():
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
    (tmp_path / "page.npy").write_text("<html></html>")
    (tmp_path / "hdf.npy").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    expected = {name: reason for name, (_, reason) in KINDS.items()}
    expected |= {"page": "unreadable", "hdf": "unreadable"}
    rows = [f"{name},s{number % 4}" for number, name in enumerate(expected)]
    found = index(tmp_path, "\n".join(["utterance_id,speaker_id", *rows]))
    excluded = found.exclusions.set_index("utterance_id")
    assert set(found.utterances["utterance_id"]) == {n for n, why in expected.items() if not why}
    assert excluded["reason"].to_dict() == {n: why for n, why in expected.items() if why}
    for detail in excluded["detail"]:
        problem, mark, remedy = detail.rpartition("; ")
        assert problem and mark and remedy and detail.isprintable(), detail


def test_what_stands_in_for_an_array_is_named(tmp_path: Path):
    """Law: the one line says what lies there, and what to do with it."""
    (tmp_path / "packed.npy").write_bytes(b"\x1f\x8b\x08" + bytes(99))
    (tmp_path / "pointer.npy").write_text("version https://git-lfs.github.com/spec/v1\nsize 9\n")
    (tmp_path / "tensor.pt").write_bytes(b"PK")
    np.savez(tmp_path / "unnamed.npz", FRAMES)
    np.save(tmp_path / "good.npy", FRAMES)
    words = {
        "packed": "is packed by gzip; unpack it", "pointer": "`git lfs pull`",
        "tensor": "(tensor.pt is there); save it as .npy", "unnamed": "called latents; save it",
        "absent": "directly in `path`; add it, or write its place into a column `file`",
    }  # fmt: skip
    rows = [f"{name},s" for name in ("good", *words)]
    found = index(tmp_path, "\n".join(["utterance_id,speaker_id", *rows]))
    details = found.exclusions.set_index("utterance_id")["detail"]
    assert set(details.index) == set(words)
    assert all(text in details[name] for name, text in words.items()), details.tolist()


def test_titles_and_paths_are_read_as_people_write_them(tmp_path: Path):
    (tmp_path / "day").mkdir()
    for name in ("a", "b"):
        np.save(tmp_path / "day" / f"{name}.npy", FRAMES + ord(name))
    found = index(tmp_path, "Utt-ID;Speaker ID;File\r\na;s;day\\a.npy\r\nb;t;day/b.npy\r\n")
    assert found.utterances["speaker_id"].tolist() == ["s", "t"]
    with pytest.raises(
        InputError, match=r"lacks the column utterance_id.*separate cells by a comma"
    ):
        index(tmp_path, "utterance_id speaker_id\na s\n")


def write_turned(folder: Path, lengths: list[int]) -> str:
    """Arrays [dims, frames] of 40 dimensions; their table."""
    for number, length in enumerate(lengths):
        values = np.random.default_rng(number).normal(size=(40, length))
        np.save(folder / f"u{number}.npy", values)
    rows = [f"u{number},s{number % 4}" for number in range(len(lengths))]
    return "\n".join(["utterance_id,speaker_id", *rows])


def test_arrays_that_lie_the_wrong_way_round_are_refused(tmp_path: Path):
    """Utterances differ in length, not in dimensions: else 40 frames would pass for each of all."""
    table = write_turned(tmp_path, [50, 51, 60, 70, 70, 80])
    with pytest.raises(InputError, match=r"40 rows each, and from 50 to 80 columns.*transposed"):
        index(tmp_path, table)
    for number in range(6):  # a few files with other dimensions are no lengths
        shape = (50, 4 + (number > 3) * number)
        np.save(tmp_path / f"u{number}.npy", np.random.default_rng(number).normal(size=shape))
    assert index(tmp_path, table).exclusions["reason"].tolist() == ["wrong_dims"] * 2


def test_arrays_of_one_shape_with_few_frames_are_noted(tmp_path: Path):
    """Which way round they lie cannot be known: the study runs and says how they were read."""
    table = write_turned(tmp_path, [50, 50, 50])
    found = index(tmp_path, table)
    (note,) = found.exclusions.to_dict("records")
    assert note["is_kept"] and "read as 40 frames of 50 dimensions; transpose" in note["detail"]
    assert len(found.utterances) == 3


@pytest.mark.parametrize("name", ["a.npy", "b.npz"])
def test_an_id_may_end_as_its_file_does(tmp_path: Path, name: str):
    np.save(tmp_path / "a.npy", FRAMES)
    np.savez(tmp_path / "b.npz", latents=FRAMES)
    found = index(tmp_path, f"utterance_id,speaker_id\n{name},s\n")
    assert found.utterances["utterance_id"].tolist() == [name]


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "None", "NULL", "<NA>", "n/a"])
def test_a_missing_speaker_is_no_speaker_of_that_name(tmp_path: Path, cell: str):
    """Else strangers would share one voice; a program writes a missing cell as one of these."""
    np.save(tmp_path / "a.npy", FRAMES)
    with pytest.raises(InputError, match=r"row 3 has no speaker_id.*; fill it in"):
        index(tmp_path, f"utterance_id,speaker_id\na,s\nb,{cell}\n")


def test_a_sheet_of_excel_is_told_as_such(tmp_path: Path):
    (tmp_path / "t.csv").write_bytes(b"PK\x03\x04" + bytes(50))
    with pytest.raises(InputError, match=r"t\.csv: is a zip file.*; save the sheet as CSV"):
        read_array_table(tmp_path / "t.csv")


def missing(document: dict[str, Any]) -> list[str]:
    plan = Plan(parse_config(document))
    try:
        require_user_files(plan.config, plan.codecs.files_of_user)
    except InputError as error:
        return str(error).splitlines()
    return []


def test_files_of_ones_own_are_looked_for_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Arrays, their table, a corpus and its table; what a rule makes is not."""
    monkeypatch.chdir(tmp_path)
    arrays = studies.study("arrays")
    path, table = missing(arrays)
    assert path.startswith("representations.library.arrays.path: 'data/arrays' is not there, seen")
    assert table.startswith("representations.library.arrays.table: 'data/arrays.csv' is not there")
    assert "; put the CSV table" in table
    (tmp_path / "data" / "arrays.csv").mkdir(parents=True)
    (tmp_path / "data" / "arrays").symlink_to("nowhere")
    path, table = missing(arrays)
    assert "'data/arrays' is not there" in path and "'data/arrays.csv' is a folder; " in table
    assert missing(studies.study("demo")) == missing(studies.study()) == []
    folder = studies.study("arrays", "audio_folder")
    (root,) = missing(folder)
    assert root.startswith("corpora.speech.root: 'data/speech' is not there")
    (tmp_path / "data" / "speech").write_text("")
    assert "is no folder; " in missing(folder)[0]
    (tmp_path / "data" / "speech").unlink()
    (tmp_path / "data" / "speech").mkdir()
    assert missing(folder) == []
    changes = {"layout": "table", "table": "people.csv"}
    for key, value in changes.items():
        folder = studies.changed(folder, f"corpora.speech.{key}", value)
    (people,) = missing(folder)
    assert people.startswith("corpora.speech.table: 'data/speech/people.csv' is not there")


def test_weights_of_ones_own_and_audio_that_is_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    document = studies.changed(studies.study(), "corpora.librispeech.download", False)
    for key, value in (("checkpoint", "./mine"), ("revision", None), ("weights_sha256", None)):
        document = studies.changed(document, f"codecs.library.mimi.{key}", value)
    lines = missing(document)
    assert lines[0].startswith("corpora.librispeech.root: 'data/LibriSpeech' is not there")
    assert lines[1:] and all(line.startswith("codecs.library.mimi: 'mine/") for line in lines[1:])
