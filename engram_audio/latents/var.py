"""VAR(p) twins of a representation: streaming fit on train, exact stationary start, simulation.

x_t = c + A_1 x_{t-1} + ... + A_p x_{t-p} + e_t with innovations independent in time. They are
Gaussian, e_t ~ N(0, Q), or drawn with replacement from the fit's own residuals: a Gaussian twin
cannot show what the shape of the innovations alone does.

Shapes: N frames of a block, U utterances, D dimensions, p order, L = p * D, R residuals.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import scipy.linalg

from engram_audio.corpus.split_parts import TRAIN
from engram_audio.errors import InputError
from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.seeds import named_generator

CHUNK_ROWS = 8192  # rows of the regression held at a time; bounds memory, not the corpus
MAXIMUM_DOUBLINGS = 60  # 2^60 steps: past any radius that float64 tells from one
KEPT_RESIDUALS = 16384  # that innovations are drawn from; bounds the file, not the corpus
LEFT_OF_START = 1e-2  # share of the Gaussian start that a twin with other innovations may keep
MAXIMUM_RUN_IN = 1000  # frames before an utterance's first


class VarModel(NamedTuple):
    """A fitted, stable VAR.

    Attributes:
        coefficients: [A_1; ...; A_p] transposed, so that x_t - m = (lags - m) @ it, shape [L, D].
        mean: Stationary mean m, shape [D].
        innovation_factor: F with Q = F F^T, shape [D, D].
        start_factor: G with G G^T = stationary covariance of (x_t, ..., x_{t-p+1}), shape [L, L].
        fitted_radius: Spectral radius before shrinking, shape [1].
        radius: Spectral radius of these coefficients, shape [1].
        num_frames: Frames regressed on, shape [1], int64.
        residuals: Residuals e_t of evenly spaced train frames, about their mean, [R, D], float32.
    """

    coefficients: np.ndarray
    mean: np.ndarray
    innovation_factor: np.ndarray
    start_factor: np.ndarray
    fitted_radius: np.ndarray
    radius: np.ndarray
    num_frames: np.ndarray
    residuals: np.ndarray


class _Moments(NamedTuple):
    num_frames: int
    num_utterances: int
    products: np.ndarray  # of (1, lags, target), shape [1 + L + D, 1 + L + D]
    shift: np.ndarray


def fit_on_train(
    blocks: Callable[[set[str]], Iterable[LatentBlock]], part_of: Mapping[str, str], order: int
) -> VarModel:
    """Fit on the train utterances of one split and on no other.

    Args:
        blocks: Returns the blocks of some utterances, once for each pass.
        part_of: Part of each utterance on that split.
        order: p.
    """
    train = {name for name, part in part_of.items() if part == TRAIN}
    return fit_var(lambda: blocks(train), order)


def fit_var(blocks: Callable[[], Iterable[LatentBlock]], order: int) -> VarModel:
    """Fit by least squares in one pass, then keep residuals in a second.

    Args:
        blocks: Returns the blocks of the train utterances, once for each pass.
        order: p.

    A fit that is not stable (spectral radius >= 1) is shrunk: A_i gets gamma^i, which multiplies
    the radius by gamma, down to exp(-1 / mean utterance length): a slower process cannot be told
    from a random walk on these utterances. Both radii are kept.

    Raises:
        InputError: Too few frames for the order.
    """
    moments = _accumulate(blocks(), order)
    dims = len(moments.shift)
    width = 1 + order * dims
    if moments.num_frames <= width:
        raise InputError(
            f"representations.surrogates.var_order: {moments.num_frames} train frames cannot fit "
            f"{width} coefficients per dimension; lower var_order or add speech"
        )
    xx, xy = moments.products[:width, :width], moments.products[:width, width:]
    solution = _solve(xx, xy)
    residual = moments.products[width:, width:] - solution.T @ xy
    innovation = (residual + residual.T) / 2 / (moments.num_frames - width)
    coefficients = solution[1:]
    fitted_radius = radius = spectral_radius(coefficients)
    if radius >= 1:
        radius = float(np.exp(-moments.num_utterances / moments.num_frames))
        powers = np.repeat(np.arange(1, order + 1), dims)
        coefficients = coefficients * ((radius / fitted_radius) ** powers)[:, None]
    mean = moments.products[0, width:] / moments.num_frames + moments.shift
    return VarModel(
        coefficients=coefficients,
        mean=mean,
        innovation_factor=_factor(innovation),
        start_factor=_factor(stationary_covariance(coefficients, innovation)),
        fitted_radius=np.array([fitted_radius]),
        radius=np.array([radius]),
        num_frames=np.array([moments.num_frames], np.int64),
        residuals=_residuals(blocks(), coefficients, mean, moments.num_frames),
    )


def _residuals(
    blocks: Iterable[LatentBlock], coefficients: np.ndarray, mean: np.ndarray, num_frames: int
) -> np.ndarray:
    """Return the residuals of every n-th frame regressed on, about their mean, shape [R, D]."""
    order = len(coefficients) // len(mean)
    spacing = math.ceil(num_frames / KEPT_RESIDUALS)
    kept, count = [], 0
    for block in blocks:
        targets = _targets(block, order)
        chosen = targets[-count % spacing :: spacing]
        count += len(targets)
        centred = block.frames - mean.astype(np.float32)
        lags = np.hstack([centred[chosen - lag] for lag in range(1, order + 1)])
        kept.append(centred[chosen] - lags @ coefficients.astype(np.float32))
    residuals = np.concatenate(kept)
    return residuals - residuals.mean(axis=0)


def _targets(block: LatentBlock, order: int) -> np.ndarray:
    """Return the scored frames that have `order` frames of their utterance before them."""
    position = np.arange(len(block.frames)) - np.repeat(block.offsets[:-1], np.diff(block.offsets))
    return np.flatnonzero((position >= order) & block.scored())


def _accumulate(blocks: Iterable[LatentBlock], order: int) -> _Moments:
    shift, products = np.zeros(0), np.zeros((0, 0))
    count = utterances = 0
    for block in blocks:
        if not len(block.frames):
            continue
        if not products.size:
            # A shift near the mean keeps the sums free of cancellation; any shift is exact.
            shift = block.frames.mean(axis=0, dtype=np.float64)
            width = 1 + (order + 1) * len(shift)
            products = np.zeros((width, width))
        centred = block.frames - shift.astype(np.float32)
        targets = _targets(block, order)
        count += len(targets)
        utterances += len(block.utterance_ids)
        for start in range(0, len(targets), CHUNK_ROWS):
            chunk = targets[start : start + CHUNK_ROWS]
            lags = [centred[chunk - lag] for lag in range(1, order + 1)]
            ones = np.ones((len(chunk), 1), np.float32)
            design = np.hstack([ones, *lags, centred[chunk]]).astype(np.float64)
            products += design.T @ design
    if not products.size:
        raise InputError("representations.surrogates: the train split has no frame to fit a VAR on")
    return _Moments(count, utterances, products, shift)


def _solve(xx: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Solve the normal equations on the subspace that the data spans."""
    scale = np.sqrt(np.maximum(np.diag(xx), np.finfo(float).tiny))
    values, vectors = scipy.linalg.eigh(xx / np.outer(scale, scale))
    # Below this a direction is rounding: frames are float32, products accumulate in float64.
    alive = values > values[-1] * np.finfo(np.float32).eps ** 2 * len(values)
    basis = vectors[:, alive]
    return (basis @ ((basis.T @ (xy / scale[:, None])) / values[alive, None])) / scale[:, None]


