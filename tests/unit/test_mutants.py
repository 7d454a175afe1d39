"""The planted bugs fit the code of today: each applies once, and names tests that exist.

Whether the tests notice them costs half an hour: `make mutants`.
"""

import ast
import json
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from mutants import wide
from mutants.__main__ import believed, honest
from mutants.report import report
from mutants.table import ROOT, Mutant, read_mutants

MUTANTS = read_mutants()
MOST_TESTS, FEWEST_MUTANTS = 3, 80


def test_there_are_enough_over_all_stages():
    assert len(MUTANTS) >= FEWEST_MUTANTS
    names = Counter(mutant.name for mutant in MUTANTS)
    assert [name for name, count in names.items() if count > 1] == []
    stages = {"corpus", "latents", "keys", "densities", "structure", "prediction", "factorizer",
              "memory", "rollout", "generation", "comparison", "calibration", "statistics",
              "verdicts", "training", "decision"}  # fmt: skip
    assert stages <= {mutant.stage for mutant in MUTANTS}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_patch_applies_exactly_once_and_names_fast_tests(mutant: Mutant):
    """To today's code; what it makes of a module is Python, and not the module itself."""
    text = mutant.text()
    before = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(before))
    assert 1 <= len(mutant.tests) <= MOST_TESTS
    for test in mutant.tests:
        code = (ROOT / test).read_text(encoding="utf-8")
        assert "\npytestmark = pytest.mark.slow" not in code, f"{test} is slow as a whole"


def test_a_patch_that_no_longer_fits_is_named():
    lost = MUTANTS[0]._replace(old="no such text")
    with pytest.raises(ValueError, match=f"{lost.name}: {lost.file} holds its text 0 times"):
        lost.text()


def test_tests_that_are_red_without_a_bug_catch_nothing():
    """Each test file runs once with nothing changed."""
    plain = honest(MUTANTS)
    assert {test for one in plain for test in one.tests} == {t for m in MUTANTS for t in m.tests}
    assert all(one.text() == (ROOT / one.file).read_text(encoding="utf-8") for one in plain)
    outcomes = {one.name: "survived" for one in plain} | {one.name: "caught" for one in MUTANTS}
    assert set(believed(MUTANTS, outcomes).values()) == {"caught"}
    outcomes[plain[0].name] = "caught"
    broken = {name for name, word in believed(MUTANTS, outcomes).items() if word == "broken"}
    assert broken == {one.name for one in MUTANTS if plain[0].tests[0] in one.tests}


def test_the_page_counts_what_is_caught():
    outcomes = {mutant.name: "caught" for mutant in MUTANTS} | {MUTANTS[0].name: "survived"}
    page = report(MUTANTS, outcomes)
    assert f"**Caught {len(MUTANTS) - 1} of {len(MUTANTS)}.**" in page
    assert [mutant for mutant in MUTANTS if mutant.what in page] == [MUTANTS[0]]
    assert page.count("survived") == 1 and f"({MUTANTS[0].name}: survived)" in page


def test_the_wide_net_is_set_over_folders_and_tests_that_are_there():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    net = settings["tool"]["mutmut"]
    assert net["only_mutate"] == [f"engram_audio/{name}/*" for name in wide.FOLDERS]
    paths = [*net["also_copy"], *net["pytest_add_cli_args_test_selection"]]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_wide_net_draws_the_same_changes_whatever_their_order():
    names = [f"change_{number}" for number in range(50)]
    drawn = wide.sample(names, 7, 0)
    assert drawn == wide.sample(names[::-1], 7, 0) and len(set(drawn)) == 7
    assert drawn != wide.sample(names, 7, 1)
    assert wide.sample(names[:3], 7, 0) == names[:3]


def test_the_wide_net_may_be_cast_over_some_folders():
    names = ["engram_audio.keys.fit.x_fit__mutmut_1", "engram_audio.stats.keys.x_keys__mutmut_1"]
    assert wide.within(names, ["keys"]) == names[:1]
    assert wide.within(names, ()) == names


def test_the_wide_net_names_every_change_that_no_test_noticed(tmp_path: Path):
    """From the files that mutmut leaves: an exit code for each change."""
    codes = {"a": 1, "b": 0, "c": 33, "d": None, "e": -24, "f": -11}
    (tmp_path / "m.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    outcomes = {name: wide.outcome_of(code) for name, code in wide.exit_codes(tmp_path).items()}
    assert outcomes == {"a": "caught", "b": "survived", "c": "untested", "d": "not run",
                        "e": "hung", "f": "ended with -11"}  # fmt: skip
    text = wide.page(outcomes, {name: f"-{name}" for name in "bcdf"})
    assert text.splitlines()[0] == "noticed 2 of 6"
    assert all(f"{name}: {outcomes[name]}\n-{name}" in text for name in "bcdf")
