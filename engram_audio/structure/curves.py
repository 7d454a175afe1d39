"""Does a key explain more where it is sure? Scores of the most confident eval frames.

`plain` keeps the surest frames. They may simply be quiet ones, so `energy_matched` keeps the same
share within each tenth of the energy range: the kept frames then have the energies of all. Vectors
without energies have `plain` alone.

Shape: M kept (not excluded) eval targets.
"""

import numpy as np

ENERGY_STRATA = 10


def confidence_ranks(
    confidence: np.ndarray, energy: np.ndarray, has_energy: bool = True
) -> dict[str, np.ndarray]:
    """Return, per matching, each frame's rank in (0, 1] by falling confidence, [M].

    A frame belongs to the surest share q where its rank is at most q. Ties keep the stream order.

    Args:
        confidence: Of each frame, [M].
        energy: Of each frame, [M].
        has_energy: Whether energies are those of a signal. Without them nothing can be matched.
    """
    plain = _rank_within(confidence, np.zeros(len(confidence), dtype=np.int64))
    if not has_energy:
        return {"plain": plain}
    return {"plain": plain, "energy_matched": _rank_within(confidence, _strata(energy))}


def _strata(energy: np.ndarray) -> np.ndarray:
    place = np.empty(len(energy), dtype=np.int64)
    place[np.argsort(energy, kind="stable")] = np.arange(len(energy))
    return place * ENERGY_STRATA // max(len(energy), 1)


def _rank_within(confidence: np.ndarray, strata: np.ndarray) -> np.ndarray:
    order = np.lexsort((-confidence, strata))
    sizes = np.bincount(strata[order]) if len(order) else np.empty(0, dtype=np.int64)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank = np.empty(len(confidence))
    rank[order] = (np.arange(len(order)) - first + 1) / np.repeat(sizes, sizes)
    return rank


def curve_sums(
    ranks: np.ndarray,
    fractions: tuple[float, ...],
    scores: np.ndarray,
    speaker: np.ndarray,
    num_speakers: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return frame counts [F, S] and sums of residual and total [F, S, 2] of the surest shares."""
    counts = np.zeros((len(fractions), num_speakers), dtype=np.int64)
    sums = np.zeros((len(fractions), num_speakers, scores.shape[1]))
    for place, fraction in enumerate(fractions):
        kept = ranks <= fraction
        counts[place] = np.bincount(speaker[kept], minlength=num_speakers)
        for column in range(scores.shape[1]):
            sums[place, :, column] = np.bincount(
                speaker[kept], weights=scores[kept, column], minlength=num_speakers
            )
    return counts, sums
