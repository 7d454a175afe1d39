"""What a step reads is what was indexed: audio and arrays that were replaced since are refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.audio import write_flac
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.errors import InputError
from engram_audio.provenance import ROOT
from engram_audio.steps import (
    evaluate_reconstruction,
    extract_latents,
    import_arrays,
    index_arrays,
    render_round_trips,
    train_codec,
)
from tests.frozen_argv import run_step
from tests.unit.trained_codec_material import MEL_VAE, RECIPE
from tests.workflow.latent_study import build_latent_study, extract, fit, flags, section, voice

CHANGES: dict[str, Callable[[Path], None]] = {
    "shorter": lambda path: write_flac(path, voice(9)[:16000], 16000),
    "one sample more": lambda path: write_flac(path, np.append(voice(9), 0.1), 16000),
    "other samples": lambda path: write_flac(path, voice(9)[::-1], 16000),
    "another rate": lambda path: write_flac(path, voice(9), 24000),
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_latent_study(tmp_path_factory.mktemp("pristine"))


@pytest.fixture()
def study(pristine: Path, tmp_path: Path) -> Path:
    """The study again, its table naming the files of the copy."""
    study = Path(shutil.copytree(pristine, tmp_path / "copy"))
    table = pd.read_parquet(study / "utterances.parquet")
    table["audio_path"] = [str(study / Path(path).name) for path in table["audio_path"]]
    write_table(study / "utterances.parquet", table, {})
    return study


def train(study: Path) -> None:
    """Train a codec on the house's audio."""
    settings = section(study, "codecs.mel_vae", {**MEL_VAE, "recipe": RECIPE})
    run_step(
        train_codec,
        flags(
            section=settings,
            utterances=study / "utterances.parquet",
            splits=study / "splits.parquet",
            tensorboard=study / "tensorboard",
            weights=study / "trained.safetensors",
            history=study / "history.jsonl",
            device="cpu",
        ),
    )


def reconstruct(study: Path) -> None:
    """Score decoded eval utterances."""
    settings = section(study, "reconstruction", {"num_utterances": 4, "maximum_duration_s": 2.0})
    run_step(
        evaluate_reconstruction,
        flags(
            section=settings,
            codec_section=study / "codecs.mel_pca.json",
            utterances=study / "utterances.parquet",
            splits=study / "splits.parquet",
            links=[],
            weights=[study / "weights.safetensors"],
            scores=study / "scores.parquet",
            representation="rep",
        ),
    )


def play(study: Path) -> None:
    """Render the round trips of eval utterances."""
    report = {"title": "t", "num_players": 4, "player_duration_s": 1.0}
    run_step(
        render_round_trips,
        flags(
            representation_section=study / "representations.rep.json",
            codec_section=study / "codecs.mel_pca.json",
            section=study / "latents.extraction.json",
            report_section=section(study, "report", report),
            weights=[study / "weights.safetensors"],
            utterances=study / "utterances.parquet",
            splits=study / "splits.parquet",
            players=study / "players.json",
            representation="rep",
        ),
    )


