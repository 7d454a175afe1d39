"""Encode the clips of a shard batch by batch, the next batch read and moved ahead.

Shapes: U utterances, N frames of the shard, T frames of a clip, D dimensions.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np

from engram_audio.codecs.base import Codec
from engram_audio.errors import ChangedInputError, InputError
from engram_audio.latents.absurd import find_absurd
from engram_audio.latents.batching import (
    StagedClips,
    encode_staged,
    frame_energy,
    stage_batch,
)
from engram_audio.latents.block import LatentBlock, drop_utterances

# Reasons of an exclusion at extraction, by number; 0 means that the utterance is kept.
DETAILS = {
    "": "",
    "unreadable": "the audio cannot be read any more; index the corpus again",
    "too_short_for_codec": "no frame is left after the codec's cold start",
    "not_finite": "a latent is NaN or infinite",
    "zero_variance": "all frames are equal",
}
REASONS = tuple(DETAILS)
PART_NAMES = ("frames", "energy", "num_frames", "reason")


class Parts(Protocol):
    """Finished batches of an earlier, interrupted run."""

    def get(self, number: int, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
        """Return a finished batch, or None."""

    def put(self, number: int, tensors: dict[str, np.ndarray]) -> None:
        """Keep a finished batch."""


class Exclusion(NamedTuple):
    """An utterance that has no latents, and why."""

    utterance_id: str
    speaker_id: str
    reason: str
    detail: str


class Extraction(NamedTuple):
    """Everything a shard is made of."""

    block: LatentBlock
    excluded: list[Exclusion]


Loader = Callable[[int], np.ndarray]
Batch = dict[str, np.ndarray]


def load_probes(load: Loader, numbers: Sequence[int], name: str) -> list[np.ndarray]:
    """Load a few clips for the self-tests; unreadable ones are passed over.

    Raises:
        InputError: None can be read, or one is not what was indexed.
    """
    probes = [waveform for n in numbers if (waveform := _load_or_none(load, n)) is not None]
    if not probes:
        raise InputError(f"{name}: no clip of this shard can be read; index the corpus again")
    return probes


def clip_samples(num_samples: np.ndarray, from_rate_hz: np.ndarray, to_rate_hz: int) -> np.ndarray:
    """Return clip lengths at the codec's rate, for planning, shape [U], int64."""
    return np.ceil(num_samples * (to_rate_hz / from_rate_hz)).astype(np.int64)


class ReadBatch(NamedTuple):
    """Clips that were read, and the usable ones on their way to the codec.

    Attributes:
        reasons: A number into REASONS per clip; 0 means that it can be encoded.
        clips: Waveforms of the usable clips at the codec's rate.
        staged: The batch made of them; None where there is none.
    """

    reasons: np.ndarray
    clips: list[np.ndarray]
    staged: StagedClips | None


def stage_clips(
    codec: Codec, waveforms: Sequence[np.ndarray | None], guard_frames: int
) -> ReadBatch:
    """Sort out the clips that cannot be used, pad the others and begin to move them.

    Args:
        codec: The codec.
        waveforms: Clips at the codec's rate; None where the file could not be read.
        guard_frames: Zero frames after each clip.
    """
    reasons = np.zeros(len(waveforms), np.int64)
    for number, waveform in enumerate(waveforms):
        if waveform is None:
            reasons[number] = REASONS.index("unreadable")
        elif codec.num_frames(len(waveform)) <= codec.cold_start_frames:
            reasons[number] = REASONS.index("too_short_for_codec")
    clips = [
        clip
        for clip, reason in zip(waveforms, reasons, strict=True)
        if clip is not None and reason == 0
    ]
    return ReadBatch(reasons, clips, stage_batch(codec, clips, guard_frames) if clips else None)


def encode_clips(codec: Codec, batch: ReadBatch) -> Batch:
    """Encode one batch; clips that cannot be used get a reason and no frames.

    Returns:
        `frames` [N, D], `energy` [N], `num_frames` and `reason` (a number into REASONS) per clip.
    """
    reasons = batch.reasons.copy()
    usable = np.flatnonzero(reasons == 0)
    latents = encode_staged(codec, batch.staged) if batch.staged else []
    kept: list[np.ndarray] = [np.zeros((0, codec.num_dims), np.float32)]
    energies: list[np.ndarray] = [np.zeros(0, np.float32)]
    num_frames = np.zeros(len(reasons), np.int64)
    for number, rows, clip in zip(usable, latents, batch.clips, strict=True):
        reasons[number] = _fault(rows, codec.cold_start_frames)
        if reasons[number] == 0:
            kept.append(rows)
            energies.append(frame_energy(clip, codec.hop_samples))
            num_frames[number] = len(rows)
    return {
        "frames": np.concatenate(kept),
        "energy": np.concatenate(energies),
        "num_frames": num_frames,
        "reason": reasons,
    }


