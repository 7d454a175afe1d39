"""A study whose models of a kind are one job: the bytes of a job each, and exact reruns."""

import os
import re
import shutil
import signal

import pytest

from engram_audio.batches import BATCHED
from tests.workflow.lab import Lab, ended
from tests.workflow.tiny_study import read_config, write_config

pytestmark = pytest.mark.slow

MANY = ("--default-resources", "gpu_batch_runtime=24h")
# Not the nulls: the generators' times would be measured anew.
STAGES = ("prediction/mel_pca/lag-1", "factorizer", "memory", "rollout")
ROLLOUTS = "train_rollout_of_mel_pca"


def members_made(lab: Lab, batch: str) -> int:
    """How many members of a job its last run made."""
    text = (lab.folder / "logs" / "members" / f"{batch}.log").read_text(encoding="utf-8")
    kept = len(re.findall("as an earlier run made it|it was made before", text))
    return len(re.findall(r"member \d+ of", text)) - kept


def test_many_members_in_a_job_end_with_the_bytes_of_a_job_each(lab: Lab):
    for stage in STAGES:
        shutil.rmtree(lab.results / stage)
    outcome = lab.run(*MANY)
    lab.assert_restored(outcome)
    rules = {path.name.partition("_of_")[0] for path in (lab.results / "members").glob("*.json")}
    assert rules <= set(BATCHED) and {"train_density", "evaluate_memory", "train_rollout"} <= rules
    assert not list(lab.results.rglob(".partial/*_of_*"))
    assert "Nothing to be done" in lab.run(*MANY).text


def test_what_one_job_each_made_is_taken_over_and_one_stale_model_is_made_alone(lab: Lab):
    lab.assert_restored(lab.run(*MANY))
    assert members_made(lab, ROLLOUTS) == 0
    config = read_config(lab.folder)
    config["rollout"]["library"]["belief"]["width"] += 1
    write_config(lab.folder, config)
    outcome = lab.run(*MANY)
    assert outcome.code == 0, outcome.text[-3000:]
    assert members_made(lab, ROLLOUTS) == 1
    assert "Nothing to be done" in lab.run(*MANY).text


def test_a_job_of_many_killed_goes_on_with_the_members_that_are_left(lab: Lab):
    shutil.rmtree(lab.results / "rollout")
    faults = {"FAULT_PAUSE": "whole.json", "FAULT_AFTER": "1"}
    with ended(lab.start(*MANY, **faults)) as running:
        os.kill(lab.wait_paused(), signal.SIGKILL)  # of a job that has made one member
        running.communicate()
    assert running.returncode != 0
    assert list((lab.results / "members" / ".partial").glob("*/*/whole.json"))
    lab.assert_restored(lab.run(*MANY))
