"""The published tables of the memory stage: every memory beside every control, and the verdict.

Gains are NLL differences on the same frames of the same speakers, nats per frame, positive where
the memory is better. Choices were made on the choice part. The gain of a memory is its mean over
training seeds, with an interval over seeds and eval speakers.
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
    mean_over_seeds,
    over_seeds,
    select_less_val,
    with_intervals,
)
from engram_audio.memory.columns import MEMORY as MEMORY_TABLE
from engram_audio.memory.columns import MEMORY_CURVE, MEMORY_VERDICT
from engram_audio.memory.config import JOINT_KINDS, MemoryVerdictSection
from engram_audio.memory.curve import Curve, place_of, read_off
from engram_audio.memory.names import (
    CURVE,
    KNN,
    KNN_BASE,
    KNN_MEMORY,
    MEASURES,
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
        header: What the evaluation stated: kind, base_chosen, is_off, budgets by model, misfits.
        scores: Sums per model, part, slice, speaker.
        usage: Slots per model and part.
        near: Sums of the points of tuned arms that are as good on the choice part, by arm (the
            memory or a control) and point; empty where the run was not tuned itself.
    """

    representation: str
    lag_frames: int
    base: str
    memory: str
    seed: int
    header: Mapping[str, Any]
    scores: pd.DataFrame
    usage: pd.DataFrame
    near: Mapping[str, Mapping[int, pd.DataFrame]] = {}

    @property
    def name(self) -> tuple[str, int, str, str]:
        """What it is, its training seed aside."""
        return self.representation, self.lag_frames, self.base, self.memory


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


class _Scored(NamedTuple):
    """A run with the sums of all that it is held against, and which model each control is."""

    run: Run
    frame_rate_hz: float
    table: SumTable
    names: Mapping[str, str]

    def gain(self, control: str, cell: Cell):
        """Return the gain over a control, or None where it has no scores."""
        if control not in self.names:
            return None
        memory = KNN_MEMORY if control == KNN else MEMORY
        return gain(self.table, memory, self.names[control], cell)

    def near_gains(self, control: str, cell: Cell) -> list[float]:
        """Return the gains over a control among points that are as good on the choice part."""
        if control == KNN:
            return []
        near = self.run.near
        memories = [MEMORY, *(_point(MEMORY, n) for n in near.get(MEMORY, {}))]
        others = [self.names[control], *(_point(control, n) for n in near.get(control, {}))]
        found = [gain(self.table, own, other, cell) for own in memories for other in others]
        return [float(one.value) for one in found if one is not None]


def _point(arm: str, number: int) -> str:
    """Name of a tuned arm's point among the scored models."""
    return f"{arm} at point {number}"


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
    scored = [_scored(run, directs[run.representation, run.seed], event) for run in runs]
    by_name: dict[tuple, list[_Scored]] = {}
    for own in scored:
        by_name.setdefault(own.run.name, []).append(own)
    rows = [
        _row(own, by_name[own.run.name], Cell(own.run.lag_frames, event, part, slice_name), control)
        for own in scored
        for part in PARTS[1:]
        for slice_name in slices
        for control, name in own.names.items()
        if own.table.sums(name, Cell(own.run.lag_frames, event, part, slice_name)) is not None
    ]
    if not rows:
        return MEMORY_TABLE.empty()
    return MEMORY_TABLE.arrange(with_intervals(pd.DataFrame(rows), confidence))


def _scored(run: Run, direct: Direct, event: str) -> _Scored:
    points = [
        scores.assign(model=_point(arm, number))
        for arm, points in run.near.items()
        for number, scores in points.items()
    ]
    own = pd.concat([run.scores, *points], ignore_index=True)
    own = own.assign(lag_frames=run.lag_frames, event=event)
    table = SumTable(pd.concat([own, direct.scores], ignore_index=True))
    baselines = choose_baselines(SumTable(direct.scores), direct.heads, run.lag_frames, event)
    names = _names(run, baselines.best if baselines else None)
    return _Scored(run, direct.frame_rate_hz, table, names)


def _names(run: Run, best_null: str | None) -> dict[str, str]:
    """Which scored model each control is; the base of a joint memory is the head without it."""
    scored = set(run.scores["model"])
    names = {control: control for control in CONTROLS if control in scored}
    if best_null is not None:
        names[BEST_NULL] = best_null
    if run.header["kind"] in JOINT_KINDS:
        names[OWN_HEAD] = run.base
    return {control: names[control] for control in CONTROLS if control in names}


