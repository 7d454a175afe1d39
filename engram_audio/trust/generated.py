"""What must come out where a generator is trained on a world whose answer is known.

Bounds are those of runs at the sizes of `docs/generation.md`. A bound on a gain asks for its mean
over seeds. A word asks for three seeds.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.calibration.config import WORLD_PREFIX
from engram_audio.calibration.rows import CalibrationRow
from engram_audio.generation.columns import GENERATION_HEALTH
from engram_audio.generation.names import SWAPS
from engram_audio.generation.noise_verdict import PLAIN
from engram_audio.generation.verdicts import found_of
from engram_audio.generation.word import (
    ALWAYS,
    AS_MUCH_WORK,
    FOREIGN,
    LATE,
    MEMORY,
    ONE_ROW,
    SMALL,
    as_memory,
    word_of,
)
from engram_audio.stats.two_way import MINIMUM_SEEDS
from engram_audio.verdicts.row import VerdictRow
from engram_audio.verdicts.words import HELPS, HURTS, NO_BENEFIT, PATHWAY_NOT_TESTED, UNDECIDED

STAGE, FIXED = "generation", "fixed"


class KnownGain(NamedTuple):
    """A gain must lie between two numbers, nats per frame."""

    arm: str
    against: str
    low: float
    high: float = math.inf


class Known(NamedTuple):
    """What is known of a world: its words, and bounds on gains."""

    words: tuple[str, ...]
    bounds: tuple[KnownGain, ...]


def _nothing(width: float, *others: str) -> tuple[KnownGain, ...]:
    return tuple(KnownGain(MEMORY, other, -math.inf, width) for other in others)


LOSES = tuple(KnownGain(swap, AS_MUCH_WORK, -math.inf, 0.0) for swap in SWAPS)
# Two steps of a table are a table as well: a key that is late in training too keeps its use.
KEEPS = tuple(KnownGain(LATE, other, 1.0) for other in ALWAYS)
KNOWN: Mapping[str, Known] = {
    "table": Known(
        (HELPS, PATHWAY_NOT_TESTED),
        (
            KnownGain(MEMORY, AS_MUCH_WORK, 2.0), KnownGain(MEMORY, "SMx", 2.0),
            KnownGain(MEMORY, "SM1", 1.0), KnownGain(MEMORY, "SMm", 1.0), *LOSES, *KEEPS,
        ),
    ),
    "table_second_order": Known(
        (HELPS, PATHWAY_NOT_TESTED), (KnownGain(MEMORY, AS_MUCH_WORK, 1.0), *LOSES)
    ),
    "var1": Known(
        (NO_BENEFIT,),
        (*_nothing(0.03, AS_MUCH_WORK, FOREIGN), KnownGain(ONE_ROW, SMALL, -0.03, 0.03)),
    ),
    "iid": Known((NO_BENEFIT,), _nothing(0.05, AS_MUCH_WORK, "SMx")),
    "rw_shape": Known((NO_BENEFIT,), _nothing(0.05, AS_MUCH_WORK, "SMx")),
    "logistic": Known((NO_BENEFIT, UNDECIDED), ()),
}  # fmt: skip

# Bounds on the median gate on true contexts, of any seed and step.
GATES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "table": {MEMORY: (0.95, math.inf), FOREIGN: (-math.inf, 0.05)}
}
HELPED, LOST = (HELPS, PATHWAY_NOT_TESTED), (NO_BENEFIT, HURTS)
# Largest ratio of S's excess energy distance with fixed noise to that without, in every seed.
HEALED: Mapping[str, float] = {"logistic": 0.5}


def generated_rows(gains: pd.DataFrame) -> list[CalibrationRow]:
    """Return the bounds on gains that hold on the worlds that were generated.

    Args:
        gains: `tables/generation_gains.csv`; the longest training counts.
    """
    rows = []
    on_eval = choose(gains, part="eval")
    for name, known in KNOWN.items():
        own = choose(on_eval, representation=WORLD_PREFIX + name)
        for generator, part in own.groupby("generator", sort=True):
            part = part.loc[part["num_steps"] == part["num_steps"].max()]
            rows += [
                _row(name, str(generator), bound, float(found["gain_nats"].iloc[0]))
                for bound in known.bounds
                if len(found := choose(part, arm=bound.arm, against=bound.against))
            ]
    return rows


def healed_rows(generation: pd.DataFrame, health: pd.DataFrame) -> list[CalibrationRow]:
    """Return whether noise in training keeps free runs near data, where it must.

    Args:
        generation: `tables/generation.csv`, which tells a generator's noise.
        health: `tables/generation_health.csv`. Late runs of S count, seed by seed.
    """
    rows = []
    for name, largest in HEALED.items():
        of = choose(health, representation=WORLD_PREFIX + name, arm=SMALL)
        of = of.loc[of["horizon_frames"] == of["horizon_frames"].max()]
        excess = (of["energy_distance"] - of["energy_distance_true"]).to_numpy(float)
        by_seed = of.assign(excess=excess).pivot(index="seed", columns="generator", values="excess")
        members = choose(generation, representation=WORLD_PREFIX + name, arm=SMALL)
        pairs = zip(members["generator"], members["noise"], strict=True)
        noise = {str(generator): str(kind) for generator, kind in pairs}
        known = [str(one) for one in by_seed.columns if one in noise]
        for plain in (one for one in known if noise[one] == PLAIN):
            for noisy in (one for one in known if noise[one].startswith(FIXED)):
                share = float((by_seed[noisy] / by_seed[plain]).max())
                rows.append(_compared(
                    name, f"{noisy} over {plain}: excess energy distance of S, largest ratio",
                    -math.inf, largest, share,
                ))  # fmt: skip
    return rows


def gated_rows(keys: pd.DataFrame) -> list[CalibrationRow]:
    """Return whether gates open on true keys and close on foreign ones, where they must.

    Args:
        keys: `tables/generation_keys.csv`. The gate that is farthest from its bound counts.
    """
    rows = []
    on_true = choose(keys, probe="true")
    for name, arms in GATES.items():
        own = choose(on_true, representation=WORLD_PREFIX + name)
        for generator, part in own.groupby("generator", sort=True):
            for arm, (low, high) in arms.items():
                gates = choose(part, arm=arm)["gate_q50"].to_numpy(float)
                if not len(gates):
                    continue
                farthest = gates.min() if math.isfinite(low) else gates.max()
                rows.append(_compared(
                    name, f"{generator}: gate of {arm} on true contexts", low, high, farthest
                ))  # fmt: skip
    return rows


def _row(world: str, generator: str, bound: KnownGain, measured: float) -> CalibrationRow:
    """Return one bound as a comparison; see `_compared`."""
    quantity = f"{generator}: gain of {bound.arm} over {bound.against}"
    return _compared(world, quantity, bound.low, bound.high, measured)


def _compared(
    world: str, quantity: str, low: float, high: float, measured: float
) -> CalibrationRow:
    """Return a comparison; the truth is the end that is bounded, or the middle of both."""
    has_low, has_high = math.isfinite(low), math.isfinite(high)
    truth = (low + high) / 2 if has_low and has_high else low if has_low else high
    return CalibrationRow(
        world=world,
        stage=STAGE,
        quantity=quantity,
        lag_frames=1,
        truth=truth,
        truth_error=0.0,
        measured=measured,
        measured_error=math.nan,
        tolerance_below=truth - low,
        tolerance_above=high - truth,
        passes=low <= measured <= high,
    )


def generated_verdicts(rows: Sequence[VerdictRow], gains: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the words of worlds beside those that are right, as rows of the calibration's table.

    Args:
        rows: The stage's verdicts.
        gains: `tables/generation_gains.csv`, which says how many seeds there were.
    """
    found = []
    for row in rows:
        name = row.subject.removeprefix(WORLD_PREFIX)
        if not row.is_deciding or row.subject == name or name not in KNOWN:
            continue
        num_seeds = choose(gains, representation=row.subject)["num_seeds"].to_numpy(int).max()
        is_judged = num_seeds >= MINIMUM_SEEDS
        expected = " or ".join(KNOWN[name].words)
        found.append({
            "kind": "verdict", "world": name, "stage": STAGE,
            "quantity": row.reason.rpartition("; ")[2],
            "expected": expected if is_judged else f"{expected}, with {MINIMUM_SEEDS} seeds",
            "given": row.case, "passes": row.case in KNOWN[name].words if is_judged else None,
        })  # fmt: skip
    return [*found, *sabotage_verdicts(gains)]


