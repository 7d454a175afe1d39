"""No column vanishes from the page: one that the page uses and does not find is an error.

The frames have exactly the declared columns. Nothing is drawn: axes are stubs, the numbers that a
figure brings beside its drawing are compared.
"""

import contextlib
import re
from typing import Any

import pandas as pd
import pytest

from engram_audio.errors import InputError
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.published_tables import TABLES
from engram_audio.report.registry import SECTIONS
from engram_audio.report.section_modules import section_modules
from tests.report_codec_tables import with_codecs
from tests.report_factorizer_tables import with_factorizer
from tests.report_generation_tables import with_generation
from tests.report_law_tables import with_laws
from tests.report_memory_tables import with_memory
from tests.report_prediction_tables import with_prediction
from tests.report_rollout_tables import with_rollout
from tests.report_tables import BASES, declared, report_data

# Sections that show a table; every other section reads none of its columns. What the memory stage
# judges is shown as a row of the verdicts.
SHOWN_IN = {
    "structure": ("verdict", "instrument", "structure"), "linear": ("instrument",),
    "keys": ("keys",),
    "key_directions": ("keys",), "curves": ("structure",), "ngrams": ("structure",),
    "speakers": ("structure",),
    "prediction": ("prediction",), "worst_frames": ("prediction",),
    "prediction_calibration": ("prediction",), "prediction_rollout": ("prediction",),
    "factorizer": ("factorizer",), "factorizer_sweep": ("factorizer",),
    "factorizer_states": ("factorizer",), "memory": ("memory",), "memory_verdict": (),
    "memory_tuning": ("memory",), "memory_curve": ("memory",), "prediction_tuning": ("prediction",),
    "rollout": ("rollout",), "rollout_sweep": ("rollout",), "codecs": ("codecs",),
    "generation": ("generation",), "generation_gains": ("generation",),
    "generation_health": ("generation",), "generation_keys": ("generation",),
    "generation_replay": ("generation",), "generation_latency": ("generation",),
    "generation_ladder": ("generation",), "generation_cost": ("generation",),
    "generation_share": ("generation",), "generation_wider": ("generation",),
    "generation_probes": ("generation",),
    "generation_audio": ("generation",), "generation_audio_gains": ("generation",),
    "frontier": ("codecs",), "corpus": ("corpus",), "exclusions": ("corpus",),
    "calibration": ("verdict", "calibration"), "what_would_change": ("verdict",),
    "verdicts": (
        "verdict", "calibration", "keys", "prediction", "factorizer", "memory", "rollout", "codecs",
        "generation",
    ),
}  # fmt: skip


class Axis:
    """Takes every drawing call and draws nothing."""

    patches: tuple[Any, ...] = ()

    def __getattr__(self, name: str) -> Any:
        return {"xaxis": self, "yaxis": self}.get(name, lambda *_, **__: None)

    def get_xlim(self) -> tuple[float, float]:
        return 0.0, 1.0

    get_ylim = get_xlim


class Canvas:
    """Gives panels that draw nothing."""

    figure = None

    def panels(self, num: int = 1, **_: Any) -> list[Axis]:
        return [Axis() for _ in range(num)]

    def panel(self, **_: Any) -> Axis:
        return Axis()

    def legend(self, *_: Any, **__: Any) -> None:
        pass


def draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let figures be laid out and not drawn."""
    monkeypatch.setattr(svg, "canvas", lambda: contextlib.nullcontext(Canvas()))
    monkeypatch.setattr(svg, "inline_svg", lambda *_, **__: "")
    monkeypatch.setattr(svg, "plain_ticks", lambda *_: None)


@pytest.fixture(autouse=True)
def nothing_is_drawn(monkeypatch: pytest.MonkeyPatch):
    draw_nothing(monkeypatch)


@pytest.fixture(scope="module")
def data() -> ReportData:
    found = with_prediction(report_data(), surrogate=False)
    for added in (
        with_laws, with_factorizer, with_memory, with_rollout, with_codecs, with_generation,
    ):  # fmt: skip
        found = added(found)
    found = found._replace(settings=found.settings.model_copy(update={"maximum_table_rows": 8}))
    row = {"kind": "number", "world": "w", "passes": True, "truth": 1.0, "measured": 1.0}
    change = {"change": "key", "value": "k", "verdict": "STOP", "is_other": True, "key": "k"}
    added = {"calibration": row, "what_would_change": change}
    tables = {**found.tables, **{name: one_row(name, cells) for name, cells in added.items()}}
    return found._replace(tables={name: smaller(table) for name, table in tables.items()})


def one_row(name: str, cells: dict[str, Any]) -> pd.DataFrame:
    """Return a published table with one row, empty but for these cells."""
    table = TABLES[name]
    return declared(table, table.empty().reindex([0]).assign(**cells))


def smaller(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one representation; columns are asked for here, not numbers."""
    if "representation" not in table.columns or table["representation"].isna().to_numpy().all():
        return table
    return table.loc[table["representation"].isin([BASES[0], "mimi", "mel", "mel_pca_state"])]


def page(data: ReportData, table: str) -> str:
    """Return everything that the sections of a table give to their templates."""
    sections = [section for section in SECTIONS if section.name in SHOWN_IN[table]]
    return repr([section.build(data) for section in sections])


def renamed(data: ReportData, table: str, kept: set[str]) -> ReportData:
    """Return the data with all but the kept columns of a table renamed."""
    frame = data.tables[table]
    names = {name: f"{name}_renamed" for name in frame.columns if name not in kept}
    return data._replace(tables={**data.tables, table: frame.rename(columns=names)})


def absent(error: Exception, names: set[str]) -> set[str]:
    """Return which of the names an error says are not there."""
    assert isinstance(error, KeyError | InputError), repr(error)
    text = str(error).split("did you mean")[0].split("it has:")[0]
    return {name for name in re.findall(r"[\w]+", text) if name in names}


def test_sections_are_found_and_each_has_a_place_of_its_own():
    """A section is its module and its template: no list of sections is edited."""
    assert len(SECTIONS) == len(section_modules()) >= 13
    assert len({section.place for section in SECTIONS}) == len(SECTIONS)
    assert (SECTIONS[0].name, SECTIONS[-1].name) == ("verdict", "provenance")


def test_every_published_table_is_tried():
    assert set(SHOWN_IN) == set(TABLES)


# whose pages take longest; the structure table, which is larger, stays
COSTLY = {"prediction", "worst_frames", "prediction_calibration", "prediction_rollout"}


@pytest.mark.parametrize(
    "table",
    [pytest.param(name, marks=pytest.mark.slow if name in COSTLY else ()) for name in SHOWN_IN],
)
def test_a_renamed_column_is_an_error_or_was_not_on_the_page(data: ReportData, table: str):
    """Columns are given back one by one, each named by the error that its absence raises.

    At the end only columns are renamed that the page does not use: then it is the same page.
    """
    families = [column for column in TABLES[table].columns if column.is_family]
    names = set(data.tables[table].columns)
    kept = {name for column in families for name in column.names(names)}
    while True:
        try:
            found = page(renamed(data, table, kept), table)
            break
        except (KeyError, InputError) as error:
            missed = absent(error, names - kept)
            assert missed, f"the page needs a column that no error names: {error!r}"
            kept |= missed
    assert bool(kept) == bool(SHOWN_IN[table]), f"which section reads {table}.csv?"
    assert found.replace("_renamed", "") == page(data, table)  # a figure's CSV holds whole rows
