"""One archive of a study: what explains its numbers, and nothing that is large or private."""

import json
import math
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from engram_audio.artifacts.table import write_table
from engram_audio.errors import InputError
from engram_audio.licences import licence_lines
from engram_audio.report.methods import methods_sentences
from engram_audio.study_bundle import members, write_archive

SECTIONS = {
    "corpora.libri": {"kind": "librispeech", "subsets": ["dev-clean"], "minimum_duration_s": 3.0},
    "codecs.library.mimi": {"kind": "mimi"},
    "codecs.library.other": {"kind": "dac", "checkpoint": "some/dac"},
    "representations.library.mimi": {"kind": "codec", "codec": "mimi"},
    "splits": {"eval_fraction": 0.2, "select_fraction": 0.1, "val_fraction": 0.1},
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    results = tmp_path / "results"
    for name, sections in (("old", {"splits": {"eval_fraction": 0.5}}), ("new", SECTIONS)):
        parts = [{"section": key, "value": value} for key, value in sections.items()]
        path = results / "config" / "make_splits" / f"study.{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"settings": {"section": parts}}), encoding="utf-8")
    (results / "tables").mkdir()
    (results / "tables" / "structure.csv").write_text("a\n1\n", encoding="utf-8")
    (results / "report.html").write_text("<!doctype html>", encoding="utf-8")
    (results / "latents").mkdir()
    write_table(results / "latents" / "x.parquet", pd.DataFrame({"a": [1]}), {"step": "index"})
    (results / "latents" / "sound.flac").write_bytes(b"fLaC")
    (results / "broken.parquet").write_bytes(b"no")
    return results


def texts(content: dict[str, bytes]) -> dict[str, str]:
    return {name: value.decode() for name, value in content.items()}


def test_configuration_tables_manifests_and_page_are_in_and_data_is_not(results: Path):
    found = texts(members(results))
    assert json.loads(found["configuration.json"]) == SECTIONS, "the newest of each section"
    assert found["results/tables/structure.csv"] == "a\n1\n"
    assert {"results/report.html", "versions.json", "data.json", "methods.txt"} <= set(found)
    manifests = [json.loads(line) for line in found["manifests.jsonl"].splitlines()]
    assert [one["artifact"] for one in manifests] == ["broken.parquet", "latents/x.parquet"]
    assert "unreadable" in manifests[0] and manifests[1]["step"] == "index"
    assert not any(name.endswith((".flac", ".parquet")) for name in found)
    assert "results/report.html" not in members(results, has_page=False)


def test_errors_of_failed_jobs_are_in(results: Path, tmp_path: Path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("INFO\nerror: mend it\n", encoding="utf-8")
    assert "a.log: error: mend it" in texts(members(results, tmp_path / "logs"))["errors.txt"]


def test_equal_files_give_equal_bytes(results: Path, tmp_path: Path):
    paths = [tmp_path / "build" / name for name in ("a.zip", "b.zip")]
    for path in paths:
        write_archive(path, members(results))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with zipfile.ZipFile(paths[0]) as archive:
        assert archive.testzip() is None and "README.txt" in archive.namelist()


def test_a_folder_without_a_study_is_refused_with_the_remedy(tmp_path: Path):
    with pytest.raises(InputError, match="name the folder of a study's results"):
        members(tmp_path)


def test_terms_that_are_not_known_are_said_to_be_unknown():
    lines = "\n".join(licence_lines(SECTIONS))
    assert "weights codecs.library.mimi: kyutai/mimi: CC BY 4.0" in lines
    assert "other: not recorded here: read the card of some/dac" in lines
    assert "data corpora.libri: LibriSpeech" in lines


def test_methods_name_what_was_run_and_no_other_stage():
    text = " ".join(methods_sentences(SECTIONS))
    assert "LibriSpeech (dev-clean)" in text and "held out for scores" in text
    assert "`mimi` (kind mimi)" in text
    for absent in ("Memory", "memories", "Free running", "Factoriser", "heads"):
        assert absent not in text
    assert all(len(one.split()) <= 32 for one in methods_sentences(SECTIONS))


def test_methods_say_what_a_split_held_out_and_not_what_was_asked():
    """Of 24 speakers 7 are eval. A tenth of 17 would be 2, and 4 are the fewest of select."""
    counts = {"train": (13, 90), "val": (13, 10), "select": (4, 30), "eval": (7, 50)}
    rows = [{"corpus": "mine", "split_seed": math.nan, "split": "all", "num_speakers": 24,
             "num_utterances": 180}]  # fmt: skip
    rows += [
        {"corpus": "mine", "split_seed": 3, "split": part, "num_speakers": speakers,
         "num_utterances": utterances}
        for part, (speakers, utterances) in counts.items()
    ]  # fmt: skip
    text = " ".join(methods_sentences(SECTIONS, rows))
    assert "Split 3 of `mine` holds out 7 of 24 (29 %) speakers for eval" in text
    assert "4 of 17 (24 %) of the others for select" in text and "10 of 100 (10 %) are val" in text
    assert "10 % of" not in text, "the fraction that was asked"
