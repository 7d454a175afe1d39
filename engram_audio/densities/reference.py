"""What all heads and nulls of a representation share: train statistics, measured once.

Shapes: D dimensions, U utterances, M targets.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engram_audio import windows
from engram_audio.densities.speakers import SpeakerMeans, speaker_means
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.latents.targets import targets_of
from engram_audio.numerics.moments import Moments
from engram_audio.numerics.slices import LoudEnergies
from engram_audio.numerics.subspace import fix_signs
from engram_audio.stats.floors import floored_variance


class InputScales(NamedTuple):
    """Train statistics that normalise a trunk's input, each of shape [D]."""

    frame_mean: np.ndarray
    frame_sd: np.ndarray
    delta_sd: np.ndarray


class Reference(NamedTuple):
    """Train statistics and speaker means.

    Attributes:
        frame_mean: Mean of x_t over train targets, shape [D].
        frame_sd: Its SD, floored at a share of the RMS value, shape [D].
        delta_sd: SD of delta_t, with the same floor, shape [D].
        loud: 95th percentile of each speaker's energy; infinite where there are no energies.
        delta_directions: Principal directions of delta_t, columns by falling variance, [D, D].
        position_directions: The same of x_t.
        speakers: Leave-one-utterance-out speaker means.
        num_targets: Targets per split part.
    """

    frame_mean: np.ndarray
    frame_sd: np.ndarray
    delta_sd: np.ndarray
    loud: dict[str, float]
    delta_directions: np.ndarray
    position_directions: np.ndarray
    speakers: SpeakerMeans
    num_targets: dict[str, int]

    @property
    def input_scales(self) -> InputScales:
        """What a trunk normalises its input by."""
        return InputScales(self.frame_mean, self.frame_sd, self.delta_sd)

    def directions(self, event: str) -> np.ndarray:
        """Return the principal directions of an event."""
        return self.delta_directions if event == "delta" else self.position_directions

    def event_mean(self, event: str) -> np.ndarray:
        """Return what an event's direction is measured from: 0 for delta, the mean for x_t."""
        return np.zeros_like(self.frame_mean) if event == "delta" else self.frame_mean


def measure_reference(
    source: BlockSource, part_of: Mapping[str, str], window_frames: int, max_lag_frames: int,
    has_energy: bool = True,
) -> Reference:  # fmt: skip
    """Measure in one pass.

    Args:
        source: Blocks of all utterances of all parts.
        part_of: Split part of each utterance id.
        window_frames: W.
        max_lag_frames: Largest lag; decides which frames are targets.
        has_energy: Whether energies are those of a signal. Without them no frame is speech.

    Raises:
        ValueError: Train has no targets.
    """
    frames: Moments | None = None
    deltas: Moments | None = None
    energies = LoudEnergies()
    rows: list[tuple[str, str, np.ndarray, int]] = []
    num_targets: dict[str, int] = {}
    for block in source():
        targets = targets_of(block, window_frames, max_lag_frames)
        utterances = windows.utterance_of_rows(block.offsets, targets)
        parts = np.array([part_of[str(name)] for name in block.utterance_ids])
        rows += _utterance_rows(block)
        energies.add(block.speaker_ids, block.offsets, block.energy, block.scored())
        for part, count in zip(*np.unique(parts[utterances], return_counts=True), strict=True):
            num_targets[str(part)] = num_targets.get(str(part), 0) + int(count)
        chosen = targets[parts[utterances] == "train"]
        if len(chosen):
            if frames is None or deltas is None:
                zero = np.zeros(block.frames.shape[1])
                frames, deltas = Moments(zero), Moments(zero)
            frames.add(block.frames[chosen])
            deltas.add(windows.delta(block.frames, chosen))
    if frames is None or deltas is None:
        raise ValueError("the train split has no utterance long enough for a target")
    mean, covariance = frames.mean, frames.covariance()
    mean_square = np.diag(frames.products) / frames.count
    delta_covariance = deltas.covariance()
    return Reference(
        frame_mean=mean,
        frame_sd=np.sqrt(floored_variance(np.diag(covariance), mean_square)),
        delta_sd=np.sqrt(floored_variance(np.diag(delta_covariance), mean_square)),
        loud={name: own if has_energy else np.inf for name, own in energies.quantiles().items()},
        delta_directions=_principal(delta_covariance),
        position_directions=_principal(covariance),
        speakers=_means_of(rows, mean),
        num_targets=num_targets,
    )


def _utterance_rows(block: LatentBlock) -> list[tuple[str, str, np.ndarray, int]]:
    is_scored = block.scored()[:, None]
    values = np.concatenate([np.where(is_scored, block.frames, 0), is_scored], 1)
    total = np.concatenate(
        [np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)]
    )
    sums = total[block.offsets[1:]] - total[block.offsets[:-1]]
    return [
        (str(name), str(speaker), row[:-1], int(row[-1]))
        for name, speaker, row in zip(block.utterance_ids, block.speaker_ids, sums, strict=True)
    ]


def _means_of(
    rows: Sequence[tuple[str, str, np.ndarray, int]], fallback: np.ndarray
) -> SpeakerMeans:
    names, speakers, sums, counts = zip(*rows, strict=True)
    return speaker_means(
        np.array(names), np.array(speakers), np.stack(sums), np.array(counts), fallback
    )


def _principal(covariance: np.ndarray) -> np.ndarray:
    return fix_signs(np.linalg.eigh(covariance)[1][:, ::-1])
