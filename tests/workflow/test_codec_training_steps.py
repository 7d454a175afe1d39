"""Rule train_codec: from audio to weights to latents, killed, collapsed, and left alone."""

import copy
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.audio import probe_audio, write_flac
from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import write_table
from engram_audio.errors import InputError
from engram_audio.steps import extract_latents, train_codec
from engram_audio.training import loop
from tests import studies
from tests.frozen_argv import run_step
from tests.unit.trained_codec_material import MEL_VAE, RATE_HZ, RECIPE, VAE, merged, voice
from tests.workflow.conftest import snakemake, write_config
from tests.workflow.latent_study import index
from tests.workflow.test_prediction_training import command, environment, interrupt
from tests.workflow.tiny_study import add_row, tiny_config, write_arrays

SHORT = {
    # so short a training loses the sound: kept and flagged, as a member of a ladder would be
    "mel_vae": merged(MEL_VAE, {"recipe": {"num_steps": 200}, "health": {"action": "report"}}),
    "vae": merged(
        VAE, {"recipe": {"num_steps": 20, "batch_frames": 8}, "health": {"action": "report"}}
    ),
    "collapsed": merged(MEL_VAE, {"beta": 1e4}),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Twelve utterances of six speakers (one at 16 kHz), tables and frozen sections."""
    folder = tmp_path_factory.mktemp("study")
    for number in range(12):
        rate = 2 * RATE_HZ if number == 3 else RATE_HZ
        write_flac(folder / f"u{number:02d}.flac", voice(number, 1.0 + 0.1 * number, rate), rate)
    table = index(folder, 12)
    names = table[["utterance_id", "speaker_id"]]
    write_table(folder / "shards.parquet", names.assign(shard="000"), {})
    parts = ["train"] * 6 + ["val"] * 2 + ["eval"] * 4
    write_table(folder / "splits.parquet", names.assign(split=parts), {})
    for name, section in SHORT.items():
        (folder / f"codecs.{name}.json").write_text(json.dumps(section))
    return folder


def training(root: Path, codec: str, output: Path) -> list[str]:
    arguments = [
        "--section", root / f"codecs.{codec}.json", "--utterances", root / "utterances.parquet",
        "--splits", root / "splits.parquet", "--tensorboard", output / "tensorboard",
        "--weights", output / "weights.safetensors", "--history", output / "history.jsonl",
        "--device", "cpu",
    ]  # fmt: skip
    return [str(part) for part in arguments]


def extract(root: Path, codec: str, weights: Path, output: Path) -> LatentStore:
    sections = {
        "representation": {
            "kind": "codec", "corpus": "speech", "codec": codec, "permute_blocks_s": None,
        },
        "extraction": {
            "batch_duration_s": 6.0, "guard_frames": 1, "batch_tolerance": 1e-4, "seed": 0,
        },
    }  # fmt: skip
    for name, section in sections.items():
        (output.parent / f"{name}.json").write_text(json.dumps(section))
    arguments = [
        "--representation-section", output.parent / "representation.json",
        "--codec-section", root / f"codecs.{codec}.json",
        "--section", output.parent / "extraction.json",
        "--utterances", root / "utterances.parquet", "--shards", root / "shards.parquet",
        "--weights", weights, "--latents", output, "--representation", codec, "--shard", "000",
        "--device", "cpu",
    ]  # fmt: skip
    run_step(extract_latents, [str(part) for part in arguments])
    return LatentStore([output])


@pytest.mark.parametrize("codec", ["mel_vae", "vae"])
def test_a_codec_is_trained_and_its_latents_extracted(root: Path, codec: str, tmp_path: Path):
    """Weights say how they fare; latents pass the self-tests and say that they are means."""
    run_step(train_codec, training(root, codec, tmp_path))
    arrays, header = read_bundle(tmp_path / "weights.safetensors")
    assert {"rate_nats", "effective_rank", "relative_error"} <= header["health"].keys()
    assert not any(name.startswith("discriminator") for name in arrays)
    records = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert records[-1]["step"] == SHORT[codec]["recipe"]["num_steps"]
    assert not list(tmp_path.glob(".checkpoint-*"))
    shard = tmp_path / "latents" / codec / "shard-000.zarr.zip"
    shard.parent.mkdir(parents=True)
    store = extract(root, codec, tmp_path / "weights.safetensors", shard)
    metadata = store.metadata
    assert (metadata.latent_space, metadata.num_dims) == ("vae_mean", 4)
    assert metadata.frame_rate_hz == 12.5 and metadata.is_causal


def test_only_train_and_val_utterances_decide_the_weights(root: Path, tmp_path: Path):
    """Another eval utterance: the same bytes. Another train or val utterance: others."""

    def trained(name: str, changed: str | None) -> np.ndarray:
        table = pd.read_parquet(root / "utterances.parquet")
        folder = tmp_path / name
        folder.mkdir()
        if changed:
            write_flac(folder / "other.flac", voice(77, 1.7), RATE_HZ)
            facts = probe_audio(str(folder), "other.flac")
            found = [str(folder / facts.path), facts.num_samples, facts.pcm_sha256]
            row = table["utterance_id"] == changed
            table.loc[row, ["audio_path", "num_samples", "pcm_sha256"]] = found
        write_table(folder / "utterances.parquet", table, {})
        arguments = training(root, "mel_vae", folder)
        arguments[arguments.index("--utterances") + 1] = str(folder / "utterances.parquet")
        run_step(train_codec, arguments)
        arrays, _ = read_bundle(folder / "weights.safetensors")
        return np.concatenate([arrays[key].ravel() for key in sorted(arrays)])

    first = trained("first", None)
    assert np.array_equal(trained("eval", "u11"), first)
    assert not np.array_equal(trained("train", "u01"), first)


def test_a_collapsed_codec_fails_with_the_reason_and_writes_nothing(root: Path, tmp_path: Path):
    done = subprocess.run(
        command("train_codec", training(root, "collapsed", tmp_path)),
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "the codec has collapsed: its l" in last and "health.action" in last
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_collapsed_codec_can_be_kept_without_training_it_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The gates are no part of what a checkpoint belongs to: only the verdict is made anew."""
    arguments = training(root, "collapsed", tmp_path)
    with pytest.raises(InputError, match="the codec has collapsed"):
        run_step(train_codec, arguments)
    section = merged(SHORT["collapsed"], {"health": {"action": "report"}})
    (tmp_path / "codec.json").write_text(json.dumps(section))
    arguments[1] = str(tmp_path / "codec.json")
    monkeypatch.setattr(loop, "_train_step", lambda *_: pytest.fail("trained again"))
    run_step(train_codec, arguments)
    _, header = read_bundle(tmp_path / "weights.safetensors")
    assert header["collapse"].startswith("its l")


def test_crops_that_no_utterance_holds_are_one_clear_line(root: Path, tmp_path: Path):
    section = merged(SHORT["mel_vae"], {"crop_s": 9.0})
    (tmp_path / "codec.json").write_text(json.dumps(section))
    arguments = training(root, "mel_vae", tmp_path)
    arguments[1] = str(tmp_path / "codec.json")
    with pytest.raises(InputError, match="no train utterance is as long as a crop; shorten crop_s"):
        run_step(train_codec, arguments)


def test_a_loss_that_is_not_finite_is_one_clear_line(root: Path, tmp_path: Path):
    section = merged(SHORT["mel_vae"], {"recipe": {"learning_rate": 1e9, "gradient_clip": 1e9}})
    (tmp_path / "codec.json").write_text(json.dumps(section))
    arguments = training(root, "mel_vae", tmp_path)
    arguments[1] = str(tmp_path / "codec.json")
    with pytest.raises(InputError, match=r"not finite.*; lower recipe\.learning_rate"):
        run_step(train_codec, arguments)


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["mel_vae", "vae"])
def test_killed_training_ends_with_the_same_bits(root: Path, codec: str, tmp_path: Path):
    """SIGKILL three times and SIGTERM once at random moments, then to the end."""
    steps = {"mel_vae": 3000, "vae": 200}[codec]
    section = merged(SHORT[codec], {"recipe": {"num_steps": steps, "batch_frames": 32}})
    (tmp_path / "codec.json").write_text(json.dumps(section))

    def arguments(name: str) -> list[str]:
        found = training(root, codec, tmp_path / name)
        found[1] = str(tmp_path / "codec.json")
        return command("train_codec", found)

    subprocess.run(arguments("whole"), check=True, env=environment())
    broken = tmp_path / "broken"
    generator = np.random.default_rng(0)
    for number in [signal.SIGKILL] * 3 + [signal.SIGTERM]:
        code = interrupt(arguments("broken"), broken, number, generator.uniform(0.0, 0.4))
        assert code in (-signal.SIGKILL, 128 + signal.SIGTERM)
        assert not (broken / "weights.safetensors").exists()
    subprocess.run(arguments("broken"), check=True, env=environment())
    first, second = (
        read_bundle(tmp_path / name / "weights.safetensors") for name in ("whole", "broken")
    )
    assert first[1]["health"] == second[1]["health"]
    for name, values in first[0].items():
        assert np.array_equal(values, second[0][name]), name
    histories = [(tmp_path / n / "history.jsonl").read_text() for n in ("whole", "broken")]
    assert histories[0] == histories[1]


