"""Verdicts: any key proceeds, all keys stop, or undecided; each with the rows that made it so."""

import json

import pandas as pd
import pytest

from engram_audio.provenance import canonical_json
from engram_audio.stats.config import StatisticsSection
from engram_audio.structure.config import DecisionSection, LiteralGate
from engram_audio.structure.decision import (
    Decided,
    corrected_confidence,
    decide_all,
    decision_document,
    representation_verdict,
)
from engram_audio.structure.gates import DECISIVE
from engram_audio.structure.side_tables import linear_rows
from engram_audio.structure.structure_table import Unit, analyse, structure_rows
from tests.unit.structure_scores import KEY, Planted, linear_table, tables
from tests.unit.test_gates import GATE, SURROGATE

STATISTICS = StatisticsSection(confidence=0.95, bootstrap_draws=100, seed=0)
SECTION = DecisionSection(
    representation="x",
    keys=(KEY,),
    lag_frames=2,
    slices=("all", "medial"),
    literal_gate=LiteralGate(maximum_ratio=0.6, maximum_transfer_loss=0.2),
    operative_gate=GATE,
)


def rows_of(
    planted: Planted, surrogate: Planted | None = SURROGATE, name: str = "x", split_seed: int = 0
) -> pd.DataFrame:
    slices = ("all", "medial")
    twins = {}
    if surrogate is not None:
        twins["var"] = analyse(*tables(surrogate, slices=slices, noise_seed=5))
    linear = linear_rows(linear_table(), 0.95)
    table = structure_rows(
        analyse(*tables(planted, slices=slices)), twins, linear, Unit(12.5, 16), STATISTICS, "x"
    )
    return table.assign(representation=name, split_seed=split_seed)


def decide(*frames: pd.DataFrame, section: DecisionSection = SECTION) -> dict[str, Decided]:
    structure = pd.concat(frames, ignore_index=True)
    analyses = structure[["representation", "split_seed"]].drop_duplicates()
    linear = linear_rows(linear_table(), 0.95).merge(analyses, how="cross")
    return decide_all(structure, linear, section, 0.95)


def verdict(planted: Planted, surrogate: Planted | None = SURROGATE) -> Decided:
    return decide(rows_of(planted, surrogate))["x"]


def test_shared_structure_proceeds_and_shows_its_weakest_rows():
    one = verdict(Planted())
    assert one.verdict == "PROCEED"
    assert {row.name for row in one.deciding} == set(DECISIVE)
    margins = [row.margin for row in one.deciding]
    assert margins == sorted(margins), "the weakest margin first"


def test_no_structure_stops_with_the_words_of_the_definition():
    one = verdict(Planted(val=1.004, eval=1.004, speaker_sd=0.002))
    assert one.verdict == "STOP"
    assert "no structure visible to these keys" in one.sentence
    assert all(row.outcome == "fail" for row in one.deciding)
    assert "mean reversion" in one.sentence, "the lag-1 null stands beside a STOP"


def test_personal_structure_stops_with_the_transfer_row_first():
    """Prototypes of each speaker's own: eval frames fall into cells that eval never shares."""
    for planted in (
        Planted(val=0.45, eval=1.5, excluded_eval=0.86),
        Planted(val=0.45, eval=1.5, excluded_eval=0.02),
        Planted(val=0.45, eval=1.5, floor=0.5, excluded_eval=1.0),
    ):
        one = verdict(planted)
        assert one.verdict == "STOP"
        assert one.deciding[0].name == "transfer_loss"


def test_a_failing_slice_stops_whatever_the_others_say():
    table = rows_of(Planted())
    medial = rows_of(Planted(val=1.004, eval=1.004, speaker_sd=0.002))
    halves = table.loc[table["slice"] == "all"], medial.loc[medial["slice"] == "medial"]
    assert decide(*halves)["x"].verdict == "STOP"


def test_without_surrogates_nothing_proceeds():
    one = verdict(Planted(), None)
    assert one.verdict == "UNDECIDED"
    assert one.deciding[0].name == "advantage" and one.deciding[0].outcome == "invalid"


