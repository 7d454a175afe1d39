"""A small corpus on disk with its tables, sections and a fitted codec."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engram_audio.artifacts.audio import probe_audio, write_flac
from engram_audio.artifacts.table import write_table
from engram_audio.corpus.utterances import UTTERANCE_COLUMNS
from engram_audio.steps import (
    extract_latents,
    fit_codec,
)
from tests.frozen_argv import run_step

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
    # bursts of a tenth of a second, as syllables are: clips of steady tones all sound alike
    bursts = np.repeat(generator.random(len(time) * 10 // rate + 1) > 0.4, rate // 10)[: len(time)]
    return (bursts * loudness * tones + 0.003 * generator.normal(size=len(time))).astype(np.float32)


def section(folder: Path, name: str, values: dict[str, Any]) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(values))
    return path


def index(folder: Path, num_utterances: int) -> pd.DataFrame:
    """Write the table of the audio as it is now, two utterances for each speaker."""
    rows = []
    for number in range(num_utterances):
        facts = probe_audio(str(folder), f"u{number:02d}.flac")
        seconds = facts.num_samples / facts.sample_rate_hz
        length = (seconds, facts.sample_rate_hz, facts.num_samples)
        audio = (str(folder / facts.path), None, facts.pcm_sha256)
        rows.append((f"u{number:02d}", f"s{number // 2}", "F", *length, *audio))
    table = pd.DataFrame(rows, columns=list(UTTERANCE_COLUMNS))
    write_table(folder / "utterances.parquet", table, {})
    return table


def build_latent_study(tmp_path: Path) -> Path:
    """Twelve utterances of six speakers (one at 8 kHz), tables, sections and a fitted codec."""
    for number in range(NUM_UTTERANCES):
        rate = 8000 if number == 7 else 16000
        write_flac(tmp_path / f"u{number:02d}.flac", voice(number, rate), rate)
    table = index(tmp_path, NUM_UTTERANCES)
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


def fit(study: Path, name: str) -> bytes:
    run_step(
        fit_codec,
        flags(
            section=study / "codecs.mel_pca.json",
            utterances=study / "utterances.parquet",
            splits=study / "splits.parquet",
            weights=study / name,
        ),
    )
    return (study / name).read_bytes()


def extract(
    study: Path, output: Path, name: str = "rep", weights: str = "weights.safetensors"
) -> Path:
    run_step(
        extract_latents,
        flags(
            representation_section=study / f"representations.{name}.json",
            codec_section=study / "codecs.mel_pca.json",
            section=study / "latents.extraction.json",
            utterances=study / "utterances.parquet",
            shards=study / "shards.parquet",
            weights=[study / weights],
            latents=output,
            representation=name,
            shard="000",
        ),
    )
    return output
