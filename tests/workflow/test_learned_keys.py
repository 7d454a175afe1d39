"""Keys by their laws through Snakemake: predictors, learned keys of every method, tables, page."""

import subprocess
import sys
from pathlib import Path

import pytest

from engram_audio.artifacts.published import read_csv
from engram_audio.keys.columns import KEY_DIRECTIONS, KEYS
from tests.workflow.tiny_study import (
    add_learned_keys,
    checkout,
    environment,
    tiny_config,
    write_config,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny study's own arrays, keys by their laws and nothing after them."""
    folder = checkout(tmp_path_factory.mktemp("laws") / "study")
    config = tiny_config()
    add_learned_keys(config)
    for stage in ("prediction", "factorizer", "memory", "rollout", "generation"):
        config[stage]["representations"] = []
    config["representations"]["analysed"] = ["brought"]
    write_config(folder, config)
    command = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", "-c2"]
    done = subprocess.run(
        [*command, "results/keys.html"], cwd=folder, env=environment(folder), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_method_has_a_row(folder: Path):
    """Each key alone and beside the linear base, with what stands beside it."""
    table = read_csv(folder / "results" / "tables" / "keys.csv", KEYS)
    whole = table.loc[table["slice"] == "all"]
    for base in ("none", "linear"):
        rows = whole.loc[whole["base"] == base].set_index("key")
        learned = [key for key in rows.index if key.startswith("learned.raw.")]
        assert len(learned) == 8
        assert rows.loc[learned, "nats"].notna().all()
        assert rows.loc[learned, "num_values"].gt(0).all()
        assert {"predictor", "bank", "permuted.4", "target_oracle.4"} <= set(rows.index)
    assert whole["agreement"].notna().sum() == 2


def test_directions_stand_beside_their_nulls(folder: Path):
    """One row for each comparison."""
    table = read_csv(folder / "results" / "tables" / "key_directions.csv", KEY_DIRECTIONS)
    assert len(table) == 5
    assert table["angle_deg"].between(0, 180).all()


def test_the_page_shows_both_curves(folder: Path):
    """Alone, and beside the linear base."""
    page = (folder / "results" / "keys.html").read_text(encoding="utf-8")
    assert "What survives a key alone" in page
    assert "What survives a key beside the linear base" in page
