"""The planted bugs fit the code of today: each applies once, and names tests that exist.

Whether the tests notice them costs half an hour: `make mutants`.
"""

import ast
from collections import Counter

import pytest

from mutants.__main__ import believed, honest
from mutants.report import report
from mutants.table import ROOT, Mutant, read_mutants
from mutants.wide import variants, wide_mutants

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
    assert all(mutant.what in page for mutant in MUTANTS)
    assert page.count("survived") == 1 and f"({MUTANTS[0].name}: survived)" in page


@pytest.mark.parametrize(
    ("code", "expected"),
    [("a < b", ["a <= b"]), ("a + b", ["a - b"]), ("not a", ["a"]), ("3", ["4"]),
     ("a and b", ["a or b"]), ("a @ b", []), ("True", [])],
)  # fmt: skip
def test_the_wide_net_changes_one_thing(code: str, expected: list[str]):
    node = ast.parse(code, mode="eval").body
    assert [ast.unparse(new) for new in variants(node)] == expected


def test_the_wide_net_covers_the_folders_that_are_named():
    found = wide_mutants(["stats"])
    assert len(found) > 100
    assert all(mutant.text() for mutant in found)
    with pytest.raises(ValueError, match="no tests are named"):
        wide_mutants(["report"])
