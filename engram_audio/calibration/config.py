"""Settings of the calibration: which worlds run, how large, how often the gate is tried."""

from typing import Annotated

from pydantic import Field

from engram_audio.latents.config import (
    MAXIMUM_SPEAKERS,
    MAXIMUM_UTTERANCES,
    SurrogateName,
    WorldRepresentation,
)
from engram_audio.section import Section

WORLD_PREFIX = "world_"  # representation of a calibration world: world_<name>

Share = Annotated[float, Field(gt=0, lt=1)]


class WorldsSection(Section):
    """Planted worlds that go through the study's own rules."""

    names: tuple[str, ...] = Field(
        description="Worlds of engram_audio.calibration; each is a representation world_<name>."
    )
    num_train_speakers: int = Field(
        ge=2, le=MAXIMUM_SPEAKERS, description="Speakers of the train split of each world."
    )
    num_eval_speakers: int = Field(
        ge=2, le=MAXIMUM_SPEAKERS, description="Speakers of the eval split of each world."
    )
    num_utterances_per_speaker: int = Field(
        ge=2, le=MAXIMUM_UTTERANCES, description="Utterances of 40 to 80 frames."
    )
    surrogates: tuple[SurrogateName, ...] = Field(
        min_length=1, description="Surrogates scored beside each world; the gate needs one."
    )
    num_truth_speakers: int = Field(
        ge=4,
        le=MAXIMUM_SPEAKERS,
        description="Fresh speakers on which truths without closed form are measured.",
    )
    num_truth_utterances_per_speaker: int = Field(
        ge=1, le=MAXIMUM_UTTERANCES, description="Utterances of each."
    )
    seed: int = Field(ge=0, description="Seed of the worlds.")


class PowerSection(Section):
    """Simulated studies: how often the gate errs, how often intervals cover."""

    num_speakers: tuple[int, ...] = Field(min_length=1, description="Eval speakers of a study.")
    num_studies: int = Field(ge=100, description="Studies for each effect and number of speakers.")
    num_coverage_studies: int = Field(ge=100, description="Studies for the coverage of intervals.")
    effects: tuple[float, ...] = Field(
        description="True explained fraction less its threshold; 0 gives the error rates."
    )
    floor: Share = Field(description="Ratio of the target oracle in the simulated studies.")
    speaker_sd: float = Field(gt=0, description="SD over speakers of a key's ratio.")
    frame_sd: float = Field(gt=0, description="SD over frames of one speaker of a frame's ratio.")
    frames_range: tuple[int, int] = Field(description="Frames of a speaker, uniform.")
    minimum_coverage: Share = Field(description="Accepted coverage of nominal intervals, from.")
    maximum_coverage: Share = Field(description="Accepted coverage of nominal intervals, to.")
    maximum_false_proceed: Share = Field(description="Accepted rate at the threshold.")
    seed: int = Field(ge=0, description="Seed of the studies.")


class SabotageSection(Section):
    """Size of the worlds in which planted bugs must be caught."""

    num_train_speakers: int = Field(
        ge=2, le=MAXIMUM_SPEAKERS, description="Speakers of the train split."
    )
    num_eval_speakers: int = Field(
        ge=2, le=MAXIMUM_SPEAKERS, description="Speakers of the eval split."
    )
    num_utterances_per_speaker: int = Field(
        ge=2, le=MAXIMUM_UTTERANCES, description="Utterances of each."
    )
    codebook_size: int = Field(ge=2, description="Cells of the k-means key.")
    seed: int = Field(ge=0, description="Seed of the worlds.")


class CalibrationSection(Section):
    """Can this instrument be trusted? Frozen in three parts."""

    worlds: WorldsSection
    power: PowerSection
    sabotage: SabotageSection


def world_rows(worlds: WorldsSection) -> dict[str, WorldRepresentation]:
    """Return the calibration worlds as representations, `world_<name>`."""
    return {
        f"{WORLD_PREFIX}{name}": WorldRepresentation(
            kind="world",
            world=name,
            num_train_speakers=worlds.num_train_speakers,
            num_eval_speakers=worlds.num_eval_speakers,
            num_utterances_per_speaker=worlds.num_utterances_per_speaker,
            seed=worlds.seed,
            surrogates=worlds.surrogates,
        )
        for name in worlds.names
    }
