"""Whatever stands in the configuration: a study, or one clean error; never a traceback."""

import copy
import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.plan import Plan
from engram_audio.planning import section_of
from tests import studies
from tests.fuzz_budget import budget

ROOT = Path(__file__).resolve().parents[2]
CONFIG = studies.study("demo")
KEY = re.compile(r".+: .")  # how a line begins


def places(node: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a configuration, inner nodes included."""
    found = [place] if place else []
    if isinstance(node, dict):
        items: Any = node.items()
    else:
        items = enumerate(node) if isinstance(node, list) else ()
    for name, value in items:
        found += places(value, (*place, name))
    return found


def words(node: Any) -> set[str]:
    """Every string that a configuration holds, keys included."""
    if isinstance(node, dict):
        return {*map(str, node), *(word for value in node.values() for word in words(value))}
    if isinstance(node, list):
        return {word for value in node for word in words(value)}
    return {node} if isinstance(node, str) else set()


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.sampled_from([0, 1, -1, 2**63, 1e308, 5e-324, "", "1e-3", "../x", "a;b", "<b>", "é", "\0"]),
    st.sampled_from(sorted(words(CONFIG))), st.dates(), st.binary(max_size=4),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)
# A section first, so that small ones are edited as often as large ones.
PLACES = st.sampled_from(sorted(CONFIG)).flatmap(
    lambda name: st.sampled_from([(name, *place) for place in places(CONFIG[name])])
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "delete", "add", "swap"]),
        PLACES, st.sampled_from(places(CONFIG)), VALUES,
    ),
    min_size=1, max_size=3,
)  # fmt: skip


def apply(config: Any, edit: tuple[str, tuple[Any, ...], tuple[Any, ...], Any]) -> None:
    """Make one edit in place; one whose place is gone does nothing."""
    kind, place, other, value = edit
    try:
        owner = config
        for name in place[:-1]:
            owner = owner[name]
        if kind == "replace":
            owner[place[-1]] = value
        elif kind == "delete":
            del owner[place[-1]]
        elif kind == "add":
            owner[place[-1]]["new_key"] = value
        else:
            found = CONFIG
            for name in other:
                found = found[name]
            owner[place[-1]] = copy.deepcopy(found)
    except (KeyError, IndexError, TypeError):
        return


def same(parsed: Any, raw: Any) -> bool:
    """Whether what was taken is what stands there, of all that stands there and was kept."""
    if isinstance(parsed, dict) and isinstance(raw, dict):
        return all(same(value, raw[name]) for name, value in parsed.items() if name in raw)
    if isinstance(parsed, list) and isinstance(raw, list | tuple):
        return len(parsed) == len(raw) and all(map(same, parsed, raw))
    return isinstance(parsed, bool) == isinstance(raw, bool) and parsed == raw


@budget("configurations")
def test_a_configuration_is_a_study_or_a_clean_error(examples: range):
    """Edited configurations; an accepted one holds what was written and names its artifacts."""

    @seed(examples.start)
    @settings(max_examples=len(examples), database=None, deadline=None,
              phases=[Phase.generate],  # shrinking takes minutes, and the edits are few
              suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
    @given(EDITS)
    def try_all(edits: Any) -> None:
        try_edits(edits)

    try_all()


def try_edits(edits: Any) -> None:
    config = copy.deepcopy(CONFIG)
    for edit in edits:
        apply(config, edit)
    try:
        parsed = parse_config(config)
        plan = Plan(parsed)
    except InputError as error:
        for line in str(error).split("\n"):
            assert KEY.match(line) and line.isprintable(), line
        return
    assert same(parsed.model_dump(mode="json"), config)
    for name in plan.latents.analysed():
        assert plan.latents.shard_files(name) and plan.latents.split_seeds(name)
        assert plan.latents.corpus_of(name)
    for name in plan.section_names():
        assert section_of(plan.document, name) is not None


@given(VALUES)
def test_any_document_is_refused_cleanly(value):
    """Whatever YAML can hold at the top."""
    try:
        parse_config(value)
    except InputError:
        return
    raise AssertionError("a random document is no study")
