"""Write beside the target, then rename: a reader never meets half a file."""

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engram_audio.errors import InputError

HIDDEN = ".part"  # ends the name of what is being written, before the target's own suffix

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
    with disk_faults_named(target), _temporary_sibling(Path(target)) as temporary:
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
def _temporary_sibling(target: Path) -> Iterator[Path]:
    with hidden_sibling(target, target.suffix) as temporary:
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, target)


@contextlib.contextmanager
def hidden_sibling(target: Path, suffix: str = "") -> Iterator[Path]:
    """Yield an empty hidden file in the target's directory; it is gone at the end of the `with`.

    The file is locked until then. A process that is killed leaves it without the lock, which is how
    `artifacts.leftovers` knows that nobody writes it.

    Args:
        target: What it will be renamed to.
        suffix: End of the hidden name, for writers that go by it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name}.", suffix=f"{HIDDEN}{suffix}"
    )
    try:
        with contextlib.suppress(OSError):  # a file system without locks: it is then never removed
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Path(name)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)
        os.close(descriptor)
