"""What breaks on one machine, really broken: a clear message, nothing half trusted, same bytes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engram_audio.artifacts.atomic import HIDDEN
from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.latents import LatentStore, write_latent_shard
from engram_audio.artifacts.manifests import read_manifest
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import read_table
from engram_audio.errors import InputError
from engram_audio.structure.columns import STRUCTURE
from tests.damage import plain
from tests.workflow.fault_table import record
from tests.workflow.lab import Lab, ended, wait_for

PCA = "structure/brought/split-0/pca"
SCORES = f"{PCA}/scores.parquet"
SHARD = "latents/brought/shard-000.zarr.zip"
SPEECH_SHARD = "latents/mel_pca/shard-000.zarr.zip"
OTHER_SPEECH_SHARD = "latents/mel_pca/shard-001.zarr.zip"


def step_pids(lab: Lab) -> list[str]:
    """Processes of steps that run in the study's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
            if b"engram_audio.steps." in words and os.path.samefile(entry / "cwd", lab.folder):
                found.append(entry.name)
        except OSError:
            continue
    return found


def test_a_killed_local_job_leaves_no_half_artifact(lab: Lab):
    lab.forget(SCORES)
    with ended(lab.start(FAULT_PAUSE="scores.parquet")) as running:
        os.kill(lab.wait_paused(), signal.SIGKILL)
        text, _ = running.communicate()
    assert running.returncode != 0
    assert "Error in rule score_structure_keys" in text
    assert not (lab.results / SCORES).exists(), "written but not renamed: not there"
    hidden = f".{Path(SCORES).name}.*{HIDDEN}.parquet"
    assert list((lab.results / PCA).glob(hidden)), "whole, under a name of its own"
    lab.assert_restored(lab.run())
    assert not list((lab.results / PCA).glob(hidden))
    record(
        "local job killed",
        "SIGKILL to a step between writing its table and renaming it",
        "Snakemake names the rule and its log; the output does not exist",
        "rerun removes the unfinished file, makes that job and what follows; same bytes",
    )


def test_a_killed_snakemake_leaves_an_orphan_that_is_refused_and_recovered(lab: Lab):
    lab.forget(SCORES)
    with ended(lab.start(FAULT_PAUSE="scores.parquet")) as running:
        orphan = lab.wait_paused()
        os.kill(running.pid, signal.SIGKILL)
        lab.abandon(running)
    assert (Path("/proc") / str(orphan)).exists(), "the step has outlived its Snakemake"
    locked = lab.run()
    assert locked.code != 0 and "Directory cannot be locked" in locked.text
    lab.run("--unlock")
    refused = lab.run()
    assert refused.code != 0
    assert f"process {orphan} (score_structure_keys)" in refused.text
    assert "make recover" in refused.text
    assert not (lab.results / SCORES).exists()
    assert f"ended process {orphan}" in lab.recover()
    assert not step_pids(lab)
    lab.assert_restored(lab.run())
    record(
        "Snakemake killed, local job lives on",
        "SIGKILL to the driver while a step writes",
        "`Directory cannot be locked`; after an unlock: `process N (rule) of another run still "
        "works in this folder`, and nothing starts",
        "`make recover` ends the orphan and unlocks; rerun ends with the same bytes",
    )


def test_two_snakemakes_at_once(lab: Lab):
    lab.forget(SCORES)
    with ended(lab.start(FAULT_PAUSE="scores.parquet")) as first:
        lab.wait_paused()
        second = lab.run()
        assert second.code != 0 and "Directory cannot be locked" in second.text
        lab.release()
        text, _ = first.communicate()
    assert first.returncode == 0, text[-2000:]
    lab.assert_restored(lab.run())
    record(
        "two Snakemakes at once",
        "a second one while the first writes",
        "the second stops: `Directory cannot be locked`",
        "the first ends as if alone; same bytes",
    )


