"""Decode a few eval utterances from factorised latents, for people to listen to."""

import numpy as np

from engram_audio.artifacts.json_document import write_json
from engram_audio.codecs.base import Codec
from engram_audio.factorizer.model import Factorizer
from engram_audio.factorizer.resynthesis import resynthesize
from engram_audio.latents.batching import encode_batch
from engram_audio.latents.round_trip import sound_of
from engram_audio.steps import _cli
from engram_audio.steps._factorizer import read_factorizer
from engram_audio.steps._players import embedded, open_examples

KINDS = (
    ("original", "Original"),
    ("full", "State and innovation"),
    ("prior", "Innovation from its prior"),
    ("state", "State alone"),
)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "render_resyntheses",
        __doc__,
        inputs=["model", "utterances", "splits"],
        input_lists=["weights"],
        outputs=["players"],
        wildcards=["representation", "factorizer"],
        uses_device=True,
        argv=argv,
    )
    opened = open_examples(arguments)
    model, header = read_factorizer(arguments.model)
    examples = [
        row
        | embedded(opened.codec, wave, _versions(opened.codec, model, wave, opened.seed), "full")
        | {"kinds": KINDS}
        for row, wave in zip(opened.rows, opened.originals, strict=True)
    ]
    document = {
        "representation": arguments.representation,
        "factorizer": arguments.factorizer,
        "collapse": header["collapse"],
        "sample_rate_hz": opened.codec.sample_rate_hz,
        "examples": examples,
        "manifest": arguments.manifest(opened.seed),
    }
    write_json(arguments.players, document)


def _versions(
    codec: Codec, model: Factorizer, original: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    latents = resynthesize(model, encode_batch(codec, [original], 0)[0], seed)
    return {name: sound_of(codec, values)[: len(original)] for name, values in latents.items()}


if __name__ == "__main__":
    _cli.run(main)
