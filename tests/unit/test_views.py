"""Values that stages share stand once, and every step that reads one reads that."""

import json
from typing import Any

import pytest

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.frozen_sections import VIEWED, configured_sections, derived_sections, key_of
from engram_audio.provenance import canonical_json
from engram_audio.reruns import _by_key
from engram_audio.views import ViewsSection, viewed_names
from tests import studies

OTHER = {
    "window_frames": 9, "slices": ["all", "medial"], "judged_slices": ["all"],
    "medial_range": [0.2, 0.8], "speech_range_db": 30.0,
    "delta_subspaces": [3], "event_subspaces": [4],
    "divergence_factor": 7.0,
}  # fmt: skip
READERS = {
    "window_frames": {
        "keys",
        "learned_keys",
        "structure",
        "prediction",
        "calibration.structure",
        "calibration.laws",
    },
    "slices": {"learned_keys", "structure", "prediction.evaluation"},
    "judged_slices": {"decision", "calibration.structure", "calibration.laws"},
    "medial_range": {
        "learned_keys",
        "structure",
        "prediction.evaluation",
        "calibration.structure",
        "calibration.laws",
    },
    "speech_range_db": {
        "learned_keys",
        "structure",
        "prediction.evaluation",
        "calibration.structure",
        "calibration.laws",
    },
    "delta_subspaces": {"structure"},
    "event_subspaces": {"prediction.evaluation"},
    "divergence_factor": {"prediction.evaluation", "rollout"},
}


def sections(**views: Any) -> dict[str, Any]:
    raw = studies.study()
    config = parse_config(studies.merged(raw, {"views": views}))
    return configured_sections(config) | derived_sections(config)


def test_every_view_has_a_reader_in_this_test():
    assert set(OTHER) == set(READERS) == set(ViewsSection.model_fields)


@pytest.mark.parametrize("name", OTHER)
def test_a_view_changes_the_sections_that_read_it_and_no_others(name: str):
    """Law: a step's frozen file holds the values that it reads; one value has one place."""
    changes = {name: OTHER[name]} | ({"judged_slices": ["all"]} if name == "slices" else {})
    before = sections(**({"judged_slices": ["all"]} if name == "slices" else {}))
    after = sections(**changes)
    differing = {key for key in before if before[key] != after[key]}
    assert differing == READERS[name] | {"views"}


@pytest.mark.parametrize("section", VIEWED)
def test_why_names_the_key_that_a_person_writes(section: str):
    for field, view in viewed_names(VIEWED[section]).items():
        assert key_of(section, field) == f"views.{view}"
    assert key_of("keys", "ridge") == "keys.ridge"
    part = {"section": section, "value": sections()[section]}
    assert set(_by_key({"settings": {"section": [part]}})) >= {
        f"views.{view}" for view in viewed_names(VIEWED[section]).values()
    }


def test_a_section_of_a_stage_holds_no_library():
    """One more head, memory or method reruns no other: their definitions are sections apart."""
    raw = studies.study()
    before = configured_sections(parse_config(raw))
    stages = {"prediction": "heads", "memory": "memories", "rollout": "methods"}
    for stage, chosen in stages.items():
        library = raw[stage]["library"]
        library["another"] = dict(library[raw[stage][chosen][0]])
        raw[stage][chosen].append("another")
    after = configured_sections(parse_config(raw))
    assert set(after) - set(before) == {f"{stage}.library.another" for stage in stages}
    assert all(canonical_json(before[name]) == canonical_json(after[name]) for name in before)


ROW = {"kind": "arrays", "frame_rate_hz": 12.5, "latent_space": "x", "is_causal": True,
       "num_shards": 1}  # fmt: skip


def test_the_top_of_a_study_of_arrays_says_where_they_are():
    """`--config path=.. table=..` reaches every row of arrays that names none of its own."""
    own = {"representations": {"library": {"mine": {**ROW, "path": "own", "table": "own.csv"}}}}
    raw = studies.merged(studies.study("arrays"), own, {"path": "here", "table": "here.csv"})
    raw["representations"]["analysed"].append("mine")
    rows = configured_sections(parse_config(raw))
    places = {name: rows[f"representations.library.{name}"] for name in ("arrays", "mine")}
    assert [places["arrays"][key] for key in ("path", "table")] == ["here", "here.csv"]
    assert [places["mine"][key] for key in ("path", "table")] == ["own", "own.csv"]
    del raw["path"]
    with pytest.raises(InputError, match=r"representations\.library\.arrays\.path: .* missing"):
        parse_config(raw)


def test_the_study_of_arrays_needs_no_speech_and_no_codec():
    text = json.dumps(configured_sections(parse_config(studies.study("arrays"))))
    config = parse_config(studies.study("arrays"))
    assert list(config.representations.library) == ["arrays"] and '"arrays"' in text
    for stage in (config.factorizer, config.memory, config.rollout):
        assert not stage.library
