"""Does it help a generator at equal compute? The word, the gains, and what they are made of."""

from typing import Any

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.generation.columns import (
    GENERATION,
    GENERATION_GAINS,
    GENERATION_HEALTH,
    GENERATION_KEYS,
    GENERATION_LATENCY,
    GENERATION_REPLAY,
)
from engram_audio.generation.names import NULLS
from engram_audio.generation.word import AS_MANY_NUMBERS, AS_MUCH_WORK, MEMORY, SMALL
from engram_audio.report.audio_view import audio_note, audio_tables
from engram_audio.report.data import ReportData
from engram_audio.report.figures_generation import gains_figure, longest
from engram_audio.report.generation_costs import cost_tables
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import TableView, make_table, shown
from engram_audio.report.verdict_rows import Group, by_subject
from engram_audio.verdicts import number

BUDGETS = (SMALL, AS_MUCH_WORK, AS_MANY_NUMBERS)  # what the gain is over, not what it is made of
GAINS = (
    *shown(GENERATION_GAINS, "representation", "generator", "arm", "against", "part", "num_steps"),
    *shown(GENERATION_GAINS, "gain_nats", "sd_seed", "sd_speaker", "sd_rest", "delta_nats",
           "work_share", form=number.fixed),
    *shown(GENERATION_GAINS, "num_seeds", "num_speakers", "seeds_needed"),
)  # fmt: skip
ARMS = (
    *shown(GENERATION, "representation", "generator", "arm", "seed", "num_steps"),
    *shown(GENERATION, "nll_nats", "nll_train_nats", form=number.fixed),
    *shown(GENERATION, "f_gen_flops", "num_resident", form=number.count),
    *shown(GENERATION, "noise", "width", "key", "learning_rate", "dropout", "num_points",
           "repeat_difference_nats"),
)  # fmt: skip
HEALTH = (
    *shown(GENERATION_HEALTH, "representation", "generator", "arm", "seed", "horizon_frames"),
    *shown(GENERATION_HEALTH, "energy_skill", "energy_distance", "energy_distance_true",
           "excess_over_f", "off_support_share", "off_support_share_true", "std_ratio",
           "step_ratio", "autocorrelation_error", "spectrum_error", "diverged_share",
           "frozen_share", form=number.fixed),
)  # fmt: skip
KEYS = (
    *shown(GENERATION_KEYS, "representation", "generator", "arm", "seed", "probe", "step_frames",
           "sigma"),
    *shown(GENERATION_KEYS, "gate_q50", "write_ratio", "flip_rate", "nll_own_nats",
           "nll_oracle_nats", "nll_foreign_nats", form=number.fixed),
)  # fmt: skip
REPLAY = (
    *shown(GENERATION_REPLAY, "representation", "generator", "arm", "num_passes"),
    *shown(GENERATION_REPLAY, "is_permuted", form=number.yes),
    *shown(GENERATION_REPLAY, "minimum_visits", "nll_train_nats", "nll_eval_nats", "seed"),
)  # fmt: skip

LATENCY = (
    *shown(GENERATION_LATENCY, "representation", "generator", "arm"),
    *shown(GENERATION_LATENCY, "latency_ms", "latency_ms_p10", "latency_ms_p90",
           form=number.fixed),
    *shown(GENERATION_LATENCY, "machine"),
)  # fmt: skip


def build(data: ReportData) -> dict[str, Any]:
    """Gather words, figures and tables of every representation that is generated."""
    gains = data.table("generation_gains")
    names = sorted({str(name) for name in gains["representation"]})
    groups = [_group(data, group) for group in by_subject(data.verdicts("generation"), names)]
    if gains.empty:
        return {"groups": groups, "tables": [], "audio_note": ""}
    is_over = gains["against"].isin([*BUDGETS, *NULLS])
    is_over &= gains["arm"] == MEMORY
    tables = [
        _gains(data, gains.loc[is_over], "generation-gains", "SM over other budgets and the nulls"),
        _gains(data, gains.loc[~is_over], "generation-parts",
               "What the gain is made of: pathway, key, content"),
        *cost_tables(data),
        _replay(data),
        _health(data),
        _keys(data),
        _arms(data),
        _latency(data),
        *audio_tables(data),
    ]  # fmt: skip
    return {
        "groups": groups,
        "tables": [table for table in tables if table is not None],
        "audio_note": audio_note(data),
    }


def _group(data: ReportData, group: Group) -> dict[str, Any]:
    rows = choose(data.table("generation_gains"), representation=group.name)
    drawn = (gains_figure(data, group.name, name) for name in sorted(set(rows["generator"])))
    return {**group._asdict(), "figures": [figure for figure in drawn if figure]}


def _gains(data: ReportData, rows: pd.DataFrame, name: str, caption: str) -> TableView | None:
    if rows.empty:
        return None
    is_first = rows.index.isin(longest(choose(rows, part="eval")).index)
    return make_table(
        name, caption, rows, GAINS, maximum_rows=data.settings.maximum_table_rows // 4,
        source="tables/generation_gains.csv", first=pd.Series(is_first, index=rows.index),
        more="Shorter trainings and train frames",
    )  # fmt: skip


def _replay(data: ReportData) -> TableView | None:
    rows = data.table("generation_replay")
    if rows.empty:
        return None
    return make_table(
        "generation-replay", "Replay: does the memory memorise what it reads again?", rows, REPLAY,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/generation_replay.csv",
    )  # fmt: skip


def _health(data: ReportData) -> TableView | None:
    rows = data.table("generation_health")
    if rows.empty:
        return None
    last = pd.Series(rows["horizon_frames"] == rows["horizon_frames"].max())
    return make_table(
        "generation-health", "Free runs beside data, every seed", rows, HEALTH,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/generation_health.csv",
        first=last, more="All horizons",
    )  # fmt: skip


def _keys(data: ReportData) -> TableView | None:
    rows = data.table("generation_keys")
    if rows.empty:
        return None
    return make_table(
        "generation-keys", "How the memory is read: gates along runs, keys under noise", rows, KEYS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/generation_keys.csv",
    )  # fmt: skip


def _latency(data: ReportData) -> TableView | None:
    rows = data.table("generation_latency")
    if rows.empty:
        return None
    return make_table(
        "generation-latency", "Time of a generated frame, measured and never matched on", rows,
        LATENCY, maximum_rows=data.settings.maximum_table_rows // 4,
        source="tables/generation_latency.csv",
    )  # fmt: skip


def _arms(data: ReportData) -> TableView:
    return make_table(
        "generation-arms", "Every training: score, work and numbers", data.table("generation"),
        ARMS, maximum_rows=data.settings.maximum_table_rows // 4, source="tables/generation.csv",
    )  # fmt: skip


SECTION = SectionSpec(
    name="generation",
    place=95,
    title="Does it help a generator at equal compute?",
    lead=(
        "A small generator gets a lookup memory. It helps only if it beats three others. They are "
        "a generator of equal work without one, the same memory under the keys of another "
        "utterance, and small networks in the place of its table."
    ),
    needs=(),
    build=build,
)
