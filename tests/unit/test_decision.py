"""Every word of the gate by a smallest table, and every row that stands in its way."""

import json
import math
from typing import Any

import pytest
from scipy import stats

from engram_audio.structure.decision import decision_document
from engram_audio.structure.evidence import Evidence, HeadsGain, Source
from engram_audio.structure.gate_row import Direction, Measured, judge
from engram_audio.structure.wording import NO_ENERGY
from engram_audio.verdicts.words import (
    INVALID,
    NO_CONTROL,
    NO_HEADS,
    PROCEED,
    STOP,
    UNDECIDED,
    WRONG_KEY_MEAN,
)
from tests.unit.gate_tables import (
    KEY,
    NAME,
    NOTHING_ADDED,
    OTHER,
    SECTION,
    decide,
    gains,
    row,
    rows,
)

STRONG, NONE, OPEN = gains(0.3), gains(0.0), gains(0.02, se=0.05)


def _on(slice_name: str, part: str, **changes: Any) -> list[dict[str, Any]]:
    """Return a structured key's rows, with changes in one row only."""
    return [
        row(**{**_place(one), **(changes if _is_at(one, slice_name, part) else {})})
        for one in rows()
    ]


def _place(one: dict[str, Any]) -> dict[str, Any]:
    return {"key": one["key"], "part": one["part"], "slice_name": one["slice"]}


def _is_at(one: dict[str, Any], slice_name: str, part: str) -> bool:
    return one["slice"] == slice_name and one["part"] == part


def test_a_key_that_adds_on_every_slice_and_transfers_proceeds():
    assert decide(rows(), STRONG).verdict == PROCEED


def test_without_heads_the_answer_names_that():
    one = decide(rows())
    assert one.verdict == NO_HEADS and "No density head" in one.sentence


def test_nothing_to_add_and_nothing_that_heads_gain_stops():
    one = decide(rows(**NOTHING_ADDED), NONE)
    assert one.verdict == STOP
    assert (
        "slice all" in one.sentence and "Ridge on the same past explains R^2 0.250" in one.sentence
    )
    assert f"The chosen key: {KEY}, lag 2" in one.sentence
    assert "80 of 100 studies" in one.sentence


@pytest.mark.parametrize("control", ["control_permuted", "control_swapped"])
def test_there_is_no_stop_where_the_instrument_is_off(control: str):
    """A bias that takes from useless keys may have taken from this one too."""
    off: dict[str, Any] = {**NOTHING_ADDED, control: (-0.1, 0.005)}
    one = decide(rows(**off), NONE)
    assert one.verdict == INVALID and "the instrument is off" in one.sentence


def test_one_slice_without_anything_is_enough_for_a_stop():
    table = _on("medial", "eval", **NOTHING_ADDED)
    one = decide(table, {"all": STRONG["all"], "medial": NONE["medial"]})
    assert one.verdict == STOP and "slice medial" in one.sentence
    assert one.first.ruled_out == ["medial"]


def test_there_is_no_stop_where_heads_were_not_run():
    one = decide(rows(**NOTHING_ADDED))
    assert one.verdict == UNDECIDED and "run the prediction stage" in one.sentence


def test_there_is_no_stop_where_the_heads_interval_reaches_delta():
    """A gain of .02 with an interval of .1: no equivalence, whatever its value."""
    assert decide(rows(**NOTHING_ADDED), gains(0.0, se=0.05)).verdict == UNDECIDED
    assert decide(rows(**NOTHING_ADDED), OPEN).verdict == UNDECIDED


def test_heads_that_are_surely_worse_than_the_null_gain_nothing():
    assert decide(rows(**NOTHING_ADDED), gains(-0.5)).verdict == STOP


def test_heads_gain_and_no_key_adds_is_the_wrong_key():
    one = decide(rows(**NOTHING_ADDED), STRONG)
    assert one.verdict == WRONG_KEY_MEAN and "no key's mean adds enough" in one.sentence


@pytest.mark.parametrize(
    ("heads", "first"), [(STRONG, "added_fraction"), (NONE, "heads_gain"), (OPEN, "heads_gain")]
)
def test_a_word_that_no_key_suffices_shows_the_row_that_falls_short(heads, first: str):
    """Where no key adds enough, the rows behind the word hold the chosen key's, per slice."""
    deciding = decide(rows(**NOTHING_ADDED), heads).first.judged.deciding
    short = [row for row in deciding if row.name == "added_fraction"]
    assert deciding[0].name == first
    assert [row.slice for row in short] == list(SECTION.slices)
    assert {(row.key, row.outcome) for row in short} == {(KEY, "fail")}


def test_a_word_without_heads_rests_on_the_rows_of_the_key():
    one = decide(rows(**NOTHING_ADDED))
    assert one.verdict == UNDECIDED and one.first.judged.deciding[0].name == "added_fraction"


