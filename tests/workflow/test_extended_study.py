"""A key and a memory added as docs/extend.md says: planned, fitted and scored by one study.

Law: what the page shows is all that it takes. The packages are those of the page, the YAML is its
blocks, and the memory reads the added key.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.plugin_packages import install, shown_section
from tests.workflow.test_own_data import QUICK, Study, write_array_table, write_arrays

pytestmark = pytest.mark.slow
KEY, SIGNS = "steps.raw.kmeans_16", "steps.second_differences.signs"
ADDED = {
    "keys": {"library": {"steps": shown_section("keys")}},
    "structure": {"families": ["mean_pool", "pca", "steps", "target_oracle"]},
    "memory": {
        "representations": ["arrays"],
        "memories": ["code_means"],
        "bases": ["linear"],
        "num_folds": 2,
        "controls": {"curve_widths": [8], "datastore_frames": 1000, "datastore_queries": 500},
        "library": {"code_means": {**shown_section("memory"), "key": KEY}},
    },
    "representations": {"library": {"arrays": {"surrogates": []}}},
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    site = install(tmp_path / "site", monkeypatch)
    (tmp_path / "added.yaml").write_text(yaml.safe_dump(ADDED), encoding="utf-8")
    write_arrays(tmp_path / "data" / "arrays")
    write_array_table(tmp_path / "data" / "arrays.csv")
    found = Study(tmp_path, "arrays", "arrays.yaml", python_path=(site,))
    found.overlays.append("added.yaml")
    return found


def table(study: Study, name: str) -> pd.DataFrame:
    path = study.folder / "results" / "arrays" / "tables" / f"{name}.csv"
    return pd.read_csv(path, comment="#", keep_default_na=False, na_values=[""])


def test_a_key_and_a_memory_of_the_page_are_planned_fitted_and_scored(study: Study):
    assert QUICK["structure"]["minimum_cell_frames"] <= 10, "cells of 16 must count"
    study.finish()
    keys = table(study, "structure")
    found = keys.loc[(keys["part"] == "eval") & (keys["slice"] == "all")
                     & (keys["subspace"] == "all")].set_index("key")  # fmt: skip
    for name in (KEY, SIGNS):
        rows = found.loc[[name]]
        assert (rows["status"] == "ok").all() and (rows["codebook_size"] == 16).all(), name
        assert np.isfinite(rows["added"].to_numpy(float)).all(), name
    memories = table(study, "memory")
    rows = memories.loc[(memories["memory"] == "code_means") & (memories["part"] == "eval")
                        & (memories["slice"] == "all")]  # fmt: skip
    assert {"knock_out", "random_values", "shuffled_keys"} <= set(rows["control"])
    assert np.isfinite(rows["memory_nll_nats"].to_numpy(float)).all()
    (verdict,) = table(study, "memory_verdict").to_dict("records")
    assert verdict["memory"] == "code_means" and verdict["deciding_control"]
    page = (study.folder / "results" / "arrays" / "report.html").read_text(encoding="utf-8")
    assert KEY in page and "code_means" in page
