"""What is registered must exist: keys, floors, slices and lags are checked before anything runs."""

import copy
from typing import Any

import pytest

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.keys.config import key_sizes
from tests import studies


def _raw() -> dict[str, Any]:
    return studies.study()


def _message(section: str, key: str, value: Any) -> str:
    raw = copy.deepcopy(_raw())
    raw[section][key] = value
    with pytest.raises(InputError) as caught:
        parse_config(raw)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("keys", ["pca.raw.kmeans_256"], ["decision.keys", "structure.families"]),
        ("lag_frames", 3, ["decision.lag_frames", "1, 2, 4"]),
    ],
)
def test_registered_names_must_exist(key: str, value: Any, parts: list[str]):
    message = _message("decision", key, value)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("pca.raw.kmean_256", ["did you mean 'pca.raw.kmeans_256'"]),
        ("target_oracle.kmeans_256", ["not one of"]),
    ],
)
def test_keys_of_worlds_must_exist(key: str, parts: list[str]):
    raw = _raw()
    raw["calibration"]["worlds"]["keys"] = [key]
    with pytest.raises(InputError) as caught:
        parse_config(raw)
    assert all(part in str(caught.value) for part in ["calibration.worlds.keys", *parts])


def test_a_key_of_worlds_needs_an_oracle_of_its_size():
    raw = _raw()
    raw["structure"]["library"]["target_oracle"]["codebook_sizes"] = [16]
    with pytest.raises(InputError, match=r"target oracle of that size.*add 256"):
        parse_config(raw)


def test_some_key_needs_an_oracle_of_its_size():
    raw = _raw()
    raw["calibration"]["worlds"]["names"] = []
    raw["structure"]["library"]["target_oracle"]["codebook_sizes"] = [17]
    with pytest.raises(InputError, match="no key has as many cells as a target oracle"):
        parse_config(raw)


def test_key_names_are_those_of_the_score_tables():
    config = parse_config(_raw())
    sizes = key_sizes(config.keys.library)
    assert sizes["pca.increments.kmeans_65536"].num_codes == 65536
    assert sizes["pca.raw.quantile_bins_4"].num_codes == 4**8
    oracle = config.structure.library["target_oracle"].codebook_sizes
    assert 256 in oracle
