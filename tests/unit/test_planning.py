"""What the driver freezes for a job: all that decides it, and nothing that does not.

Law: another input, output, fact, parameter, setting or command is another frozen file. What else
the study has is not part of a job.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engram_audio.frozen import read_frozen
from engram_audio.planning import Needs, Planner


class Items(dict[str, Any]):
    """Named files or parameters, as Snakemake keeps them."""

    def _allitems(self) -> list[tuple[str, Any]]:
        return list(self.items())


class Pattern(str):
    """An output of a rule, with constraints of its wildcards."""

    def apply_wildcards(self, wildcards: dict[str, str]) -> str:
        return self.replace("{name,mel|mimi}", wildcards["name"]).replace(
            "{name}", wildcards["name"]
        )


RULE = {
    "input": Items(settings=lambda wildcards: "frozen", table=lambda wildcards: "a.csv"),
    "output": Items(scores=Pattern("{name}/s.csv"), health=Pattern("{name}/h.csv")),
    "params": Items(files=lambda wildcards, input, output: "words", limit=3),
    "shellcmd": "run {params.files}",
}
DOCUMENT = {"splits": {"val_fraction": 0.25}}


def frozen(
    folder: Path, document: dict[str, Any] = DOCUMENT, facts: Any = None, **rule: Any
) -> str:
    """Plan a job of a rule; return its frozen file."""
    found = SimpleNamespace(**{**RULE, **rule})
    planner = Planner(document, lambda name: found, folder, "home", lambda name: ((), ""))
    needs = Needs("make_splits", "make_splits", {"section": "splits"}, facts=facts or {"of": "a"})
    return planner.frozen_path(needs, {"name": "mel"})


@pytest.mark.parametrize(
    "change",
    [
        {"input": Items(RULE["input"], table=lambda wildcards: "b.csv")},
        {"input": Items(RULE["input"], more="b.csv")},
        {"output": Items(scores=Pattern("{name}/h.csv"), health=Pattern("{name}/s.csv"))},
        {"output": Items(scores=Pattern("{name}/s.csv"), usage=Pattern("{name}/h.csv"))},
        {"params": Items(RULE["params"], limit=4)},
        {"shellcmd": "exec run {params.files}"},
        {"document": {"splits": {"val_fraction": 0.5}}},
        {"facts": {"of": "b"}},
        {"facts": {"of": lambda: "b"}},
        {"facts": {"of": lambda wildcards: wildcards["name"]}},
        {"facts": {"of": "a", "more": 1}},
    ],
)
def test_what_decides_a_job_is_another_file(change: dict[str, Any], tmp_path: Path):
    assert frozen(tmp_path, **change) != frozen(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"output": Items(scores=Pattern("{name,mel|mimi}/s.csv"), health=Pattern("{name}/h.csv"))},
        {"params": Items(RULE["params"], files=lambda wildcards, input, output: "other words")},
        {"input": Items(RULE["input"], settings=lambda wildcards: "another")},
        {"shellcmd": "run\n  {params.files}"},
        {"document": {**DOCUMENT, "report": {"title": "another"}}},
        {"facts": {"of": lambda: "a"}},
        {"facts": {"of": lambda wildcards: wildcards["name"].replace("mel", "a")}},
    ],
)
def test_what_does_not_decide_a_job_is_the_same_file(change: dict[str, Any], tmp_path: Path):
    assert frozen(tmp_path, **change) == frozen(tmp_path)


def test_a_step_reads_the_facts_that_were_planned(tmp_path: Path):
    found = read_frozen(Path(frozen(tmp_path, facts={"of": {"mel": "pca"}})))
    assert found.facts == {"of": {"mel": "pca"}}
    assert found.document["outputs"] == {"scores": "mel/s.csv", "health": "mel/h.csv"}
