"""Base class of every configuration section."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A strict, frozen part of the configuration.

    Unknown keys are refused, strings are not taken for numbers, and units live in the key names
    (`window_frames`, `duration_s`). Fields carry a `description`; scientific values have no
    default, because the YAML file is the experiment.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a list that names something twice.

    Raises:
        ValueError: Says what.
    """
    again = [value for place, value in enumerate(values) if value in values[:place]]
    if again:
        raise ValueError(f"{again[0]!r} stands there twice; list each once")
    return values


Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(distinct)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(distinct)]
Names = Annotated[tuple[str, ...], AfterValidator(distinct)]
