"""What would change the answer: each other choice gives the verdict that it alone would give."""

import pandas as pd

from engram_audio.structure.changes import changes_table
from engram_audio.structure.evidence import Evidence, Source
from engram_audio.verdicts.words import PROCEED, STOP, UNDECIDED
from tests.unit.gate_tables import KEY, NAME, NOTHING_ADDED, OTHER, SECTION, gains, rows

LARGER = "pca.raw.kmeans_256"


def _table(*parts: list[dict[str, object]], heads: float = 0.3) -> pd.DataFrame:
    structure = pd.DataFrame([row for part in parts for row in part])
    evidence = Evidence({NAME: gains(heads)}, {NAME: Source()})
    table = changes_table(structure, SECTION, 0.95, lambda lag: evidence)
    return table.set_index(["change", "value"])


def test_the_study_as_it_is_comes_first():
    table = _table(rows())
    assert table.index[0] == ("nothing", "") and table["verdict"].iloc[0] == PROCEED
    assert not table["is_other"].iloc[0]


def test_every_other_candidate_is_tried_as_the_only_one():
    """Another K of the chosen key is named so; a key that adds nothing beside heads is wrong."""
    table = _table(rows(), rows(LARGER, added_fraction=(0.06, 0.02)), rows(OTHER, **NOTHING_ADDED))
    assert table.loc[("K", LARGER), "verdict"] == UNDECIDED
    assert table.loc[("key", OTHER), "verdict"] == "WRONG KEY (mean only)"
    assert ("key", KEY) not in table.index


def test_another_lag_and_split_are_told():
    table = _table(rows(), rows(lag=4, **NOTHING_ADDED), rows(seed=1, added_fraction=(0.05, 0.02)))
    assert table.loc[("lag", "4"), "verdict"] != PROCEED
    assert table.loc[("split seed", "1"), "verdict"] == UNDECIDED


def test_each_slice_is_tried_alone():
    """Nothing on `medial`: a STOP of the whole, a PROCEED of `all` alone."""
    own = [
        row if row["slice"] == "all" else rows(**NOTHING_ADDED)[3 + number % 3]
        for number, row in enumerate(rows())
    ]
    table = _table(own, heads=0.0)
    assert table.loc[("nothing", ""), "verdict"] == STOP
    assert table.loc[("slice", "all alone"), "verdict"] == PROCEED
    assert table.loc[("slice", "medial alone"), "verdict"] == STOP


def test_a_threshold_a_fifth_lower_or_higher_is_tried():
    """A lower bound of .045 lies between .04 and .05."""
    table = _table(rows(added_fraction=(0.0648, 0.01)))
    assert table.loc[("nothing", ""), "verdict"] == UNDECIDED
    lower = table.loc[("minimum added fraction", "0.04")]
    assert lower["verdict"] == PROCEED and lower["is_other"]
    assert table.loc[("minimum added fraction", "0.06"), "verdict"] == UNDECIDED
