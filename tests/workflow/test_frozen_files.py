"""A changed value or edited code reruns what it decides, with and without Snakemake's memory.

Law: what a run makes depends on configuration and code alone. Each case is a real dry run and a
real run of a small study whose jobs a stand-in for Python finishes.
"""

import copy
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from engram_audio.artifacts.table import write_csv
from engram_audio.errors import InputError
from engram_audio.frozen import read_frozen
from engram_audio.steps import decide
from engram_audio.structure.columns import STRUCTURE
from tests.workflow.small_study import (
    SmallStudy,
    build,
    copied,
    small_config,
    with_hidden_folders,
)
from tests.workflow.tiny_study import CONFIG, stand_in_environment

SPLITS = {"seeds": [0], "eval_fraction": 0.4, "val_fraction": 0.25, "select_fraction": 0.1}
AFTER_SPLITS = {
    "make_splits": 2, "check_splits": 2, "fit_keys": 4, "score_structure_keys": 6,
    "score_linear_baselines": 2,
    "tabulate_structure": 1, "tabulate_corpus": 1, "decide": 1, "tabulate_verdicts": 1,
    "render_report": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> SmallStudy:
    """The small study, finished once."""
    return build(tmp_path_factory.mktemp("small") / "study")


@pytest.fixture(
    params=["without .snakemake", pytest.param("with its memory", marks=pytest.mark.slow)]
)
def study(finished: SmallStudy, tmp_path: Path, request: pytest.FixtureRequest) -> SmallStudy:
    """A copy of the finished study; in one case Snakemake has lost its memory."""
    has_memory = request.param == "with its memory"
    return (with_hidden_folders if has_memory else copied)(finished, tmp_path / "study")


def representations(*analysed: str, **of_each: dict[str, Any]) -> dict[str, Any]:
    """The small study's representations with changed rows, all of them analysed or some."""
    settings = copy.deepcopy(small_config()["representations"])
    for name, row in of_each.items():
        settings["library"].setdefault(name, {}).update(row)
    return {**settings, "analysed": list(analysed) or settings["analysed"]}


def test_a_finished_study_has_nothing_to_do_and_plans_leave_no_trace(study: SmallStudy):
    assert study.plan() == {}
    assert study.plan() == {}
    assert all(len(study.frozen(rule)) == 1 for rule in ("decide", "render_report"))


def test_an_edit_reruns_what_reads_it_and_nothing_else(study: SmallStudy):
    """What runs is what a plan lists. One file of each job is kept, and a plan removes none."""
    study.write(splits=SPLITS)
    assert study.plan() == AFTER_SPLITS
    assert len(study.frozen("make_splits")) == 4, "a dry run removes nothing"
    assert study.snakemake() == AFTER_SPLITS
    assert len(study.frozen("make_splits")) == 2
    assert study.plan() == {}


def test_a_title_reruns_the_page(study: SmallStudy):
    study.write(report={**small_config()["report"], "title": "Another"})
    assert study.plan() == {"render_report": 1}


def test_edit_and_edit_back_without_a_run_is_nothing(study: SmallStudy):
    study.write(splits=SPLITS)
    assert study.plan() == AFTER_SPLITS
    study.write()
    assert study.plan() == {}
    study.write(splits=SPLITS)
    assert study.plan() == AFTER_SPLITS, "the file of the first plan is no excuse"


@pytest.mark.slow
def test_edit_run_edit_back_run_makes_the_first_again(study: SmallStudy):
    study.write(splits=SPLITS)
    study.run()
    study.write()
    assert study.run() == AFTER_SPLITS
    assert study.plan() == {}


@pytest.mark.slow
def test_two_subjects_that_exchange_their_settings_are_both_made_again(study: SmallStudy):
    swapped = representations(brought={"latent_space": "two"}, other={"latent_space": "one"})
    study.write(representations=swapped)
    jobs = study.run()
    assert jobs["index_arrays"] == jobs["import_arrays"] == 2
    assert study.plan() == {}


def test_a_subject_that_takes_the_settings_of_another_is_made_again(study: SmallStudy):
    study.write(representations=representations(other={"latent_space": "one"}))
    jobs = study.plan()
    assert jobs["index_arrays"] == jobs["import_arrays"] == 1


@pytest.mark.slow
def test_a_list_that_loses_a_member_makes_its_table_again(study: SmallStudy):
    """What is gathered is part of a job: no value of the table's own settings has changed."""
    study.write(representations=representations("brought"))
    assert set(study.run()) == {
        "tabulate_structure", "tabulate_corpus", "decide", "tabulate_verdicts", "render_report",
    }  # fmt: skip


def test_a_table_deleted_and_asked_for_is_made_from_the_present_settings(study: SmallStudy):
    study.write(splits=SPLITS)
    (study.folder / "results/tables/structure.csv").unlink()
    jobs = study.plan("results/tables/structure.csv")
    assert jobs["make_splits"] == 2 and jobs["tabulate_structure"] == 1


def test_a_frozen_file_changed_by_hand_is_refused_by_steps_and_mended_by_the_driver(
    study: SmallStudy,
):
    (path,) = study.frozen("decide")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"confidence":0.95', '"confidence":0.5'), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text
    with pytest.raises(InputError, match=r"decide/study\.\w+\.json: is not what its name says"):
        read_frozen(path)
    study.run()
    assert path.read_text(encoding="utf-8") == text and study.plan() == {}


@pytest.mark.slow
def test_drivers_that_plan_at_once_write_whole_files(finished: SmallStudy, tmp_path: Path):
    """Of one content; the first to write decides the time, so nothing is made twice."""
    study = copied(finished, tmp_path / "study")
    study.write(splits=SPLITS)
    plans: list[dict[str, int]] = []
    threads = [threading.Thread(target=lambda: plans.append(study.plan())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert plans == [AFTER_SPLITS] * 3
    folder = study.folder / "results" / "config"
    assert not list(folder.rglob("*.part"))
    for path in folder.glob("make_splits/*.json"):
        read_frozen(path)


def test_a_later_driver_does_not_make_a_frozen_file_younger(finished: SmallStudy, tmp_path: Path):
    study = copied(finished, tmp_path / "study")
    before = {path: path.stat().st_mtime_ns for path in study.frozen("score_structure_keys")}
    study.plan()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_array_overwritten_after_indexing_is_indexed_and_imported_again(study: SmallStudy):
    """Also where size and content stay: who touches a file says that it changed."""
    path = study.folder / "arrays" / "s00-u0.npy"
    path.write_bytes(path.read_bytes())
    jobs = study.plan()
    assert jobs["index_arrays"] == jobs["import_arrays"] == 2


def test_an_artifact_of_other_settings_is_refused_by_its_reader(
    finished: SmallStudy, tmp_path: Path
):
    """A table made elsewhere, or kept by `--touch`, does not pass for this study's."""
    study = copied(finished, tmp_path / "study")
    (path,) = study.frozen("decide")
    table = study.folder / "results" / "tables" / "structure.csv"
    old = "tabulate_structure/study.0123456789abcdef"
    write_csv(table, STRUCTURE.empty(), STRUCTURE, {"settings": old})
    with pytest.raises(InputError, match=f"structure.csv: was made with other settings .{old}"):
        decide.main([
            "--settings", str(path), "--structure", str(table), "--linear", str(table),
            "--summaries", *map(str, study.folder.glob("results/latents/*/summary.json")),
            "--decision", str(tmp_path / "decision.json"),
        ])  # fmt: skip


@pytest.mark.slow  # tests/unit/test_pinned.py asks the same of the file that notes them
def test_weights_that_changed_since_their_first_use_stop_the_plan(
    finished: SmallStudy, tmp_path: Path
):
    study = copied(finished, tmp_path / "study")
    weights = study.folder / "lyra"
    weights.mkdir()
    for name in ("soundstream_encoder", "lyragan", "quantizer"):
        (weights / f"{name}.tflite").write_bytes(name.encode())
    speech = {
        "kind": "codec", "corpus": "mine", "codec": "lyra", "permute_blocks_s": None,
        "surrogates": [],
    }  # fmt: skip
    lyra = {"kind": "lyra", "weights_dir": "lyra", "num_quantizers": None}
    study.write(
        representations=representations("brought", "other", "speech", speech=speech),
        codecs={"library": {"lyra": lyra}, "ladders": {}},
        corpora={"mine": {"kind": "directory", "root": "speech", "minimum_duration_s": 1.0,
                          "num_shards": 1}},
    )  # fmt: skip
    (study.folder / "speech").mkdir()
    target = "results/latents/speech/shard-000.zarr.zip"
    assert study.plan(target)["extract_latents"] == 1
    (weights / "quantizer.tflite").write_bytes(b"quantizes")
    with pytest.raises(AssertionError, match=r"lyra/quantizer\.tflite: SHA-256 is"):
        study.plan(target)
    (study.folder / "results/config/pinned/lyra.json").unlink()
    assert study.plan(target)["extract_latents"] == 1


def planned_by_its_own_package(study: SmallStudy) -> str:
    """Plan in a process that imports the package of the study's own folder."""
    variables = {**stand_in_environment(study.folder), "PYTHONPATH": str(study.folder)}
    command = [sys.executable, "-m", "snakemake", "-n", "-c1", "--configfile", CONFIG]
    done = subprocess.run(
        command, cwd=study.folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_edited_code_reruns_what_reaches_it(study: SmallStudy):
    assert "Nothing to be done" in planned_by_its_own_package(study)
    module = study.folder / "engram_audio" / "structure" / "gates.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(text + "\n_edited = 1\n", encoding="utf-8")
    changed = planned_by_its_own_package(study)
    assert "rule decide:" in changed and "rule score_structure_keys:" not in changed
    module.write_text(text, encoding="utf-8")
    assert "Nothing to be done" in planned_by_its_own_package(study)
