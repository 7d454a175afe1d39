"""The scorer: how many nats about the target survive a key.

nats(key) = mean of log p(y | k) - log p(y) over frames. Both laws are mixtures of one bank
(`keys/bank.py`) and differ in their weights alone:

    w_k = (n_k + a w) / (sum n_k + a),

with n_k the responsibilities of the key's train frames and a chosen on speakers held out. The
weights w without a key are fitted in the same slice, so that knowing the slice is no information.

Shapes: M targets, G components, K codes, A strengths.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from engram_audio.keys.bank import ROWS, Bank
from engram_audio.numerics.grouped import add_grouped

SMALLEST_WEIGHT = 1e-12  # one weight of 0 is minus infinity on the first frame that needs it
MARGINAL_PASSES = 2


class TargetLaws:
    """Densities of all targets under each component, held where they are small.

    A row holds N_g(y) / max_g N_g(y), and the log of that largest density beside it.
    """

    def __init__(self, bank: Bank, y: np.ndarray, max_bytes: int) -> None:
        """Compute the densities of targets [M, D]; hold at most `max_bytes` of them."""
        self.bank, self._y = bank, y
        self.peak = np.empty(len(y))
        is_held = 4 * len(y) * bank.num_components <= max_bytes
        self._held = np.empty((len(y), bank.num_components), np.float32) if is_held else None
        for start in range(0, len(y), ROWS):
            part = slice(start, start + ROWS)
            scores = bank.log_densities(y[part])
            self.peak[part] = scores.max(1)
            if self._held is not None:
                self._held[part] = np.exp(scores - self.peak[part, None])

    def __len__(self) -> int:
        """M."""
        return len(self._y)

    def pieces(self, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield pieces of some targets: their span among `rows`, and their densities, float32."""
        for start in range(0, len(rows), ROWS):
            span = slice(start, min(start + ROWS, len(rows)))
            yield span, self._relative(rows[span])

    def _relative(self, rows: np.ndarray) -> np.ndarray:
        if self._held is not None:
            return self._held[rows]
        scores = self.bank.log_densities(self._y[rows])
        return np.exp(scores - self.peak[rows, None]).astype(np.float32)

    def log_marginal(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return log p(y) under weights [G], [m], float64."""
        found = np.empty(len(rows))
        for span, relative in self.pieces(rows):
            found[span] = np.log(relative @ weights)
        return found + self.peak[rows]

    def log_conditional(
        self, rows: np.ndarray, codes: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """Return log p(y | k) of rows with codes [m] under weights [K, G], [m], float64."""
        found = np.empty(len(rows))
        narrow = weights.astype(np.float32)
        for span, relative in self.pieces(rows):
            found[span] = np.log(np.einsum("mg,mg->m", relative, narrow[codes[span]]))
        return found + self.peak[rows]

    def log_predicted(self, rows: np.ndarray, laws: np.ndarray) -> np.ndarray:
        """Return log p(y) of rows under weights of their own, [m, G]."""
        found = np.empty(len(rows))
        for span, relative in self.pieces(rows):
            found[span] = np.log(np.einsum("mg,mg->m", relative, laws[span]))
        return found + self.peak[rows]


class Parts(NamedTuple):
    """Rows of the targets that are scored: a slice of train, of the choice part, of all.

    Attributes:
        train: Fitted on.
        choice: The prior's strength is chosen on them.
        scored: Every row that gets a score.
    """

    train: np.ndarray
    choice: np.ndarray
    scored: np.ndarray


def marginal_weights(laws: TargetLaws, rows: np.ndarray) -> np.ndarray:
    """Return the weights without a key on some targets, [G], from the bank's own."""
    weights = laws.bank.weights
    for _ in range(MARGINAL_PASSES):
        total = np.zeros((1, len(weights)))
        for span, relative in laws.pieces(rows):
            own = _shares(relative, weights)
            add_grouped(total, own, np.zeros(span.stop - span.start, np.int64))
        weights = (total[0] + laws.bank.weights) / (len(rows) + 1)
    return np.maximum(weights, SMALLEST_WEIGHT)


def key_weights(
    laws: TargetLaws,
    rows: np.ndarray,
    codes: np.ndarray,
    prior: np.ndarray,
    num_codes: int,
    strengths: Sequence[float],
) -> Iterator[np.ndarray]:
    """Yield the weights of each code, [K, G], for each strength of the prior.

    Two passes: the responsibilities of the second are under the weights of the first.

    Args:
        laws: Of all targets.
        rows: Train rows, [m].
        codes: Theirs, [m].
        prior: Weights without a key, [G].
        num_codes: K.
        strengths: Each a, in frames.
    """
    first = _counts(laws, rows, codes, np.broadcast_to(prior, (num_codes, len(prior))), num_codes)
    for strength in strengths:
        once = _smoothed(first, prior, strength)
        yield _smoothed(_counts(laws, rows, codes, once, num_codes), prior, strength)


def _counts(
    laws: TargetLaws, rows: np.ndarray, codes: np.ndarray, weights: np.ndarray, num_codes: int
) -> np.ndarray:
    total = np.zeros((num_codes, weights.shape[1]))
    narrow = weights.astype(np.float32)
    for span, relative in laws.pieces(rows):
        add_grouped(total, _shares(relative, narrow[codes[span]]), codes[span])
    return total


def _shares(relative: np.ndarray, weights: np.ndarray) -> np.ndarray:
    joint = relative * weights.astype(np.float32)
    joint /= np.maximum(joint.sum(1, keepdims=True), np.finfo(np.float32).tiny)
    return joint


def _smoothed(counts: np.ndarray, prior: np.ndarray, strength: float) -> np.ndarray:
    total = counts.sum(1, keepdims=True)
    return np.maximum((counts + strength * prior) / (total + strength), SMALLEST_WEIGHT)


class KeyLaw(NamedTuple):
    """A key's law on one slice.

    Attributes:
        nats: log p(y | k) - log p(y) of the scored rows, [m].
        weights: [K, G].
        strength: The chosen a, frames.
    """

    nats: np.ndarray
    weights: np.ndarray
    strength: float


def score_codes(
    laws: TargetLaws,
    parts: Parts,
    codes: np.ndarray,
    num_codes: int,
    prior: np.ndarray,
    strengths: Sequence[float],
) -> KeyLaw:
    """Fit the weights of a key's codes on train and score all rows.

    Args:
        laws: Of all targets.
        parts: Which rows.
        codes: Of all targets, [M].
        num_codes: K.
        prior: Weights without a key on this slice, [G].
        strengths: Strengths of the prior to choose from.
    """
    base = laws.log_marginal(parts.choice, prior)
    best_weights, best, strength = np.broadcast_to(prior, (num_codes, len(prior))), -np.inf, np.inf
    tried = key_weights(laws, parts.train, codes[parts.train], prior, num_codes, strengths)
    for one, weights in zip(strengths, tried, strict=True):
        gains = laws.log_conditional(parts.choice, codes[parts.choice], weights) - base
        if len(gains) and gains.mean() > best:
            best_weights, best, strength = weights, float(gains.mean()), one
    nats = laws.log_conditional(parts.scored, codes[parts.scored], best_weights)
    nats -= laws.log_marginal(parts.scored, prior)
    return KeyLaw(nats, best_weights, strength)


def predicted_nats(
    laws: TargetLaws, rows: np.ndarray, prior: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return what laws of their own, [m, G], say about rows beyond the marginal, [m]."""
    return laws.log_predicted(rows, weights) - laws.log_marginal(rows, prior)
