"""The scorer of keys by their laws: what an honest score must be."""

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from engram_audio.keys.bank import Bank, BankSection, fit_bank, mean_nll
from engram_audio.keys.clustering import cluster_laws, nearest_laws
from engram_audio.keys.law_scores import entropy, mutual_information
from engram_audio.keys.law_targets import Aim, fit_whitening, folds_of
from engram_audio.keys.law_weights import (
    Parts,
    TargetLaws,
    marginal_weights,
    score_codes,
)
from engram_audio.latents.block import LatentBlock
from tests.unit.law_material import corner_bank, cycle, targets_of

STRENGTHS = (1.0, 10.0, 100.0, 1000.0)


def bank_section(**changes) -> BankSection:
    values = {
        "num_components": (2, 4, 8), "minimum_gain_nats": 0.02, "maximum_frames": 5000,
        "iterations": 8, "shrinkage_frames": 5.0, "noise_fraction": 0.01,
    }  # fmt: skip
    return BankSection(**{**values, **changes})


def corners(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets drawn from the bank of the corners, and the component of each."""
    rng, bank = np.random.default_rng(seed), corner_bank()
    code = rng.integers(4, size=count)
    return bank.means[code] + 0.1 * rng.standard_normal((count, 2)), code


def scored(codes, num_codes, y, bank=None, max_bytes=1 << 20):
    """Score codes: the first half is train, the next quarter select, the last quarter eval."""
    laws = TargetLaws(bank or corner_bank(), y, max_bytes)
    half, rest = len(y) // 2, 3 * len(y) // 4
    rows = np.arange(len(y))
    parts = Parts(rows[:half], rows[half:rest], rows[rest:])
    prior = marginal_weights(laws, parts.train)
    return score_codes(laws, parts, codes, num_codes, prior, STRENGTHS)


def test_densities_are_those_of_the_textbook():
    """Log N_g(y), the mixture and its mean, against SciPy."""
    rng = np.random.default_rng(1)
    bank = Bank(np.array([0.3, 0.7]), rng.normal(size=(2, 3)), rng.uniform(0.5, 2, (2, 3)))
    y = rng.normal(size=(20, 3))
    parts = [stats.norm.logpdf(y, bank.means[g], bank.sds[g]).sum(1) for g in range(2)]
    np.testing.assert_allclose(bank.log_densities(y), np.stack(parts, 1), rtol=1e-9)
    mixture = np.log(np.exp(np.stack(parts, 1)) @ bank.weights)
    assert mean_nll(bank, y) == pytest.approx(-mixture.mean(), rel=1e-9)


def test_a_bank_finds_the_size_that_the_data_have():
    """Four clusters: select gains nothing beyond four, and the score is that of the truth."""
    y, _ = corners(6000)
    fitted = fit_bank(y[:4000], y[4000:], np.full(2, 1e-3), bank_section(), 0)
    assert fitted.bank.num_components == 4
    truth = mean_nll(corner_bank(), y[4000:])
    assert mean_nll(fitted.bank, y[4000:]) == pytest.approx(truth, abs=0.02)
    assert fitted.gaussian_nll > truth + 1


def test_no_component_is_narrower_than_the_noise():
    """A constant would else have any density."""
    y = np.zeros((500, 2))
    fitted = fit_bank(y[:400], y[400:], np.array([0.2, 0.3]), bank_section(), 0)
    assert (fitted.bank.sds >= np.array([0.2, 0.3])).all()


@pytest.mark.parametrize("max_bytes", [1 << 20, 0])
def test_a_perfect_key_tells_its_entropy(max_bytes):
    """Well separated components: the code of the component tells ln 4, whether held or not."""
    y, code = corners(8000)
    law = scored(code, 4, y, max_bytes=max_bytes)
    assert law.nats.mean() == pytest.approx(np.log(4), abs=0.01)
    assert law.strength == 1.0


def test_a_key_tells_at_most_its_entropy():
    """Two codes of four corners tell ln 2, whatever the bank could do."""
    y, code = corners(8000)
    assert scored(code // 2, 2, y).nats.mean() == pytest.approx(np.log(2), abs=0.01)


def test_codes_without_information_tell_nothing():
    """Permuted codes cost what fitting costs: the strongest prior is chosen, and 0 is left.

    Each of K G weights costs about 1 / (2 n) nats; with 250 train frames a code and a prior of
    1000 the price is below 4 / (2 * 250) / 25.
    """
    y, code = corners(8000)
    mixed = np.random.default_rng(2).permutation(code)
    law = scored(mixed, 4, y)
    assert abs(law.nats.mean()) < 0.005
    assert law.strength == STRENGTHS[-1]


def test_one_code_tells_exactly_nothing():
    """A constant key has the law without a key, to the second pass of its weights."""
    y, _ = corners(4000)
    assert abs(scored(np.zeros(len(y), int), 1, y).nats.mean()) < 1e-3


def test_weights_come_from_train_alone():
    """Codes of eval frames that are shuffled among eval tell nothing, though train's tell all."""
    y, code = corners(8000)
    mixed = code.copy()
    mixed[6000:] = np.random.default_rng(3).permutation(code[6000:])
    assert scored(mixed, 4, y).nats.mean() < -0.5


def test_cells_of_laws_are_found_again():
    """Noisy copies of three laws: the centroids are these laws, and no start is worse than one."""
    rng = np.random.default_rng(0)
    truth = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    code = rng.integers(3, size=900)
    laws = np.stack([rng.dirichlet(200 * truth[one]) for one in code]).astype(np.float32)
    centroids = cluster_laws(laws, 3, 3, 10, rng)
    order = np.argsort(-centroids, axis=1)[:, 0]
    np.testing.assert_allclose(centroids[np.argsort(order)], truth, atol=0.02)
    found, _ = nearest_laws(laws, centroids)
    assert (order[found] == code).all()


def test_cells_of_laws_that_share_nothing_weigh_alike():
    """Sixteen equally likely targets in four cells: four each, so ln 4 nats are kept."""
    code = np.arange(1600) % 16
    laws = np.full((1600, 16), 1e-6, np.float32)
    laws[np.arange(1600), code] = 1
    laws /= laws.sum(1, keepdims=True)
    for seed in range(4):
        centroids = cluster_laws(laws, 4, 1, 10, np.random.default_rng(seed))
        found, _ = nearest_laws(laws, centroids)
        assert entropy(np.bincount(found, minlength=4)) == pytest.approx(np.log(4), abs=1e-6)


def test_laws_go_to_the_smallest_divergence():
    """KL(law || centroid), not its reverse and no distance."""
    rng = np.random.default_rng(1)
    laws = rng.dirichlet(np.full(5, 0.3), size=50).astype(np.float32)
    centroids = rng.dirichlet(np.full(5, 0.3), size=7).astype(np.float32)
    laws, centroids = np.maximum(laws, 1e-6), np.maximum(centroids, 1e-6)
    divergence = (laws[:, None] * np.log(laws[:, None] / centroids[None])).sum(2)
    codes, cross = nearest_laws(laws, centroids)
    assert (codes == divergence.argmin(1)).all()
    own = -(laws * np.log(laws)).sum(1)
    np.testing.assert_allclose(cross - own, divergence.min(1), atol=1e-4)


def test_residuals_come_from_fits_without_their_speaker():
    """White noise and many regressors: in-sample residuals are too small, held-out ones are not.

    A fit of p regressors on n frames leaves residuals of 1 - p / n in sample and of 1 / (1 - p / n)
    on new frames.
    """
    rng = np.random.default_rng(0)
    names = [f"s{number}" for number in range(6)]
    frames = rng.standard_normal((6 * 40, 4)).astype(np.float32)
    block = LatentBlock(
        frames, np.ones(len(frames), np.float32), np.arange(0, 241, 40), np.array(names, object),
        np.array(names, object),
    )  # fmt: skip
    part_of = {name: "train" for name in names[:4]} | {"s4": "select", "s5": "eval"}
    targets = targets_of(block, part_of, window=6)
    whitening = fit_whitening(targets, part_of, Aim("position", "linear", 1), (1e-6,), 2, 0.01)
    raw = whitening._replace(inverse_scale=np.eye(4)).y(targets)
    train = raw[targets.of_part("train")]
    assert (folds_of(targets, 2)[targets.of_part("eval")] == 2).all()
    assert (train**2).mean() > 1.3  # 24 regressors on 68 frames: 1 / (1 - .35) = 1.5
    held = (whitening.y(targets)[targets.of_part("train")] ** 2).mean()
    assert held == pytest.approx(1.0, abs=1e-4)


def test_a_linear_process_leaves_white_residuals():
    """Beside the linear base y has unit variance and no memory, on new speakers as well."""
    block, part_of = cycle()
    noise = np.random.default_rng(0).standard_normal(block.frames.shape)
    block = block._replace(frames=np.asarray(lfilter([1], [1, -0.8], noise, axis=0), np.float32))
    targets = targets_of(block, part_of)
    y = fit_whitening(targets, part_of, Aim("position", "linear", 1), (1e-6,), 2, 0.01).y(targets)
    held = y[targets.of_part("eval")]
    assert held.std(0) == pytest.approx(np.ones(2), abs=0.12)  # 376 frames: SE .036
    assert abs((held[1:] * held[:-1]).mean()) < 0.12  # 750 products: SE .037


def test_information_is_that_of_the_counts():
    """Two equal codes tell their entropy of each other, independent ones nothing."""
    code = np.arange(1000) % 4
    assert mutual_information(code, code) == pytest.approx(entropy(np.bincount(code)))
    assert mutual_information(code, np.arange(1000) // 4 % 2) == pytest.approx(0, abs=1e-9)
