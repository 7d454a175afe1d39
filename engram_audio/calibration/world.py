"""What a planted world is: equations, a simulator, and where possible the exact predictor.

Shapes: N frames, D dimensions, U utterances.
"""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from engram_audio.calibration.chains import Chain
from engram_audio.calibration.layout import EVAL, Speaker, SpeakerSizes, WorldSize, speakers
from engram_audio.calibration.oracle import Oracle
from engram_audio.calibration.truth import Truth
from engram_audio.latents.block import LatentBlock, concatenate_blocks
from engram_audio.numerics.seeds import named_generator

ENERGY_LOG_SD = 0.5


class SpeakerFrames(NamedTuple):
    """Simulated frames of one speaker.

    Attributes:
        frames: Shape [N, D].
        hidden: Hidden state per frame, by name, each of shape [N, ...].
        energy: Shape [N], or None where energy has nothing to do with the latents.
    """

    frames: np.ndarray
    hidden: dict[str, np.ndarray]
    energy: np.ndarray | None = None


class Draw(NamedTuple):
    """A simulated world.

    Attributes:
        block: Frames, energies, utterances; train speakers first.
        split_hint: `train` or `eval` of each utterance's speaker, shape [U].
        hidden: Hidden state per frame, by name, each of shape [N, ...].
    """

    block: LatentBlock
    split_hint: np.ndarray
    hidden: dict[str, np.ndarray]

    def of_split(self, role: str) -> LatentBlock:
        """Return the utterances of one role as a block."""
        block = self.block
        chosen = np.flatnonzero(self.split_hint == role)
        rows = np.repeat(self.split_hint == role, np.diff(block.offsets))
        sizes = np.diff(block.offsets)[chosen]
        return LatentBlock(
            frames=block.frames[rows],
            energy=block.energy[rows],
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            utterance_ids=block.utterance_ids[chosen],
            speaker_ids=block.speaker_ids[chosen],
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class World(ABC):
    """A family of worlds; its fields are the parameters, `seed` draws whatever else is random.

    Prototypes, mixing matrices and the like come from `generator`, so the same parameters and seed
    are the same world, and another seed is another world of the family.

    Attributes:
        IS_WALK: Whether only its increments have a law, because no position is stationary.
        IS_LINEAR_GAUSSIAN: Whether no key adds to a ridge regression, nor on its linear twin.
    """

    IS_WALK: ClassVar[bool] = False
    IS_LINEAR_GAUSSIAN: ClassVar[bool] = False

    seed: int
    num_dims: int
    speaker_sizes: SpeakerSizes = "equal"

    @property
    def is_mean_linear(self) -> bool:
        """Whether E[delta | context] is linear in any context, so that no key adds to the mean."""
        return False

    @abstractmethod
    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """Draw one speaker's utterances."""

    def edited(self, draw: Draw, generator: np.random.Generator) -> Draw:
        """Return the draw after what passes between speakers: nothing in most worlds."""
        del generator
        return draw

    def oracle(self) -> Oracle | None:
        """Return the exact predictor, or None where there is none."""
        return None

    def autocovariance(self, steps: int) -> np.ndarray | None:
        """Return E[x_t x_{t-steps}'] about the mean, shape [D, D], or None when unknown."""
        del steps
        return None

    def shared_oracle(self) -> Oracle | None:
        """Return the predictor that knows what all speakers share, not what is one's own."""
        return self.oracle()

    def delta_variance(self) -> np.ndarray | None:
        """Return the variance of each dimension of delta, shape [D], or None when unknown."""
        return None

    def delta_autocovariance(self, steps: int) -> np.ndarray:
        """Return E[d_t d_{t-steps}'] about the mean, shape [D, D]; of walks, which have no other.

        Raises:
            NotImplementedError: The world is no walk.
        """
        raise NotImplementedError(f"{type(self).__name__}: ask for the autocovariance of frames")

    def delta_mean(self) -> np.ndarray:
        """Return the mean of delta, shape [D]: zero in every stationary world."""
        return np.zeros(self.num_dims)

    def exact_truths(self, lags_frames: tuple[int, ...]) -> list[Truth]:
        """Return what is known in closed form (standard error 0)."""
        del lags_frames
        return []

    def hidden_key(self, hidden: dict[str, np.ndarray]) -> np.ndarray | None:
        """Return the key whose ratio has no closed form, per frame, shape [N]; None if none."""
        del hidden
        return None

    def stated_key(self, hidden: dict[str, np.ndarray]) -> np.ndarray | None:
        """Return the key whose ratio the truths state, per frame, shape [N]; None if none."""
        return self.hidden_key(hidden)

    @property
    def stated_ratio(self) -> str:
        """Name of the truth about `stated_key` fitted on all speakers."""
        return "key_ratio"

    @property
    def own_share(self) -> float:
        """Share of the variance, by speaker, that cell means of all speakers leave in a cell."""
        return 0.0

    def hidden_means(self) -> tuple[Chain, np.ndarray] | None:
        """Return the hidden chain and the mean of a frame (of a walk: a step) in it, [S, D].

        None where no such chain is common to all speakers.
        """
        return None

    def alike(self) -> Self:
        """Return a smaller world with the same ratios, where all dimensions are alike."""
        return self

    def diluted(self) -> "tuple[World, World] | None":
        """Return the part that carries something and the white part, where there are two."""
        return None

    def linear_models(self) -> tuple[str, ...]:
        """Return the published linear models that reach the exact ratio of this world."""
        return ()

    def swapped_repeats(self, num_frames: float) -> float:
        """Return how many frames may share a swapped label and a mean, of so long an utterance."""
        del num_frames
        return 2.0

    def parameters(self) -> dict[str, Any]:
        """Return all fields, JSON-ready, without the seed."""
        values = dataclasses.asdict(self)
        del values["seed"]
        return values

    def generator(self, *names: str) -> np.random.Generator:
        """Return the stream that draws a part of the world's parameters."""
        return named_generator(self.seed, "world", *names)


def simulate(world: World, size: WorldSize, sample_seed: int | None = None) -> Draw:
    """Simulate a world.

    Args:
        world: The world.
        size: How much of it.
        sample_seed: Seed of lengths, states and noise; by default the world's own seed. Another one
            gives fresh data of the same world (same prototypes, other speakers' utterances).
    """
    seed = world.seed if sample_seed is None else sample_seed
    blocks, hints, hidden = [], [], []
    for speaker in speakers(size, seed, world.speaker_sizes):
        part = world.simulate_speaker(speaker, named_generator(seed, "frames", speaker.speaker_id))
        energy = part.energy
        if energy is None:
            normal = named_generator(seed, "energy", speaker.speaker_id).standard_normal(
                speaker.num_frames
            )
            energy = np.exp(ENERGY_LOG_SD * normal)
        names = speaker.utterance_ids()
        blocks.append(
            LatentBlock(
                frames=part.frames.astype(np.float32),
                energy=energy.astype(np.float32),
                offsets=np.concatenate([[0], np.cumsum(speaker.lengths)]).astype(np.int64),
                utterance_ids=np.array(names, dtype=object),
                speaker_ids=np.array([speaker.speaker_id] * len(names), dtype=object),
            )
        )
        hints += [speaker.role] * len(names)
        hidden.append(part.hidden)
    draw = Draw(
        block=concatenate_blocks(blocks),
        split_hint=np.array(hints, dtype=object),
        hidden={name: np.concatenate([part[name] for part in hidden]) for name in hidden[0]},
    )
    return world.edited(draw, named_generator(seed, "edit"))


def eval_block(draw: Draw) -> LatentBlock:
    """Return the utterances of the eval speakers."""
    return draw.of_split(EVAL)
