"""The questions of a study in their order, each a target of its own: `snakemake structure`.

A page for one question shows the first question and its own. Its plan trains nothing that belongs
to a later one. A z_dyn is made by a trained factoriser, so the questions before that are asked of
all other representations, in tables of their own below `before_states/`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from engram_audio.errors import InputError
from engram_audio.plan import Plan

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
    asked_of: Callable[[Plan], Sequence[Any]]
    key: str
    has_states: Callable[[Plan], bool]


def _never(plan: Plan) -> bool:
    return False


def _exports_states(plan: Plan) -> bool:
    return bool(plan.latents.states())


def _compares_states(plan: Plan) -> bool:
    return any(is_state(plan, name) for name in plan.comparison.inputs())


QUESTIONS = {
    FIRST: Question(
        ("structure", "linear", "curves", "ngrams", "speakers", "corpus", "exclusions"),
        lambda plan: plan.latents.analysed(),
        "representations.analysed",
        _never,
    ),
    "keys": Question(
        ("keys", "key_directions"),
        lambda plan: plan.laws.runs(),
        "learned_keys.representations",
        _never,
    ),
    "prediction": Question(
        (
            "prediction",
            "worst_frames",
            "prediction_calibration",
            "prediction_rollout",
            "prediction_tuning",
        ),
        lambda plan: plan.prediction.runs(),
        "prediction.representations",
        _never,
    ),
    "factorizer": Question(
        ("factorizer", "factorizer_sweep", "factorizer_states"),
        lambda plan: plan.factorizer.runs(),
        "factorizer.representations",
        _exports_states,
    ),
    "memory": Question(
        ("memory", "memory_verdict", "memory_tuning", "memory_curve"),
        lambda plan: plan.memory.runs(),
        "memory.representations",
        _never,
    ),
    "codecs": Question(
        ("codecs", "frontier"),
        lambda plan: plan.comparison.compared(),
        "comparison.representations",
        _compares_states,
    ),
    "rollout": Question(
        ("rollout", "rollout_sweep"),
        lambda plan: plan.rollout.runs(),
        "rollout.representations",
        _never,
    ),
    "generation": Question(
        (
            "generation",
            "generation_gains",
            "generation_health",
            "generation_keys",
            "generation_replay",
            "generation_latency",
            "generation_ladder",
            "generation_cost",
            "generation_share",
            "generation_wider",
            "generation_probes",
            "generation_audio",
            "generation_audio_gains",
        ),
        lambda plan: plan.generation.runs(),
        "generation.representations",
        _never,
    ),
}
# Tables that exist once for states and once before them; all others have one place.
IN_BOTH_PLACES = {
    name for question in (FIRST, "prediction", "codecs") for name in QUESTIONS[question].tables
}


# What a stage's verdict is judged from, where it is published.
JUDGED = (
    FIRST,
    "linear",
    "keys",
    "prediction",
    "factorizer",
    "codecs",
    "memory_verdict",
    "rollout",
    "generation",
    "generation_gains",
    "generation_health",
    "generation_replay",
    "generation_cost",
    "generation_share",
    "generation_wider",
    "generation_probes",
    "calibration",
)


# What `verify/` recomputes the numbers of.
VERIFIED = (FIRST, "prediction", "memory", "memory_verdict")


def judged_tables(names: Sequence[str]) -> list[str]:
    """Return those of some tables that the verdicts are judged from."""
    return [name for name in JUDGED if name in names]


def verified_tables(names: Sequence[str]) -> list[str]:
    """Return those of some tables whose numbers are recomputed without the package."""
    return [name for name in VERIFIED if name in names]


def published(plan: Plan, question: str) -> list[str]:
    """Return the tables of a question that a study publishes."""
    asked = QUESTIONS[question]
    if not asked.asked_of(plan):
        return []
    return [name for name in asked.tables if name != "factorizer_states" or _exports_states(plan)]


def tables_of_report(plan: Plan) -> list[str]:
    """Return all tables that a study publishes, question by question."""
    tables = [table for name in QUESTIONS for table in published(plan, name)]
    return [*tables, "calibration"] if plan.calibration.worlds() else tables


def is_state(plan: Plan, representation: str) -> bool:
    """Whether a representation is a z_dyn or made of one."""
    chain = plan.latents.chain_of(plan.latents.base_of(representation))
    return any(name in plan.latents.states() for name in chain)


def states(plan: Plan) -> list[str]:
    """Return the representations that need a trained factoriser, without surrogates.

    Empty where the deciding representation is one of them: then no question comes before.
    """
    found = [name for name in plan.latents.bases() if is_state(plan, name)]
    return [] if plan.config.decision.representation in found else found


def folder_of_page(plan: Plan, question: str) -> str:
    """Return the folder below the results whose decision and structure a page shows: or ""."""
    is_before = bool(states(plan)) and not QUESTIONS[question].has_states(plan)
    return BEFORE_STATES if is_before else ""


def tables_of_page(plan: Plan, question: str) -> list[str]:
    """Return the tables of a question's page, as `tables/structure.csv` below the results.

    Raises:
        InputError: The study does not ask the question.
    """
    own = published(plan, question)
    if not own:
        key = QUESTIONS[question].key
        raise InputError(
            f"{key}: is empty, so there is no {question}.html; name representations there"
        )
    folder = folder_of_page(plan, question)
    names = dict.fromkeys([*published(plan, FIRST), *own])
    return [_below(folder if name in IN_BOTH_PLACES else "", name) for name in names]


def judged_of_page(plan: Plan, question: str) -> list[str]:
    """Return the tables of a question's page that its verdicts are judged from."""
    paths = tables_of_page(plan, question)
    return [path for path in paths if path.rpartition("/")[2].removesuffix(".csv") in JUDGED]


def _below(folder: str, table: str) -> str:
    return "/".join(part for part in (folder, "tables", f"{table}.csv") if part)


def without(names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Return the paths that are of none of some representations and of none of their surrogates."""
    either = "|".join(map(re.escape, names)) or "(?!)"
    of_them = re.compile(rf"/(?:{OF_REPRESENTATIONS})/(?:{either})(?:--[a-z_]+)?/")
    return [path for path in paths if not of_them.search(path)]
