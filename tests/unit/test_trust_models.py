"""Known answers of the stages that stand on models or laws, with and without planted bugs.

Law: every answer comes out in the honest code, and each bug makes one of its stage's answers fail.
"""

import importlib
from collections.abc import Callable

import pandas as pd
import pytest

from engram_audio.calibration.rows import CalibrationRow
from engram_audio.trust.bug import STAGES, SabotageRow
from engram_audio.trust.bugs import BUGS, NO_BUG, planted_bug
from engram_audio.trust.factorizer_probe import factorizer_rows
from engram_audio.trust.generation_probe import generation_rows
from engram_audio.trust.keys_probe import keys_rows
from engram_audio.trust.memory_probe import memory_rows
from engram_audio.trust.rollout_probe import rollout_rows
from engram_audio.trust.tables import model_rows, sabotage_frame
from engram_audio.trust.verdicts import verdict_rows

PROBES: dict[str, Callable[[], list[CalibrationRow]]] = {
    "factorizer": factorizer_rows, "memory": memory_rows, "rollout": rollout_rows,
    "keys": keys_rows, "generation": generation_rows,
}  # fmt: skip
OF_MODELS = [name for name, bug in BUGS.items() if bug.stage in STAGES]


@pytest.fixture(scope="module")
def honest() -> dict[str, list[CalibrationRow]]:
    return {stage: probe() for stage, probe in PROBES.items()}


def test_every_known_answer_comes_out(honest: dict[str, list[CalibrationRow]]):
    assert set(honest) == set(STAGES)
    assert [row.quantity for rows in honest.values() for row in rows if not row.passes] == []
    assert all(row.stage == stage for stage, rows in honest.items() for row in rows)


@pytest.mark.parametrize("bug", OF_MODELS)
def test_a_bug_moves_an_answer_of_its_stage(bug: str):
    with planted_bug(bug):
        rows = PROBES[BUGS[bug].stage]()
    assert [row.quantity for row in rows if not row.passes]


def test_each_stage_has_five_bugs_or_more():
    assert all(sum(BUGS[bug].stage == stage for bug in OF_MODELS) >= 5 for stage in STAGES)


def test_their_answers_are_published_once(honest: dict[str, list[CalibrationRow]]):
    """Those of the honest code, and no answer that a bug has moved."""
    rows = [SabotageRow(NO_BUG, row) for own in honest.values() for row in own]
    moved = [SabotageRow(OF_MODELS[0], one.row._replace(passes=False)) for one in rows]
    found = model_rows(sabotage_frame([*rows, *moved]))
    assert found == [one.row for one in rows]


def test_the_badge_names_the_stages():
    """A stage whose bugs slip through is seen at a glance."""
    bugs = {
        name: {"stage": bug.stage, "is_caught": name != "kept_without_sign"}
        for name, bug in BUGS.items()
    }
    table = pd.DataFrame({"passes": [True], "kind": ["number"]})
    row = verdict_rows(table, {"sabotage": {"bugs": bugs}})[1]
    of = {stage: sum(bug.stage == stage for bug in BUGS.values()) for stage in STAGES}
    assert f"memory {of['memory']} of {of['memory']}" in row.sentence
    assert f"rollout {of['rollout'] - 1} of {of['rollout']}" in row.sentence


def test_a_table_that_names_bugs_stays_light():
    """What is wrong is said without a network library."""
    for name in ("bugs", "wrong", "wrong_arms", "wrong_models"):
        module = importlib.import_module(f"engram_audio.trust.{name}")
        assert "torch" not in vars(module)