def _fault(rows: np.ndarray, cold_start_frames: int) -> int:
    if not np.isfinite(rows).all():
        return REASONS.index("not_finite")
    warm = rows[cold_start_frames:]
    return REASONS.index("zero_variance") if not np.any(warm != warm[0]) else 0


def extract(
    codec: Codec,
    load: Loader,
    batches: Sequence[np.ndarray],
    guard_frames: int,
    parts: Parts,
    num_readers: int = 1,
) -> Iterator[Batch]:
    """Yield the result of each batch in order; those of an earlier run are taken over.

    While a batch is encoded, threads read the next, resample, pad and begin to move it.

    Args:
        codec: The codec.
        load: Gives the prepared waveform of a clip number, or raises InputError (the clip is
            excluded) or ChangedInputError (the extraction stops).
        batches: Clip numbers of each batch (`plan_batches`).
        guard_frames: Zero frames after each clip.
        parts: Where finished batches are kept.
        num_readers: Threads that read the clips of a batch.
    """
    done = [parts.get(number, PART_NAMES) for number in range(len(batches))]
    missing = [batches[number] for number, part in enumerate(done) if part is None]
    with ThreadPoolExecutor(1) as stager, ThreadPoolExecutor(num_readers) as readers:

        def read(batch: np.ndarray) -> ReadBatch:
            waveforms = list(readers.map(lambda clip: _load_or_none(load, int(clip)), batch))
            return stage_clips(codec, waveforms, guard_frames)

        ahead = _read_ahead(stager, read, missing)
        for number, part in enumerate(done):
            if part is None:
                part = encode_clips(codec, next(ahead))
                parts.put(number, part)
            yield part


def _read_ahead(
    stager: ThreadPoolExecutor,
    read: Callable[[np.ndarray], ReadBatch],
    batches: Sequence[np.ndarray],
) -> Iterator[ReadBatch]:
    """Yield each batch as read; a thread reads the next while this one is encoded."""
    pending = [stager.submit(read, batch) for batch in batches[:1]]
    for following in [*batches[1:], None]:
        waveforms = pending.pop().result()
        if following is not None:
            pending.append(stager.submit(read, following))
        yield waveforms


def _load_or_none(load: Loader, clip: int) -> np.ndarray | None:
    try:
        return load(clip)
    except ChangedInputError:
        raise  # another recording under this name: passing over it would hide that the corpus moved
    except InputError:
        return None


def assemble(
    results: Sequence[Batch],
    batches: Sequence[np.ndarray],
    utterance_ids: np.ndarray,
    speaker_ids: np.ndarray,
) -> Extraction:
    """Put the clips of all batches back into the shard's order, and leave out absurd ones.

    What is usual is learned from this shard alone (`latents/absurd.py`): no job sees all shards.

    Args:
        results: Of `extract`.
        batches: Clip numbers of each batch.
        utterance_ids: Shape [U], the shard's order, those of a speaker adjacent.
        speaker_ids: Shape [U].
    """
    num_frames, reasons, start = (np.zeros(len(utterance_ids), np.int64) for _ in range(3))
    position = 0
    for batch, result in zip(batches, results, strict=True):
        sizes = result["num_frames"]
        num_frames[batch], reasons[batch] = sizes, result["reason"]
        start[batch] = position + np.cumsum(sizes) - sizes
        position += int(sizes.sum())
    kept = np.flatnonzero(num_frames > 0)
    sizes = num_frames[kept]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rows = np.arange(offsets[-1]) + np.repeat(start[kept] - offsets[:-1], sizes)
    block = LatentBlock(
        frames=np.concatenate([result["frames"] for result in results])[rows],
        energy=np.concatenate([result["energy"] for result in results])[rows],
        offsets=offsets,
        utterance_ids=utterance_ids[kept],
        speaker_ids=speaker_ids[kept],
    )
    excluded = [
        Exclusion(str(utterance_ids[u]), str(speaker_ids[u]), reason, DETAILS[reason])
        for u in np.flatnonzero(num_frames == 0)
        for reason in [REASONS[reasons[u]]]
    ]
    absurd = find_absurd(block)
    excluded += [
        Exclusion(str(block.utterance_ids[u]), str(block.speaker_ids[u]), "absurd", detail)
        for u, detail in absurd.items()
    ]
    return Extraction(drop_utterances(block, list(absurd)), excluded)


def frame_times(offsets: np.ndarray, frame_rate_hz: float) -> np.ndarray:
    """Return each frame's start in its utterance, seconds, shape [N], float64."""
    starts = np.repeat(offsets[:-1], np.diff(offsets))
    return (np.arange(offsets[-1]) - starts) / frame_rate_hz
