"""Texts, prompts and a world in which the text decides, for tests of conditions."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.condition import Condition
from engram_audio.generation.condition_data import Transcripts, conditions_of
from engram_audio.generation.data import GeneratorData
from engram_audio.generation.prompts import prompts_of
from engram_audio.latents.block import LatentBlock
from tests.unit.generator_material import NUM_DIMS, settings

TEXT: dict[str, Any] = {"alphabet": "ab ", "maximum_characters": 9}
CONDITION: dict[str, Any] = {"text": TEXT, "prompt_frames": 5, "drop_share": 0.25}
POINT = 3.0  # how far the frames that the text decides lie from 0


def told_settings(condition: dict[str, Any] = CONDITION, **changes: Any) -> GeneratorSettings:
    return settings(condition=condition, **changes)


def condition(
    lengths: tuple[int, ...] = (9, 4), prompt_frames: int = 5, seed: int = 3
) -> Condition:
    """Texts of some lengths and prompts, of sequences at the start of their utterances."""
    rng = torch.Generator().manual_seed(seed)
    symbols = torch.randint(4, (len(lengths), max(lengths)), generator=rng)
    prompt = torch.randn(len(lengths), prompt_frames, NUM_DIMS, generator=rng)
    is_text = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    is_seen = torch.cat([is_text, torch.ones(len(lengths), prompt_frames, dtype=torch.bool)], 1)
    return Condition(symbols, prompt, is_seen, torch.zeros(len(lengths), dtype=torch.int64))


def of_sequence(told: Condition, number: int) -> Condition:
    """The condition of one sequence, without the positions that pad its text."""
    length = int(told.is_seen[number, : told.symbols.shape[1]].sum())
    kept = torch.cat([torch.arange(length), torch.arange(told.symbols.shape[1],
                                                         told.is_seen.shape[1])])  # fmt: skip
    one = slice(number, number + 1)
    return Condition(
        told.symbols[one, :length], told.prompt[one], told.is_seen[one][:, kept],
        told.first_frames[one],
    )  # fmt: skip


def block(num_utterances: int = 6, num_speakers: int = 2, length: int = 30) -> LatentBlock:
    """Utterances of noise; speakers take turns."""
    rng = np.random.default_rng(1)
    lengths = length + np.arange(num_utterances)
    rows = rng.normal(size=(lengths.sum(), NUM_DIMS)).astype(np.float32)
    return block_of(rows, lengths, num_speakers)


def block_of(rows: np.ndarray, lengths: np.ndarray, num_speakers: int = 2) -> LatentBlock:
    names = [f"u{number}" for number in range(len(lengths))]
    speakers = [f"s{number % num_speakers}" for number in range(len(lengths))]
    return LatentBlock(
        rows, np.ones(len(rows), np.float32), np.concatenate([[0], np.cumsum(lengths)]),
        np.array(names), np.array(speakers), np.ones(len(rows), dtype=bool),
    )  # fmt: skip


def texts(own: LatentBlock) -> dict[str, str]:
    return {name: "ab " * (1 + n % 3) for n, name in enumerate(own.utterance_ids)}


def told_data(
    own: GeneratorSettings, of: LatentBlock, transcripts: Transcripts | None,
    is_scored: np.ndarray | None = None,
) -> GeneratorData:  # fmt: skip
    everyone = np.arange(len(of.utterance_ids))
    scored = of.scored() if is_scored is None else is_scored
    found = GeneratorData(
        torch.from_numpy(of.frames), of.offsets, everyone, scored, own.chunk_frames,
        own.burn_in_frames, None, of.speaker_ids,
    )  # fmt: skip
    found.conditions = conditions_of(
        own.condition, of, found, transcripts, prompts_of(own.condition, [of])
    )
    return found


def world_of_texts(own: GeneratorSettings) -> GeneratorData:
    """Utterances of noise but for one frame, which is scored: `a` puts it up, `b` puts it down."""
    rng = np.random.default_rng(2)
    count, length, place = 40, own.chunk_frames, own.burn_in_frames
    rows = rng.normal(size=(count, length, NUM_DIMS))
    signs = np.where(np.arange(count) % 2, 1.0, -1.0)
    rows[:, place] = POINT * signs[:, None] + 0.3 * rng.normal(size=(count, NUM_DIMS))
    is_scored = np.zeros((count, length), dtype=bool)
    is_scored[:, place] = True
    of = block_of(rows.reshape(-1, NUM_DIMS).astype(np.float32), np.full(count, length))
    said = {f"u{n}": "a" if n % 2 else "b" for n in range(count)}
    return told_data(own, of, said, is_scored.ravel())


def swapped(told: Condition) -> Condition:
    """The texts of the other kind of utterance."""
    return told._replace(symbols=1 - told.symbols)


def targets(data: GeneratorData, own: GeneratorSettings) -> tuple[Tensor, Tensor, Tensor]:
    """All chunks of the world of texts: rows, frames before the scored one, and that frame."""
    batch = data.batch(torch.arange(len(data)), torch.device("cpu"))
    place = own.burn_in_frames
    return batch.rows, batch.frames[:, :place], batch.frames[:, place]
