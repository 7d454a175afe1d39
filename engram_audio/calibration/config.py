"""Settings of the calibration: which worlds run, how large, how often the gate is tried."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from engram_audio.latents.config import (
    MAXIMUM_SPEAKERS,
    MAXIMUM_UTTERANCES,
    SurrogateName,
    WorldRepresentation,
)
from engram_audio.quantities import Amount, Count, CountRange, InnerShare, Listed, Names, Seed
from engram_audio.section import Section

WORLD_PREFIX = "world_"  # representation of a calibration world: world_<name>

NumSpeakers = Annotated[int, Field(ge=2, le=MAXIMUM_SPEAKERS)]
Effect = Annotated[float, Field(gt=-1, lt=1)]


class WorldsSection(Section):
    """Planted worlds that go through the study's own rules."""

    names: Names = Field(
        description="Worlds of engram_audio.calibration; each is a representation world_<name>."
    )
    keys: Names = Field(min_length=1, description="Context keys that worlds are judged by.")
    num_train_speakers: Count = Field(
        ge=2, le=MAXIMUM_SPEAKERS, description="Speakers of the train split of each world."
    )
    num_eval_speakers: Count = Field(
        ge=2, le=MAXIMUM_SPEAKERS, description="Speakers of the eval split of each world."
    )
    num_utterances_per_speaker: Count = Field(
        ge=2, le=MAXIMUM_UTTERANCES, description="Utterances of 40 to 80 frames."
    )
    surrogates: Listed[SurrogateName] = Field(
        min_length=1, description="Surrogates scored beside each world; the gate needs one."
    )
    num_truth_speakers: Count = Field(
        ge=4,
        le=MAXIMUM_SPEAKERS,
        description="Fresh speakers on which truths without closed form are measured.",
    )
    num_truth_utterances_per_speaker: Count = Field(
        le=MAXIMUM_UTTERANCES, description="Utterances of each."
    )
    seed: Seed = Field(description="Seed of the worlds.")

    def judged_keys(self) -> tuple[str, ...]:
        """Return the keys that worlds are judged by; none where no world is simulated."""
        return self.keys if self.names else ()


class PowerSection(Section):
    """Simulated studies: how often the gate errs, how often intervals cover."""

    num_speakers: Listed[NumSpeakers] = Field(min_length=1, description="Eval speakers of a study.")
    num_studies: Count = Field(
        ge=100, description="Studies for each effect and number of speakers."
    )
    num_coverage_studies: Count = Field(
        ge=100, description="Studies for the coverage of intervals."
    )
    effects: Listed[Effect] = Field(
        min_length=1,
        description="True explained fraction less its threshold; 0 gives the error rates.",
    )
    floor: InnerShare = Field(description="Ratio of the target oracle in the simulated studies.")
    speaker_sd: Amount = Field(description="SD over speakers of a key's ratio.")
    frame_sd: Amount = Field(description="SD over frames of one speaker of a frame's ratio.")
    frames_range: CountRange = Field(description="Frames of a speaker, uniform.")
    minimum_coverage: InnerShare = Field(
        description="Accepted coverage of nominal intervals, from."
    )
    maximum_coverage: InnerShare = Field(description="Accepted coverage of nominal intervals, to.")
    maximum_false_proceed: InnerShare = Field(description="Accepted rate at the threshold.")
    seed: Seed = Field(description="Seed of the studies.")

    @model_validator(mode="after")
    def _check_coverage(self) -> Self:
        if self.minimum_coverage >= self.maximum_coverage:
            raise ValueError(
                f"minimum_coverage {self.minimum_coverage:g} must lie below maximum_coverage "
                f"{self.maximum_coverage:g}"
            )
        return self


class SabotageSection(Section):
    """Size of the worlds in which planted bugs must be caught."""

    num_train_speakers: Count = Field(
        ge=2, le=MAXIMUM_SPEAKERS, description="Speakers of the train split."
    )
    num_eval_speakers: Count = Field(
        ge=2, le=MAXIMUM_SPEAKERS, description="Speakers of the eval split."
    )
    num_utterances_per_speaker: Count = Field(
        ge=2, le=MAXIMUM_UTTERANCES, description="Utterances of each."
    )
    codebook_size: Count = Field(ge=2, description="Cells of the k-means key.")
    seed: Seed = Field(description="Seed of the worlds.")


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
