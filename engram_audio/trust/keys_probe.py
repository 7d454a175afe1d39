"""Keys whose nats are known: targets of four corners, and codes that tell all, half or nothing.

A target is a corner of a square with narrow noise. The code of the corner tells ln 4 nats, a code
of two corners each tells ln 2, and a permuted code tells nothing. A fit of p regressors on n frames
leaves residuals of variance 1 / (1 - p / n) on frames that it has not seen.

Shapes: M targets, G components.
"""

import numpy as np

from engram_audio.calibration.rows import CalibrationRow, compare
from engram_audio.calibration.truth import Truth
from engram_audio.keys import bank, clustering, law_scores, law_targets, law_weights
from engram_audio.latents.block import LatentBlock

STAGE, WORLD = "keys", "corners"
TARGETS, NOISE_SD = 8000, 0.1  # half of the targets are train, a quarter choice, a quarter eval
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
SPEAKERS, FRAMES, DIMS, WINDOW, FOLDS = 24, 40, 4, 6, 2


def keys_rows() -> list[CalibrationRow]:
    """Return every comparison; no network is trained."""
    rng = np.random.default_rng(0)
    means = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
    own = bank.Bank(np.full(4, 0.25), means, np.full((4, 2), NOISE_SD))
    code = rng.integers(4, size=TARGETS)
    y = means[code] + NOISE_SD * rng.standard_normal((TARGETS, 2))
    laws, mixed = law_weights.TargetLaws(own, y, 1 << 20), rng.permutation(code)
    strangers = code.copy()  # right on train and on choice, of other targets on eval
    strangers[_EVAL] = rng.permutation(code[_EVAL])
    told = [_exact(name, truth, _nats(laws, codes, size), 0.01) for name, truth, codes, size in (
        ("nats of the corner's code", np.log(4), code, 4),
        ("nats of a code of two corners each", np.log(2), code // 2, 2),
        ("nats of permuted codes", 0.0, mixed, 4),
    )]  # fmt: skip
    return [
        *told,
        _exact("nats of right codes for wrong frames", _cost(), _nats(laws, strangers, 4), 0.5),
        _nll_row(own, y),
        _exact("entropy of four equal codes", np.log(4), law_scores.entropy(np.ones(4)), 1e-9),
        _exact("frames in the cell of the least divergence", 1.0, _share_nearest(rng), 1e-9),
        *_residual_rows(rng),
    ]


_EVAL = slice(3 * TARGETS // 4, TARGETS)


def _exact(quantity: str, truth: float, measured: float, tolerance: float) -> CalibrationRow:
    known = Truth(quantity, 1, float(truth))
    return compare(WORLD, STAGE, known, float(measured), 0.0, resolution=tolerance)


def _nats(laws: law_weights.TargetLaws, codes: np.ndarray, num_codes: int) -> float:
    """Return the mean nats of a key on eval."""
    rows = np.arange(TARGETS)
    parts = law_weights.Parts(rows[: TARGETS // 2], rows[TARGETS // 2 : _EVAL.start], rows[_EVAL])
    prior = law_weights.marginal_weights(laws, parts.train)
    return law_weights.score_codes(laws, parts, codes, num_codes, prior, STRENGTHS).nats.mean()


def _cost() -> float:
    """Return the nats of a wrong corner's code, three times in four.

    With a prior of one frame the right corner's weight is 1/4 of one frame among those of a code.
    """
    train = TARGETS / 2 / 4
    return np.log(4) / 4 + 0.75 * np.log(1 / (train + 1))


def _nll_row(own: bank.Bank, y: np.ndarray) -> CalibrationRow:
    """Compare the mixture's NLL with its entropy: the corners are far apart."""
    parts = np.logaddexp.reduce(own.log_densities(y) + np.log(own.weights), axis=1)
    truth = np.log(4) + np.log(2 * np.pi * np.e * NOISE_SD**2)
    error = parts.std() / TARGETS**0.5
    return compare(WORLD, STAGE, Truth("nats of a target", 1, truth), -parts.mean(), error)


def _share_nearest(rng: np.random.Generator) -> float:
    """Return how many laws go to the centroid of the smallest KL(law || centroid)."""
    laws, centroids = (
        np.maximum(rng.dirichlet(np.full(5, 0.3), size=count), 1e-6).astype(np.float32)
        for count in (200, 7)
    )
    divergence = (laws[:, None] * np.log(laws[:, None] / centroids[None])).sum(2)
    codes, _ = clustering.nearest_laws(laws, centroids)
    return float(np.mean(codes == divergence.argmin(1)))


def _residual_rows(rng: np.random.Generator) -> list[CalibrationRow]:
    """White noise beside the linear base: residuals of train are those of unseen speakers."""
    names = np.array([f"s{number:02d}" for number in range(SPEAKERS)], object)
    frames = rng.standard_normal((SPEAKERS * FRAMES, DIMS)).astype(np.float32)
    offsets = np.arange(0, len(frames) + 1, FRAMES)
    block = LatentBlock(frames, np.ones(len(frames), np.float32), offsets, names, names)
    num_train = SPEAKERS // 4
    part_of = {name: "train" if n < num_train else "eval" for n, name in enumerate(names)}
    part_of[names[-1]] = "select"
    targets = law_targets.index_targets(block, part_of, WINDOW, 1, 1, len(frames))
    aim = law_targets.Aim("position", "linear", 1)
    fitted = law_targets.fit_whitening(targets, part_of, aim, (1e-6,), FOLDS, 0.01)
    raw = fitted._replace(inverse_scale=np.eye(DIMS)).y(targets)
    seen = num_train * (FRAMES - WINDOW)
    return [
        _exact(f"variance of what the base leaves of {part}", 1 / (1 - WINDOW * DIMS / fitted_on),
               float((raw[targets.of_part(part)] ** 2).mean()), tolerance)
        for part, fitted_on, tolerance in (
            ("train", seen / FOLDS, 0.25), ("eval", seen, 0.1)
        )
    ]  # fmt: skip
