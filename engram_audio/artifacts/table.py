"""Tables: parquet between steps, with one digest over everything; CSV for people."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from engram_audio.artifacts import file_seal
from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.checksum import write_checksum
from engram_audio.artifacts.columns import Table, safe_csv
from engram_audio.artifacts.digest import REMEDY, file_digest, sealed, unsealed_text
from engram_audio.errors import InputError

MANIFEST_KEY = "engram_audio"
UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, KeyError)


def write_table(
    path: Path, frame: pd.DataFrame, manifest: dict[str, Any], schema_version: int = 1
) -> None:
    """Write a table as parquet; the manifest and the schema version go into its metadata."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    header = json.dumps(sealed({"schema_version": schema_version, **manifest}), sort_keys=True)
    metadata = {**(table.schema.metadata or {}), MANIFEST_KEY: header}
    table = table.replace_schema_metadata(metadata)
    with atomic_path(path) as temporary:
        with pq.ParquetWriter(temporary, table.schema) as writer:
            writer.write_table(table)
            writer.add_key_value_metadata({file_seal.KEY: file_seal.EMPTY})
        file_seal.write_seal(temporary)


def read_table(path: Path, columns: Sequence[str], schema_version: int = 1) -> pd.DataFrame:
    """Read a table that `write_table` wrote and check that it has the columns.

    Raises:
        InputError: Missing, unreadable, damaged, another schema version, or a column is absent.
    """
    require_intact(path)
    try:
        table = pq.read_table(path)
        frame = table.to_pandas()
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    found = read_table_manifest(path).get("schema_version")
    if found != schema_version:
        raise InputError(
            f"{path}: schema_version {found}, but this code reads {schema_version}; {REMEDY}"
        )
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: lacks the column(s) {', '.join(missing)}; {REMEDY}")
    return frame


def require_intact(path: Path) -> None:
    """Check a whole parquet file against the digest inside.

    Raises:
        InputError: Missing, without a digest, or not what was written.
    """
    try:
        intact = file_seal.is_intact(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; run the rule that makes it") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if intact is None:
        reason = "no digest at its end: cut short, or written by another version"
        raise _unreadable(path, reason)
    if not intact:
        raise InputError(
            f"{path}: differs from what was written (the digest inside does not match); {REMEDY}"
        )


def _unreadable(path: Path, reason: object) -> InputError:
    return InputError(f"{path}: not a readable parquet file ({reason}); {REMEDY}")


def read_table_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest inside a table's metadata; it has its own digest, the rest is not read.

    Raises:
        InputError: Missing, unreadable, or the manifest is not what was written.
    """
    try:
        text = file_seal.read_entry(path, MANIFEST_KEY)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; run the rule that makes it") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    manifest = unsealed_text(text or b"")
    if manifest is None:
        raise InputError(f"{path}: its manifest differs from what was written; {REMEDY}")
    return manifest


def write_csv(
    path: Path, frame: pd.DataFrame, table: Table, manifest: dict[str, Any] | None = None
) -> None:
    """Write a published table as CSV for people and other programs; 9 significant digits.

    A text that a table program takes for a formula gets a `'` in front, which `read_csv` removes.

    CSV has no place for a digest or a manifest: `artifacts.checksum` writes them beside it.

    Raises:
        InputError: The frame's columns are not those that the table declares.
    """
    table.check(list(frame.columns), str(path))
    with atomic_path(path) as temporary:
        temporary.write_bytes(safe_csv(frame, digits=9).encode("utf-8"))
        digest = file_digest(temporary)
    write_checksum(path, digest, manifest)
