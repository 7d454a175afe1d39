"""The published tables of the memory stage: every memory beside every control, and the verdict.

Gains are NLL differences on the same frames of the same speakers, nats per frame, positive where
the memory is better. Choices were made on val; intervals are over eval speakers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.memory.config import MemoryVerdictSection
from engram_audio.memory.evaluation import KNN, KNN_BASE, MEMORY
from engram_audio.prediction.comparison import (
    Cell,
    SumTable,
    choose_baselines,
    described,
    gain,
    with_intervals,
)

NATS_TO_BITS = 1 / math.log(2)
BEST_NULL = "best_null"
# A memory helps when it beats each of these; the others say what it lives on.
REQUIRED = (
    BEST_NULL, "knock_out", "matched_parameters", "matched_flops", "shuffled_keys", "random_values",
)  # fmt: skip
CONTROLS = (*REQUIRED, "constant_gate", "base", KNN)
PROCEED, STOP, UNDECIDED = "PROCEED", "STOP", "UNDECIDED"


class Run(NamedTuple):
    """One evaluated memory.

    Attributes:
        representation: Name.
        lag_frames: k.
        base: What it stands on, as configured.
        memory: Name.
        seed: Training seed.
        header: What the evaluation stated: kind, base_chosen, is_off, budgets by model, capped.
        scores: Sums per model, part, slice, speaker.
        usage: Slots per model and part.
    """

    representation: str
    lag_frames: int
    base: str
    memory: str
    seed: int
    header: Mapping[str, Any]
    scores: pd.DataFrame
    usage: pd.DataFrame


class Direct(NamedTuple):
    """What the prediction stage scored on a representation.

    Attributes:
        frame_rate_hz: Frames per second.
        heads: Names of heads; the other models are nulls.
        scores: Sums per model, lag, event, part, slice, speaker.
    """

    frame_rate_hz: float
    heads: Sequence[str]
    scores: pd.DataFrame


def memory_table(
    runs: Sequence[Run],
    directs: Mapping[str, Direct],
    event: str,
    slices: Sequence[str],
    confidence: float,
) -> pd.DataFrame:
    """Return one row per run, part, slice and control."""
    rows = []
    for run in runs:
        direct = directs[run.representation]
        own = run.scores.assign(lag_frames=run.lag_frames, event=event)
        table = SumTable(pd.concat([own, direct.scores], ignore_index=True))
        baselines = choose_baselines(SumTable(direct.scores), direct.heads, run.lag_frames, event)
        names = _names(run, baselines.best if baselines else None)
        for part in ("val", "eval"):
            for slice_name in slices:
                cell = Cell(run.lag_frames, event, part, slice_name)
                rows += [
                    _row(run, direct, table, cell, control, name)
                    for control, name in names.items()
                    if table.sums(name, cell) is not None
                ]
    return with_intervals(pd.DataFrame(rows), confidence) if rows else pd.DataFrame()


def _names(run: Run, best_null: str | None) -> dict[str, str]:
    """Which scored model each control is; the base of a joint memory is the head without it."""
    scored = set(run.scores["model"])
    names = {control: control for control in CONTROLS if control in scored}
    if best_null is not None:
        names[BEST_NULL] = best_null
    if run.header["kind"] == "engram":
        names["base"] = run.base
    return {control: names[control] for control in CONTROLS if control in names}


def _row(
    run: Run, direct: Direct, table: SumTable, cell: Cell, control: str, name: str
) -> dict[str, Any]:
    rate = direct.frame_rate_hz * NATS_TO_BITS
    base = KNN_BASE if control == KNN else "knock_out"
    usage = run.usage.loc[(run.usage["model"] == MEMORY) & (run.usage["part"] == cell.part)]
    slots = usage.iloc[0].to_dict() if len(usage) else {}
    over = None if control == KNN else gain(table, MEMORY, name, cell)
    frames = table.column(MEMORY, cell, "num_frames")
    budgets = run.header["budgets"]
    return {
        "representation": run.representation,
        "lag_frames": run.lag_frames,
        "predictor": run.base,
        "predictor_chosen": run.header["base_chosen"],
        "memory": run.memory,
        "kind": run.header["kind"],
        "seed": run.seed,
        "part": cell.part,
        "slice": cell.slice_name,
        "control": control,
        "control_model": name,
        "num_frames": int(frames.sum()) if frames is not None else 0,
        "num_speakers": int((frames > 0).sum()) if frames is not None else 0,
        "is_off": bool(run.header["is_off"]),
        **described("gain_nats", over),
        **described("gain_bits_per_s", over, rate),
        **described("control_gain_nats", gain(table, name, base, cell)),
        **described("memory_gain_nats", gain(table, MEMORY, "knock_out", cell)),
        **described("memory_nll_nats", table.mean_nll(MEMORY, cell)),
        **described("control_nll_nats", table.mean_nll(name, cell)),
        **described("gate", table.ratio(MEMORY, cell, "gate", "num_frames")),
        **described("hit_rate", table.ratio(MEMORY, cell, "hit", "num_frames")),
        "num_slots": slots.get("num_slots", np.nan),
        "slots_used": slots.get("slots_used", np.nan),
        "slot_perplexity": slots.get("slot_perplexity", np.nan),
        "parameters": budgets[MEMORY]["parameters"],
        "flops": budgets[MEMORY]["flops"],
        "control_parameters": budgets.get(control, {}).get("parameters", np.nan),
        "control_flops": budgets.get(control, {}).get("flops", np.nan),
        "is_control_capped": bool(run.header["capped"].get(control, False)),
    }


VERDICT_COLUMNS = (
    "representation", "lag_frames", "verdict", "deciding_control", "reason", "predictor", "memory",
    "seed", "num_memories_looked_at", "gain_nats", "gain_nats_low", "gain_nats_high",
    "minimum_gain_nats",
)  # fmt: skip


def verdict_table(table: pd.DataFrame, section: MemoryVerdictSection) -> pd.DataFrame:
    """Return one verdict per representation and lag, of the memory that scores best on val.

    PROCEED: its gain over every required control is above the minimum, interval and all. STOP: the
    gain over one of them lies below it, interval and all, or val chose no memory. Else UNDECIDED.
    """
    if table.empty:
        return pd.DataFrame(columns=list(VERDICT_COLUMNS))
    rows = [
        _verdict(part, section)
        for _, part in table.loc[table["slice"] == "all"].groupby(
            ["representation", "lag_frames"], sort=False
        )
    ]
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))


def _verdict(part: pd.DataFrame, section: MemoryVerdictSection) -> dict[str, Any]:
    runs = ["predictor", "memory", "seed"]
    val = part.loc[part["part"] == "val"].drop_duplicates(runs)
    best = val.sort_values([*("memory_nll_nats",), *runs], kind="stable").iloc[0]
    is_own = (part[runs] == best[runs]).all(axis=1)
    own = part.loc[is_own & (part["part"] == "eval") & part["control"].isin(REQUIRED)]
    least = section.minimum_gain_nats
    weakest = own.sort_values("gain_nats_low", kind="stable").iloc[0]
    below = own.loc[own["gain_nats_high"] < least]
    missing = [name for name in REQUIRED if name not in set(own["control"])]
    if best["is_off"]:
        verdict, row = STOP, own.loc[own["control"] == "knock_out"].iloc[0]
        reason = "val chose no memory"
    elif len(below):
        verdict, row = STOP, below.sort_values("gain_nats_high", kind="stable").iloc[0]
        reason = f"not better than {row['control']} by {least:g} nats"
    elif missing:
        verdict, row, reason = UNDECIDED, weakest, f"not scored: {', '.join(missing)}"
    elif weakest["gain_nats_low"] > least:
        verdict, row = PROCEED, weakest
        reason = "better than every required control"
    else:
        verdict, row = UNDECIDED, weakest
        reason = f"the interval over {weakest['control']} holds {least:g} nats"
    return {
        **{name: best[name] for name in ("representation", "lag_frames", *runs)},
        "verdict": verdict,
        "deciding_control": row["control"],
        "reason": reason,
        "num_memories_looked_at": len(val),
        **{name: row[name] for name in ("gain_nats", "gain_nats_low", "gain_nats_high")},
        "minimum_gain_nats": least,
    }
