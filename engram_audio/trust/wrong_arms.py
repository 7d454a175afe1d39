"""Wrong versions of right functions of keys' laws and of generators, for `bugs`.

No network library is imported here: a table that names bugs must stay light.
"""

from typing import Any

import numpy as np

from engram_audio.trust.wrong import Function


def fitted_on_all(right: Function) -> Function:
    """Fit the law of each code on all rows that get a score."""
    return lambda laws, parts, *given: right(
        laws, parts._replace(train=np.concatenate([parts.train, parts.scored])), *given
    )


def nothing_without_key(right: Function) -> Function:
    """Say that targets have the density 1 without a key."""
    return lambda *given: 0.0 * right(*given)


def one_fit(right: Function) -> Function:
    """Serve all targets by the fit on all of train."""
    return lambda targets, num_folds: np.full_like(right(targets, num_folds), num_folds)


def reversed_divergence(right: Function) -> Function:
    """Take KL(centroid || law) for the divergence."""

    def wrong(laws: np.ndarray, centroids: np.ndarray) -> Any:
        told = (centroids * np.log(centroids)).sum(1) - np.log(laws) @ centroids.T
        return np.argmin(told, axis=1), right(laws, centroids)[1]

    return wrong


def in_bits(right: Function) -> Function:
    """Return bits for nats."""
    return lambda counts: right(counts) / np.log(2)


def without_width(right: Function) -> Function:
    """Leave the log of the widths out."""
    return lambda bank, y: right(bank, y) + np.log(bank.sds).sum(1)


def one_ahead(right: Function) -> Function:
    """Give each frame the features of the frame after it."""

    def late(*given: Any) -> Any:
        trace = right(*given)
        return trace._replace(features=trace.features.roll(-1, 1))

    return late


def own_rows(right: Function) -> Function:
    """Give an utterance to itself."""
    del right
    return lambda data, rows, draws=None: rows


def never_swapped(right: Function) -> Function:
    """Leave codes as they are."""
    del right
    return lambda codes, *given: codes


def turned_round(right: Function) -> Function:
    """Take the other arm for the first."""
    return lambda nll, other, *given: right(other, nll, *given)


def without_seeds(right: Function) -> Function:
    """Count speakers only: a training of another seed is thought to give the same."""
    del right

    def wrong(estimate: Any) -> Any:
        from engram_audio.stats.two_way import error_of, mean_squares

        squares = mean_squares(estimate)
        squares = squares._replace(seed=squares.rest)
        return error_of(estimate.value.mean(axis=0), squares, len(estimate.value))

    return wrong


def without_first(right: Function) -> Function:
    """Leave out the first control that was trained."""
    return lambda found: right(found)[1:]
