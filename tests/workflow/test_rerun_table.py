"""Which rules an edit reruns: a sample by name, and every value.

Law: a value reruns what reads it and what follows, nothing else. The numbers of jobs are those of
the wide study (`tiny_study.wide_config`), which has one of everything.
"""

from pathlib import Path

import pytest

from tests.workflow import rerun_table
from tests.workflow.tiny_study import wide_config

EXPECTED = {
    # a gate of a stage: its table, the verdicts and the page
    "memory.verdict.minimum_gain_nats": {
        "tabulate_memory": 1, "tabulate_verdicts": 1, "render_report": 1,
    },
    "rollout.bars.minimum_kept": {
        "tabulate_rollout": 1, "tabulate_verdicts": 1, "render_report": 1,
    },
    "generation.bars.maximum_health_loss": {
        "tabulate_calibration": 1, "tabulate_verdicts": 1, "render_report": 1,
    },
    # how generators are trained: what an edit leaves as it is, the job takes from its file
    "generation.seeds": {
        "train_generators": 2, "evaluate_generators": 1, "evaluate_factorized": 1,
        "tabulate_generation": 1, "tabulate_verdicts": 1, "render_report": 1,
    },
    "decision.operative_gate.minimum_added_fraction": {
        "decide": 1, "tabulate_codecs": 1, "tabulate_calibration": 1, "simulate_power": 1,
        "simulate_sabotage": 1, "tabulate_verdicts": 1, "render_report": 1,
    },
    "calibration.power.num_studies": {
        "simulate_power": 1, "tabulate_calibration": 1, "tabulate_verdicts": 1,
        "render_report": 1,
    },
    # one of several methods, memories, codecs: its own jobs
    "rollout.library.belief.width": {
        "train_rollout": 1, "evaluate_rollout": 1, "tabulate_rollout": 1, "tabulate_verdicts": 1,
        "render_report": 1,
    },
    "memory.library.robust.minimum_count": {
        "check_splits": 1, "fit_memory": 2, "train_matched": 2, "evaluate_memory": 2,
        "tabulate_memory": 1,
        "refit_memory": 1, "train_rollout": 1, "evaluate_rollout": 2, "tabulate_rollout": 1,
        "tabulate_verdicts": 1, "render_report": 1,
    },
    "comparison.reconstruction.num_utterances": {
        "evaluate_reconstruction": 3, "tabulate_codecs": 1, "tabulate_verdicts": 1,
        "render_report": 1,
    },
    # how scores are made: no training
    "prediction.evaluation.num_negatives": {
        "evaluate_density": 10, "evaluate_nulls": 10, "evaluate_factorizer": 1,
        "evaluate_memory": 3, "evaluate_generators": 1, "evaluate_factorized": 1,
        "tabulate_generation": 1, "inject_oracle": 1, "tabulate_calibration": 1,
        "tabulate_codecs": 1, "tabulate_diagnostics": 1, "tabulate_factorizer": 1,
        "tabulate_memory": 1, "tabulate_prediction": 1, "tabulate_verdicts": 1,
        "render_report": 1,
    },
    # a key family: its scores on every representation, worlds included
    "keys.library.pca.num_components": {
        "fit_keys": 14, "score_structure_keys": 14, "fit_calibration_keys": 1,
        "tabulate_structure": 1, "decide": 1, "tabulate_codecs": 1, "score_key_laws": 2,
        "tabulate_keys": 1, "tabulate_states": 1, "score_calibration_keys": 1,
        "tabulate_calibration_structure": 1,
        "simulate_sabotage": 1, "tabulate_calibration": 1, "tabulate_verdicts": 1,
        "render_report": 1,
    },
    "report.title": {
        "render_report": 1, "render_round_trips": 4, "render_resyntheses": 1, "render_rollouts": 1,
    },
    # code: what reaches it
    "engram_audio.report.svg": {"render_report": 1},
    "engram_audio.verdicts.number": {  # the known words of generators are said with it
        "simulate_sabotage": 1, "tabulate_calibration": 1, "tabulate_verdicts": 1,
        "render_report": 1,
    },
    "engram_audio.rollout.verdicts": {"tabulate_verdicts": 1, "render_report": 1},
    "engram_audio.rollout.health": {
        "evaluate_rollout": 5, "tabulate_rollout": 1, "evaluate_generators": 1,
        "evaluate_factorized": 1, "tabulate_generation": 1, "tabulate_verdicts": 1,
        "render_report": 1,
        "simulate_sabotage": 1, "tabulate_calibration": 1,  # a generator's free runs are probed
    },
}  # fmt: skip
# index arithmetic is no part of what encodes audio
NEVER = {"engram_audio.windows": {"extract_latents", "import_arrays", "index_corpus", "fit_codec"}}


@pytest.mark.slow  # `test_reruns.py` asks a few edits of each kind
def test_a_sample_of_edits_reruns_what_reads_them(tmp_path: Path):
    """By real dry runs of a finished study."""
    asked = {*EXPECTED, *NEVER}
    questions = [
        question
        for question in (
            *rerun_table.value_questions(wide_config(), asked),
            *rerun_table.module_questions(),
        )
        if question["name"] in asked
    ]
    answers = rerun_table.plans(rerun_table.finished_study(tmp_path / "study"), questions)
    found = {name: rerun_table.rerun(answer) for name, answer in answers.items()}
    assert found.keys() == asked
    for name, jobs in found.items():
        assert jobs == EXPECTED.get(name, jobs), name
        assert jobs and not NEVER.get(name, set()) & set(jobs), name


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
def test_every_value_decides_something(tmp_path: Path):
    """A value that reruns nothing is read by nobody: a setting that is not one."""
    questions = rerun_table.value_questions(wide_config())
    answers = rerun_table.plans(rerun_table.finished_study(tmp_path / "study"), questions)
    accepted = {name: answer for name, answer in answers.items() if "error" not in answer}
    assert len(accepted) > len(questions) / 2
    idle = {name for name, answer in accepted.items() if not rerun_table.rerun(answer)}
    assert idle == set()
