"""Settings of the factorised path: over which z_dyn arms are trained, and how they are scored."""

from typing import Annotated

from pydantic import Field

from engram_audio.generation.model_config import ArmName
from engram_audio.quantities import Count, Listed, Names, Seed
from engram_audio.section import Section


class PathSection(Section):
    """How arms over z_dyn are scored."""

    num_particles: Count = Field(description="Particles of the bound on the NLL of a frame.")
    seed: Seed = Field(description="Seed of particles, and of the z_dyn of true frames.")


class FactorizedSection(PathSection):
    """Arms over z_dyn, each frame drawn given it, beside the direct generator at equal work."""

    states: Names = Field(
        description="Representations of kind `state` whose z_dyn is generated. Their source is one "
        "of generation.representations, which does not hold them too. []: none."
    )
    arms: Annotated[Listed[ArmName], Field(min_length=1)] = Field(
        description="Arms that are trained over z_dyn, SM and F among them; the direct generator "
        "has them too."
    )

    @property
    def scores(self) -> PathSection:
        """The part that a step reads."""
        return PathSection(num_particles=self.num_particles, seed=self.seed)
