"""The manifest inside any artifact of the workflow, by kind of file; content is not read.

Every manifest carries its own digest, so that it is checked here without the content. No library of
a format is needed.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engram_audio.artifacts import file_seal
from engram_audio.artifacts.checksum import read_checksum_manifest
from engram_audio.artifacts.digest import DIGEST, REMEDY, unsealed
from engram_audio.artifacts.json_document import read_text
from engram_audio.errors import InputError
from engram_audio.maps import as_map

HEADER = "engram_audio"
LENGTH_BYTES = 8  # a safetensors file begins with the length of its header
MAXIMUM_HEADER_BYTES = 100_000_000  # as the safetensors library allows
UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile,
)  # fmt: skip


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of an artifact; None for files that are none of ours.

    Args:
        path: `.parquet`, `.safetensors`, `.zarr.zip`, `.json`, or `.csv` with its checksum beside.
            A file of another kind, or one that never had a manifest of ours, is none of ours.

    Raises:
        InputError: Missing, unreadable, or the manifest is not what was written.
    """
    path = Path(path)
    read = next((read for suffix, read in READERS.items() if path.name.endswith(suffix)), None)
    if read is None:
        return None
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the rule that makes it")
    try:
        return read(path)
    except UNREADABLE as error:
        raise InputError(f"{path}: its header is not readable ({error}); {REMEDY}") from error


def _opened(path: Path, document: Any, is_ours: bool) -> dict[str, Any] | None:
    """Return a sealed document; None where it is none of ours.

    Args:
        path: For the message.
        document: What stands in the manifest's place.
        is_ours: Whether a second mark says so: a damaged first one hides no artifact of ours.
    """
    if not is_ours and DIGEST not in as_map(document):
        return None
    found = unsealed(document)
    if found is None:
        raise InputError(f"{path}: its manifest differs from what was written; {REMEDY}")
    return found


def _of_table(path: Path) -> dict[str, Any] | None:
    text = file_seal.read_entry(path, HEADER)
    is_ours = file_seal.read_entry(path, file_seal.KEY) is not None
    return _opened(path, json.loads(text or b"null"), is_ours)


def _of_tensors(path: Path) -> dict[str, Any] | None:
    with open(path, "rb") as handle:
        length = int.from_bytes(handle.read(LENGTH_BYTES), "little")
        if length > MAXIMUM_HEADER_BYTES:
            raise ValueError(f"a header of {length} bytes")
        header = handle.read(length)
    document = json.loads(json.loads(header).get("__metadata__", {}).get(HEADER, "null"))
    return _opened(path, document, DIGEST.encode() in header)


def _of_shard(path: Path) -> dict[str, Any] | None:
    with zipfile.ZipFile(path) as archive:
        document = json.loads(archive.read("zarr.json"))
    attributes = _opened(path, document.get("attributes"), is_ours=False)
    return None if attributes is None else attributes["manifest"]


def _of_document(path: Path) -> dict[str, Any] | None:
    """A document keeps its manifest under that key, or among its own keys."""
    content = json.loads(read_text(path))
    document = _opened(path, content, "schema_version" in as_map(content))
    return document if document is None else document.get("manifest", document)


READERS: dict[str, Callable[[Path], dict[str, Any] | None]] = {
    ".parquet": _of_table,
    ".safetensors": _of_tensors,
    ".zarr.zip": _of_shard,
    ".json": _of_document,
    ".csv": read_checksum_manifest,
}
