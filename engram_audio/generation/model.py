"""The generator: what it makes of the frames so far, and the law of the next one.

Frames go in and come out in the units of the latents; inside they are in train SD. A pass over a
whole sequence and a step share one code path, which goes on from a `stream.State`.

Shapes: B sequences, T frames, D dimensions, H width of the features, R newest frames that the head
reads, S samples.
"""

from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.generation.backbone import Backbone, Cache, Prefix
from engram_audio.generation.backbone_config import HEAD, SHORT, GeneratorSettings
from engram_audio.generation.condition import Condition, Conditioner
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.heads import Head
from engram_audio.generation.insertion import Memory, MemoryPass, Reading
from engram_audio.generation.looking_back import codes_of, key_windows, recent_frames
from engram_audio.generation.model_config import ARMS, AnyInsertion, ArmName, LatentInsertion
from engram_audio.generation.noise import noised
from engram_audio.generation.rms_norm import RMSNorm
from engram_audio.generation.short_context import ShortContext
from engram_audio.generation.sources import Keys, tables_of
from engram_audio.generation.stream import State
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.fitted import FittedKey


class Router(Protocol):
    """Reads symbols off the state."""

    def symbols(self, hidden: Tensor) -> Tensor:
        """Return the symbols of states [B, T, d], [B, T, routes]."""
        ...


class Spec(NamedTuple):
    """What a generator is built of: enough to build it again.

    Attributes:
        arm: Its arm.
        settings: Sizes, noise and head.
        insertion: The memory, which an arm without one does not use.
        base: The linear base.
        key: The key.
        dimensions: Train statistics.
        row_sd: SD at which rows start, or stay where they are frozen.
    """

    arm: ArmName
    settings: GeneratorSettings
    insertion: AnyInsertion
    base: BaseArrays
    key: FittedKey
    dimensions: Dimensions
    row_sd: float


class Trace(NamedTuple):
    """A pass with what the memory did in it.

    Attributes:
        features: Shape [B, T, H].
        readings: By place.
        codes: Codes that were read, [B, T]; None where no key is read.
    """

    features: Tensor
    readings: dict[str, Reading]
    codes: Tensor | None


