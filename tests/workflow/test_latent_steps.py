"""The steps of codecs and latents on small files: from audio and arrays to shards and summaries."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engram_audio.artifacts.audio import write_flac
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table
from engram_audio.errors import InputError
from engram_audio.latents import extraction
from engram_audio.steps import (
    download_codec,
    fit_var,
    import_arrays,
    index_arrays,
    make_surrogate,
    render_round_trips,
    simulate_var,
    summarize_latents,
)
from tests.frozen_argv import run_step
from tests.workflow.latent_study import (
    NUM_UTTERANCES,
    REPRESENTATION,
    build_latent_study,
    extract,
    fit,
    flags,
    index,
    section,
    voice,
)


@pytest.fixture()
def study(tmp_path: Path) -> Path:
    return build_latent_study(tmp_path)


def test_the_codec_is_fitted_on_train_utterances_only(study: Path):
    """Changing an eval utterance leaves the weights alone; changing a train utterance does not."""
    first = (study / "weights.safetensors").read_bytes()
    write_flac(study / "u11.flac", voice(3), 16000)
    index(study, NUM_UTTERANCES)
    assert fit(study, "again.safetensors") == first
    write_flac(study / "u00.flac", voice(3), 16000)
    index(study, NUM_UTTERANCES)
    assert fit(study, "other.safetensors") != first


def test_extraction_lists_every_utterance_and_says_how_it_was_made(study: Path):
    (study / "u05.flac").write_bytes(b"broken")
    shard = extract(study, study / "rep" / "shard-000.zarr.zip")
    store = LatentStore([shard])
    facts = store.manifests[0]["extraction"]
    assert len(store.index) == NUM_UTTERANCES - 1
    assert [(row["utterance_id"], row["reason"]) for row in facts["excluded"]] == [
        ("u05", "unreadable")
    ]
    assert facts["num_resampled"] == 1
    assert all(test["is_passed"] for test in facts["self_tests"])
    assert store.metadata.frame_rate_hz == 12.5
    lengths = store.index.set_index("utterance_id")["num_frames"]
    assert int(lengths.loc["u00"]) == len(voice(0)) // 1280


def test_an_interrupted_shard_resumes_to_the_same_bytes(
    study: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = extract(study, study / "a" / "rep" / "shard-000.zarr.zip").read_bytes()
    encode, calls = extraction.encode_clips, []

    def dying(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(extraction, "encode_clips", dying)
    target = study / "b" / "rep" / "shard-000.zarr.zip"
    with pytest.raises(KeyboardInterrupt):
        extract(study, target)
    parts = study / "b" / ".partial" / "rep" / "shard-000"
    assert len(list(parts.iterdir())) == 2
    assert not target.exists()
    resumed = len(calls)
    assert extract(study, target).read_bytes() == whole
    num_batches = len(calls) - resumed + 2
    assert num_batches > 3
    assert not parts.parent.parent.exists()


def test_parts_of_other_settings_are_not_taken_over(study: Path, monkeypatch: pytest.MonkeyPatch):
    """A run with other weights after an interruption makes everything again."""
    encode, calls = extraction.encode_clips, []

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(extraction, "encode_clips", counted)
    target = study / "rep" / "shard-000.zarr.zip"
    with pytest.raises(KeyboardInterrupt):
        extract(study, target)
    write_flac(study / "u00.flac", voice(3), 16000)
    index(study, NUM_UTTERANCES)
    fit(study, "other/weights.safetensors")
    write_flac(study / "u00.flac", voice(0), 16000)  # the audio as it was: only weights differ
    index(study, NUM_UTTERANCES)
    extract(study, target, weights="other/weights.safetensors")
    expected = extract(
        study, study / "c" / "shard-000.zarr.zip", weights="other/weights.safetensors"
    )
    assert target.read_bytes() == expected.read_bytes()


def test_a_codec_without_real_weights_is_refused(study: Path):
    from engram_audio.artifacts.tensors import read_tensors, write_tensors
    from engram_audio.codecs.mel_pca import MelPca

    tensors, _ = read_tensors(study / "weights.safetensors", MelPca._fields)
    tensors["components"] = np.zeros_like(tensors["components"])
    write_tensors(study / "zero" / "weights.safetensors", tensors, {})
    with pytest.raises(InputError, match="self-test weights failed: all components are zero"):
        extract(study, study / "x" / "shard-000.zarr.zip", weights="zero/weights.safetensors")


def test_the_overlap_control_keeps_frames_apart_from_their_neighbours(study: Path):
    section(study, "representations.control", {**REPRESENTATION, "permute_blocks_s": 0.08})
    plain = LatentStore([extract(study, study / "rep" / "shard-000.zarr.zip")]).load()
    control_path = extract(study, study / "control" / "shard-000.zarr.zip", "control")
    control = LatentStore([control_path]).load()
    # blocks of 80 ms are whole frames of this codec, which shares no samples: the same frames
    first = slice(*plain.offsets[:2])
    order = np.lexsort(plain.frames[first].T), np.lexsort(control.frames[first].T)
    np.testing.assert_allclose(
        plain.frames[first][order[0]], control.frames[first][order[1]], atol=1e-4
    )
    assert not np.allclose(plain.frames[first], control.frames[first], atol=1e-2)


def test_surrogates_and_the_summary_of_each(study: Path):
    base = extract(study, study / "rep" / "shard-000.zarr.zip")
    surrogates = study / "latents.surrogates.json"
    outputs = {"rep": base}
    for kind in ("shuffled", "phase_randomized"):
        outputs[kind] = study / f"rep--{kind}.zarr.zip"
        run_step(
            make_surrogate,
            flags(
                section=surrogates,
                latents=base,
                surrogate_latents=outputs[kind],
                representation="rep",
                surrogate=kind,
            ),
        )
    model = study / "var.safetensors"
    run_step(
        fit_var,
        flags(section=surrogates, splits=study / "splits.parquet", latents=[base], model=model),
    )
    for twin in ("var", "var_resampled"):
        outputs[twin] = study / f"rep--{twin}.zarr.zip"
        run_step(
            simulate_var,
            flags(
                section=surrogates,
                model=model,
                latents=base,
                surrogate_latents=outputs[twin],
                representation="rep",
                surrogate=twin,
            ),
        )
    summaries = {}
    for name, path in outputs.items():
        target = study / f"{name}.summary.json"
        run_step(summarize_latents, flags(latents=[path], summary=target))
        summaries[name] = read_json(target)
    rep = summaries["rep"]
    assert rep["surrogate"] is None
    for name in ("shuffled", "phase_randomized", "var", "var_resampled"):
        assert summaries[name]["surrogate"]["kind"] == name
        assert summaries[name]["num_frames"] == rep["num_frames"]
        assert summaries[name]["metadata"]["representation"] == f"rep--{name}"
        assert summaries[name]["metadata"]["weight_hash"] != rep["metadata"]["weight_hash"]
    for name in ("shuffled", "phase_randomized"):
        np.testing.assert_allclose(summaries[name]["mean"], rep["mean"], atol=1e-4)
        np.testing.assert_allclose(summaries[name]["std"], rep["std"], rtol=1e-4)
    blocks = {name: LatentStore([path]).load() for name, path in outputs.items()}
    np.testing.assert_array_equal(blocks["var"].energy, blocks["rep"].energy)


def test_players_are_of_eval_speakers_and_decode(study: Path):
    report = {"title": "x", "num_players": 2, "player_duration_s": 1.0}
    target = study / "players.json"
    run_step(
        render_round_trips,
        flags(
            representation_section=study / "representations.rep.json",
            codec_section=study / "codecs.mel_pca.json",
            section=study / "latents.extraction.json",
            report_section=section(study, "report", report),
            utterances=study / "utterances.parquet",
            splits=study / "splits.parquet",
            weights=[study / "weights.safetensors"],
            players=target,
            representation="rep",
        ),
    )
    import base64
    import io

    import soundfile
    from PIL import Image

    examples = read_json(target)["examples"]
    assert [row["speaker_id"] for row in examples] == ["s4", "s5"]
    for row in examples:
        for name in ("original", "decoded"):
            content = base64.b64decode(row[name]["base64"])
            audio, rate = soundfile.read(io.BytesIO(content))
            assert rate == 16000
            # MP3 holds whole frames of 576 samples and its encoder's delay
            assert 0 <= len(audio) - round(row["duration_s"] * rate) < 3 * 1152
            picture = row[f"{name}_picture"]
            image = Image.open(io.BytesIO(base64.b64decode(picture["base64"])))
            assert image.size == (picture["width"], picture["height"]) == (96, 80)
        assert row["log_mel_l1"] > 0


def test_user_arrays_become_a_representation(study: Path):
    folder = study / "mine"
    folder.mkdir()
    generator = np.random.default_rng(0)
    values = {f"v{n}": generator.normal(size=(10 + n, 4)) for n in range(6)}
    for name, array in values.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "bad.npy", np.full((5, 4), np.inf))
    table = study / "table.csv"
    rows = [*(f"v{n},s{n % 3}" for n in range(6)), "bad,s0"]
    table.write_text("utterance_id,speaker_id\n" + "\n".join(rows) + "\n")
    settings = section(study, "representations.mine", {
        "kind": "arrays", "path": str(folder), "table": str(table), "frame_rate_hz": 25.0,
        "latent_space": "test", "is_causal": True, "num_shards": 2,
    })  # fmt: skip
    run_step(
        index_arrays,
        flags(
            section=settings,
            table=table,
            utterances=study / "u.parquet",
            exclusions=study / "e.parquet",
            shards=study / "s.parquet",
            representation="mine",
        ),
    )
    exclusions = read_table(study / "e.parquet", ["reason"])
    assert exclusions["reason"].tolist() == ["not_finite"]
    paths = []
    for shard in ("000", "001"):
        paths.append(study / f"shard-{shard}.zarr.zip")
        run_step(
            import_arrays,
            flags(
                section=settings,
                table=table,
                shards=study / "s.parquet",
                latents=paths[-1],
                representation="mine",
                shard=shard,
            ),
        )
    block = LatentStore(paths).load()
    assert len(block.utterance_ids) == 6
    for number, name in enumerate(block.utterance_ids):
        start, stop = block.offsets[number : number + 2]
        np.testing.assert_array_equal(block.frames[start:stop], values[name].astype(np.float32))
    summary = study / "mine.summary.json"
    run_step(summarize_latents, flags(latents=paths, summary=summary))
    assert read_json(summary)["energy"] == "RMS of the frame's latent"


def download(study: Path, settings: dict[str, Any]) -> Path:
    target = study / "download" / "model.safetensors"
    run_step(
        download_codec,
        flags(
            section=section(study, "codecs.mimi", settings),
            codec="mimi",
            weights=target,
            model_config=target.with_name("config.json"),
        ),
    )
    return target


def test_downloads_are_pinned_and_checked(study: Path, monkeypatch: pytest.MonkeyPatch):
    """No pin: nothing is fetched. Wrong digest: nothing is left. Else the file is there."""
    import hashlib

    import huggingface_hub

    def fake(repository: str, name: str, revision: str, local_dir: str) -> str:
        path = Path(local_dir, name)
        path.write_bytes(f"{repository} {revision} {name}".encode())
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fake)
    settings: dict[str, Any] = {
        "kind": "mimi", "checkpoint": "kyutai/mimi", "revision": None, "weights_sha256": None,
        "latent_space": "projected", "num_codebooks": None,
    }  # fmt: skip
    with pytest.raises(
        InputError, match=r"codecs\.library\.mimi: kyutai/mimi is not pinned; set revision"
    ):
        download(study, settings)
    settings |= {"revision": "a" * 40, "weights_sha256": "0" * 64}
    with pytest.raises(InputError, match="is pinned in weights_sha256"):
        download(study, settings)
    assert not (study / "download" / "model.safetensors").exists()
    content = f"kyutai/mimi {'a' * 40} model.safetensors".encode()
    settings["weights_sha256"] = hashlib.sha256(content).hexdigest()
    assert download(study, settings).read_bytes() == content
    assert sorted(p.name for p in (study / "download").iterdir()) == [
        "config.json", "config.json.sha256", "model.safetensors",
    ]  # fmt: skip


def test_the_packages_configuration_is_kept_beside_downloaded_weights(
    study: Path, monkeypatch: pytest.MonkeyPatch
):
    """The pocket-tts kind: another weight file of the repository, the installed package's YAML."""
    import hashlib

    import huggingface_hub

    pytest.importorskip("pocket_tts", reason="needs pocket-tts: pip install .[pocket]")

    def fake(repository: str, name: str, revision: str, local_dir: str) -> str:
        path = Path(local_dir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{repository} {revision} {name}".encode())
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fake)
    name = "languages/english/model.safetensors"
    content = f"kyutai/pocket-tts {'a' * 40} {name}".encode()
    settings: dict[str, Any] = {
        "kind": "pocket_tts_package", "checkpoint": "kyutai/pocket-tts", "revision": "a" * 40,
        "weights_sha256": hashlib.sha256(content).hexdigest(), "weights_file": name,
        "package_config": "english_2026-10",
    }  # fmt: skip
    weights = download(study, settings)
    assert weights.read_bytes() == content
    assert read_json(weights.with_name("config.json"))["mimi"]["inner_dim"] == 32
    with pytest.raises(InputError, match=r"no pocket_tts/config/klingon\.yaml; it has .*english"):
        download(study, settings | {"package_config": "klingon"})
