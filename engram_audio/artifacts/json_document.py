"""JSON documents: configuration sections, metrics, manifests, the decision."""

import json
from pathlib import Path
from typing import Any

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.digest import REMEDY, sealed, unsealed
from engram_audio.errors import InputError
from engram_audio.maps import as_map


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text.

    Raises:
        InputError: The file is missing or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; run the rule that makes it") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason}); make it again") from error


def write_json(path: Path, document: dict[str, Any], schema_version: int = 1) -> None:
    """Write a document with its `schema_version` and a digest; NaN and infinity are refused."""
    content = sealed({"schema_version": schema_version, **document})
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path, schema_version: int = 1) -> dict[str, Any]:
    """Read a document that `write_json` wrote.

    Raises:
        InputError: Missing, not JSON, another schema version, or not what was written.
    """
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON (line {error.lineno}); {REMEDY}") from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, brackets in brackets
        raise InputError(f"{path}: not JSON ({error}); {REMEDY}") from error
    found = as_map(content).get("schema_version")
    if found != schema_version:
        raise InputError(
            f"{path}: schema_version {found}, but this code reads {schema_version}; {REMEDY}"
        )
    document = unsealed(content)
    if document is None:
        raise InputError(
            f"{path}: differs from what was written (its digest does not match); {REMEDY}"
        )
    return document