def sabotage_verdicts(gains: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the words that other arms get in the place of SM, on worlds where SM helps.

    SM that is read with wrong codes, at evaluation alone, must lose HELPS by its gains. A key that
    is late in training too must keep it.

    Args:
        gains: `tables/generation_gains.csv`; the longest training counts.
    """
    helped = [name for name, known in KNOWN.items() if HELPS in known.words]
    own = choose(gains, representation=[WORLD_PREFIX + name for name in helped])
    rows = []
    for name, generator in sorted({*zip(own["representation"], own["generator"], strict=True)}):
        part = choose(own, representation=name, generator=generator)
        longest = choose(part, num_steps=part["num_steps"].max())
        rows += [
            _sabotage(str(name).removeprefix(WORLD_PREFIX), str(generator), longest, arm)
            for arm in (*SWAPS, LATE)
            if len(choose(longest, arm=arm, against=list(ALWAYS), part="eval")) == len(ALWAYS)
        ]
    return rows


def _sabotage(world: str, generator: str, gains: pd.DataFrame, arm: str) -> dict[str, Any]:
    word = word_of(as_memory(found_of(gains, GENERATION_HEALTH.empty(), 0.0), arm)).word
    is_judged = gains["num_seeds"].to_numpy(int).max() >= MINIMUM_SEEDS
    must_help = arm == LATE
    expected = " or ".join(HELPED if must_help else LOST)
    return {
        "kind": "verdict", "world": world, "stage": STAGE,
        "quantity": f"generator {generator}, {arm} in the place of SM",
        "expected": expected if is_judged else f"{expected}, with {MINIMUM_SEEDS} seeds",
        "given": word, "passes": word in (HELPED if must_help else LOST) if is_judged else None,
    }  # fmt: skip
