"""Which tables a question's page shows, and which representations wait for a trained factoriser."""

import copy
from typing import Any

import pytest

from engram_audio import questions
from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.plan import Plan
from engram_audio.questions import QUESTIONS
from engram_audio.report.published_tables import TABLES
from tests.workflow.tiny_study import tiny_config

EARLY, LATE = "before_states/tables", "tables"


def study(change: Any = None) -> Plan:
    config = copy.deepcopy(tiny_config())
    if change is not None:
        change(config)
    return Plan(parse_config(config))


def compare(config: dict[str, Any]) -> None:
    config["comparison"]["representations"] = ["mel_pca"]


def compare_states(config: dict[str, Any]) -> None:
    config["prediction"]["representations"] = ["mel_pca", "mel_pca_state"]
    config["comparison"]["representations"] = ["mel_pca", "mel_pca_state"]


def decide_on_state(config: dict[str, Any]) -> None:
    config["decision"]["representation"] = "mel_pca_state"


def without_states(config: dict[str, Any]) -> None:
    config["representations"]["analysed"].remove("mel_pca_state")


def test_the_questions_publish_each_table_once_but_for_those_of_all_questions():
    """`results/report.html` gathers what the questions publish, so none may be left out."""
    names = [name for question in QUESTIONS for name in QUESTIONS[question].tables]
    assert sorted([*names, "calibration", "verdicts", "what_would_change"]) == sorted(TABLES)


def test_a_page_is_named_for_the_table_and_the_section_of_its_question():
    assert all(name == question.tables[0] for name, question in QUESTIONS.items())


@pytest.mark.parametrize(
    ("question", "change", "first", "own"),
    [
        ("structure", compare, EARLY, EARLY),
        ("prediction", compare, EARLY, EARLY),
        ("memory", compare, EARLY, LATE),
        ("rollout", compare, EARLY, LATE),
        ("generation", compare, EARLY, LATE),
        ("codecs", compare, EARLY, EARLY),
        ("codecs", compare_states, LATE, LATE),
        ("factorizer", compare, LATE, LATE),
        ("structure", without_states, LATE, LATE),
        ("prediction", without_states, LATE, LATE),
        ("factorizer", without_states, LATE, LATE),
        ("structure", decide_on_state, LATE, LATE),
    ],
)
def test_a_page_shows_the_first_question_and_its_own(question: str, change, first: str, own: str):
    """Tables with z_dyn only where the question needs it, or where z_dyn itself decides."""
    asked = study(change)
    expected = [f"{first}/{name}.csv" for name in QUESTIONS["structure"].tables]
    if question != "structure":
        names = QUESTIONS[question].tables
        has_state = asked.latents.states()
        expected += [f"{own}/{n}.csv" for n in names if n != "factorizer_states" or has_state]
    assert questions.tables_of_page(asked, question) == expected
    assert questions.folder_of_page(asked, question) == first.removesuffix("tables").strip("/")


@pytest.mark.parametrize("question", [name for name in QUESTIONS if name != "structure"])
def test_a_question_that_the_study_does_not_ask_is_refused_with_its_key(question: str):
    def ask_nothing(config: dict[str, Any]) -> None:
        for stage in ("prediction", "factorizer", "memory", "rollout", "generation"):
            config[stage]["representations"] = []
        config["rollout"]["player_methods"] = []
        without_states(config)

    with pytest.raises(InputError, match=rf"{question}.*: is empty|comparison.*: is empty"):
        questions.tables_of_page(study(ask_nothing), question)


def test_what_is_made_of_a_state_waits_for_it_too():
    def stack(config: dict[str, Any]) -> None:
        config["representations"]["analysed"].append("stacked")
        config["representations"]["library"]["stacked"] = {
            "kind": "resampled", "source": "mel_pca_state", "mode": "stack", "frames_per_group": 2,
            "surrogates": [],
        }  # fmt: skip

    asked = study(stack)
    assert questions.states(asked) == ["mel_pca_state", "stacked"]
    assert questions.is_state(asked, "stacked--shuffled")
    assert not questions.is_state(asked, "mel_pca")


def test_paths_of_a_representation_go_with_those_of_its_surrogates_and_no_other():
    of_it = [
        "results/demo/latents/mimi_state/summary.json",
        "results/demo/latents/mimi_state--var/summary.json",
        "results/structure/mimi_state/split-0/linear.parquet",
        "results/prediction/mimi_state/lag-1/flow/seed-0/scores.parquet",
    ]
    others = [
        "results/latents/mimi/summary.json",
        "results/latents/mimi_state_2/summary.json",
        "results/latents/my_mimi_state/summary.json",
        "results/corpus/mimi_state/utterances.parquet",
        "results/prediction/mimi/lag-1/mimi_state/seed-0/scores.parquet",
    ]
    assert questions.without(["mimi_state"], [*of_it, *others]) == others
    assert questions.without([], of_it) == of_it
