"""Smallest structure tables with a known answer, row by row."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from engram_audio.structure.config import DecisionSection, LiteralGate, OperativeGate
from engram_audio.structure.decision import Decided, decide_all
from engram_audio.structure.evidence import Evidence, HeadsGain, Source
from engram_audio.structure.gate_row import Measured

KEY, OTHER, THIRD = "pca.raw.kmeans_64", "predictive.raw.kmeans_64", "mean_pool.raw.kmeans_64"
NAME = "codec"
GATE = OperativeGate(
    minimum_added_fraction=0.05,
    minimum_added_nats=0.02,
    minimum_share_of_information=0.01,
    maximum_transfer_loss=0.2,
    maximum_excluded_mass=0.1,
    control_tolerance=0.02,
)
SECTION = DecisionSection(
    representation=NAME,
    lag_frames=2,
    slices=("all", "medial"),
    literal_gate=LiteralGate(keys=(KEY,), maximum_ratio=0.6, maximum_transfer_loss=0.2),
    operative_gate=GATE,
)
# Value and standard error of what has an interval; 100 df, so half a width is about 1.98 SE.
STRUCTURED: dict[str, tuple[float, float]] = {
    "ratio": (0.7, 0.01),
    "linear_r2": (0.25, 0.01),
    "added": (0.03, 0.001),
    "added_fraction": (0.2, 0.01),
    "added_nats_per_frame": (0.5, 0.02),
    "control_permuted": (0.0, 0.005),
    "control_swapped": (0.0, 0.005),
}
NOTHING_ADDED: dict[str, Any] = {
    "added_fraction": (0.0, 0.01),
    "added_nats_per_frame": (0.0, 0.005),
}
PLAIN = {
    "status": "ok", "codebook_size": 64, "num_speakers": 101, "num_frames": 10_000,
    "attainable": 0.15, "excluded_mass": 0.01, "oracle_excluded_mass": 0.01,
    "cost_of_fitting": 1e-4, "oracle_cost_of_fitting": 1e-3, "num_effective_speakers": 90.0,
    "largest_speaker_share": 0.02,
    "transfer_loss": 0.05, "transfer_loss_low": 0.0, "transfer_loss_high": 0.1,
}  # fmt: skip
LINEAR = pd.DataFrame(
    columns=["representation", "split_seed", "lag_frames", "slice", "part", "model", "r2"]
)


def row(
    key: str = KEY, part: str = "eval", slice_name: str = "all", *, name: str = NAME, seed: int = 0,
    lag: int = 2, **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return one published row; a pair is a value and its standard error."""
    cells = {
        "representation": name, "split_seed": seed, "key": key, "lag_frames": lag,
        "slice": slice_name, "subspace": "all", "part": part, **PLAIN,
    }  # fmt: skip
    for column, value in {**STRUCTURED, **changes}.items():
        if isinstance(value, tuple):
            cells |= {column: value[0], f"{column}_se": value[1], f"{column}_df": 100.0}
        else:
            cells[column] = value
    return cells


def rows(key: str = KEY, **changes: Any) -> list[dict[str, Any]]:
    """Return a key's rows on both judged slices and the three parts."""
    return [
        row(key, part, slice_name, **changes)
        for slice_name in SECTION.slices
        for part in ("val", "select", "eval")
    ]


def gains(value: float, se: float = 0.001, information: float = 0.5) -> dict[str, HeadsGain]:
    """Return the heads' gain on both judged slices."""
    measured = Measured(value, value - 2 * se, value + 2 * se)
    return {name: HeadsGain(measured, information) for name in SECTION.slices}


def decide(
    table: list[dict[str, Any]],
    heads: Mapping[str, HeadsGain] | None = None,
    source: Source | None = None,
    section: DecisionSection = SECTION,
) -> Decided:
    """Decide on the deciding representation."""
    evidence = Evidence({} if heads is None else {NAME: heads}, {NAME: source or Source()})
    return decide_all(pd.DataFrame(table), LINEAR, section, 0.95, evidence)[NAME]