def mounted(folder: Path, options: str) -> None:
    """Mount a small file system, or skip where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here (root is needed)")


def test_a_full_disk_while_writing(lab: Lab):
    folder = lab.results / PCA
    shutil.rmtree(folder)
    lab.forget(SCORES)
    mounted(folder, "size=16k")
    try:
        outcome = lab.run("--keep-going")
        assert outcome.code != 0
        assert "No space left on device" in lab.log("structure/brought/split-0/pca.log")
        assert "error: results/structure" in lab.log("structure/brought/split-0/pca.log")
        assert [path.name for path in folder.glob("*.parquet")] == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    lab.assert_restored(lab.run())
    record(
        "disk full",
        "a 16 KiB file system under a job's outputs",
        "`error: <file>: cannot be written (No space left on device); make room ...`",
        "no half file; after making room a rerun ends with the same bytes",
    )


def test_results_that_cannot_be_written(lab: Lab):
    folder = lab.results / PCA
    shutil.rmtree(folder)
    lab.forget(SCORES)
    mounted(folder, "size=1m")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        outcome = lab.run("--keep-going")
        assert outcome.code != 0
        said = outcome.text + lab.log("structure/brought/split-0/pca.log")
        assert "Read-only file system" in said
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    lab.assert_restored(lab.run())
    record(
        "results read-only",
        "a read-only file system under a job's outputs",
        "`Read-only file system`, with the file's name",
        "after mending, a rerun ends with the same bytes",
    )


def everything(path: Path) -> object:
    """All that a shard's reader gives: arrays, index, metadata, manifests."""
    store = LatentStore([path])
    block = store.load()
    return plain([store.metadata, store.manifests, store.index, block.frames, block.energy,
                  block.offsets, block.utterance_ids, block.speaker_ids])  # fmt: skip


