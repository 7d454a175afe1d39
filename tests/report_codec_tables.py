"""Made-up scores of a few codecs for tests; their tables come from the stage's own code.

The means are chosen, not measured: mimi's past tells 5 nats per frame, one of which beyond ridge; 2
are left on permuted audio, 4 with a short memory, 1 without any order.
"""

from typing import Any

import numpy as np
import pandas as pd

from engram_audio.comparison.config import ComparedSection, OverlapControls
from engram_audio.comparison.information import measure
from engram_audio.comparison.tables import Row, codec_table, frontier_table
from engram_audio.report.data import ReportData
from engram_audio.structure.config import DecisionSection
from tests import studies
from tests.report_verdicts import judged

HEAD, MARGINAL_NLL = "student_t_mixture", 90.0
KEY = "pca.raw.kmeans_64"
REGISTERED = DecisionSection.model_validate(
    {**studies.study()["decision"], "representation": "mimi", "slices": ["all"]}, strict=False
)
CONTROLS = {"mimi": OverlapControls(permuted="mimi_permuted", truncated="mimi_truncated")}
# name: information, gain (nats/frame), rate, D, bits/s, log-mel distance, added fraction
ROWS: dict[str, tuple[float, float, float, int, float, float, float]] = {
    "mimi": (5.0, 1.0, 12.5, 512, 1100.0, 0.5, 0.03),
    "mimi_permuted": (2.0, 0.5, 12.5, 512, 1100.0, np.nan, 0.0),
    "mimi_truncated": (4.0, 0.5, 12.5, 512, 1100.0, np.nan, 0.0),
    "mimi--shuffled": (1.0, 0.2, 12.5, 512, np.nan, np.nan, 0.0),
    "mimi_slow": (5.0, 1.0, 6.25, 1024, 550.0, 0.8, 0.02),
    "mel": (8.0, 2.0, 12.5, 32, np.nan, 0.6, 0.1),
}


def prediction_sums(information: float, gain: float, frames: int = 500) -> pd.DataFrame:
    """Sums by speaker of a head, ridge and a marginal; speakers differ in what is predictable."""
    generator = np.random.default_rng([3, round(10 * information)])
    levels = {"gaussian_marginal_position": 0.0, "ridge": information - gain, HEAD: information}
    rows = []
    for part, count in (("val", 4), ("eval", 10)):
        talents = generator.normal(scale=0.1, size=count)
        own = generator.normal(scale=0.02, size=(count, len(levels)))
        for speaker in range(count):
            for place, (name, level) in enumerate(levels.items()):
                shift = (
                    talents[speaker] - talents.mean() + own[speaker, place] - own[:, place].mean()
                )
                nll = MARGINAL_NLL - level * (1 + shift)
                rows.append(
                    {
                        "model": name, "lag_frames": 0 if "marginal" in name else 1,
                        "event": "position", "part": part, "slice": "all",
                        "speaker_id": f"{part}-{speaker}", "nll": frames * nll,
                        "num_frames": frames,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def compared_rows() -> dict[str, Row]:
    """What the table is made of, by representation."""
    return {name: _row(name) for name in ROWS}


def _row(name: str) -> Row:
    information, gain, rate, dims, bits, distance, _ = ROWS[name]
    tests = [
        {"name": "weights", "value": None, "is_passed": True},
        {"name": "causality", "value": 1e-7, "is_passed": True},
    ]
    summary: dict[str, Any] = {
        "metadata": {
            "frame_rate_hz": rate, "num_dims": dims, "is_causal": True, "latent_space": "test",
        },
        "self_tests": tests,
        "rate": None if np.isnan(bits) else {"bits_per_s": bits, "kind": "quantised"},
        "resampling": None, "channel": None,
    }  # fmt: skip
    measured = measure(prediction_sums(information, gain), [HEAD])
    has_metrics = name != "mel"
    scores = None
    if not np.isnan(distance):
        spread = np.linspace(-0.05, 0.05, 10)
        scores = pd.DataFrame(
            {
                "utterance_id": [f"u{n}" for n in range(10)],
                "speaker_id": [f"eval-{n}" for n in range(10)],
                "log_mel_l1": distance + spread,
                "stoi": 0.9 + spread if has_metrics else np.nan,
                "pesq": 2.5 + spread if has_metrics else np.nan,
            }
        )
    absent = () if has_metrics else ("stoi", "pesq")
    family = name.split("_")[0]
    block = 0.08 if name.endswith("permuted") else None
    return Row(name, f"{family}_codec", family, summary, measured, scores, absent, measured, block)


def structure_rows(names: Any) -> pd.DataFrame:
    """The registered key's rows of `structure.csv`."""
    rows = [
        {
            "representation": name, "key": KEY, "lag_frames": 2, "part": part,
            "status": "ok", "num_speakers": 10, "num_effective_speakers": 9.0, "num_frames": 9000,
            "codebook_size": 64, "excluded_mass": 0.01, "oracle_excluded_mass": 0.01,
            "cost_of_fitting": 1e-5, "oracle_cost_of_fitting": 1e-5, "attainable": 0.2,
            "control_permuted": 0.0, "control_permuted_se": 1e-4, "control_permuted_df": 9.0,
            "control_swapped": 0.0, "control_swapped_se": 1e-4, "control_swapped_df": 9.0,
            "slice": "all", "subspace": "all", "split_seed": 0, "added_fraction": ROWS[name][6],
            "added_fraction_se": 0.004, "added_fraction_df": 9.0,
            "added_fraction_low": ROWS[name][6] - 0.01,
            "added_fraction_high": ROWS[name][6] + 0.01,
        }
        for name in names
        for part in ("val", "eval")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def published() -> tuple[pd.DataFrame, pd.DataFrame]:
    """`codecs.csv` and `frontier.csv` of the known means."""
    rows = compared_rows()
    compared = ComparedSection(
        representations=("mimi", "mimi_slow", "mel"),
        ladders={"rate": ("mimi_slow", "mimi", "mel")},
        controls=CONTROLS,
    )
    table = codec_table(rows, compared, structure_rows(rows), REGISTERED, 8, 0.95)
    return table, frontier_table(table, compared.ladders)


def with_codecs(data: ReportData, **changes: pd.DataFrame) -> ReportData:
    """Return the report's data with codecs side by side."""
    codecs, frontier = published()
    tables = {"codecs": codecs, "frontier": frontier, **changes}
    return judged(data._replace(tables={**data.tables, **tables}))
