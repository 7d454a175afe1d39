"""The data dictionary names every column that the tables publish."""

import re
from pathlib import Path

import pytest

from engram_audio.corpus.corpus_tables import CORPUS_COLUMNS, EXCLUSION_COLUMNS
from engram_audio.structure.comparisons import SURROGATES
from tests.unit.structure_scores import Planted
from tests.unit.test_estimates import structure

TEXT = (Path(__file__).parents[2] / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"[a-z][a-z0-9_]*", TEXT))


def base_name(column: str) -> str:
    """Strip what the dictionary explains once for all columns."""
    column = re.sub(r"_bootstrap_(low|high)$", "_bootstrap_", column)
    column = re.sub(r"_(low|high|se)$", "", column)
    surrogate = r"^explained_fraction_(shuffled|phase_randomized|var)$"
    return re.sub(surrogate, "explained_fraction_", column)


def test_every_column_of_the_structure_table_is_described():
    surrogates = {kind: Planted() for kind in SURROGATES}
    columns = {base_name(name) for name in structure(Planted(), surrogates).columns}
    assert columns - WORDS == set()


@pytest.mark.parametrize("columns", [CORPUS_COLUMNS, EXCLUSION_COLUMNS])
def test_columns_of_corpora_are_described(columns: tuple[str, ...]):
    assert set(columns) - WORDS == set()
