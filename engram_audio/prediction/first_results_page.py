"""docs/first-results.md: published numbers beside what known processes score, row by row."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from engram_audio.prediction import first_results as known
from engram_audio.prediction.published import Ladder, Published, PublishedRow

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
        return "no r >= 0 scores it"
    return f"r = {text(r, 3)}" if abs(float(text(r, 3))) < 1 else f"r = {text(r, 6)}"


def _dnll(row: PublishedRow, published: Published) -> Compared:
    dims, lag, nats = _dims(row), _lag(row), row.nats
    white = dims * known.dnll_per_dim(known.squared_correlation(0.0, lag))
    own = known.implied_correlation(-math.expm1(2 * nats / dims), lag)
    rho2 = _rho2(row, published)
    linear = None if rho2 is None else dims * known.dnll_per_dim(rho2)
    meaning = _one_step(nats, white, dims, own) if lag == 1 else "White noise scores 0. "
    if linear is not None:
        meaning += (
            f"A linear process with its cosine scores {text(linear)}; the other "
            f"{text(nats - linear)} ({text((nats - linear) / dims, 2)}/dim) can be shape or scale "
            "of the marginal, which needs no context. "
        )
    elif lag > 1:
        meaning += (
            "Without a cosine or a marginal of the same family nobody can say which part is "
            "context. "
        )
    before = published.row(row.gain_over)
    if before is not None:
        gain = before.nats - nats
        meaning += (
            f"It gains {text(gain, 3)} nats ({text(gain / dims, 2)}/dim) over `{before.id}`, with "
            "no control of equal size."
        )
    attainable = DASH if linear is None else f"{text(linear)} at its cosine"
    return Compared(text(white), _correlation(own), attainable, meaning.strip())


def _one_step(nats: float, white: float, dims: int, r: float | None) -> str:
    share = f"{100 * min(white / nats, 1):.1f} %"
    if nats < white:
        return (
            f"White noise has {share} of it; the {text(white - nats, 3)} nats beyond "
            f"({text((white - nats) / dims, 2)}/dim) are shape, negative correlation or context, "
            "which this score cannot tell apart. "
        )
    return (
        f"White noise scores more, and an AR(1) with {_correlation(r)} the same: nothing beyond "
        "one frame of linear memory is shown. "
    )


def _cosine(row: PublishedRow, published: Published) -> Compared:
    dims, lag, value = _dims(row), _lag(row), row.number
    rho2 = known.rho2_of_cosine(value, dims)
    white = known.expected_cosine(known.squared_correlation(0.0, lag), dims)
    own = known.implied_correlation(rho2, lag)
    fitted = _correlation(own)
    if lag == 1:
        side = "above" if value > white else "below"
        meaning = (
            f"It lies {side} white noise ({text(white, 3)}); in an AR(1) a higher cosine at lag 1 "
            "means less autocorrelation, so it is no knowledge by itself."
        )
        return Compared(text(white, 3), fitted, DASH, meaning)
    ceiling = known.squared_correlation(known.ceiling_correlation(lag), lag)
    top = known.expected_cosine(ceiling, dims)
    if own is None:
        meaning = (
            f"It lies above {text(top, 3)}, the most that any AR(1) reaches: more than the newest "
            "frame matters, possibly linearly; ridge on the whole context is the null."
        )
    else:
        meaning = (
            f"An AR(1) with {fitted} points as well (the most is {text(top, 3)}): no "
            "structure beyond linear memory is shown."
        )
    return Compared(text(white, 3), fitted, f"AR(1): {text(top, 3)}", meaning)


def _magnitude(row: PublishedRow, published: Published) -> Compared:
    dims, rho2 = _dims(row), _rho2(row, published)
    assert rho2 is not None
    white = known.mean_log_magnitude_r2(known.squared_correlation(0.0, _lag(row)), dims)
    fair = known.calibrated_log_magnitude_r2(rho2, dims)
    linear = known.mean_log_magnitude_r2(rho2, dims)
    meaning = (
        f"A linear process with its cosine scores {text(linear, 3)} by the same rule and "
        f"{text(fair, 2)} when forecast fairly: a negative value says that a mean is shorter than "
        "a sample, not that magnitude is unpredictable."
    )
    return Compared(text(white, 3), f"{text(linear, 3)} at its cosine", text(fair, 2), meaning)


def _ratio(row: PublishedRow, published: Published) -> Compared:
    dims, size, control = _dims(row), row.codebook_size or 1, row.control or 1.0
    floor = known.variance_floor(size, dims)
    beyond = (control - row.number) / (1 - floor)
    frames = size / (1 - control)
    white = 1 - (1 - floor) * known.squared_correlation(0.0, 1)
    nats = known.ratio_nats(row.number / control, dims)
    meaning = (
        f"No {size} cells go below {text(floor, 3)} in isotropic data, so this is "
        f"{100 * beyond:.0f} % of what can be reached ({text(nats, 2)} of ln K = "
        f"{text(math.log(size), 3)} nats) and not {100 * (1 - row.number):.1f} %; its control "
        f"{text(control)} is the in-sample bias of about {whole(frames)} frames. At lag 1 "
        f"a key could reach {text(white, 3)} on white noise."
    )
    return Compared(f"{text(white)} at lag 1 at best", DASH, f"floor {text(floor, 4)}", meaning)


def _threshold(row: PublishedRow, published: Published) -> Compared:
    cells = whole(known.cells_for_ratio(row.number, _dims(row)))
    meaning = f"In {row.dims} isotropic dimensions it takes {cells} cells, whatever the key."
    return Compared(DASH, DASH, f"K = {cells}", meaning)


def _rollout(row: PublishedRow, published: Published) -> Compared:
    dims, horizon = _dims(row), row.horizon_frames or 1
    still = known.collapsed_rollout(0.0, dims)
    best = known.attainable_rollout(0.0, dims, horizon)
    if row.number > still:
        meaning = "Worse than standing still: the score measures how far a mean path drifts."
    else:
        meaning = (
            "It lies near 0, what a forecast without context scores and what a rollout reaches by "
            f"moving to the mean and staying there; even white noise allows {text(best, 3)}."
        )
    exact = f"{text(still, 3)} rolled out by its exact mean"
    return Compared(exact, DASH, f"{text(best, 3)} over {horizon} steps", meaning)


def _drift(row: PublishedRow, published: Published) -> Compared:
    if row.value is None:
        return Compared(DASH, DASH, DASH, "Left blank: nothing is known.")
    if math.isinf(row.number):
        meaning = "An overflow is no score; the step at which the path left the data is."
        return Compared(DASH, DASH, DASH, meaning)
    assert row.log_sigma_floor is not None
    drift = known.drift_at_floor(row.number, _dims(row), row.log_sigma_floor)
    meaning = (
        f"With scales floored at e^{text(row.log_sigma_floor)} an error of {text(drift, 3)} per "
        "dimension makes this number; one such frame decides any mean."
    )
    return Compared(DASH, DASH, DASH, meaning)


def _shrinkage(row: PublishedRow, published: Published) -> Compared:
    before = row.control or 1.0
    meaning = (
        f"Before it was {text(before)}: the path moves {text(before / row.number, 3)} times less, "
        "so it is stable because it stands still."
    )
    return Compared(DASH, DASH, DASH, meaning)


def _angle(row: PublishedRow, published: Published) -> Compared:
    size = row.codebook_size or 1
    floors = {dims: known.angle_floor_degrees(size, dims) for dims in ANGLE_DIMS}
    words = ", ".join(f"{text(floor, 3)} in {dims}" for dims, floor in floors.items())
    meaning = (
        "The dimension is not stated. It is below what evenly spread directions allow, so the "
        "directions are uneven; only the same codebook on surrogates says whether time matters."
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

Generated by `snakemake docs/first-results.md` from the published numbers
(`engram_audio/prediction/first_results.json`) and closed forms
(`engram_audio/prediction/first_results.py`); do not edit it by hand. Each published number stands
beside what processes without any local structure score at the same dimension D, lag k and codebook
size K.

- **white noise**: independent frames. At lag 1 the step x_t - x_{t-1} contains -x_{t-1}, which the
  context knows: dNLL = -(D/2) ln 2 and a cosine near 0.707 are its null; at every later lag 0.
- **AR(1)**: the r with which x_t = r x_{t-1} + noise scores the published number, or its score at
  the published cosine. Beyond lag 1 only r >= 0 is considered, the
  more persistent one where two fit.
- **attainable**: the score of a linear-Gaussian process with the published cosine, or the floor
  that no method passes.

dNLL is as first defined: mean NLL of the model less that of one diagonal Gaussian of the step, so
negative is better, and shape of the marginal counts as well."""
LADDER_WORDS = """Scores of x_t = r x_{t-1} + sqrt(1 - r^2) e in every dimension. Only the last
column is about what the context knows of the next frame; at lag 1 the first columns fall while it
rises.
"""
