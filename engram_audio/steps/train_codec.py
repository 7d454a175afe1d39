"""Train a mel_vae or vae codec; resumes with the same bits.

Fails where the kind of codec is not trained, or where it has collapsed.
"""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from engram_audio.artifacts.audio import read_indexed
from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.artifacts.table import read_table
from engram_audio.codecs.codec_health import collapse_reason
from engram_audio.codecs.config import CodecSection
from engram_audio.codecs.crops import choose_utterances
from engram_audio.codecs.fitted_config import TrainedCodecSettings
from engram_audio.codecs.training import build_task, pack_codec, train_codec
from engram_audio.codecs.waveform import resample
from engram_audio.corpus.split_parts import TRAIN, choice_part
from engram_audio.corpus.utterances import AUDIO_COLUMNS, indexed_audio
from engram_audio.errors import InputError
from engram_audio.steps._cli import Device, Frozen, LogFolder, Output, StepFiles, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._progress import track
from engram_audio.steps._training import TrainingRun

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    section: Frozen[CodecSection]
    utterances: Path
    splits: Path
    checked: list[Path]
    weights: Output
    history: Output
    tensorboard: LogFolder
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    settings = files.section
    if not isinstance(settings, TrainedCodecSettings):
        raise InputError(
            f"{files.section_name(settings)}: a codec of kind {settings.kind} is not trained"
        )
    device = torch.device(resolve_device(files.device, settings.uses_torch))
    splits = read_table(files.splits, ["utterance_id", "split"])
    table = read_table(files.utterances, ["utterance_id", "duration_s", *AUDIO_COLUMNS])
    clips = table.merge(splits, on="utterance_id", how="left")
    train = _read(clips, TRAIN, settings.maximum_train_h * 3600, settings)
    most_s = settings.recipe.maximum_validation_frames / settings.frame_rate_hz
    choice = _read(clips, choice_part(splits["split"]), most_s, settings)
    task = build_task(settings, train, choice, device)
    # A collapsed codec that is kept after all is judged anew, not trained again.
    with TrainingRun(files, settings.recipe, settings, {"health"}) as run:
        state = run.train("codec", partial(train_codec, settings, task, device))
        reason = collapse_reason(task.details, settings)
        if reason is not None and settings.health.action == "fail":
            raise InputError(
                f"{files.weights}: the codec has collapsed: {reason}; change its beta or its "
                "recipe, or set health.action to `report` to keep it and flag it"
            )
        if reason is not None:
            LOG.warning("the codec has collapsed: %s", reason)
        write_jsonl(files.history, state.history)
        header = {"health": task.details, "collapse": reason or ""}
        manifest = {**files.manifest(settings.seed), **header}
        write_bundle(files.weights, pack_codec(task.generator), manifest)


def _read(
    clips: pd.DataFrame, part: str, maximum_s: float, settings: TrainedCodecSettings
) -> Iterator[np.ndarray]:
    rows = clips.loc[clips["split"] == part]
    chosen = choose_utterances(rows["duration_s"].tolist(), maximum_s, settings.seed, part)
    LOG.info("%s: %d of %d utterances", part, len(chosen), len(rows))
    files = indexed_audio(rows.iloc[chosen])
    for audio in track(files, len(files), part, "utterances"):
        waveform, rate = read_indexed(audio)
        yield resample(waveform, rate, settings.sample_rate_hz)


if __name__ == "__main__":
    run(main)
