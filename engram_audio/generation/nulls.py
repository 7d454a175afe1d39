"""The two arms that nobody trains: a mixture of frames, and one of the linear null's residuals."""

from engram_audio.densities.config import RidgeMixtureSection
from engram_audio.densities.events import ANY_LAG
from engram_audio.densities.fit import Material
from engram_audio.densities.ridge_mixture import RIDGES, RidgeMixture, fit_ridge_mixture
from engram_audio.generation.names import LINEAR_MIXTURE, MARGINAL
from engram_audio.numerics.seeds import named_seed

EVENT, LAG_FRAMES = "position", 1
MARGINALS = (f"gaussian_marginal_{EVENT}", f"gaussian_marginal_full_{EVENT}")
LAGS = {LINEAR_MIXTURE: LAG_FRAMES, MARGINAL: ANY_LAG}  # under which each is stored


def fit_nulls(
    settings: RidgeMixtureSection, material: Material, seed: int
) -> dict[str, RidgeMixture]:
    """Fit both; sizes and units are those that score best on the choice part.

    The base of `linear_mixture` is also the one that every generator's head stands on.
    """
    linear_nulls = {LINEAR_MIXTURE: RIDGES, MARGINAL: MARGINALS}
    return {
        name: fit_ridge_mixture(
            settings, material, LAG_FRAMES, EVENT, named_seed(seed, "generation", name), names
        )
        for name, names in linear_nulls.items()
    }


def by_lag(fits: dict[str, RidgeMixture]) -> dict[tuple[int, str], RidgeMixture]:
    """Return the fits as `densities.ridge_mixture` stores them."""
    return {(LAGS[name], EVENT): fit for name, fit in fits.items()}
