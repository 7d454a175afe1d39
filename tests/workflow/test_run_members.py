"""Members of one job end with the bytes of jobs of their own, and none is made twice.

Law: after one stale member, a kill after half of them, or a failing member, only what is not there
is made.
"""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.digest import file_digest
from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.artifacts.latents import LatentMetadata, LatentStore, write_latent_shard
from engram_audio.artifacts.table import write_table
from engram_audio.errors import InputError
from engram_audio.steps import fit_linear_nulls, run_members, train_density
from engram_audio.steps._batch import RECORD_VERSION
from engram_audio.steps._members import FOLDER
from tests.frozen_argv import frozen_argv, run_step
from tests.unit.prediction_material import first_order, head_settings, make_block, recipe
from tests.workflow.test_prediction_training import SECTION

SEEDS: tuple[int, ...] = (0, 1, 2, 3)
NAMES = {"model": "model.safetensors", "history": "history.jsonl"}


class Study:
    """A small representation, and a job that trains a head with some seeds."""

    def __init__(self, folder: Path) -> None:
        """Write what trainings read."""
        self.folder = folder
        block = make_block(first_order(0.7, 2), 4, 10, 0)
        metadata = LatentMetadata("world", 2, 12.5, "world", "0", True, 0)
        self.shard = folder / "shard-000.zarr.zip"
        write_latent_shard(self.shard, block, np.arange(len(block.frames)) / 12.5, metadata, {})
        parts = ["val" if n % 5 == 0 else "eval" if n >= 30 else "train" for n in range(40)]
        self.splits(parts, block.utterance_ids)
        small = recipe(num_steps=6, batch_frames=64, checkpoint_interval_steps=2)
        self.settings("prediction", SECTION)
        self.settings("nulls", {"orders": [1], "ridges": [1e-4]})
        self.settings("head", head_settings().model_dump(mode="json"))
        self.settings("recipe", small.model_dump(mode="json"))
        self.recipes = dict.fromkeys(SEEDS, "recipe")
        nulls = ["--nulls-section", folder / "nulls.json", "--nulls", folder / "nulls.safetensors"]
        run_step(fit_linear_nulls, [*self.inputs()[:6], *nulls])

    def settings(self, name: str, value: Any) -> None:
        """Write a section."""
        (self.folder / f"{name}.json").write_text(json.dumps(value))

    def splits(self, parts: list[str], utterances: Iterable[str]) -> None:
        """Write which part each utterance is in."""
        frame = pd.DataFrame({"utterance_id": utterances, "split": parts})
        write_table(self.folder / "splits.parquet", frame, {})

    def inputs(self) -> list[Any]:
        """Words of the files that each training reads."""
        names = {"section": "prediction.json", "splits": "splits.parquet",
                 "shards": "shard-000.zarr.zip", "nulls": "nulls.safetensors"}  # fmt: skip
        return [word for name, file in names.items() for word in (f"--{name}", self.folder / file)]

    def outputs(self, seed: int, place: str = "whole") -> dict[str, Path]:
        """Outputs of a training."""
        return {name: self.folder / place / f"seed-{seed}" / file for name, file in NAMES.items()}

    def argv(self, seed: int, place: str = "whole") -> list[str]:
        """Words of a training's command."""
        files = [w for name, path in self.outputs(seed, place).items() for w in (f"--{name}", path)]
        own = ["--head-section", self.folder / "head.json", "--lag", "1", "--seed", str(seed),
               "--recipe-section", self.folder / f"{self.recipes[seed]}.json"]  # fmt: skip
        return frozen_argv("train_density", [str(w) for w in (*self.inputs(), *own, *files)])

    def member(self, seed: int) -> dict[str, Any]:
        """What the plan says of a training."""
        settings = self.argv(seed)[1]
        shards, names = [str(self.shard)], ("splits", "nulls")
        suffixes = {"splits": ".parquet", "nulls": ".safetensors"}
        inputs = {name: [str(self.folder / f"{name}{suffixes[name]}")] for name in names}
        outputs = {name: str(path) for name, path in self.outputs(seed).items()}
        return {"settings": settings, "inputs": {**inputs, "shards": shards}, "outputs": outputs}

    @property
    def record(self) -> Path:
        """The job's record."""
        return self.folder / "members" / "train_density_of_world.json"

    def run(self) -> None:
        """Run the job."""
        words = ["--record", self.record, "--tensorboard", self.folder / "logs"]
        run_step(run_members, words, members=[self.member(seed) for seed in SEEDS])

    def alone(self, seed: int) -> None:
        """Train as a job of its own."""
        train_density.main([*self.argv(seed, "alone"), "--tensorboard", str(self.folder / "logs")])

    def bytes(self, place: str = "whole") -> dict[int, list[bytes]]:
        """What is there of each training."""
        return {s: [p.read_bytes() for p in self.outputs(s, place).values()] for s in SEEDS}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds that are trained, in their order."""
    seeds: list[int] = []
    train = train_density.main

    def counted(argv: list[str]) -> None:
        seeds.append(int(argv[1].rpartition("seed=")[2].partition(".")[0]))
        train(argv)

    monkeypatch.setattr(train_density, "main", counted)
    return seeds


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def test_members_have_the_bytes_of_jobs_of_their_own(study: Study, made: list[int]):
    study.run()
    for seed in SEEDS:
        study.alone(seed)
    assert study.bytes() == study.bytes("alone")
    assert made == [*SEEDS, *SEEDS]
    assert not (study.record.parent / FOLDER).exists()


def test_one_load_serves_all_members(study: Study, monkeypatch: pytest.MonkeyPatch):
    opened: list[int] = []
    init = LatentStore.__init__
    monkeypatch.setattr(LatentStore, "__init__", lambda *a: (opened.append(1), init(*a))[1])
    study.run()
    assert len(opened) == 1
    study.alone(0)
    assert len(opened) == 2, "nothing of a job outlives it"


def test_a_stale_member_alone_is_made_again(study: Study, made: list[int]):
    study.run()
    before = study.bytes()
    times = [path.stat().st_mtime_ns for path in study.outputs(0).values()]
    study.settings("longer", recipe(num_steps=8, batch_frames=64).model_dump(mode="json"))
    study.recipes[2] = "longer"
    made.clear()
    study.run()
    after = study.bytes()
    assert made == [2]
    assert [seed for seed in SEEDS if before[seed] != after[seed]] == [2]
    newer = [path.stat().st_mtime_ns for path in study.outputs(0).values()]
    assert all(new > old for new, old in zip(newer, times, strict=True)), "Snakemake goes by times"


def test_all_are_made_again_where_an_input_has_other_content(study: Study, made: list[int]):
    study.run()
    made.clear()
    study.run()
    assert made == [], "a new time of an input is no new content"
    study.splits(["val" if n % 5 == 1 else "train" for n in range(40)],
                 pd.read_parquet(study.folder / "splits.parquet")["utterance_id"])  # fmt: skip
    study.run()
    assert made == [*SEEDS]


@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_what_is_not_as_it_was_made_is_made_again(study: Study, made: list[int], fault: str):
    study.run()
    before = study.bytes()
    path = study.outputs(1)["model"]
    if fault == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
    else:
        path.unlink()
    made.clear()
    study.run()
    assert made == [1]
    assert study.bytes() == before


def test_a_kill_after_half_of_them_costs_the_one_that_ran(
    study: Study, made: list[int], monkeypatch: pytest.MonkeyPatch
):
    train = train_density.main

    def killed(argv: list[str]) -> None:
        if len(made) == 2:
            made.append(-1)
            raise SystemExit(143)
        train(argv)

    with monkeypatch.context() as patch:
        patch.setattr(train_density, "main", killed)
        with pytest.raises(SystemExit):
            study.run()
    assert made == [0, 1, -1]
    assert not study.record.exists() and not study.outputs(0)["model"].exists(), "not yet whole"
    made.clear()
    study.run()
    assert made == [2, 3]
    assert list(read_json(study.record, RECORD_VERSION)["members"]) == [
        f"lag=1,seed={seed}" for seed in SEEDS
    ]


@pytest.mark.parametrize("error", [InputError("recipe: diverged"), RuntimeError("CUDA is lost")])
def test_the_others_of_a_failing_member_are_made_and_kept(
    study: Study, made: list[int], monkeypatch: pytest.MonkeyPatch, error: Exception
):
    train = train_density.main

    def failing(argv: list[str]) -> None:
        if "seed=1" in argv[1]:
            raise error
        train(argv)

    with monkeypatch.context() as patch:
        patch.setattr(train_density, "main", failing)
        with pytest.raises(InputError, match=rf"{error} \(1 of 4 members failed\)$"):
            study.run()
    assert made == [0, 2, 3]
    assert not study.record.exists()
    made.clear()
    study.run()
    assert made == [1]


def test_outputs_that_snakemake_deleted_come_back_by_the_members_that_are_gone(
    study: Study, made: list[int]
):
    """A failed job's outputs are removed: what `.partial/` holds is not."""
    study.run()
    before = study.bytes()
    shutil.rmtree(study.folder / "whole")
    study.record.unlink()
    made.clear()
    study.run()
    assert made == [*SEEDS]
    assert study.bytes() == before


