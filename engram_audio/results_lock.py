"""One driver for one folder of results, from whatever folder it is started.

Snakemake locks the folder in which it runs. Two folders may name the same results by an absolute
path or by a link, and would then write the same files.
"""

import contextlib
import fcntl
import json
import logging
import os
import socket
from pathlib import Path
from typing import NamedTuple

from engram_audio.errors import InputError

LOG = logging.getLogger(__name__)
NAME = ".driver"


class Driver(NamedTuple):
    """Who holds or held the results.

    Attributes:
        folder: Where it runs.
        host: On which machine.
        pid: Its process there.
    """

    folder: str
    host: str
    pid: int


def hold_results(results: Path, folder: Path) -> tuple[int, Driver | None]:
    """Lock results for as long as this process lives, or until the descriptor is closed.

    Args:
        results: Folder of the results.
        folder: Where this driver runs.

    Returns:
        A descriptor that holds the lock, and who held it before, if that is on record.

    Raises:
        InputError: Another driver holds it, or the folder cannot be written.
    """
    path = results / NAME
    try:
        results.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); mend the permissions, or name another "
            "folder in pathvars.results"
        ) from error
    before = _read(descriptor)
    try:
        _lock(descriptor, results, before)
    except InputError:
        os.close(descriptor)
        raise
    _write(descriptor, Driver(str(folder), socket.gethostname(), os.getpid()))
    return descriptor, before


def holder(results: Path) -> Driver | None:
    """Return the driver that holds results now; None where nobody does or nobody can tell."""
    try:
        descriptor = os.open(results / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor) or Driver("?", "?", 0)
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(descriptor)
    return None


def _lock(descriptor: int, results: Path, holder: Driver | None) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        who = f" ({holder.folder}, process {holder.pid} on {holder.host})" if holder else ""
        raise InputError(
            f"{results}: another Snakemake works on these results{who}; wait for it, or name "
            "another folder in pathvars.results"
        ) from error
    except OSError as error:
        LOG.warning(
            "%s: cannot be locked here (%s), so start no second Snakemake on these results",
            results, error.strerror,
        )  # fmt: skip


def _read(descriptor: int) -> Driver | None:
    try:
        return Driver(**json.loads(os.pread(descriptor, 1 << 16, 0)))
    except (ValueError, TypeError):  # new, or cut off
        return None


def _write(descriptor: int, driver: Driver) -> None:
    with contextlib.suppress(OSError):  # a full disk: the lock holds without the record
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(driver._asdict()).encode(), 0)
