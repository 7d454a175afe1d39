"""Open files that a person placed: only regular ones, so that no read waits or never ends."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Literal

from engram_audio.errors import InputError

NOT_REGULAR = "not a regular file"
Problem = Literal["not_a_regular_file", "link_cycle", "unreadable"]


class NotRegularError(OSError):
    """A folder, FIFO, socket or device stands where a file is expected."""

    def __init__(self, path: Path) -> None:
        """Name what was found there."""
        super().__init__(errno.EINVAL, NOT_REGULAR, str(path))


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read its bytes; links are followed to what they name.

    The path is looked at first, as opening a device may already do something. What was opened is
    looked at again by its handle, as the path may name another file by then. Opening waits for
    nobody, as opening a FIFO otherwise does.

    Raises:
        NotRegularError: It is a folder, FIFO, socket or device.
        OSError: It is missing, a link to itself, or may not be read.
    """
    _require_regular(os.stat(path), path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _require_regular(os.fstat(descriptor), path)
    except NotRegularError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _require_regular(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(path)


def open_problem(error: OSError) -> tuple[Problem, str]:
    """Return the reason, a fixed word, and the detail of a file that does not open or read."""
    if isinstance(error, NotRegularError):
        return "not_a_regular_file", "a folder, FIFO, socket or device"
    if error.errno == errno.ELOOP:
        return "link_cycle", "a link that leads to itself"
    return "unreadable", f"cannot be read ({error.strerror})"


def require_regular_if_there(path: Path, remedy: str) -> bool:
    """Return whether a file is there.

    Raises:
        InputError: Something stands there that is no file that can be read.
    """
    if not os.path.lexists(path):
        return False
    try:
        open_regular(path).close()
    except OSError as error:
        _, detail = open_problem(error)
        raise InputError(f"{path}: {detail}; {remedy}") from error
    return True
