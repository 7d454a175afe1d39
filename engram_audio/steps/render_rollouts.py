"""Decode free-running audio: an utterance's first third, then what the method makes of it."""

import numpy as np
import torch
from torch import nn

from engram_audio.artifacts.json_document import write_json
from engram_audio.codecs.base import Codec
from engram_audio.latents.batching import encode_batch
from engram_audio.latents.round_trip import sound_of
from engram_audio.prediction.config import PredictionSection
from engram_audio.prediction.reference import Reference
from engram_audio.rollout.players import continue_utterance
from engram_audio.rollout.simulate import Guard, as_steps
from engram_audio.steps import _cli
from engram_audio.steps._players import embedded, open_examples
from engram_audio.steps._rollout import (
    OPTIONAL_FILES,
    files_of,
    load_method,
    read_frame,
    read_method,
)

KINDS = (
    ("original", "Original"),
    ("decoded", "Round trip"),
    ("sampled", "A third, then sampled"),
    ("mean", "A third, then the mean"),
)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "render_rollouts",
        __doc__,
        inputs=["nulls", "model", "utterances", "splits"],
        optional_inputs=OPTIONAL_FILES,
        input_lists=["weights"],
        outputs=["players"],
        wildcards=["representation", "method"],
        uses_device=True,
        argv=argv,
    )  # fmt: skip
    opened = open_examples(arguments)
    section = arguments.load_section("prediction_section", PredictionSection)
    method = load_method(arguments, "method_section")
    reference, frame = read_frame(arguments.nulls, section)
    files = files_of(arguments)
    model, guard = read_method(arguments.model, method, files, reference, frame)
    examples = []
    for row, wave in zip(opened.rows, opened.originals, strict=True):
        latents = encode_batch(opened.codec, [wave], 0)[0]
        sounds = _versions(
            opened.codec, model, guard, reference, latents, section.window_frames, opened.seed,
            len(wave),
        )  # fmt: skip
        examples.append(row | embedded(opened.codec, wave, sounds, "sampled") | {"kinds": KINDS})
    document = {
        "representation": arguments.representation,
        "method": arguments.method,
        "sample_rate_hz": opened.codec.sample_rate_hz,
        "examples": examples,
        "manifest": arguments.manifest(opened.seed),
    }
    write_json(arguments.players, document)


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
    _cli.run(main)