def test_a_key_that_adds_enough_is_never_said_to_fall_short():
    deciding = decide(rows(), STRONG, Source(overlap_frames=1)).first.judged.deciding
    assert {row.outcome for row in deciding} == {"pass"}


@pytest.mark.parametrize(("is_declared", "outcome"), [(True, None), (False, "pass")])
def test_causality_that_nobody_measured_is_not_met(is_declared: bool, outcome: str | None):
    one = decide(rows(), STRONG, Source(overlap_frames=1, is_declared=is_declared))
    row = next(row for row in one.first.rows if row.name == "causality")
    assert row.outcome == outcome and one.verdict == PROCEED
    assert ("declared, not measured" in one.sentence) == is_declared
    late = decide(rows(), STRONG, Source(is_causal=False, is_declared=is_declared))
    assert late.verdict == UNDECIDED


def test_a_second_candidate_that_may_add_forbids_the_stop():
    """All candidates must be ruled out, chosen or not."""
    wide: dict[str, Any] = {"added_fraction": (0.0, 0.2), "added_nats_per_frame": (0.0, 0.2)}
    table = [*rows(**NOTHING_ADDED), *rows(OTHER, **wide)]
    assert decide(table, NONE).verdict == UNDECIDED


def test_an_invalid_candidate_does_not_forbid_the_stop():
    wide: dict[str, Any] = {
        "added_fraction": (0.0, 0.2),
        "added_nats_per_frame": (0.0, 0.2),
        "excluded_mass": 0.5,
    }
    table = [*rows(**NOTHING_ADDED), *rows(OTHER, **wide)]
    assert decide(table, NONE).verdict == STOP


def test_the_level_of_a_stop_is_shared_over_the_slices():
    """An upper bound below .05 at 95 % but not at 97.5 % (two slices) rules nothing out."""
    plain, shared = (stats.t.ppf(0.5 + level / 2, 100) for level in (0.95, 0.975))
    se = 0.05 / ((plain + shared) / 2)
    assert plain * se < 0.05 < shared * se
    nats: dict[str, Any] = {"added_nats_per_frame": (0.5, 0.02)}
    assert decide(rows(added_fraction=(0.0, se), **nats), NONE).first.ruled_out == []
    single = SECTION.model_copy(update={"slices": ("all",)})
    one = decide(rows(added_fraction=(0.0, se), **nats), NONE, section=single)
    assert one.first.ruled_out == ["all"]


def test_the_level_of_the_heads_is_shared_over_the_slices_too():
    """A gain below delta at 95 % but not at 97.5 % (two slices) stops nothing: each may err."""
    plain, shared = (stats.t.ppf(0.5 + level / 2, 6) for level in (0.95, 0.975))
    high = 0.019  # delta is .02
    se = high / plain
    assert se * shared > 0.02
    gain = HeadsGain(Measured(0.0, -high, high), 0.5, df=6)
    both = decide(rows(**NOTHING_ADDED), dict.fromkeys(SECTION.slices, gain))
    assert both.verdict == UNDECIDED
    assert "At the level shared over 2 slices" in both.sentence
    single = SECTION.model_copy(update={"slices": ("all",)})
    assert decide(rows(**NOTHING_ADDED), {"all": gain}, section=single).verdict == STOP


def test_a_proceed_is_judged_at_the_plain_level():
    """All rows must pass, so no level is shared: a lower bound just above .05 is enough."""
    plain = stats.t.ppf(0.975, 100)
    low, lower = 0.05 + 1e-6, 0.05 - 1e-6
    assert decide(rows(added_fraction=(low + 0.01 * plain, 0.01)), STRONG).verdict == PROCEED
    assert decide(rows(added_fraction=(lower + 0.01 * plain, 0.01)), STRONG).verdict == UNDECIDED


@pytest.mark.parametrize("slice_name", SECTION.slices)
@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"added_fraction": (0.05, 0.01)}, UNDECIDED),  # value at the threshold
        ({"added_fraction": (0.02, 0.02)}, UNDECIDED),  # value below, not surely
        ({"added_nats_per_frame": (0.02, 0.01)}, UNDECIDED),
        ({"transfer_loss_high": 0.21}, UNDECIDED),
        ({"transfer_loss": 0.4, "transfer_loss_low": 0.3, "transfer_loss_high": 0.5}, UNDECIDED),
        ({"transfer_loss": math.nan, "transfer_loss_low": math.nan,
          "transfer_loss_high": math.nan}, UNDECIDED),
        ({"control_permuted": (0.01, 0.01)}, UNDECIDED),  # straddles the tolerance
        ({"control_permuted": (0.1, 0.005)}, INVALID),
        ({"control_swapped": (-0.1, 0.005)}, INVALID),
        ({"excluded_mass": 0.11}, INVALID),
        ({"oracle_excluded_mass": 0.11}, INVALID),
        ({"cost_of_fitting": 0.0038}, INVALID),  # half of .05 x .15 is .00375
        ({"oracle_cost_of_fitting": 0.076}, INVALID),  # half of .15 is .075
        ({"num_effective_speakers": 4.9}, INVALID),
    ],
)  # fmt: skip
def test_one_row_on_one_slice_stands_in_the_way(
    changes: dict[str, Any], word: str, slice_name: str
):
    assert decide(_on(slice_name, "eval", **changes), STRONG).verdict == word