READERS: dict[str, tuple[int, Callable[[Path], object]]] = {  # which utterance each surely reads
    "extract": (9, lambda study: extract(study, study / "rep" / "shard-000.zarr.zip")),
    "fit": (2, lambda study: fit(study, "again.safetensors")),
    "train": (2, train),
    "reconstruct": (9, reconstruct),
    "play": (8, play),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_step_that_reads_audio_refuses_a_file_that_was_replaced(study: Path, reader: str):
    """4.88 s of latents under the name of an utterance of 6.47 s: now one line with the file."""
    number, read = READERS[reader]
    before = set(study.rglob("*"))
    write_flac(study / f"u{number:02d}.flac", voice(number)[:16000], 16000)
    with pytest.raises(InputError, match=rf"u{number:02d}\.flac: not the audio that was indexed"):
        read(study)
    written = {path for path in set(study.rglob("*")) - before if path.is_file()}
    # sections that this test wrote, and batches that a next run takes over
    kept = {path for path in written if path.suffix == ".json" or ".partial" in path.parts}
    assert written == kept


@pytest.mark.parametrize("change", CHANGES)
def test_the_length_the_rate_and_the_samples_are_compared(study: Path, change: str):
    CHANGES[change](study / "u09.flac")
    with pytest.raises(InputError, match=r"u09\.flac: not the audio.*restore the file, or delete"):
        extract(study, study / "rep" / "shard-000.zarr.zip")


def test_the_same_samples_in_another_file_are_the_same_audio(study: Path):
    """A FLAC that was compressed again, or touched, is no other recording."""
    first = extract(study, study / "rep" / "shard-000.zarr.zip").read_bytes()
    write_flac(study / "u09.flac", voice(9), 16000)
    assert extract(study, study / "rep" / "shard-000.zarr.zip").read_bytes() == first


def test_no_module_reads_corpus_audio_past_the_check():
    """`read_waveform` compares nothing, so only the module that compares may call it."""
    users = {
        path.name
        for path in (ROOT / "engram_audio").rglob("*.py")
        if "read_waveform" in path.read_text(encoding="utf-8")
    }
    assert users == {"audio.py"}
    assert extract_latents.COLUMNS[-1] == "pcm_sha256"  # and so it is in the key of partial batches


def arrays(folder: Path) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    values = {f"v{n}": generator.normal(size=(10 + n, 4)) for n in range(4)}
    for name, array in values.items():
        np.savez(folder / f"{name}.npz", latents=array, energy=np.abs(array[:, 0]))
    return values


def index_mine(folder: Path) -> tuple[Path, Path]:
    table = folder / "table.csv"
    table.write_text("utterance_id,speaker_id\nv0,a\nv1,b\nv2,a\nv3,b\n")
    settings = section(folder, "representations.mine", {
        "kind": "arrays", "path": str(folder), "table": str(table), "frame_rate_hz": 25.0,
        "latent_space": "test", "is_causal": True, "num_shards": 1,
    })  # fmt: skip
    run_step(
        index_arrays,
        flags(
            section=settings,
            table=table,
            utterances=folder / "u.parquet",
            exclusions=folder / "e.parquet",
            shards=folder / "s.parquet",
            representation="mine",
        ),
    )
    return settings, table


def import_mine(folder: Path, settings: Path, table: Path) -> Path:
    shard = folder / "shard-000.zarr.zip"
    run_step(
        import_arrays,
        flags(
            section=settings,
            table=table,
            shards=folder / "s.parquet",
            latents=shard,
            representation="mine",
            shard="000",
        ),
    )
    return shard


@pytest.mark.parametrize("part", ["a value", "the energy", "the shape", "one frame less", "gone"])
def test_an_array_that_changed_since_it_was_indexed_is_refused(tmp_path: Path, part: str):
    """A shard of new values would carry the hash of the old ones."""
    values = arrays(tmp_path)
    settings, table = index_mine(tmp_path)
    latents, energy = values["v2"].copy(), np.abs(values["v2"][:, 0])
    if part == "a value":
        latents[3, 1] += 1e-3
    if part == "the energy":
        energy[0] += 1
    if part == "the shape":
        latents, energy = latents.reshape(24, 2), np.ones(24)
    if part == "one frame less":
        latents, energy = latents[:-1], energy[:-1]
    np.savez(tmp_path / "v2.npz", latents=latents, energy=energy)
    if part == "gone":  # nothing says any more which suffix it had
        (tmp_path / "v2.npz").unlink()
    named = r"v2\.npy: .* v2 \(no such file, nor v2\.npz" if part == "gone" else r"v2\.npz: .* v2 "
    with pytest.raises(InputError, match=rf"{named}.*; restore it, or delete .*s\.par"):
        import_mine(tmp_path, settings, table)
    assert not (tmp_path / "shard-000.zarr.zip").exists()


def test_an_array_that_was_only_written_again_is_imported(tmp_path: Path):
    """Same values in single precision: the shard has the same bytes."""
    values = arrays(tmp_path)
    settings, table = index_mine(tmp_path)
    first = import_mine(tmp_path, settings, table).read_bytes()
    energy = np.abs(values["v2"][:, 0]).astype(np.float32)
    np.savez_compressed(tmp_path / "v2.npz", latents=values["v2"].astype(np.float32), energy=energy)
    assert import_mine(tmp_path, settings, table).read_bytes() == first


def test_index_and_import_agree_on_an_absurd_frame(tmp_path: Path):
    """One frame at half precision's end: the utterance is named with the frame, the rest stays."""
    values = arrays(tmp_path)
    values["v1"][7, 2] = 65504
    np.savez(tmp_path / "v1.npz", latents=values["v1"])
    settings, table = index_mine(tmp_path)
    rows = read_table(tmp_path / "e.parquet", ["utterance_id", "reason", "detail"])
    assert rows[["utterance_id", "reason"]].values.tolist() == [["v1", "absurd"]]
    assert "frame 7, dimension 2: 65504" in rows["detail"][0]
    import_mine(tmp_path, settings, table)
