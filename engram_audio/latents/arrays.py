"""Latents that a user brings: which arrays are usable, and what the others lack.

Shapes: T frames of an utterance, D dimensions.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.corpus.utterances import SAFE_NAME
from engram_audio.errors import InputError
from engram_audio.latents.block import LatentBlock

UTTERANCE_COLUMNS = (
    "utterance_id", "speaker_id", "sex", "duration_s", "sample_rate_hz", "num_samples",
    "audio_path", "transcript",
)  # fmt: skip
EXCLUSION_COLUMNS = ("path", "utterance_id", "speaker_id", "reason", "detail", "is_kept")


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
    """

    utterance_id: str
    speaker_id: str
    sex: str
    path: str
    latents: np.ndarray | None
    energy: np.ndarray | None
    failure: tuple[str, str] | None
    rate: str = ""


class ArrayIndex(NamedTuple):
    """What an import found.

    Attributes:
        utterances: UTTERANCE_COLUMNS; no audio, so the last four are null.
        exclusions: EXCLUSION_COLUMNS.
        num_dims: D.
        has_energy: Whether every usable utterance brings energies.
        content_hash: SHA-256 over ids and values of the usable utterances.
    """

    utterances: pd.DataFrame
    exclusions: pd.DataFrame
    num_dims: int
    has_energy: bool
    content_hash: str


class _Fact(NamedTuple):
    row: ArrayRow
    shape: tuple[int, int]
    digest: str


def array_fault(row: ArrayRow) -> tuple[str, str] | None:
    """Return (reason, detail) if a row's arrays cannot be used, or None."""
    if row.failure is not None or row.latents is None:
        return row.failure or ("missing_file", "no latents")
    latents, energy = row.latents, row.energy
    if latents.dtype.kind != "f":
        return "wrong_dtype", f"{latents.dtype}, floating point is needed"
    if latents.ndim != 2 or min(latents.shape) < 1:
        return "wrong_shape", f"shape {latents.shape}, [frames, dims] is needed"
    if not np.isfinite(latents).all() or np.abs(latents).max() > np.finfo(np.float32).max:
        return "not_finite", "NaN, infinite, or beyond float32"
    if energy is not None and (energy.dtype.kind != "f" or energy.shape != latents.shape[:1]):
        return "wrong_energy", f"shape {energy.shape}, one number per frame is needed"
    if energy is not None and not np.isfinite(energy).all():
        return "wrong_energy", "NaN or infinite"
    return None


def _content_fault(
    row: ArrayRow, latents: np.ndarray, frame_rate_hz: float, minimum_frames: int
) -> tuple[str, str] | None:
    """Return (reason, detail) if usable arrays are of no use to a study, or None."""
    if row.rate.strip() and not _is_rate(row.rate, frame_rate_hz):
        return "wrong_rate", f"the table says {row.rate} Hz, the representation {frame_rate_hz:g}"
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