def test_what_jobs_of_their_own_made_is_taken_over_unless_an_input_is_newer(
    study: Study, made: list[int]
):
    """A study that began without jobs of many members goes on with them."""
    for seed in SEEDS:
        study.alone(seed)
    shutil.copytree(study.folder / "alone", study.folder / "whole")
    times = [path.stat().st_mtime for seed in SEEDS for path in study.outputs(seed).values()]
    made.clear()
    study.run()
    assert made == []
    study.record.unlink()
    os.utime(study.shard, (max(times) + 3600, max(times) + 3600))
    study.run()
    assert made == [*SEEDS]


@pytest.mark.parametrize("content", ["as recorded", "other", "restored"])
def test_an_input_is_as_old_as_its_content(study: Study, made: list[int], content: str):
    """A job of many that left it as it was gave it a new time; its record says its age.

    Content that was another in between is as old as its file, which is newer than the record.
    """
    for seed in SEEDS:
        study.alone(seed)
    shutil.copytree(study.folder / "alone", study.folder / "whole")
    nulls = study.folder / "nulls.safetensors"
    digest = "0" * 16 if content == "other" else file_digest(nulls)
    files = {str(nulls): [digest, nulls.stat().st_mtime_ns]}
    members = {"lag=1": {"digest": "", "files": files}}
    record = study.record.with_stem("fit_of_world")
    write_json(record, {"members": members}, RECORD_VERSION)
    later = max(path.stat().st_mtime for path in study.outputs(0).values()) + 3600
    os.utime(nulls, (later, later))
    os.utime(record, (later - 1, later - 1) if content == "restored" else (later, later))
    made.clear()
    study.run()
    assert made == ([] if content == "as recorded" else [*SEEDS])


def test_what_another_job_made_is_not_taken_over(study: Study, made: list[int]):
    for seed in SEEDS:
        study.alone(seed)
    shutil.copytree(study.folder / "alone", study.folder / "whole")
    study.settings("longer", recipe(num_steps=8, batch_frames=64).model_dump(mode="json"))
    study.recipes[2] = "longer"
    made.clear()
    study.run()
    assert made == [2]
