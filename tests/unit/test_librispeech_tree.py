"""What stands in a corpus or a folder of arrays and is no file is listed, and never waited for."""

import os
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from engram_audio.artifacts.audio import probe_audio, read_waveform, write_flac
from engram_audio.artifacts.demo_tree import require_own_root
from engram_audio.artifacts.external_arrays import read_array_table, read_arrays
from engram_audio.artifacts.librispeech_tree import Tree, digest_file, list_tree
from engram_audio.artifacts.regular_file import NotRegularError, open_regular
from engram_audio.corpus.utterances import Exclusion
from engram_audio.errors import InputError

CHAPTER = "s/1/2"
GOOD = f"{CHAPTER}/1-2-0000.flac"
KINDS = ("fifo", "socket", "zero", "null", "loop", "ring", "folder", "dangling")
REASON = {"loop": "link_cycle", "ring": "link_cycle", "dangling": "unreadable"}


# Waiting for a FIFO takes no time of the processor, so only a clock ends it.


def place(path: Path, kind: str) -> None:
    """Put something at `path` that is no regular file."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.open(path.parent, os.O_RDONLY)  # a path of a socket has at most 107 bytes
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)
    elif kind == "folder":
        path.mkdir()
    elif kind == "ring":
        path.symlink_to(f"{path.name}.other")
        path.with_name(f"{path.name}.other").symlink_to(path.name)
    else:
        names = {"zero": "/dev/zero", "null": "/dev/null", "loop": path.name, "dangling": "gone"}
        path.symlink_to(names[kind])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A corpus of one utterance."""
    path = tmp_path / "root"
    (path / CHAPTER).mkdir(parents=True)
    write_flac(path / GOOD, np.arange(800, dtype=np.int16), 8000)
    return path


def reasons(tree: Tree) -> dict[str, str]:
    return {row.path: row.reason for row in tree.exclusions}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["1-2-0001.flac", "1-2.trans.txt"])
def test_what_is_no_file_is_excluded_with_its_reason(root: Path, kind: str, name: str):
    if (kind, name) == ("folder", "1-2.trans.txt"):
        return  # a folder like any other
    place(root / CHAPTER / name, kind)
    tree = list_tree(root, None)
    found = reasons(tree)
    assert tree.paths == [GOOD]
    assert found.pop(f"{CHAPTER}/{name}") == REASON.get(kind, "not_a_regular_file")
    assert set(found) <= {f"{CHAPTER}/{name}.other"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_became_no_file_after_it_was_listed_is_not_opened(root: Path, kind: str):
    """Listing, digesting and decoding are different jobs: each looks for itself."""
    (root / GOOD).unlink()
    place(root / GOOD, kind)
    reason = REASON.get(kind, "not_a_regular_file")
    excluded = digest_file(str(root), GOOD)
    assert isinstance(excluded, Exclusion) and excluded.reason == reason
    facts = probe_audio(str(root), GOOD)
    assert (facts.file_sha256, facts.failure) == (None, reason)
    with pytest.raises(InputError, match=r"1-2-0000\.flac: (not readable|no such) audio"):
        read_waveform(root / GOOD)


@pytest.mark.parametrize("kind", KINDS)
def test_a_speakers_file_that_is_no_file_is_one_line(root: Path, kind: str):
    """Without it the sexes are unknown and splits are balanced otherwise: not to be passed over."""
    place(root / "SPEAKERS.TXT", kind)
    with pytest.raises(InputError, match=r"SPEAKERS\.TXT: .*replace it") as caught:
        list_tree(root, None)
    assert "\n" not in str(caught.value)
    if kind != "dangling":
        with pytest.raises(InputError, match="something other than demo speech"):
            require_own_root(root)


def test_links_to_folders_around_end_at_once(root: Path):
    """Eight links to `.`, to the root and to each other: a walk that follows has 8^8 ends."""
    for number in range(8):
        (root / "s" / f"here{number}").symlink_to(".")
        (root / CHAPTER / f"up{number}").symlink_to("../../..")
    (root / "s" / "here0" / "dot.flac").symlink_to(".")
    tree = list_tree(root, None)
    assert tree.paths == [GOOD]
    assert len(tree.exclusions) == 17 and set(reasons(tree).values()) == {"link_cycle"}


def test_links_without_a_circle_are_few_too(root: Path):
    """Each of seven folders has eight links to the next: 8^7 paths, seven folders."""
    for level in range(7):
        (root / "s" / f"level{level}").mkdir()
        for number in range(8):
            link = root / "s" / f"level{level}" / f"next{number}"
            link.symlink_to(root / "s" / f"level{level + 1}")
    tree = list_tree(root, None)
    assert tree.paths == [GOOD]
    assert len(tree.exclusions) < 7 * 8 * 8


def test_a_link_beside_a_folder_is_its_duplicate(root: Path):
    (root / "s" / "9").symlink_to("1")
    tree = list_tree(root, None)
    assert tree.paths == [GOOD] and reasons(tree) == {"s/9": "duplicate"}


def test_a_misplaced_link_does_not_stand_in_for_a_folder(root: Path):
    """`s/0` leads to the chapter: its audio lies too high, the chapter's own is used."""
    (root / "s" / "0").symlink_to("1/2")
    tree = list_tree(root, None)
    assert tree.paths == [GOOD] and reasons(tree) == {"s/0/1-2-0000.flac": "misplaced"}


def test_what_lies_too_deep_is_said(root: Path):
    (root / "/".join("abcdefghi")).mkdir(parents=True)
    assert reasons(list_tree(root, None)) == {"a/b/c/d/e/f/g/h": "misplaced"}


def test_a_file_is_opened_and_its_replacement_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Between the look and the opening a FIFO takes the file's place."""
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    with open_regular(path) as handle:
        assert handle.read() == b"abc"
    looked = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(os, "stat", lambda *_, **__: looked)
    with pytest.raises(NotRegularError):
        open_regular(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_array_that_is_no_file_is_excluded(tmp_path: Path, kind: str, suffix: str):
    np.save(tmp_path / "good.npy", np.zeros((3, 2), np.float32))
    place(tmp_path / f"bad{suffix}", kind)
    table = pd.DataFrame({
        "utterance_id": ["good", "bad"], "speaker_id": ["a", "b"], "file": ["", f"bad{suffix}"],
    })  # fmt: skip
    good, bad = read_arrays(tmp_path, table)
    assert good.failure is None and bad.failure is not None
    # a link to a device leaves the folder, which is found before what it leads to
    others = {"dangling": "missing_file", "zero": "outside_folder", "null": "outside_folder"}
    assert bad.failure[0] == {**REASON, **others}.get(kind, "not_a_regular_file")


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_is_no_file_is_one_line(tmp_path: Path, kind: str):
    place(tmp_path / "table.csv", kind)
    with pytest.raises(
        InputError, match=r"table\.csv: (not a readable CSV|no such file)"
    ) as caught:
        read_array_table(tmp_path / "table.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["fifo", "zero", "loop"])
def test_a_store_with_something_else_inside_is_one_line(tmp_path: Path, kind: str):
    """A chunk that is a FIFO would be waited for."""
    store = tmp_path / "x.zarr"
    group = zarr.create_group(store)
    group.create_array("latents", data=np.zeros((3, 2), np.float32))
    group.create_array("offsets", data=np.array([0, 3]))
    target = next(path for path in (store / "latents").rglob("*") if path.is_file())
    target.unlink()
    place(target, kind)
    table = pd.DataFrame({"utterance_id": ["u"], "speaker_id": ["a"]})
    with pytest.raises(InputError, match="take it out of the store"):
        list(read_arrays(store, table))
