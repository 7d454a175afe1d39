"""The calibration's own laws: derived settings, expectations, verdicts, the published document."""

import copy
import inspect

import numpy as np
import pandas as pd
import pytest

from engram_audio.calibration.published import Published, published_rows
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.rows import CalibrationRow
from engram_audio.calibration.truth import Truth
from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.plan import Plan
from engram_audio.trust.bug import SabotageRow
from engram_audio.trust.bugs import BUGS, NO_BUG, owner_of, planted_bug
from engram_audio.trust.error_rates import RateRow
from engram_audio.trust.tables import (
    Verdict,
    calibration_document,
    calibration_table,
    row_frame,
    rows_of,
    sabotage_matrix,
)
from tests import studies

EMPTY, KEYWORD = inspect.Parameter.empty, inspect.Parameter.KEYWORD_ONLY
PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def demo() -> dict:
    return studies.study("demo")


def test_worlds_are_representations_that_the_study_does_not_decide_on():
    """Every rule knows them by name, and neither the decision nor prediction gathers them."""
    plan = Plan(parse_config(demo()))
    worlds = plan.calibration.worlds()
    assert worlds and set(worlds) <= set(plan.config.representations.library)
    assert not set(worlds) & set(plan.latents.analysed())
    assert not set(worlds) & {name for name, _, _, _ in plan.prediction.runs()}
    assert all(plan.latents.split_seeds(name) == [plan.config.splits.seeds[0]] for name in worlds)


def test_worlds_run_with_the_registered_part_of_the_study():
    """Their keys, the oracles of these, the registered lag and slices, and nothing else."""
    config = parse_config(demo())
    structure = studies.worlds_structure(config)
    assert set(config.views.judged_slices) <= set(structure.slices)
    assert set(structure.lags_frames) == {1, config.decision.lag_frames}
    names = set(studies.worlds_families(config))
    assert names == {key.split(".")[0] for key in config.calibration.worlds.keys} | {
        "target_oracle"
    }


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["calibration", "worlds", "names"], ["type3"], "type2"),
        (["representations"], {"world_x": None}, "world_"),
    ],
)
def test_mistakes_name_the_key(path, value, words):
    """An unknown world and a name that belongs to calibration are refused in one line."""
    raw = copy.deepcopy(demo())
    if path == ["representations"]:
        library = raw["representations"]["library"]
        library["world_x"] = {**library["mel_pca"]}
    else:
        raw[path[0]][path[1]][path[2]] = value
    with pytest.raises(InputError, match=words):
        parse_config(raw)


def published(ratio: float, slice_name: str = "all", lag: int = 2, added: float = 0.0) -> Published:
    """One key on one slice with e = 0.002."""
    row = {
        "key": "pca.raw.kmeans_8", "slice": slice_name, "subspace": "all", "part": "eval",
        "lag_frames": lag, "ratio": ratio * 1.002, "explained": 1 - ratio, "explained_se": 0.001,
        "control_permuted": 0.0, "control_permuted_se": 0.001, "control_swapped": 0.0,
        "control_swapped_se": 0.001, "added": added, "added_se": 0.001, "added_var": np.nan,
        "cost_of_fitting": 0.002, "attainable": 0.5, "num_train_frames": 9000, "linear_r2": 0.0,
    }  # fmt: skip
    linear = pd.DataFrame(
        columns=["model", "lag_frames", "slice", "part", "r2", "r2_se"], dtype=object
    )
    return Published(pd.DataFrame([row]), linear, ["pca.raw.kmeans_8"], 2, 8)


@pytest.mark.parametrize(("ratio", "passes"), [(1.0, True), (1.0049, True), (0.99, False)])
def test_white_noise_at_lag_two_has_ratio_one(ratio: float, passes: bool):
    """Tolerance 3 x .001 + e = .005 on both sides: a key that seems to know is off."""
    world = make_world("iid", 0)
    rows = published_rows("iid", world, world.exact_truths((1, 2)), published(ratio))
    null = [row for row in rows if "nothing to know" in row.quantity]
    assert [row.passes for row in null] == [passes]


@pytest.mark.parametrize(("added", "passes"), [(-0.3, True), (0.01, True), (0.04, False)])
def test_no_key_adds_more_than_the_exact_mean(added: float, passes: bool):
    """White noise: at most 0, 3 errors of .001, .002 of cost and twice 128 / 9000 of ridge's."""
    world, truth = make_world("iid", 0), [Truth("added_ceiling", 2, 0.0)]
    rows = published_rows("iid", world, truth, published(1.0, added=added))
    bound = [row for row in rows if "exact mean" in row.quantity]
    assert [row.passes for row in bound] == [passes]


