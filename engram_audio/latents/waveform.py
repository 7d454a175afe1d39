"""What happens to a waveform before it is encoded: resampling and the overlap control."""

from typing import NamedTuple

import numpy as np

from engram_audio.codecs.waveform import resample
from engram_audio.errors import InputError
from engram_audio.numerics.seeds import named_generator


class WaveformSettings(NamedTuple):
    """How waveforms are prepared.

    Attributes:
        sample_rate_hz: Rate the codec wants.
        permute_blocks_s: Length of the blocks of the overlap control, seconds, or None.
        seed: Seed of the overlap control.
    """

    sample_rate_hz: int
    permute_blocks_s: float | None
    seed: int

    @property
    def block_samples(self) -> int | None:
        """Blocks of the overlap control in whole samples."""
        if self.permute_blocks_s is None:
            return None
        return max(round(self.permute_blocks_s * self.sample_rate_hz), 1)


def check_blocks(settings: WaveformSettings, frame_rate_hz: float, name: str) -> None:
    """Refuse blocks of the overlap control that are no whole frames.

    Raises:
        InputError: Says which length is.
    """
    if settings.block_samples is None:
        return
    frames = settings.block_samples * frame_rate_hz / settings.sample_rate_hz
    nearest = max(round(frames), 1)
    if abs(frames - nearest) * settings.sample_rate_hz / frame_rate_hz > 1:  # more than a sample
        raise InputError(
            f"representations.library.{name}.permute_blocks_s: {settings.permute_blocks_s} s is "
            f"{frames:.4g} frames of {1 / frame_rate_hz:.9g} s; give whole frames, for example "
            f"{nearest / frame_rate_hz:.9g} (the overlap control: one)"
        )


def prepare_waveform(
    waveform: np.ndarray, rate_hz: int, utterance_id: str, settings: WaveformSettings
) -> np.ndarray:
    """Return the waveform that the codec sees, float32, at the codec's rate."""
    prepared = resample(waveform, rate_hz, settings.sample_rate_hz)
    block = settings.block_samples
    if block is None:
        return prepared
    generator = named_generator(settings.seed, "permute_blocks", utterance_id)
    return permute_blocks(prepared, block, generator)


def permute_blocks(
    waveform: np.ndarray, block_samples: int, generator: np.random.Generator
) -> np.ndarray:
    """Permute whole blocks of audio; a partial last block stays where it is.

    What still predicts across a block boundary afterwards is the encoder's overlap and the speaker,
    not speech: the control for shared receptive fields (SCIENCE 2).
    """
    num_blocks = len(waveform) // block_samples
    usable = num_blocks * block_samples
    blocks = waveform[:usable].reshape(num_blocks, block_samples)
    return np.concatenate(
        [blocks[generator.permutation(num_blocks)].reshape(-1), waveform[usable:]]
    )
