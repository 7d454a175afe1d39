"""Worlds whose structure hides in a slice: only in silence, or only at the edges of utterances.

Inside the gate frames run through a cycle of prototypes, x_t = scale c_phase + n; outside they are
a random walk, x_t = x_{t-1} + n. All frames together look splendid, the null slice does not.
Shapes: D dimensions, U utterances, T frames, N frames together.
"""

import dataclasses
from abc import abstractmethod

import numpy as np

from engram_audio.calibration.chains import cycle
from engram_audio.calibration.layout import Speaker, ragged
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import SpeakerFrames, World


@dataclasses.dataclass(frozen=True, kw_only=True)
class GatedCycle(World):
    """Common part; the cycle never jumps and runs on while the gate is closed."""

    num_dims: int = 16
    num_phases: int = 12
    prototype_scale: float = 3.0

    @abstractmethod
    def gate(self, lengths: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return where the cycle is on, shape [U, T]."""

    def energy(self, is_on: np.ndarray, generator: np.random.Generator) -> np.ndarray | None:
        """Return energies [N], or None where the gate does not show in them."""
        del is_on, generator
        return None

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        lengths = speaker.lengths
        shape = (len(lengths), int(lengths.max()))
        is_on = self.gate(lengths, generator)
        phase = cycle(self.num_phases, 0.0).sample(shape, generator)
        prototypes = self.generator("prototypes").standard_normal((self.num_phases, self.num_dims))
        noise = generator.standard_normal((*shape, self.num_dims))
        motif = self.prototype_scale * prototypes[phase]
        frames = np.empty_like(noise)
        last = np.zeros((shape[0], self.num_dims))
        for frame in range(shape[1]):
            base = np.where(is_on[:, frame, None], motif[:, frame], last)
            last = base + noise[:, frame]
            frames[:, frame] = last
        kept = ragged(is_on, lengths)
        hidden = {"phase": ragged(phase, lengths), "is_on": kept}
        return SpeakerFrames(ragged(frames, lengths), hidden, self.energy(kept, generator))

    @property
    @abstractmethod
    def null_slice(self) -> str:
        """The slice in which every delta is white."""

    def hidden_key(self, hidden: dict[str, np.ndarray]) -> np.ndarray:
        """See `World`: the phase where the gate is open, one cell for the rest."""
        return np.where(hidden["is_on"], hidden["phase"], self.num_phases)

    def swapped_repeats(self, num_frames: float) -> float:
        """See `World`: labels and frames have one period."""
        return num_frames / self.num_phases

    def exact_truths(self, lags_frames: tuple[int, ...]) -> list[Truth]:
        """In the null slice delta_t = n whatever the context."""
        return [Truth(f"key_ratio@{self.null_slice}", lag, 1.0) for lag in lags_frames]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SilentCycle(GatedCycle):
    """The cycle is on in utterances of low energy, `low_fraction` of each speaker's.

    Energies of the two kinds do not overlap, and no utterance changes its kind: with changes the
    newest context frame of the speech slice may come just before a motif of known phase, and the
    exact law then gains 1.1 nats there (blocks of 16 frames, 39 % low, lag 2).
    """

    low_fraction: float = 0.39
    low_energy: float = 0.01

    @property
    def null_slice(self) -> str:
        """Low frames are fewer than half, so all frames above the median are walk."""
        return "speech"

    def gate(self, lengths: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """See `GatedCycle`; a speaker has at least one utterance of speech."""
        count = int(self.low_fraction * len(lengths) + generator.random())
        is_low = generator.permutation(len(lengths)) < min(count, len(lengths) - 1)
        return np.repeat(is_low[:, None], lengths.max(), axis=1)

    def energy(self, is_on: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """See `GatedCycle`: uniform within a factor of two, so the two kinds never overlap."""
        spread = generator.uniform(1.0, 2.0, size=len(is_on))
        return spread * np.where(is_on, self.low_energy, 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoundaryCycle(GatedCycle):
    """The cycle is on where the position (t + 1/2) / T is below `head` or from `tail` on."""

    head: float = 0.17
    tail: float = 0.83

    @property
    def null_slice(self) -> str:
        """The middle of utterances."""
        return "medial"

    def gate(self, lengths: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """See `GatedCycle`."""
        del generator
        position = (np.arange(lengths.max()) + 0.5) / lengths[:, None]
        return (position < self.head) | (position >= self.tail)
