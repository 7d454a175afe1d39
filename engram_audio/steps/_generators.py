"""Read what `train_generators` wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.table import read_table
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.ridge_mixture import unpack_ridge_mixtures
from engram_audio.errors import InputError
from engram_audio.generation.model import Generator
from engram_audio.generation.nulls import EVENT, LAGS
from engram_audio.generation.storage import unpack_generator
from engram_audio.steps._cli import Device
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import Frames, open_frames, read_nulls
from engram_audio.steps._prediction import Stage, open_stage


class Generators(NamedTuple):
    """All trainings of a job.

    Attributes:
        path: Their file.
        arrays: Arrays by name.
        members: What the file says of each training.
        replays: Likewise of each replay.
        variants: Likewise of each further size.
        nulls: Densities without training, by arm.
        chosen_on: The choice part.
    """

    path: Path
    arrays: Mapping[str, np.ndarray]
    members: list[dict[str, Any]]
    replays: list[dict[str, Any]]
    variants: list[dict[str, Any]]
    nulls: dict[str, ConditionalDensity]
    chosen_on: str

    def model(self, member: Mapping[str, Any]) -> Generator:
        """Return the generator of a training.

        Raises:
            InputError: Its arrays are not those of its model.
        """
        label = f"{member['label']}/model"
        try:
            return unpack_generator(label, dict(self.arrays), member["generator"])
        except (KeyError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{self.path}: {member['label']} does not fit its arm ({reason}); train it again"
            ) from error


def full_members(trained: Generators) -> list[dict[str, Any]]:
    """Return what the file says of trainings of full length, repeats left out."""
    longest = max(member["num_steps"] for member in trained.members)
    return [
        member
        for member in trained.members
        if member["num_steps"] == longest and not member["is_repeat"]
    ]


def read_generators(path: Path) -> Generators:
    """Read all trainings of a job.

    Raises:
        InputError: Missing, damaged, or another schema version.
    """
    arrays, header = read_bundle(path)
    stored = unpack_ridge_mixtures(arrays, header["ridge_mixtures"])
    nulls = {name: stored[lag, EVENT] for name, lag in LAGS.items()}
    members, replays, variants = (header[n] for n in ("members", "replays", "variants"))
    return Generators(path, arrays, members, replays, variants, nulls, header["chosen_on"])


def read_transcripts(utterances: Path | None) -> dict[str, str] | None:
    """Return the transcripts that there are, by utterance id; None where no file is given."""
    if utterances is None:
        return None
    table = read_table(utterances, ["utterance_id", "transcript"]).dropna(subset="transcript")
    return dict(zip(table["utterance_id"], table["transcript"].str.strip(), strict=True))


class ScoringFiles(Protocol):
    """What a step that scores trained generators reads."""

    section: PredictionSection
    prediction_section: PredictionEvaluationSection
    nulls: Path
    generators: Path
    splits: Path
    shards: list[Path]
    device: Device


class Scoring(NamedTuple):
    """Trained generators with what they are scored on."""

    device: torch.device
    frames: Frames
    stage: Stage
    trained: Generators


def open_scoring(files: ScoringFiles) -> Scoring:
    """Open frames, streams and trainings.

    Raises:
        InputError: A file is missing, damaged, or of another schema version.
    """
    device = torch.device(resolve_device(files.device, uses_torch=True))
    frames = open_frames(files.shards, files.splits)
    reference, _ = read_nulls(files.nulls)
    stage = open_stage(
        frames, reference, files.section, files.prediction_section, str(device), None
    )
    return Scoring(device, frames, stage, read_generators(files.generators))
