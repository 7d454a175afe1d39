"""Truths, derived from the equations, against reference numbers computed independently.

The reference was worked out by others from the same verbal equations. Three kinds of comparison:

- fixed worlds (no random prototypes): equal within 3 combined standard errors plus the reference's
  rounding;
- worlds with random prototypes, whose draw the reference does not give: the reference lies within
  the spread of our draws (mean +- 3 SD over seeds, plus 3 standard errors);
- closed forms: equal to the printed digits.
"""

import functools

import numpy as np
import pytest

from engram_audio.calibration.registry import make_world, world_truths
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.truths import oracle_truths
from engram_audio.calibration.worlds_linear import HiddenRotations
from tests.gaussian_rate import gaussian_rate_nats

REFERENCE_ERROR = 0.015  # largest standard error of the reference's Monte Carlo numbers
WINDOW = 8

CLOSED_FORMS = [
    ("iid", "information_nats", {1: 5.545, 2: 0.0, 4: 0.0}, 5e-4),
    ("iid", "variance_ratio", {1: 0.5, 2: 1.0, 4: 1.0}, 5e-4),
    ("iid", "information_position_nats", {1: 0.0, 2: 0.0, 4: 0.0}, 5e-4),
    ("rw", "information_nats", {1: 0.0, 4: 0.0}, 5e-4),
    ("rw", "variance_ratio", {1: 1.0, 4: 1.0}, 5e-4),
    ("var1", "information_nats", {1: 9.783, 2: 4.746, 4: 2.176, 8: 0.796}, 5e-4),
    ("var1", "variance_ratio", {1: 0.4042, 2: 0.6088, 4: 0.7851, 8: 0.9104}, 1e-4),
    ("type2", "key_ratio", {1: 0.300, 2: 0.307, 4: 0.321}, 5e-4),
    ("type2_edge", "key_ratio", {1: 0.400, 2: 0.424, 4: 0.468}, 1e-3),
    ("type1", "key_ratio", {1: 0.3}, 5e-4),
    ("spikes", "nll_nats", {1: 22.776}, 1e-3),
    ("spikes", "nll_diagonal_marginal_nats", {1: 44.692}, 1.5e-3),
    ("spikes", "dnll_diagonal_nats", {1: -21.917}, 1.5e-3),
    ("rw_shape", "dnll_diagonal_nats", {1: -9.485, 4: -9.485}, 3 * 0.016),
    ("table", "symbol_information_nats", {1: 6.39}, 5e-3),
    ("silence", "key_ratio@high_energy", {1: 1.0}, 0),
    ("boundary", "key_ratio@medial", {1: 1.0}, 0),
]


@pytest.mark.parametrize(("name", "quantity", "expected", "tolerance"), CLOSED_FORMS)
def test_closed_forms(name, quantity, expected, tolerance):
    """Exact truths have standard error 0 and equal the reference's digits."""
    rows = make_world(name, 0).exact_truths(tuple(expected))
    found = {row.lag_frames: row for row in rows if row.quantity == quantity}
    for lag, value in expected.items():
        assert found[lag].standard_error == 0
        assert abs(found[lag].value - value) <= tolerance


@pytest.mark.parametrize(
    ("name", "per_dim"),
    [
        ("ar1_r03", {1: -0.2154, 2: -0.0160, 4: -0.0001}),
        ("ar1_r05", {1: -0.1438, 2: -0.0323, 4: -0.0020}),
        ("ar1_r07", {1: -0.0813, 2: -0.0382, 4: -0.0089, 8: -0.0005}),
        ("ar1_r09", {1: -0.0256, 2: -0.0207, 4: -0.0135, 8: -0.0058}),
    ],
)
def test_autoregression_ladder(name, per_dim):
    """DNLL per dimension, and -1/2 ln(1 - r^2) about x_t at lag 1."""
    world = make_world(name, 0)
    rows = {(r.quantity, r.lag_frames): r.value for r in world.exact_truths(tuple(per_dim))}
    for lag, value in per_dim.items():
        assert rows["dnll_diagonal_nats", lag] / world.num_dims == pytest.approx(value, abs=6e-5)
    r = world.parameters()["correlation"]
    position = rows["information_position_nats", 1] / world.num_dims
    assert position == pytest.approx(-0.5 * np.log(1 - r**2), rel=1e-12)


