"""Digests: of a file's bytes, and of a JSON document, which then carries its own.

Every format keeps its manifest as such a sealed document: a reader that wants the manifest alone
checks it without the content.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engram_audio.maps import as_map

DIGEST = "content_sha256"
REMEDY = "delete it and rerun the rule that makes it"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in pieces."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def document_digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON document; neither order of keys nor blanks matter."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document, as JSON gives it back, with the digest of everything in it."""
    plain = json.loads(json.dumps(document))
    return {**plain, DIGEST: document_digest(plain)}


def unsealed(document: Any) -> dict[str, Any] | None:
    """Return what `sealed` took, or None where the document is not what was sealed."""
    found = as_map(document)
    plain = {name: value for name, value in found.items() if name != DIGEST}
    return plain if found.get(DIGEST) == document_digest(plain) else None


def unsealed_text(text: str | bytes) -> dict[str, Any] | None:
    """Return what was sealed and written as JSON, or None where the text is anything else."""
    try:
        return unsealed(json.loads(text))
    except (ValueError, RecursionError):
        return None