class Generator(nn.Module):
    """A causal model of latents; `arms.build_arm` makes it.

    Attributes:
        frames_needed: How many newest frames the state keeps for the key and the linear base.
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self, spec: Spec, backbone: Backbone, short: ShortContext | None, memory: Memory | None,
        key: KeyEncoder, head: Head, conditioner: Conditioner | None = None,
    ) -> None:  # fmt: skip
        """Join the parts."""
        super().__init__()
        self.spec, self.arm, self.settings = spec, ARMS[spec.arm], spec.settings
        for name, values in (
            ("mean", spec.dimensions.frame_mean),
            ("sd", spec.dimensions.frame_sd),
        ):
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))
        self.backbone, self.short, self.memory = backbone, short, memory
        self.key, self.head, self.conditioner = key, head, conditioner
        self.norm = RMSNorm(spec.settings.width)
        self.frames_needed = max(key.state_frames, head.num_recent)

    @property
    def is_foreign(self) -> bool:
        """Whether the caller must give the codes of another utterance."""
        return self.arm.is_foreign

    @property
    def is_routed(self) -> bool:
        """Whether codes are symbols of the state, and not of the key: [B, T, routes]."""
        return self.arm.reads_codes and not self.spec.insertion.READS_KEY

    @property
    def searches_key(self) -> bool:
        """Whether the key of each frame is searched."""
        return self.arm.reads_codes and self.spec.insertion.READS_KEY

    @property
    def num_codes(self) -> int:
        """Codes there can be; the number itself stands for none."""
        insertion = self.spec.insertion
        return (
            cast(LatentInsertion, insertion).num_symbols if self.is_routed else self.key.num_codes
        )

    def noised(self, frames: Tensor) -> Tensor:
        """Return frames as the backbone reads them: in training with noise, [B, T, D]."""
        if not self.training:
            return frames
        return noised(frames, self.mean, self.sd, self.settings.noise)

    def codes(self, frames: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the codes of whole sequences, [B, T]; `num_codes` where none is whole yet.

        Where bits of the state find the rows there is a symbol for each route, [B, T, routes].
        These depend on the condition too.
        """
        if self.is_routed:
            return self._routed_codes(frames, condition)
        return codes_of(self.key, frames, frames.shape[1])

    @torch.no_grad()
    def _routed_codes(self, frames: Tensor, condition: Condition | None) -> Tensor:
        """Return the symbols of all places, side by side."""
        assert self.memory is not None
        readings = self._pass(self.start(condition), frames, frames, None)[0].readings
        found = [
            cast(Router, self.memory.source(place)).symbols(readings[place].hidden)
            for place in self.spec.insertion.places_in(self.settings)
        ]
        return torch.cat(found, -1)

    @torch.no_grad()
    def count_visits(self, codes: Tensor) -> None:
        """Add train's reads to the visits of rows, of the codes of whole sequences; see `codes`."""
        if self.arm.is_late:
            codes = nn.functional.pad(codes[:, :-1], (1, 0), value=self.num_codes)
        for table in tables_of(self):
            table.count_reads(codes)

    def recent(self, frames: Tensor) -> Tensor:
        """Return what the head reads at each frame, the newest R of them, [B, T, R, D]."""
        return recent_frames(frames, self.head.num_recent)

    def features(
        self, frames: Tensor, codes: Tensor | None = None, condition: Condition | None = None
    ) -> Tensor:
        """Return the features of each frame, which tell the law of the next, [B, T, H].

        Args:
            frames: Whole sequences, [B, T, D].
            codes: Codes to read instead of the frames' own, [B, T]; a foreign arm needs them.
            condition: Text and speaker prompt; None tells nothing.

        Raises:
            ValueError: A foreign arm got no codes, or a generator without a condition got one.
        """
        return self.trace(frames, codes, condition).features

    def trace(
        self, frames: Tensor, codes: Tensor | None = None, condition: Condition | None = None
    ) -> Trace:
        """Return the features with what the memory did; see `features`."""
        self._require_codes(codes)
        return self._pass(self.start(condition), self.noised(frames), frames, codes)[0]

    def log_prob(self, features: Tensor, last: Tensor, z: Tensor) -> Tensor:
        """Return log densities of the next frames in nats, [...].

        Args:
            features: Shape [..., H].
            last: The newest frames, see `recent`, [..., R, D].
            z: The next frame, [..., D].
        """
        return self.head.log_prob(features, last, z)

    def score(self, features: Tensor, last: Tensor, z: Tensor) -> Tensor:
        """Return the proper score of the next frames, lower is better, [...]; see `log_prob`.

        It is the NLL in nats of a head with a density, and the energy score in train SD of another.
        """
        return self.head.score(features, last, z)

    def sample(
        self, features: Tensor, last: Tensor, num_samples: int, generator: torch.Generator,
        temperature: float = 1.0,
    ) -> Tensor:  # fmt: skip
        """Draw next frames, [S, B, D], of features [B, H] and newest frames [B, R, D]."""
        return self.head.sample(features, last, num_samples, generator, temperature)

    def start(self, condition: Condition | None = None) -> State:
        """Return the state before the first frame, in which a condition is encoded."""
        prefix = None if condition is None else self._prefix(condition)
        return State(0, None, None, (), None, {}, prefix)

    def _prefix(self, condition: Condition) -> Prefix:
        if self.conditioner is None:
            raise ValueError("this generator was built without a text and without a prompt")
        prompt = self.backbone.embed(self._scaled(condition.prompt))
        return self.backbone.encode(self.conditioner(condition, prompt))

    def step(self, state: State, z_t: Tensor, codes: Tensor | None = None) -> tuple[Tensor, State]:
        """Go on by one frame [B, D]; return its features [B, H] and the new state."""
        own = None if codes is None else codes.unsqueeze(1)
        features, state = self.extend(state, z_t.unsqueeze(1), own)
        return features[:, 0], state

    def extend(
        self, state: State, frames: Tensor, codes: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Go on by frames [B, T, D], for example a prompt; return features and the new state."""
        self._require_codes(codes)
        trace, state = self._pass(state, frames, frames, codes)
        return trace.features, state

    def last(self, state: State) -> Tensor:
        """Return what the head reads after a state, [B, R, D]."""
        assert state.recent is not None, "no frame has been seen"
        count = self.head.num_recent
        if state.recent.shape[1] >= count:
            return state.recent[:, -count:]
        return self.recent(state.recent)[:, -1]

    def _pass(
        self, state: State, seen: Tensor, clean: Tensor, codes: Tensor | None
    ) -> tuple[Trace, State]:
        """Go on by frames: what the backbone sees and, of the same frames, the clean ones."""
        read = clean if self.settings.key_reads == "clean" else seen
        held = read if state.recent is None else torch.cat([state.recent, read], 1)
        keys, own = self._keys(state, held, seen.shape[1], codes)
        kept = None if own is None else self._kept(self._joined(state, own))
        memory = MemoryPass(self.memory, keys, state.past)
        hidden, caches = self.backbone(
            self._scaled(seen), state.num_positions, state.caches, memory, state.prefix
        )
        hidden, short = self._with_short(state, hidden, clean, memory)
        hidden = memory.added(HEAD, hidden, 0)
        num_positions = (state.num_positions or 1) + seen.shape[1]
        after = State(
            num_positions, held[:, -self.frames_needed :], kept, caches, short, memory.past,
            state.prefix,
        )  # fmt: skip
        return Trace(memory.told(self.norm(hidden)), memory.readings, own), after

    def _with_short(
        self, state: State, hidden: Tensor, clean: Tensor, memory: MemoryPass
    ) -> tuple[Tensor, Cache | None]:
        if self.short is None:
            return hidden, None
        first = max(state.num_positions - 1, 0)
        added, cache = self.short(self._scaled(clean), first, state.short)
        return hidden + memory.added(SHORT, added, 0), cache

    def _scaled(self, frames: Tensor) -> Tensor:
        return (frames - self.mean) / self.sd

    def _joined(self, state: State, codes: Tensor) -> Tensor:
        """Return new codes [B, T] after those kept of before, [B, m + T]."""
        if state.codes is not None:
            return torch.cat([state.codes, codes], 1)
        if not self.arm.is_late:
            return codes
        return nn.functional.pad(codes, (1, 0), value=self.key.num_codes)

    def _kept(self, codes: Tensor) -> Tensor | None:
        """Return the codes that the next n-grams need; None where none are kept."""
        count = max(self.spec.insertion.ngram_orders) - 1 + self.arm.is_late
        return codes[:, -count:] if count else None

    def _keys(
        self, state: State, held: Tensor, num_new: int, codes: Tensor | None
    ) -> tuple[Keys, Tensor | None]:
        """Return what the memory is looked up by, and the new codes alone."""
        frames = None
        if self.arm.source == "frame_network":
            frames = self._key_frames(held, num_new)
        if not self.searches_key:
            return Keys(codes if self.is_routed else None, frames, num_new), None
        if codes is None:
            newest = held[:, -(num_new + self.key.state_frames - 1) :]
            codes = codes_of(self.key, newest, num_new)
        read = self._joined(state, codes)
        return Keys(read[:, :-1] if self.arm.is_late else read, frames, num_new), codes

    def _require_codes(self, codes: Tensor | None) -> None:
        """Refuse a foreign arm that would read its own codes."""
        if codes is None and self.is_foreign:
            raise ValueError(
                f"arm {self.spec.arm} reads the codes of another utterance, and got none"
            )

    def _key_frames(self, held: Tensor, num_new: int) -> Tensor:
        """Return the frames of each key in train SD, [B, T, n * D]; 0 where it is not whole."""
        num_frames = self.key.state_frames
        windows = self._scaled(key_windows(held[:, -(num_new + num_frames - 1) :], num_frames))
        return nn.functional.pad(windows.flatten(2), (0, 0, num_new - windows.shape[1], 0))
