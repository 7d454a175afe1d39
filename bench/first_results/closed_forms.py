"""What known processes score on the first experiment's metrics, in closed form (SCIENCE 0).

The process is AR(1) in every dimension, x_t = r x_{t-1} + sqrt(1 - r^2) e; r = 0 is white noise.
The best forecast of delta_t = x_t - x_{t-1} from a context that ends at t - k is
-(1 - r) r^(k-1) x_{t-k}; per dimension its squared correlation with delta_t is
rho^2 = r^(2(k-1)) (1 - r) / 2, and every score below is a function of rho^2 and D.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import integrate, optimize, special

SERIES_TERMS = 400  # of a series whose terms fall faster than rho^(2j): rho^2 <= 0.9 leaves 1e-18


def squared_correlation(r: float, lag_frames: int) -> float:
    """Return rho^2 of delta and its best forecast, AR(1) with correlation r, lag k."""
    return r ** (2 * (lag_frames - 1)) * (1 - r) / 2


def dnll_per_dim(rho2: float) -> float:
    """Return the first experiment's dNLL of a linear-Gaussian process, nats per dimension."""
    return 0.5 * math.log1p(-rho2)


def expected_cosine(rho2: float, dims: int) -> float:
    """Return E cos of two Gaussian vectors of D independent pairs with correlation rho.

    The mean of the sample correlation through the origin: rho (2/D) (G((D+1)/2) / G(D/2))^2
    2F1(1/2, 1/2; D/2 + 1; rho^2).
    """
    if rho2 <= 0:
        return 0.0
    log_ratio = special.gammaln((dims + 1) / 2) - special.gammaln(dims / 2)
    # summed here: scipy's hyp2f1 is NaN for D = 512 near rho = 1; term j falls as j^(-D/2 - 1)
    j, c = np.arange(SERIES_TERMS), dims / 2 + 1
    log_terms = 2 * (special.gammaln(j + 0.5) - special.gammaln(0.5)) - special.gammaln(j + 1)
    log_terms += special.gammaln(c) - special.gammaln(c + j) + j * math.log(rho2)
    return math.sqrt(rho2) * 2 / dims * math.exp(2 * log_ratio) * float(np.exp(log_terms).sum())


def rho2_of_cosine(cosine: float, dims: int) -> float:
    """Return the rho^2 whose expected cosine in D dimensions is the given one, 0 <= cosine < 1."""
    return _root(lambda rho2: expected_cosine(rho2, dims) - cosine, 0.0, 1.0)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.root_scalar(function, bracket=(low, high), xtol=1e-14).root)


def _laguerre_sum(ratio: float, dims: int) -> float:
    """Return sum_j ratio^j G(j) G(a) / (j G(a + j)), a = D/2.

    Log chi-squares expand in Laguerre polynomials with coefficients -1/j; correlating the Gaussian
    pairs by rho multiplies the j-th by rho^(2j).
    """
    if ratio <= 0:
        return 0.0
    j, a = np.arange(1, SERIES_TERMS + 1), dims / 2
    log_terms = special.gammaln(j) + special.gammaln(a) - special.gammaln(a + j) - np.log(j)
    return float(np.exp(log_terms + j * math.log(ratio)).sum())


def mean_log_magnitude_r2(rho2: float, dims: int) -> float:
    """Return R^2 of log|delta| forecast by log|conditional mean|, as first scored.

    -inf where the mean is 0. Variances of log norms are a quarter of those of log chi-squares.
    """
    if rho2 <= 0:
        return -math.inf
    variance = float(special.polygamma(1, dims / 2)) / 4
    error = 2 * variance - 2 * _laguerre_sum(rho2, dims) / 4 + (0.5 * math.log(rho2)) ** 2
    return 1 - error / variance


def calibrated_log_magnitude_r2(rho2: float, dims: int) -> float:
    """Return R^2 of log|delta| forecast by its conditional expectation: what is attainable."""
    return _laguerre_sum(rho2**2, dims) / float(special.polygamma(1, dims / 2))


def implied_correlation(rho2: float, lag_frames: int) -> float | None:
    """Return the r >= 0 (at lag 1 any r) of the AR(1) with this rho^2; None where there is none.

    Beyond lag 1 two r may fit; the more persistent one is returned.
    """
    if lag_frames == 1:
        return 1 - 2 * rho2
    peak = ceiling_correlation(lag_frames)
    if rho2 > squared_correlation(peak, lag_frames):
        return None
    return _root(lambda r: squared_correlation(r, lag_frames) - rho2, peak, 1.0)


def ceiling_correlation(lag_frames: int) -> float:
    """Return the r >= 0 whose rho^2 at this lag is the largest."""
    return 2 * (lag_frames - 1) / (2 * (lag_frames - 1) + 1)


def information_per_dim(r: float, lag_frames: int) -> float:
    """Return what the context knows about x_t, nats per dimension: -1/2 ln(1 - r^(2k))."""
    return -0.5 * math.log1p(-(r ** (2 * lag_frames)))


def variance_floor(codebook_size: int, dims: int) -> float:
    """Return the variance ratio that K cells leave of an isotropic Gaussian: K^(-2/D)."""
    return codebook_size ** (-2 / dims)


def cells_for_ratio(ratio: float, dims: int) -> float:
    """Return the number of cells that a variance ratio takes: ratio^(-D/2)."""
    return ratio ** (-dims / 2)


def ratio_nats(ratio: float, dims: int) -> float:
    """Return the nats of a variance ratio shared by all dimensions: -(D/2) ln ratio."""
    return -dims / 2 * math.log(ratio)


def angle_floor_degrees(codebook_size: int, dims: int) -> float:
    """Return the least mean angle of K directions to uniformly spread ones, in degrees.

    No cell of measure 1/K is nearer to its centre than a cap; the angle's density is sin^(D-2).
    """
    # P(angle < edge) = I(sin^2 edge; (D-1)/2, 1/2) / 2
    half = (dims - 1) / 2
    edge = math.asin(math.sqrt(float(special.betaincinv(half, 0.5, 2 / codebook_size))))

    def density(angle: float) -> float:
        return (math.sin(angle) / math.sin(edge)) ** (dims - 2)

    mass, _ = integrate.quad(density, 0, edge, epsabs=0, epsrel=1e-10)
    moment, _ = integrate.quad(
        lambda angle: angle * density(angle), 0, edge, epsabs=0, epsrel=1e-10
    )
    return math.degrees(moment / mass)


def collapsed_rollout(r: float, dims: int) -> float:
    """Return the first rollout score of the exact AR(1) model once its mean rollout stands still.

    The model then says N(0, 1 - r^2) of a delta of variance 2 (1 - r): nats above the marginal.
    """
    share = (1 + r) / 2
    return dims / 2 * (math.log(share) + 1 / share - 1)


def attainable_rollout(r: float, dims: int, horizon_frames: int) -> float:
    """Return the best dNLL of delta averaged over h = 1..H steps ahead of the last true frame."""
    steps = range(1, horizon_frames + 1)
    return dims * sum(dnll_per_dim(squared_correlation(r, h)) for h in steps) / horizon_frames


def drift_at_floor(nll: float, dims: int, log_sigma_floor: float) -> float:
    """Return the error per dimension that makes a Gaussian at its scale floor score this NLL."""
    return math.exp(log_sigma_floor) * math.sqrt(2 * nll / dims)
