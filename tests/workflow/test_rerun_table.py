"""docs/reruns.md says what Snakemake does: all of it when asked for, a sample every time."""

from pathlib import Path

import pytest

from tests.workflow import rerun_table
from tests.workflow.tiny_study import ROOT, wide_config

PAGE = ROOT / "docs" / "reruns.md"
REMEDY = "docs/reruns.md is out of date: run `make reruns`"
SAMPLE_VALUES = 8  # each is a real dry run
SAMPLE_MODULES = 4


def test_every_value_and_every_module_is_listed():
    listed = set(rerun_table.read_page(PAGE.read_text(encoding="utf-8")))
    values = {".".join(place) for place, _ in rerun_table.leaves(wide_config())}
    modules = {question["name"] for question in rerun_table.module_questions()}
    assert listed == values | modules, REMEDY


def test_a_sample_of_the_table_is_what_snakemake_plans(tmp_path: Path):
    """Evenly spaced values and modules, each by a real dry run of a finished study."""
    config = wide_config()
    expected = rerun_table.read_page(PAGE.read_text(encoding="utf-8"))
    values, modules = rerun_table.value_questions(config), rerun_table.module_questions()
    questions = [
        *values[:: len(values) // SAMPLE_VALUES],
        *modules[:: len(modules) // SAMPLE_MODULES],
    ]
    folder = rerun_table.finished_study(tmp_path / "study")
    total = rerun_table.total_jobs(tmp_path / "empty", config)
    answers = rerun_table.plans(folder, questions)
    effects = {name: rerun_table.effect(answer, total) for name, answer in answers.items()}
    assert effects == {name: expected[name] for name in effects}, REMEDY


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)  # a thousand dry runs
def test_the_whole_table_is_what_snakemake_plans():
    assert rerun_table.make_page() == PAGE.read_text(encoding="utf-8"), REMEDY
