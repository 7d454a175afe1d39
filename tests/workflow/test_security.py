"""Hostile inputs are refused or stay text; secrets stay out of everything that is written."""

import copy
import json
import pickle
import re
import resource
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.external_arrays import read_array_table, read_arrays
from engram_audio.artifacts.librispeech_archive import member_problem
from engram_audio.artifacts.manifests import read_manifest
from engram_audio.artifacts.table import write_csv
from engram_audio.config import parse_config
from engram_audio.corpus.columns import EXCLUSIONS
from engram_audio.errors import InputError
from engram_audio.latents.arrays import index_arrays
from tests.workflow.conftest import ROOT, snakemake, write_config
from tests.workflow.lab import Lab, copy_of
from tests.workflow.tiny_study import SECRET

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = 'x\'; touch pwned; echo "$(touch pwned)`touch pwned`" <script>alert(1)</script>\nnext'
MEMORY_LIMIT = 4 << 30
CPU_LIMIT_S = 600  # three suffice; 10^9 values take an hour


class Payload:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "LibriSpeech/../../x", "LibriSpeech/\0x"])
def test_archive_members_outside_are_refused(name: str):
    assert member_problem(tarfile.TarInfo(name)) is not None


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x"])
def test_archive_links_are_refused(target: str):
    member = tarfile.TarInfo("LibriSpeech/dev-clean/1/2/link")
    member.type, member.linkname = tarfile.SYMTYPE, target
    assert member_problem(member) is not None


def test_a_yaml_bomb_is_one_clean_error():
    """10^9 values behind nine aliases: refused before they are written out."""
    with pytest.raises(InputError, match="aliases"):
        parse_config(yaml.safe_load(BOMB))


def test_a_yaml_circle_is_one_clean_error():
    with pytest.raises(InputError, match="levels"):
        parse_config(yaml.safe_load("a: &a [*a]\n"))


def test_a_yaml_bomb_in_the_configuration_file_ends_soon(tmp_path: Path):
    """Through Snakemake, which reads the file first: an error before it takes much."""
    (tmp_path / "bomb.yaml").write_text(f"representations: {{}}\n{BOMB}")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))

    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "-n", "--snakefile", str(ROOT / "Snakefile"),
            "--directory", str(tmp_path), "--configfile", str(tmp_path / "bomb.yaml"),
        ],
        capture_output=True, text=True, preexec_fn=limit, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "aliases" in done.stdout + done.stderr


def test_hostile_strings_in_the_configuration_stay_text(tmp_path: Path, demo_config):
    """Quotes, `;`, `$()`, backticks and a newline reach the frozen section unchanged."""
    config = {**demo_config, "report": {**demo_config["report"], "title": HOSTILE}}
    path = write_config(tmp_path, config)
    outcome = snakemake(tmp_path, "--configfile", path, "-n")
    assert outcome.code == 0, outcome.text
    (frozen,) = (tmp_path / "results/demo/config/render_report").iterdir()
    settings = json.loads(frozen.read_text(encoding="utf-8"))["settings"]
    assert settings["section"][0]["value"]["title"] == HOSTILE
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("name", ["../x", "a;b", "a b", "'", '"', "<b>", "a\nb", "é", ".."])
def test_names_of_rows_are_plain_words(demo_config, name: str):
    """Names become paths and wildcards: letters, digits and underscores only."""
    config = copy.deepcopy(demo_config)
    library = config["representations"]["library"]
    library[name] = library["mel_pca"]
    with pytest.raises(InputError, match="representations"):
        parse_config(config)


def test_hostile_utterance_names_are_excluded_with_a_reason(tmp_path: Path):
    """Rows of a user's table: `..`, HTML, quotes, newlines, `;`; the good one is kept."""
    bad = ["../../etc/x", "<script>alert(1)</script>", "a'b", 'a"b', "a\nb", "a;b", "..", "/x"]
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "good.npy", np.eye(5, 2, dtype=np.float32))
    table = pd.DataFrame({"utterance_id": [*bad, "good"], "speaker_id": "s"})
    table.to_csv(tmp_path / "table.csv", index=False)
    rows = read_arrays(tmp_path / "arrays", read_array_table(tmp_path / "table.csv"))
    index = index_arrays(rows, 12.5, 2, "mine")
    assert index.utterances["utterance_id"].tolist() == ["good"]
    assert sorted(index.exclusions["utterance_id"]) == sorted(bad)
    assert set(index.exclusions["reason"]) <= {"unsafe_name", "missing_file"}


def test_pickled_code_in_arrays_is_not_run(tmp_path: Path):
    """A .npy of objects is excluded; what it would do is not done."""
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "good.npy", np.eye(5, 2, dtype=np.float32))
    objects = np.array([Payload(tmp_path / "pwned")], dtype=object)
    np.save(tmp_path / "arrays" / "evil.npy", objects, allow_pickle=True)
    table = pd.DataFrame({"utterance_id": ["evil", "good"], "speaker_id": "s"})
    table.to_csv(tmp_path / "table.csv", index=False)
    rows = read_arrays(tmp_path / "arrays", read_array_table(tmp_path / "table.csv"))
    index = index_arrays(rows, 12.5, 2, "mine")
    assert index.utterances["utterance_id"].tolist() == ["good"]
    assert not (tmp_path / "pwned").exists()


def test_a_checkpoint_with_pickled_code_is_refused(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Payload(tmp_path / "pwned")))
    with pytest.raises(InputError, match=r"model\.safetensors"):
        read_bundle(path)
    assert not (tmp_path / "pwned").exists()


def test_nothing_in_the_package_unpickles():
    """No pickle, joblib or yaml.load, and torch.load of weights alone: files are data."""
    for path in sorted((ROOT / "engram_audio").rglob("*.py")):
        text = re.sub(r"torch\.load\([^()]*, weights_only=True\)", "", path.read_text("utf-8"))
        for word in ("import pickle", "torch.load", "joblib", "yaml.load(", "allow_pickle=True"):
            assert word not in text, f"{path}: {word}"


def test_a_script_in_a_table_stays_text_in_the_report(lab: Lab):
    """Through the workflow: a hostile exclusion is shown, not run."""
    table = lab.results / "tables" / "exclusions.csv"
    frame = pd.read_csv(table, keep_default_na=False)
    row = dict.fromkeys(frame.columns, "<script>alert(1)</script><img src=x onerror=alert(2)>")
    frame = pd.concat([frame, pd.DataFrame([row])], ignore_index=True)
    write_csv(table, frame, EXCLUSIONS, read_manifest(table))
    outcome = lab.run("--forcerun", "render_report")
    assert outcome.code == 0, outcome.text[-3000:] + lab.log("render_report.log")
    html = (lab.results / "report.html").read_text(encoding="utf-8")
    assert "alert(1)" in html, "the row is shown"
    assert "<script>alert(1)" not in html and "<img src=x" not in html


def test_secrets_of_the_environment_are_written_nowhere(finished_study: Path):
    """The study ran with tokens in its environment; no result, log or record holds them."""
    folders = ("results", "logs", "benchmarks", ".snakemake", "data")
    leaks = [
        str(path)
        for folder in folders
        for path in sorted((finished_study / folder).rglob("*"))
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert leaks == []


def test_the_fixture_really_had_the_secret(finished_study: Path, tmp_path: Path):
    """A test that cannot fail is none: the variable does reach the jobs' environment."""
    lab = copy_of(finished_study, tmp_path / "study")
    assert SECRET in lab.environment().values()
