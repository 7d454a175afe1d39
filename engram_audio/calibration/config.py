"""Settings of the calibration: which worlds run, how large, how often the gate is tried."""

from typing import Self

from pydantic import Field, model_validator

from engram_audio.latents.config import (
    MAXIMUM_SPEAKERS,
    MAXIMUM_UTTERANCES,
    SurrogateName,
    WorldRepresentation,
)
from engram_audio.quantities import Count, InnerShare, Listed, Names, Seed
from engram_audio.section import Section

WORLD_PREFIX = "world_"  # representation of a calibration world: world_<name>
# Frames that share samples with a frame, itself included; 1 in the worlds that are not named.
OVERLAPPING_WORLDS = {"overlap": 2, "overlap_symbols": 4}
# Cells want as many train frames in each judged slice. Speech is .2 of `silent_motifs` and .61 of
# `silence`: with as many speakers the slice is INVALID there.
TRAIN_SPEAKERS_FACTOR = {"silent_motifs": 3}


class WorldsSection(Section):
    """Planted worlds that go through the study's own rules."""

    names: Names = Field(
        description="Worlds of engram_audio.calibration; each is a representation world_<name>."
    )
    keys: Names = Field(min_length=1, description="Context keys that worlds are judged by.")
    laws: Names = Field(
        description="Worlds whose keys are scored by their laws too; those that are named count."
    )
    num_train_speakers: Count = Field(
        ge=2,
        le=MAXIMUM_SPEAKERS,
        description="Train speakers of each world; `silent_motifs` has three times as many.",
    )
    num_eval_speakers: Count = Field(
        ge=2, le=MAXIMUM_SPEAKERS, description="Speakers of the eval split of each world."
    )
    num_utterances_per_speaker: Count = Field(
        ge=2, le=MAXIMUM_UTTERANCES, description="Utterances of 40 to 80 frames."
    )
    surrogates: Listed[SurrogateName] = Field(
        description="Surrogates scored beside each world, for information: none decides."
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

    def with_laws(self) -> list[str]:
        """Return the simulated worlds whose keys are scored by their laws."""
        return [name for name in self.names if name in self.laws]

    def judged_keys(self) -> tuple[str, ...]:
        """Return the keys that worlds are judged by; none where no world is simulated."""
        return self.keys if self.names else ()


class PowerSection(Section):
    """Simulated studies: how often the gate errs, how often intervals cover."""

    num_studies: Count = Field(
        ge=100, description="Studies of each speaker layout and each row on its boundary."
    )
    num_draws_per_fit: Count = Field(
        ge=2, description="Studies that share one fit of the keys, with eval speakers of their own."
    )
    num_truth_speakers: Count = Field(
        ge=100, le=MAXIMUM_SPEAKERS, description="Speakers that tell each fit's own true values."
    )
    minimum_coverage: InnerShare = Field(
        description="Accepted coverage of nominal intervals, from."
    )
    maximum_coverage: InnerShare = Field(description="Accepted coverage of nominal intervals, to.")
    seed: Seed = Field(description="Seed of the studies.")

    @property
    def num_fits(self) -> int:
        """Fits that give at least the studies asked for."""
        return -(-self.num_studies // self.num_draws_per_fit)

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
            num_train_speakers=min(
                worlds.num_train_speakers * TRAIN_SPEAKERS_FACTOR.get(name, 1), MAXIMUM_SPEAKERS
            ),
            num_eval_speakers=worlds.num_eval_speakers,
            num_utterances_per_speaker=worlds.num_utterances_per_speaker,
            seed=worlds.seed,
            surrogates=worlds.surrogates,
        )
        for name in worlds.names
    }