def with_curve(run: Run, curve: Curve) -> Run:
    """Return a run whose controls that no net fits are read off a curve, where it reaches them."""
    misfits = run.header["misfits"]
    for control in [name for name, misfit in misfits.items() if misfit]:
        measure = MEASURES[control]
        budget = run.header["budgets"][MEMORY][measure]
        place = place_of(curve.sizes, measure, budget)
        if place is None:
            continue
        others = run.scores.loc[run.scores["model"] != control]
        read = read_off(curve, place).assign(model=control)
        header = {
            **run.header,
            "misfits": {**run.header["misfits"], control: CURVE},
            "budgets": {**run.header["budgets"], control: {measure: budget}},
        }
        run = run._replace(scores=pd.concat([others, read], ignore_index=True), header=header)
    return run


CurveName = tuple[str, int, str]  # representation, lag, base


def curve_table(curves: Mapping[CurveName, Sequence[Curve]], confidence: float) -> pd.DataFrame:
    """Return one row per net and part: mean NLL over training seeds, slice `all`.

    Args:
        curves: Those of all training seeds, by representation, lag and base.
        confidence: Of the intervals.
    """
    rows = [row for name, seeds in curves.items() for row in _curve_rows(name, seeds)]
    if not rows:
        return MEMORY_CURVE.empty()
    return MEMORY_CURVE.arrange(with_intervals(pd.DataFrame(rows), confidence))


def _curve_rows(name: CurveName, seeds: Sequence[Curve]) -> list[dict[str, Any]]:
    representation, lag, base = name
    tables = [SumTable(own.scores.assign(lag_frames=lag, event="")) for own in seeds]
    rows = []
    for net, size in seeds[0].sizes.items():
        for part in sorted(set(seeds[0].scores["part"])):
            cell = Cell(lag, "", part, "all")
            mean = mean_over_seeds([table.mean_nll(net, cell) for table in tables])
            rows.append({
                "representation": representation, "lag_frames": lag, "predictor": base,
                "chosen_on": tables[0].choice_part, "part": part, "net": net,
                "width": size["width"], "num_parameters": size["parameters"],
                "flops": size["flops"], "num_seeds": mean.num_seeds,
                "interval_over": mean.interval_over, **described("nll_nats", mean.value),
            })  # fmt: skip
    return rows


def _row(own: _Scored, seeds: Sequence[_Scored], cell: Cell, control: str) -> dict[str, Any]:
    run, table, name = own.run, own.table, own.names[control]
    rate = own.frame_rate_hz * NATS_TO_BITS
    memory, base = (KNN_MEMORY, KNN_BASE) if control == KNN else (MEMORY, "knock_out")
    usage = run.usage.loc[(run.usage["model"] == MEMORY) & (run.usage["part"] == cell.part)]
    slots = usage.iloc[0].to_dict() if len(usage) else {}
    over = own.gain(control, cell)
    near = own.near_gains(control, cell) if run.near else []
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
        **over_seeds([each.gain(control, cell) for each in seeds], rate),
        "near_gain_nats_lowest": min(near, default=np.nan),
        "near_gain_nats_highest": max(near, default=np.nan),
        **described("control_gain_nats", gain(table, name, base, cell)),
        **described("memory_gain_nats", gain(table, MEMORY, "knock_out", cell)),
        **described("memory_nll_nats", table.mean_nll(MEMORY, cell)),
        "memory_nll_select_less_val": select_less_val(table, MEMORY, cell),
        **described("control_nll_nats", table.mean_nll(name, cell)),
        "control_nll_select_less_val": select_less_val(table, name, cell),
        **described_quotients(MEMORY_TABLE, table, MEMORY, cell),
        "num_slots": slots.get("num_slots", np.nan),
        "num_slots_used": slots.get("num_slots_used", np.nan),
        "slot_perplexity": slots.get("slot_perplexity", np.nan),
        "num_parameters": budgets[MEMORY]["parameters"],
        "flops": budgets[MEMORY]["flops"],
        "num_control_parameters": budgets.get(control, {}).get("parameters", np.nan),
        "control_flops": budgets.get(control, {}).get("flops", np.nan),
        "control_misfit": run.header["misfits"].get(control, ""),
    }


