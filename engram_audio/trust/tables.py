"""The published table and document of the calibration."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.calibration.answers import expected_word
from engram_audio.calibration.config import WORLD_PREFIX, PowerSection
from engram_audio.calibration.rows import STANDARD_ERRORS, CalibrationRow
from engram_audio.calibration.truth import Truth
from engram_audio.structure.decision import Decided
from engram_audio.trust.bug import NO_BUG, STAGES, SabotageRow
from engram_audio.trust.bugs import BUGS
from engram_audio.trust.columns import CALIBRATION
from engram_audio.trust.error_rates import NOMINAL, UNCLAIMED, RateRow

SABOTAGE_COLUMNS = ("bug", *CalibrationRow._fields)
TRUTH_COLUMNS = ("world", *Truth._fields)


class Verdict(NamedTuple):
    """A known verdict beside the one that the gate gave.

    Attributes:
        world: Name of the world.
        expected: The word of a correct gate.
        given: What the gate said.
        passes: Whether it is the same.
    """

    world: str
    expected: str
    given: str
    passes: bool


def world_verdicts(
    decided: Mapping[str, Decided], keys: Sequence[str], with_laws: Sequence[str] = ()
) -> list[Verdict]:
    """Compare each calibration world's word with the one that is right for these keys.

    Args:
        decided: What the gate said.
        keys: The candidates.
        with_laws: Worlds whose keys were scored by their laws too.
    """
    rows = []
    for representation, one in sorted(decided.items()):
        name = representation.removeprefix(WORLD_PREFIX)
        expected = expected_word(name, keys, name in with_laws)
        rows.append(Verdict(name, expected, one.verdict, one.verdict == expected))
    return rows


def model_rows(sabotage: pd.DataFrame) -> list[CalibrationRow]:
    """Return the known answers of the stages that stand on models, without any bug."""
    is_own = (sabotage["bug"] == NO_BUG) & sabotage["stage"].isin(STAGES)
    return rows_of(sabotage.loc[is_own])


def row_frame(rows: Iterable[CalibrationRow]) -> pd.DataFrame:
    """Return comparisons as a table."""
    return pd.DataFrame(list(rows), columns=list(CalibrationRow._fields))


def rows_of(frame: pd.DataFrame) -> list[CalibrationRow]:
    """Undo `row_frame`."""
    records = frame.loc[:, list(CalibrationRow._fields)].to_dict("records")
    return [CalibrationRow(**{str(k): v for k, v in record.items()}) for record in records]


def truth_frame(name: str, truths: Iterable[Truth]) -> pd.DataFrame:
    """Return the truths of one world as a table."""
    records = [{"world": name, **truth._asdict()} for truth in truths]
    return pd.DataFrame(records, columns=list(TRUTH_COLUMNS))


def truths_of(frame: pd.DataFrame) -> dict[str, list[Truth]]:
    """Return the truths of each world by name."""
    found: dict[str, list[Truth]] = {}
    for row in frame.to_dict("records"):
        truth = Truth(row["quantity"], int(row["lag_frames"]), row["value"], row["standard_error"])
        found.setdefault(row["world"], []).append(truth)
    return found


def sabotage_frame(rows: Iterable[SabotageRow]) -> pd.DataFrame:
    """Return comparisons under planted bugs as a table."""
    records = [{"bug": one.bug, **one.row._asdict()} for one in rows]
    return pd.DataFrame(records, columns=list(SABOTAGE_COLUMNS))


def calibration_table(
    rows: Sequence[CalibrationRow],
    verdicts: Sequence[Verdict],
    rates: Sequence[RateRow],
    limits: PowerSection,
    words: Sequence[Mapping[str, Any]] = (),
) -> pd.DataFrame:
    """Return calibration.csv: measured worlds, verdicts, error rates and coverage, one row each.

    A tolerance that is not finite is no bound on that side and stays empty.
    """
    parts = [{"kind": "number", **row._asdict()} for row in rows]
    parts += [_verdict_record(row) for row in verdicts]
    parts += [dict(row) for row in words]  # of generators
    parts += [_rate_record(row, limits) for row in rates]
    table = pd.DataFrame(parts, columns=CALIBRATION.names())
    return table.replace([np.inf, -np.inf], np.nan)


def _verdict_record(row: Verdict) -> dict[str, Any]:
    return {
        "kind": "verdict", "world": row.world, "stage": "decision", "quantity": "verdict",
        "expected": row.expected, "given": row.given, "passes": row.passes,
    }  # fmt: skip


def _rate_record(row: RateRow, limits: PowerSection) -> dict[str, Any]:
    """Judge a rate: an error above the nominal one, or a coverage off its band, is no sampling."""
    if row.kind == "coverage":
        return _coverage_record(row, limits)
    record = {
        "kind": "error rate", "world": row.layout, "stage": "gate",
        "quantity": f"{row.kind} where {row.row} stands on its boundary", "truth": NOMINAL,
        "measured": row.rate, "measured_error": row.monte_carlo_error,
    }  # fmt: skip
    if row.kind == "INVALID":  # dominated speakers: no word may be given at all
        return {**record, "truth": None, "expected": "shown beside, not claimed"}
    above = STANDARD_ERRORS * row.monte_carlo_error
    return {**record, "tolerance_above": above, "passes": row.rate <= NOMINAL + above}


def _coverage_record(row: RateRow, limits: PowerSection) -> dict[str, Any]:
    low, high = limits.minimum_coverage, limits.maximum_coverage
    sampling = STANDARD_ERRORS * row.monte_carlo_error
    record = {
        "kind": "coverage", "world": row.layout, "stage": "intervals", "quantity": row.row,
        "truth": 1 - 2 * NOMINAL, "measured": row.rate, "measured_error": row.monte_carlo_error,
    }  # fmt: skip
    if row.layout in UNCLAIMED:
        return {**record, "expected": "INVALID by rule, not claimed"}
    return {
        **record, "tolerance_below": 1 - 2 * NOMINAL - low + sampling,
        "tolerance_above": high - 1 + 2 * NOMINAL + sampling,
        "passes": low - sampling <= row.rate <= high + sampling,
    }  # fmt: skip


def row_name(row: Mapping[Any, Any]) -> str:
    """Return the name of a comparison, unique among those of one run."""
    return f"{row['world']}: {row['stage']}, {row['quantity']}, lag {row['lag_frames']}"


def sabotage_matrix(table: pd.DataFrame) -> dict[str, Any]:
    """Return which bug is caught by which row, and the rows that fail without any bug.

    A bug is caught by a row that passes in the honest run and fails under the bug.
    """
    outcomes: dict[str, dict[str, bool]] = {}
    for row in table.to_dict("records"):
        outcomes.setdefault(str(row["bug"]), {})[row_name(row)] = bool(row["passes"])
    honest = outcomes[NO_BUG]
    caught = {
        bug: sorted(
            name for name, passes in honest.items() if passes and outcomes[bug].get(name) is False
        )
        for bug in BUGS
    }
    return {
        "rows": sorted(honest),
        "failing_without_bug": sorted(name for name, passes in honest.items() if not passes),
        "bugs": {
            name: {
                "what": BUGS[name].words, "stage": BUGS[name].stage,
                "function": BUGS[name].target, "caught_by": rows, "is_caught": bool(rows),
            }
            for name, rows in caught.items()
        },
    }  # fmt: skip


def calibration_document(
    table: pd.DataFrame,
    matrix: dict[str, Any],
    rates: Sequence[RateRow],
) -> dict[str, Any]:
    """Return calibration.json without its manifest."""
    judged = table.loc[table["passes"].notna()]
    failing = judged.loc[~judged["passes"].astype(bool)]
    bugs = matrix["bugs"]
    missed = [name for name, entry in bugs.items() if not entry["is_caught"]]
    is_trusted = failing.empty and not missed and not matrix["failing_without_bug"]
    return {
        "is_trusted": bool(is_trusted and len(judged)),
        "num_rows": len(judged),
        "num_failing": len(failing),
        "num_bugs": len(bugs),
        "bugs_missed": missed,
        "rows": [_plain(row) for row in table.to_dict("records")],
        "rates": [_plain(row._asdict()) for row in rates],
        "sabotage": matrix,
    }


def _plain(record: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): _value(value) for name, value in record.items()}


def _value(value: Any) -> Any:
    match value:
        case bool() | np.bool_():
            return bool(value)
        case int() | np.integer():
            return int(value)
        case None | str():
            return value
    return float(value) if math.isfinite(value) else None