def _companion(coefficients: np.ndarray) -> np.ndarray:
    length, dims = coefficients.shape
    matrix = np.zeros((length, length))
    matrix[:dims] = coefficients.T
    matrix[dims:, :-dims] = np.eye(length - dims)
    return matrix


def spectral_radius(coefficients: np.ndarray) -> float:
    """Return the largest |eigenvalue| of the companion matrix; below one is stable."""
    return float(np.abs(scipy.linalg.eigvals(_companion(coefficients))).max())


def stationary_covariance(coefficients: np.ndarray, innovation: np.ndarray) -> np.ndarray:
    """Return the covariance of (x_t, ..., x_{t-p+1}), shape [L, L], by doubling.

    P = sum_k C^k Q C^k^T; each step squares C and doubles the terms, until a step adds nothing that
    float64 sees.
    """
    power = _companion(coefficients)
    dims = innovation.shape[0]
    total = np.zeros_like(power)
    total[:dims, :dims] = innovation
    for _ in range(MAXIMUM_DOUBLINGS):
        added = power @ total @ power.T
        total = total + added
        if np.trace(added) <= np.finfo(float).eps * np.trace(total):
            break
        power = power @ power
    return (total + total.T) / 2


def _factor(covariance: np.ndarray) -> np.ndarray:
    """Return F with F F^T = covariance; rounding below zero is cut off."""
    values, vectors = scipy.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def simulate_var(model: VarModel, block: LatentBlock, seed: int, kind: str = "var") -> LatentBlock:
    """Simulate every utterance of a block from stationarity; energies stay in place.

    All utterances advance together, one step in time per iteration.

    Args:
        model: The fit.
        block: Utterances to replace.
        seed: Decides the draws.
        kind: `var` for Gaussian innovations, `var_resampled` for the fit's own residuals. The start
            has the stationary covariance and is Gaussian: it is run in until a hundredth is left.
    """
    sizes = np.diff(block.offsets)
    order = np.argsort(-sizes, kind="stable")  # longest first: the running ones are a prefix
    length, dims = model.coefficients.shape
    run_in = _run_in(model) if kind == "var_resampled" else 0
    draw = _resampled if kind == "var_resampled" else _gaussian
    factor = np.eye(dims) if kind == "var_resampled" else model.innovation_factor.T
    generators = [named_generator(seed, kind, str(block.utterance_ids[u])) for u in order]
    started = [one.standard_normal(length, dtype=np.float32) for one in generators]
    state = np.array(started, np.float32).reshape(len(order), length)
    state = state @ model.start_factor.T.astype(np.float32)
    innovations = [
        draw(model, generator, run_in + int(sizes[u]))
        for generator, u in zip(generators, order, strict=True)
    ]
    coefficients, factor = model.coefficients.astype(np.float32), factor.astype(np.float32)
    frames = np.empty((len(block.frames), dims), np.float32)
    starts = block.offsets[:-1][order]
    for step in range(-run_in, int(sizes.max(initial=0))):
        running = int(np.count_nonzero(sizes > step))
        state = state[:running]
        drawn = np.array([row[run_in + step] for row in innovations[:running]])
        now = state @ coefficients + drawn @ factor
        if step >= 0:
            frames[starts[:running] + step] = now + model.mean.astype(np.float32)
        state = np.hstack([now, state[:, : length - dims]])
    return block._replace(frames=frames)


def _run_in(model: VarModel) -> int:
    """Return how many frames forget the start: radius^n is a hundredth."""
    radius = min(float(model.radius[0]), 1 - np.finfo(float).eps)
    if radius <= LEFT_OF_START:
        return len(model.coefficients) // len(model.mean)
    return min(math.ceil(math.log(LEFT_OF_START) / math.log(radius)), MAXIMUM_RUN_IN)


def _gaussian(model: VarModel, generator: np.random.Generator, count: int) -> np.ndarray:
    return generator.standard_normal((count, len(model.mean)), dtype=np.float32)


def _resampled(model: VarModel, generator: np.random.Generator, count: int) -> np.ndarray:
    return model.residuals[generator.integers(len(model.residuals), size=count)]
