"""Base class of every configuration section."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A strict, frozen part of the configuration.

    Unknown keys are refused, strings are not taken for numbers, and units live in the key names
    (`window_frames`, `duration_s`). Fields carry a `description`; scientific values have no
    default, because the YAML file is the experiment.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
