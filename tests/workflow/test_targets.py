"""`snakemake structure` and the other questions: exact plans, and a page from a real run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.workflow.lab import Lab
from tests.workflow.small_study import SmallStudy, small_config
from tests.workflow.tiny_study import checkout, tiny_config, write_config

ARRAYS = {
    "index_arrays": 2, "import_arrays": 2, "make_splits": 2, "check_splits": 2,
    "summarize_latents": 2,
}  # fmt: skip
SPEECH = {
    "synthesize_demo_speech": 1, "index_corpus": 1, "assign_shards": 1, "make_splits": 2,
    "check_splits": 2,
    "fit_codec": 1, "extract_latents": 2, "index_arrays": 1, "import_arrays": 1,
}  # fmt: skip
PAGE = {"tabulate_question_verdicts": 1, "render_question": 1}
# The first question of the tiny study, in which `mel_pca_state` waits for a trained factoriser.
FIRST = {
    **SPEECH, "summarize_latents": 2, "fit_keys": 4, "score_structure_keys": 6,
    "score_linear_baselines": 2,
    "tabulate_structure_before_states": 1, "tabulate_corpus_before_states": 1,
    "decide_before_states": 1, **PAGE,
}  # fmt: skip
HEAD = {"fit_linear_nulls": 1, "train_density": 1}
SCORED = {"fit_marginal": 1, "fit_ridge_mixture": 1, "evaluate_density": 1, "evaluate_nulls": 1}
PLANS = {
    "structure": FIRST,
    "prediction": {
        **FIRST, **HEAD, **SCORED,
        "tabulate_prediction_before_states": 1, "tabulate_diagnostics_before_states": 1,
    },
    "memory": {
        **FIRST, **HEAD, **SCORED, "train_fold_density": 2, "fit_keys": 5, "fit_memory": 2,
        "train_memory": 1,
        "train_matched": 3, "train_curve": 2, "evaluate_memory": 3, "tabulate_memory": 1,
    },
    "codecs": {
        **FIRST, **HEAD, **SCORED, "evaluate_reconstruction": 1, "tabulate_codecs_before_states": 1,
    },
    "rollout": {
        **FIRST, **HEAD, "train_fold_density": 2, "fit_keys": 5, "fit_memory": 1,
        "train_rollout": 4,
        "refit_memory": 1, "evaluate_rollout": 5, "tabulate_rollout": 1,
    },
    "generation": {
        **FIRST, "fit_linear_nulls": 1, "fit_keys": 5, "train_generators": 1,
        "evaluate_generators": 1, "tabulate_generation": 1,
    },
    # z_dyn stands beside what it came from, so it is scored too.
    "factorizer": {
        **SPEECH, **HEAD, **SCORED, "train_factorizer": 1, "evaluate_factorizer": 1,
        "export_states": 2, "summarize_latents": 3, "fit_keys": 6,
        "score_structure_keys": 9,
        "score_linear_baselines": 3, "tabulate_structure": 1, "tabulate_corpus": 1, "decide": 1,
        "tabulate_factorizer": 1, "tabulate_states": 1, **PAGE,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SmallStudy:
    folder = tmp_path_factory.mktemp("targets") / "study"
    checkout(folder)
    return SmallStudy(folder)


def whole_config() -> dict[str, Any]:
    """The tiny study with all questions asked."""
    config = tiny_config()
    config["comparison"]["representations"] = ["mel_pca"]
    return config


@pytest.mark.parametrize("question", PLANS)
def test_a_question_plans_its_own_stage_and_the_first_question(study: SmallStudy, question: str):
    """No job of a later stage; no z_dyn, and so no factoriser, before its question is asked."""
    write_config(study.folder, whole_config())
    assert study.plan(question) == {**PLANS[question], question: 1}


def test_without_states_the_tables_of_a_question_are_those_of_the_whole_study(study: SmallStudy):
    write_config(study.folder, small_config())
    own = {"fit_keys": 4, "score_structure_keys": 6, "score_linear_baselines": 2,
           "tabulate_structure": 1,
           "tabulate_corpus": 1, "decide": 1}  # fmt: skip
    assert study.plan("structure") == {**ARRAYS, **own, **PAGE, "structure": 1}
    assert study.plan() == {**ARRAYS, **own, "tabulate_verdicts": 1, "render_report": 1}


def test_a_question_that_is_not_asked_names_the_key(study: SmallStudy):
    write_config(study.folder, small_config())
    with pytest.raises(AssertionError, match=r"memory\.representations: is empty, so there is no"):
        study.plan("memory")


def test_several_files_of_one_rule_are_planned_at_once(study: SmallStudy):
    """Snakemake lists the folder of their frozen files before it asks for the second one."""
    study.write()
    files = [f"results/latents/{name}/summary.json" for name in ("brought", "other")]
    assert study.plan(*files)["summarize_latents"] == 2


TABLES = ("structure", "linear", "curves", "ngrams", "speakers", "prediction", "worst_frames")


@pytest.fixture(scope="class")
def asked(finished_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The finished tiny study, in which four questions are asked."""
    from tests.workflow.lab import copy_of

    lab = copy_of(finished_study, tmp_path_factory.mktemp("asked") / "study")
    lab.targets = ("structure", "prediction", "memory", "factorizer")
    outcome = lab.run()
    assert outcome.code == 0, outcome.text[-3000:]
    yield lab


@pytest.mark.slow
class TestFinishedStudy:
    """Of a study that is finished, only tables without z_dyn and pages are made."""

    def test_the_tables_before_states_are_the_rows_of_the_whole_tables(self, asked: Lab):
        """Bit for bit: no number of a representation depends on which others are beside it."""
        for name in TABLES:
            before, whole = (
                pd.read_csv(asked.results / folder / f"{name}.csv", dtype=str)
                for folder in ("before_states/tables", "tables")
            )
            kept = whole.loc[~whole["representation"].str.startswith("mel_pca_state")]
            assert len(before) > 0, name
            pd.testing.assert_frame_equal(before, kept.reset_index(drop=True))

    @pytest.mark.parametrize(
        ("question", "shown"),
        [
            ("structure", {"structure"}),
            ("prediction", {"structure", "prediction"}),
            ("memory", {"structure", "memory"}),
            ("factorizer", {"structure", "factorizer"}),
        ],
    )
    def test_a_page_shows_what_was_run_and_says_what_was_not(
        self, asked: Lab, question: str, shown: set[str]
    ):
        page = (asked.results / f"{question}.html").read_text(encoding="utf-8")
        stages = {"structure", "prediction", "factorizer", "memory", "codecs", "rollout"}
        for name in stages | {"generation", "calibration"}:
            says_not_run = f"<code>snakemake {name}</code> runs it" in page
            assert says_not_run == (name not in shown), name
        assert "This study has no predictions" not in page
        assert "can be decoded to sound" not in page
        numbers = page.split('<section id="provenance"')[0]  # provenance names the configuration
        assert ("mel_pca_state" in numbers) == (question == "factorizer")
