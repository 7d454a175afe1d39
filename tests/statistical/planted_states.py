"""z_dyn of a planted world as a world of its own, for arms over it.

Sizes, recipe and nulls are those of `planted_generation`.
"""

import numpy as np

from engram_audio.corpus.split_parts import choice_part
from engram_audio.densities.config import PredictionSection
from engram_audio.densities.dequantization import dequantization_sd, noisy_source
from engram_audio.densities.fit import Material
from engram_audio.densities.nulls import NullMoments, fit_linear_nulls
from engram_audio.densities.reference import measure_reference
from engram_audio.factorizer.export import state_block
from engram_audio.factorizer.model import Factorizer
from engram_audio.generation.config import GeneratorSection
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.factorized.sizes import of_equal_work
from engram_audio.generation.matching import match_arms
from engram_audio.latents.block import LatentBlock, concatenate_blocks
from tests import studies
from tests.statistical.planted_generation import Arena, frame_key
from tests.statistical.planted_prediction import CPU, Planted

SAMPLING_SEED = 0


def states_of(planted: Planted, model: Factorizer) -> Planted:
    """Return sampled z_dyn of a world's speakers with its linear nulls fitted."""
    section = studies.section_of(planted.study, PredictionSection)
    fitted, held = (
        state_block(model, block, CPU, SAMPLING_SEED)
        for block in (planted.material.block, planted.noisy)
    )
    part_of, window = planted.material.part_of, section.window_frames
    longest = max(section.lags_frames)

    def raw():
        return iter([fitted, held])

    first = measure_reference(raw, part_of, window, longest)
    noise_sd = dequantization_sd(first, section.dequantization_fraction)

    def noisy(block: LatentBlock) -> LatentBlock:
        source = noisy_source(lambda: iter([block]), noise_sd, section.noise_seed)
        return concatenate_blocks(list(source()))

    source = noisy_source(raw, noise_sd, section.noise_seed)
    moments = NullMoments(first, window, section.lags_frames, choice_part(part_of.values()))
    moments.accumulate(source, part_of, window)
    nulls = planted.study.prediction.nulls
    linear = fit_linear_nulls(moments, section.targets, nulls.orders, nulls.ridges)
    material = Material(noisy(fitted), part_of, first, linear, window, longest, noise_sd)
    return planted._replace(material=material, noisy=noisy(held), clean=held, hidden={})


def arena_over_states(direct: Arena, model: Factorizer, direct_flops: float) -> Arena:
    """Return arms over z_dyn whose path works as much as the direct SM."""
    planted = states_of(direct.planted, model)
    reference = planted.material.reference
    known = Dimensions(reference.frame_mean, reference.frame_sd, planted.material.noise_sd)
    key = frame_key(planted, direct.insertion.key)
    whole = direct._replace(planted=planted, key=key, dimensions=known, sizes={})
    section = GeneratorSection.model_construct(
        recipe="", arms=(), model=direct.settings, insertion=direct.insertion
    )
    sized = of_equal_work(section, model, direct_flops, key, known, whole.base).model
    sizes = match_arms(sized, direct.insertion, key, known, whole.base)
    return whole._replace(settings=sized, sizes=sizes)


def few_utterances(block: LatentBlock, count: int) -> LatentBlock:
    """Return evenly spread utterances of a block, each speaker's share of them."""
    chosen = np.unique(np.linspace(0, len(block.utterance_ids) - 1, count).round().astype(int))
    rows = np.concatenate([np.arange(*block.offsets[n : n + 2]) for n in chosen])
    sizes = np.diff(block.offsets)[chosen]
    return LatentBlock(
        block.frames[rows], block.energy[rows], np.concatenate([[0], np.cumsum(sizes)]),
        block.utterance_ids[chosen], block.speaker_ids[chosen],
    )  # fmt: skip
