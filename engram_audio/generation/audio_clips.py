"""The clips of one utterance that are heard: true, decoded again, and what arms make of it.

Shapes: S samples, T frames, D dimensions.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from engram_audio.audio_scores.names import (
    CONTINUATION,
    FREE,
    NOISE,
    ORIGINAL,
    ROUND_TRIP,
    WHOLE,
    every,
)
from engram_audio.audio_scores.shaped_noise import shaped_noise
from engram_audio.codecs.base import Codec
from engram_audio.comparison.reconstruction import Link, decoded, encoded
from engram_audio.generation.audio_config import AudioScoresSection
from engram_audio.generation.continuation import Continuation
from engram_audio.numerics.seeds import named_generator, named_seed

NO_SEED = -1  # of clips that no arm made
PROMPT_OF_INJECTIONS = 1  # frames: an injected clip is drawn from its start


Trained = tuple[str, int]  # an arm and its training seed


class Continuing(Protocol):
    """What goes on from true frames: see `continuation.continued_frames`."""

    def __call__(
        self, frames: np.ndarray, prompt_frames: int, inject_frames: int | None, seed: int
    ) -> Continuation:
        """Return an utterance whose frames after a prompt are drawn."""
        ...


class Clip(NamedTuple):
    """Sound at the codec's rate.

    Attributes:
        condition: What it is, a name of `audio_scores.names`.
        arm: Arm that made it; "" for none.
        sound: Shape [S].
        scopes: Which parts are scored: all of it, what follows the prompt, or both.
        seed: Training seed of the arm.
        replaced: Draws that were replaced, and all draws; None for clips that no arm made.
    """

    condition: str
    arm: str
    sound: np.ndarray
    scopes: tuple[str, ...]
    seed: int = NO_SEED
    replaced: tuple[float, float] | None = None


class Utterance(NamedTuple):
    """An utterance and how it becomes sound again.

    Attributes:
        name: Seeds what is drawn.
        sound: True sound at the codec's rate, [S].
        codec: The codec at the representation's root.
        links: How the representation is made of its latents.
        noise_std: Train SD of the dimensions, where a link adds noise.
    """

    name: str
    sound: np.ndarray
    codec: Codec
    links: Sequence[Link]
    noise_std: np.ndarray | None


class Clips(NamedTuple):
    """All clips of an utterance, as long as each other.

    Attributes:
        clips: The true one first.
        prompt_samples: Where a free continuation begins.
    """

    clips: list[Clip]
    prompt_samples: int

    def part(self, clip: Clip, scope: str) -> np.ndarray:
        """Return what a scope covers of a clip."""
        return clip.sound if scope == WHOLE else clip.sound[self.prompt_samples :]


def clips_of(
    utterance: Utterance, arms: Mapping[Trained, Continuing], section: AudioScoresSection
) -> Clips | None:
    """Return the clips of an utterance; None where it is too short to go on from.

    All arms and training seeds draw with the same random numbers.
    """
    codec, links = utterance.codec, utterance.links
    head, frames = encoded(codec, utterance.sound, links, utterance.noise_std, utterance.name)
    prompt = max(round(section.prompt_share * len(frames)), PROMPT_OF_INJECTIONS)
    if len(frames) < prompt + 1:
        return None

    def sound_of(values: np.ndarray) -> np.ndarray:
        return decoded(codec, head, values, links)

    both = (WHOLE, CONTINUATION)
    decoded_again = sound_of(frames)
    start, length = len(head) * codec.hop_samples, len(decoded_again)
    noise = shaped_noise(utterance.sound, named_generator(section.seed, "noise", utterance.name))
    noise_head, noise_frames = encoded(codec, noise, links, utterance.noise_std, utterance.name)
    noisy = decoded(codec, noise_head, noise_frames, links)
    clips = [
        Clip(ORIGINAL, "", utterance.sound[start : start + length], both),
        Clip(ROUND_TRIP, "", decoded_again, both),
        Clip(NOISE, "", noisy[:length], both),
    ]
    kinds = [(FREE, prompt, None, (CONTINUATION,))]
    kinds += [
        (every(n), PROMPT_OF_INJECTIONS, n, (WHOLE,)) for n in section.injections_frames
    ]  # fmt: skip
    for condition, kept, inject, scopes in kinds:
        seed = named_seed(section.seed, condition, utterance.name)
        for (arm, trained), goes_on in arms.items():
            drawn = goes_on(frames, kept, inject, seed)
            replaced = float(drawn.num_replaced), float(drawn.num_drawn)
            sound = sound_of(drawn.frames)
            clips.append(Clip(condition, arm, sound, scopes, trained, replaced))
    return Clips(clips, round(prompt / len(frames) * length))
