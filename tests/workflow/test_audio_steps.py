"""What generators sound like, from a small corpus to the published tables."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engram_audio.artifacts.identity import GenerationRun
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.manifests import read_manifest
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.audio_scores import pins
from engram_audio.audio_scores.hearing import Evaluators
from engram_audio.audio_scores.names import QUALITY, SPEAKER, WORDS
from engram_audio.errors import InputError
from engram_audio.generation.audio_columns import OF_SCORE
from engram_audio.generation.audio_tables import Sounded, audio_gains_table
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.storage import pack_generator
from engram_audio.steps import _evaluators, evaluate_audio
from engram_audio.steps._generators import Generators
from tests.frozen_argv import run_step
from tests.unit.condition_material import CONDITION
from tests.unit.factorizer_material import small_model
from tests.unit.generator_material import NUM_DIMS, arm, settings
from tests.workflow.latent_study import MEL_PCA, build_latent_study, fit, flags, section

AUDIO = {
    "arms": ["SM", "F"], "num_utterances": 4, "maximum_duration_s": 2.3, "prompt_share": 0.4,
    "injections_frames": [1], "maximum_original_wer": 0.35, "minimum_word_utterances": 200,
    "num_players": 1, "seed": 0,
}  # fmt: skip
NAMES: tuple[ArmName, ...] = ("SM", "F")
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech-like clips, a fitted codec of as many dimensions as the generators have."""
    folder = build_latent_study(tmp_path_factory.mktemp("study"))
    section(folder, "codecs.mel_pca", {**MEL_PCA, "num_components": NUM_DIMS})
    fit(folder, "weights.safetensors")
    return folder


@pytest.fixture(autouse=True)
def generators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two arms of two seeds with stirred weights stand for trained ones."""
    found = made(settings())
    monkeypatch.setattr(evaluate_audio, "read_generators", lambda path: found)


def made(of: GeneratorSettings) -> Generators:
    arrays: dict[str, np.ndarray] = {}
    members = []
    for name, seed in itertools.product(NAMES, SEEDS):
        label = f"{name}-{seed}"
        own, header = pack_generator(f"{label}/model", arm(name, of, seed=seed))
        arrays |= own
        members.append({"arm": name, "seed": seed, "num_steps": 6, "is_repeat": False,
                        "label": label, "generator": header})  # fmt: skip
    return Generators(Path("g"), arrays, members, [], [], {}, "select")


def evaluate(study: Path, output: Path, **changes: Any) -> Path:
    """Run the step; paths, generators over z_dyn with their factorisers, are among the changes."""
    output.mkdir(exist_ok=True)
    paths = {name: changes.pop(name, []) for name in ("paths", "factorizers")}
    utterances = changes.pop("utterances", study / "utterances.parquet")
    run_step(
        evaluate_audio,
        flags(
            section=section(study, "generation.audio", {**AUDIO, **changes}),
            links=[study / "representations.rep.json"],
            codec_section=study / "codecs.mel_pca.json",
            generators=study / "splits.parquet",  # read_generators is replaced
            **paths,
            utterances=utterances,
            splits=study / "splits.parquet",
            weights=[study / "weights.safetensors"],
            scores=output / "audio.parquet",
            distances=output / "audio_distances.parquet",
            players=output / "players.json",
            representation="rep",
            generator="one_frame",
        ),
        evaluators={},
    )
    return output


def nobody() -> Evaluators:
    return Evaluators(None, None, None, str.lower)


def test_without_evaluators_the_rest_stands(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Silence and distances are scored, the manifest names what is absent, and clips play."""
    monkeypatch.setattr(evaluate_audio, "load_evaluators", nobody)
    found = evaluate(study, tmp_path / "a")
    rows = read_table(found / "audio.parquet", list(OF_SCORE))
    assert set(rows["score"]) == {"silence_share", "replaced_share"}
    made = rows.loc[rows["arm"] != ""]
    assert set(made["seed"]) == set(SEEDS) and set(rows.loc[rows["arm"] == "", "seed"]) == {-1}
    counted = made.loc[made["score"] == "replaced_share"].groupby(["arm", "condition", "seed"])
    assert len(counted) == len(NAMES) * 2 * len(SEEDS)  # each injected and free
    assert set(rows["condition"]) == {"original", "round_trip", "other", "noise", "every_1", "free"}
    distances = read_table(found / "audio_distances.parquet", ["score"])
    assert set(distances["score"]) == {"mel_energy_distance", "mel_frechet_distance"}
    manifest = read_manifest(found / "audio.parquet") or {}
    assert manifest["absent_evaluators"] == [WORDS, SPEAKER, QUALITY]
    example = read_json(found / "players.json")["examples"][0]
    heard = [kind for kind, _ in example["kinds"]]
    assert heard == ["original", "round_trip", "free_SM", "free_F", "every_1_SM", "every_1_F"]
    assert all(example[kind]["base64"] and example[f"{kind}_picture"] for kind in heard)
    again = evaluate(study, tmp_path / "b")
    for name in ("audio.parquet", "players.json"):
        assert (found / name).read_bytes() == (again / name).read_bytes()


