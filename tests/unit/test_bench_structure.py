"""The benchmark of the structure stage reads what the stage writes now."""

import importlib.util
import json
from pathlib import Path

import pytest

from tests import studies


def test_the_stage_has_a_ratio_for_each_key_and_control(tmp_path: Path):
    """A few speakers of 8 dimensions: one ratio for each key and control, near 1 where torn."""
    bench = load("structure")
    data = tmp_path / "data"
    data.mkdir()
    parts = tmp_path / "parts.json"
    parts.write_text(json.dumps(bench.write_shards(data, 1, 5, 8)))
    shards = sorted(data.iterdir())
    job = bench.work(shards, parts, {"mean_pool": bench.SMALL_FAMILIES["mean_pool"]}, full=False)
    assert set(job["ratios"]) == {
        f"mean_pool.raw.kmeans_64.{control}" for control in ("none", "permuted", "swapped")
    }
    assert job["ratios"]["mean_pool.raw.kmeans_64.permuted"] == pytest.approx(1.0, abs=0.05)


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, studies.ROOT / "bench" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