FIXED = [
    ("iid", "cosine", {1: 0.695}),
    ("var1", "cosine", {1: 0.8795, 2: 0.7346, 4: 0.5483, 8: 0.3395}),
    ("var1", "log_magnitude_r2", {1: 0.785, 2: 0.446, 4: 0.168, 8: 0.017}),
    ("mag", "information_nats", {1: 1.248, 2: 1.181, 4: 1.074, 8: 0.907}),
    ("mag", "dnll_diagonal_nats", {1: -7.455, 2: -7.390, 4: -7.285, 8: -7.113}),
    ("mag", "log_magnitude_r2", {1: 0.878, 4: 0.779}),
]


@functools.cache  # one row for each quantity
def fixed_truths(name: str, lags: tuple[int, ...]) -> list[Truth]:
    return oracle_truths(make_world(name, 0), lags, WINDOW, 30, 10)


@pytest.mark.parametrize(("name", "quantity", "expected"), FIXED)
def test_monte_carlo_truths_of_fixed_worlds(name, quantity, expected):
    """Oracle scores on fresh data agree with the reference within 3 combined standard errors."""
    rows = fixed_truths(name, tuple(expected))
    found = {row.lag_frames: row for row in rows if row.quantity == quantity}
    for lag, value in expected.items():
        error = np.hypot(found[lag].standard_error, REFERENCE_ERROR)
        assert abs(found[lag].value - value) < 3 * error


@pytest.mark.slow
def test_logistic_ceilings():
    """Scores against the diagonal Gaussian, lags 1 to 16; the reference's error is 0.05.

    Lags 2 and 3 are left out: there the reference lies 0.3 and 0.2 nats below our grid, which
    particles and a three times finer grid confirm.
    """
    expected = {1: 25.07, 4: 10.64, 8: 4.37, 16: 3.84}
    rows = oracle_truths(make_world("logistic", 0), tuple(expected), WINDOW, 6, 4)
    found = {row.lag_frames: row for row in rows if row.quantity == "dnll_diagonal_nats"}
    for lag, value in expected.items():
        error = np.hypot(found[lag].standard_error, 0.05)
        assert abs(-found[lag].value - value) < 3 * error


DRAWN = [
    ("type2", "information_nats", {1: 14.27, 2: 3.13, 4: 3.06}),
    ("type2", "dnll_diagonal_nats", {1: -30.84, 2: -19.71, 4: -19.63}),
    ("type2", "variance_ratio", {1: 0.152, 2: 0.307, 4: 0.321}),
    ("type2_edge", "information_nats", {1: 14.26, 2: 3.02, 4: 2.78}),
    ("drift", "information_nats", {1: 2.130, 2: 2.033, 4: 1.863}),
    ("drift", "variance_ratio", {1: 0.417, 2: 0.441, 4: 0.484}),
    ("drift", "cosine", {1: 0.778, 2: 0.763, 4: 0.733}),
    ("bimodal", "information_nats", {1: 2.014, 2: 1.923, 4: 1.767}),
    ("bimodal", "dnll_diagonal_nats", {1: -3.457, 2: -3.366, 4: -3.210}),
    ("dir", "information_nats", {1: 1.495, 2: 1.430, 4: 1.317}),
    ("dir", "variance_ratio", {1: 0.577, 2: 0.592, 4: 0.619}),
    ("dir", "cosine", {1: 0.659, 2: 0.647, 4: 0.626}),
    ("table", "nll_position_nats", {1: -3.285}),
    ("table", "nll_diagonal_marginal_position_nats", {1: 11.384}),
]
SEEDS = (0, 1, 2, 3, 4)


@pytest.fixture(scope="module")
def drawn_truths():
    """Truths of several draws of a world, made once per world."""
    cache: dict[str, list[dict]] = {}

    def of(name: str, lags: tuple[int, ...]) -> list[dict]:
        if name not in cache:
            cache[name] = []
            for seed in SEEDS:
                rows = world_truths(make_world(name, seed), lags, WINDOW, 8, 8)
                cache[name].append({(row.quantity, row.lag_frames): row for row in rows})
        return cache[name]

    return of


