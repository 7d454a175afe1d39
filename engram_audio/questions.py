"""The questions of a study in their order, each a target of its own: `snakemake structure`.

A page for one question shows the first question and its own. Its plan trains nothing that belongs
to a later one. A z_dyn is made by a trained factoriser, so the questions before that are asked of
all other representations, in tables of their own below `before_states/`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from engram_audio.errors import InputError
from engram_audio.study import Study

FIRST = "structure"
BEFORE_STATES = "before_states"
# Folders whose next part is the name of a representation.
OF_REPRESENTATIONS = "latents|structure|prediction"


class Question(NamedTuple):
    """One question of the chain.

    Attributes:
        tables: Its published tables.
        asked_of: Returns what a study asks it of; empty where it does not ask.
        key: The configuration key that says of what.
        has_states: Whether a study asks it of some z_dyn, or needs one for its tables.
    """

    tables: tuple[str, ...]
    asked_of: Callable[[Study], Sequence[Any]]
    key: str
    has_states: Callable[[Study], bool]


def _never(study: Study) -> bool:
    return False


def _exports_states(study: Study) -> bool:
    return bool(study.exported_states())


def _compares_states(study: Study) -> bool:
    return any(is_state(study, name) for name in study.comparison_inputs())


QUESTIONS = {
    FIRST: Question(
        ("structure", "linear", "curves", "ngrams", "speakers", "corpus", "exclusions"),
        Study.representations,
        "representations.analysed",
        _never,
    ),
    "prediction": Question(
        ("prediction", "worst_frames", "prediction_calibration", "prediction_rollout"),
        Study.prediction_runs,
        "prediction.representations",
        _never,
    ),
    "factorizer": Question(
        ("factorizer", "factorizer_sweep", "factorizer_states"),
        Study.factorizer_runs,
        "factorizer.representations",
        _exports_states,
    ),
    "memory": Question(
        ("memory", "memory_verdict"), Study.memory_runs, "memory.representations", _never
    ),
    "codecs": Question(
        ("codecs", "frontier"),
        Study.compared,
        "comparison.representations",
        _compares_states,
    ),
    "rollout": Question(
        ("rollout", "rollout_sweep"), Study.rollout_runs, "rollout.representations", _never
    ),
}
# Tables that exist once for states and once before them; all others have one place.
IN_BOTH_PLACES = {
    name for question in (FIRST, "prediction", "codecs") for name in QUESTIONS[question].tables
}


def published(study: Study, question: str) -> list[str]:
    """Return the tables of a question that a study publishes."""
    asked = QUESTIONS[question]
    if not asked.asked_of(study):
        return []
    return [name for name in asked.tables if name != "factorizer_states" or _exports_states(study)]


def is_state(study: Study, representation: str) -> bool:
    """Whether a representation is a z_dyn or made of one."""
    chain = study.chain_of(study.base_of(representation))
    return any(name in study.exported_states() for name in chain)


def states(study: Study) -> list[str]:
    """Return the representations that need a trained factoriser, without surrogates.

    Empty where the deciding representation is one of them: then no question comes before.
    """
    found = [name for name in study.study_bases() if is_state(study, name)]
    return [] if study.config.decision.representation in found else found


def folder_of_page(study: Study, question: str) -> str:
    """Return the folder below the results whose decision and structure a page shows: or ""."""
    is_before = bool(states(study)) and not QUESTIONS[question].has_states(study)
    return BEFORE_STATES if is_before else ""


def tables_of_page(study: Study, question: str) -> list[str]:
    """Return the tables of a question's page, as `tables/structure.csv` below the results.

    Raises:
        InputError: The study does not ask the question.
    """
    own = published(study, question)
    if not own:
        key = QUESTIONS[question].key
        raise InputError(
            f"{key}: is empty, so there is no {question}.html; name representations there"
        )
    folder = folder_of_page(study, question)
    names = dict.fromkeys([*published(study, FIRST), *own])
    return [_below(folder if name in IN_BOTH_PLACES else "", name) for name in names]


def _below(folder: str, table: str) -> str:
    return "/".join(part for part in (folder, "tables", f"{table}.csv") if part)


def without(names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Return the paths that are of none of some representations and of none of their surrogates."""
    either = "|".join(map(re.escape, names)) or "(?!)"
    of_them = re.compile(rf"/(?:{OF_REPRESENTATIONS})/(?:{either})(?:--[a-z_]+)?/")
    return [path for path in paths if not of_them.search(path)]
