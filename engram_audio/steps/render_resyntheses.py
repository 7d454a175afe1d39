"""Decode a few eval utterances from factorised latents, for people to listen to."""

from pathlib import Path

import numpy as np

from engram_audio.artifacts.json_document import write_json
from engram_audio.codecs.base import Codec
from engram_audio.factorizer.model import Factorizer
from engram_audio.factorizer.resynthesis import resynthesize
from engram_audio.latents.batching import encode_batch
from engram_audio.latents.round_trip import sound_of
from engram_audio.steps._cli import Wildcard, run
from engram_audio.steps._factorizer import read_factorizer
from engram_audio.steps._players import PlayerFiles, embedded, open_examples

KINDS = (
    ("original", "Original"),
    ("full", "State and innovation"),
    ("prior", "Innovation from its prior"),
    ("state", "State alone"),
)


class Files(PlayerFiles):
    factorizer: Wildcard[str]
    model: Path


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    opened = open_examples(files)
    model, header = read_factorizer(files.model)
    examples = [
        row
        | embedded(opened.codec, wave, _versions(opened.codec, model, wave, opened.seed), "full")
        | {"kinds": KINDS}
        for row, wave in zip(opened.rows, opened.originals, strict=True)
    ]
    document = {
        "representation": files.representation,
        "factorizer": files.factorizer,
        "collapse": header["collapse"],
        "sample_rate_hz": opened.codec.sample_rate_hz,
        "examples": examples,
        "manifest": files.manifest(opened.seed),
    }
    write_json(files.players, document)


def _versions(
    codec: Codec, model: Factorizer, original: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    latents = resynthesize(model, encode_batch(codec, [original], 0)[0], seed)
    return {name: sound_of(codec, values)[: len(original)] for name, values in latents.items()}


if __name__ == "__main__":
    run(main)
