"""What the quota of a user leaves on a disk, as `quota` tells it."""

import os
import shutil
import subprocess
from pathlib import Path

BLOCK = 1024  # bytes; `quota` counts in these
TIMEOUT_S = 20.0


def free_of_quota(folder: Path) -> float | None:
    """Return the bytes that the user may still write below a folder; None without a quota."""
    if shutil.which("quota") is None:
        return None
    try:
        answer = subprocess.run(
            ["quota", "-w", "-p"], capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return left_in(answer.stdout, device_of(folder))


def device_of(folder: Path) -> str:
    """Return what is mounted where a folder lies, as `/proc/mounts` names it."""
    path = Path(folder).resolve()
    while not os.path.ismount(path):
        path = path.parent
    lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    return next((line.split()[0] for line in lines if line.split()[1] == str(path)), "")


def left_in(text: str, device: str) -> float | None:
    """Return the bytes left on a device, from a table of `quota -w -p`; None where it has no limit.

    Args:
        text: One line for each device: name, blocks used, soft limit, hard limit, and more.
        device: What is asked about.
    """
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 4 and words[0] == device:
            used, *limits = (int(word.rstrip("*")) for word in words[1:4])
            bounds = [limit for limit in limits if limit]
            return BLOCK * max(min(bounds) - used, 0) if bounds else None
    return None
