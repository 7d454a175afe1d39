"""What a lookup could add to a linear model of the same context, from the equations.

SCIENCE 3 calls *added* the R^2 of ridge and cells together less that of ridge alone, as a mean over
dimensions. Three numbers bound it:

- the linear R^2 itself, from the process's second moments;
- what the world's own hidden key adds, from second moments too (a joint least squares of context
  and one-hot key, in the population);
- what the exact conditional mean adds, by Monte Carlo: no key of any size can add more.

Shapes: D dimensions, W frames of context, C = W x D context values, S cells, M targets.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram_audio.calibration.chains import Chain
from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.oracle import Oracle
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.truths import FRESH, Speakers
from engram_audio.calibration.world import World, simulate
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.targets import targets_of

FIT_FRACTION = 0.75  # of the fresh speakers, where the linear model must be fitted


class Moments(NamedTuple):
    """Second moments of context and target about their means.

    Attributes:
        context: Shape [C, C].
        cross: Covariance of target and context, shape [D, C].
        variance: Of the target, shape [D].
    """

    context: np.ndarray
    cross: np.ndarray
    variance: np.ndarray

    def slope(self) -> np.ndarray:
        """Return the least squares of target on context, shape [C, D]."""
        return np.linalg.lstsq(self.context, self.cross.T, rcond=1e-10)[0]

    def explained(self) -> np.ndarray:
        """Return the variance that the context explains linearly, shape [D]."""
        return np.einsum("dc,cd->d", self.cross, self.slope())


def moments(world: World, lag_frames: int, window_frames: int) -> Moments | None:
    """Return the moments of delta and the context at a lag; None where they are unknown.

    A walk's context is told in its W - 1 increments: a walk has no stationary position.
    """
    if world.IS_WALK:
        return _increment_moments(world, lag_frames, window_frames)
    if world.autocovariance(0) is None:
        return None
    steps = [_known(world, step) for step in range(window_frames + lag_frames)]
    cross = [steps[lag_frames + age] - steps[lag_frames + age - 1] for age in range(window_frames)]
    variance = 2 * np.diag(steps[0] - steps[1])
    return Moments(_toeplitz(steps, window_frames), np.concatenate(cross, axis=1), variance)


def _increment_moments(world: World, lag_frames: int, window_frames: int) -> Moments:
    count = window_frames - 1
    steps = [world.delta_autocovariance(step) for step in range(count + lag_frames)]
    cross = np.concatenate([steps[lag_frames + age] for age in range(count)], axis=1)
    return Moments(_toeplitz(steps, count), cross, np.diag(steps[0]))


def _known(world: World, steps: int) -> np.ndarray:
    found = world.autocovariance(steps)
    assert found is not None, "the moments of a world are known at all steps or at none"
    return found


def _toeplitz(steps: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Return the covariance of `count` frames, newest first, from E[x_t x_{t-h}'], [C, C]."""
    return np.block(
        [
            [steps[column - row] if column >= row else steps[row - column].T
             for column in range(count)]
            for row in range(count)
        ]
    )  # fmt: skip


def linear_r2(world: World, lag_frames: int, window_frames: int) -> float | None:
    """Return R^2 of delta of the best linear predictor on W frames, a mean over dimensions."""
    known = moments(world.alike(), lag_frames, window_frames)
    return None if known is None else float((known.explained() / known.variance).mean())


def hidden_key_added(world: World, lag_frames: int, window_frames: int) -> float | None:
    """Return what the world's own key at t - lag adds to a linear model; None where none is.

    The key is the phase, or the symbol of a table. Cell means and the slope that is left within
    cells are those of the population.
    """
    hidden = world.hidden_means()
    known = None if hidden is None else moments(world, lag_frames, window_frames)
    if known is None or hidden is None:
        return None
    chain, values = hidden[0], hidden[1] - hidden[1].mean(axis=0)
    count = window_frames - 1 if world.IS_WALK else window_frames
    context = np.concatenate([_before(chain, values, age) for age in range(count)], axis=1)
    ahead = chain.expect(values, lag_frames)
    target = ahead if world.IS_WALK else ahead - chain.expect(values, lag_frames - 1)
    cells = len(values)
    within = Moments(
        known.context - context.T @ context / cells,
        known.cross - target.T @ context / cells,
        known.variance,
    )
    between = (target**2).mean(axis=0)
    gain = between + within.explained() - known.explained()
    return float((gain / known.variance).mean())


