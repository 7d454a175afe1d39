"""A planted world through the structure stage in memory: the same tables as on disk.

Shapes: N frames of the stream.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.calibration.published import Published, published_rows
from engram_audio.calibration.registry import world_truths
from engram_audio.calibration.rows import CalibrationRow
from engram_audio.calibration.tables import FRAME_RATE_HZ, utterance_table
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import Draw, World
from engram_audio.corpus.splits import make_splits
from engram_audio.keys.config import KeysSection
from engram_audio.keys.fit import KeyMaterial, fit_family
from engram_audio.latents.block import LatentBlock
from engram_audio.stats.config import StatisticsSection
from engram_audio.structure.config import ScoredFamily, StructureSection, TargetOracleKeys
from engram_audio.structure.key_scores import score_keys
from engram_audio.structure.linear import score_linear
from engram_audio.structure.material import Material, prepare
from engram_audio.structure.side_tables import linear_rows
from engram_audio.structure.structure_table import analyse, structure_rows
from engram_audio.trust.hidden_key import hidden_key_rows

VAL_FRACTION = SELECT_FRACTION = 0.1


class Analysis(NamedTuple):
    """How worlds are analysed in memory.

    Attributes:
        section: Structure settings.
        keys_section: How keys are fitted.
        families: Key families, the target oracle among them.
        keys: Registered keys.
        lag_frames: Registered lag.
        statistics: Intervals.
    """

    section: StructureSection
    keys_section: KeysSection
    families: Mapping[str, ScoredFamily]
    keys: tuple[str, ...]
    lag_frames: int
    statistics: StatisticsSection


class Planted(NamedTuple):
    """A simulated world with what is known about it.

    Attributes:
        name: Its name.
        world: The world.
        draw: Its frames and hidden states.
        truths: What is known.
    """

    name: str
    world: World
    draw: Draw
    truths: list[Truth]


def closed_forms(name: str, world: World, draw: Draw, lags_frames: tuple[int, ...]) -> Planted:
    """Return a world with its closed-form truths, which cost nothing."""
    return Planted(name, world, draw, world.exact_truths(lags_frames))


def all_truths(
    name: str, world: World, draw: Draw, section: StructureSection, num_speakers: int,
    num_utterances_per_speaker: int,
) -> Planted:  # fmt: skip
    """Return a world with all truths, Monte Carlo ones on fresh speakers included."""
    lags, window = section.lags_frames, section.window_frames
    truths = world_truths(world, lags, window, num_speakers, num_utterances_per_speaker)
    return Planted(name, world, draw, truths)


def measure(planted: Planted, analysis: Analysis, seed: int = 0) -> list[CalibrationRow]:
    """Return every comparison that one world allows without surrogates and without files."""
    part_of = parts_of(planted.draw, seed)
    material = prepare(lambda: iter([planted.draw.block]), part_of, analysis.section)
    structure, linear = tables_of(planted, material, part_of, analysis)
    published = Published(
        structure, linear, analysis.keys, analysis.lag_frames, analysis.section.window_frames
    )
    rows = published_rows(planted.name, planted.world, planted.truths, published)
    return rows + _hidden_key(planted, material)


def measure_hidden_key(planted: Planted, analysis: Analysis, seed: int = 0) -> list[CalibrationRow]:
    """Return the comparisons of the hidden key alone: no feature is fitted, cheap in any D."""
    part_of = parts_of(planted.draw, seed)
    return _hidden_key(
        planted, prepare(lambda: iter([planted.draw.block]), part_of, analysis.section)
    )


def _hidden_key(planted: Planted, material: Material) -> list[CalibrationRow]:
    key = planted.world.stated_key(planted.draw.hidden)
    if key is None:
        return []
    return hidden_key_rows(planted.name, planted.world, key, planted.truths, material)


def parts_of(draw: Draw, seed: int) -> dict[str, str]:
    """Return the part of each utterance, as `make_splits` draws it."""
    # the hint fixes eval
    splits = make_splits(utterance_table(draw), 0.5, VAL_FRACTION, SELECT_FRACTION, seed)
    return dict(zip(splits["utterance_id"], splits["split"], strict=True))


def tables_of(
    planted: Planted, material: Material, part_of: Mapping[str, str], analysis: Analysis
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return structure and linear rows as published."""
    keys = KeyMaterial(material.source, part_of, analysis.keys_section)
    lags = analysis.section.lags_frames
    fits = {
        name: family
        if isinstance(family, TargetOracleKeys)
        else fit_family(name, family, lags, keys)
        for name, family in analysis.families.items()
    }
    found = [score_keys(name, own, material) for name, own in fits.items()]
    scores = pd.concat([tables.scores for tables in found], ignore_index=True)
    fitted = pd.concat([tables.keys for tables in found], ignore_index=True)
    linear = linear_rows(score_linear(material), analysis.statistics.confidence)
    rows = structure_rows(
        analyse(scores, fitted), {}, linear, FRAME_RATE_HZ, analysis.statistics.confidence
    )
    return rows, linear


def hidden_in_order(block: LatentBlock, draw: Draw) -> bool:
    """Whether a stored block holds the draw's utterances in the draw's order."""
    same = np.array_equal(block.utterance_ids.astype(str), draw.block.utterance_ids.astype(str))
    return bool(same and np.array_equal(block.frames, draw.block.frames))
