"""Configuration: the shipped files are valid, mistakes get one line each with the nearest match."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engram_audio.config import WorkflowConfig, parse_config, schema_text
from engram_audio.config_moved import MOVED
from engram_audio.config_overlay import libraries
from engram_audio.errors import InputError
from engram_audio.plan import Plan
from engram_audio.planning import section_of
from engram_audio.provenance import canonical_json
from engram_audio.section import Section
from tests import studies

ROOT = Path(__file__).parents[2]
SHIPPED = [
    (),
    ("demo",),
    ("real_speech",),
    ("demo", "full_calibration"),
    ("demo", "rehearsal"),
    ("demo", "medium"),
    ("arrays",),
    ("demo", "generation_worlds"),
    ("demo", "generation_worlds", "generation_worlds_noise"),
    ("demo", "generation_worlds", "generation_worlds_second_order"),
    ("demo", "learned_keys_worlds"),
    ("real_speech", "generation"),
    ("real_speech", "real_speech_keys"),
    ("real_speech", "real_speech_memory"),
]


def mistake(path: list[Any], value: Any) -> str:
    """Return the message for one changed (or, with ..., deleted) value of the base study."""
    raw = studies.changed(studies.study(), ".".join(map(str, path)), value)
    with pytest.raises(InputError) as caught:
        parse_config(raw)
    return str(caught.value)


@pytest.mark.parametrize("names", SHIPPED)
def test_shipped_configurations_are_valid(names: tuple[str, ...]):
    parse_config(studies.study(*names))


def test_committed_schema_is_what_the_models_generate():
    """Run `make schema` when this fails."""
    committed = (ROOT / "workflow_config.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text()


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (
            ["views", "window_frame"],
            8,
            ["views.window_frame:", "unknown key", "did you mean 'window_frames'"],
        ),
        (["views", "window_frames"], "8", ["views.window_frames:", "integer", "'8'"]),
        (["keys", "ridge"], "1e-3", ["keys.ridge:", "number", "'1e-3'"]),
        (["keys", "ridge"], -1.0, ["keys.ridge:", "greater than 0"]),
        (["keys", "ridge"], float("nan"), ["keys.ridge:", "finite"]),
        (["views", "window_frames"], True, ["views.window_frames:", "integer"]),
        (
            ["codecs", "library", "mimi", "kind"],
            "mini",
            ["codecs.library.mimi.kind:", "did you mean 'mimi'"],
        ),
        (["codecs", "library", "mimi", "kind"], ..., ["codecs.library.mimi.kind:", "required"]),
        (
            ["codecs", "library", "mimi", "latent_space"],
            "projcted",
            ["codecs.library.mimi.latent_space:", "did you mean 'projected'"],
        ),
        (
            ["representations", "library", "mimi", "codec"],
            "mimo",
            ["representations.library.mimi.codec:", "did you mean 'mimi'"],
        ),
        (
            ["representations", "library", "mimi", "corpus"],
            "x",
            ["representations.library.mimi.corpus:", "librispeech"],
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
            ["decision", "operative_gate", "minimum_added_nats"],
            ...,
            ["decision.operative_gate.minimum_added_nats:", "required"],
        ),
        (
            ["representations", "library", "Bad Name"],
            {"kind": "world"},
            ["representations.library.Bad Name"],
        ),
        (
            ["structure", "families"],
            ["pca"],
            ["structure.families:", "target_oracle"],
        ),
        (["structure", "families"], ["pcs"], ["structure.families: 'pcs'", "mean 'pca'"]),
        (["memory", "memories"], ["robuts"], ["memory.memories: 'robuts'", "memory.library"]),
        (
            ["recipes", "joint", "tuning"],
            None,
            [
                "memory.library.engram.recipe:",
                "recipes.joint.tuning differs from recipes.cpu.tuning",
            ],
        ),
        (
            ["memory", "controls", "curve_widths"],
            [4, 64],
            ["curve_widths: found 4", "at least 8 units"],
        ),
        # a field that has the name of its union's tag
        (
            ["representations", "library", "mimi", "corpu"],
            "librispeech",
            ["representations.library.mimi.corpu:", "did you mean 'corpus'"],
        ),
        (
            ["representations", "library", "mimi", "surrogates"],
            ["shufled"],
            ["representations.library.mimi.surrogates.0:", "did you mean 'shuffled'"],
        ),
        (["structure", "lags_frames"], [0, 1, 2, 4], ["structure.lags_frames.0:", "equal to 1"]),
        (["structure", "lags_frames"], [1, 1, 2, 4], ["structure.lags_frames:", "1 stands there"]),
        (
            ["views", "medial_range"],
            [0.83, 0.17],
            ["views.medial_range:", "[0.83, 0.17]", "lower end first"],
        ),
        (["views", "judged_slices"], ["initial", "all", "middle"], ["views.judged_slices.2:"]),
        (["views", "slices"], ["all"], ["views:", "judged_slices: 'speech'"]),
        (["structure", "ngram_orders"], [], ["structure.ngram_orders:", "at least 1"]),
        (["structure", "confidence_quantiles"], [0.5, 2.0], ["structure.confidence_quantiles.1:"]),
        (["splits", "seeds"], [0, 0], ["splits.seeds:", "list each once"]),
        (["prediction", "lags_frames"], [-1, 1], ["prediction.lags_frames.0:", "equal to 1"]),
        (
            ["structure", "library", "target_oracle", "codebook_sizes"],
            [16, 64, 64, 256],
            ["structure.library.target_oracle.codebook_sizes:", "64 stands there twice"],
        ),
        (
            ["rollout", "library", "one_step_nearest", "guard", "num_neighbours"],
            10**6,
            ["rollout.library.one_step_nearest.guard:", "must not exceed num_frames"],
        ),
        (["rollout", "injections_frames"], [0], ["rollout.injections_frames.0:"]),
        (
            ["memory", "library", "engram", "ngram_orders"],
            [6, 7],
            ["memory.library.engram:", "do not fit into 63 bits"],
        ),
    ],
)
def test_a_mistake_names_the_key_and_the_remedy(path: list[Any], value: Any, parts: list[str]):
    message = mistake(path, value)
    assert all(part in message for part in parts), message


def test_one_line_for_each_mistake():
    raw = studies.study()
    raw["keys"]["ridge"] = "x"
    raw["splits"]["val_fraction"] = 2.0
    with pytest.raises(InputError) as caught:
        parse_config(raw)
    assert len(str(caught.value).splitlines()) == 2


def sections(raw):
    return Plan(parse_config(raw)).document


def test_sections_ignore_key_order():
    """Reordering keys leaves every section as it was, so nothing reruns."""
    raw = studies.study()
    reordered = {name: raw[name] for name in reversed(raw)}
    reordered["structure"] = dict(reversed(raw["structure"].items()))
    for section in ("structure", "codecs.library.mimi", "keys.library.pca", "splits"):
        one, other = (section_of(sections(document), section) for document in (raw, reordered))
        assert canonical_json(one) == canonical_json(other)


def test_an_unknown_section_is_refused():
    with pytest.raises(InputError, match=r"codecs\.nothing"):
        section_of(sections(studies.study()), "codecs.nothing")


@pytest.mark.parametrize("old", sorted(MOVED))
def test_every_key_that_has_moved_is_refused_with_its_new_name(old: str):
    """One line: the key as it stood in earlier studies, and where its value belongs now."""
    raw = studies.study()
    owner = raw
    *owners, last = old.split(".")
    for name in owners:
        owner = owner.setdefault(name, {})
    owner[last] = {"anything": 1}
    with pytest.raises(InputError) as caught:
        parse_config(raw)
    assert f"{old}: moved to {MOVED[old]}" in str(caught.value).splitlines()


OLD_TOP_KEYS = (
    "codec_comparison", "codec_ladders", "factorizer_evaluation", "factorizer_health",
    "factorizer_recipes", "factorizer_sweeps", "factorizer_variants", "latents", "memories",
    "memory_controls", "memory_recipes", "memory_verdict", "prediction_evaluation",
    "prediction_heads", "prediction_nulls", "prediction_recipes", "rollout_bars",
    "rollout_methods", "rollout_recipes", "rollout_sweeps", "structure_keys",
)  # fmt: skip
OLD_VIEWS = (
    "structure.window_frames", "structure.slices", "structure.medial_range",
    "structure.principal_subspaces", "prediction.window_frames", "rollout.divergence_factor",
    "decision.slices",
)  # fmt: skip


@pytest.mark.parametrize("old", [*OLD_TOP_KEYS, *OLD_VIEWS])
def test_no_key_of_the_flat_layout_is_forgotten(old: str):
    """The keys as studies had them before this layout, written out here a second time."""
    assert old in MOVED


def test_new_names_of_moved_keys_exist():
    """The first word of what a moved key is told is a key of the present layout."""
    known = set(key_names(WorkflowConfig))
    for old, new in MOVED.items():
        assert new.split(",")[0].split(" ")[0] in known, old


def key_names(model: type[Section], place: str = "") -> Iterator[str]:
    """Dotted keys of a model and of the sections in it."""
    for name, field in model.model_fields.items():
        yield f"{place}{name}"
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from key_names(kind, f"{place}{name}.")


@pytest.mark.parametrize("owner", ["codecs", "representations"])
def test_rows_at_their_old_place_are_refused_with_the_new_one(owner: str):
    raw = studies.study()
    raw[owner]["mine"] = {"kind": "arrays"}
    with pytest.raises(InputError, match=rf"^{owner}\.mine: moved to {owner}\.library\.mine"):
        parse_config(raw)


def test_what_no_list_names_may_dangle():
    """Definitions are a library: a broken one is an error only where it is used."""
    raw = studies.study()
    broken = {**raw["prediction"]["library"]["gaussian_mixture"], "recipe": "nobody"}
    raw["prediction"]["library"]["broken"] = broken
    row = {**raw["representations"]["library"]["mimi"], "codec": "nobody"}
    raw["representations"]["library"]["broken"] = row
    assert "broken" not in parse_config(raw).prediction.library
    raw["prediction"]["heads"].append("broken")
    with pytest.raises(InputError, match=r"^prediction\.library\.broken\.recipe: 'nobody'"):
        parse_config(raw)


@pytest.mark.parametrize("place", sorted(".".join(place) for place in libraries(WorkflowConfig)))
def test_remove_drops_entries_of_every_library(place: str):
    raw = studies.study()
    *owners, last = place.split(".")
    owner = raw
    for name in owners:
        owner = owner[name]
    spare = {"spare": {}, "remove": ["spare"]}
    owner[last] = {**owner[last], **spare}
    parse_config(raw)
    owner[last]["remove"] = ["spares"]
    with pytest.raises(InputError, match=rf"^{place}\.remove: 'spares'.*did you mean 'spare'"):
        parse_config(raw)
    owner[last]["remove"] = "spare"
    with pytest.raises(InputError, match=rf"^{place}\.remove: should be a list of names"):
        parse_config(raw)


def test_a_list_replaces_and_null_is_a_value():
    overlay = {
        "splits": {"seeds": [5]},
        "rollout": {"library": {"one_step_nearest": {"guard": None}}},
    }
    config = parse_config(studies.merged(studies.study(), overlay, FIVE))
    assert config.splits.seeds == (5,) and config.splits.val_fraction == 0.1
    assert getattr(config.rollout.library["one_step_nearest"], "guard", 0) is None


FIVE = {"codecs": {"library": {"mel_pca": {"split_seed": 5}}}}
