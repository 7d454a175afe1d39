"""A codec of another package through the extraction step, as docs/extend.md shows it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from engram_audio import plugins
from engram_audio.artifacts.latents import LatentStore
from engram_audio.codecs.config import CodecSection, PluginCodecSettings
from engram_audio.errors import InputError
from engram_audio.steps import (
    extract_latents,
)
from tests.frozen_argv import run_step
from tests.plugin_packages import install, shown_section
from tests.workflow.latent_study import (
    NUM_UTTERANCES,
    build_latent_study,
    flags,
    section,
)


@pytest.fixture()
def study(tmp_path: Path) -> Path:
    return build_latent_study(tmp_path)


@pytest.fixture()
def tiny_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The packages of the page."""
    monkeypatch.delitem(sys.modules, "tiny_codec", raising=False)
    return install(tmp_path / "site", monkeypatch)


def extract_tiny(study: Path, **settings: Any) -> Path:
    path = section(study, "codecs.tiny", {
        "kind": "plugin", "plugin": "tiny", "settings": settings, "weights": [],
        "uses_torch": False,
    })  # fmt: skip
    output = study / "latents" / "rep" / "shard-000.zarr.zip"
    run_step(
        extract_latents,
        flags(
            representation_section=study / "representations.rep.json",
            codec_section=study / "codecs.tiny.json",
            section=study / "latents.extraction.json",
            utterances=study / "utterances.parquet",
            shards=study / "shards.parquet",
            weights=[],
            latents=output,
            representation="rep",
            shard="000",
        ),
        plugins.code_of(TypeAdapter(CodecSection).validate_json(path.read_text()))[1],
    )
    return output


def test_the_plugin_of_the_documentation_extracts_latents(study: Path, tiny_plugin: Path):
    """A codec of another package, exactly as the page shows it; its code is in the digest."""
    settings = TypeAdapter(CodecSection).validate_json(json.dumps(shown_section("codecs")))
    assert isinstance(settings, PluginCodecSettings)
    store = LatentStore([extract_tiny(study, **settings.settings)])
    facts = store.manifests[0]
    assert len(store.index) == NUM_UTTERANCES
    assert (store.metadata.num_dims, store.metadata.frame_rate_hz) == (8, 12.5)
    assert all(test["is_passed"] for test in facts["extraction"]["self_tests"])
    first = plugins.code_of(settings)[1]
    assert facts["code_digest"].endswith(first) and first.startswith("-0.1-")
    module = tiny_plugin / "tiny_codec.py"
    module.write_text(module.read_text() + "\n# a comment\n")
    assert plugins.code_of(settings)[1] == first
    module.write_text(module.read_text().replace("1280", "640"))
    assert plugins.code_of(settings)[1] != first


def test_a_plugins_mistakes_are_one_line(study: Path, tiny_plugin: Path):
    with pytest.raises(InputError, match=r"plugin, tiny\): settings\.num_dims: .*found 'eight'"):
        extract_tiny(study, num_dims="eight", seed=0)
    with pytest.raises(InputError, match=r"settings\.seed: Field required"):
        extract_tiny(study, num_dims=8)
    unknown = PluginCodecSettings(
        kind="plugin", plugin="tin", settings={}, weights=(), uses_torch=False
    )
    with pytest.raises(InputError, match=r"no installed package offers 'tin' .* offered: tiny"):
        unknown.behaviour()
    with pytest.raises(ValueError, match=r"codecs.library.mine.plugin: 'tin' is not one of tiny"):
        unknown.require_installed("codecs.library.mine")
    module = tiny_plugin / "tiny_codec.py"
    module.write_text(module.read_text().replace("def load(", "def load_it("))
    sys.modules.pop("tiny_codec")
    with pytest.raises(InputError, match="cannot be imported, or lacks one of Settings, load"):
        extract_tiny(study, num_dims=8, seed=0)