def index_arrays(
    rows: Iterable[ArrayRow], frame_rate_hz: float, minimum_frames: int, name: str
) -> ArrayIndex:
    """Sort usable from unusable utterances in one pass; only one array is held at a time.

    D is that of most usable arrays; the others are excluded (`wrong_dims`). Of arrays with the same
    values the first is kept: a copy in train would tell what eval holds.

    Raises:
        InputError: No utterance is usable.
    """
    facts: list[_Fact] = []
    dropped: list[tuple[ArrayRow, str, str]] = []
    seen: set[str] = set()
    first_with: dict[str, str] = {}
    for row in rows:
        fault = array_fault(row)
        if fault is None and row.latents is not None:
            fault = _content_fault(row, row.latents, frame_rate_hz, minimum_frames)
        if not SAFE_NAME.fullmatch(row.utterance_id) or not SAFE_NAME.fullmatch(row.speaker_id):
            fault = ("unsafe_name", "letters, digits and ._- only")
        if row.utterance_id in seen:
            fault = ("duplicate_id", "the table has this utterance_id already")
        seen.add(row.utterance_id)
        light = row._replace(latents=None)
        if fault is not None or row.latents is None:
            reason, detail = fault or ("missing_file", "")
            dropped.append((light, reason, detail))
            continue
        values = np.ascontiguousarray(row.latents, "<f4").tobytes()
        digest = hashlib.sha256(values).hexdigest()
        if digest in first_with:
            dropped.append((light, "duplicate", f"the values of {first_with[digest]}"))
            continue
        first_with[digest] = row.utterance_id
        facts.append(_Fact(light, row.latents.shape, digest))
    dims = Counter(fact.shape[1] for fact in facts)
    if not dims:
        first = f"; the first: {dropped[0][0].path}: {dropped[0][2]}" if dropped else ""
        raise InputError(
            f"representations.{name}: none of {len(dropped)} utterances is usable{first}; "
            "see docs/add-a-codec.md for the layout"
        )
    num_dims = min(dims, key=lambda value: (-dims[value], value))
    for fact in [fact for fact in facts if fact.shape[1] != num_dims]:
        facts.remove(fact)
        detail = f"{fact.shape[1]} dimensions, most have {num_dims}"
        dropped.append((fact.row, "wrong_dims", detail))
    facts.sort(key=lambda fact: (fact.row.speaker_id, fact.row.utterance_id))
    content = "\n".join(f"{fact.row.utterance_id} {fact.digest}" for fact in facts)
    return ArrayIndex(
        utterances=_utterance_table(facts, frame_rate_hz),
        exclusions=_exclusion_table(dropped),
        num_dims=num_dims,
        has_energy=all(fact.row.energy is not None for fact in facts),
        content_hash=hashlib.sha256(content.encode()).hexdigest(),
    )


def _utterance_table(facts: Iterable[_Fact], frame_rate_hz: float) -> pd.DataFrame:
    rows = [
        {
            "utterance_id": fact.row.utterance_id,
            "speaker_id": fact.row.speaker_id,
            "sex": fact.row.sex,
            "duration_s": fact.shape[0] / frame_rate_hz,
        }
        for fact in facts
    ]
    table = pd.DataFrame(rows, columns=list(UTTERANCE_COLUMNS))
    nullable = {"sample_rate_hz": "Int64", "num_samples": "Int64"}
    return table.astype({**nullable, "audio_path": "object", "transcript": "object"})


def _exclusion_table(dropped: Iterable[tuple[ArrayRow, str, str]]) -> pd.DataFrame:
    rows = [
        (row.path, row.utterance_id, row.speaker_id, reason, detail, False)
        for row, reason, detail in dropped
    ]
    table = pd.DataFrame(rows, columns=list(EXCLUSION_COLUMNS))
    return table.sort_values(["path", "utterance_id", "reason"], ignore_index=True)


def latent_energy(latents: np.ndarray) -> np.ndarray:
    """Return the RMS of each frame's vector, shape [T]: stands in where there is no waveform."""
    return np.sqrt(np.mean(latents.astype(np.float64) ** 2, axis=1)).astype(np.float32)


def collect_block(
    rows: Iterable[ArrayRow], utterance_ids: np.ndarray, speaker_ids: np.ndarray, has_energy: bool
) -> LatentBlock:
    """Put the arrays of a shard's utterances in the shard's order.

    Args:
        rows: Rows that hold at least these utterances; the first of a repeated id counts.
        utterance_ids: Shape [U].
        speaker_ids: Shape [U].
        has_energy: Take the given energies; else the RMS of each frame's vector.

    Raises:
        InputError: An utterance is not there any more.
    """
    wanted = set(utterance_ids)
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for row in rows:
        if row.utterance_id in wanted and row.utterance_id not in found:
            if array_fault(row) is not None or row.latents is None:
                raise InputError(f"{row.path}: has changed since it was indexed; index it again")
            frames = row.latents.astype(np.float32)
            energy = row.energy if has_energy and row.energy is not None else latent_energy(frames)
            found[row.utterance_id] = frames, energy.astype(np.float32)
    missing = sorted(wanted - set(found))
    if missing:
        raise InputError(f"{missing[0]}: is not in the table any more; index the arrays again")
    arrays = [found[name] for name in utterance_ids]
    sizes = [len(frames) for frames, _ in arrays]
    return LatentBlock(
        frames=np.concatenate([frames for frames, _ in arrays]),
        energy=np.concatenate([energy for _, energy in arrays]),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        utterance_ids=utterance_ids,
        speaker_ids=speaker_ids,
    )
