"""The factoriser's published rows: every variant beside the direct predictors, paired by speaker.

All nats are per frame; errors are shares of the latents' variance about the train mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.corpus.split_parts import PARTS
from engram_audio.densities.comparison import (
    Cell,
    SumTable,
    choose_baselines,
    described,
    described_quotients,
    gain,
    strongest_null,
    with_intervals,
)
from engram_audio.factorizer.columns import FACTORIZER, FACTORIZER_SWEEP, HEALTH
from engram_audio.factorizer.config import FactorizerSection
from engram_audio.factorizer.context import bound_context, frames_in_words
from engram_audio.numerics.pareto import beaten
from engram_audio.numerics.units import LN2
from engram_audio.stats.estimate import Estimate, function_of, paired_difference

LAG, EVENT = 1, "position"


class Run(NamedTuple):
    """One trained factoriser.

    Attributes:
        representation: What it factorises.
        name: Variant, or a sweep's point.
        sweep: The sweep's name, or "".
        seed: Training seed.
        settings: Its section.
        health: What was measured on the choice part with the kept weights.
        collapse: Why it counts as collapsed, or "".
        scores: Sums by slice and speaker, with `part`.
    """

    representation: str
    name: str
    sweep: str
    seed: int
    settings: FactorizerSection
    health: Mapping[str, float]
    collapse: str
    scores: pd.DataFrame


class Direct(NamedTuple):
    """The prediction stage's scores of one representation.

    Attributes:
        representation: Its name.
        frame_rate_hz: Frames per second.
        num_dims: D.
        window_frames: W, all that any of its predictors sees.
        heads: Names of the heads.
        scores: Sums by speaker of heads and nulls.
    """

    representation: str
    frame_rate_hz: float
    num_dims: int
    window_frames: int
    heads: list[str]
    scores: pd.DataFrame


def factorizer_table(
    runs: Iterable[Run], directs: Mapping[str, Direct], slices: Iterable[str], confidence: float
) -> pd.DataFrame:
    """Return one row per representation, factoriser, seed, part and slice."""
    slices = list(slices)
    rows = [row for run in runs for row in _run_rows(run, directs[run.representation], slices)]
    if not rows:
        return FACTORIZER.empty()
    return FACTORIZER.arrange(with_intervals(pd.DataFrame(rows), confidence))


def _run_rows(run: Run, direct: Direct, slices: list[str]) -> list[dict[str, Any]]:
    own = run.scores.assign(model=run.name, lag_frames=LAG, event=EVENT)
    both = pd.concat([direct.scores, own], ignore_index=True)
    both = both.loc[both["event"] == EVENT]
    table = SumTable(both)
    baselines = choose_baselines(table, [*direct.heads, run.name], LAG, EVENT)
    best = best_direct(table, [*direct.heads, *_nulls(table, direct, run)])
    rows = []
    for part in PARTS:
        for slice_name in slices:
            cell = Cell(LAG, EVENT, part, slice_name)
            if table.sums(run.name, cell) is not None:
                marginal = None if baselines is None else baselines.marginal
                rows.append(_row(run, direct, table, cell, best, marginal))
    return rows


def _nulls(table: SumTable, direct: Direct, run: Run) -> list[str]:
    return table.past_nulls([*direct.heads, run.name], LAG, EVENT)


def best_direct(table: SumTable, names: Sequence[str]) -> str | None:
    """Return the direct predictor with the lowest mean NLL on the choice part, nulls included."""
    return strongest_null(table, names, table.choice_cell(LAG, EVENT))


def _row(
    run: Run, direct: Direct, table: SumTable, cell: Cell, best: str | None, marginal: str | None
) -> dict[str, Any]:
    settings, name = run.settings, run.name
    count = table.column(name, cell, "num_frames")
    assert count is not None
    is_deterministic = settings.innovation.prior == "deterministic"
    rate = _sum(table, name, cell, ("state_nats", "innovation_nats"))
    scale = direct.frame_rate_hz / LN2
    has_rate = not is_deterministic
    row: dict[str, Any] = {
        "representation": run.representation,
        "factorizer": name,
        "sweep": run.sweep,
        "seed": run.seed,
        **_settings(settings),
        "chosen_on": table.choice_part,
        "part": cell.part,
        "slice": cell.slice_name,
        "num_frames": int(count.sum()),
        "num_speakers": int((count > 0).sum()),
        **described("bound_nats", table.mean_nll(name, cell)),
        "best_direct": best or "",
        "bound_context": bound_context(settings),
        "direct_context": _direct_context(best, direct),
        **described("direct_nats", table.mean_nll(best, cell) if best else None),
        **described("gain_over_direct_nats", gain(table, name, best, cell)),
        "marginal": marginal or "",
        **described("information_nats", gain(table, name, marginal, cell)),
        **described("direct_information_nats", gain(table, best, marginal, cell) if best else None),
        **described(
            "innovation_nats",
            table.ratio(name, cell, "innovation_nats", "num_frames") if has_rate else None,
        ),
        **described("rate_nats", rate if has_rate else None),
        **described("innovation_bits_per_s", rate if has_rate else None, scale),
        **described("weighted_bits_per_s", _weighted(table, name, cell, rate, has_rate), scale),
        **described_quotients(FACTORIZER, table, name, cell),
    }
    for case in ("shuffled_rec", "shuffled_dyn"):
        row |= described(f"cost_{case}", _cost(table, name, cell, case))
    row |= {column.name: float(run.health.get(column.name, np.nan)) for column in HEALTH}
    return row | {"is_collapsed": bool(run.collapse), "collapse": run.collapse}


def _direct_context(best: str | None, direct: Direct) -> str:
    if best is None:
        return ""
    has_context = "marginal" not in best
    return frames_in_words(direct.window_frames if has_context else 0)


def _settings(settings: FactorizerSection) -> dict[str, Any]:
    return {
        "rate_accounting": settings.state.rate,
        "is_honest": settings.state.rate != "free",
        "state_dims": settings.state.num_dims,
        "innovation_dims": settings.innovation.num_dims,
        "stride_frames": settings.state.stride_frames,
        "upsampler": settings.state.upsampler if settings.state.stride_frames > 1 else "",
        "innovation": settings.innovation.prior,
        "decoder": settings.decoder.kind,
        "kl_mode": settings.loss.kl.mode,
        "target_nats": settings.loss.kl.target_nats
        if settings.loss.kl.mode == "target"
        else np.nan,
        "context_frames": settings.encoder.context_frames
        if settings.encoder.kind == "transformer"
        else np.nan,
        "rollout_horizon_frames": settings.loss.rollout_horizon_frames
        if settings.loss.rollout_weight
        else 0,
    }


def _sum(table: SumTable, name: str, cell: Cell, columns: tuple[str, str]) -> Estimate | None:
    first, second = (table.ratio(name, cell, column, "num_frames") for column in columns)
    if first is None or second is None:
        return None
    return function_of(first.value + second.value, [(1.0, first), (1.0, second)])


def _weighted(
    table: SumTable, name: str, cell: Cell, rate: Estimate | None, has_rate: bool
) -> Estimate | None:
    """Rate less what the importance-weighted bound takes off the plain one."""
    plain = table.ratio(name, cell, "elbo_nll", "num_frames")
    bound = table.mean_nll(name, cell)
    if rate is None or plain is None or bound is None or not has_rate:
        return None
    return paired_difference(rate, paired_difference(plain, bound))


def _cost(table: SumTable, name: str, cell: Cell, case: str) -> Estimate | None:
    """Error with shuffled frames less the posterior's: what the shuffled part is used for."""
    shuffled = table.ratio(name, cell, f"sse_{case}", "sst")
    own = table.ratio(name, cell, "sse_posterior", "sst")
    return None if shuffled is None or own is None else paired_difference(shuffled, own)


def sweep_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the sweeps' points on eval, all frames, with the Pareto front of rate and error.

    `is_pareto`: no other point of the sweep has both a lower rate and a lower error. Choosing one
    by eval would be selection on eval; `num_points` says how many were looked at.
    """
    chosen = table.loc[
        (table["part"] == "eval") & (table["slice"] == "all") & (table["sweep"] != "")
    ]
    added = ("num_points", "is_pareto")
    columns = [name for name in FACTORIZER_SWEEP.names() if name not in added]
    chosen = chosen[columns].reset_index(drop=True)
    groups = chosen.groupby(["representation", "sweep"], sort=False)
    chosen["num_points"] = groups["factorizer"].transform("size")
    costs = chosen[["rate_nats", "error_posterior"]].to_numpy(float)
    chosen["is_pareto"] = ~beaten(costs, groups.ngroup().to_numpy())
    return FACTORIZER_SWEEP.arrange(chosen)
