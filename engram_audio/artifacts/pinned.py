"""Digests of files that a configuration names by path, pinned at first use.

A codec's weights in a folder of the user have no digest of ours. The record keeps one for each:
the same path with other bytes is refused instead of becoming other latents. The Snakemake driver
reads this, so it imports little and hashes a file only when its size or date has changed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engram_audio.artifacts.digest import file_digest
from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.errors import InputError

Pin = dict[str, Any]


def pinned_digests(record: Path, files: Sequence[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file by its path as given, and keep what is new in the record.

    Args:
        record: JSON that this module writes: size, date and digest of each file.
        files: Absent ones are left out; Snakemake names a missing input.

    Raises:
        InputError: A file is not the one that was pinned, or the record is damaged.
    """
    known = _read(record)
    found = {
        str(file): _pin(record, Path(file), known.get(str(file)))
        for file in files
        if Path(file).is_file()
    }
    if any(known.get(name) != pin for name, pin in found.items()):
        # Read again: another run may have pinned files meanwhile, and the first pin counts.
        latest = _read(record)
        for name, pin in found.items():
            _require_same(record, Path(name), latest.get(name, pin)["sha256"], pin["sha256"])
        write_json(record, {"files": {**latest, **found}})
    return {name: pin["sha256"] for name, pin in found.items()}


def _read(record: Path) -> dict[str, Pin]:
    if not record.is_file():
        return {}
    try:
        return read_json(record)["files"]
    except (InputError, KeyError) as error:
        raise InputError(
            f"{record}: not a record of weight digests ({error}); delete it to pin the files as "
            "they are now"
        ) from error


def _pin(record: Path, file: Path, known: Pin | None) -> Pin:
    """Return the pin of a file; the known one where size and date are those of its hashing."""
    status = file.stat()
    dated = {"num_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    if known is not None and dated.items() <= known.items():
        return known
    sha256 = file_digest(file)
    if known is not None:
        _require_same(record, file, known["sha256"], sha256)
    return {**dated, "sha256": sha256}


def _require_same(record: Path, file: Path, pinned: str, found: str) -> None:
    if found != pinned:
        raise InputError(
            f"{file}: SHA-256 is {found}, but {pinned} was pinned at first use; restore the file, "
            f"or delete {record} to start again with the new weights"
        )
