"""One row of a user's table of latents, and what makes its arrays unusable.

Shapes: T frames of an utterance, D dimensions.
"""

import math
from typing import NamedTuple

import numpy as np

MAXIMUM_DIMS = 2**16  # far above any codec's: sums of each dimension are held in memory
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
# Sixty thousand squares of it still add up in float32; real latents are nowhere near.
LARGEST_VALUE = 2.0**56


class ArrayRow(NamedTuple):
    """One row of the user's table, and what reading its arrays gave.

    Attributes:
        utterance_id: From the table.
        speaker_id: From the table.
        sex: F, M or unknown.
        path: Where the latents were looked for.
        latents: What was found there, or None.
        energy: Energies that came with it, or None.
        failure: Why it could not be read, or None.
        rate: Frames per second as the table says, or "".
        sex_as_written: In the table, or "".
    """

    utterance_id: str
    speaker_id: str
    sex: str
    path: str
    latents: np.ndarray | None
    energy: np.ndarray | None
    failure: tuple[str, str] | None
    rate: str = ""
    sex_as_written: str = ""


def array_fault(row: ArrayRow) -> tuple[str, str] | None:
    """Return (reason, detail) if a row's arrays cannot be used, or None."""
    if row.failure is not None or row.latents is None:
        return row.failure or ("missing_file", "no latents")
    latents, energy = row.latents, row.energy
    if latents.dtype.kind != "f":
        return "wrong_dtype", f"{latents.dtype}, floating point is needed"
    if latents.ndim != 2 or min(latents.shape) < 1:
        return "wrong_shape", f"shape {latents.shape}, [frames, dims] is needed"
    if latents.shape[1] > MAXIMUM_DIMS:
        return "wrong_shape", f"{latents.shape[1]} dimensions, at most {MAXIMUM_DIMS} are read"
    fault = _value_fault(latents)
    if fault is not None or energy is None:
        return fault
    if energy.dtype.kind != "f" or energy.shape != latents.shape[:1]:
        return "wrong_energy", f"shape {energy.shape}, one number per frame is needed"
    fault = _value_fault(energy[:, None])
    return None if fault is None else ("wrong_energy", fault[1])


def _value_fault(values: np.ndarray) -> tuple[str, str] | None:
    """Return (reason, detail) if a value of an array [T, D] is no number to reckon with."""
    end = float(np.finfo(values.dtype).max)
    is_good = np.abs(values) < min(end, LARGEST_VALUE)
    if is_good.all():
        return None
    frame, dimension = (int(index) for index in np.argwhere(~is_good)[0])
    value = float(values[frame, dimension])
    place = f"frame {frame}, dimension {dimension}: {value:.6g}"
    if not abs(value) <= LARGEST_FLOAT32:
        return "not_finite", f"{place}, NaN, infinite, or beyond float32"
    if abs(value) >= end:
        return "too_large", f"{place}, where {values.dtype} ends: it was cut off there"
    return "too_large", f"{place}, the limit is {LARGEST_VALUE:.2g}: squares would overflow"


def content_fault(
    row: ArrayRow, latents: np.ndarray, frame_rate_hz: float, minimum_frames: int
) -> tuple[str, str] | None:
    """Return (reason, detail) if usable arrays are of no use to a study, or None."""
    if row.rate.strip() and not _is_rate(row.rate, frame_rate_hz):
        return "wrong_rate", (
            f"the table says {row.rate!r}, and frame_rate_hz is {frame_rate_hz:g} Hz; correct the "
            "one that is wrong"
        )
    if len(latents) < minimum_frames:
        return "too_short", f"{len(latents)} frames, minimum_frames is {minimum_frames}"
    if not np.any(latents != latents[0]):
        return "constant", f"all {len(latents)} frames are equal"
    return None


def _is_rate(text: str, rate_hz: float) -> bool:
    try:
        return math.isclose(float(text), rate_hz, rel_tol=1e-6)
    except ValueError:
        return False
