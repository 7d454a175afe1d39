"""Tables: parquet between steps, CSV for people."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.errors import InputError

MANIFEST_KEY = b"engram_audio"
SCHEMA = "schema_sha256"


def write_table(
    path: Path, frame: pd.DataFrame, manifest: dict[str, Any], schema_version: int = 1
) -> None:
    """Write a table as parquet; the manifest and the schema version go into its metadata."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    header = json.dumps(
        {"schema_version": schema_version, SCHEMA: _schema_digest(table), **manifest},
        sort_keys=True,
    )
    metadata = {**(table.schema.metadata or {}), MANIFEST_KEY: header.encode()}
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, write_page_checksum=True)


def read_table(path: Path, columns: Sequence[str], schema_version: int = 1) -> pd.DataFrame:
    """Read a table that `write_table` wrote and check that it has the columns.

    Raises:
        InputError: Missing, unreadable, damaged (pages have checksums, the schema a
            digest), another schema version, or a column is absent.
    """
    remedy = "delete it and rerun the rule that makes it"
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        header = json.loads((table.schema.metadata or {}).get(MANIFEST_KEY, b"{}"))
        frame = table.to_pandas()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; run the rule that makes it") from error
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: not a readable parquet file ({error}); {remedy}") from error
    if header.get("schema_version") != schema_version:
        raise InputError(
            f"{path}: schema_version {header.get('schema_version')}, but this code reads "
            f"{schema_version}; {remedy}"
        )
    if header.get(SCHEMA) != _schema_digest(table):
        raise InputError(f"{path}: its columns differ from what was written; {remedy}")
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: lacks the column(s) {', '.join(missing)}; {remedy}")
    return frame


def _schema_digest(table: pa.Table) -> str:
    """Return a digest of names, types and of what pandas keeps: page checksums leave these out."""
    fields = [[field.name, str(field.type)] for field in table.schema]
    pandas = (table.schema.metadata or {}).get(b"pandas", b"")
    return hashlib.sha256(json.dumps(fields).encode() + pandas).hexdigest()


def read_table_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest inside a table's metadata."""
    metadata = pq.read_schema(path).metadata or {}
    return json.loads(metadata.get(MANIFEST_KEY, b"{}"))


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV for people and other programs; floats keep 9 significant digits.

    CSV has no place for a checksum: `<name>.sha256` beside it holds one, in sha256sum's format.
    """
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.9g", lineterminator="\n")
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    with atomic_path(checksum_path(path)) as temporary:
        temporary.write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def checksum_path(path: Path) -> Path:
    """Return where a CSV's checksum lies."""
    return path.with_name(f"{path.name}.sha256")


def check_csv(path: Path) -> None:
    """Check a CSV against the checksum beside it, where there is one.

    Raises:
        InputError: The file is not what was written.
    """
    if not checksum_path(path).is_file():
        return
    expected = checksum_path(path).read_text(encoding="utf-8").split()[:1]
    if expected != [hashlib.sha256(path.read_bytes()).hexdigest()]:
        raise InputError(
            f"{path}: differs from what was written (its .sha256 does not match); delete it and "
            "rerun the rule that makes it"
        )
