"""What all training steps share: keys of checkpoints, signals, divergence, release of frames."""

import ast
import importlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engram_audio.artifacts.resident import resident_block
from engram_audio.errors import InputError
from engram_audio.frozen import Code, frozen_text, keep, place_of
from engram_audio.latents.block import LatentBlock
from engram_audio.provenance import ROOT
from engram_audio.steps._cli import Frozen, Kind, LogFolder, Output, StepFiles, blame
from engram_audio.steps._training import INTERRUPTED_EXIT_CODE, TrainingRun
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState
from tests.unit.prediction_material import recipe

STEPS = ROOT / "engram_audio" / "steps"
CODE = Code(("engram_audio.section",))


def _trains(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    marks = ("TrainingRun", "tensorboard", "_density_training")
    is_other = path.stem.startswith("_") or path.stem == "run_members"  # which runs such steps
    return not is_other and any(mark in text for mark in marks)


TRAINING_STEPS = sorted(path.stem for path in STEPS.glob("*.py") if _trains(path))


class Simple(StepFiles):
    section: Frozen[dict[str, Any]]
    recipe_section: Frozen[TrainingRecipe]
    nulls: Path
    splits: Path
    model: Output
    tensorboard: LogFolder


def frozen(folder: Path, wildcards: dict[str, str], **section: Any) -> Path:
    sections = {
        "section": [{"section": "codecs.mine", "value": {"health": 1, "beta": 2.0, **section}}],
        "recipe_section": [{"section": "recipes.small", "value": recipe().model_dump(mode="json")}],
    }
    text = frozen_text("train_density", wildcards, sections, CODE)
    path = place_of(folder / "config", "train_density", wildcards, text)
    keep(path, text)
    return path


def parsed(folder: Path, declares: type[StepFiles], left_out: str = "", **section: Any) -> Any:
    """Files of a step with a text for every declared input but one, two for every list."""
    wildcards = {field.name: "0" for field in declares.of_kind(Kind.WILDCARD)}
    argv = ["--settings", str(frozen(folder, wildcards, **section))]
    for field in declares.of_kind(Kind.INPUT, Kind.OUTPUT, Kind.LOG_FOLDER):
        if field.name == left_out:
            continue
        paths = [folder / f"{field.name}-{number}.txt" for number in range(1 + field.is_list)]
        argv += [field.flag, *map(str, paths)]
        for path in paths:
            if field.kind is Kind.INPUT and not path.exists():
                path.write_text(path.name)
    return declares.parse(argv)


def run_of(folder: Path, **section: Any) -> TrainingRun:
    files = parsed(folder, Simple, **section)
    return TrainingRun(files, files.recipe_section)


def inputs_of(step: str) -> type[StepFiles]:
    """The class of a step with its files alone: settings of every step are made elsewhere."""
    declared = importlib.import_module(f"engram_audio.steps.{step}").Files
    kinds = (Kind.INPUT, Kind.OUTPUT, Kind.LOG_FOLDER)
    hints = {field.name: field.hint for field in declared.of_kind(*kinds)}
    return type(step, (StepFiles,), {"__annotations__": hints, "__module__": __name__})


@pytest.mark.parametrize("step", TRAINING_STEPS)
def test_every_declared_input_is_in_the_key(step: str, tmp_path: Path):
    """Another content of any file, and a file that is left out, are another training."""
    declares = inputs_of(step)

    def key(left_out: str = "") -> str:
        return TrainingRun(parsed(tmp_path, declares, left_out), recipe()).key

    first = key()
    files = [path for paths in parsed(tmp_path, declares).input_files.values() for path in paths]
    fields = declares.of_kind(Kind.INPUT)
    assert len(files) == sum(1 + field.is_list for field in fields) > 1
    keys = {first}
    for number, path in enumerate(files):
        before = path.read_text()
        path.write_text(f"changed {number}")
        keys.add(key())
        path.write_text(before)
    optional = [field.name for field in fields if field.is_optional]
    keys |= {key(name) for name in optional}
    assert len(keys) == 1 + len(files) + len(optional)
    assert key() == first


def test_files_that_change_places_are_another_training(tmp_path: Path):
    key = run_of(tmp_path).key
    first, second = tmp_path / "nulls-0.txt", tmp_path / "splits-0.txt"
    texts = first.read_text(), second.read_text()
    second.write_text(texts[0])
    first.write_text(texts[1])
    assert run_of(tmp_path).key != key


def test_only_fields_that_judge_are_no_part_of_the_key(tmp_path: Path):
    """Every other value of that section is, and without such fields all of it is."""

    def key(judging: set[str], **section: Any) -> str:
        files = parsed(tmp_path, Simple, **section)
        return TrainingRun(files, recipe(), files.section, judging).key

    assert key({"health"}) == key({"health"}, health=9)
    assert key({"health"}) != key({"health"}, beta=3.0)
    assert key({"health"}) != key({"health"}, healths=1)
    assert key(set()) != key(set(), health=9)


def _names(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


# A tuned point that diverges is a bad point, and the others go on.
MAY_KNOW = {"train_generators": {"FloatingPointError"}}


@pytest.mark.parametrize("step", TRAINING_STEPS)
def test_steps_leave_the_outside_of_training_to_one_place(step: str):
    """No step makes a checkpoint, a key, a flag or an exit code of its own."""
    text = (STEPS / f"{step}.py").read_text(encoding="utf-8")
    names = _names(text)
    if "steps._density_training" in text:  # the base of steps that train on frames
        names |= _names((STEPS / "_density_training.py").read_text(encoding="utf-8"))
    assert "TrainingRun" in names
    assert not (names - MAY_KNOW.get(step, set())) & {
        "Checkpoint", "StopFlag", "Interrupted", "INTERRUPTED_EXIT_CODE", "file_digest",
        "FloatingPointError", "keep_freed_memory",
    }  # fmt: skip


def test_the_known_training_steps_are_among_those_checked():
    assert {
        "train_codec", "train_density", "train_fold_density", "train_memory", "train_matched",
        "train_factorizer", "train_rollout", "refit_memory",
    } <= set(TRAINING_STEPS)  # fmt: skip


def state() -> TrainingState:
    weights = {"w": torch.ones(2)}
    return TrainingState(
        3, weights, {}, weights, 1.0, 3, 0, history=[{"step": 3, "held_out_score": 1}]
    )


def save(given: TrainingState | None, callbacks: Callbacks) -> TrainingState | None:
    callbacks.finish(state())
    return given


def test_checkpoints_stay_until_the_block_ends_well(tmp_path: Path):
    """An error keeps them, the next run goes on from them, a good end removes them."""
    with pytest.raises(InputError, match="disk"), run_of(tmp_path) as run:
        assert run.train("a", save) is None and run.train("b", save) is None
        raise InputError("disk full")
    assert len(list(tmp_path.glob(".checkpoint-*"))) == 2
    with run_of(tmp_path) as run:
        for label in "ab":
            found = run.train(label, save)
            assert found is not None and found.step == 3
    assert not list(tmp_path.glob(".checkpoint-*"))


def test_checkpoints_of_one_model_are_not_those_of_another(tmp_path: Path):
    with pytest.raises(InputError), run_of(tmp_path) as run:
        run.train("a", save)
        raise InputError("disk full")
    (tmp_path / ".checkpoint-a.safetensors").rename(tmp_path / ".checkpoint-b.safetensors")
    with run_of(tmp_path) as run:
        assert run.train("b", save) is None


def interrupted(given: TrainingState | None, callbacks: Callbacks) -> None:
    del given
    from engram_audio.training.loop import Interrupted

    os.kill(os.getpid(), signal.SIGTERM)
    assert callbacks.should_stop()
    callbacks.save(state())
    raise Interrupted("stopped after step 3")


@pytest.mark.parametrize("blames", [False, True])
def test_signal_in_a_training_saves_and_ends_with_its_code(blames: bool, tmp_path: Path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, run_of(tmp_path) as run:
        if blames:
            with blame("section"):
                run.train("a", interrupted)
        run.train("a", interrupted)
    assert caught.value.code == INTERRUPTED_EXIT_CODE
    assert len(list(tmp_path.glob(".checkpoint-*"))) == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_signal_outside_of_a_training_ends_at_once_and_frees_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        pytest.raises(SystemExit) as caught,
        run_of(tmp_path) as run,
        resident_block(blocks, 8, 2, 0.0),
    ):
        run.train("a", save)
        assert list(tmp_path.glob("engram-frames-*"))
        assert not list(tmp_path.glob("engram-frames-*/*")), "SIGKILL would leave no frames"
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("went on")
    assert caught.value.code == INTERRUPTED_EXIT_CODE
    assert not list(tmp_path.glob("engram-frames-*"))
    assert len(list(tmp_path.glob(".checkpoint-*"))) == 1


def blocks() -> Iterator[LatentBlock]:
    for number in range(2):
        frames = np.full((4, 2), number, np.float32)
        ids = np.array([f"u{number}"]), np.array(["s"])
        yield LatentBlock(frames, frames[:, 0], np.array([0, 4]), *ids)


@pytest.mark.parametrize("memory_gib", [0.0, 1.0])
def test_frames_on_disk_and_in_memory_are_the_same_and_are_freed(
    memory_gib: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Also when reading them fails half-way."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with resident_block(blocks, 9, 2, memory_gib) as block:
        assert block.frames.tolist() == 4 * [[0, 0]] + 4 * [[1, 1]]
        assert len(list(tmp_path.iterdir())) == (memory_gib == 0)

    def broken() -> Iterator[LatentBlock]:
        yield next(blocks())
        raise InputError("shard: damaged")

    with pytest.raises(InputError), resident_block(broken, 9, 2, memory_gib):
        pytest.fail("was read")
    assert not list(tmp_path.iterdir())


def diverged(given: object, callbacks: object) -> None:
    del given, callbacks
    raise FloatingPointError("the training loss is not finite at step 10")


def test_divergence_is_one_line_that_names_what_to_change(tmp_path: Path):
    with pytest.raises(InputError) as caught, run_of(tmp_path) as run:
        run.train("delta", diverged)
    assert str(caught.value) == (
        "recipes.small: delta diverged: the training loss is not finite at step 10; "
        f"lower learning_rate from {recipe().learning_rate:g}"
    )
    files = parsed(tmp_path, Simple)
    run = TrainingRun(files, recipe(learning_rate=0.5), files.section, {"health"})
    line = r"codecs\.mine: .*; lower recipe\.learning_rate from 0\.5"
    with pytest.raises(InputError, match=line), run:
        run.train("codec", diverged)


def test_an_input_that_cannot_be_read_is_one_line(tmp_path: Path):
    run = run_of(tmp_path)
    (tmp_path / "nulls-0.txt").unlink()
    with pytest.raises(InputError, match=r"nulls-0.txt: cannot be read \(No such file"):
        assert run.key
