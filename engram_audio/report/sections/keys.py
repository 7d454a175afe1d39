"""Does what context tells survive a small key? Nats against ln K, and every key's row."""

from typing import Any

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.keys.columns import KEY_DIRECTIONS, KEYS
from engram_audio.report.data import ReportData
from engram_audio.report.figure import FigureView
from engram_audio.report.figures_keys import curve_figure, head_gain
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import Column, TableView, make_table, shown
from engram_audio.report.verdict_rows import Group, by_subject
from engram_audio.verdicts import number

OF_HEAD = "share_of_best_head"  # of the page alone: heads belong to a later question
COLUMNS = (
    *shown(KEYS, "representation", "key", "num_codes", "base"),
    *shown(KEYS, "nats", "entropy_nats", "share_of_predictor", "transfer_loss",
           "speaker_information_nats", "flip_rate", "agreement", form=number.fixed),
    Column(OF_HEAD, "of best head", help="Nats over the gain of the best head, where heads were "
           "scored at this lag: over its context-free family alone, over the best null beside.",
           form=number.fixed),
    *shown(KEYS, "codes_used", "num_values", "flops", "target", "lag_frames", "slice",
           "split_seed"),
)  # fmt: skip


DIRECTION_COLUMNS = (
    *shown(KEY_DIRECTIONS, "representation", "key", "num_codes", "case", "num_directions"),
    *shown(KEY_DIRECTIONS, "angle_deg", "nats", "over_reversion_nats", form=number.fixed),
    *shown(KEY_DIRECTIONS, "lag_frames", "split_seed"),
)


def build(data: ReportData) -> dict[str, Any]:
    """Gather verdicts, curves and the table."""
    table = data.table("keys")
    names = sorted({str(name) for name in table["representation"]})
    return {
        "groups": [_group(data, group) for group in by_subject(data.verdicts("keys"), names)],
        "table": None if table.empty else _table(data, table),
        "directions": _directions(data),
    }


def _group(data: ReportData, group: Group) -> dict[str, Any]:
    return {**group._asdict(), "figures": _figures(data, group.name)}


def _figures(data: ReportData, name: str) -> list[FigureView]:
    rows = choose(data.table("keys"), representation=name)
    aims = rows[["target", "lag_frames", "base"]].drop_duplicates()
    drawn = [
        curve_figure(data, name, str(target), int(lag), str(base))
        for target, lag, base in aims.itertuples(index=False)
    ]
    return [one for one in drawn if one is not None]


def _table(data: ReportData, table: pd.DataFrame) -> TableView:
    rows = table.assign(**{OF_HEAD: shares_of_best_head(data, table)})
    return make_table(
        "keys-laws", "Keys by their laws, on eval speakers", rows, COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/keys.csv",
        first=pd.Series(table["slice"] == "all"), more="All slices",
    )  # fmt: skip


def shares_of_best_head(data: ReportData, table: pd.DataFrame) -> list[float]:
    """Return nats over the best head's gain on the same frames; NaN where no head gained."""
    gains: dict[tuple[str, int, str, str], float] = {}
    shares = []
    for row in table.to_dict("records"):
        place = (str(row["representation"]), int(row["lag_frames"]), str(row["base"]),
                 str(row["slice"]))  # fmt: skip
        if place not in gains:
            gains[place] = head_gain(data, *place)
        is_asked = row["target"] == "delta" and gains[place] > 0
        shares.append(row["nats"] / gains[place] if is_asked else np.nan)
    return shares


def _directions(data: ReportData) -> TableView | None:
    table = data.table("key_directions")
    if table.empty:
        return None
    return make_table(
        "key-directions", "Few directions of the step, given the state?", table,
        DIRECTION_COLUMNS, maximum_rows=data.settings.maximum_table_rows // 8,
        source="tables/key_directions.csv",
    )  # fmt: skip


SECTION = SectionSpec(
    name="keys",
    place=55,
    title="Does what context tells survive a small key?",
    lead=(
        "Every key is scored alike: how many nats about the target its codes carry, with the "
        "weights of one shared bank. Codes without information score 0, K codes at most ln K. The "
        "predictor is the same law with the whole context in place of a code."
    ),
    needs=(),
    build=build,
)
