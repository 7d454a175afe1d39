"""The first experiment's published numbers: the shape of `published.json`."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from engram_audio.artifacts.json_document import read_text
from engram_audio.errors import InputError
from engram_audio.section import Section

Kind = Literal[
    "variance_ratio", "threshold", "dnll", "cosine", "log_magnitude_r2", "rollout", "drift",
    "shrinkage", "angle", "uncompared",
]  # fmt: skip
NEEDED = {
    "variance_ratio": ("dims", "codebook_size", "control"),
    "threshold": ("dims",),
    "dnll": ("dims", "lag_frames"),
    "cosine": ("dims", "lag_frames"),
    "log_magnitude_r2": ("dims", "lag_frames", "cosine_of"),
    "rollout": ("dims", "horizon_frames"),
    "drift": ("dims", "log_sigma_floor"),
    "shrinkage": ("control",),
    "angle": ("codebook_size",),
    "uncompared": ("reason",),
}


class PublishedRow(Section):
    """One published number and what is needed to compare it."""

    id: str
    group: str
    what: str = Field(description="System and quantity, in words.")
    kind: Kind
    value: float | Literal["inf"] | None = Field(description="As published; null: left blank.")
    unit: Literal["nats_per_frame", "nats_per_dim"] = "nats_per_frame"
    source: str = Field(description="Name under `sources`.")
    item: str = Field(description="Where in the source's listing.")
    dims: int | None = Field(default=None, ge=1, description="D.")
    lag_frames: int | None = Field(default=None, ge=1, description="k.")
    codebook_size: int | None = Field(default=None, ge=1, description="K: cells, or components.")
    horizon_frames: int | None = Field(default=None, ge=1)
    log_sigma_floor: float | None = None
    control: float | None = Field(default=None, description="The number it was compared with.")
    cosine_of: str | None = Field(default=None, description="Id of the same system's cosine.")
    gain_over: str | None = Field(default=None, description="Id of the row that it improves on.")
    reason: str | None = Field(default=None, description="Why nothing can stand beside it.")

    @model_validator(mode="after")
    def _check(self) -> "PublishedRow":
        missing = [name for name in NEEDED[self.kind] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"row {self.id}: {self.kind} needs {', '.join(missing)}")
        if not isinstance(self.value, float) and self.kind != "drift":
            raise ValueError(f"row {self.id}: value must be a number")
        return self

    @property
    def number(self) -> float:
        """The value; +inf where it was published so, NaN where it was left blank."""
        return float("nan") if self.value is None else float(self.value)

    @property
    def nats(self) -> float:
        """The value in nats per frame."""
        return self.number * (self.dims or 1) if self.unit == "nats_per_dim" else self.number


class Group(Section):
    """Rows under one heading."""

    name: str
    title: str


class Ladder(Section):
    """The AR(1) processes that are tabulated."""

    correlations: tuple[float, ...]
    lags_frames: tuple[int, ...]
    dims: int


class Published(Section):
    """The whole file."""

    schema_version: Literal[1]
    sources: dict[str, str]
    groups: tuple[Group, ...]
    ladder: Ladder
    rows: tuple[PublishedRow, ...]

    @model_validator(mode="after")
    def _check(self) -> "Published":
        ids = [row.id for row in self.rows]
        if len(set(ids)) != len(ids):
            raise ValueError("rows: two rows have the same id")
        groups = {group.name for group in self.groups}
        for row in self.rows:
            if row.group not in groups or row.source not in self.sources:
                raise ValueError(f"row {row.id}: unknown group or source")
            for other in (row.cosine_of, row.gain_over):
                if other is not None and other not in ids:
                    raise ValueError(f"row {row.id}: no row {other}")
        return self

    def row(self, identity: str | None) -> PublishedRow | None:
        """Return a row by id, None for None."""
        return next((row for row in self.rows if row.id == identity), None)


def read_published(path: Path) -> Published:
    """Return the published numbers.

    Raises:
        InputError: The file does not have this shape.
    """
    try:
        return Published.model_validate_json(read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: {error}; mend the row it names") from error
