"""Exact job sets after one edit of a study that has really run."""

import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.workflow.conftest import Outcome
from tests.workflow.lab import Lab
from tests.workflow.many_plans import run_in_child
from tests.workflow.tiny_study import CONFIG, read_config, stand_in_environment, write_config


def plan(lab: Lab) -> dict[str, int]:
    """Jobs of a dry run."""
    outcome = lab.run("-n")
    assert outcome.code == 0, outcome.text
    return outcome.jobs


def child_plan(lab: Lab, config: dict[str, Any]) -> dict[str, int]:
    """The same in a child of this process: no start of Snakemake, but no edited module either."""
    write_config(lab.folder, config)
    return child_run(lab, "-n")


def child_run(lab: Lab, *arguments: str) -> dict[str, int]:
    """Jobs of a run in a child, which a stand-in for Python finishes."""
    words = ["--snakefile", str(lab.folder / "Snakefile"), "--directory", str(lab.folder)]
    words += ["--configfile", str(lab.folder / CONFIG), "--cores", "2", *arguments]
    code, text, jobs = run_in_child(words, stand_in_environment(lab.folder))
    assert code == 0, text
    return jobs


def edited(lab: Lab, *path: str, value: Any) -> dict[str, Any]:
    config = read_config(lab.folder)
    node = config
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    return config


def test_a_copied_study_has_nothing_to_do(lab: Lab):
    assert child_run(lab, "-n") == {}


def test_a_gate_threshold_reruns_the_decision_and_the_report(lab: Lab):
    config = edited(lab, "decision", "literal_gate", "maximum_ratio", value=0.55)
    jobs = {"decide": 1, "tabulate_verdicts": 1, "render_report": 1, "all": 1}
    assert child_plan(lab, config) == jobs
    assert child_run(lab) == jobs


def test_the_pca_dimension_reruns_its_key_family_and_what_follows(lab: Lab):
    config = edited(lab, "keys", "library", "pca", "num_components", value=3)
    assert child_plan(lab, config) == {
        "fit_keys": 3,  # one family on three representations
        "score_structure_keys": 3,
        "tabulate_states": 1,
        "tabulate_structure": 1,
        "decide": 1,
        "tabulate_verdicts": 1,
        "render_report": 1,
        "all": 1,
    }


def test_a_codec_setting_reruns_what_that_codec_made(lab: Lab):
    jobs = child_plan(lab, edited(lab, "codecs", "library", "mel_pca", "num_components", value=3))
    assert jobs["fit_codec"] == 1 and jobs["extract_latents"] == 2
    assert jobs["score_structure_keys"] == 6, "three families on the latents and on their z_dyn"
    assert not {"import_arrays", "make_surrogate", "fit_var", "make_splits"} & set(jobs)


def test_a_memory_setting_reruns_that_memory_and_what_reads_it(lab: Lab):
    jobs = child_plan(lab, edited(lab, "memory", "library", "robust", "minimum_count", value=5))
    assert {"fit_memory", "train_matched", "evaluate_memory", "tabulate_memory"} <= set(jobs)
    others = {"extract_latents", "fit_keys", "train_density", "evaluate_density", "decide"}
    assert not others & set(jobs)


def test_one_more_split_seed_runs_that_seed_only(lab: Lab):
    """Of the arrays only: a fitted codec keeps its own split."""
    jobs = child_plan(lab, edited(lab, "splits", "seeds", value=[0, 1]))
    assert jobs == {
        "make_splits": 1,
        "check_splits": 1,
        "fit_keys": 2,  # two families
        "score_structure_keys": 3,  # and the oracle
        "score_linear_baselines": 1,
        "tabulate_structure": 1,
        "tabulate_states": 1,
        "tabulate_corpus": 1,
        "decide": 1,
        "tabulate_verdicts": 1,
        "render_report": 1,
        "all": 1,
    }


def test_order_and_comments_rerun_nothing(lab: Lab):
    def reversed_keys(node: Any) -> Any:
        if isinstance(node, dict):
            # The order of named rows is the order of tables; only keys of a section are free.
            return {name: reversed_keys(node[name]) for name in reversed(list(node))}
        return node

    config = read_config(lab.folder)
    sections = ("structure", "statistics", "decision", "report", "splits", "views")
    config |= {name: reversed_keys(config[name]) for name in sections}
    text = "# a comment\n" + yaml.safe_dump(config, sort_keys=False) + "# another\n"
    (lab.folder / CONFIG).write_text(text, encoding="utf-8")
    module = lab.folder / "engram_audio" / "windows.py"
    module.write_text(module.read_text() + "\n# a comment\n")
    assert plan(lab) == {}


def test_an_edited_module_reruns_the_steps_that_reach_it(lab: Lab):
    module = lab.folder / "engram_audio" / "structure" / "gates.py"
    module.write_text(module.read_text() + "\n_edited = 1\n")
    assert plan(lab) == {"decide": 1, "tabulate_verdicts": 1, "render_report": 1, "all": 1}


def why(lab: Lab) -> Outcome:
    """Ask through a profile that silences the paragraphs of a dry run, as the demo's does."""
    profile = f"configfile: {CONFIG}\ncores: 1\nquiet: [rules]\n"
    (lab.folder / "quiet").mkdir(exist_ok=True)
    (lab.folder / "quiet" / "profile.yaml").write_text(profile, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "engram_audio.reruns", "--profile", "quiet"],
        cwd=lab.folder, env=lab.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout + done.stderr)


def test_why_names_the_value_and_the_module_before_and_after(lab: Lab):
    write_config(lab.folder, edited(lab, "decision", "literal_gate", "maximum_ratio", value=0.55))
    module = lab.folder / "engram_audio" / "stats" / "estimate.py"
    module.write_text(module.read_text() + "\n_edited = 1\n")
    answer = why(lab)
    assert answer.code == 0, answer.text
    assert "decision.literal_gate.maximum_ratio: 0.6 -> 0.55" in answer.text
    changed = answer.text.split("Modules that changed:\n")[1].split("\n\n")[0].splitlines()
    assert [line.split(":")[0].strip() for line in changed] == ["engram_audio.stats.estimate"]
    assert "tabulate_structure (1)" in answer.text


@pytest.mark.slow
def test_why_without_its_notes_still_says_what_would_run(lab: Lab):
    assert why(lab).text.startswith("Nothing would run")
    (lab.results / "config" / "code").rename(lab.folder / "gone")
    module = lab.folder / "engram_audio" / "structure" / "gates.py"
    module.write_text(module.read_text() + "\n_edited = 1\n")
    answer = why(lab)
    assert "decide: some module that it uses" in answer.text
    assert "decide (1)" in answer.text
