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
from engram_audio.errors import InputError

SCHEMA_VERSION = 1
HEADER = "engram_audio"
DIGESTS = "sha256_of"


def _digest(array: np.ndarray) -> str:
    text = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(text + array.tobytes()).hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], manifest: dict[str, Any]) -> None:
    """Write named arrays; manifest and digests travel in the header. Same arrays, same bytes."""
    arrays = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    digests = {name: _digest(array) for name, array in arrays.items()}
    header = json.dumps(
        {"schema_version": SCHEMA_VERSION, DIGESTS: digests, **manifest}, sort_keys=True
    )
    content = save(arrays, metadata={HEADER: header})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read_tensors(path: Path, names: Sequence[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the named arrays and the manifest.

    Raises:
        InputError: Missing, damaged (each array has a digest), another schema version, a name is
            absent, or a value is not finite.
    """
    remedy = "delete it and rerun the rule that makes it"
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the rule that makes it")
    try:
        with safe_open(path, framework="numpy") as archive:
            header = json.loads((archive.metadata() or {}).get(HEADER, "{}"))
            missing = sorted(set(names) - set(archive.keys()))
            tensors = {name: archive.get_tensor(name) for name in names if name not in missing}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error}); {remedy}") from error
    if header.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version {header.get('schema_version')}, but this code reads "
            f"{SCHEMA_VERSION}; {remedy}"
        )
    if missing:
        raise InputError(f"{path}: lacks the tensor(s) {', '.join(missing)}; {remedy}")
    digests = header.pop(DIGESTS, {})
    for name, array in tensors.items():
        if digests.get(name) != _digest(array):
            raise InputError(f"{path}: {name} differs from what was written; {remedy}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"{path}: {name} has a NaN or infinite value; {remedy}")
    return tensors, header
