"""Codecs side by side on a tiny study: codecs.csv and frontier.csv, by the real workflow."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.latents import LatentStore
from tests.workflow.tiny_study import (
    CONFIG,
    add_comparison,
    checkout,
    environment,
    tiny_config,
    write_config,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the tiny study with one codec, its twins, a lower rate and noise."""
    folder = checkout(tmp_path_factory.mktemp("codecs") / "study")
    config = tiny_config()
    config["representations"]["analysed"] = ["mel_pca"]
    config["representations"]["library"]["mel_pca"]["surrogates"] = ["shuffled"]
    config["factorizer"]["representations"] = []
    config["decision"]["representation"] = "mel_pca"
    config["structure"]["families"] = ["pca", "target_oracle"]
    add_comparison(config)
    config["comparison"]["reconstruction"]["num_utterances"] = 6
    write_config(folder, config)
    targets = ["results/tables/codecs.csv", "results/tables/frontier.csv"]
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--configfile", CONFIG, "--cores", "2", "--", *targets],
        cwd=folder, env=environment(folder), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, (run.stdout + run.stderr)[-4000:]
    return folder / "results"


@pytest.fixture(scope="module")
def codecs(results: Path) -> pd.DataFrame:
    return pd.read_csv(results / "tables" / "codecs.csv").set_index("representation")


def shards(results: Path, name: str) -> LatentStore:
    return LatentStore(sorted((results / "latents" / name).glob("shard-*.zarr.zip")))


def test_rows_state_rate_dimension_and_bits(codecs: pd.DataFrame):
    assert codecs["frame_rate_hz"].tolist() == [12.5, 6.25, 12.5]
    assert codecs["num_dims"].tolist() == [4, 8, 4]
    assert codecs["rate_kind"].fillna("").tolist() == ["", "", "capacity_bound"]
    assert 0 < codecs.loc["mel_pca_noisy", "bits_per_s"] <= 12.5 * 4 * 0.5


def test_an_orthonormal_change_of_rate_costs_no_reconstruction(codecs: pd.DataFrame):
    """Only the frame of a partial last group is missing; noise, in contrast, is heard."""
    plain, matched, noisy = codecs["log_mel_l1"]
    assert matched == pytest.approx(plain, rel=0.05)
    assert noisy > 1.1 * plain
    assert codecs["num_decoded"].tolist() == [6] * 3
    assert codecs["num_decoded_speakers"].tolist() == [6] * 3


def test_grouped_shards_are_groups_of_the_source(results: Path):
    """Mean times sqrt(2) is the first half of a frame: checked against the source's shards."""
    source = shards(results, "mel_pca").load()
    grouped = shards(results, "mel_pca_matched").load()
    where = {str(name): number for number, name in enumerate(source.utterance_ids)}
    for number, name in enumerate(grouped.utterance_ids):
        place = where[str(name)]
        frames = source.frames[source.offsets[place] : source.offsets[place + 1]]
        rows = grouped.frames[grouped.offsets[number] : grouped.offsets[number + 1]]
        pairs = frames[: 2 * len(rows)].reshape(len(rows), 2, 4)
        np.testing.assert_allclose(rows[:, :4], pairs.mean(1) * np.sqrt(2), atol=1e-4)
    summary = read_json(results / "latents" / "mel_pca_matched" / "summary.json")
    lost = len(source.frames) - 2 * len(grouped.frames)
    assert summary["resampling"]["num_dropped_frames"] == lost
    assert 0 < summary["resampling"]["within_group_share"] < 1


def test_shares_of_overlap_have_their_twins(codecs: pd.DataFrame):
    """A mel_pca frame sees its own samples only: truncation to one frame loses nothing."""
    assert codecs.loc["mel_pca", "truncation_loss"] == pytest.approx(0, abs=1e-3)
    assert codecs["overlap_share"].notna().tolist() == [True, True, False]
    assert codecs["static_share"].notna().tolist() == [True, False, False]


def test_self_tests_of_the_codec_stand_beside_what_is_made_of_it(codecs: pd.DataFrame):
    assert min(codecs["num_self_tests"]) > 0
    assert codecs["num_self_tests"].tolist() == codecs["num_self_tests_passed"].tolist()


def test_the_frontier_has_the_ladder_in_its_order(results: Path):
    frontier = pd.read_csv(results / "tables" / "frontier.csv")
    assert frontier["representation"].tolist() == ["mel_pca_noisy", "mel_pca"]
    assert frontier["ladder"].unique().tolist() == ["noise"]
    assert True in frontier["is_pareto"].tolist()
