"""Files of killed writers go at the next start; a living writer's and all others stay."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engram_audio.artifacts.atomic import atomic_path, hidden_sibling
from engram_audio.artifacts.leftovers import remove_leftovers
from engram_audio.frozen import keep

# Writes the whole file, says so, and stands still before the rename.
WRITER = """
import os, signal, sys
from pathlib import Path
from engram_audio.artifacts.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"x" * 1000)
    print("written", flush=True)
    signal.pause()
"""


def stopped_writer(target: Path) -> subprocess.Popen[str]:
    """Start a process that stands between writing and renaming."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None and writer.stdout.readline() == "written\n"
    return writer


@pytest.mark.parametrize("name", ["scores.parquet", "shard-000.zarr.zip", "plain", ".hidden.json"])
def test_a_killed_writers_file_goes_and_a_living_ones_stays(tmp_path: Path, name: str):
    target = tmp_path / "deep" / name
    with stopped_writer(target) as writer:
        try:
            (hidden,) = target.parent.iterdir()
            assert remove_leftovers(tmp_path) == [], "it is being written"
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            assert hidden.stat().st_size == 1000, "whole, and left behind"
            assert remove_leftovers(tmp_path) == [hidden]
        finally:
            writer.kill()
    assert list(target.parent.iterdir()) == []


def test_only_names_of_hidden_files_of_this_package_are_touched(tmp_path: Path):
    names = [
        "scores.parquet", ".scores.parquet", "scores.parquet.part", ".driver", ".abcdefgh.txt",
        "a.abcdefgh.part.json", ".a.abc.part.json", ".a.ABCDEFGH.part", ".a.abcdefgh.part.b.c",
    ]  # fmt: skip
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".folder.abcdefgh.part").mkdir()
    os.symlink(tmp_path / "scores.parquet", tmp_path / ".link.abcdefgh.part")
    before = sorted(tmp_path.iterdir())
    assert remove_leftovers(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_is_not_there_has_none(tmp_path: Path):
    assert remove_leftovers(tmp_path / "absent") == []


def test_a_written_file_is_whole_and_alone(tmp_path: Path):
    target = tmp_path / "a.json"
    with atomic_path(target) as temporary:
        temporary.write_text("{}")
        assert temporary.suffix == ".json", "writers go by it"
    assert target.read_text() == "{}"
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert list(tmp_path.iterdir()) == [target]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_an_error_leaves_the_target_as_it_was(tmp_path: Path):
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_a_frozen_file_is_written_by_the_same_means(tmp_path: Path):
    """So what a killed driver leaves of one is found too, and is no `.json` among the others."""
    path = tmp_path / "rule" / f"{'s' * 160}~{'0' * 16}.{'1' * 16}.json"
    with hidden_sibling(path) as hidden:
        assert not hidden.name.endswith(".json")
    keep(path, "{}")
    assert list(path.parent.iterdir()) == [path]
