"""The null `ridge_mixture`: the linear mean, with a static mixture of its whitened residuals.

A head has a flexible shape. Where the data are linear but not Gaussian, that shape alone beats
every linear-Gaussian null, and the gain reads as context. This null has the linear mean and the
shape, and nothing that depends on the context beyond that mean (SCIENCE 4).

Shapes: D dimensions, K components.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.base import LinearBase, noise_floor
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import RidgeMixtureSection
from engram_audio.densities.data import WindowData
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.events import ANY_LAG, RIDGE_MIXTURE
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.fit import Material, events_trained
from engram_audio.densities.gaussian_mixture import GaussianMixture, head_parameters
from engram_audio.densities.marginal_em import MixtureParameters, fit_mixture
from engram_audio.densities.marginals import whitened_targets
from engram_audio.densities.null_storage import Arrays, base_arrays, base_from
from engram_audio.densities.student_t_mixture import StudentTMixture
from engram_audio.densities.trunks import FreeParameters
from engram_audio.numerics.seeds import named_seed

RIDGES = ("ridge", "ridge_full")  # units of the residuals: each dimension's own, or whitened
FAMILIES = {"gaussian": False, "student_t": True}  # whether components have tails
LOG_SCALE_RANGE = (-7.0, 7.0)  # of whitened residuals; frame noise raises the lower end


class RidgeMixture(NamedTuple):
    """A fitted null of one event at one lag.

    Attributes:
        base: The ridge whose residuals are mixed.
        mixture: The mixture, in whitened units.
        choice_nll: Mean -log density on the choice part, nats per frame.
        tried: (ridge, family, components, choice_nll) of everything that was looked at.
    """

    base: BaseArrays
    mixture: MixtureParameters
    choice_nll: float
    tried: list[tuple[str, str, int, float]]


class _Residuals(NamedTuple):
    """Whitened residuals of one ridge on train and on the choice part, each [N, D]."""

    name: str
    base: BaseArrays
    train: np.ndarray
    choice: np.ndarray
    floor: np.ndarray
    log_det: float


def fit_ridge_mixtures(
    settings: RidgeMixtureSection, material: Material, lags: Sequence[int],
    events: Sequence[str], seed: int,
) -> dict[tuple[int, str], RidgeMixture]:  # fmt: skip
    """Fit the null of every lag and event; at lag 1 one fit serves both events."""
    found = {}
    for lag in lags:
        for event in events_trained(lag, events):
            fit = fit_ridge_mixture(
                settings, material, lag, event, named_seed(seed, RIDGE_MIXTURE, lag, event)
            )
            same = events if lag == 1 else (event,)
            found |= {(lag, name): fit for name in same}
    return found


def fit_ridge_mixture(
    settings: RidgeMixtureSection,
    material: Material,
    lag_frames: int,
    event: str,
    seed: int,
    linear_nulls: Sequence[str] = RIDGES,
) -> RidgeMixture:
    """Fit one null: its units, its family and its size are those that score best.

    Sizes double from `num_components` until the choice part stops gaining, in each family on its
    own. The units are those in which a Gaussian mixture of the first size scores better.

    Args:
        settings: Sizes, the gain that a doubling must bring, and frames.
        material: Train and the choice part, with its ridges.
        lag_frames: k.
        event: delta or position.
        seed: Decides where fits start.
        linear_nulls: Linear nulls whose residuals are mixed, one for each unit. Those of a Gaussian
            marginal give a mixture of frames without context.
    """
    data = [
        material.data(part, lag_frames, settings.maximum_frames)
        for part in (TRAIN, material.choice_part)
    ]
    units = [_residuals(material, name, lag_frames, event, data) for name in linear_nulls]
    first = [_fit(settings, own, "gaussian", settings.num_components, seed) for own in units]
    chosen = units[int(np.argmin([fit.choice_nll for fit in first]))]
    grown = [_grow(settings, chosen, family, seed) for family in FAMILIES]
    tried = [entry for fit in (*first, *grown) for entry in fit.tried]
    best = min(grown, key=lambda fit: fit.choice_nll)
    return best._replace(tried=list(dict.fromkeys(tried)))


def _residuals(
    material: Material, name: str, lag_frames: int, event: str, data: Sequence[WindowData]
) -> _Residuals:
    base = next(
        null.fit.arrays
        for null in material.linear_nulls
        if (null.name, null.event) == (name, event) and null.lag_frames in (lag_frames, ANY_LAG)
    )
    model = build_gaussian(base)
    train, choice = (whitened_targets(model, part) for part in data)
    floor = np.full(train.shape[1], np.exp(LOG_SCALE_RANGE[0]))
    if np.any(material.noise_sd):
        floor = np.maximum(floor, noise_floor(base, material.noise_sd))
    return _Residuals(name, base, train, choice, floor, model.base.log_det)


def _fit(
    settings: RidgeMixtureSection, own: _Residuals, family: str, num_components: int, seed: int
) -> RidgeMixture:
    generator = np.random.default_rng([seed, num_components])
    mixture, score = fit_mixture(
        own.train, own.choice, num_components, own.floor, FAMILIES[family], generator,
        0.5 * settings.minimum_gain_nats,
    )  # fmt: skip
    nll = score - own.log_det
    return RidgeMixture(own.base, mixture, nll, [(own.name, family, num_components, nll)])


def _grow(settings: RidgeMixtureSection, own: _Residuals, family: str, seed: int) -> RidgeMixture:
    """Double the components until the choice part gains too little; return the best."""
    best = _fit(settings, own, family, settings.num_components, seed)
    tried, count = best.tried, settings.num_components
    while 2 * count <= settings.maximum_components:
        count *= 2
        larger = _fit(settings, own, family, count, seed)
        tried = tried + larger.tried
        gain = best.choice_nll - larger.choice_nll
        best = larger if gain > 0 else best
        if gain < settings.minimum_gain_nats:
            break
    return best._replace(tried=tried)


def build_ridge_mixture(fit: RidgeMixture) -> ConditionalDensity:
    """Return the null as a density."""
    num_components, num_dims = fit.mixture.means.shape
    shape = (num_dims, num_components, LOG_SCALE_RANGE, None)
    is_student = fit.mixture.is_student
    head = StudentTMixture(*shape, is_tail_shared=True) if is_student else GaussianMixture(*shape)
    parameters = FreeParameters(head_parameters(fit.mixture))
    return ConditionalDensity(LinearBase(fit.base), parameters, head)


def pack_ridge_mixtures(
    fits: dict[tuple[int, str], RidgeMixture],
) -> tuple[Arrays, list[dict[str, Any]]]:
    """Return the nulls' arrays and one header entry each."""
    arrays: Arrays = {}
    entries = []
    for number, ((lag, event), fit) in enumerate(fits.items()):
        arrays |= base_arrays(f"{RIDGE_MIXTURE}/{number}", fit.base)
        arrays |= _mixture_arrays(f"{RIDGE_MIXTURE}/{number}", fit.mixture)
        entries.append(
            {
                "lag_frames": lag, "event": event, "target": fit.base.target,
                "choice_nll": fit.choice_nll, "tried": fit.tried,
            }
        )  # fmt: skip
    return arrays, entries


