"""Ladders of beta, and what a study knows about fitted and trained codecs."""

import copy
from typing import Any

import pytest

from engram_audio.codecs.ladder import ladder_codec_name
from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.plan import Plan
from engram_audio.planning import section_of
from tests import studies
from tests.unit.trained_codec_material import MEL_VAE, RECIPE, VAE
from tests.workflow.tiny_study import add_row


def raw_study(**ladders_added: Any) -> dict[str, Any]:
    """The demo's configuration with two trained codecs and a ladder."""
    raw = studies.study("demo")
    place = {"corpus": "demo_speech", "split_seed": raw["splits"]["seeds"][0], "recipe": RECIPE}
    raw["codecs"]["library"] |= {"mel_vae": {**MEL_VAE, **place}, "vae": {**VAE, **place}}
    ladders = {"mel_vae": {"codec": "mel_vae", "betas": [0.5, 1.0e-05, 10]}}
    raw["codecs"]["ladders"] = {**ladders, **ladders_added}
    return raw


def speech(codec: str) -> dict[str, Any]:
    return {"kind": "codec", "corpus": "demo_speech", "codec": codec, "permute_blocks_s": None}


def message(raw: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        parse_config(raw)
    return str(caught.value)


def test_a_ladder_gives_a_codec_for_each_beta():
    """Members differ in beta alone, are frozen like any codec, and representations name them."""
    raw = raw_study()
    names = ["mel_vae_b0_5", "mel_vae_b1em05", "mel_vae_b10"]
    for name in ("mel_vae", *names):
        add_row(raw, f"of_{name}", speech(name))
    config = parse_config(raw)
    added = {name: row for name, row in config.codecs.library.items() if "_b" in name}
    assert list(added) == names
    base = config.codecs.library["mel_vae"].model_dump()
    for section, beta in zip(added.values(), (0.5, 1e-5, 10.0), strict=True):
        assert section.model_dump() == {**base, "beta": beta}
    assert section_of(Plan(config).document, "codecs.library.mel_vae_b10")["beta"] == 10.0


@pytest.mark.parametrize(
    ("ladder", "parts"),
    [
        ({"codec": "mel_va", "betas": [1.0]}, ["codecs.ladders.x.codec", "did you mean 'mel_vae'"]),
        ({"codec": "mel_pca", "betas": [1.0]}, ["'mel_pca' is a mel_pca", "no beta"]),
        ({"codec": "mel_vae", "betas": [0.0]}, ["codecs.ladders.x.betas", "greater than 0"]),
        (
            {"codec": "mel_vae", "betas": [2.0, 2]},
            ["codecs.ladders.x.betas", "2.0 stands there twice"],
        ),
        ({"codec": "mel_vae", "betas": []}, ["codecs.ladders.x.betas", "at least 1"]),
    ],
)
def test_a_wrong_ladder_is_one_clear_line(ladder: dict[str, Any], parts: list[str]):
    raw = raw_study(x=ladder)
    add_row(raw, "member", speech("x_b1"))
    text = message(raw)
    assert all(part in text for part in parts) and len(text.splitlines()) == 1, text


def test_a_member_that_does_not_exist_is_refused_with_the_nearest():
    raw = raw_study()
    add_row(raw, "softer", speech("mel_vae_b11"))
    assert "did you mean 'mel_vae_b10'" in message(raw)


@pytest.mark.parametrize(
    ("beta", "name"), [(1.0, "a_b1"), (0.01, "a_b0_01"), (1e6, "a_b1e06"), (1e-7, "a_b1em07")]
)
def test_members_have_names_that_paths_can_hold(beta: float, name: str):
    assert ladder_codec_name("a", beta) == name


def test_what_was_trained_on_a_split_is_analysed_on_that_split_only():
    """Trained codecs and members of ladders as mel_pca; a surrogate of one likewise."""
    raw = raw_study()
    raw["splits"]["seeds"] = [*raw["splits"]["seeds"], 17]
    for codec in ("mel_vae", "vae"):
        raw["codecs"]["library"][codec]["split_seed"] = 17
    for name in ("mel_vae", "vae", "mel_vae_b10"):
        add_row(raw, f"of_{name}", {**speech(name), "surrogates": ["shuffled"]})
    plan = Plan(parse_config(raw))
    for name in ("mel_vae", "vae", "mel_vae_b10"):
        assert plan.latents.split_seeds(f"of_{name}") == [17]
        assert plan.latents.split_seeds(f"of_{name}--shuffled") == [17]
        assert plan.codecs.files(name) == [f"<results>/codecs/{name}/weights.safetensors"]
        assert plan.latents.linear_codec(f"of_{name}") is None
        assert plan.codecs.fitted_on(name)[0] == "demo_speech"
    assert plan.latents.split_seeds("mel_pca") == [
        raw["codecs"]["library"]["mel_pca"]["split_seed"]
    ]
    trained = plan.codecs.trained().split("|")
    assert trained == ["mel_vae", "vae", "mel_vae_b0_5", "mel_vae_b1em05", "mel_vae_b10"]
    assert plan.codecs.fitted() == "mel_pca"


def test_mel_pca_in_several_sizes_is_several_codecs():
    raw = raw_study()
    for size in (8, 64):
        library = raw["codecs"]["library"]
        library[f"mel_pca_{size}"] = {**library["mel_pca"], "num_components": size}
        add_row(raw, f"mel_pca_{size}", speech(f"mel_pca_{size}"))
    plan = Plan(parse_config(raw))
    assert plan.codecs.fitted() == "mel_pca|mel_pca_8|mel_pca_64"
    assert plan.latents.linear_codec("mel_pca_64") == "mel_pca_64"


@pytest.mark.parametrize(
    ("codec", "path", "value", "parts"),
    [
        ("vae", ["strides"], [4, 1], ["strides.1", "greater than or equal to 2"]),
        ("vae", ["crop_s"], 0.01, ["crop_s", "window of 256"]),
        (
            "vae",
            ["loss", "spectral_windows_samples"],
            [30],
            ["spectral_windows_samples.0", "a multiple of 4, found 30"],
        ),
        ("vae", ["loss", "adversarial_weight"], 0.0, ["loss.feature_weight", "discriminator"]),
        ("vae", ["loss", "discriminator_windows_samples"], [], ["name at least one window"]),
        ("mel_vae", ["num_dims"], 1000, ["num_dims must not exceed"]),
        ("mel_vae", ["encoder_context_frames"], 9, ["crop_s must hold encoder_context_frames"]),
        ("mel_vae", ["split_seed"], 99, ["codecs.library.mel_vae.split_seed"]),
        ("mel_vae", ["health", "action"], "stop", ["mel_vae.health.action", "fail"]),
        (
            "mel_vae",
            ["recipe", "num_step"],
            3,
            ["mel_vae.recipe.num_step", "num_steps"],
        ),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    codec: str, path: list[str], value: Any, parts: list[str]
):
    raw = raw_study()
    add_row(raw, f"of_{codec}", speech(codec))
    owner = raw["codecs"]["library"][codec] = copy.deepcopy(raw["codecs"]["library"][codec])
    for part in path[:-1]:
        owner = owner[part]
    owner[path[-1]] = value
    text = message(raw)
    assert all(part in text for part in parts) and len(text.splitlines()) == 1, text
