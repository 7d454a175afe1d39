"""README.md: published numbers beside what known processes score, row by row."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.first_results import closed_forms as known
from bench.first_results.published import Ladder, Published, PublishedRow

DASH = "-"


class Compared(NamedTuple):
    """One line of the page; texts are ready to print.

    Attributes:
        white_noise: What white noise scores at the same D and k.
        autoregression: What AR(1) scores, and the r that was fitted.
        attainable: The floor or ceiling that no method passes, or the best forecast.
        meaning: One sentence.
    """

    white_noise: str
    autoregression: str
    attainable: str
    meaning: str


def text(value: float, digits: int = 4) -> str:
    """Return a number with significant digits, never in the form -0."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    shown = f"{value:.{digits}g}"
    return shown.lstrip("-") if float(shown) == 0 else shown


def whole(value: float) -> str:
    """Return a large number with two significant digits, without exponent below a million."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:.0f}" if rounded < 1e6 else f"{rounded:.2g}"


def compare(row: PublishedRow, published: Published) -> Compared:
    """Return what stands beside a published number."""
    return COMPARE[row.kind](row, published)


def _dims(row: PublishedRow) -> int:
    assert row.dims is not None  # checked when the file was read
    return row.dims


def _lag(row: PublishedRow) -> int:
    return row.lag_frames or 1


def _rho2(row: PublishedRow, published: Published) -> float | None:
    """Return rho^2 of the linear-Gaussian process with the published cosine of the same system."""
    cosine = published.row(row.cosine_of)
    return None if cosine is None else known.rho2_of_cosine(cosine.number, _dims(row))


def _correlation(r: float | None) -> str:
    """Return the fitted r in words; more digits where it would round to 1."""
    if r is None:
        return "no r"
    return f"r = {text(r, 3)}" if abs(float(text(r, 3))) < 1 else f"r = {text(r, 6)}"


def _dnll(row: PublishedRow, published: Published) -> Compared:
    dims, lag, nats = _dims(row), _lag(row), row.nats
    white = dims * known.dnll_per_dim(known.squared_correlation(0.0, lag))
    own = known.implied_correlation(-math.expm1(2 * nats / dims), lag)
    rho2, before = _rho2(row, published), published.row(row.gain_over)
    linear = None if rho2 is None else dims * known.dnll_per_dim(rho2)
    words = [_beyond_white_noise(nats, white, dims)] if lag == 1 else []
    if linear is not None:
        words.append(f"Beyond a linear process: {_nats(linear - nats, dims, 4)}.")
    elif lag > 1:
        words.append("No cosine, so no part is known to be context.")
    if before is not None:
        gain = _nats(before.nats - nats, dims, 3)
        words.append(f"Gains {gain} over `{before.id}`, with no control of equal size.")
    attainable = DASH if linear is None else text(linear)
    return Compared(text(white), _correlation(own), attainable, " ".join(words))


def _nats(value: float, dims: int, digits: int) -> str:
    return f"{text(value, digits)} nats ({text(value / dims, 2)}/dim)"


def _beyond_white_noise(nats: float, white: float, dims: int) -> str:
    if nats >= white:
        return "White noise scores more: only linear memory is shown."
    share, beyond = 100 * white / nats, _nats(white - nats, dims, 3)
    return f"White noise has {share:.1f} % of it. Beyond: {beyond}."


def _cosine(row: PublishedRow, published: Published) -> Compared:
    dims, lag, value = _dims(row), _lag(row), row.number
    own = known.implied_correlation(known.rho2_of_cosine(value, dims), lag)
    white = known.expected_cosine(known.squared_correlation(0.0, lag), dims)
    if lag == 1:
        meaning = f"{'Above' if value > white else 'Below'} white noise."
        return Compared(text(white, 3), _correlation(own), DASH, meaning)
    ceiling = known.squared_correlation(known.ceiling_correlation(lag), lag)
    top = f"AR(1): {text(known.expected_cosine(ceiling, dims), 3)}"
    meaning = "Above every AR(1)." if own is None else "An AR(1) reaches it."
    return Compared(text(white, 3), _correlation(own), top, meaning)


def _magnitude(row: PublishedRow, published: Published) -> Compared:
    dims, rho2 = _dims(row), _rho2(row, published)
    assert rho2 is not None
    white = known.mean_log_magnitude_r2(known.squared_correlation(0.0, _lag(row)), dims)
    fair = known.calibrated_log_magnitude_r2(rho2, dims)
    linear = known.mean_log_magnitude_r2(rho2, dims)
    meaning = "The mean is shorter than a sample."
    return Compared(text(white, 3), f"scores {text(linear, 3)}", text(fair, 2), meaning)


def _ratio(row: PublishedRow, published: Published) -> Compared:
    dims, size, control = _dims(row), row.codebook_size or 1, row.control or 1.0
    floor = known.variance_floor(size, dims)
    beyond = (control - row.number) / (1 - floor)
    white = 1 - (1 - floor) * known.squared_correlation(0.0, 1)
    nats = known.ratio_nats(row.number / control, dims)
    meaning = (
        f"{100 * beyond:.0f} % of what can be reached, and not {100 * (1 - row.number):.1f} %: "
        f"{text(nats, 2)} of ln K = {text(math.log(size), 3)} nats. Its control {text(control)} is "
        f"the in-sample bias of about {whole(size / (1 - control))} frames."
    )
    return Compared(f"{text(white)} at lag 1 at best", DASH, f"floor {text(floor, 4)}", meaning)


def _threshold(row: PublishedRow, published: Published) -> Compared:
    cells = whole(known.cells_for_ratio(row.number, _dims(row)))
    return Compared(DASH, DASH, f"K = {cells}", "It takes so many cells, whatever the key.")


def _rollout(row: PublishedRow, published: Published) -> Compared:
    dims, horizon = _dims(row), row.horizon_frames or 1
    still = known.collapsed_rollout(0.0, dims)
    best = known.attainable_rollout(0.0, dims, horizon)
    if row.number > still:
        meaning = "Worse than standing still: it measures how far a mean path drifts."
    else:
        meaning = "Near 0, as by standing still at the mean."
    return Compared(text(still, 3), DASH, f"{text(best, 3)} over {horizon} steps", meaning)


def _drift(row: PublishedRow, published: Published) -> Compared:
    if row.value is None:
        meaning = "Left blank: nothing is known."
    elif math.isinf(row.number):
        meaning = "An overflow is no score. The step at which the path left the data is."
    else:
        assert row.log_sigma_floor is not None
        drift = known.drift_at_floor(row.number, _dims(row), row.log_sigma_floor)
        meaning = (
            f"An error of {text(drift, 3)} per dimension at scales floored at "
            f"e^{text(row.log_sigma_floor)}. One such frame decides any mean."
        )
    return Compared(DASH, DASH, DASH, meaning)


def _shrinkage(row: PublishedRow, published: Published) -> Compared:
    before = row.control or 1.0
    meaning = (
        f"Before it was {text(before)}: the path moves {text(before / row.number, 3)} times less. "
        "It is stable because it stands still."
    )
    return Compared(DASH, DASH, DASH, meaning)


def _angle(row: PublishedRow, published: Published) -> Compared:
    size = row.codebook_size or 1
    floors = {dims: known.angle_floor_degrees(size, dims) for dims in ANGLE_DIMS}
    words = ", ".join(f"{text(floor, 3)} in {dims}" for dims, floor in floors.items())
    meaning = (
        "Below even spread, so the directions are uneven. Only the same codebook on surrogates "
        "says whether time matters. The dimension is not stated."
    )
    return Compared(DASH, DASH, f"uniform: {words} dims", meaning)


def _uncompared(row: PublishedRow, published: Published) -> Compared:
    return Compared(DASH, DASH, DASH, row.reason or "")


ANGLE_DIMS = (32, 512)
COMPARE: dict[str, Callable[[PublishedRow, Published], Compared]] = {
    "dnll": _dnll, "cosine": _cosine, "log_magnitude_r2": _magnitude, "variance_ratio": _ratio,
    "threshold": _threshold, "rollout": _rollout, "drift": _drift, "shrinkage": _shrinkage,
    "angle": _angle, "uncompared": _uncompared,
}  # fmt: skip
QUANTITY = {
    "dnll": "dNLL, nats/frame", "cosine": "cosine", "log_magnitude_r2": "R² of log length",
    "variance_ratio": "variance ratio", "threshold": "variance ratio",
    "rollout": "rollout dNLL, nats/frame", "drift": "NLL, nats", "shrinkage": "length",
    "angle": "degrees", "uncompared": "as stated",
}  # fmt: skip


def page(published: Published) -> str:
    """Return the document."""
    parts = [HEAD]
    for group in published.groups:
        rows = [row for row in published.rows if row.group == group.name]
        parts += [f"\n## {group.title}\n", _table(HEADER, [_line(row, published) for row in rows])]
    parts += ["\n## What AR(1) scores\n", LADDER_WORDS, ladder_table(published.ladder)]
    parts += ["\n## Sources\n", *(f"- {name}: {words}." for name, words in _sources(published))]
    return "\n".join(parts) + "\n"


def _sources(published: Published) -> list[tuple[str, str]]:
    return sorted(published.sources.items())


def _line(row: PublishedRow, published: Published) -> list[str]:
    compared = compare(row, published)
    value = "blank" if row.value is None else text(row.number, 6)
    if row.unit == "nats_per_dim":
        value = f"{text(row.nats)} ({value}/dim)"
    elif row.kind == "dnll":
        value = f"{value} ({text(row.nats / _dims(row), 3)}/dim)"
    return [
        row.what, QUANTITY[row.kind],
        *(DASH if n is None else str(n) for n in (row.dims, row.lag_frames, row.codebook_size)),
        f"**{value}**", compared.white_noise, compared.autoregression, compared.attainable,
        compared.meaning, f"{row.source}: {row.item}",
    ]  # fmt: skip


def ladder_table(ladder: Ladder) -> str:
    """Return dNLL per dimension, cosine, R^2 and information of AR(1) processes."""
    rows = []
    for r in ladder.correlations:
        for lag in ladder.lags_frames:
            rho2 = known.squared_correlation(r, lag)
            rows.append(
                [
                    text(r), str(lag), text(known.dnll_per_dim(rho2), 4),
                    text(known.expected_cosine(rho2, ladder.dims), 3),
                    text(known.mean_log_magnitude_r2(rho2, ladder.dims), 3),
                    text(known.calibrated_log_magnitude_r2(rho2, ladder.dims), 2),
                    text(known.information_per_dim(r, lag), 4),
                ]
            )  # fmt: skip
    header = (
        "r", "k", "dNLL/dim", f"cosine, D = {ladder.dims}", "R² of log length, by the mean",
        "the same, forecast fairly", "information about x_t, nats/dim",
    )  # fmt: skip
    return _table(header, rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


HEADER = (
    "system", "quantity", "D", "k", "K", "published", "white noise", "AR(1)", "attainable",
    "what it means", "source",
)  # fmt: skip
HEAD = """# What the first results mean

