"""What all stages look at: the window, the slices, the subspaces. Each value stands once.

The mathematics of a stage reads one section object. Where that object holds a value of the views,
`compose` takes it from here, so that two stages cannot differ in it by accident.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, model_validator

from engram_audio.quantities import Amount, Counts, Fractions, Frames, Listed
from engram_audio.section import Section

SliceName = Literal["all", "speech", "medial", "initial", "final"]
Slices = Annotated[Listed[SliceName], Field(min_length=1)]
ViewedT = TypeVar("ViewedT", bound="Viewed")


class ContextView(Section):
    """The window that every stage predicts from."""

    window_frames: Frames = Field(description="W, frames of context.")


class SlicesView(Section):
    """Which frames are looked at apart."""

    slices: Slices = Field(
        description="Slices; cell means and baselines are fitted again inside each."
    )
    medial_range: Fractions = Field(description="Medial positions, fraction of utterance.")
    speech_range_db: Amount = Field(
        description="Speech: at most this far below the speaker's loud frames (95th percentile)."
    )


class DivergenceView(Section):
    """When something that runs free counts as gone."""

    divergence_factor: Amount = Field(
        gt=1, description="A path has diverged when its RMS exceeds the data's by this factor."
    )


class ViewsSection(ContextView, SlicesView, DivergenceView):
    """Every value that must agree between stages."""

    window_frames: Frames = Field(ge=2, description="W, frames of context.")
    judged_slices: Slices = Field(
        description="Pre-registered slices: the gate must hold on every one."
    )
    delta_subspaces: Counts = Field(
        description="Edges q of the structure stage: rows for the first q principal directions of"
        " delta and the rest."
    )
    event_subspaces: Counts = Field(
        description="Edges q of the prediction stage: explained variance of the first q principal"
        " directions of the predicted event and the rest."
    )

    @model_validator(mode="after")
    def _check_judged(self) -> Self:
        if "all" not in self.slices:
            raise ValueError("slices: leaves out `all`, which every comparison needs; add it")
        for name in self.judged_slices:
            if name not in self.slices:
                raise ValueError(
                    f"judged_slices: {name!r} is not one of the slices {', '.join(self.slices)}"
                )
        return self


class Viewed(Section):
    """A section that a step reads, with values of the views among its own."""

    VIEWS: ClassVar[Mapping[str, str]] = {}  # own name -> name in the views, where they differ


def viewed_names(model: type[Viewed]) -> dict[str, str]:
    """Return which fields of a section are views: its own name -> the name in the views."""
    shared = {name: name for name in model.model_fields if name in ViewsSection.model_fields}
    return shared | dict(model.VIEWS)


def compose(model: type[ViewedT], values: Section, views: ViewsSection) -> ViewedT:
    """Return the section that a step reads, of a stage's own values and of the views."""
    own = {name for name in type(values).model_fields if name in model.model_fields}
    found: dict[str, Any] = {name: getattr(values, name) for name in own}
    found |= {name: getattr(views, view) for name, view in viewed_names(model).items()}
    return model(**found)
