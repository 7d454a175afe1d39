"""Hidden files that killed writers left: whole in size, renamed to nothing, and in nobody's way."""

import fcntl
import os
import re
from pathlib import Path

from engram_audio.artifacts.atomic import HIDDEN

# What `atomic.hidden_sibling` names: `.<target>.<random>.part<suffix>`.
NAME = re.compile(rf"\..+\.[a-z0-9_]{{8}}{re.escape(HIDDEN)}(\.[^.]+)?")


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove hidden files below a folder that no living process writes; return them.

    A writer holds a lock on its file until it ends, however it ends. A file system may keep locks
    for each machine alone. So no job of this folder may run anywhere when this is called.
    """
    found = (
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if NAME.fullmatch(name)
    )
    return [path for path in sorted(found) if _removed(path)]


def _removed(path: Path) -> bool:
    """Remove a file unless it is locked, cannot be locked here, or belongs to somebody else."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
