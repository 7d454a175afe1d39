"""log sum exp of arrays of real numbers.

`scipy.special.logsumexp` gives the same bits. It takes 3 to 8 times as long, because it also serves
complex numbers, weights and other array libraries, and mixtures are fitted by thousands of calls.
"""

import numpy as np

NARROW = 32  # rows up to this length are faster with their numbers in separate arrays
UNROLLED, LONGEST = 8, 128  # how numpy sums a row: eight sums side by side, of at most this many


def log_sum_exp(values: np.ndarray, axis: int, keepdims: bool = False) -> np.ndarray:
    """Return log(sum(exp(values))) along an axis, without overflow.

    Args:
        values: Real numbers. Infinite ones are allowed.
        axis: Which to sum over.
        keepdims: Whether that axis stays, with length 1.
    """
    if values.ndim == 2 and axis == 1 and 0 < values.shape[1] <= NARROW:
        narrow = log_sum_exp_of_rows(np.ascontiguousarray(values.T))
        return narrow[:, None] if keepdims else narrow
    peak = values.max(axis=axis, keepdims=True)
    is_peak = values == peak
    count = is_peak.sum(axis=axis, keepdims=True, dtype=values.dtype)
    with np.errstate(divide="ignore", invalid="ignore"):  # infinite peaks, and NaN, which is none
        rest = values - peak
        np.exp(rest, out=rest)
        rest[is_peak] = 0.0  # they count exactly 1 each: their sum is their number
        total = np.log1p(rest.sum(axis=axis, keepdims=True) / count) + np.log(count) + peak
    return total if keepdims else total.squeeze(axis)


def log_sum_exp_of_rows(columns: np.ndarray) -> np.ndarray:
    """Return log(sum(exp(.))) of N rows whose K numbers stand in K arrays, [K, N] to [N].

    numpy pays a call for each row, which is most of the time where rows are short. The sums run in
    its order, so the bits are those that it gives along the rows.
    """
    peak = columns.max(axis=0)
    is_peak = columns == peak
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = columns - peak
        np.exp(rest, out=rest)
        rest[is_peak] = 0.0
        count = is_peak.sum(axis=0, dtype=np.int32)
        total = np.log1p(_sums_of_rows(rest) / count)
        total += np.log(count)
        total += peak
    return total


def _sums_of_rows(columns: np.ndarray) -> np.ndarray:
    """Sum over axis 0 in the order in which numpy sums each row of `columns.T`."""
    size = len(columns)
    if size > LONGEST:
        half = size // 2 - size // 2 % UNROLLED
        return _sums_of_rows(columns[:half]) + _sums_of_rows(columns[half:])
    if size < UNROLLED:
        return _running_sum(columns[0] + 0.0, columns[1:])
    whole = size - size % UNROLLED
    sums = [_running_sum(own[0].copy(), own[1:]) for own in _strided(columns[:whole])]
    while len(sums) > 1:
        sums = [one + other for one, other in zip(sums[::2], sums[1::2], strict=True)]
    return _running_sum(sums[0], columns[whole:])


def _strided(columns: np.ndarray) -> list[np.ndarray]:
    return [columns[start::UNROLLED] for start in range(UNROLLED)]


def _running_sum(total: np.ndarray, further: np.ndarray) -> np.ndarray:
    for one in further:
        total += one
    return total
