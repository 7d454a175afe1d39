"""A stamp of files that a user owns: whether something below a folder changed, without reading it.

Names, sizes and times of change cost one system call for each file, where digests of the content
read everything. Whoever uses the data still compares digests.
"""

import hashlib
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

KINDS = (
    (stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "fifo"),
    (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "device"), (stat.S_ISBLK, "device"),
)  # fmt: skip
# Name relative to the root, kind, size in bytes, time of change in ns.
Entry = tuple[bytes, str, int, int]


def data_stamp(path: Path, without: Collection[Path] = ()) -> str:
    """Return the SHA-256 over name, size and time of change of all files below a folder.

    Links are followed. Each folder is listed once, however many links lead to it, so that a link to
    a folder above ends. What is no regular file (a broken link, a FIFO), cannot be looked at, or
    is not there, is stamped as such and never opened.

    Args:
        path: Folder, or one file.
        without: Folders to leave out, for example of results that lie below `path`.
    """
    digest = hashlib.sha256()
    for entry in _entries(os.fspath(path), without):
        digest.update(b"%b\0%b\0%d\0%d\n" % (entry[0], entry[1].encode(), *entry[2:]))
    return digest.hexdigest()


def _entries(root: str, without: Collection[Path]) -> Iterator[Entry]:
    left_out = {_look_at(os.fspath(folder))[1] for folder in without}
    listed: dict[tuple[int, int] | None, bytes] = {}
    waiting = [(b"", root)]  # a list, not recursion: folders may be nested deeper than calls
    while waiting:
        name, path = waiting.pop()
        kind, place, size, time_ns = _look_at(path)
        if kind != "folder":
            yield name, kind, size, time_ns
        elif place in listed:
            yield name + b"\0" + listed[place], "folder again", 0, 0
        elif place not in left_out:
            listed[place] = name
            names = _names_in(path)
            yield name, "folder" if names is not None else "unlistable folder", 0, 0
            waiting += [
                (name + b"/" + os.fsencode(part), os.path.join(path, part)) for part in names or ()
            ]


def _look_at(path: str) -> tuple[str, tuple[int, int] | None, int, int]:
    """Return kind, device and inode, size in bytes and time of change in ns."""
    try:
        facts = os.stat(path)
    except OSError:
        return ("broken link" if os.path.islink(path) else "missing"), None, 0, 0
    except ValueError:  # a NUL in the name
        return "missing", None, 0, 0
    kind = next((kind for is_kind, kind in KINDS if is_kind(facts.st_mode)), "other")
    is_file = kind == "file"
    size, time_ns = (facts.st_size, facts.st_mtime_ns) if is_file else (0, 0)
    return kind, (facts.st_dev, facts.st_ino), size, time_ns


def _names_in(folder: str) -> list[str] | None:
    """Return the names in a folder in one order, last first; None where it cannot be listed."""
    try:
        return sorted(os.listdir(folder), key=os.fsencode, reverse=True)
    except OSError:
        return None
