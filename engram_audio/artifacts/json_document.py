"""JSON documents: configuration sections, metrics, manifests, the decision."""

import hashlib
import json
from pathlib import Path
from typing import Any

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.errors import InputError

DIGEST = "content_sha256"


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


def _dump(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _digest(document: dict[str, Any]) -> str:
    return hashlib.sha256(_dump(document).encode()).hexdigest()


def write_json(path: Path, document: dict[str, Any], schema_version: int = 1) -> None:
    """Write a document with its `schema_version` and a digest; NaN and infinity are refused."""
    content = {"schema_version": schema_version, **document}
    text = _dump({**content, DIGEST: _digest(content)})
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path, schema_version: int = 1) -> dict[str, Any]:
    """Read a document that `write_json` wrote.

    Raises:
        InputError: Missing, not JSON, another schema version, or not what was written.
    """
    try:
        document = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: not JSON (line {error.lineno}); delete it and rerun the rule that makes it"
        ) from error
    found = document.get("schema_version") if isinstance(document, dict) else None
    if found != schema_version:
        raise InputError(
            f"{path}: schema_version {found}, but this code reads {schema_version}; "
            "delete it and rerun the rule that makes it"
        )
    if document.pop(DIGEST, None) != _digest(document):
        raise InputError(
            f"{path}: differs from what was written (its digest does not match); delete it and "
            "rerun the rule that makes it"
        )
    return document
