"""Settings of learned keys and of the scorer: what is refused, in one line with the remedy."""

from typing import Any

import pytest
from pydantic import ValidationError

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.frozen_sections import derived_sections
from engram_audio.keys.law_config import recipes_of_family
from tests import studies
from tests.unit.law_material import KINDS, family

BASE = studies.study()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("learned_keys.representations", ["mimmi"], "'mimmi'"),
        ("learned_keys.keys", ["pca.raw.kmeans_65536"], "at most maximum_codes 4096"),
        ("learned_keys.keys", ["learned.raw.laws_65"], "'learned.raw.laws_65'"),
        ("learned_keys.direction_keys", ["pca.raw.kmeans_4096"], "learned_keys.direction_keys"),
        ("learned_keys.oracle_sizes", [8192], "by maximum_codes 4096"),
        ("learned_keys.bank.num_components", [256, 128], "ascending order"),
        ("learned_keys.predictor.recipe", "keys", "learned_keys.predictor.recipe"),
        ("representations.library.mimi.surrogates", ["shuffled"], "learned_keys.surrogates: mimi"),
        ("keys.library.learned.inputs", ["increments"], "write [raw]"),
        ("calibration.worlds.laws", ["magg"], "calibration.worlds.laws"),
    ],
)
def test_what_cannot_be_is_refused(key: str, value: Any, words: str):
    """One line for each fault."""
    with pytest.raises(InputError) as error:
        parse_config(studies.changed(BASE, key, value))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_teacher_must_be_a_quantiser_of_the_family():
    """A distilled key follows another that exists; not another distilled one."""
    with pytest.raises(ValidationError, match="teacher"):
        family(KINDS[0], {"kind": "distilled", "teacher": "laws_8", "recipe": "key"})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"kind": "fsq", "levels": (64, 65), "recipe": "key"}, "less than or equal to 64"),
        ({"kind": "fsq", "levels": (64, 64, 2), "recipe": "key"}, "8192 codes"),
        ({"kind": "product_laws", "num_codes": (128, 64)}, "at most 4096"),
        ({"kind": "bits", "num_routes": 4, "num_bits": 4, "recipe": "key"}, "must stay below"),
    ],
)
def test_more_codes_than_a_corpus_fills_are_refused(kind: dict[str, Any], words: str):
    """At most 4096 codes."""
    with pytest.raises(ValidationError, match=words):
        family(kind)


def test_sizes_are_the_products():
    """Every kind says its own K and name."""
    sizes = {size.name: size.num_codes for _, size in family().sizes(8)}
    assert sizes == {
        "laws_4": 4, "tuned_4": 4, "vq_4": 4, "fsq_2x3": 6, "product_laws_2x3": 6,
        "residual_laws_3x2": 6, "bits_2x1": 4, "distilled_laws_4": 4,
    }  # fmt: skip
    assert recipes_of_family(family()) == ["key"]


def test_worlds_are_scored_on_judged_slices_at_the_registered_lag():
    """Their laws are asked for nothing but the gate's row."""
    config = parse_config(BASE)
    laws = derived_sections(config)["calibration.laws"]
    assert laws["lags_frames"] == [config.decision.lag_frames]
    assert laws["slices"] == list(config.views.judged_slices)
    assert laws["oracle_sizes"] == laws["direction_keys"] == []
