"""A study whose plan alone takes minutes is refused at once, with what to change."""

import copy
from pathlib import Path
from typing import Any

import pytest

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.plan import Plan
from tests import studies
from tests.workflow.tiny_study import tiny_config

ROOT = Path(__file__).resolve().parents[2]
CONFIG = studies.study()


def sharded(config: dict[str, Any], num_shards: int) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    for row in (*changed["corpora"].values(), *changed["representations"]["library"].values()):
        if "num_shards" in row:
            row["num_shards"] = num_shards
    return changed


def test_readers_are_counted_as_they_are_listed():
    """The product is the length of the lists that rules ask for, which may be too long to make."""
    plan = Plan(parse_config(CONFIG))
    listed = [
        *plan.prediction.runs(), *plan.factorizer.runs(), *plan.memory.runs(),
        *plan.rollout.runs(), *plan.generation.runs(),
    ]  # fmt: skip
    keys = 0
    for name in plan.latents.analysed():  # every family but the oracle is fitted, all are scored
        jobs = 2 * len(plan.structure.families_of(name)) - 1 + 1
        keys += len(plan.latents.split_seeds(name)) * jobs
    runs = plan.laws.runs()
    alone = set(plan.keys.learned_families()) - set(plan.structure.families)
    learned = len({run.representation for run in runs}) * len(alone)
    assert plan.count_readers().total() == 2 * (len(listed) + len(runs)) + learned + keys


def test_many_shards_of_a_large_study_are_refused():
    """One million inputs: two minutes of Snakemake's own work."""
    with pytest.raises(InputError, match=r"num_shards: .* inputs, .*999 shards, take fewer") as one:
        Plan(parse_config(sharded(CONFIG, 999)))
    assert "\n" not in str(one.value)


def test_many_shards_of_a_small_study_are_planned():
    """60,000 hours in 960 shards are what shards are for (docs/cluster.md)."""
    Plan(parse_config(sharded(tiny_config(), 999)))
    Plan(parse_config(sharded(CONFIG, 100)))


def test_lists_that_multiply_are_refused_before_they_are_made():
    """A thousand seeds at a thousand lags with every head: more runs than memory holds."""
    config = copy.deepcopy(CONFIG)
    config["prediction"]["seeds"] = list(range(1000))
    config["prediction"]["lags_frames"] = list(range(1, 1001))
    with pytest.raises(InputError, match="num_shards: the study's jobs have"):
        Plan(parse_config(config))
