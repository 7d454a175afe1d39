"""Ladders of beta, and what a study knows about fitted and trained codecs."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from engram_audio.codecs.ladder import rung_name
from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.planning import section_of
from engram_audio.study import Study
from tests.unit.trained_codec_material import MEL_VAE, RECIPE, VAE

ROOT = Path(__file__).parents[2]


def raw_study(**changes: Any) -> dict[str, Any]:
    """The demo's configuration with two trained codecs and a ladder."""
    raw = yaml.safe_load((ROOT / "demo" / "config.yaml").read_text(encoding="utf-8"))
    raw = copy.deepcopy(raw)
    place = {"corpus": "demo_speech", "split_seed": raw["splits"]["seeds"][0], "recipe": RECIPE}
    raw["codecs"] |= {"mel_vae": {**MEL_VAE, **place}, "vae": {**VAE, **place}}
    raw["codec_ladders"] = {"mel_vae": {"codec": "mel_vae", "betas": [0.5, 1.0e-05, 10]}}
    return {**raw, **changes}


def speech(codec: str) -> dict[str, Any]:
    return {"kind": "codec", "corpus": "demo_speech", "codec": codec, "permute_blocks_s": None}


def message(raw: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        parse_config(raw)
    return str(caught.value)


def test_a_ladder_gives_a_codec_for_each_beta():
    """Rungs differ in beta alone, are frozen like any codec, and representations name them."""
    raw = raw_study()
    raw["representations"]["softer"] = speech("mel_vae_b10")
    config = parse_config(raw)
    rungs = {name: config.codecs[name] for name in config.codecs if "_b" in name}
    assert list(rungs) == ["mel_vae_b0_5", "mel_vae_b1em05", "mel_vae_b10"]
    base = config.codecs["mel_vae"].model_dump()
    for rung, beta in zip(rungs.values(), (0.5, 1e-5, 10.0), strict=True):
        assert rung.model_dump() == {**base, "beta": beta}
    assert section_of(Study(config).document, "codecs.mel_vae_b10")["beta"] == 10.0


@pytest.mark.parametrize(
    ("ladder", "parts"),
    [
        ({"codec": "mel_va", "betas": [1.0]}, ["codec_ladders.x.codec", "did you mean 'mel_vae'"]),
        ({"codec": "mel_pca", "betas": [1.0]}, ["'mel_pca' is a mel_pca", "no beta"]),
        ({"codec": "mel_vae", "betas": [0.0]}, ["codec_ladders.x.betas", "greater than 0"]),
        ({"codec": "mel_vae", "betas": [2.0, 2]}, ["second codec called x_b2"]),
        ({"codec": "mel_vae", "betas": []}, ["codec_ladders.x.betas", "at least 1"]),
    ],
)
def test_a_wrong_ladder_is_one_clear_line(ladder: dict[str, Any], parts: list[str]):
    text = message(raw_study(codec_ladders={"x": ladder}))
    assert all(part in text for part in parts) and len(text.splitlines()) == 1, text


def test_a_rung_that_does_not_exist_is_refused_with_the_nearest():
    raw = raw_study()
    raw["representations"]["softer"] = speech("mel_vae_b11")
    assert "did you mean 'mel_vae_b10'" in message(raw)


@pytest.mark.parametrize(
    ("beta", "name"), [(1.0, "a_b1"), (0.01, "a_b0_01"), (1e6, "a_b1e06"), (1e-7, "a_b1em07")]
)
def test_rungs_have_names_that_paths_can_hold(beta: float, name: str):
    assert rung_name("a", beta) == name


def test_what_was_trained_on_a_split_is_analysed_on_that_split_only():
    """Trained codecs and rungs as mel_pca; a surrogate of one likewise."""
    raw = raw_study()
    raw["splits"]["seeds"] = [*raw["splits"]["seeds"], 17]
    for codec in ("mel_vae", "vae"):
        raw["codecs"][codec]["split_seed"] = 17
    for name in ("mel_vae", "vae", "mel_vae_b10"):
        raw["representations"][f"of_{name}"] = {**speech(name), "surrogates": ["shuffled"]}
    study = Study(parse_config(raw))
    for name in ("mel_vae", "vae", "mel_vae_b10"):
        assert study.split_seeds(f"of_{name}") == [17]
        assert study.split_seeds(f"of_{name}--shuffled") == [17]
        assert study.codec_files(name) == [f"<results>/codecs/{name}/weights.safetensors"]
        assert study.linear_codec(f"of_{name}") is None
        assert study.fitted_codec(name).corpus == "demo_speech"
    assert study.split_seeds("mel_pca") == [raw["codecs"]["mel_pca"]["split_seed"]]
    trained = study.trained_codec_pattern().split("|")
    assert trained == ["mel_vae", "vae", "mel_vae_b0_5", "mel_vae_b1em05", "mel_vae_b10"]
    assert study.fitted_codec_pattern() == "mel_pca"


def test_mel_pca_in_several_sizes_is_several_codecs():
    raw = raw_study()
    for size in (8, 64):
        raw["codecs"][f"mel_pca_{size}"] = {**raw["codecs"]["mel_pca"], "num_components": size}
        raw["representations"][f"mel_pca_{size}"] = speech(f"mel_pca_{size}")
    study = Study(parse_config(raw))
    assert study.fitted_codec_pattern() == "mel_pca|mel_pca_8|mel_pca_64"
    assert study.linear_codec("mel_pca_64") == "mel_pca_64"


@pytest.mark.parametrize(
    ("codec", "path", "value", "parts"),
    [
        ("vae", ["strides"], [4, 1], ["strides", "at least 2"]),
        ("vae", ["crop_s"], 0.01, ["crop_s", "window of 256"]),
        ("vae", ["loss", "spectral_windows_samples"], [30], ["30 is not a multiple of 4"]),
        ("vae", ["loss", "adversarial_weight"], 0.0, ["loss.feature_weight", "discriminator"]),
        ("vae", ["loss", "discriminator_windows_samples"], [], ["name at least one window"]),
        ("mel_vae", ["num_dims"], 1000, ["num_dims must not exceed"]),
        ("mel_vae", ["encoder_context_frames"], 9, ["crop_s must hold encoder_context_frames"]),
        ("mel_vae", ["split_seed"], 99, ["codecs.mel_vae.split_seed"]),
        ("mel_vae", ["health", "action"], "stop", ["codecs.mel_vae.health.action", "fail"]),
        ("mel_vae", ["recipe", "num_step"], 3, ["codecs.mel_vae.recipe.num_step", "num_steps"]),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    codec: str, path: list[str], value: Any, parts: list[str]
):
    raw = raw_study()
    owner = raw["codecs"][codec] = copy.deepcopy(raw["codecs"][codec])
    for part in path[:-1]:
        owner = owner[part]
    owner[path[-1]] = value
    text = message(raw)
    assert all(part in text for part in parts) and len(text.splitlines()) == 1, text
