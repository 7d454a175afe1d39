"""What probes know of codes: how often train has them, their mean frames, and which are alike.

Shapes: N rows of a block, K codes, D dimensions.
"""

from typing import NamedTuple

import numpy as np

FREQUENCY_RATIO = 2.0  # codes are as frequent as each other up to this factor


class CodeBook(NamedTuple):
    """Codes as train has them.

    Attributes:
        visits: Train frames of each code, [K].
        means: Their mean frame in SD of the train frames, [K, D]; 0 without a visit.
    """

    visits: np.ndarray
    means: np.ndarray

    def distances(self, code: int) -> np.ndarray:
        """Return the distance of every code's mean frame from that of one, [K]."""
        return np.linalg.norm(self.means - self.means[code], axis=1)

    def is_as_frequent(self, code: int) -> np.ndarray:
        """Return which codes are as frequent as one, up to `FREQUENCY_RATIO`, [K]."""
        own = self.visits[code]
        return (self.visits * FREQUENCY_RATIO >= own) & (self.visits <= own * FREQUENCY_RATIO)

    def nearest(self, least_visits: int) -> np.ndarray:
        """Return the nearest other code with enough visits, [K]; -1 where there is none."""
        allowed = self.visits >= least_visits
        found = np.full(len(self.visits), -1)
        for code in np.flatnonzero(self.visits).tolist():
            distance = np.where(allowed, self.distances(code), np.inf)
            distance[code] = np.inf
            if np.isfinite(distance).any():
                found[code] = distance.argmin()
        return found

    def equally_frequent(self, least_visits: int, generator: np.random.Generator) -> np.ndarray:
        """Return a random other code as frequent as each one, [K]; -1 where there is none."""
        found = np.full(len(self.visits), -1)
        for code in np.flatnonzero(self.visits).tolist():
            allowed = self.is_as_frequent(code) & (self.visits >= least_visits)
            allowed[code] = False
            choices = np.flatnonzero(allowed)
            if len(choices):
                found[code] = generator.choice(choices)
        return found


def code_book(codes: np.ndarray, frames: np.ndarray, sd: np.ndarray, num_codes: int) -> CodeBook:
    """Count the codes of train rows.

    Args:
        codes: [N]; `num_codes` where a key is not whole, which counts as no code.
        frames: [N, D].
        sd: Of the train frames, [D].
        num_codes: K.
    """
    whole = codes < num_codes
    visits = np.bincount(codes[whole], minlength=num_codes)
    sums = np.zeros((num_codes, frames.shape[1]))
    np.add.at(sums, codes[whole], frames[whole] / sd)
    return CodeBook(visits, sums / np.maximum(visits, 1)[:, None])
