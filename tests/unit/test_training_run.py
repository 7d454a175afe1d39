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
from engram_audio.steps import _cli
from engram_audio.steps._training import INTERRUPTED_EXIT_CODE, TrainingRun
from engram_audio.training.loop import Callbacks, TrainingState
from tests.unit.prediction_material import recipe

STEPS = ROOT / "engram_audio" / "steps"
CODE = Code(("engram_audio.section",))


def _trains(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return not path.stem.startswith("_") and ("TrainingRun" in text or "tensorboard" in text)


TRAINING_STEPS = sorted(path.stem for path in STEPS.glob("*.py") if _trains(path))


class Declared(Exception):
    """What a step declares."""


def declared(step: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the words with which a step parses its command line."""

    def stop(name: str, doc: str | None, **named: Any) -> None:
        del name, doc
        raise Declared(named)

    with monkeypatch.context() as patch, pytest.raises(Declared) as caught:
        patch.setattr(_cli, "parse_arguments", stop)
        importlib.import_module(f"engram_audio.steps.{step}").main([])
    return {**caught.value.args[0], "argv": None}


def frozen(folder: Path, step: str, wildcards: dict[str, str], **section: Any) -> Path:
    sections = {
        "section": [{"section": "codecs.mine", "value": {"health": 1, "beta": 2.0, **section}}],
        "recipe_section": [{"section": "recipes.small", "value": recipe().model_dump(mode="json")}],
    }
    text = frozen_text(step, wildcards, sections, CODE)
    path = place_of(folder / "config", step, wildcards, text)
    keep(path, text)
    return path


def parsed(folder: Path, step: str, named: dict[str, Any], **section: Any) -> _cli.Arguments:
    """Arguments of a step with a text file for every declared input, two for every list."""
    settings = frozen(folder, step, dict.fromkeys(named.get("wildcards", ()), "0"), **section)
    argv = ["--settings", str(settings)]
    for kind, count in (
        ("inputs", 1), ("optional_inputs", 1), ("input_lists", 2), ("optional_lists", 2),
        ("outputs", 1), ("texts", 1),
    ):  # fmt: skip
        for name in named.get(kind, ()):
            paths = [folder / f"{name}-{number}.txt" for number in range(count)]
            argv += [f"--{name.replace('_', '-')}", *map(str, paths)]
            for path in paths:
                if kind not in ("outputs", "texts") and not path.exists():
                    path.write_text(path.name)
    return _cli.parse_arguments(step, None, **{**named, "argv": argv})


SIMPLE = {"inputs": ["nulls", "splits"], "outputs": ["model"], "texts": ["tensorboard"]}


def run_of(folder: Path, **section: Any) -> TrainingRun:
    return TrainingRun(parsed(folder, "train_density", SIMPLE, **section))


@pytest.mark.parametrize("step", TRAINING_STEPS)
def test_every_declared_input_is_in_the_key(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another content of any file, and a file that is left out, are another training."""
    named = declared(step, monkeypatch)
    arguments = parsed(tmp_path, step, named)
    key = TrainingRun(arguments).key
    files = [path for name in arguments.input_files for path in arguments.input_files[name]]
    assert len(files) >= len(named["inputs"]) + 2 * len(named.get("input_lists", ()))
    keys = {key}
    for number, path in enumerate(files):
        before = path.read_text()
        path.write_text(f"changed {number}")
        keys.add(TrainingRun(parsed(tmp_path, step, named)).key)
        path.write_text(before)
    for name in named.get("optional_inputs", ()):
        without = {**named, "optional_inputs": [n for n in named["optional_inputs"] if n != name]}
        keys.add(TrainingRun(parsed(tmp_path, step, without)).key)
    assert len(keys) == 1 + len(files) + len(named.get("optional_inputs", ()))
    assert TrainingRun(parsed(tmp_path, step, named)).key == key


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
        arguments = parsed(tmp_path, "train_density", SIMPLE, **section)
        return TrainingRun(arguments, None, ("section", "recipe"), judging).key

    assert key({"health"}) == key({"health"}, health=9)
    assert key({"health"}) != key({"health"}, beta=3.0)
    assert key({"health"}) != key({"health"}, healths=1)
    assert key(set()) != key(set(), health=9)


@pytest.mark.parametrize("step", TRAINING_STEPS)
def test_steps_leave_the_outside_of_training_to_one_place(step: str):
    """No step makes a checkpoint, a key, a flag or an exit code of its own."""
    tree = ast.parse((STEPS / f"{step}.py").read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert "TrainingRun" in names
    assert not names & {
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
    return TrainingState(3, weights, {}, weights, 1.0, 3, 0, history=[{"step": 3, "val_score": 1}])


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
            with _cli.blame("section"):
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
    arguments = parsed(tmp_path, "train_density", SIMPLE)
    run = TrainingRun(arguments, recipe(learning_rate=0.5), ("section", "recipe"), {"health"})
    line = r"codecs\.mine: .*; lower recipe\.learning_rate from 0\.5"
    with pytest.raises(InputError, match=line), run:
        run.train("codec", diverged)


def test_an_input_that_cannot_be_read_is_one_line(tmp_path: Path):
    run = run_of(tmp_path)
    (tmp_path / "nulls-0.txt").unlink()
    with pytest.raises(InputError, match=r"nulls-0.txt: cannot be read \(No such file"):
        assert run.key
