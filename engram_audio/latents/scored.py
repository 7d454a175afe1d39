"""Which frames decide anything: those that say something new and that hold sound.

A frame equal to its predecessor in every dimension is known to the last digit, and a codec makes
the same frames again and again of digital silence. One such frame outweighs a thousand others in
nats. They stay inside contexts, but nothing is fitted to them or scored on them.

Shapes: N frames of a block, D dimensions, U utterances.
"""

import numpy as np

SILENT_RMS = 2.0**-15  # one step of 16-bit audio: at or below it a frame is digital silence


def repeated_frames(frames: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return which frames [N, D] equal the frame before in their utterance, bool, [N]."""
    is_repeated = np.zeros(len(frames), dtype=bool)
    # most frames differ in their first dimension already: only the others are compared whole
    rows = np.flatnonzero(frames[1:, 0] == frames[:-1, 0]) + 1
    is_repeated[rows] = (frames[rows] == frames[rows - 1]).all(axis=1)
    is_repeated[offsets[:-1][np.diff(offsets) > 0]] = False
    return is_repeated


def silent_frames(energy: np.ndarray) -> np.ndarray:
    """Return which frames are digital silence, bool, [N], of the waveform's RMS in each, [N]."""
    return energy <= SILENT_RMS


def scored_frames(
    frames: np.ndarray, energy: np.ndarray, offsets: np.ndarray, is_energy_rms: bool
) -> np.ndarray:
    """Return which frames decide, bool, [N].

    Args:
        frames: [N, D].
        energy: [N].
        offsets: Utterance offsets, [U + 1].
        is_energy_rms: Whether the energy is the waveform's RMS; another one tells no silence.
    """
    is_scored = ~repeated_frames(frames, offsets)
    return is_scored & ~silent_frames(energy) if is_energy_rms else is_scored
