"""A mel_vae trained on real speech: how well it reconstructs new speakers, and what beta does.

Three members of a ladder are trained by the step itself and run through the codec's own encoder and
decoder, Griffin-Lim included, beside PCA codecs that are fitted on the same train speakers.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import soundfile

from engram_audio.artifacts.audio import probe_audio, read_waveform
from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.table import write_table
from engram_audio.codecs.base import Codec
from engram_audio.codecs.config import MelPcaCodecSettings, MelVaeCodecSettings
from engram_audio.codecs.mel import analysis_of, log_mel_distance
from engram_audio.codecs.mel_pca import MelPcaCodec, fit_mel_pca
from engram_audio.codecs.registry import load_codec
from engram_audio.steps import train_codec
from tests.frozen_argv import run_step

pytestmark = pytest.mark.slow

BETAS = (1.0, 10.0, 100.0)
MEL = {
    "corpus": "speech", "split_seed": 0, "sample_rate_hz": 16000, "num_mels": 80, "hop_s": 0.01,
    "window_s": 0.04, "stack_hops": 8, "magnitude_floor": 1e-5, "griffin_lim_iterations": 8,
}  # fmt: skip
RECIPE = {
    "num_steps": 1000, "batch_frames": 512, "learning_rate": 2e-3, "weight_decay": 1e-2,
    "warmup_steps": 50, "schedule": "cosine", "final_learning_rate_fraction": 0.0,
    "gradient_clip": 10.0, "precision": "float32", "validation_interval_steps": 250,
    "patience_validations": None, "maximum_validation_frames": 4096,
    "checkpoint_interval_steps": 1000, "is_tensorboard_logged": False,
}  # fmt: skip
MEL_VAE = {
    **MEL, "kind": "mel_vae", "num_dims": 32, "beta": 1.0, "beta_warmup_steps": 100,
    "predictability": None,
    "crop_s": 0.64, "maximum_train_h": 1.0, "seed": 0, "width": 256, "num_layers": 2,
    "encoder_context_frames": 1, "decoder_context_frames": 1, "recipe": RECIPE,
    "health": {"minimum_effective_rank": 0.2, "maximum_error": 0.5, "action": "report"},
}  # fmt: skip
EVAL_UTTERANCES = 2  # of each eval speaker; Griffin-Lim costs the time


@pytest.fixture(scope="module")
def speech(tmp_path_factory, shared_data: Path) -> Path:
    """Utterance table and speaker-disjoint splits of the shared recordings."""
    folder = tmp_path_factory.mktemp("speech")
    files = sorted((shared_data / "real-speech").rglob("*.flac"))
    table = pd.DataFrame({"audio_path": [str(path) for path in files]})
    table["utterance_id"] = [path.stem for path in files]
    table["speaker_id"] = [path.stem.split("-")[0] for path in files]
    table["duration_s"] = [soundfile.info(path).duration for path in files]
    facts = [probe_audio(str(path.parent), path.name) for path in files]
    for name in ("sample_rate_hz", "num_samples", "pcm_sha256"):
        table[name] = [getattr(fact, name) for fact in facts]
    speakers = sorted(set(table["speaker_id"]))
    part_of = {name: "eval" if n % 3 == 0 else "val" if n % 9 == 1 else "train"
               for n, name in enumerate(speakers)}  # fmt: skip
    write_table(folder / "utterances.parquet", table, {})
    names = ["utterance_id", "speaker_id"]
    splits = pd.DataFrame({name: table[name] for name in names})
    splits["split"] = [part_of[name] for name in splits["speaker_id"]]
    write_table(folder / "splits.parquet", splits, {})
    return folder


@pytest.fixture(scope="module")
def checkpoints(speech: Path) -> dict[float, Path]:
    """Weights of three betas."""
    found = {}
    for beta in BETAS:
        folder = speech / f"b{beta:g}"
        folder.mkdir()
        (folder / "codec.json").write_text(json.dumps({**MEL_VAE, "beta": beta}))
        arguments = [
            "--section", folder / "codec.json", "--utterances", speech / "utterances.parquet",
            "--splits", speech / "splits.parquet", "--tensorboard", folder / "tensorboard",
            "--weights", folder / "weights.safetensors", "--history", folder / "history.jsonl",
            "--device", "cpu",
        ]  # fmt: skip
        run_step(train_codec, [str(part) for part in arguments])
        found[beta] = folder / "weights.safetensors"
    return found


def waveforms(speech: Path, part: str) -> list[tuple[str, np.ndarray]]:
    """Speaker and waveform of every utterance of a part."""
    table = pd.read_parquet(speech / "utterances.parquet")
    splits = pd.read_parquet(speech / "splits.parquet")
    chosen = table.loc[splits["split"] == part]
    return [
        (str(row.speaker_id), read_waveform(Path(str(row.audio_path)))[0])
        for row in chosen.itertuples()
    ]


def pca_codec(train: list[tuple[str, np.ndarray]], num_components: int) -> MelPcaCodec:
    settings = MelPcaCodecSettings.model_validate(
        {**MEL, "kind": "mel_pca", "num_components": num_components}
    )
    return MelPcaCodec(fit_mel_pca((wave for _, wave in train), settings), settings)


@pytest.fixture(scope="module")
def distances(speech: Path, checkpoints: dict[float, Path]) -> pd.DataFrame:
    """Log-mel distance after the round trip, by eval speaker and codec."""
    train = waveforms(speech, "train")
    codecs: dict[str, Codec] = {
        f"vae_{beta:g}": load_codec(MelVaeCodecSettings.model_validate(MEL_VAE), [path], "cpu")
        for beta, path in checkpoints.items()
    }
    codecs |= {f"pca_{size}": pca_codec(train, size) for size in (8, 32)}
    analysis = analysis_of(MelVaeCodecSettings.model_validate(MEL_VAE))
    rows = []
    taken: dict[str, int] = {}
    for speaker, wave in waveforms(speech, "eval"):
        taken[speaker] = taken.get(speaker, 0) + 1
        if taken[speaker] > EVAL_UTTERANCES:
            continue
        num_frames = len(wave) // analysis.stack_samples
        usable = wave[: num_frames * analysis.stack_samples]
        for name, codec in codecs.items():
            latents = codec.encode(usable[None], np.array([len(usable)]))[0]
            rows.append((speaker, name, log_mel_distance(usable, codec.decode(latents), analysis)))
        mean = codecs["pca_8"].decode(np.zeros((num_frames, 8), np.float32))
        rows.append((speaker, "mean", log_mel_distance(usable, mean, analysis)))
    frame = pd.DataFrame(rows, columns=["speaker_id", "codec", "distance"])
    return frame.pivot_table(index="speaker_id", columns="codec", values="distance")


def interval(differences: pd.Series) -> tuple[float, float]:
    """95 % t interval of a mean over speakers."""
    count = len(differences)
    width = scipy.stats.t.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count)
    return differences.mean() - width, differences.mean() + width


def test_reconstruction_beats_the_mean_and_a_linear_codec_of_a_quarter_of_its_size(distances):
    """The margin over the mean frame is at least that of the 8 best linear components.

    A quarter of the dimensions, fitted in closed form on the same speakers: 32 that were trained
    must do better on speakers that neither has heard.
    """
    assert len(distances) >= 15
    _, high = interval(distances["vae_1"] - distances["pca_8"])
    assert high < 0, distances.mean()
    _, high = interval(distances["pca_8"] - distances["mean"])
    assert high < 0, distances.mean()


def test_more_beta_buys_less_rate_with_a_worse_reconstruction(checkpoints, distances):
    """Rate falls and distance grows at each step, the latter on every pair by speaker."""
    health = {beta: read_bundle(path)[1]["health"] for beta, path in checkpoints.items()}
    rates = [health[beta]["rate_nats"] for beta in BETAS]
    assert rates[0] > rates[1] > rates[2], rates
    for low, high in itertools.pairwise(BETAS):
        worse, _ = interval(distances[f"vae_{high:g}"] - distances[f"vae_{low:g}"])
        assert worse > 0, distances.mean()


def test_every_member_is_alive(checkpoints):
    """Effective rank and error on val are inside the default limits where beta is 1."""
    _, header = read_bundle(checkpoints[1.0])
    assert header["collapse"] == "", header["health"]
    assert header["health"]["relative_error"] < 0.5
