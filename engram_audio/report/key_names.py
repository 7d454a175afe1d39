"""Key ids `<family>.<input>.<quantizer>` (or `target_oracle.<quantizer>`) taken apart."""

from typing import NamedTuple

import pandas as pd


class KeyParts(NamedTuple):
    """The parts of a key id; `input` is empty for the oracle."""

    family: str
    input: str
    quantizer: str


def key_parts(key: str) -> KeyParts:
    """Split a key id."""
    parts = key.split(".")
    if len(parts) >= 3:
        return KeyParts(parts[0], parts[1], ".".join(parts[2:]))
    return KeyParts(parts[0], "", parts[-1])


def with_key_parts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with the columns family, input and quantizer."""
    parts = [key_parts(str(key)) for key in frame["key"]]
    return frame.assign(
        family=[part.family for part in parts],
        input=[part.input for part in parts],
        quantizer=[part.quantizer for part in parts],
    )
