"""Worlds of motifs: x_t = c_phase + noise around a cycle of prototypes.

Shared prototypes are what a lookup can store; prototypes of each speaker's own are what it must not
be credited for; a speaker offset hides shared motifs from raw keys. Shapes: D dimensions, S phases,
N frames, M targets.
"""

import dataclasses
import functools

import numpy as np

from engram_audio.calibration.chains import Chain, chain_autocovariance, cycle, forward_filter
from engram_audio.calibration.layout import EVAL, TRAIN, Speaker, ragged
from engram_audio.calibration.oracle import Oracle, Task
from engram_audio.calibration.predictive import (
    MixturePredictive,
    Predictive,
    isotropic_log_densities,
)
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import Draw, SpeakerFrames, World

LOG_SD_BRACKET = (-12.0, 6.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motifs(World):
    """x_t = c_phase + offset + sigma n, with sigma set so that the phase as key scores `key_ratio`.

    c = sqrt(q) c_shared + sqrt(1 - q) c_speaker, both standard normal; q is `shared_fraction`.
    `key_ratio` is the exact variance ratio of the phase at t - 1 as a key (within a speaker).
    `key_flip_probability` corrupts the hidden array `corrupted_phase`, never the frames.
    """

    num_dims: int = 32
    num_phases: int = 24
    jump_probability: float = 0.005
    key_ratio: float = 0.3
    shared_fraction: float = 1.0
    speaker_offset_sd: float = 0.0
    key_flip_probability: float = 0.0

    @functools.cached_property
    def chain(self) -> Chain:
        """The phase chain."""
        return cycle(self.num_phases, self.jump_probability)

    def _normal_prototypes(self, *names: str) -> np.ndarray:
        shape = (self.num_phases, self.num_dims)
        return self.generator("prototypes", *names).standard_normal(shape)

    def prototypes(self, speaker_id: str) -> np.ndarray:
        """Return a speaker's prototypes, shape [S, D]."""
        shared = self._normal_prototypes()
        if self.shared_fraction == 1:
            return shared
        own = self._normal_prototypes(speaker_id)
        return np.sqrt(self.shared_fraction) * shared + np.sqrt(1 - self.shared_fraction) * own

    def offset(self, speaker_id: str) -> np.ndarray:
        """Return a speaker's offset, shape [D]."""
        normal = self.generator("offset", speaker_id).standard_normal(self.num_dims)
        return self.speaker_offset_sd * normal

    def signal_variances(self, lag_frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Return Var(E[delta | phase_{t-k}]) and the variance of delta without noise, both [D].

        Where speakers have prototypes of their own both are averages over speakers, which for
        independent standard normal prototypes are traces.
        """
        matrix = self.chain.matrix()
        predict = np.linalg.matrix_power(matrix, lag_frames)
        predict = predict - np.linalg.matrix_power(matrix, lag_frames - 1)
        if self.shared_fraction == 1:
            shared = self.prototypes("")
            change = shared[None, :, :] - shared[:, None, :]
            explained = ((predict @ shared) ** 2).mean(axis=0)
            return explained, np.einsum("ij,ijd->d", matrix / self.num_phases, change**2)
        explained = (predict**2).sum() / self.num_phases
        total = 2 * (1 - np.trace(matrix) / self.num_phases)
        return np.full(self.num_dims, explained), np.full(self.num_dims, total)

    @functools.cached_property
    def noise_sd(self) -> float:
        """Sigma: the root of mean_d explained_d / (total_d + 2 sigma^2) = 1 - key_ratio."""
        explained, total = self.signal_variances(1)

        def excess(log_sd: float) -> float:
            share = explained / (total + 2 * np.exp(2 * log_sd))
            return float(share.mean()) - (1 - self.key_ratio)

        from scipy.optimize import brentq  # slow to import, and one world of many solves for it

        log_sd = brentq(excess, *LOG_SD_BRACKET)
        return float(np.exp(log_sd))  # pyright: ignore[reportArgumentType,reportCallIssue]

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        shape = (len(speaker.lengths), int(speaker.lengths.max()))
        phase = ragged(self.chain.sample(shape, generator), speaker.lengths)
        noise = generator.standard_normal((len(phase), self.num_dims))
        frames = self.prototypes(speaker.speaker_id)[phase] + self.noise_sd * noise
        is_flipped = generator.random(len(phase)) < self.key_flip_probability
        shift = generator.integers(1, self.num_phases, size=len(phase))
        corrupted = np.where(is_flipped, (phase + shift) % self.num_phases, phase)
        hidden = {"phase": phase, "corrupted_phase": corrupted}
        return SpeakerFrames(frames + self.offset(speaker.speaker_id), hidden)

    def autocovariance(self, steps: int) -> np.ndarray | None:
        """See `World`; on average over speakers. None with offsets, which no frame can average."""
        if self.speaker_offset_sd:
            return None
        noise = self.noise_sd**2 * np.eye(self.num_dims) if steps == 0 else 0
        if self.shared_fraction == 1:
            return chain_autocovariance(self.chain, self.prototypes(""), steps) + noise
        # prototypes of an own kind agree with themselves only
        own = np.trace(np.linalg.matrix_power(self.chain.matrix(), steps)) / self.num_phases
        common = chain_autocovariance(self.chain, self._normal_prototypes(), steps)
        own_part = (1 - self.shared_fraction) * own * np.eye(self.num_dims)
        return self.shared_fraction * common + own_part + noise

    def stated_key(self, hidden: dict[str, np.ndarray]) -> np.ndarray:
        """See `World`."""
        return hidden["phase"]

    @property
    def stated_ratio(self) -> str:
        """See `World`."""
        return "key_ratio" if self.shared_fraction == 1 else "key_ratio_transfer"

    @property
    def own_share(self) -> float:
        """See `World`: (1 - q) of what the phase explains."""
        return (1 - self.shared_fraction) * (1 - self.key_ratio)

    def hidden_means(self) -> tuple[Chain, np.ndarray] | None:
        """See `World`."""
        if self.shared_fraction < 1 or self.speaker_offset_sd:
            return None
        return self.chain, self.prototypes("")

    def swapped_repeats(self, num_frames: float) -> float:
        """See `World`: labels and frames have one period."""
        return num_frames / self.num_phases

    def delta_variance(self) -> np.ndarray:
        """See `World`."""
        return self.signal_variances(1)[1] + 2 * self.noise_sd**2

    def oracle(self) -> Oracle | None:
        """See `World`; it knows each speaker's prototypes and offset."""
        return MotifOracle(self)

    def shared_oracle(self) -> Oracle | None:
        """See `World`: prototypes are the shared part, what is a speaker's own counts as noise.

        A phase that comes twice within the context would tell a little of the speaker's prototype.
        That is the speaker's own and is not used. Offsets can be learned from the context, which
        this predictor cannot do, and without shared prototypes there is nothing to predict from.
        """
        if self.speaker_offset_sd or self.shared_fraction == 0:
            return None
        if self.shared_fraction == 1:
            return self.oracle()
        shared = np.sqrt(self.shared_fraction) * self._normal_prototypes()
        return MotifOracle(self, shared, np.sqrt(self.noise_sd**2 + 1 - self.shared_fraction))

    def exact_truths(self, lags_frames: tuple[int, ...]) -> list[Truth]:
        """See `World`."""
        truths = []
        for lag in lags_frames:
            explained, _ = self.signal_variances(lag)
            share = float((explained / self.delta_variance()).mean())
            truths += [
                Truth("key_ratio", lag, 1 - share),
                # values averaged over many train speakers are sqrt(q) c_shared
                Truth("key_ratio_transfer", lag, 1 - self.shared_fraction * share),
            ]
        return truths


class MotifOracle(Oracle):
    """Forward filter over the phase."""

    def __init__(
        self, world: Motifs, prototypes: np.ndarray | None = None, sd: float | None = None
    ) -> None:
        """Keep the world, and prototypes [S, D] with a noise that stand for every speaker's."""
        self._world, self._prototypes = world, prototypes
        self._sd = world.noise_sd if sd is None else sd

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        world = self._world
        prototypes, sd = self._prototypes, self._sd
        if prototypes is None:
            prototypes = world.prototypes(task.speaker_id)
        offset = world.offset(task.speaker_id)
        law = self._law(task, prototypes + offset)
        if task.space == "position" or task.lag_frames == 1:
            shift = np.zeros((len(law), world.num_dims)) + offset
            if task.space == "delta":
                shift = shift - task.frames[task.targets - 1]
            law = world.chain.advance(law)
            return MixturePredictive(law, prototypes, np.full(len(prototypes), sd), shift)
        pairs = law[:, :, None] * world.chain.matrix()
        change = (prototypes[None, :, :] - prototypes[:, None, :]).reshape(-1, world.num_dims)
        return MixturePredictive(
            pairs.reshape(len(law), -1), change, np.full(len(change), np.sqrt(2) * sd)
        )

    def _law(self, task: Task, centres: np.ndarray) -> np.ndarray:
        """Return the law of the phase at t - 1 given the context, shape [M, S]."""
        chain = self._world.chain
        if task.lag_frames is None:
            return np.tile(chain.stationary(), (len(task.targets), 1))
        sd = np.full(len(centres), self._sd)
        scores = isotropic_log_densities(task.frames, centres, sd)
        laws = forward_filter(chain, scores, task.lengths)[task.newest()]
        return chain.advance(laws, task.lag_frames - 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NearCopies(Motifs):
    """Motifs of each speaker's own; some eval utterances are slightly changed train utterances.

    An eval utterance is with probability `copied_fraction` the beginning of a train utterance that
    is at least as long, plus `change_sd` n. Nothing transfers, but copies look as if it did.
    """

    num_phases: int = 6
    shared_fraction: float = 0.0
    copied_fraction: float = 0.5
    change_sd: float = 0.05

    def oracle(self) -> None:
        """See `World`: the predictor of motifs takes a copy for the speaker's own frames."""

    def edited(self, draw: Draw, generator: np.random.Generator) -> Draw:
        """See `World`; the hidden array `is_copy` names the copied frames."""
        block, frames = draw.block, draw.block.frames.copy()
        phase, is_copy = draw.hidden["phase"].copy(), np.zeros(len(frames), dtype=bool)
        lengths, sources = np.diff(block.offsets), np.flatnonzero(draw.split_hint == TRAIN)
        for number in np.flatnonzero(draw.split_hint == EVAL):
            long_enough = sources[lengths[sources] >= lengths[number]]
            if not len(long_enough) or generator.random() >= self.copied_fraction:
                continue
            start = block.offsets[generator.choice(long_enough)]
            own = slice(block.offsets[number], block.offsets[number + 1])
            copied = slice(start, start + lengths[number])
            noise = generator.standard_normal(frames[own].shape)
            frames[own] = frames[copied] + self.change_sd * noise
            phase[own], is_copy[own] = phase[copied], True
        hidden = {**draw.hidden, "phase": phase, "is_copy": is_copy}
        return draw._replace(block=block._replace(frames=frames), hidden=hidden)