@pytest.mark.parametrize(("ratio", "passes"), [(0.7, True), (0.62, True), (0.59, False)])
def test_no_key_beats_the_exact_predictor(ratio: float, passes: bool):
    """var1 at lag 2 leaves .609 of the variance whatever one does; a key may leave more."""
    world = make_world("var1", 0)
    rows = published_rows("var1", world, world.exact_truths((1, 2)), published(ratio))
    bound = [row for row in rows if "exact predictor" in row.quantity]
    assert [row.passes for row in bound] == [passes]


def test_the_null_slice_of_a_gated_world_is_judged_there():
    """silence: exactly 1 in speech, no claim about all frames."""
    world = make_world("silence", 0)
    rows = published_rows("silence", world, world.exact_truths((1, 2)), published(0.9, "speech"))
    assert [row.passes for row in rows if "speech" in row.quantity] == [False]
    rows = published_rows("silence", world, world.exact_truths((1, 2)), published(0.9))
    assert not [row for row in rows if "nothing to know" in row.quantity]


@pytest.mark.parametrize(("added", "passes"), [(0.0049, True), (0.0051, False), (-0.0051, False)])
def test_a_linear_world_lets_no_key_add(added: float, passes: bool):
    """Tolerance 3 x .001 + cost .002: beyond it a key that seems to add is off."""
    world = make_world("var1", 0)
    table = published(0.7, added=added)
    rows = published_rows("var1", world, world.exact_truths((1, 2)), table)
    assert [row.passes for row in rows if row.quantity.startswith("added ")] == [passes]


ROW = CalibrationRow("iid", "structure", "ratio", 2, 1.0, 0.0, 1.0, 0.001, 0.003, np.inf, True)


def document(rows=(ROW,), verdict=True, coverage=0.95, caught=True, rate=0.02):
    limits = parse_config(demo()).calibration.power
    rates = [
        RateRow("equal", "added fraction", "false PROCEED", rate, 0.004, 2000),
        RateRow("equal", "added fraction", "coverage", coverage, 0.005, 2000),
        RateRow("one with half", "added fraction", "INVALID", 1.0, 0.004, 2000),
        RateRow("one with half", "added fraction", "coverage", 0.6, 0.005, 2000),
    ]
    table = calibration_table(rows, [Verdict("iid", "STOP", "STOP", verdict)], rates, limits)
    under = [SabotageRow(NO_BUG, ROW)]
    under += [SabotageRow(bug, ROW._replace(passes=not caught)) for bug in BUGS]
    frame = pd.DataFrame([{"bug": one.bug, **one.row._asdict()} for one in under])
    return calibration_document(table, sabotage_matrix(frame), rates)


def test_trust_needs_every_row_every_verdict_coverage_and_every_bug():
    """One failure anywhere takes the badge away; what is INVALID by rule is shown, not claimed."""
    assert document()["is_trusted"]
    assert document()["num_rows"] == 4, "number, verdict, error rate, coverage"
    assert not document(rate=0.05)["is_trusted"], "3 errors of .004 above .025 are too many"
    assert not document(rows=[ROW._replace(passes=False)])["is_trusted"]
    assert not document(verdict=False)["is_trusted"]
    assert not document(coverage=0.9)["is_trusted"]
    assert not document(caught=False)["is_trusted"]
    assert document(caught=False)["bugs_missed"] == list(BUGS)


def test_an_open_side_is_null_in_the_document():
    """JSON has no infinity: no bound is null, not a large number."""
    assert document()["rows"][0]["tolerance_above"] is None


def test_comparisons_survive_their_table():
    """Rows to a table and back are the same rows."""
    assert rows_of(row_frame([ROW])) == [ROW]


@pytest.mark.parametrize("name", list(BUGS))
def test_a_wrong_function_is_called_as_the_right_one(name: str):
    """What a call of the right one must give is enough for the wrong one."""
    owner, attribute = owner_of(BUGS[name].target)
    right = getattr(owner, attribute)
    asked = [one for one in inspect.signature(right).parameters.values() if one.default is EMPTY]
    named = {one.name: None for one in asked if one.kind is KEYWORD}
    count = sum(one.kind in PLACED for one in asked)
    inspect.signature(BUGS[name].replace(right)).bind(*[None] * count, **named)


@pytest.mark.parametrize("name", list(BUGS))
def test_a_planted_bug_is_gone_afterwards(name: str):
    """The real function is back even when the block raises."""
    owner, attribute = owner_of(BUGS[name].target)
    right = getattr(owner, attribute)
    with pytest.raises(RuntimeError), planted_bug(name):
        assert getattr(owner, attribute) is not right
        raise RuntimeError
    assert getattr(owner, attribute) is right
