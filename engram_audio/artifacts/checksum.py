"""Checksums beside files that have no place for one: published CSV, downloaded configuration.

`<file>.sha256` is in sha256sum's format (`sha256sum -c <file>.sha256`). Where the writer gives a
manifest, a comment line holds it, with its own digest and that of the file.
"""

import json
from pathlib import Path
from typing import Any

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.digest import REMEDY, file_digest, sealed, unsealed_text
from engram_audio.artifacts.json_document import read_text
from engram_audio.errors import InputError

FILE_DIGEST = "file_sha256"
COMMENT = "# "


def checksum_path(path: Path) -> Path:
    """Return where a file's checksum lies."""
    return path.with_name(f"{path.name}.sha256")


def write_checksum(path: Path, digest: str, manifest: dict[str, Any] | None = None) -> None:
    """Write the checksum of a file, and its manifest, beside it."""
    lines = [f"{digest}  {path.name}"]
    if manifest is not None:
        document = sealed({**manifest, FILE_DIGEST: digest})
        lines.append(COMMENT + json.dumps(document, sort_keys=True))
    with atomic_path(checksum_path(path)) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def require_checksum(path: Path, remedy: str = REMEDY) -> None:
    """Check a file and its manifest against what lies beside it.

    Raises:
        InputError: The file or its checksum is missing, or one of them is not what was written.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the rule that makes it")
    if not checksum_path(path).is_file():
        raise InputError(f"{path}: {checksum_path(path).name} is missing beside it; {remedy}")
    lines = read_text(checksum_path(path)).splitlines()
    if lines[:1] != [f"{file_digest(path)}  {path.name}"]:
        raise InputError(
            f"{path}: differs from what was written (its .sha256 does not match); {remedy}"
        )
    read_checksum_manifest(path)


def read_checksum_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest beside a file, or None where there is none; the file is not read.

    Raises:
        InputError: The manifest is not what was written, or is that of another file.
    """
    if not checksum_path(path).is_file():
        return None
    first, *others = read_text(checksum_path(path)).splitlines() or [""]
    digest, _, name = first.partition("  ")
    if name == path.name and not others:
        return None
    manifest = unsealed_text(others[0].removeprefix(COMMENT)) if others else None
    if manifest is None or manifest.pop(FILE_DIGEST, None) != digest:
        raise InputError(f"{checksum_path(path)}: differs from what was written; {REMEDY}")
    return manifest
