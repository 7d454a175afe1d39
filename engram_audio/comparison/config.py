"""Settings of the comparison of codecs: which rows, which ladders, how reconstruction is scored."""

from collections.abc import Collection, Mapping
from typing import Annotated, Self

from pydantic import Field

from engram_audio.choices import require, require_listed
from engram_audio.latents.config import (
    RepresentationSection,
)
from engram_audio.prediction.config import PredictionSettings
from engram_audio.quantities import Count, Duration, Name, Names, Text
from engram_audio.section import Section

Rows = Mapping[str, RepresentationSection]


class OverlapControls(Section):
    """Twins of a representation that differ from it in one control of the extraction only."""

    permuted: Text | None = Field(
        description="The same codec on audio of permuted blocks (permute_blocks_s), or null."
    )
    truncated: Text | None = Field(
        description="The same codec on the last context_s seconds only, or null."
    )


class ComparedSection(Section):
    """What stands side by side; every name is a representation that is predicted."""

    representations: Names = Field(description="Rows of codecs.csv, in this order.")
    ladders: dict[Name, Names] = Field(
        description="Lines of the frontier: compared representations from coarse to fine."
    )
    controls: dict[Name, OverlapControls] = Field(
        description="Overlap twins of compared representations."
    )


class ReconstructionSection(Section):
    """How decoded speech is scored."""

    num_utterances: Count = Field(
        description="Eval utterances decoded, dealt evenly over the eval speakers."
    )
    maximum_duration_s: Duration = Field(
        ge=1, description="Utterances are cut to this; PESQ and STOI need about a second."
    )


class ComparisonSettings(Section):
    """The stage: what is compared, with which ladders and controls, and reconstruction."""

    representations: Names = Field(description="Rows of codecs.csv, in this order.")
    ladders: dict[Name, Annotated[Names, Field(min_length=1)]] = Field(
        description="Lines of the frontier: compared representations from coarse to fine."
    )
    controls: dict[Name, OverlapControls] = Field(
        description="Overlap twins of compared representations, by their names."
    )
    reconstruction: ReconstructionSection

    def used(self, library: Collection[str]) -> Self:
        """Return the stage without ladders and controls of what this study does not compare.

        Args:
            library: All representations that are defined: a name that is not stays, as a mistake.
        """
        others = set(library) - set(self.representations)
        ladders = {name: steps for name, steps in self.ladders.items() if set(steps) - others}
        controls = {name: row for name, row in self.controls.items() if name not in others}
        return self.model_copy(update={"ladders": ladders, "controls": controls})

    @property
    def compared(self) -> ComparedSection:
        """What stands side by side, as the step reads it."""
        return ComparedSection(
            representations=self.representations, ladders=self.ladders, controls=self.controls
        )


def check_comparison(stage: ComparisonSettings, rows: Rows, prediction: PredictionSettings) -> None:
    """Refuse rows that are not predicted, ladders of other rows and controls that are no twins.

    Args:
        stage: The stage, with what is used only.
        rows: Used representations by name.
        prediction: The prediction stage.

    Raises:
        ValueError: One line that names the key and the remedy.
    """
    predicted, listed = prediction.representations, "prediction.representations"
    for name in stage.representations:
        require_listed("comparison.representations", name, listed, predicted)
        require("prediction.lags_frames", 1, prediction.lags_frames)
        require("prediction.targets", "position", prediction.targets)
    for ladder, steps in stage.ladders.items():
        for name in steps:
            key = f"comparison.ladders.{ladder}"
            require_listed(key, name, "comparison.representations", stage.representations)
    for name, controls in stage.controls.items():
        key = "comparison.controls"
        require_listed(key, name, "comparison.representations", stage.representations)
        for control, field in (("permuted", "permute_blocks_s"), ("truncated", "context_s")):
            twin = getattr(controls, control)
            if twin is not None:
                place = f"comparison.controls.{name}.{control}"
                require_listed(place, twin, listed, predicted)
                _require_twin(place, rows, name, twin, field)


def _require_twin(place: str, rows: Rows, name: str, twin: str, field: str) -> None:
    if not is_twin(rows, name, twin, field):
        raise ValueError(
            f"{place}: {twin} must be {name} with another {field} and nothing else changed"
        )


def is_decodable(rows: Rows, name: str) -> bool:
    """Whether a representation is a codec's without controls, or made of it by links alone."""
    row = rows[name]
    while row.kind == "resampled" or row.kind == "noisy":
        row = rows[row.source]
    return row.kind == "codec" and row.context_s is None and row.permute_blocks_s is None


def is_twin(rows: Rows, name: str, twin: str, field: str) -> bool:
    """Whether two rows differ in nothing but one control of the extraction at their root."""
    first, second = rows[name], rows[twin]
    if first.kind == second.kind == "codec":
        is_controlled = getattr(first, field) is None and getattr(second, field) is not None
        same = first.model_copy(update={field: getattr(second, field)})
        return is_controlled and same.model_dump() == second.model_dump()
    if first.made_of is not None and second.made_of is not None:
        own, other = (row.model_dump(exclude={"source"}) for row in (first, second))
        return own == other and is_twin(rows, first.made_of, second.made_of, field)
    return False