@pytest.mark.parametrize(
    "changes",
    [
        {"excluded_mass": 0.1}, {"oracle_excluded_mass": 0.1}, {"cost_of_fitting": 0.0037},
        {"oracle_cost_of_fitting": 0.074}, {"num_effective_speakers": 5.0},
        {"transfer_loss": -0.3, "transfer_loss_low": -0.4, "transfer_loss_high": -0.2},
        {"transfer_loss_high": 0.199},
    ],
)  # fmt: skip
def test_a_row_that_just_passes_changes_nothing(changes: dict[str, Any]):
    assert decide(_on("all", "eval", **changes), STRONG).verdict == PROCEED


def test_the_key_is_chosen_on_select_and_eval_has_no_say():
    better = [
        row(OTHER, part, name, added_fraction=(0.5 if part == "select" else 0.0, 0.01))
        for name in SECTION.slices
        for part in ("val", "select", "eval")
    ]
    one = decide([*rows(), *better], STRONG)
    assert one.first.candidate is not None and one.first.candidate.key == OTHER
    assert one.first.candidate.chosen_on == "select"
    assert one.verdict == UNDECIDED, "the first key would pass, but it was not chosen"


def test_too_few_speakers_leave_the_choice_to_val():
    table = [one for one in rows() if one["part"] != "select"]
    one = decide(table, STRONG)
    assert one.first.candidate is not None and one.first.candidate.chosen_on == "val"


def test_a_key_that_is_invalid_where_it_is_chosen_is_listed_and_not_chosen():
    spoilt = rows(OTHER, added_fraction=(0.9, 0.01), excluded_mass=0.3)
    one = decide([*rows(), *spoilt], STRONG)
    assert one.first.candidate is not None and one.first.candidate.key == KEY
    listed = {each.key: each.reason for each in one.first.candidates}
    assert "30.0 %" in listed[OTHER] and one.verdict == PROCEED


def test_the_answer_is_invalid_only_where_no_candidate_is_left():
    one = decide(rows(excluded_mass=0.3), STRONG)
    assert one.verdict == INVALID and f"{KEY} because 30.0 %" in one.sentence


def test_a_representation_that_sees_later_frames_never_proceeds():
    one = decide(rows(), STRONG, Source(is_causal=False))
    assert one.verdict == UNDECIDED and "later samples" in one.sentence


@pytest.mark.parametrize(
    ("source", "word", "words"),
    [
        (Source(overlap_frames=1), PROCEED, ""),
        (Source(overlap_frames=None), PROCEED, ""),
        (Source(overlap_frames=2), NO_CONTROL, "2 neighbouring frames share samples"),
    ],
)
def test_overlap_must_be_excluded(source: Source, word: str, words: str):
    one = decide(rows(), STRONG, source)
    assert one.verdict == word and words in one.sentence


@pytest.mark.parametrize(("share", "word"), [(0.01, PROCEED), (0.011, INVALID)])
def test_recordings_under_two_speakers_are_no_transfer(share: float, word: str):
    """One in a hundred decides nothing. With more the answer is invalid and names a pair."""
    source = Source(overlap_frames=1, copied_share=share, copied_pair="u1 and u2")
    one = decide(rows(), STRONG, source)
    assert one.verdict == word
    assert ("u1 and u2 are such a pair" in one.sentence) == (word == INVALID)


def test_overlap_is_the_first_thing_to_exclude_where_a_key_is_wrong():
    """Structure that no key carries may be the encoder's own: the sentence begins with that."""
    one = decide(rows(**NOTHING_ADDED), STRONG, Source(overlap_frames=4))
    assert one.verdict == WRONG_KEY_MEAN
    opening, _, rest = one.sentence.partition("Exclude the encoder's overlap first:")
    assert "4 neighbouring frames share samples" in rest and "First row" not in opening
    assert "overlap" not in decide(rows(**NOTHING_ADDED), STRONG, Source(overlap_frames=1)).sentence


def test_unknown_overlap_is_said():
    """A user's own vectors may overlap: the verdict says that nobody excluded it."""
    words = "Overlap of the encoder was not excluded."
    assert words in decide(rows(), STRONG, Source()).sentence
    assert words in decide(rows(**NOTHING_ADDED), STRONG, Source()).sentence
    assert words not in decide(rows(), STRONG, Source(overlap_frames=1)).sentence


