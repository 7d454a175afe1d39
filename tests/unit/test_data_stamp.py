"""The stamp of a user's files moves with every change of them, and with nothing else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engram_audio.artifacts.data_stamp import data_stamp


def tree(root: Path) -> Path:
    for name in ("a.npy", "b.npy", "sub/c.npy", "sub/deep/d.npy"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
        os.utime(root / name, ns=(0, 10**18))
    (root / "empty").mkdir()
    return root


def rewrite(path: Path, text: str, time_ns: int = 10**18) -> None:
    path.write_text(text)
    os.utime(path, ns=(0, time_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": lambda root: rewrite(root / "a.npy", "longer"),
    "same size, later": lambda root: rewrite(root / "a.npy", "A.npy", 10**18 + 1),
    "touched": lambda root: os.utime(root / "sub/deep/d.npy", ns=(0, 1)),
    "renamed": lambda root: (root / "a.npy").rename(root / "e.npy"),
    "moved": lambda root: (root / "a.npy").rename(root / "sub/a.npy"),
    "gone": lambda root: (root / "b.npy").unlink(),
    "more": lambda root: (root / "new").touch(),
    "a folder more": lambda root: (root / "folder").mkdir(),
    "swapped": lambda root: [
        (root / "a.npy").rename(root / "x"), (root / "sub/c.npy").rename(root / "a.npy"),
        (root / "x").rename(root / "sub/c.npy"),
    ],
    "a link that leads nowhere": lambda root: (root / "lost").symlink_to("nowhere"),
    "a pipe": lambda root: os.mkfifo(root / "pipe"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_moves_the_stamp(tmp_path: Path, change: str):
    root = tree(tmp_path / "data")
    first = data_stamp(root)
    assert data_stamp(root) == first
    CHANGES[change](root)
    assert data_stamp(root) != first


def test_neither_place_nor_order_of_writing_nor_reading_matters(tmp_path: Path):
    first = data_stamp(tree(tmp_path / "one"))
    assert data_stamp(tree(tmp_path / "two")) == first
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert data_stamp(tmp_path / "link") == first
    assert data_stamp(Path(f"{tmp_path}/two/../one/")) == first
    (tmp_path / "one" / "a.npy").read_text()
    assert data_stamp(tmp_path / "one") == first


def test_a_single_file_has_a_stamp_and_so_has_none(tmp_path: Path):
    root = tree(tmp_path / "data")
    first = data_stamp(root / "a.npy")
    rewrite(root / "b.npy", "another text")
    assert data_stamp(root / "a.npy") == first
    rewrite(root / "a.npy", "another text")
    stamps = {first, data_stamp(root / "a.npy"), data_stamp(root / "none")}
    assert len(stamps) == 3
    assert data_stamp(Path("a\0b")) == data_stamp(root / "none")


def test_links_are_followed_and_circles_end(tmp_path: Path):
    """A change behind a link counts; each folder is listed once, whatever links to it."""
    outside, root = tree(tmp_path / "outside"), tree(tmp_path / "data")
    (root / "link").symlink_to(outside)
    (root / "file").symlink_to(outside / "a.npy")
    first = data_stamp(root)
    rewrite(outside / "sub" / "c.npy", "another text")
    second = data_stamp(root)
    rewrite(outside / "a.npy", "another text")
    third = data_stamp(root)
    for number in range(20):  # 2 ** 20 ways down, if each were walked
        (root / f"up{number}").symlink_to(root)
        (outside / f"over{number}").symlink_to(root)
    assert len({first, second, third, data_stamp(root)}) == 4
    (root / "self").symlink_to("self")
    data_stamp(root)


def test_what_cannot_be_read_is_stamped_not_raised(tmp_path: Path):
    root = tree(tmp_path / "data")
    os.mkfifo(root / "pipe")
    (root / "lost").symlink_to(tmp_path / "nowhere")
    (root / os.fsdecode(b"\xff\xfe")).write_text("a name that is no UTF-8")
    first = data_stamp(root)
    (root / "sub").chmod(0)
    try:
        data_stamp(root)  # as root it can be listed all the same
    finally:
        (root / "sub").chmod(0o755)
    assert data_stamp(root) == first


def test_folders_deeper_than_calls_may_nest(tmp_path: Path):
    place = str(tmp_path)
    for _ in range(1100):
        place += "/d"
        os.mkdir(place)
    try:
        assert data_stamp(tmp_path) == data_stamp(tmp_path)
    finally:  # what removes the folders of tests is recursive
        while place != str(tmp_path):
            os.rmdir(place)
            place = os.path.dirname(place)


def test_results_below_the_data_can_be_left_out(tmp_path: Path):
    root = tree(tmp_path / "data")
    (root / "results").mkdir()
    first = data_stamp(root, without=[root / "results", root / "no such folder"])
    (root / "results" / "report.html").touch()
    assert data_stamp(root, without=[root / "results"]) == first
    rewrite(root / "a.npy", "another text")
    assert data_stamp(root, without=[root / "results"]) != first


def test_a_stamp_imports_no_arrays():
    """It is taken while the workflow is planned, where every second of imports is waited for."""
    code = (
        "import sys; from engram_audio.artifacts.data_stamp import data_stamp;"
        "print(sorted({'numpy', 'pandas', 'zarr', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
