"""Latents that a user brings: which arrays are usable, and what the others lack.

Shapes: T frames of an utterance, D dimensions.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.corpus.remedies import with_remedy
from engram_audio.corpus.sexes import sex_of, unread_sex
from engram_audio.corpus.utterances import SAFE_NAME
from engram_audio.errors import InputError
from engram_audio.latents.absurd import Spread
from engram_audio.latents.array_layout import doubtful_layout, require_frames_first
from engram_audio.latents.array_row import ArrayRow, array_fault, content_fault
from engram_audio.latents.block import LatentBlock

UTTERANCE_COLUMNS = (
    "utterance_id", "speaker_id", "sex", "duration_s", "sample_rate_hz", "num_samples",
    "audio_path", "transcript",
)  # fmt: skip
EXCLUSION_COLUMNS = ("path", "utterance_id", "speaker_id", "reason", "detail", "is_kept")
DIGEST = "content_sha256"  # column of the shard table: digest of each array when it was indexed


class ArrayIndex(NamedTuple):
    """What an import found.

    Attributes:
        utterances: UTTERANCE_COLUMNS; no audio, so the last four are null.
        exclusions: EXCLUSION_COLUMNS.
        num_dims: D.
        has_energy: Whether every usable utterance brings energies.
        content_hash: SHA-256 over ids and values of the usable utterances.
        digests: `array_digest` of each usable utterance, by id.
    """

    utterances: pd.DataFrame
    exclusions: pd.DataFrame
    num_dims: int
    has_energy: bool
    content_hash: str
    digests: dict[str, str]


class _Fact(NamedTuple):
    row: ArrayRow
    shape: tuple[int, int]
    values_digest: str
    digest: str


class _Sorter:
    """Usable and unusable rows of one pass, without their arrays."""

    def __init__(self, frame_rate_hz: float, minimum_frames: int) -> None:
        self._rate, self._minimum = frame_rate_hz, minimum_frames
        self._seen: set[str] = set()
        self._first_with: dict[str, str] = {}
        self.facts: list[_Fact] = []
        self.dropped: list[tuple[ArrayRow, str, str]] = []
        self.spreads: dict[int, Spread] = {}
        self.shapes: Counter[tuple[int, ...]] = Counter()  # of all arrays that were read

    def add(self, row: ArrayRow) -> None:
        fault = self._fault(row)
        self._seen.add(row.utterance_id)
        if row.latents is not None:
            self.shapes[row.latents.shape] += 1
        if fault is not None or row.latents is None:
            self.drop(row, *(fault or ("missing_file", "no latents")))
            return
        digest = _values_digest(row.latents)
        if digest in self._first_with:
            self.drop(row, "duplicate", f"the values of {self._first_with[digest]}")
            return
        self._first_with[digest] = row.utterance_id
        num_frames, num_dims = row.latents.shape
        self.spreads.setdefault(num_dims, Spread(num_dims)).add(row.utterance_id, row.latents)
        light = row._replace(latents=None, energy=None if row.energy is None else row.energy[:0])
        self.facts.append(_Fact(light, (num_frames, num_dims), digest, array_digest(row)))

    def drop(self, row: ArrayRow, reason: str, detail: str) -> None:
        self.dropped.append((row._replace(latents=None, energy=None), reason, detail))

    def drop_where(self, faults: Mapping[str, tuple[str, str]]) -> None:
        """Move usable rows to the unusable ones: (reason, detail) by utterance id."""
        for fact in self.facts:
            if fact.row.utterance_id in faults:
                self.drop(fact.row, *faults[fact.row.utterance_id])
        self.facts = [fact for fact in self.facts if fact.row.utterance_id not in faults]

    def _fault(self, row: ArrayRow) -> tuple[str, str] | None:
        if row.utterance_id in self._seen:
            return "duplicate_id", "the table has this utterance_id already"
        if not SAFE_NAME.fullmatch(row.utterance_id) or not SAFE_NAME.fullmatch(row.speaker_id):
            return "unsafe_name", "an id is 1 to 200 letters, digits, '.', '_', '-'"
        fault = array_fault(row)
        if fault is not None or row.latents is None:
            return fault
        return content_fault(row, row.latents, self._rate, self._minimum)


def index_arrays(
    rows: Iterable[ArrayRow], frame_rate_hz: float, minimum_frames: int, name: str
) -> ArrayIndex:
    """Sort usable from unusable utterances; only one array is held at a time.

    D is that of most usable arrays; the others are excluded (`wrong_dims`). Of arrays with the same
    values the first is kept: a copy in train would tell what eval holds. Utterances with a value
    that `latents/absurd.py` calls absurd are excluded. What is usual is learned from all usable
    utterances, because no split exists yet: nothing but an exclusion depends on it.

    Args:
        rows: Read once, and a second time where a value is absurd, to say in which frame.
        frame_rate_hz: Frames per second of the representation.
        minimum_frames: Shorter utterances are excluded.
        name: Of the representation, for messages.

    Raises:
        InputError: No utterance is usable, or the arrays are [dims, frames].
    """
    sorter = _Sorter(frame_rate_hz, minimum_frames)
    for row in rows:
        sorter.add(row)
    require_frames_first(sorter.shapes, name)
    dims = Counter(fact.shape[1] for fact in sorter.facts)
    if dims:
        num_dims = min(dims, key=lambda value: (-dims[value], value))
        sorter.drop_where(_wrong_dims(sorter.facts, num_dims))
        sorter.drop_where(_absurd(rows, sorter, sorter.spreads[num_dims]))
    if not sorter.facts:
        dropped = sorter.dropped
        first = (
            f"; the first: {dropped[0][0].path}: {with_remedy(*dropped[0][1:])}" if dropped else ""
        )
        raise InputError(
            f"representations.library.{name}: none of {len(dropped)} utterances is usable{first}; "
            "see docs/add-a-corpus.md for the layout"
        )
    facts = sorted(sorter.facts, key=lambda fact: (fact.row.speaker_id, fact.row.utterance_id))
    content = "\n".join(f"{fact.row.utterance_id} {fact.values_digest}" for fact in facts)
    return ArrayIndex(
        utterances=_utterance_table(facts, frame_rate_hz),
        exclusions=_exclusion_table(sorter.dropped, [*_unread_sexes(facts), *_wide(facts)]),
        num_dims=facts[0].shape[1],
        has_energy=all(fact.row.energy is not None for fact in facts),
        content_hash=hashlib.sha256(content.encode()).hexdigest(),
        digests={fact.row.utterance_id: fact.digest for fact in facts},
    )


def _wide(facts: Sequence[_Fact]) -> Iterator[tuple[ArrayRow, str, str]]:
    """Yield a note where arrays may lie the wrong way round."""
    detail = doubtful_layout([fact.shape for fact in facts])
    if detail is not None:
        yield facts[0].row, "wrong_shape", detail


def _wrong_dims(facts: Iterable[_Fact], num_dims: int) -> dict[str, tuple[str, str]]:
    return {
        fact.row.utterance_id: ("wrong_dims", f"{fact.shape[1]} dimensions, most have {num_dims}")
        for fact in facts
        if fact.shape[1] != num_dims
    }


def _absurd(
    rows: Iterable[ArrayRow], sorter: _Sorter, spread: Spread
) -> dict[str, tuple[str, str]]:
    """Return (`absurd`, the worst value) by utterance; reads again only if there is one."""
    bounds = spread.bounds()
    if not spread.exceeds(bounds):
        return {}
    if iter(rows) is rows:
        raise TypeError("rows can be read only once: give what can be iterated over again")
    waiting = {fact.row.utterance_id for fact in sorter.facts}
    found: dict[str, tuple[str, str]] = {}
    for row in rows:
        if row.utterance_id in waiting and row.latents is not None:
            waiting.remove(row.utterance_id)  # of a repeated id the first was kept
            place = bounds.worst(row.latents)
            if place is not None:
                found[row.utterance_id] = "absurd", bounds.describe(row.latents, *place)
    return found


def _values_digest(latents: np.ndarray) -> str:
    digest = hashlib.sha256(f"{latents.shape[1]} dimensions\n".encode())
    digest.update(np.ascontiguousarray(latents, "<f4").tobytes())
    return digest.hexdigest()


def array_digest(row: ArrayRow) -> str:
    """Return the SHA-256 of a row's latents and energies, as what a shard holds of them."""
    assert row.latents is not None
    digest = hashlib.sha256(_values_digest(row.latents).encode())
    if row.energy is not None:
        digest.update(np.ascontiguousarray(row.energy, "<f4").tobytes())
    return digest.hexdigest()


