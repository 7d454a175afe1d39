"""Moments of a representation in one pass over its blocks.

Shapes: N frames of a block, D dimensions.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from engram_audio.codecs.base import POSTERIOR_KL
from engram_audio.errors import InputError
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.resampling import within_group_share
from engram_audio.latents.scored import repeated_frames, silent_frames
from engram_audio.numerics.moments import Moments
from engram_audio.stats.rank import effective_rank

BLOCK_FRAMES = 16384  # frames held at a time, in float64
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def summarize(blocks: Iterable[LatentBlock], is_energy_rms: bool = True) -> dict[str, Any]:
    """Return counts, per-dimension mean and SD, effective rank and lag-one autocorrelation.

    The autocorrelation is sum (x_t - m)(x_{t-1} - m) / sum (x_t - m)^2 inside utterances, m once
    the corpus mean and once each utterance's own: the first counts what tells speakers apart as
    correlation, the second does not (SCIENCE 0).

    `repeated_frame_share` counts frames that equal their predecessor, `silent_frame_share` frames
    of digital silence (`latents/scored.py`): both decide nothing. The second is None where the
    energy is not the waveform's RMS.

    Args:
        blocks: The representation.
        is_energy_rms: Whether its energy is the waveform's RMS.

    Raises:
        InputError: There is no frame.
    """
    sums = _Sums()
    for block in blocks:
        if len(block.frames):
            sums.add(block)
    if sums.frames is None:
        raise InputError("latents: the representation has no frame to summarise")
    result = sums.result(sums.frames)
    if not is_energy_rms:
        result["silent_frame_share"] = None
    return result


class _Sums:
    """Running sums in float64, around the mean of the first block."""

    def __init__(self) -> None:
        self.num_pairs = 0
        self.utterances = self.num_repeated = self.num_silent = 0
        self.speakers: set[str] = set()
        self.shortest, self.longest = np.iinfo(np.int64).max, 0
        self.frames: Moments | None = None
        self.energy = 0.0

    def add(self, block: LatentBlock) -> None:
        if self.frames is None:
            dims = block.frames.shape[1]
            self.frames = Moments(block.frames.mean(axis=0, dtype=np.float64))
            self.pair_total = np.zeros(dims)
            self.pair_product, self.pair_square = np.zeros(dims), np.zeros(dims)
            self.own_product, self.own_square = np.zeros(dims), np.zeros(dims)
        rows = self.frames.add(block.frames)
        sizes = np.diff(block.offsets)
        self.utterances += len(sizes)
        self.speakers |= set(block.speaker_ids)
        self.shortest = min(self.shortest, int(sizes.min()))
        self.longest = max(self.longest, int(sizes.max()))
        self.num_repeated += int(repeated_frames(block.frames, block.offsets).sum())
        self.num_silent += int(silent_frames(block.energy).sum())
        self.energy += float(np.sum(block.energy.astype(np.float64) ** 2))
        self._add_pairs(rows, block.offsets, sizes)

    def _add_pairs(self, rows: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> None:
        is_first = np.zeros(len(rows), bool)
        is_first[offsets[:-1]] = True
        later = np.flatnonzero(~is_first)
        self.num_pairs += len(later)
        now, before = rows[later], rows[later - 1]
        self.pair_product += np.einsum("nd,nd->d", now, before)
        self.pair_square += (
            np.einsum("nd,nd->d", now, now) + np.einsum("nd,nd->d", before, before)
        ) / 2
        self.pair_total += (now.sum(axis=0) + before.sum(axis=0)) / 2
        own = np.add.reduceat(rows, offsets[:-1], axis=0) / sizes[:, None]
        centred = rows - np.repeat(own, sizes, axis=0)
        self.own_product += np.einsum("nd,nd->d", centred[later], centred[later - 1])
        self.own_square += np.einsum("nd,nd->d", centred, centred)

    def result(self, frames: Moments) -> dict[str, Any]:
        mean, covariance = frames.offset, frames.covariance()
        variance = np.maximum(np.diag(covariance), 0.0)
        pairs = max(self.num_pairs, 1)
        covariance_one = self.pair_product - 2 * self.pair_total * mean + pairs * mean**2
        square_one = self.pair_square - 2 * self.pair_total * mean + pairs * mean**2
        return {
            "num_frames": frames.count,
            "num_utterances": self.utterances,
            "num_speakers": len(self.speakers),
            "repeated_frame_share": self.num_repeated / frames.count,
            "silent_frame_share": self.num_silent / frames.count,
            "shortest_frames": self.shortest,
            "longest_frames": self.longest,
            "mean": frames.mean.tolist(),
            "std": np.sqrt(variance).tolist(),
            "num_constant_dims": int(np.count_nonzero(variance <= 0)),
            "effective_rank": effective_rank(covariance),
            "energy_rms": float(np.sqrt(self.energy / frames.count)),
            "lag_one": _lag_one(covariance_one, square_one),
            "lag_one_within_utterance": _lag_one(self.own_product, self.own_square),
        }


def _lag_one(product: np.ndarray, square: np.ndarray) -> dict[str, Any]:
    ratio = np.divide(product, square, out=np.zeros_like(product), where=square > 0)
    values = np.quantile(ratio, QUANTILES)
    return {
        "per_dim": ratio.tolist(),
        "quantiles": {str(q): float(value) for q, value in zip(QUANTILES, values, strict=True)},
        "median": float(np.median(ratio)),
    }


def gather_extraction(manifests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Join what the shards' manifests say about their making.

    Returns:
        `self_tests` (the worst value of each check over all shards), `excluded` (all utterances
        without latents, sorted), `surrogate`, `channel`, `resampling` (how it was made, or
        None) and `rate` (bits per second and what they are, or None).
    """
    worst: dict[str, dict[str, Any]] = {}
    excluded: list[dict[str, Any]] = []
    for manifest in manifests:
        extraction = manifest.get("extraction", {})
        excluded += extraction.get("excluded", [])
        for test in extraction.get("self_tests", []):
            before = worst.setdefault(test["name"], test)
            if (test["value"] or 0.0) > (before["value"] or 0.0):
                worst[test["name"]] = test
    return {
        "self_tests": list(worst.values()),
        "excluded": sorted(excluded, key=lambda row: row["utterance_id"]),
        "num_resampled": sum(m.get("extraction", {}).get("num_resampled", 0) for m in manifests),
        "surrogate": manifests[0].get("surrogate") if manifests else None,
        "rate": manifests[0].get("rate") if manifests else None,
        "channel": manifests[0].get("channel") if manifests else None,
        "resampling": _gather_resampling([m["resampling"] for m in manifests if "resampling" in m]),
        "energy": manifests[0].get("energy", "waveform_rms") if manifests else None,
    }


def _gather_resampling(shards: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if not shards:
        return None
    same = {name: shards[0][name] for name in ("source", "mode", "frames_per_group")}
    share = within_group_share(shard["moments"] for shard in shards)
    dropped = sum(shard["num_dropped_frames"] for shard in shards)
    return {**same, "num_dropped_frames": dropped, "within_group_share": share}


def carried_over(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what a representation made of another keeps of its shard's manifest.

    The self-tests are those of the codec at the root; a rate that bounds it still bounds what is
    left. The KL of a posterior bounds nothing and was measured on whole clips.
    """
    tests = manifest.get("extraction", {}).get("self_tests", [])
    kept = {name: manifest[name] for name in ("rate", "channel", "energy") if name in manifest}
    if kept.get("rate", {}).get("kind") == POSTERIOR_KL:
        del kept["rate"]
    return {**kept, "extraction": {"self_tests": tests}}
