"""Decode what generators make, encode it again, and see which keys stay what they were."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from engram_audio.artifacts.table import write_table
from engram_audio.densities.reference import Reference
from engram_audio.generation.density import as_step_density
from engram_audio.generation.model import Generator
from engram_audio.generation.probes.reencoding import (
    GENERATED,
    TRUE,
    agreement_sums,
    chance_sums,
)
from engram_audio.generation.word import AS_MUCH_WORK, MEMORY, SMALL
from engram_audio.latents.batching import encode_batch
from engram_audio.latents.round_trip import sound_of
from engram_audio.rollout.players import PROMPT_FRACTION, continue_utterance
from engram_audio.steps._cli import Output, run
from engram_audio.steps._frames import read_nulls
from engram_audio.steps._generators import full_members, read_generators
from engram_audio.steps._players import ExampleFiles, open_examples

ARMS = (SMALL, MEMORY, AS_MUCH_WORK)


class Files(ExampleFiles):
    nulls: Path
    generators: Path
    reencoded: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    opened = open_examples(files)
    reference, _ = read_nulls(files.nulls)
    trained = read_generators(files.generators)
    members = [member for member in full_members(trained) if member["arm"] in ARMS]
    speakers = [str(row["speaker_id"]) for row in opened.rows]
    latents = [encode_batch(opened.codec, [wave], 0)[0] for wave in opened.originals]

    def again(values: np.ndarray) -> np.ndarray:
        return encode_batch(opened.codec, [sound_of(opened.codec, values)], 0)[0]

    found = []
    for member in members:
        model, of = trained.model(member), {"arm": member["arm"], "seed": member["seed"]}
        for number, (own, speaker) in enumerate(zip(latents, speakers, strict=True)):
            for first, versions in _versions(model, reference, own, opened.seed + number):
                sums = agreement_sums(model.key, versions, again, first, speaker)
                found.append(sums.assign(**of))
        found.append(chance_sums(model.key, latents).assign(**of))
    write_table(files.reencoded, joined(found), files.manifest(opened.seed))


def _versions(
    model: Generator, reference: Reference, latents: np.ndarray, seed: int
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield the first generated frame with both versions; nothing of a clip that is too short."""
    prompt = max(len(latents) // PROMPT_FRACTION, model.frames_needed)
    window = min(model.settings.context_frames, prompt)
    if prompt >= len(latents):
        return
    steps, generator = as_step_density(model), torch.Generator().manual_seed(seed)
    made = continue_utterance(steps, None, reference, latents, window, generator)
    yield prompt, {GENERATED: made["sampled"], TRUE: latents}


def joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return all sums, those of one speaker's utterances added up."""
    rows = pd.concat(parts, ignore_index=True)
    names: list[Any] = [n for n in rows.columns if n not in ("numerator", "denominator")]
    sums = rows.groupby(names, sort=False).agg(
        numerator=("numerator", "sum"), denominator=("denominator", "sum")
    )
    return pd.DataFrame(sums).reset_index()


if __name__ == "__main__":
    run(main)
