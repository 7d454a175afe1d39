"""Arms over z_dyn that work as much as the direct generator: decoding and prior are counted."""

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.factorizer.model import Factorizer
from engram_audio.factorizer.work import decoding_work
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.config import GeneratorSection
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.matching import largest, planned_budget
from engram_audio.generation.word import MEMORY
from engram_audio.keys.fitted import FittedKey


def of_equal_work(
    section: GeneratorSection, factorizer: Factorizer, direct_flops: float, key: FittedKey,
    dimensions: Dimensions, base: BaseArrays,
) -> GeneratorSection:  # fmt: skip
    """Return a generator of z_dyn whose path with SM is the largest of at most SM's own work.

    The direct generator is never the smaller one. S, F and P of the path follow from its SM.

    Args:
        section: The direct generator.
        factorizer: Decodes z_dyn.
        direct_flops: Work of a frame of the direct SM.
        key: The key over z_dyn.
        dimensions: Train statistics of z_dyn.
        base: The linear null of z_dyn.

    Raises:
        ValueError: Even the narrowest generator works more.
    """
    own, stride = decoding_work(factorizer), factorizer.settings.state.stride_frames

    def cost(settings: GeneratorSettings) -> int:
        budget = planned_budget(MEMORY, settings, section.insertion, key, dimensions, base)
        return budget.flops_generated

    found = largest(section.model, (direct_flops - own.flops_generated) * stride, cost)
    if found is None:
        raise ValueError(
            f"decoding a frame takes {own.flops_generated:,.0f} of the {direct_flops:,.0f} "
            "operations of a frame of the direct generator, which leaves too few for z_dyn; take "
            "a smaller decoder, or a larger generator"
        )
    return section.model_copy(update={"model": found})