@pytest.mark.parametrize("ratio", [0.6, 1.1])
def test_a_control_off_one_neither_proceeds_nor_stops(ratio: float):
    for control in ("control_permuted", "control_swapped"):
        planted = Planted(val=ratio, eval=ratio)._replace(**{control: 0.9})
        assert verdict(planted).verdict == "UNDECIDED"


def test_too_little_data_is_undecided_and_not_stop():
    one = verdict(Planted(val=1.3, eval=1.3, excluded_val=0.5, excluded_eval=0.5))
    assert one.verdict == "UNDECIDED"
    one = verdict(Planted(status="not_attempted: 64 cells need 6400 train frames, have 100"))
    assert one.verdict == "UNDECIDED"
    assert "not_attempted" in one.sentence
    assert len(one.deciding) == 2, "one reason for each slice, not one for each row"


def test_an_interval_across_the_threshold_is_undecided():
    one = verdict(Planted(val=0.985, eval=0.985, speaker_sd=0.04), Planted(val=1.0, eval=1.0))
    assert one.verdict == "UNDECIDED"
    assert any(row.outcome == "undecided" for row in one.deciding)


def test_the_literal_gate_never_decides():
    one = verdict(Planted(val=0.7, eval=0.7))
    assert {row.outcome for row in one.literal if row.name == "ratio"} == {"fail"}
    assert one.verdict == "PROCEED"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["PROCEED", "STOP"], "PROCEED"),
        (["STOP", "STOP"], "STOP"),
        (["STOP", "UNDECIDED"], "UNDECIDED"),
        (["UNDECIDED", "PROCEED"], "PROCEED"),
    ],
)
def test_keys_combine(keys, expected):
    assert representation_verdict(keys) == expected


def test_the_level_is_corrected_for_the_number_of_keys():
    assert corrected_confidence(0.95, 1) == pytest.approx(0.95)
    assert corrected_confidence(0.95, 5) == pytest.approx(0.99)
    other = KEY.replace("raw", "speaker_centred")
    table = rows_of(Planted())
    second = table[table["key"] == KEY].assign(key=other)
    section = SECTION.model_copy(update={"keys": (KEY, other)})
    one = decide(table, second, section=section)["x"]
    alone = decide(table)["x"]
    assert one.operative[0].measured.low < alone.operative[0].measured.low
    assert set(one.keys) == {KEY, other}


def test_the_first_split_decides_and_the_others_show_the_spread():
    stop = rows_of(Planted(val=1.0, eval=1.0, speaker_sd=0.002), split_seed=1)
    one = decide(rows_of(Planted(), split_seed=7), stop)["x"]
    assert one.verdict == "PROCEED"
    assert [row.split_seed for row in one.informational] == [7, 1]
    assert all(row.outcome is None for row in one.informational)


def test_surrogates_are_not_decided_on_and_other_representations_are():
    twin = rows_of(Planted(), name="x--shuffled")
    other = rows_of(Planted(val=1.0, eval=1.0, speaker_sd=0.002), name="other")
    decided = decide(rows_of(Planted()), twin, other)
    assert {name: one.verdict for name, one in decided.items()} == {"x": "PROCEED", "other": "STOP"}


def test_the_document_is_json_and_its_verdict_is_the_registered_representations():
    decided = decide(rows_of(Planted()), rows_of(Planted(status="not_attempted: few"), name="b"))
    document = decision_document(decided, SECTION)
    canonical_json(document)
    assert document["verdict"] == document["representations"]["x"]["verdict"] == "PROCEED"
    gates = document["representations"]["x"]["gates"]
    assert len([row for row in gates["operative"] if row["outcome"]]) == 7 * 2
    assert len(gates["literal"]) == 2 * 2
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_mean_reversion_rows_inform_and_never_judge():
    one = verdict(Planted())
    rows = [row for row in one.operative if row.name == "mean_reversion"]
    assert {row.quantity for row in rows} == {"mean_reversion_key", "mean_reversion_ridge_r2"}
    assert all(row.outcome is None and row.lag == 1 for row in rows)
    ridge = next(row for row in rows if row.quantity == "mean_reversion_ridge_r2")
    assert ridge.threshold == pytest.approx(0.5, abs=0.01), "the white-noise null"
