"""Decode free-running audio: an utterance's first third, then what the method makes of it."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from engram_audio.artifacts.json_document import write_json
from engram_audio.codecs.base import Codec
from engram_audio.densities.config import PredictionSection
from engram_audio.densities.reference import Reference
from engram_audio.latents.batching import encode_batch
from engram_audio.latents.round_trip import sound_of
from engram_audio.rollout.players import continue_utterance
from engram_audio.rollout.simulate import Guard, as_steps
from engram_audio.steps._cli import Frozen, Wildcard, run
from engram_audio.steps._players import PlayerFiles, embedded, open_examples
from engram_audio.steps._rollout import (
    MethodFiles,
    bases_of,
    read_frame,
    read_method,
)

KINDS = (
    ("original", "Original"),
    ("decoded", "Round trip"),
    ("sampled", "A third, then sampled"),
    ("mean", "A third, then the mean"),
)


class Files(PlayerFiles, MethodFiles):
    method: Wildcard[str]
    prediction_section: Frozen[PredictionSection]
    nulls: Path
    model: Path


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    opened = open_examples(files)
    reference, frame = read_frame(files.nulls, files.prediction_section)
    model, guard = read_method(files.model, files.method_section, bases_of(files), reference, frame)
    window_frames = files.prediction_section.window_frames
    examples = []
    for row, wave in zip(opened.rows, opened.originals, strict=True):
        latents = encode_batch(opened.codec, [wave], 0)[0]
        sounds = _versions(
            opened.codec, model, guard, reference, latents, window_frames, opened.seed, len(wave)
        )  # fmt: skip
        examples.append(row | embedded(opened.codec, wave, sounds, "sampled") | {"kinds": KINDS})
    document = {
        "representation": files.representation,
        "method": files.method,
        "sample_rate_hz": opened.codec.sample_rate_hz,
        "examples": examples,
        "manifest": files.manifest(opened.seed),
    }
    write_json(files.players, document)


def _versions(
    codec: Codec,
    model: nn.Module,
    guard: Guard | None,
    reference: Reference,
    latents: np.ndarray,
    window_frames: int,
    seed: int,
    num_samples: int,
) -> dict[str, np.ndarray]:
    generator = torch.Generator().manual_seed(seed)
    found = continue_utterance(as_steps(model), guard, reference, latents, window_frames, generator)
    versions = {"decoded": latents, **found}
    return {name: sound_of(codec, values)[:num_samples] for name, values in versions.items()}


if __name__ == "__main__":
    run(main)
