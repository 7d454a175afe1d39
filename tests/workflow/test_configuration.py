"""Through Snakemake: what a file or `--config` says is what a job reads, else one clear line."""

import json
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ROOT, Outcome, snakemake

DEMO = (ROOT / "studies" / "demo.yaml").read_text(encoding="utf-8")
SPLITS = "results/demo/splits/demo_speech/seed-0/splits.parquet"


def plan(folder: Path, text: str, *arguments: str) -> Outcome:
    """Plan the splits of the demo under a configuration."""
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return snakemake(folder, "-n", "--configfile", str(path), *arguments, "--", SPLITS)


def the_line(outcome: Outcome, words: str) -> str:
    """The one line that a person reads."""
    assert outcome.code != 0
    assert "Traceback" not in outcome.text and ".smk" not in outcome.text
    (line,) = [line for line in outcome.text.splitlines() if words in line]
    return line.removeprefix("Error: ")


def test_a_key_that_is_given_twice_is_refused_with_its_line(tmp_path: Path):
    number = DEMO.count("\n") + 1
    line = the_line(plan(tmp_path, f"{DEMO}splits: {{}}\n"), "given twice")
    assert line.startswith(f"{tmp_path}/study.yaml: line {number}: splits is given twice, first in")


def test_a_lone_surrogate_does_not_print_the_configuration(tmp_path: Path):
    outcome = plan(tmp_path, 'report: {title: "\\ud800"}\n')
    assert the_line(outcome, "report.title").startswith("report.title: holds U+D800")
    assert len(outcome.text) < 3000


def test_the_base_file_is_looked_at_before_snakemake_reads_it(tmp_path: Path):
    for name in ("Snakefile", "rules", "engram_audio"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "workflow_config.yaml").write_text("corpora:\n\tx: 1\n", encoding="utf-8")
    outcome = snakemake(tmp_path, "-n", "--snakefile", str(tmp_path / "Snakefile"))
    assert "workflow_config.yaml: line 2: " in the_line(outcome, "is no YAML")
    assert "spaces, not tabs" in the_line(outcome, "is no YAML")


def test_numbers_inside_of_a_map_of_the_command_line_are_numbers(tmp_path: Path):
    """As a file says them: the frozen file of the job, and so its digest, is the same."""
    settings = {**yaml.safe_load(DEMO)["splits"], "eval_fraction": 0.25}
    by_option, by_file = tmp_path / "option", tmp_path / "file"
    for folder in (by_option, by_file):
        folder.mkdir()
    option = plan(by_option, DEMO, "--config", 'splits={"eval_fraction": 0.25}')
    file = plan(by_file, yaml.safe_dump({**yaml.safe_load(DEMO), "splits": settings}))
    assert (option.code, file.code) == (0, 0), option.text + file.text
    (one,), (other,) = (
        list((folder / "results/demo/config/make_splits").iterdir())
        for folder in (by_option, by_file)
    )
    frozen = json.loads(one.read_text(encoding="utf-8"))
    assert frozen["settings"]["section"][0]["value"]["eval_fraction"] == 0.25
    assert one.name == other.name


@pytest.mark.parametrize("value", ['{"eval_fraction": "a quarter"}', "{eval_fraction: 010}"])
def test_text_in_place_of_a_number_says_so(tmp_path: Path, value: str):
    line = the_line(plan(tmp_path, DEMO, "--config", f"splits={value}"), "splits.eval_fraction")
    assert line.startswith("splits.eval_fraction: should be a(n) number, found ")
