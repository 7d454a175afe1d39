"""Synthetic memory tables for tests, made by the stage's own table code.

The mean scores are chosen, not measured, so that the answers are known: see MEMORIES and DIRECT.
"""

from typing import Any

import numpy as np
import pandas as pd

from engram_audio.memory.columns import MEMORY_TUNING
from engram_audio.memory.config import MemoryVerdictSection
from engram_audio.memory.curve import Curve
from engram_audio.memory.tables import Direct, Run, curve_table, memory_table, verdict_table
from engram_audio.report.data import ReportData
from tests.report_tables import BASES, tuned_points
from tests.report_verdicts import judged

BASE = BASES[0]
SLICES = ("all", "medial")
NUM_FRAMES = 500
DIRECT = {"gaussian_mixture": 88.0, "ridge_full": 89.0, "gaussian_marginal_position": 95.0}
VERDICT = MemoryVerdictSection(minimum_gain_nats=0.02)
# mean NLL of each scored model of each memory; noise between speakers is shared by all
MEMORIES: dict[str, dict[str, float]] = {
    "robust": {
        "memory": 86.0, "knock_out": 89.0, "matched_parameters": 87.0, "matched_flops": 88.0,
        "shuffled_keys": 89.0, "random_values": 92.0, "constant_gate": 86.5, "knn": 84.0,
        "knn_base": 89.0, "knn_memory": 86.25,
    },
    "first_residual": {
        "memory": 88.5, "knock_out": 89.0, "matched_parameters": 87.0, "matched_flops": 88.0,
        "shuffled_keys": 89.1, "random_values": 93.0, "constant_gate": 88.5,
    },
    "engram": {
        "memory": 87.5, "knock_out": 90.0, "matched_parameters": 87.5, "matched_flops": 88.0,
        "shuffled_keys": 88.0, "random_values": 89.0, "constant_gate": 87.6, "knn": 88.0,
        "knn_base": 89.5, "knn_memory": 87.0,
    },
}  # fmt: skip


def speaker_sums(means: dict[str, float]) -> pd.DataFrame:
    """One row per model, part, slice and speaker."""
    generator = np.random.default_rng(3)
    rows = []
    for part, count in (("val", 3), ("eval", 10)):
        for name in SLICES:
            for speaker in range(count):
                shift = generator.normal(scale=0.1)
                for model, mean in means.items():
                    rows.append(
                        {
                            "model": model, "part": part, "slice": name,
                            "speaker_id": f"{part}-{speaker}", "num_frames": NUM_FRAMES,
                            "nll": NUM_FRAMES * (mean + shift), "gate": 0.4 * NUM_FRAMES,
                            "hit": 0.9 * NUM_FRAMES, "first_hit": 0.7 * NUM_FRAMES,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)


def direct_predictors() -> Direct:
    """The prediction stage's sums."""
    parts = []
    for name, level in DIRECT.items():
        lag = 0 if "marginal" in name else 1
        own = speaker_sums({name: level})[["model", "part", "slice", "speaker_id", "num_frames",
                                           "nll"]]  # fmt: skip
        parts.append(own.assign(lag_frames=lag, event="position"))
    return Direct(12.5, ["gaussian_mixture"], pd.concat(parts, ignore_index=True))


def run_of(
    name: str,
    changes: dict[str, float] | None = None,
    is_off: bool = False,
    misfit: dict[str, str] | None = None,
) -> Run:
    """An evaluated memory with known means."""
    kind = "engram" if name == "engram" else "lookup"
    base = "gaussian_mixture" if kind == "engram" else "linear"
    budgets = {
        "memory": {"parameters": 1000, "flops": 500},
        "matched_parameters": {"parameters": 1010, "flops": 1900},
        "matched_flops": {"parameters": 260, "flops": 505},
    }
    header: dict[str, Any] = {
        "kind": kind, "base_chosen": "ridge_full" if kind == "lookup" else base, "is_off": is_off,
        "budgets": budgets, "misfits": misfit or {},
    }  # fmt: skip
    usage = pd.DataFrame(
        [
            {"model": "memory", "part": part, "num_slots": 64, "num_slots_used": 60,
             "slot_perplexity": 41.5}
            for part in ("val", "eval")
        ]
    )  # fmt: skip
    scores = speaker_sums({**MEMORIES[name], **(changes or {})})
    return Run(BASE, 1, base, name, 0, header, scores, usage)


def published(runs: list[Run] | None = None) -> pd.DataFrame:
    """`memory.csv` of the known means."""
    runs = [run_of(name) for name in MEMORIES] if runs is None else runs
    return memory_table(runs, {(BASE, 0): direct_predictors()}, "position", SLICES, 0.95)


def curve() -> Curve:
    """A curve of three nets: half a nat better at each."""
    levels = {"net_0": 88.5, "net_1": 88.0, "net_2": 87.5}
    sizes = {
        name: {"parameters": 10 ** (2 + place), "flops": 2 * 10 ** (2 + place), "width": 8}
        for place, name in enumerate(levels)
    }
    columns = ["model", "part", "slice", "speaker_id", "num_frames", "nll"]
    return Curve(sizes, speaker_sums(levels).loc[:, columns])


def tuning() -> pd.DataFrame:
    """`memory_tuning.csv` of one arm."""
    names = {"representation": BASE, "lag_frames": 1, "predictor": "linear", "memory": "robust",
             "arm": "matched_parameters", "seed": 0}  # fmt: skip
    return MEMORY_TUNING.arrange(pd.DataFrame(tuned_points(names)))


def with_memory(data: ReportData) -> ReportData:
    """Return the report's data with memories."""
    table = published()
    tables = {
        "memory": table, "memory_verdict": verdict_table(table, VERDICT),
        "memory_tuning": tuning(),
        "memory_curve": curve_table({(BASE, 1, "linear"): [curve()]}, 0.95),
    }  # fmt: skip
    return judged(data._replace(tables={**data.tables, **tables}))
