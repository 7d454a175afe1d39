"""The rules of the corpus stage: which jobs run for which kind of corpus, and what reruns."""

import copy
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from engram_audio.artifacts.audio import write_flac
from tests.workflow.conftest import snakemake, write_config
from tests.workflow.test_audio_folder import write_folder, write_table
from tests.workflow.test_corpus_steps import RATE, good_tree, noise

SPLITS = "results/demo/splits/{}/seed-0/splits.parquet"
SHARDS = "results/demo/corpus/{}/shards.parquet"


def with_corpus(config: dict[str, Any], **corpus: Any) -> dict[str, Any]:
    """The demo's configuration with one more corpus, `mine`."""
    changed = copy.deepcopy(config)
    changed["corpora"]["mine"] = {"minimum_duration_s": 3.0, "num_shards": 2, **corpus}
    return changed


def run(folder: Path, config: dict[str, Any], *arguments: str):
    path = write_config(folder, config)
    return snakemake(folder, "--configfile", path, "-j1", *arguments)


def test_a_directory_is_split_and_only_what_changed_reruns(
    tmp_path: Path, demo_config: dict[str, Any]
):
    """More shards than utterances fail, with the key in the log."""
    good_tree(tmp_path / "speech")
    config = with_corpus(demo_config, kind="directory", root="speech")
    targets = [SPLITS.format("mine"), SHARDS.format("mine")]
    first = run(tmp_path, config, *targets)
    assert first.code == 0, first.text
    assert first.jobs == {
        "locate_corpus": 1,
        "index_corpus": 1,
        "assign_shards": 1,
        "make_splits": 1,
    }
    splits = pd.read_parquet(tmp_path / targets[0])
    assert splits["split"].value_counts().to_dict() == {"train": 8, "eval": 6, "val": 4}
    again = run(tmp_path, config, *targets)
    assert again.code == 0 and again.jobs == {}
    config["splits"]["val_fraction"] = 0.4
    changed = run(tmp_path, config, "-n", *targets)
    assert changed.jobs == {"make_splits": 1}
    config["corpora"]["mine"]["num_shards"] = 7
    failed = run(tmp_path, config, SHARDS.format("mine"))
    log = (tmp_path / "logs/demo/corpus/mine/shards.log").read_text()
    assert failed.code != 0 and failed.jobs["assign_shards"] == 1
    assert "corpora.mine.num_shards: 7" in log and "Traceback" not in log


def test_librispeech_downloads_each_subset_once(tmp_path: Path, demo_config: dict[str, Any]):
    libri = {"kind": "librispeech", "root": "L", "subsets": ["dev-clean", "test-clean"]}
    target = "results/demo/corpus/mine/utterances.parquet"
    asked = run(tmp_path, with_corpus(demo_config, **libri, download=True), "-n", target)
    assert asked.jobs["download_librispeech"] == 2
    unasked = run(tmp_path, with_corpus(demo_config, **libri, download=False), "-n", target)
    assert "download_librispeech" not in unasked.jobs and unasked.jobs["locate_corpus"] == 1


def test_an_existing_librispeech_tree_needs_no_network(tmp_path: Path, demo_config: dict[str, Any]):
    """`download: true` with the subset in place: a receipt is written, nothing is fetched."""
    good_tree(tmp_path / "L")
    (tmp_path / "L" / "s").rename(tmp_path / "L" / "dev-clean")
    libri = {"kind": "librispeech", "root": "L", "subsets": ["dev-clean"], "download": True}
    path = write_config(tmp_path, with_corpus(demo_config, **libri))
    done = snakemake(
        tmp_path, "--configfile", path, "-j1", SHARDS.format("mine"),
        environment={"ENGRAM_LIBRISPEECH_URL": "http://127.0.0.1:9"},  # nobody listens
    )  # fmt: skip
    assert done.code == 0, done.text
    receipt = tmp_path / "results/demo/corpus/mine/download-dev-clean.json"
    assert json.loads(receipt.read_text())["url"] is None


@pytest.mark.slow
def test_audio_deleted_by_hand_is_listed_again(tmp_path: Path, demo_config: dict[str, Any]):
    """A corpus of the user's own is what is there when a run is planned, at every run."""
    good_tree(tmp_path / "speech")
    config = with_corpus(demo_config, kind="directory", root="speech")
    target = "results/demo/corpus/mine/utterances.parquet"
    assert run(tmp_path, config, target).code == 0
    before = pd.read_parquet(tmp_path / target)
    lost = tmp_path / "speech/s/1/11/1-11-0001.flac"
    lost.unlink()
    again = run(tmp_path, config, target)
    assert again.code == 0 and again.jobs == {"locate_corpus": 1, "index_corpus": 1}, again.text
    after = pd.read_parquet(tmp_path / target)
    assert set(before["utterance_id"]) - set(after["utterance_id"]) == {"1-11-0001"}
    write_flac(lost, noise(4.0, 1001), RATE)  # as good_tree wrote it
    assert run(tmp_path, config, target).code == 0
    assert pd.read_parquet(tmp_path / target).equals(before)
    assert run(tmp_path, config, target).jobs == {}


def test_a_name_has_one_meaning(tmp_path: Path, demo_config: dict[str, Any]):
    """Arrays bring their own utterances, so they cannot share a corpus's name."""
    config = copy.deepcopy(demo_config)
    config["representations"]["analysed"].append("demo_speech")
    config["representations"]["library"]["demo_speech"] = {
        "kind": "arrays", "path": "x", "table": "x.csv", "frame_rate_hz": 12.5,
        "latent_space": "x", "is_causal": True, "num_shards": 1, "surrogates": [],
    }  # fmt: skip
    refused = run(tmp_path, config, "-n", SPLITS.format("demo_speech"))
    assert refused.code != 0 and "must not share its name with a corpus" in refused.text


def test_a_folder_with_a_table_is_split_and_an_edited_table_is_seen(
    tmp_path: Path, demo_config: dict[str, Any]
):
    """WAV files of twelve speakers, by a table below the corpus's folder."""
    root = write_folder(tmp_path / "speech")
    rows = write_table(root)
    config = with_corpus(demo_config, kind="directory", root="speech", layout="table")
    config["corpora"]["mine"] |= {"table": "people.csv", "minimum_duration_s": 1.0}
    first = run(tmp_path, config, SPLITS.format("mine"))
    assert first.code == 0, first.text
    assert len(pd.read_parquet(tmp_path / SPLITS.format("mine"))) == 24
    (root / "people.csv").write_text("\n".join(["file,speaker_id,sex", *rows[:-1]]))
    again = run(tmp_path, config, "-n", SPLITS.format("mine"))
    assert again.jobs == {"locate_corpus": 1, "index_corpus": 1, "make_splits": 1}