def _mixture_arrays(label: str, mixture: MixtureParameters) -> Arrays:
    """Return what is stored: the freedom of normal components is infinite, and left out."""
    arrays = {f"{label}/{name}": values for name, values in mixture._asdict().items()}
    if not mixture.is_student:
        del arrays[f"{label}/freedom"]
    return arrays


def _mixture_from(label: str, arrays: Arrays) -> MixtureParameters:
    weights, means, scales = (arrays[f"{label}/{name}"] for name in ("weights", "means", "scales"))
    normal = np.full(len(weights), np.inf)
    return MixtureParameters(weights, means, scales, arrays.get(f"{label}/freedom", normal))


def unpack_ridge_mixtures(
    arrays: Arrays, entries: list[dict[str, Any]]
) -> dict[tuple[int, str], ConditionalDensity]:
    """Return the densities of `pack_ridge_mixtures` by lag and event."""
    found = {}
    for number, entry in enumerate(entries):
        label = f"{RIDGE_MIXTURE}/{number}"
        mixture = _mixture_from(label, arrays)
        base = base_from(label, entry["target"], arrays)
        fit = RidgeMixture(base, mixture, entry["choice_nll"], [])
        found[entry["lag_frames"], entry["event"]] = build_ridge_mixture(fit)
    return found
