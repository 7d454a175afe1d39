"""The steps of codecs and latents on small files: from audio and arrays to shards and summaries."""

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from engram_audio import plugins
from engram_audio.artifacts.audio import write_flac
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.codecs.config import PluginCodecSettings, codec_model
from engram_audio.codecs.entry_points import plugin_entry
from engram_audio.errors import InputError
from engram_audio.latents import extraction
from engram_audio.provenance import ROOT
from engram_audio.steps import (
    download_codec,
    extract_latents,
    fit_codec,
    fit_var,
    import_arrays,
    index_arrays,
    make_surrogate,
    render_round_trips,
    simulate_var,
    summarize_latents,
)

MEL_PCA = {
    "kind": "mel_pca", "corpus": "speech", "split_seed": 0, "sample_rate_hz": 16000, "num_mels": 40,
    "hop_s": 0.01, "window_s": 0.04, "stack_hops": 8, "magnitude_floor": 1e-5,
    "num_components": 6, "griffin_lim_iterations": 4,
}  # fmt: skip
EXTRACTION = {"batch_duration_s": 6.0, "guard_frames": 1, "batch_tolerance": 1e-4, "seed": 0}
REPRESENTATION = {
    "kind": "codec", "corpus": "speech", "codec": "mel_pca", "permute_blocks_s": None,
}  # fmt: skip
NUM_UTTERANCES = 12


def voice(seed: int, rate: int = 16000) -> np.ndarray:
    generator = np.random.default_rng(seed)
    time = np.arange(int(rate * (1.0 + 0.13 * seed))) / rate
    tones = sum(np.sin(2 * np.pi * (110 + 10 * seed) * n * time) / n for n in range(1, 9))
    loudness = 0.1 + 0.1 * np.sin(2 * np.pi * 2.5 * time + seed)
    return (loudness * tones + 0.003 * generator.normal(size=len(time))).astype(np.float32)


def section(folder: Path, name: str, values: dict[str, Any]) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(values))
    return path


