"""The published tables of the memory stage: every memory beside every control, and the verdict.

Gains are NLL differences on the same frames of the same speakers, nats per frame, positive where
the memory is better. Choices were made on the choice part; intervals are over eval speakers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.corpus.split_parts import PARTS, choice_part
from engram_audio.densities.comparison import (
    Cell,
    SumTable,
    choose_baselines,
    described,
    described_quotients,
    gain,
    select_less_val,
    with_intervals,
)
from engram_audio.memory.columns import MEMORY as MEMORY_TABLE
from engram_audio.memory.columns import MEMORY_VERDICT
from engram_audio.memory.config import JOINT_KINDS, MemoryVerdictSection
from engram_audio.memory.names import (
    KNN,
    KNN_BASE,
    KNN_MEMORY,
    MEMORY,
    PROCEED,
    STOP,
    UNDECIDED,
)
from engram_audio.numerics.units import LN2

NATS_TO_BITS = 1 / LN2
BEST_NULL = "best_null"
# A memory helps when it beats each of these; the others say what it lives on.
REQUIRED = (
    BEST_NULL, "knock_out", "matched_parameters", "matched_flops", "shuffled_keys", "random_values",
)  # fmt: skip
OWN_HEAD = "base"  # of a jointly trained memory: the same head trained without it
CONTROLS = (*REQUIRED, OWN_HEAD, "constant_gate", KNN)


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
    directs: Mapping[tuple[str, int], Direct],
    event: str,
    slices: Sequence[str],
    confidence: float,
) -> pd.DataFrame:
    """Return one row per run, part, slice and control.

    `directs` holds what the prediction stage scored, by representation and training seed.
    """
    rows = []
    for run in runs:
        direct = directs[run.representation, run.seed]
        own = run.scores.assign(lag_frames=run.lag_frames, event=event)
        table = SumTable(pd.concat([own, direct.scores], ignore_index=True))
        baselines = choose_baselines(SumTable(direct.scores), direct.heads, run.lag_frames, event)
        names = _names(run, baselines.best if baselines else None)
        for part in PARTS[1:]:
            for slice_name in slices:
                cell = Cell(run.lag_frames, event, part, slice_name)
                rows += [
                    _row(run, direct, table, cell, control, name)
                    for control, name in names.items()
                    if table.sums(name, cell) is not None
                ]
    if not rows:
        return MEMORY_TABLE.empty()
    return MEMORY_TABLE.arrange(with_intervals(pd.DataFrame(rows), confidence))


def _names(run: Run, best_null: str | None) -> dict[str, str]:
    """Which scored model each control is; the base of a joint memory is the head without it."""
    scored = set(run.scores["model"])
    names = {control: control for control in CONTROLS if control in scored}
    if best_null is not None:
        names[BEST_NULL] = best_null
    if run.header["kind"] in JOINT_KINDS:
        names[OWN_HEAD] = run.base
    return {control: names[control] for control in CONTROLS if control in names}


def _row(
    run: Run, direct: Direct, table: SumTable, cell: Cell, control: str, name: str
) -> dict[str, Any]:
    rate = direct.frame_rate_hz * NATS_TO_BITS
    memory, base = (KNN_MEMORY, KNN_BASE) if control == KNN else (MEMORY, "knock_out")
    usage = run.usage.loc[(run.usage["model"] == MEMORY) & (run.usage["part"] == cell.part)]
    slots = usage.iloc[0].to_dict() if len(usage) else {}
    over = gain(table, memory, name, cell)
    frames = table.column(memory, cell, "num_frames")
    budgets = run.header["budgets"]
    return {
        "representation": run.representation,
        "lag_frames": run.lag_frames,
        "predictor": run.base,
        "predictor_chosen": run.header["base_chosen"],
        "memory": run.memory,
        "kind": run.header["kind"],
        "seed": run.seed,
        "chosen_on": table.choice_part,
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
        "memory_nll_select_less_val": select_less_val(table, MEMORY, cell),
        **described("control_nll_nats", table.mean_nll(name, cell)),
        **described_quotients(MEMORY_TABLE, table, MEMORY, cell),
        "num_slots": slots.get("num_slots", np.nan),
        "num_slots_used": slots.get("num_slots_used", np.nan),
        "slot_perplexity": slots.get("slot_perplexity", np.nan),
        "num_parameters": budgets[MEMORY]["parameters"],
        "flops": budgets[MEMORY]["flops"],
        "num_control_parameters": budgets.get(control, {}).get("parameters", np.nan),
        "control_flops": budgets.get(control, {}).get("flops", np.nan),
        "is_control_capped": bool(run.header["capped"].get(control, False)),
    }


def verdict_table(table: pd.DataFrame, section: MemoryVerdictSection) -> pd.DataFrame:
    """Return one verdict per representation and lag, of the memory that is best on the choice part.

    PROCEED: its gain over every required control is above the minimum, interval and all. STOP: the
    gain over one of them lies below it, interval and all, or no memory was chosen. Else UNDECIDED:
    also where a control has no number, or is smaller than the memory because its width was capped.
    Of several training seeds the one that gains least over a control stands for it.
    """
    if table.empty:
        return MEMORY_VERDICT.empty()
    rows = [
        _verdict(part, section)
        for _, part in table.loc[table["slice"] == "all"].groupby(
            ["representation", "lag_frames"], sort=False
        )
    ]
    return MEMORY_VERDICT.arrange(pd.DataFrame(rows)) if rows else MEMORY_VERDICT.empty()


def _verdict(part: pd.DataFrame, section: MemoryVerdictSection) -> dict[str, Any]:
    names = ["predictor", "memory"]
    chosen_on = choice_part(part["part"])
    choice = part.loc[part["part"] == chosen_on].drop_duplicates([*names, "seed"])
    scores = choice.groupby(names, sort=True)["memory_nll_nats"].mean()
    chosen = dict(zip(names, scores.sort_values(kind="stable").index[0], strict=True))
    is_own = np.logical_and.reduce([part[name] == value for name, value in chosen.items()])
    kind = part.loc[is_own, "kind"].iloc[0]
    required = (*REQUIRED, OWN_HEAD) if kind in JOINT_KINDS else REQUIRED
    own = part.loc[is_own & (part["part"] == "eval") & part["control"].isin(required)]
    ends = own[["gain_nats", "gain_nats_low", "gain_nats_high"]].to_numpy(float)
    known = own.loc[np.isfinite(ends).all(axis=1)].sort_values("gain_nats", kind="stable")
    known = known.drop_duplicates("control")  # the weakest seed
    missing = [name for name in required if name not in set(known["control"])]
    is_off = bool(part.loc[is_own, "is_off"].any())
    verdict, row, reason = _judged(
        known, missing, chosen_on if is_off else "", section.minimum_gain_nats
    )
    found = {"deciding_control": "", "seed": -1} if row is None else {
        "deciding_control": row["control"], "seed": row["seed"],
    }  # fmt: skip
    gains = ("gain_nats", "gain_nats_low", "gain_nats_high")
    return {
        **{name: part[name].iloc[0] for name in ("representation", "lag_frames")},
        **chosen,
        **found,
        "chosen_on": chosen_on,
        "verdict": verdict,
        "reason": reason,
        "num_seeds": own["seed"].nunique(),
        "num_memories_looked_at": len(scores),
        **{name: np.nan if row is None else row[name] for name in gains},
        "minimum_gain_nats": section.minimum_gain_nats,
    }


def _judged(
    known: pd.DataFrame, missing: Sequence[str], switched_off_on: str, least: float
) -> tuple[str, pd.Series | None, str]:
    """Return verdict, deciding row and reason; rows come weakest first.

    `switched_off_on` is the part that preferred no memory, or "".
    """
    if known.empty:
        return UNDECIDED, None, "no control has a number"
    weakest = known.sort_values("gain_nats_low", kind="stable").iloc[0]
    below = known.loc[known["gain_nats_high"] < least]
    capped = known.loc[known["is_control_capped"].astype(bool), "control"].tolist()
    if switched_off_on:
        own = known.loc[known["control"] == "knock_out"]
        return STOP, weakest if own.empty else own.iloc[0], f"{switched_off_on} chose no memory"
    if len(below):
        row = below.sort_values("gain_nats_high", kind="stable").iloc[0]
        return STOP, row, f"not better than {row['control']} by {least:g} nats"
    if missing:
        return UNDECIDED, weakest, f"no number for {', '.join(missing)}"
    if weakest["gain_nats_low"] <= least:
        return UNDECIDED, weakest, f"the interval over {weakest['control']} holds {least:g} nats"
    if capped:
        return UNDECIDED, weakest, f"{', '.join(capped)} is smaller than the memory: width capped"
    return PROCEED, weakest, "better than every required control"
