"""Monte Carlo truths: the exact predictor scored on fresh data of its own world.

The unit of resampling is the speaker; standard errors are over speaker means.
"""

from collections.abc import Sequence

import numpy as np

from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.oracle import Oracle, Space
from engram_audio.calibration.radial import diagonal_entropy
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import World, simulate
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.targets import targets_of
from engram_audio.numerics.seeds import named_generator
from engram_audio.windows import utterance_of_rows

FRESH = 0x7A17  # added to the world's seed: truths are measured on data that no analysis sees
MAGNITUDE_SAMPLES = 32


class Speakers:
    """Sums per speaker; `mean` and `ratio` return a value with its standard error."""

    def __init__(self, block: LatentBlock, targets: np.ndarray) -> None:
        names = block.speaker_ids[utterance_of_rows(block.offsets, targets)].astype(str)
        _, self._number = np.unique(names, return_inverse=True)
        self._count = np.bincount(self._number).astype(np.float64)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of values [M] for each speaker."""
        return np.bincount(self._number, weights=values)

    def mean(self, values: np.ndarray) -> tuple[float, float]:
        """Return the mean over targets and its standard error over speakers."""
        return self.ratio(self.sums(values), self._count)

    @staticmethod
    def ratio(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float, float]:
        """Return a ratio of sums and its linearised standard error over speakers."""
        value = numerator.sum() / denominator.sum()
        influence = (numerator - value * denominator) / denominator.mean()
        count = len(numerator)
        return float(value), float(influence.std(ddof=1) / np.sqrt(count))

    def mean_ratio(self, top: np.ndarray, bottom: np.ndarray) -> tuple[float, float]:
        """Return the mean over dimensions of ratios of sums, both [M, D]."""
        count = len(self._count)
        tops = np.zeros((count, top.shape[1]))
        bottoms = np.zeros_like(tops)
        np.add.at(tops, self._number, top)
        np.add.at(bottoms, self._number, bottom)
        ratios = tops.sum(axis=0) / bottoms.sum(axis=0)
        influence = ((tops - ratios * bottoms) / bottoms.mean(axis=0)).mean(axis=1)
        return float(ratios.mean()), float(influence.std(ddof=1) / np.sqrt(count))


def oracle_truths(
    world: World,
    lags_frames: Sequence[int],
    window_frames: int,
    num_speakers: int = 40,
    num_utterances_per_speaker: int = 10,
    seed: int | None = None,
) -> list[Truth]:
    """Score a world's oracle on fresh speakers.

    Args:
        world: A world with an oracle.
        lags_frames: Lags; all share the targets that the largest one admits.
        window_frames: W, decides the first target as in every analysis.
        num_speakers: Fresh speakers; the standard error falls with their square root.
        num_utterances_per_speaker: Utterances of each.
        seed: Seed of the fresh data, by default derived from the world's.

    Returns:
        Truths in a fixed order; quantities that a world does not have are left out.
    """
    oracle = world.oracle()
    if oracle is None:
        return []
    fresh = world.seed + FRESH if seed is None else seed
    size = WorldSize(0, num_speakers, num_utterances_per_speaker)
    block = simulate(world, size, fresh).block
    targets = targets_of(block, window_frames, max(lags_frames))
    truths: list[Truth] = []
    for lag in lags_frames:
        for space in ("delta", "position"):
            truths += _at_lag(world, oracle, block, targets, lag, space)
        truths += _magnitude(
            oracle, block, targets, lag, named_generator(fresh, "magnitude", str(lag))
        )
    return truths


def _at_lag(
    world: World, oracle: Oracle, block: LatentBlock, targets: np.ndarray, lag: int, space: Space
) -> list[Truth]:
    speakers = Speakers(block, targets)
    suffix = "" if space == "delta" else "_position"
    try:
        given = oracle.log_density(block, targets, lag, space)
    except NotImplementedError:
        return []
    mean = oracle.mean(block, targets, lag, space)
    values = block.frames[targets].astype(np.float64)
    if space == "delta":
        values -= block.frames[targets - 1]
    total = (values - values.mean(axis=0)) ** 2
    rows = [
        (f"variance_ratio{suffix}", *speakers.mean_ratio((values - mean) ** 2, total)),
        (f"nll{suffix}_nats", *speakers.mean(-given)),
    ]
    try:
        marginal = oracle.log_marginal(block, targets, space)
        rows.append((f"information{suffix}_nats", *speakers.mean(given - marginal)))
    except NotImplementedError:
        pass
    variance = world.delta_variance() if space == "delta" else None
    if variance is not None:
        scaled = (values - world.delta_mean()) ** 2 / variance
        value, error = speakers.mean(_controlled(given, scaled))
        rows.append(("dnll_diagonal_nats", -value - diagonal_entropy(variance), error))
    if space == "delta":
        rows.append(("cosine", *speakers.mean(cosines(mean, values))))
    return [Truth(name, lag, value, error) for name, value, error in rows]


def _controlled(given: np.ndarray, scaled_squares: np.ndarray) -> np.ndarray:
    """Return log densities with the part removed that a score of known mean explains, shape [M].

    sum_d value_d^2 / variance_d has mean D exactly and moves with the log density; subtracting its
    regression leaves the mean as it is and shrinks the error.
    """
    control = scaled_squares.sum(axis=1) - scaled_squares.shape[1]
    centred = control - control.mean()
    slope = (centred * given).sum() / (centred**2).sum()
    return given - slope * control


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosine of each pair of rows, 0 where one of them is zero, shape [M]."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products = (first * second).sum(axis=1)
    return np.divide(products, norms, out=np.zeros_like(norms), where=norms > 0)


def _magnitude(
    oracle: Oracle,
    block: LatentBlock,
    targets: np.ndarray,
    lag: int,
    generator: np.random.Generator,
) -> list[Truth]:
    """R^2 of E[log ||delta|| | context], from samples.

    With S samples the squared residual of a calibrated predictor is larger by a factor 1 + 1/S
    than with the exact expectation (the sample mean has variance v / S, v being the predictive
    variance), so it is divided by that factor.
    """
    try:
        samples = oracle.sample(block, targets, lag, generator, MAGNITUDE_SAMPLES)
    except NotImplementedError:
        return []
    values = block.frames[targets].astype(np.float64) - block.frames[targets - 1]
    actual = np.log(np.linalg.norm(values, axis=1))
    expected = np.log(np.linalg.norm(samples, axis=2)).mean(axis=0)
    residual = (actual - expected) ** 2 / (1 + 1 / MAGNITUDE_SAMPLES)
    speakers = Speakers(block, targets)
    ratio, error = speakers.ratio(
        speakers.sums(residual), speakers.sums((actual - actual.mean()) ** 2)
    )
    return [Truth("log_magnitude_r2", lag, 1 - ratio, error)]


def hidden_key_truths(
    world: World,
    lags_frames: Sequence[int],
    window_frames: int,
    num_speakers: int = 40,
    num_utterances_per_speaker: int = 10,
    seed: int | None = None,
) -> list[Truth]:
    """Score a world's own hidden key, as an analysis scores a key: cell means of delta.

    Only for worlds that say what their key is (`World.hidden_key`). Means are fitted and scored on
    the same fresh frames; with K cells and N frames that flatters by (K - 1) / (N - 1), which is
    undone.
    """
    fresh = world.seed + FRESH if seed is None else seed
    draw = simulate(world, WorldSize(0, num_speakers, num_utterances_per_speaker), fresh)
    key = world.hidden_key(draw.hidden)
    if key is None:
        return []
    block = draw.block
    targets = targets_of(block, window_frames, max(lags_frames))
    values = block.frames[targets].astype(np.float64) - block.frames[targets - 1]
    values -= values.mean(axis=0)
    speakers = Speakers(block, targets)
    truths = []
    for lag in lags_frames:
        _, cell = np.unique(key[targets - lag], return_inverse=True)
        sums = np.zeros((int(cell.max()) + 1, values.shape[1]))
        np.add.at(sums, cell, values)
        counts = np.bincount(cell)
        residual = values - (sums / counts[:, None])[cell]
        ratio, error = speakers.mean_ratio(residual**2, values**2)
        flattery = (len(counts) - 1) / (len(values) - 1)
        truths.append(Truth("key_ratio", lag, ratio / (1 - flattery), error))
    return truths


def combine(exact: Sequence[Truth], measured: Sequence[Truth]) -> list[Truth]:
    """Return all truths, the exact one where both exist, sorted by quantity and lag."""
    table = {(row.quantity, row.lag_frames): row for row in measured}
    table.update({(row.quantity, row.lag_frames): row for row in exact})
    return [table[key] for key in sorted(table)]