`python -m bench.first_results` writes this page. It reads `bench/first_results/published.json` and
uses the closed forms beside it. Do not edit the page by hand. Each published number stands beside
what processes without any local structure score at the same dimension D, lag k and codebook size K.

- **white noise**: independent frames. At lag 1 the step x_t - x_{t-1} contains -x_{t-1}, which the
  context knows. So its null is dNLL = -(D/2) ln 2 and a cosine near 0.707. Later it is 0. A rollout
  follows its exact mean.
- **AR(1)**: the r with which x_t = r x_{t-1} + noise scores the published number, or what it scores
  at the published cosine. Beyond lag 1 only r >= 0 counts, the more persistent one where two fit.
- **attainable**: the score of a linear-Gaussian process with the published cosine, or the floor or
  ceiling that no method passes.

How to read a quantity:

- **dNLL**: mean NLL of the model less that of one diagonal Gaussian of the step, as first defined.
  Negative is better. What lies beyond white noise or beyond a linear process may be shape or scale
  of the marginal, negative correlation or context. The score cannot tell them apart.
- **cosine**: at lag 1, a higher cosine of an AR(1) means less autocorrelation. It is no knowledge
  by itself. At later lags, what an AR(1) reaches is linear memory. Above every AR(1), more than the
  newest frame matters, possibly linearly. Ridge on the whole context is the null.
- **R² of log length**: a mean is shorter than a sample. So a negative value does not say that
  magnitude is unpredictable. The attainable value is the fair forecast.
- **variance ratio**: no K cells go below the floor in isotropic data.
- **rollout dNLL**: a forecast without context scores 0. So does a rollout that moves to the mean
  and stays there."""
LADDER_WORDS = """Scores of x_t = r x_{t-1} + sqrt(1 - r^2) e in every dimension. Only the last
column is about what the context knows of the next frame. At lag 1 the first columns fall while it
rises.
"""
