"""A rule and its step agree: each name that one declares the other declares too.

Law: for every rule of every configured study, inputs, outputs, settings, facts, wildcards and
runtime options are the fields of the step's class, no more and no fewer.
"""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engram_audio.codecs.config import LYRA_FILES
from engram_audio.planning import command_words
from engram_audio.steps._cli import INPUTS, Kind, StepFiles
from tests.workflow.conftest import ROOT, snakemake, write_config
from tests.workflow.small_study import small_config

STUDIES = ("studies/demo.yaml", "workflow_config.yaml", "studies/real_speech.yaml")
OWN_FILES = ("../shared/data/real-speech/any", *(f"../shared/data/lyra/{n}" for n in LYRA_FILES))
STEPS = {path.stem for path in (ROOT / "engram_audio/steps").glob("[!_]*.py")}
OPTIONS = {
    Kind.LOG_FOLDER: " --tensorboard {log:q}.tensorboard",
    Kind.WORKERS: " --num-workers {threads}",
}
COMMAND = re.compile(
    r"(exec )?python -m engram_audio\.steps\.(\w+) \{params\.files\}(.*) >\{log:q\} 2>&1"
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each rule declares, by `<study>: <rule>`."""
    folder = tmp_path_factory.mktemp("rules") / "here"
    folder.mkdir()
    for name in OWN_FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    command = [sys.executable, "-m", "tests.workflow.rule_table", *(ROOT / one for one in STUDIES)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    studies = json.loads(done.stdout)
    return {f"{study}: {name}": rule for study in studies for name, rule in studies[study].items()}


def class_of(step: str) -> type[StepFiles]:
    return importlib.import_module(f"engram_audio.steps.{step}").Files


def names(step: str, *kinds: Kind) -> set[str]:
    return {field.name for field in class_of(step).of_kind(*kinds)}


def disagreements(rule: dict[str, Any]) -> list[str]:
    """Return what a rule and its step do not say alike, a line each."""
    step = rule["step"]
    fields = class_of(step).fields()
    may_lack = {name for name, field in fields.items() if field.is_optional}
    of_members = {"None"} if step == "run_members" else set()  # files of other steps
    pairs = {
        "inputs": (set(rule["inputs"]) - of_members, names(step, *INPUTS) | {"settings"}, may_lack),
        "outputs": (set(rule["outputs"]) - of_members, names(step, Kind.OUTPUT), set()),
        "roles": (set(rule["roles"]), names(step, Kind.FROZEN), may_lack),
        "facts": (set(rule["facts"]), names(step, Kind.FACT), set()),
        "wildcards": (set(rule["wildcards"]), names(step, Kind.WILDCARD), set()),
    }
    lines = []
    for what, (said, declared, optional) in pairs.items():
        if declared - said - optional:
            lines.append(f"{what}: the rule lacks {sorted(declared - said - optional)}")
        if said - declared and what != "wildcards":  # some only say what an artifact is of
            lines.append(f"{what}: the step lacks {sorted(said - declared)}")
    return lines


def test_rules_and_steps_declare_the_same(rules: dict[str, dict[str, Any]]):
    assert {rule["step"] for rule in rules.values()} == STEPS
    assert {name: lines for name in rules if (lines := disagreements(rules[name]))} == {}


def test_every_rule_is_one_short_command(rules: dict[str, dict[str, Any]]):
    """Each option of it is one that the step declares; a step that trains takes signals itself."""
    for name, rule in rules.items():
        found = COMMAND.fullmatch(rule["command"])
        assert found, name
        is_exec, step, options = found.groups()
        fields = class_of(step).fields().values()
        expected = [OPTIONS[field.kind] for field in fields if field.kind in OPTIONS]
        assert (step, options) == (rule["step"], "".join(expected)), name
        assert rule["params"] == ["files"], name
        assert bool(is_exec) == any(field.kind is Kind.LOG_FOLDER for field in fields), name


@pytest.mark.parametrize("change", ["inputs", "outputs", "roles", "facts", "wildcards"])
def test_a_name_that_one_side_lacks_is_seen(change: str, rules: dict[str, dict[str, Any]]):
    """In both directions; of wildcards a rule may have more."""
    rule = next(rule for rule in rules.values() if rule["step"] == "add_noise")
    rule = {**rule, "step": "tabulate_states"} if change == "facts" else rule
    rule = next(r for r in rules.values() if r["step"] == rule["step"])
    assert disagreements(rule) == []
    fewer = {**rule, change: rule[change][1:] if change != "inputs" else ["settings"]}
    assert disagreements(fewer)
    more = disagreements({**rule, change: [*rule[change], "another"]})
    assert bool(more) == (change != "wildcards")


def test_what_encodes_imports_or_fits_a_codec_waits_for_the_check(rules: dict[str, dict[str, Any]]):
    """Nothing is made of utterances that cannot answer the study."""
    waits = {"extract_latents", "import_arrays", "fit_codec", "train_codec"}
    assert {rule["step"] for rule in rules.values() if "checked" in rule["inputs"]} == waits


def test_words_of_a_command_survive_the_shell(tmp_path: Path):
    """Also names with spaces, quotes and braces, and nine hundred files; no files, no option."""
    hostile = "a b'c\"d$(touch e){f}/x.json"
    many = [f"{tmp_path}/it's {number}.zarr.zip" for number in range(900)]
    inputs = {"settings": hostile, "base_model": [], "shards": many}
    words = shlex.split(command_words(inputs, {"scores_table": ["out put"]}))
    assert words == ["--settings", hostile, "--shards", *many, "--scores-table", "out put"]


def test_no_step_reads_an_identity_out_of_a_path():
    """A folder's name says nothing: what an artifact is of stands in its manifest."""
    paths = sorted((ROOT / "engram_audio/steps").glob("*.py"))
    reads = re.compile(r"\.parent\.(parent\.)*name|\.parents\b|\.parts\b")
    assert [path.name for path in paths if reads.search(path.read_text(encoding="utf-8"))] == []


def test_commands_of_a_dry_run_can_be_pasted(tmp_path: Path):
    """Whole, for folders with blanks and apostrophes; each word is a file or an option."""
    results = "it's all here"
    folders = {"results": results, "logs": "logs", "benchmarks": "benchmarks"}
    config = {**small_config(), "pathvars": folders}
    path = write_config(tmp_path, config)
    (tmp_path / "arrays").mkdir()
    (tmp_path / "arrays.csv").touch()
    outcome = snakemake(tmp_path, "-n", "-p", "--cores", "1", "--configfile", path)
    assert outcome.code == 0, outcome.text
    commands = re.findall(r"^Shell command: (python .*)$", outcome.text, re.M)
    assert len(commands) == sum(n for rule, n in outcome.jobs.items() if rule != "all")
    for command in commands:
        command = command.partition(" >")[0]
        python, _, module, settings, path, *words = shlex.split(command)
        step = module.rpartition(".")[2]
        assert (python, settings) == ("python", "--settings")
        assert path.startswith(f"{results}/config/")
        flags = {word for word in words if word.startswith("--")}
        assert flags <= {field.flag for field in class_of(step).fields().values()}
        outputs = [field.flag for field in class_of(step).of_kind(Kind.OUTPUT)]
        assert all(words[words.index(flag) + 1].startswith(results) for flag in outputs)
