"""Configuration: the shipped files are valid, mistakes get one line each with the nearest match."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from engram_audio.config import parse_config, schema_text
from engram_audio.errors import InputError
from engram_audio.planning import section_of
from engram_audio.provenance import canonical_json
from engram_audio.study import Study

ROOT = Path(__file__).parents[2]
SHIPPED = ["workflow_config.yaml", "demo/config.yaml"]


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def mistake(path: list[Any], value: Any) -> str:
    """Return the message for one changed (or, with ..., deleted) value of the real study."""
    raw = copy.deepcopy(load("workflow_config.yaml"))
    owner = raw
    for part in path[:-1]:
        owner = owner[part]
    if value is ...:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    with pytest.raises(InputError) as caught:
        parse_config(raw)
    return str(caught.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_configurations_are_valid(name: str):
    parse_config(load(name))


def test_committed_schema_is_what_the_models_generate():
    """Run `make schema` when this fails."""
    committed = (ROOT / "workflow_config.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text()


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (
            ["structure", "window_frame"],
            8,
            ["structure.window_frame:", "unknown key", "did you mean 'window_frames'"],
        ),
        (["structure", "window_frames"], "8", ["structure.window_frames:", "integer", "'8'"]),
        (["structure", "ridge"], "1e-3", ["structure.ridge:", "number", "'1e-3'"]),
        (["structure", "ridge"], -1.0, ["structure.ridge:", "greater than 0"]),
        (["structure", "ridge"], float("nan"), ["structure.ridge:", "finite"]),
        (["structure", "window_frames"], True, ["structure.window_frames:", "integer"]),
        (["codecs", "mimi", "kind"], "mini", ["codecs.mimi.kind:", "did you mean 'mimi'"]),
        (["codecs", "mimi", "kind"], ..., ["codecs.mimi.kind:", "required"]),
        (
            ["codecs", "mimi", "latent_space"],
            "projcted",
            ["codecs.mimi.latent_space:", "did you mean 'projected'"],
        ),
        (
            ["representations", "mimi", "codec"],
            "mimo",
            ["representations.mimi.codec:", "did you mean 'mimi'"],
        ),
        (
            ["representations", "mimi", "corpus"],
            "x",
            ["representations.mimi.corpus:", "librispeech"],
        ),
        (
            ["decision", "representation"],
            "mimic",
            ["decision.representation:", "did you mean 'mimi'"],
        ),
        (["decision", "lag_frames"], 3, ["decision.lag_frames:", "1, 2, 4"]),
        (["splits", "seeds"], [], ["splits.seeds:", "at least 1"]),
        (
            ["corpora", "librispeech", "subsets", 0],
            "train-clean100",
            ["did you mean 'train-clean-100'"],
        ),
        (
            ["decision", "operative_gate", "minimum_advantage"],
            ...,
            ["decision.operative_gate.minimum_advantage:", "required"],
        ),
        (["representations", "Bad Name"], {"kind": "world"}, ["representations.Bad Name"]),
        (["structure_keys", "target_oracle"], ..., ["structure_keys:", "target_oracle"]),
        # a field that has the name of its union's tag
        (
            ["representations", "mimi", "corpu"],
            "librispeech",
            ["representations.mimi.corpu:", "did you mean 'corpus'"],
        ),
        (
            ["representations", "mimi", "surrogates"],
            ["shufled"],
            ["representations.mimi.surrogates.0:", "did you mean 'shuffled'"],
        ),
        (["structure", "lags_frames"], [0, 1, 2, 4], ["structure.lags_frames.0:", "equal to 1"]),
        (["structure", "lags_frames"], [1, 1, 2, 4], ["structure.lags_frames:", "1 stands there"]),
        (["structure", "medial_range"], [0.83, 0.17], ["structure:", "medial_range [0.83, 0.17]"]),
        (["structure", "ngram_orders"], [], ["structure.ngram_orders:", "at least 1"]),
        (["structure", "confidence_quantiles"], [0.5, 2.0], ["structure.confidence_quantiles.1:"]),
        (["splits", "seeds"], [0, 0], ["splits.seeds:", "list each once"]),
        (["prediction", "lags_frames"], [-1, 1], ["prediction.lags_frames.0:", "equal to 1"]),
        (
            ["structure_keys", "target_oracle", "codebook_sizes"],
            [16, 64, 64, 256],
            ["structure_keys.target_oracle.codebook_sizes:", "64 stands there twice"],
        ),
        (
            ["rollout_methods", "one_step_nearest", "guard", "num_neighbours"],
            10**6,
            ["rollout_methods.one_step_nearest.guard:", "must not exceed num_frames"],
        ),
        (["rollout", "injections_frames"], [0], ["rollout.injections_frames.0:"]),
        (
            ["memories", "engram", "key"],
            {
                "kind": "product",
                "window_frames": 1,
                "maximum_frames": 1000,
                "num_components": 4,
                "num_groups": 4,
                "num_codes": 128,
            },
            ["memories.engram:", "do not fit into 63 bits"],
        ),
    ],
)
def test_a_mistake_names_the_key_and_the_remedy(path: list[Any], value: Any, parts: list[str]):
    message = mistake(path, value)
    assert all(part in message for part in parts), message


def test_one_line_for_each_mistake():
    raw = load("workflow_config.yaml")
    raw["structure"]["ridge"] = "x"
    raw["splits"]["val_fraction"] = 2.0
    with pytest.raises(InputError) as caught:
        parse_config(raw)
    assert len(str(caught.value).splitlines()) == 2


def sections(raw):
    return Study(parse_config(raw)).document


def test_sections_ignore_key_order():
    """Reordering keys leaves every section as it was, so nothing reruns."""
    raw = load("workflow_config.yaml")
    reordered = {name: raw[name] for name in reversed(raw)}
    reordered["structure"] = dict(reversed(raw["structure"].items()))
    for section in ("structure", "codecs.mimi", "structure_keys.pca", "splits"):
        one, other = (section_of(sections(document), section) for document in (raw, reordered))
        assert canonical_json(one) == canonical_json(other)


def test_an_unknown_section_is_refused():
    with pytest.raises(InputError, match=r"codecs\.nothing"):
        section_of(sections(load("workflow_config.yaml")), "codecs.nothing")
