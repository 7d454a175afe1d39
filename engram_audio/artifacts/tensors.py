"""Tensors by name in one file (safetensors): fitted weights, VAR models, parts of a shard."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.digest import REMEDY, sealed, unsealed
from engram_audio.errors import InputError
from engram_audio.maps import as_map

SCHEMA_VERSION = 2
HEADER = "engram_audio"
DIGESTS = "sha256_of"


def _digest(array: np.ndarray) -> str:
    text = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(text + array.tobytes()).hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], manifest: dict[str, Any]) -> None:
    """Write named arrays; the manifest travels in the header. Same arrays, same bytes.

    The header has a digest of each array and one of itself, so that it covers the whole file.
    """
    arrays = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    digests = {name: _digest(array) for name, array in arrays.items()}
    header = sealed({"schema_version": SCHEMA_VERSION, DIGESTS: digests, **manifest})
    content = save(arrays, metadata={HEADER: json.dumps(header, sort_keys=True)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read_tensors(
    path: Path, names: Sequence[str] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the named arrays, by default all, and the manifest.

    Raises:
        InputError: Missing, damaged (header or an array), another schema version, a name is
            absent, or a value is not finite.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the rule that makes it")
    try:
        with safe_open(path, framework="numpy") as archive:
            header = _checked(path, json.loads((archive.metadata() or {}).get(HEADER, "{}")))
            digests = header.pop(DIGESTS)
            wanted = sorted(digests) if names is None else names
            _require_names(path, set(archive.keys()), set(digests), set(wanted))
            tensors = {name: archive.get_tensor(name) for name in wanted}
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error}); {REMEDY}") from error
    for name, array in tensors.items():
        _require_values(path, name, array, digests[name])
    return tensors, header


def _checked(path: Path, document: Any) -> dict[str, Any]:
    """Return the header without its version and its own digest, both checked."""
    version = as_map(document).get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version {version}, but this code reads {SCHEMA_VERSION}; {REMEDY}"
        )
    header = unsealed(document)
    if header is None:
        raise InputError(f"{path}: its header differs from what was written; {REMEDY}")
    return {name: value for name, value in header.items() if name != "schema_version"}


def _require_names(path: Path, found: set[str], written: set[str], wanted: set[str]) -> None:
    if found != written:
        raise InputError(f"{path}: the names of its tensors are not those written; {REMEDY}")
    missing = sorted(wanted - found)
    if missing:
        raise InputError(f"{path}: lacks the tensor(s) {', '.join(missing)}; {REMEDY}")


def _require_values(path: Path, name: str, array: np.ndarray, digest: str) -> None:
    if digest != _digest(array):
        raise InputError(f"{path}: {name} differs from what was written; {REMEDY}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{path}: {name} has a NaN or infinite value; {REMEDY}")