def unchanged(
    rows: Iterable[ArrayRow], digests: Mapping[str, str], index: str
) -> Iterator[ArrayRow]:
    """Yield rows that still hold what was indexed; rows that were not indexed are passed over.

    Args:
        rows: Of `read_arrays`.
        digests: `ArrayIndex.digests` of the utterances that are wanted.
        index: File that the digests come from, for the message.

    Raises:
        InputError: The arrays of a row differ from what was indexed, or cannot be used any more.
    """
    for row in rows:
        if row.utterance_id not in digests:
            continue
        fault = array_fault(row)
        if fault is None and array_digest(row) != digests[row.utterance_id]:
            fault = ("changed", "other values")
        if fault is not None:
            raise InputError(
                f"{row.path}: not what was indexed of utterance {row.utterance_id} ({fault[1]}); "
                f"restore it, or delete {index} and run again"
            )
        yield row


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


def _unread_sexes(facts: Iterable[_Fact]) -> Iterator[tuple[ArrayRow, str, str]]:
    """Yield a note for each utterance that stays and whose sex is written in no known way."""
    for fact in facts:
        if sex_of(fact.row.sex_as_written) is None:
            yield fact.row, "unknown_sex", unread_sex(fact.row.sex_as_written)


def _exclusion_table(
    dropped: Iterable[tuple[ArrayRow, str, str]], notes: Iterable[tuple[ArrayRow, str, str]]
) -> pd.DataFrame:
    left_out = [(row, reason, with_remedy(reason, detail)) for row, reason, detail in dropped]
    rows = [
        (row.path, row.utterance_id, row.speaker_id, reason, detail, is_kept)
        for found, is_kept in ((left_out, False), (notes, True))
        for row, reason, detail in found
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
