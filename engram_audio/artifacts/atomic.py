"""Write beside the target, then rename: a reader never meets half a file."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engram_audio.errors import InputError

# What a person can mend: the disk is full or over quota, read-only, forbidden, or failing.
DISK_FAULTS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
}  # fmt: skip


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's directory and rename it to the target on success.

    The file is flushed to disk before the rename. On any error the temporary file is removed and
    the target is left as it was.

    Raises:
        InputError: The disk is full, read-only, forbidden, or failing.
    """
    with disk_faults_named(target), _written_beside(Path(target)) as temporary:
        yield temporary


@contextlib.contextmanager
def disk_faults_named(target: Path, remains: str = "") -> Iterator[None]:
    """Turn what a person can mend about a disk into one line.

    Args:
        target: What is being written.
        remains: What is kept, for the message.

    Raises:
        InputError: The disk is full, read-only, forbidden, or failing.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FAULTS:
            raise
        reason = os.strerror(error.errno)
        raise InputError(
            f"{target}: cannot be written ({reason}); make room or mend the permissions, then rerun"
            + (f" ({remains})" if remains else "")
        ) from error


@contextlib.contextmanager
def _written_beside(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix
    )
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