def _before(chain: Chain, values: np.ndarray, age: int) -> np.ndarray:
    """Return E[values of the state `age` frames earlier | state now], shape [S, D]."""
    return chain.advance(values.T, age).T  # under a uniform law the chain reversed is P'


def added_truths(
    world: World,
    lags_frames: Sequence[int],
    window_frames: int,
    num_speakers: int = 40,
    num_utterances_per_speaker: int = 10,
) -> list[Truth]:
    """Return what is known about *added*: see the quantities of `truth`."""
    size = window_frames, num_speakers, num_utterances_per_speaker
    if parts := world.diluted():
        return _diluted(*parts, lags_frames, *size)
    truths = []
    for lag in lags_frames:
        exact = {
            "linear_r2": linear_r2(world, lag, window_frames),
            "added_hidden_key": hidden_key_added(world, lag, window_frames),
        }
        truths += [Truth(name, lag, value) for name, value in exact.items() if value is not None]
    fresh = WorldSize(0, num_speakers, num_utterances_per_speaker)
    return truths + ceiling_truths(world, lags_frames, window_frames, fresh)


def _diluted(inner: World, white: World, lags_frames: Sequence[int], *size: int) -> list[Truth]:
    """Return the truths of the part that means something, spread over all dimensions."""
    share = inner.num_dims / (inner.num_dims + white.num_dims)
    truths = []
    for truth in added_truths(inner, lags_frames, *size):
        own = share * truth.value
        if truth.quantity == "linear_r2":  # white dimensions fall back to their mean at lag 1
            rest = linear_r2(white, truth.lag_frames, size[0])
            own += (1 - share) * (rest or 0.0)
        truths.append(truth._replace(value=own, standard_error=share * truth.standard_error))
    return truths


def ceiling_truths(
    world: World, lags_frames: Sequence[int], window_frames: int, size: WorldSize
) -> list[Truth]:
    """Return `added_ceiling` at each lag: R^2 of the exact conditional mean less the linear one.

    It is exactly 0 where that mean is linear. Both predictors see the same fresh frames, so their
    difference is known better than either.
    Where second moments are unknown the linear model is fitted on three quarters of the speakers
    and scored on the others.
    """
    if world.is_mean_linear:
        return [Truth("added_ceiling", lag, 0.0) for lag in lags_frames]
    oracle = world.shared_oracle()
    if oracle is None:
        return []
    block = simulate(world, size, world.seed + FRESH).block
    rows = targets_of(block, window_frames, max(lags_frames))
    truths = []
    for lag in lags_frames:
        try:
            truths.append(_ceiling(world, oracle, block, rows, lag, window_frames))
        except NotImplementedError:  # this oracle has no law of delta at this lag
            continue
    return truths


def _ceiling(
    world: World, oracle: Oracle, block: LatentBlock, rows: np.ndarray, lag: int, window: int
) -> Truth:
    frames = block.frames.astype(np.float64)
    values = frames[rows] - frames[rows - 1] - world.delta_mean()
    context = _context(world, frames, rows - lag, window)
    known, scored = moments(world, lag, window), np.ones(len(rows), dtype=bool)
    if known is None:
        scored = _last_speakers(block, rows)
        known = _sample_moments(context[~scored], values[~scored])
    own = values[scored]
    linear = own - (context[scored] - context.mean(axis=0)) @ known.slope()
    exact = own + world.delta_mean() - oracle.mean(block, rows[scored], lag)
    value, error = Speakers(block, rows[scored]).mean_ratio(linear**2 - exact**2, own**2)
    return Truth("added_ceiling", lag, value, error)


def _context(world: World, frames: np.ndarray, newest: np.ndarray, window: int) -> np.ndarray:
    """Return the context, newest frame first: frames, or the increments of a walk, [M, C]."""
    if world.IS_WALK:
        ages = [frames[newest - age] - frames[newest - age - 1] for age in range(window - 1)]
    else:
        ages = [frames[newest - age] for age in range(window)]
    return np.concatenate(ages, axis=1)


def _last_speakers(block: LatentBlock, rows: np.ndarray) -> np.ndarray:
    """Return which targets belong to the last quarter of the speakers, shape [M]."""
    names = np.repeat(block.speaker_ids, np.diff(block.offsets))[rows].astype(str)
    number = np.unique(names, return_inverse=True)[1]
    return number >= FIT_FRACTION * (number.max() + 1)


def _sample_moments(context: np.ndarray, values: np.ndarray) -> Moments:
    context, values = context - context.mean(axis=0), values - values.mean(axis=0)
    count = len(values)
    return Moments(context.T @ context / count, values.T @ context / count, values.var(axis=0))
