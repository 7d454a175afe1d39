"""Closed forms of known processes, and the page that sets published numbers beside them."""

import json
import math

import numpy as np
import pytest

from bench.first_results import closed_forms as known
from bench.first_results.__main__ import DOCUMENT, PUBLISHED, main
from bench.first_results.page import compare, page
from bench.first_results.published import Published, read_published
from engram_audio.calibration.worlds_linear import Autoregression
from engram_audio.errors import InputError

NUM_DRAWS = 100_000


@pytest.fixture(scope="module")
def published() -> Published:
    return read_published(PUBLISHED)


def draws(r: float, lag: int, dims: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps of an AR(1) and their best forecasts from x_{t-k}, shapes [NUM_DRAWS, D]."""
    generator = np.random.default_rng([5, lag, dims])
    oldest = generator.standard_normal((NUM_DRAWS, dims))
    frames = [oldest]
    for _ in range(lag):
        noise = generator.standard_normal((NUM_DRAWS, dims))
        frames.append(r * frames[-1] + math.sqrt(1 - r * r) * noise)
    return frames[-1] - frames[-2], -(1 - r) * r ** (lag - 1) * oldest


@pytest.mark.parametrize("r", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("lag", [1, 2, 4])
def test_scores_are_those_of_the_calibration_world(r, lag):
    """The planted AR(1) world derives the same variances from its own equations."""
    world = Autoregression(seed=0, num_dims=1, correlation=r)
    ratio = world.variance(lag, "delta") / world.variance(None, "delta")
    rho2 = known.squared_correlation(r, lag)
    assert known.dnll_per_dim(rho2) == pytest.approx(0.5 * math.log(ratio), abs=1e-12)
    expected = -0.5 * math.log(world.variance(lag, "position"))
    assert known.information_per_dim(r, lag) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("r", "lag", "dims"), [(0.0, 1, 8), (0.3, 2, 8), (0.6, 1, 3)])
def test_cosine_and_magnitude_match_simulation(r, lag, dims):
    """Within 5 standard errors of the simulated means."""
    step, forecast = draws(r, lag, dims)
    rho2 = known.squared_correlation(r, lag)
    norms = np.linalg.norm(step, axis=1), np.linalg.norm(forecast, axis=1)
    cosines = (step * forecast).sum(1) / (norms[0] * norms[1])
    error = float(cosines.std()) / math.sqrt(NUM_DRAWS)
    assert known.expected_cosine(rho2, dims) == pytest.approx(cosines.mean(), abs=5 * error)
    actual, predicted = np.log(norms[0]), np.log(norms[1])
    squares = (actual - predicted) ** 2
    r2 = 1 - squares.mean() / actual.var()
    # both moments are means over draws; their relative errors add at most
    centred = (actual - actual.mean()) ** 2
    relative = squares.std() / squares.mean() + centred.std() / centred.mean()
    tolerance = 5 * (1 - r2) * float(relative) / math.sqrt(NUM_DRAWS)
    assert known.mean_log_magnitude_r2(rho2, dims) == pytest.approx(r2, abs=tolerance)


def test_calibrated_magnitude_is_the_best_forecast():
    """E[log|delta| | context], by bins of the context's norm, explains as much.

    Bins lose a little (their width), so the simulated share lies below, by less than 1/200 bins
    of a smooth function allow; sampling error of an R^2 near 0.22 at 1e5 draws is 0.003.
    """
    step, forecast = draws(0.0, 1, 8)
    actual = np.log(np.linalg.norm(step, axis=1))
    order = np.argsort(np.linalg.norm(forecast, axis=1))
    bins = actual[order].reshape(200, -1)
    share = bins.mean(1).var() / actual.var() - (200 - 1) / NUM_DRAWS
    assert known.calibrated_log_magnitude_r2(0.5, 8) == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize(("dims", "cosine"), [(16, 0.695), (512, 0.7068)])
def test_white_noise_cosine_in_few_and_many_dimensions(dims, cosine):
    """The planted worlds' Monte Carlo values (2e6 draws), to their last digit."""
    assert known.expected_cosine(0.5, dims) == pytest.approx(cosine, abs=6e-4)


@pytest.mark.parametrize("dims", [4, 32, 512])
@pytest.mark.parametrize("cosine", [0.0, 0.038, 0.7, 0.965])
def test_cosine_is_inverted(dims, cosine):
    rho2 = known.rho2_of_cosine(cosine, dims)
    assert known.expected_cosine(rho2, dims) == pytest.approx(cosine, abs=1e-9)


@pytest.mark.parametrize("lag", [1, 2, 4, 8])
def test_implied_correlation_is_inverted_and_has_a_ceiling(lag):
    peak = known.ceiling_correlation(lag)
    top = known.squared_correlation(peak, lag)
    grid = [known.squared_correlation(r, lag) for r in np.linspace(0, 1, 1001)]
    assert max(grid) <= top + 1e-12
    for r in (peak + 0.01, 0.97, 0.999):
        found = known.implied_correlation(known.squared_correlation(r, lag), lag)
        assert found == pytest.approx(r, abs=1e-6)
    if lag > 1:
        assert known.implied_correlation(top * 1.01, lag) is None


def test_variance_floor_and_cells_are_inverse():
    assert known.cells_for_ratio(known.variance_floor(256, 32), 32) == pytest.approx(256)
    assert known.ratio_nats(known.variance_floor(256, 512), 512) == pytest.approx(math.log(256))


@pytest.mark.parametrize(("size", "expected"), [(2, 45.0), (4, 22.5)])
def test_angle_floor_on_the_circle(size, expected):
    """K equal arcs of the circle (D = 2) have half-width 180/K and mean angle 90/K degrees."""
    assert known.angle_floor_degrees(size, 2) == pytest.approx(expected, rel=1e-8)


def test_collapsed_rollout_matches_simulation():
    """Exact AR(1) density around its dreamt mean 0, against the marginal, 5 standard errors."""
    r, dims = 0.3, 8
    step, _ = draws(r, 1, dims)
    squares, narrow, wide = (step**2).sum(1), 1 - r * r, 2 * (1 - r)
    score = 0.5 * (dims * math.log(narrow / wide) + squares / narrow - squares / wide)
    error = float(score.std()) / math.sqrt(NUM_DRAWS)
    assert known.collapsed_rollout(r, dims) == pytest.approx(score.mean(), abs=5 * error)


def test_attainable_rollout_of_white_noise_is_its_first_step():
    assert known.attainable_rollout(0.0, 128, 16) == pytest.approx(-64 * math.log(2) / 16)


def test_drift_at_the_floor_scores_the_number():
    drift, floor = known.drift_at_floor(4.41e8, 512, -7.0), math.exp(-7.0)
    assert 512 * drift**2 / (2 * floor**2) == pytest.approx(4.41e8)


def test_every_published_row_is_compared(published):
    """Each row has a sentence, and no number of the page is NaN."""
    for row in published.rows:
        found = compare(row, published)
        assert found.meaning.endswith("."), row.id
        assert "nan" not in " ".join(found), row.id


def test_white_noise_is_the_null_of_each_step(published):
    """Its dNLL is -(D/2) ln 2 at lag 1 and 0 later (SCIENCE 0.1)."""
    for row in published.rows:
        if row.kind == "dnll":
            expected = -row.dims * math.log(2) / 2 if row.lag_frames == 1 else 0.0
            shown = float(compare(row, published).white_noise)
            assert shown == pytest.approx(expected, rel=1e-3), row.id


def test_parametric_memory_is_white_noise(published):
    """The reading of domain.md 0.2: implied r = -0.003."""
    row = published.row("memory-parametric")
    assert row is not None and "r = -0.00279" in compare(row, published).autoregression


def test_document_is_what_the_code_writes(published):
    """The page is never edited by hand; run `python -m bench.first_results`."""
    assert DOCUMENT.read_text(encoding="utf-8") == page(published)


BROKEN = {
    "twice": lambda rows: rows.append(rows[0]),
    "needs codebook_size": lambda rows: rows[0].pop("codebook_size"),
    "no row nowhere": lambda rows: rows[-1].update(cosine_of="nowhere"),
    "unknown group or source": lambda rows: rows[0].update(source="hearsay"),
    "value must be a number": lambda rows: rows[0].update(value=None),
}


@pytest.mark.parametrize("fault", list(BROKEN))
def test_broken_data_name_the_row(fault, tmp_path):
    document = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    BROKEN[fault](document["rows"])
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    message = "the same id" if fault == "twice" else fault
    with pytest.raises(InputError, match=message):
        main(["--published", str(path), "--document", str(tmp_path / "page.md")])
    assert not (tmp_path / "page.md").exists()