@pytest.fixture()
def house(tmp_path: Path) -> Path:
    """Twelve utterances of six speakers (one at 8 kHz), tables, sections and a fitted codec."""
    rows = []
    for number in range(NUM_UTTERANCES):
        rate = 8000 if number == 7 else 16000
        wave, path = voice(number, rate), tmp_path / f"u{number:02d}.flac"
        write_flac(path, wave, rate)
        rows.append((f"u{number:02d}", f"s{number // 2}", "F", len(wave) / rate, rate, len(wave),
                     str(path), None))  # fmt: skip
    columns = ["utterance_id", "speaker_id", "sex", "duration_s", "sample_rate_hz", "num_samples",
               "audio_path", "transcript"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    write_table(tmp_path / "utterances.parquet", table, {})
    shards = table[["utterance_id", "speaker_id"]].assign(shard="000")
    write_table(tmp_path / "shards.parquet", shards, {})
    splits = table[["utterance_id", "speaker_id"]].assign(split=["train"] * 8 + ["eval"] * 4)
    write_table(tmp_path / "splits.parquet", splits, {})
    section(tmp_path, "codecs.mel_pca", MEL_PCA)
    section(tmp_path, "representations.rep", REPRESENTATION)
    section(tmp_path, "latents.extraction", EXTRACTION)
    section(tmp_path, "latents.surrogates", {"var_order": 2, "seed": 0})
    fit(tmp_path, "weights.safetensors")
    return tmp_path


def flags(**values: Any) -> list[str]:
    parts: list[str] = []
    for name, value in values.items():
        many = value if isinstance(value, list) else [value]
        parts += [f"--{name.replace('_', '-')}", *map(str, many)]
    return parts


def fit(house: Path, name: str) -> bytes:
    fit_codec.main(
        flags(
            section=house / "codecs.mel_pca.json",
            utterances=house / "utterances.parquet",
            splits=house / "splits.parquet",
            weights=house / name,
        )
    )
    return (house / name).read_bytes()


def extract(
    house: Path, output: Path, name: str = "rep", weights: str = "weights.safetensors"
) -> Path:
    extract_latents.main(
        flags(
            representation_section=house / f"representations.{name}.json",
            codec_section=house / "codecs.mel_pca.json",
            section=house / "latents.extraction.json",
            utterances=house / "utterances.parquet",
            shards=house / "shards.parquet",
            weights=[house / weights],
            latents=output,
            representation=name,
            shard="000",
        )
    )
    return output


@pytest.fixture()
def tiny_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plugin of docs/add-a-codec.md, installed as pip would: its module and its dist-info."""
    page = (ROOT / "docs" / "add-a-codec.md").read_text(encoding="utf-8")
    code, entry = (
        re.search(rf"```{language}\n(.*?)```", page, re.DOTALL) for language in ("python", "toml")
    )
    assert code is not None and entry is not None
    site = tmp_path / "site"
    info = site / "tiny_codec-0.1.dist-info"
    info.mkdir(parents=True)
    (site / "tiny_codec.py").write_text(code.group(1))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-codec\nVersion: 0.1\n")
    groups = tomllib.loads(entry.group(1))["project"]["entry-points"]
    lines = [f"[{group}]\n{name} = {value}\n" for group, names in groups.items()
             for name, value in names.items()]  # fmt: skip
    (info / "entry_points.txt").write_text("".join(lines))
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "tiny_codec", raising=False)
    return site


def extract_tiny(house: Path, **settings: Any) -> Path:
    section(house, "codecs.tiny", {
        "kind": "plugin", "plugin": "tiny", "settings": settings, "weights": [],
        "uses_torch": False,
    })  # fmt: skip
    output = house / "latents" / "rep" / "shard-000.zarr.zip"
    extract_latents.main(
        flags(
            representation_section=house / "representations.rep.json",
            codec_section=house / "codecs.tiny.json",
            section=house / "latents.extraction.json",
            utterances=house / "utterances.parquet",
            shards=house / "shards.parquet",
            weights=[],
            latents=output,
            representation="rep",
            shard="000",
        )
    )
    return output


def test_the_plugin_of_the_documentation_extracts_latents(house: Path, tiny_plugin: Path):
    """A codec of another package, exactly as the page shows it; its code is in the digest."""
    page = (ROOT / "docs" / "add-a-codec.md").read_text(encoding="utf-8")
    section_text = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert section_text is not None
    shown = yaml.safe_load(section_text.group(1))["codecs"]["tiny"]
    settings = codec_model(json.dumps(shown)).model_validate_json(json.dumps(shown))
    assert isinstance(settings, PluginCodecSettings)
    store = LatentStore([extract_tiny(house, **settings.settings)])
    facts = store.manifests[0]
    assert len(store.index) == NUM_UTTERANCES
    assert (store.metadata.num_dims, store.metadata.frame_rate_hz) == (8, 12.5)
    assert all(test["is_passed"] for test in facts["extraction"]["self_tests"])
    first = plugins.code_suffix(settings)
    assert facts["code_digest"].endswith(first) and first.startswith("-0.1-")
    module = tiny_plugin / "tiny_codec.py"
    module.write_text(module.read_text() + "\n# a comment\n")
    assert plugins.code_suffix(settings) == first
    module.write_text(module.read_text().replace("1280", "640"))
    assert plugins.code_suffix(settings) != first


def test_a_plugins_mistakes_are_one_line(house: Path, tiny_plugin: Path):
    with pytest.raises(InputError, match=r"plugin, tiny\): settings\.num_dims: .*found 'eight'"):
        extract_tiny(house, num_dims="eight", seed=0)
    with pytest.raises(InputError, match=r"settings\.seed: Field required"):
        extract_tiny(house, num_dims=8)
    with pytest.raises(InputError, match=r"no installed package offers 'tin' .* offered: tiny"):
        plugin_entry("tin")
    module = tiny_plugin / "tiny_codec.py"
    module.write_text(module.read_text().replace("def load(", "def load_it("))
    sys.modules.pop("tiny_codec")
    with pytest.raises(InputError, match="cannot be imported, or lacks Settings or load"):
        extract_tiny(house, num_dims=8, seed=0)


def test_the_codec_is_fitted_on_train_utterances_only(house: Path):
    """Changing an eval utterance leaves the weights alone; changing a train utterance does not."""
    first = (house / "weights.safetensors").read_bytes()
    write_flac(house / "u11.flac", voice(3), 16000)
    assert fit(house, "again.safetensors") == first
    write_flac(house / "u00.flac", voice(3), 16000)
    assert fit(house, "other.safetensors") != first


def test_extraction_lists_every_utterance_and_says_how_it_was_made(house: Path):
    (house / "u05.flac").write_bytes(b"broken")
    shard = extract(house, house / "rep" / "shard-000.zarr.zip")
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
    house: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = extract(house, house / "a" / "rep" / "shard-000.zarr.zip").read_bytes()
    encode, calls = extraction.encode_clips, []

    def dying(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(extraction, "encode_clips", dying)
    target = house / "b" / "rep" / "shard-000.zarr.zip"
    with pytest.raises(KeyboardInterrupt):
        extract(house, target)
    parts = house / "b" / ".partial" / "rep" / "shard-000"
    assert len(list(parts.iterdir())) == 2
    assert not target.exists()
    resumed = len(calls)
    assert extract(house, target).read_bytes() == whole
    num_batches = len(calls) - resumed + 2
    assert num_batches > 3
    assert not parts.parent.parent.exists()


def test_parts_of_other_settings_are_not_taken_over(house: Path, monkeypatch: pytest.MonkeyPatch):
    """A run with other weights after an interruption makes everything again."""
    encode, calls = extraction.encode_clips, []

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(extraction, "encode_clips", counted)
    target = house / "rep" / "shard-000.zarr.zip"
    with pytest.raises(KeyboardInterrupt):
        extract(house, target)
    write_flac(house / "u00.flac", voice(3), 16000)
    fit(house, "other/weights.safetensors")
    extract(house, target, weights="other/weights.safetensors")
    expected = extract(
        house, house / "c" / "shard-000.zarr.zip", weights="other/weights.safetensors"
    )
    assert target.read_bytes() == expected.read_bytes()


def test_a_codec_without_real_weights_is_refused(house: Path):
    from engram_audio.artifacts.tensors import read_tensors, write_tensors
    from engram_audio.codecs.mel_pca import MelPca

    tensors, _ = read_tensors(house / "weights.safetensors", MelPca._fields)
    tensors["components"] = np.zeros_like(tensors["components"])
    write_tensors(house / "zero" / "weights.safetensors", tensors, {})
    with pytest.raises(InputError, match="self-test weights failed: all components are zero"):
        extract(house, house / "x" / "shard-000.zarr.zip", weights="zero/weights.safetensors")


def test_the_overlap_control_keeps_frames_apart_from_their_neighbours(house: Path):
    section(house, "representations.control", {**REPRESENTATION, "permute_blocks_s": 0.08})
    plain = LatentStore([extract(house, house / "rep" / "shard-000.zarr.zip")]).load()
    control_path = extract(house, house / "control" / "shard-000.zarr.zip", "control")
    control = LatentStore([control_path]).load()
    # blocks of 80 ms are whole frames of this codec, which shares no samples: the same frames
    first = slice(*plain.offsets[:2])
    order = np.lexsort(plain.frames[first].T), np.lexsort(control.frames[first].T)
    np.testing.assert_allclose(
        plain.frames[first][order[0]], control.frames[first][order[1]], atol=1e-4
    )
    assert not np.allclose(plain.frames[first], control.frames[first], atol=1e-2)


def test_surrogates_and_the_summary_of_each(house: Path):
    base = extract(house, house / "rep" / "shard-000.zarr.zip")
    surrogates = house / "latents.surrogates.json"
    outputs = {"rep": base}
    for kind in ("shuffled", "phase_randomized"):
        outputs[kind] = house / f"rep--{kind}.zarr.zip"
        make_surrogate.main(
            flags(section=surrogates, latents=base, surrogate_latents=outputs[kind],
                  representation="rep", surrogate=kind)
        )  # fmt: skip
    model = house / "var.safetensors"
    fit_var.main(
        flags(section=surrogates, splits=house / "splits.parquet", latents=[base], model=model)
    )
    outputs["var"] = house / "rep--var.zarr.zip"
    simulate_var.main(
        flags(section=surrogates, model=model, latents=base, surrogate_latents=outputs["var"],
              representation="rep")
    )  # fmt: skip
    summaries = {}
    for name, path in outputs.items():
        target = house / f"{name}.summary.json"
        summarize_latents.main(flags(latents=[path], summary=target))
        summaries[name] = read_json(target)
    rep = summaries["rep"]
    assert rep["surrogate"] is None
    for name in ("shuffled", "phase_randomized", "var"):
        assert summaries[name]["surrogate"]["kind"] == name
        assert summaries[name]["num_frames"] == rep["num_frames"]
        assert summaries[name]["metadata"]["representation"] == f"rep--{name}"
        assert summaries[name]["metadata"]["weight_hash"] != rep["metadata"]["weight_hash"]
    for name in ("shuffled", "phase_randomized"):
        np.testing.assert_allclose(summaries[name]["mean"], rep["mean"], atol=1e-4)
        np.testing.assert_allclose(summaries[name]["std"], rep["std"], rtol=1e-4)
    blocks = {name: LatentStore([path]).load() for name, path in outputs.items()}
    np.testing.assert_array_equal(blocks["var"].energy, blocks["rep"].energy)


def test_players_are_of_eval_speakers_and_decode(house: Path):
    report = {"title": "x", "num_players": 2, "player_duration_s": 1.0}
    target = house / "players.json"
    render_round_trips.main(
        flags(
            representation_section=house / "representations.rep.json",
            codec_section=house / "codecs.mel_pca.json",
            section=house / "latents.extraction.json",
            report_section=section(house, "report", report),
            utterances=house / "utterances.parquet",
            splits=house / "splits.parquet",
            weights=[house / "weights.safetensors"],
            players=target,
            representation="rep",
        )
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


def test_user_arrays_become_a_representation(house: Path):
    folder = house / "mine"
    folder.mkdir()
    generator = np.random.default_rng(0)
    values = {f"v{n}": generator.normal(size=(10 + n, 4)) for n in range(6)}
    for name, array in values.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "bad.npy", np.full((5, 4), np.inf))
    table = house / "table.csv"
    rows = [*(f"v{n},s{n % 3}" for n in range(6)), "bad,s0"]
    table.write_text("utterance_id,speaker_id\n" + "\n".join(rows) + "\n")
    settings = section(house, "representations.mine", {
        "kind": "arrays", "path": str(folder), "table": str(table), "frame_rate_hz": 25.0,
        "latent_space": "test", "is_causal": True, "num_shards": 2,
    })  # fmt: skip
    index_arrays.main(
        flags(section=settings, table=table, utterances=house / "u.parquet",
              exclusions=house / "e.parquet", shards=house / "s.parquet", representation="mine")
    )  # fmt: skip
    exclusions = read_table(house / "e.parquet", ["reason"])
    assert exclusions["reason"].tolist() == ["not_finite"]
    paths = []
    for shard in ("000", "001"):
        paths.append(house / f"shard-{shard}.zarr.zip")
        import_arrays.main(
            flags(section=settings, table=table, shards=house / "s.parquet", latents=paths[-1],
                  representation="mine", shard=shard)
        )  # fmt: skip
    block = LatentStore(paths).load()
    assert len(block.utterance_ids) == 6
    for number, name in enumerate(block.utterance_ids):
        start, stop = block.offsets[number : number + 2]
        np.testing.assert_array_equal(block.frames[start:stop], values[name].astype(np.float32))
    summary = house / "mine.summary.json"
    summarize_latents.main(flags(latents=paths, summary=summary))
    assert read_json(summary)["energy"] == "RMS of the frame's latent"


def download(house: Path, settings: dict[str, Any]) -> Path:
    target = house / "download" / "model.safetensors"
    download_codec.main(
        flags(section=section(house, "codecs.mimi", settings), codec="mimi", weights=target,
              model_config=target.with_name("config.json"))
    )  # fmt: skip
    return target


def test_downloads_are_pinned_and_checked(house: Path, monkeypatch: pytest.MonkeyPatch):
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
    with pytest.raises(InputError, match=r"codecs\.mimi: kyutai/mimi is not pinned; set revision"):
        download(house, settings)
    settings |= {"revision": "a" * 40, "weights_sha256": "0" * 64}
    with pytest.raises(InputError, match="is pinned in weights_sha256"):
        download(house, settings)
    assert not (house / "download" / "model.safetensors").exists()
    content = f"kyutai/mimi {'a' * 40} model.safetensors".encode()
    settings["weights_sha256"] = hashlib.sha256(content).hexdigest()
    assert download(house, settings).read_bytes() == content
    assert sorted(p.name for p in (house / "download").iterdir()) == [
        "config.json", "model.safetensors",
    ]  # fmt: skip


def test_the_packages_configuration_is_kept_beside_downloaded_weights(
    house: Path, monkeypatch: pytest.MonkeyPatch
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
    weights = download(house, settings)
    assert weights.read_bytes() == content
    assert read_json(weights.with_name("config.json"))["mimi"]["inner_dim"] == 32
    with pytest.raises(InputError, match=r"no pocket_tts/config/klingon\.yaml; it has .*english"):
        download(house, settings | {"package_config": "klingon"})