def study(trained: list[str]) -> dict[str, Any]:
    """The tiny study with trained codecs and a ladder; representations of `trained` codecs."""
    config = copy.deepcopy(tiny_config())
    place = {"corpus": "demo_speech", "split_seed": 0, "recipe": RECIPE}
    config["codecs"]["library"] |= {"mel_vae": {**MEL_VAE, **place}, "vae": {**VAE, **place}}
    config["codecs"]["ladders"] = {"mel_vae": {"codec": "mel_vae", "betas": [0.1, 10.0]}}
    for codec in trained:
        row = {"kind": "codec", "corpus": "demo_speech", "codec": codec, "permute_blocks_s": None}
        add_row(config, f"of_{codec}", {**row, "surrogates": []})
    return config


def plan(folder: Path, config: dict[str, Any]) -> dict[str, int]:
    path = write_config(folder, config)
    outcome = snakemake(folder, "results/report.html", "-n", "--configfile", path)
    assert outcome.code == 0, outcome.text[-3000:]
    return outcome.jobs


def test_codecs_that_no_representation_names_are_not_trained(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_arrays(tmp_path / name)
    jobs = plan(tmp_path / "a", study([]))
    assert "train_codec" not in jobs and jobs["fit_codec"] == 1
    jobs = plan(tmp_path / "b", study(["mel_vae_b10", "vae"]))
    assert jobs["train_codec"] == 2 and jobs["fit_codec"] == 1


@pytest.mark.slow
def test_the_shipped_study_names_trained_codecs_and_trains_none(tmp_path: Path):
    """Its examples resolve; a representation that names one is all it takes."""
    config = studies.study()
    kinds = {codec["kind"] for codec in config["codecs"]["library"].values()}
    ladders = config["codecs"]["ladders"]
    assert {"mel_vae", "vae"} <= kinds and ladders
    (tmp_path / "a").mkdir()
    assert "train_codec" not in plan(tmp_path / "a", config)
    (tmp_path / "b").mkdir()
    ladder_name = next(iter(ladders))
    beta = ladders[ladder_name]["betas"][0]
    library = config["codecs"]["library"]
    codecs = [name for name, codec in library.items() if "beta" in codec]
    for codec in [*codecs, f"{ladder_name}_b{beta:g}".replace(".", "_")]:
        row = {"kind": "codec", "corpus": "librispeech", "codec": codec, "permute_blocks_s": None}
        add_row(config, f"of_{codec}", row)
    assert plan(tmp_path / "b", config)["train_codec"] == len(codecs) + 1