# Each reader gives the header as well as the content.
READERS = {
    "latent shard": (SHARD, everything),
    "parquet table": (SCORES, lambda path: plain((read_table(path, []), read_manifest(path)))),
    "tensors": (
        "prediction/mel_pca/lag-1/gaussian_mixture/seed-0/model.safetensors",
        lambda path: plain(read_bundle(path)),
    ),
    "JSON document": ("latents/brought/summary.json", read_json),
    "published CSV": ("tables/structure.csv", lambda path: plain(read_csv(path, STRUCTURE))),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_truncated_artifact_is_refused_with_its_name(finished_study: Path, tmp_path, kind: str):
    name, read = READERS[kind]
    content = (finished_study / "results" / name).read_bytes()
    path = tmp_path / Path(name).name
    if kind == "published CSV":
        shutil.copy(finished_study / "results" / f"{name}.sha256", tmp_path)
    for size in (0, 1, len(content) // 2, len(content) - 2):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match=path.name):
            read(path)
    record(
        f"truncated {kind}",
        "cut to 0, 1, half of its and all but two bytes",
        "`error: <file>: ...; delete it and rerun the rule that makes it`",
        "refused at every length",
    )


@pytest.mark.parametrize("kind", READERS)
def test_a_flipped_bit_is_refused_or_changes_nothing(finished_study: Path, tmp_path, kind: str):
    """At 200 places: never another value without an error."""
    name, read = READERS[kind]
    source = finished_study / "results" / name
    content = source.read_bytes()
    path = tmp_path / Path(name).name
    if kind == "published CSV":
        shutil.copy(finished_study / "results" / f"{name}.sha256", tmp_path)
    path.write_bytes(content)
    expected = read(path)
    generator = np.random.default_rng([3, len(content)])
    num_refused = 0
    for place in np.sort(generator.choice(len(content), 200, replace=len(content) < 200)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(flipped)
        try:
            assert read(path) == expected, f"byte {place} of {len(content)}"
        except InputError as error:
            assert path.name in str(error)
            num_refused += 1
    assert num_refused > 0
    record(
        f"flipped bit in {kind}",
        "one bit at 200 places, seeded; content and header compared",
        "`error: <file>: ...`, or the value is unchanged (a bit of padding)",
        "never another number",
    )


def test_a_damaged_artifact_stops_its_readers_and_is_made_again(lab: Lab):
    """Through the workflow: the message, then deleting and rerunning."""
    path = lab.results / SCORES
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    outcome = lab.run("--forcerun", "tabulate_structure")
    assert outcome.code != 0
    assert f"error: results/{SCORES}: differs from what was written" in lab.log(
        "tables/structure.log"
    )
    path.unlink()
    lab.assert_restored(lab.run())
    record(
        "damaged artifact in a study",
        "one bit of a table flipped, then its reader run",
        "the reader's log: `error: <file>: differs from what was written ...; delete it and rerun`",
        "deleted and rerun: same bytes",
    )


def refusals(lab: Lab, *readers: str) -> list[str]:
    """The one error line in each reader's log, of a run that goes on with what it can."""
    outcome = lab.run("--keep-going")
    assert outcome.code != 0
    lines = []
    for reader in readers:
        errors = [line for line in lab.log(reader).splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, lab.log(reader)
        lines += errors
    return lines


def test_a_shard_of_another_codec_is_refused(lab: Lab):
    """By every reader, whichever comes first."""
    shutil.copy(lab.results / SPEECH_SHARD, lab.results / SHARD)
    readers = ("structure/brought/split-0/linear.log", "structure/brought/split-0/pca.log",
               "latents/brought/summarize.log")  # fmt: skip
    for line in refusals(lab, *readers):
        assert SHARD in line and "holds mel_pca (log_mel_pca, 12.5 Hz), not brought" in line
    lab.make_again(SHARD)
    lab.assert_restored(lab.run())
    record(
        "shard of another codec",
        "a shard replaced by one of another codec",
        "in the log of every reader: `error: <shard>: holds <codec>, not <representation>; ...`",
        "deleted, made again and rerun: same bytes",
    )


def test_a_shard_of_another_frame_rate_is_refused(lab: Lab):
    """One of two shards, under the right name."""
    path = lab.results / OTHER_SPEECH_SHARD
    store = LatentStore([path])
    block, rate = store.load(), store.metadata.frame_rate_hz
    faster = store.metadata._replace(frame_rate_hz=2 * rate)
    write_latent_shard(path, block, np.arange(len(block.frames)) / (2 * rate), faster, {})
    for line in refusals(lab, "structure/mel_pca/split-0/linear.log"):
        assert OTHER_SPEECH_SHARD in line and "frame_rate_hz is 25.0, but 12.5 in" in line
    lab.make_again(OTHER_SPEECH_SHARD)
    lab.assert_restored(lab.run())
    record(
        "shard of another frame rate",
        "one of two shards replaced by one of twice the frame rate, under the right name",
        "`error: <shard>: frame_rate_hz is 25.0, but 12.5 in <other shard>; ...`",
        "deleted, made again and rerun: same bytes",
    )


def test_a_clock_ahead_is_named_and_mended_by_touch(lab: Lab):
    """A node whose clock runs an hour ahead wrote a shard."""
    ahead = time.time() + 3600
    os.utime(lab.results / SHARD, (ahead, ahead))
    assert lab.run("-n").jobs == {}, "small files are compared by content"
    outcome = lab.run("--forcerun", "score_linear_baselines")
    assert outcome.code != 0
    assert "could indicate a clock skew problem" in outcome.text
    assert f"input results/{SHARD}" in outcome.text
    os.utime(lab.results / SHARD)
    lab.assert_restored(lab.run("--forcerun", "score_linear_baselines"))
    assert lab.run("-n").jobs == {}
    record(
        "clock skew",
        "a shard dated an hour ahead, then a job that reads it",
        "Snakemake names both files: `could indicate a clock skew problem`; the output is removed",
        "after `touch` of the input, a rerun ends with the same bytes",
    )


def test_a_terminated_training_goes_on_from_its_checkpoint(lab: Lab):
    """SIGTERM to a training step, as a scheduler sends it before it takes the node."""
    model = "prediction/mel_pca/lag-1/gaussian_mixture/seed-0/model.safetensors"
    log = "prediction/mel_pca/lag-1/gaussian_mixture/seed-0/train_density.log"
    lab.forget(model)
    with ended(lab.start(FAULT_PAUSE=".safetensors")) as running:
        os.kill(lab.wait_paused(), signal.SIGTERM)  # it is writing a checkpoint
        text, _ = running.communicate()
    assert running.returncode != 0, text[-2000:]
    assert not (lab.results / model).exists()
    assert "signal 15: saving a checkpoint" in lab.log(log)
    lab.assert_restored(lab.run())
    assert "going on from step" in lab.log(log)
    record(
        "training terminated (preemption)",
        "SIGTERM to a training step",
        "it saves a checkpoint and ends; no model is written",
        "rerun goes on from the checkpoint; same bytes",
    )


def test_recover_has_nothing_to_do_in_a_quiet_folder(lab: Lab):
    assert "no job of an earlier run is left" in lab.recover()
    wait_for(lambda: not step_pids(lab))
    assert sys.platform == "linux"