@pytest.mark.slow
@pytest.mark.parametrize(("name", "quantity", "expected"), DRAWN)
def test_truths_of_drawn_worlds_spread_about_the_reference(name, quantity, expected, drawn_truths):
    """Another draw of the same family: within 3 SD of our draws, errors included."""
    draws = drawn_truths(name, (1,) if name == "table" else (1, 2, 4))
    for lag, value in expected.items():
        rows = [draw[quantity, lag] for draw in draws]
        values = np.array([row.value for row in rows])
        spread = values.std(ddof=1) * np.sqrt(1 + 1 / len(values))
        assert abs(values.mean() - value) < 3 * np.hypot(spread, REFERENCE_ERROR)


def test_hidden_state_space_spreads_about_the_reference():
    """Closed forms over draws of C; rate and distortion without and with the past."""
    expected = {
        "information_position_nats": 3.180,
        "information_nats": 8.657,
        "dnll_diagonal_nats": -12.372,
        "dnll_diagonal_head_nats": -10.361,
        "variance_ratio_position": 0.439,
    }
    rates = {0.5: (1.92, 0.0), 0.25: (5.92, 2.74), 0.10: (16.92, 13.74), 0.05: (25.23, 22.05)}
    closed = tuple(expected)
    found: dict[str, list[float]] = {name: [] for name in closed}
    for seed in range(20):
        world = make_world("ssm", seed)
        assert isinstance(world, HiddenRotations)
        rows = {row.quantity: row.value for row in world.exact_truths((1,))}
        for name in closed:
            found[name].append(rows[name])
        marginal, given = (world.covariance(lag, "position") for lag in (None, 1))
        total = np.trace(marginal)
        for fraction, reference in rates.items():
            pair = [gaussian_rate_nats(part, fraction * total) for part in (marginal, given)]
            found.setdefault(f"rate {fraction}", []).append(pair[0])
            found.setdefault(f"rate {fraction} past", []).append(pair[1])
            expected[f"rate {fraction}"], expected[f"rate {fraction} past"] = reference
            # where every dimension is coded, knowing the past saves exactly the information
            if fraction <= 0.1:
                saved = pair[0] - pair[1]
                assert saved == pytest.approx(rows["information_position_nats"], abs=1e-6)
    for name, value in expected.items():
        values = np.array(found[name])
        assert abs(values.mean() - value) < 3 * np.hypot(values.std(ddof=1), 0.005), name


ORACLE_WORLDS = ["iid", "var1", "ssm", "ar1_r05"]


@pytest.mark.parametrize("name", ORACLE_WORLDS)
def test_injected_oracle_gains_what_the_closed_form_says(name):
    """Mean oracle gain on fresh speakers = exact information, within 3.5 standard errors.

    3.5: twelve comparisons, each wrong by chance with probability 5e-4.
    """
    world, lags = make_world(name, 0), (1, 2, 4)
    exact = {(r.quantity, r.lag_frames): r.value for r in world.exact_truths(lags)}
    for row in oracle_truths(world, lags, WINDOW, 30, 8):
        if row.quantity == "information_nats":
            error = max(row.standard_error, 1e-9)
            assert abs(row.value - exact[row.quantity, row.lag_frames]) < 3.5 * error


def test_a_wrong_oracle_is_worse_than_the_right_one():
    """Scores of an oracle with another seed's prototypes fall below the right one's by > 5 SE."""
    right, wrong = make_world("type2", 0), make_world("type2", 1)
    good = {(r.quantity, r.lag_frames): r for r in oracle_truths(right, (2,), WINDOW, 6, 5)}
    object.__setattr__(right, "oracle", wrong.oracle)
    bad = {(r.quantity, r.lag_frames): r for r in oracle_truths(right, (2,), WINDOW, 6, 5)}
    first, second = good["information_nats", 2], bad["information_nats", 2]
    error = np.hypot(first.standard_error, second.standard_error)
    assert first.value - second.value > 5 * error
