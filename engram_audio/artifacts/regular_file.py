"""Open files that a person placed: only regular ones, so that no read waits or never ends."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

NOT_REGULAR = "not a regular file"


class NotRegularError(OSError):
    """A folder, FIFO, socket or device stands where a file is expected."""

    def __init__(self, path: Path) -> None:
        """Name what was opened."""
        super().__init__(errno.EINVAL, NOT_REGULAR, str(path))


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read its bytes; links are followed to what they name.

    The file is opened without waiting and looked at by its handle. A look at the path before
    could be about another file than the one that is then opened.

    Raises:
        NotRegularError: It is a folder, FIFO, socket or device.
        OSError: It is missing, a link to itself, or may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a device without a driver
            raise NotRegularError(path) from error
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise NotRegularError(path)