def test_paths_are_heard_beside_the_arms(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Arms over z_dyn are decoded in the same job, scored on the same clips, and can be played."""
    monkeypatch.setattr(evaluate_audio, "load_evaluators", nobody)
    run = GenerationRun("states", "one_frame")
    monkeypatch.setattr(evaluate_audio, "read_identity", lambda path, kind: run)
    model = small_model(NUM_DIMS, state__num_dims=NUM_DIMS)
    monkeypatch.setattr(evaluate_audio, "read_factorizer", lambda path: (model.eval(), {}))
    over = study / "splits.parquet"
    found = evaluate(study, tmp_path / "a", paths=[over], factorizers=[over])
    rows = read_table(found / "audio.parquet", list(OF_SCORE))
    both = {*NAMES, *(f"{name}@states" for name in NAMES)}
    assert set(rows["arm"]) == {"", *both}
    counts = rows.loc[rows["arm"] != ""].groupby("arm").size()
    assert len(set(counts)) == 1
    kinds = [kind for kind, _ in read_json(found / "players.json")["examples"][0]["kinds"]]
    assert {f"{what}_{arm}" for what in ("free", "every_1") for arm in both} < set(kinds)
    gains = audio_gains_table([Sounded(*run, rows, rows.iloc[:0], (), 200)], 0.95)
    assert ("SM@states", "SM") in set(zip(gains["arm"], gains["against"], strict=True))


def test_draws_are_told_the_transcript_guided_and_tempered(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each of the three gives other sound; an utterance without a transcript ends the step."""
    monkeypatch.setattr(evaluate_audio, "load_evaluators", nobody)
    table = read_table(study / "utterances.parquet", ["utterance_id"])
    words = {"alphabet": "abc ", "maximum_characters": 20}
    found = made(settings(condition={**CONDITION, "text": words}))
    monkeypatch.setattr(evaluate_audio, "read_generators", lambda path: found)
    heard, told = [], tmp_path / "utterances.parquet"
    kinds: list[tuple[str, dict[str, float]]] = [
        ("ab", {}), ("c c", {}), ("ab", {"guidance": 2.0}), ("ab", {"temperature": 0.5}),
    ]  # fmt: skip
    for number, (said, changes) in enumerate(kinds):
        write_table(told, table.assign(transcript=said), {})
        out = evaluate(study, tmp_path / str(number), utterances=told, **changes)
        heard.append((out / "audio_distances.parquet").read_bytes())
    assert len(set(heard)) == len(heard)
    write_table(told, table.assign(transcript=None), {})
    with pytest.raises(InputError, match="has no transcript"):
        evaluate(study, tmp_path / "none", utterances=told)


def test_evaluators_hear_every_clip(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Noise is not transcribed; only eval utterances of the asked length are heard."""
    lengths: list[int] = []

    def transcribe(waveform: np.ndarray) -> str:
        lengths.append(len(waveform))
        return "a word"

    everyone = Evaluators(transcribe, lambda wave: np.ones((6, 2)) / 2**0.5,
                          lambda part: np.full(3, 2.0), str.lower)  # fmt: skip
    monkeypatch.setattr(evaluate_audio, "load_evaluators", lambda: everyone)
    found = evaluate(study, tmp_path / "a")
    rows = read_table(found / "audio.parquet", list(OF_SCORE))
    heard = {"u08", "u09", "u10"}  # 2.04, 2.17 and 2.3 s; u11 has 2.43 s
    assert set(rows["utterance_id"]) == heard
    cosine = rows.loc[rows["score"] == "speaker_cosine", "numerator"]
    np.testing.assert_allclose(cosine, 1.0)
    # original and round trip, whole and later part; two draws of each arm and seed
    assert len(lengths) == 3 * (4 + 2 * 2 * 2)
    assert max(lengths) <= 2.3 * 16000


def test_utterances_that_are_all_too_long_are_one_line(study: Path, tmp_path: Path):
    with pytest.raises(InputError, match="maximum_duration_s 2; raise it"):
        evaluate(study, tmp_path / "a", maximum_duration_s=2.0)


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A package of another release is installed: its digest is not the pinned one."""
    package = tmp_path / "resemblyzer"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('is never imported')")
    (package / "pretrained.pt").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    own = {SPEAKER: pins.PINS[SPEAKER], WORDS: (pins.Pin("no_such_package", "x", ""),),
           QUALITY: (pins.Pin("no_such_package", "x", ""),)}  # fmt: skip
    monkeypatch.setattr(_evaluators, "PINS", own)
    with pytest.raises(InputError, match=r"pretrained\.pt: SHA-256 .* run `make audio`"):
        _evaluators.load_evaluators()
    (package / "pretrained.pt").unlink()
    with pytest.raises(InputError, match=r"pretrained\.pt: missing"):
        _evaluators.load_evaluators()
    own[SPEAKER] = own[WORDS]
    assert _evaluators.absent_evaluators(_evaluators.load_evaluators()) == [WORDS, SPEAKER, QUALITY]
