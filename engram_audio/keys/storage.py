"""Fitted keys as named arrays and a JSON header, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from engram_audio.keys.config import AnyQuantizer, KeyFamily
from engram_audio.keys.fitted import FittedFamily, FittedKey

Arrays = dict[str, np.ndarray]
PLAIN = (
    "name",
    "lag_frames",
    "key_input",
    "num_codes",
    "num_fitted",
    "window_frames",
    "pseudo_frames",
)
FAMILY: TypeAdapter[KeyFamily] = TypeAdapter(KeyFamily)
QUANTIZER: TypeAdapter[AnyQuantizer] = TypeAdapter(AnyQuantizer)


def pack_family(fitted: FittedFamily) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays of a family's keys and their header."""
    arrays: Arrays = {}
    rows = []
    for number, key in enumerate(fitted.keys):
        own, row = pack_key(f"{number}", key)
        arrays |= own
        rows.append(row)
    missing = {name: list(pair) for name, pair in fitted.missing.items()}
    return arrays, {"family": fitted.name, "keys": rows, "missing": missing}


def unpack_family(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> FittedFamily:
    """Return the family of `pack_family`."""
    keys = tuple(unpack_key(str(n), arrays, row) for n, row in enumerate(header["keys"]))
    missing = {name: (size, reason) for name, (size, reason) in header["missing"].items()}
    return FittedFamily(header["family"], keys, missing)


def pack_key(label: str, key: FittedKey) -> tuple[Arrays, dict[str, Any]]:
    """Return a key's arrays under a label, and its header."""
    arrays = {f"{label}/train_mean": key.train_mean}
    arrays |= {f"{label}/features/{name}": values for name, values in key.features.items()}
    arrays |= {f"{label}/cells/{name}": values for name, values in key.cells.items()}
    header = {name: getattr(key, name) for name in PLAIN}
    header["family"] = key.family.model_dump(mode="json")
    header["quantizer"] = key.quantizer.model_dump(mode="json")
    header["arrays"] = {"features": sorted(key.features), "cells": sorted(key.cells)}
    return arrays, header


def unpack_key(
    label: str, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]
) -> FittedKey:
    """Return the key of `pack_key`."""
    parts: dict[str, Any] = {
        part: {name: arrays[f"{label}/{part}/{name}"] for name in names}
        for part, names in header["arrays"].items()
    }
    return FittedKey(
        **{name: header[name] for name in PLAIN},
        family=FAMILY.validate_python(header["family"], strict=False),
        quantizer=QUANTIZER.validate_python(header["quantizer"], strict=False),
        train_mean=arrays[f"{label}/train_mean"],
        **parts,
    )