def verdict_table(table: pd.DataFrame, section: MemoryVerdictSection) -> pd.DataFrame:
    """Return one verdict per representation and lag, of the memory that is best on the choice part.

    PROCEED: its gain over every required control is above the minimum, interval and all. STOP: the
    gain over one of them lies below it, interval and all, or no seed chose a memory. Else
    UNDECIDED: also where a control has no number, or is smaller than the memory. Gains and
    intervals are those over training seeds. A net larger than its window that wins stops nothing.
    Neither answer stands where a tuned point that is as good on the choice part says the opposite.
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


GAIN, LOW, HIGH = "gain_seeds_nats", "gain_seeds_nats_low", "gain_seeds_nats_high"
NEAR_LOW, NEAR_HIGH = "near_gain_nats_lowest", "near_gain_nats_highest"


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
    known = own.loc[np.isfinite(own[[GAIN, LOW, HIGH]].to_numpy(float)).all(axis=1)]
    known = known.drop_duplicates("control")  # every seed's row holds the mean over seeds
    near = own.groupby("control").agg({NEAR_LOW: "min", NEAR_HIGH: "max"})
    known = known.drop(columns=[NEAR_LOW, NEAR_HIGH]).join(near, on="control")
    missing = [name for name in required if name not in set(known["control"])]
    is_off = bool(part.loc[is_own, "is_off"].all())
    verdict, row, reason = _judged(
        known, missing, chosen_on if is_off else "", section.minimum_gain_nats
    )
    return {
        **{name: part[name].iloc[0] for name in ("representation", "lag_frames")},
        **chosen,
        "deciding_control": "" if row is None else row["control"],
        "chosen_on": chosen_on,
        "verdict": verdict,
        "reason": reason,
        "num_seeds": own["seed"].nunique(),
        "num_memories_looked_at": len(scores),
        **{
            name.replace("_seeds", ""): np.nan if row is None else row[name]
            for name in (GAIN, LOW, HIGH)
        },
        "minimum_gain_nats": section.minimum_gain_nats,
    }


def _judged(
    known: pd.DataFrame, missing: Sequence[str], switched_off_on: str, least: float
) -> tuple[str, pd.Series | None, str]:
    """Return verdict, deciding row and reason.

    `switched_off_on` is the part that preferred no memory, or "".
    """
    if known.empty:
        return UNDECIDED, None, "no control has a number"
    closest = known.sort_values(LOW, kind="stable").iloc[0]
    below = known.loc[known[HIGH] < least]
    fair = below.loc[below["control_misfit"] != "larger"].sort_values(HIGH, kind="stable")
    smaller = known.loc[known["control_misfit"] == "smaller", "control"].tolist()
    if switched_off_on:
        own = known.loc[known["control"] == "knock_out"]
        return STOP, closest if own.empty else own.iloc[0], f"{switched_off_on} chose no memory"
    sure = fair.loc[~(fair[NEAR_HIGH] >= least)]  # untuned: no number
    if len(sure):
        row, read = sure.iloc[0], _read_off(sure.iloc[:1])
        return STOP, row, f"not better than {row['control']} by {least:g} nats{read}"
    if len(fair):
        return UNDECIDED, fair.iloc[0], _hangs(fair.iloc[0], NEAR_HIGH)
    if len(below):
        row = below.iloc[0]
        return UNDECIDED, row, f"{row['control']} is better, but larger than the memory"
    if missing:
        return UNDECIDED, closest, f"no number for {', '.join(missing)}"
    if closest[LOW] <= least:
        return UNDECIDED, closest, f"the interval over {closest['control']} holds {least:g} nats"
    if smaller:
        return UNDECIDED, closest, f"{', '.join(smaller)} is smaller than the memory"
    hanging = known.loc[known[NEAR_LOW] <= least].sort_values(NEAR_LOW, kind="stable")
    if len(hanging):
        return UNDECIDED, hanging.iloc[0], _hangs(hanging.iloc[0], NEAR_LOW)
    return PROCEED, closest, f"better than every required control{_read_off(known)}"


def _read_off(rows: pd.DataFrame) -> str:
    """Say which controls no net stood for."""
    read = rows.loc[rows["control_misfit"] == CURVE, "control"].tolist()
    return f" ({', '.join(read)} read off the curve of nats against size)" if read else ""


def _hangs(row: pd.Series, end: str) -> str:
    """Return why a verdict hangs on the tuning."""
    return (
        f"the answer hangs on the tuning: among points as good on the choice part the gain over "
        f"{row['control']} is {row[end]:.3g} nats"
    )