@pytest.mark.parametrize(
    ("share", "word"), [(0.0, PROCEED), (0.14, UNDECIDED), (0.2, UNDECIDED), (0.3, UNDECIDED)]
)
def test_a_control_that_carries_the_same_forbids_the_proceed(share: float, word: str):
    """The key must add .05 more than where only the encoder's overlap is left."""
    control = rows(name="control", added_fraction=(share, 0.01))
    source = Source(overlap_frames=2, overlap_control="control")
    assert decide([*rows(), *control], STRONG, source).verdict == word


@pytest.mark.parametrize(
    ("others", "word"),
    [
        ([], PROCEED),
        (["yes"], PROCEED),
        (["open"], UNDECIDED),  # one of two is not most
        (["yes", "open"], PROCEED),
        (["open", "open"], UNDECIDED),
        (["yes", "yes", "no"], UNDECIDED),
    ],
)
def test_other_split_seeds_can_only_hold_a_proceed_back(others: list[str], word: str):
    sides: dict[str, dict[str, Any]] = {
        "yes": {},
        "open": {"added_fraction": (0.05, 0.02)},
        "no": NOTHING_ADDED,
    }
    table = rows()
    for seed, side in enumerate(others, start=1):
        table += rows(seed=seed, **sides[side])
    one = decide(table, STRONG)
    assert one.verdict == word
    assert list(one.splits.values()) == ["yes", *others]


def test_delta_is_a_share_of_what_heads_know_and_at_least_the_floor():
    assert decide(rows(), gains(0.3, information=1.0)).delta == 0.02
    assert decide(rows(), gains(0.3, information=10.0)).delta == pytest.approx(0.1)
    small = rows(added_nats_per_frame=(0.08, 0.001))
    assert decide(small, gains(0.3, information=1.0)).verdict == PROCEED
    assert decide(small, gains(0.3, information=10.0)).verdict != PROCEED


def test_what_would_have_been_shown_is_the_worst_slice():
    one = decide(_on("medial", "eval", added_fraction=(0.05, 0.03)), STRONG)
    lengths = stats.t.ppf(0.975, 100) + stats.t.ppf(0.8, 100)
    assert one.smallest_shown == pytest.approx(0.05 + 0.03 * lengths)


def test_a_missing_slice_is_no_proceed():
    table = [one for one in rows() if one["slice"] == "all"]
    assert decide(table, STRONG).verdict == INVALID


def test_the_literal_gate_is_printed_and_never_decides():
    one = decide(rows(ratio=(0.1, 0.01)), STRONG)
    assert {each.outcome for each in one.literal} == {"pass"}
    worse = decide(rows(ratio=(0.9, 0.01)), STRONG)
    assert [each.outcome for each in worse.literal if each.name == "ratio"] == ["fail", "fail"]
    assert one.verdict == worse.verdict == PROCEED


def test_a_key_of_the_brief_that_was_not_scored_is_named():
    gate = SECTION.literal_gate.model_copy(update={"keys": ("mean_pool.raw.kmeans_64",)})
    one = decide(rows(), STRONG, section=SECTION.model_copy(update={"literal_gate": gate}))
    assert all(each.outcome == "invalid" for each in one.literal)


def test_the_document_holds_only_numbers_json_knows():
    document = decision_document(
        {NAME: decide(rows(), STRONG)}, SECTION, Evidence({}, {NAME: Source()})
    )
    assert document["verdict"] == PROCEED and document["representations"][NAME]["key"] == KEY
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_slice_that_the_representation_lacks_is_not_judged_and_said():
    """Arrays without energies have no speech: the other slices decide."""
    section = SECTION.model_copy(update={"slices": ("all", "speech")})
    table = [
        row(part=part, slice_name=name, status=NO_ENERGY if name == "speech" else "ok")
        for name in section.slices
        for part in ("val", "select", "eval")
    ]
    decided = decide(table, STRONG, section=section)
    assert decided.verdict == decide(rows(), STRONG).verdict
    assert "speech was not judged" in decided.sentence
    assert {one.slice for one in decided.first.rows} == {"all"}


@pytest.mark.parametrize(
    ("direction", "touching", "beyond"),
    [("above", Measured(0.07, 0.05, 0.09), 0.0501), ("below", Measured(0.03, 0.01, 0.05), 0.0499)],
)
def test_an_interval_that_touches_the_threshold_decides_nothing(
    direction: Direction, touching: Measured, beyond: float
):
    """Only an interval wholly on one side passes."""
    assert judge(touching, 0.05, direction) == "undecided"
    inside = {"low": beyond} if direction == "above" else {"high": beyond}
    assert judge(touching._replace(**inside), 0.05, direction) == "pass"
