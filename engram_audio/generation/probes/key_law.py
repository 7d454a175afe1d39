"""The key's own law p(y | k): what a table could say of the next frame, were it exact.

It is a mixture of one bank whose weights depend on the code alone (`keys/law_weights.py`).

Shapes: N rows of a block, D dimensions, K codes.
"""

import numpy as np

from engram_audio.generation.probes.flip import LawOfCode
from engram_audio.keys.bank import BankSection, fit_bank
from engram_audio.keys.law_weights import Parts, TargetLaws, marginal_weights, score_codes

HELD_BYTES = 1 << 30
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)  # of the prior, frames; the choice part takes one


def fit_key_law(
    following: np.ndarray, codes: np.ndarray, parts: Parts, num_codes: int, section: BankSection,
    seed: int,
) -> tuple[TargetLaws, np.ndarray]:  # fmt: skip
    """Return the bank's laws and the weights of each code, [K, G].

    Args:
        following: The frame after each, in SD of the train frames, [M, D].
        codes: Of the frames before, all whole, [M].
        parts: Rows that are fitted and chosen on; none need be scored.
        num_codes: K.
        section: How the bank is fitted.
        seed: Of the bank's start.
    """
    floor = np.full(following.shape[1], section.noise_fraction)
    bank = fit_bank(following[parts.train], following[parts.choice], floor, section, seed).bank
    laws = TargetLaws(bank, following, HELD_BYTES)
    prior = marginal_weights(laws, parts.train)
    return laws, score_codes(laws, parts, codes, num_codes, prior, STRENGTHS).weights


def law_of_key(fitted: tuple[TargetLaws, np.ndarray], following: np.ndarray) -> LawOfCode:
    """Return the law by the code at a row of a block, nats of frames in SD of train.

    Args:
        fitted: Of `fit_key_law`.
        following: The frame after each row of the block in SD of the train frames, [N, D].
    """
    laws, weights = fitted

    def law(rows: np.ndarray, read: np.ndarray) -> np.ndarray:
        own = TargetLaws(laws.bank, following[rows], HELD_BYTES)
        return own.log_conditional(np.arange(len(rows)), read, weights)

    return law
