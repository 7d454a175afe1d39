"""What the configuration checks of representations made of others and of compared codecs."""

from collections.abc import Mapping

from engram_audio.comparison.config import ComparedSection
from engram_audio.config_checks import require
from engram_audio.latents.config import (
    CodecRepresentation,
    DerivedRepresentation,
    NoisyRepresentation,
    RepresentationSection,
    ResampledRepresentation,
)

Rows = Mapping[str, RepresentationSection]
SURROGATE_MARK = "--"


def check_sources(rows: Rows) -> None:
    """Refuse sources that do not exist, make no sense, or lead in a circle.

    Raises:
        ValueError: One line that names the key and the remedy.
    """
    for name, row in rows.items():
        if isinstance(row, ResampledRepresentation | NoisyRepresentation):
            _check_source(f"representations.{name}.source", row, rows)
    for name in rows:
        seen, current = [name], rows[name]
        while isinstance(current, DerivedRepresentation) and current.source in rows:
            if current.source in seen:
                circle = " -> ".join([*seen, current.source])
                raise ValueError(f"representations.{name}.source: leads in a circle ({circle})")
            seen.append(current.source)
            current = rows[current.source]


def _check_source(key: str, row: ResampledRepresentation | NoisyRepresentation, rows: Rows) -> None:
    if SURROGATE_MARK in row.source:
        raise ValueError(
            f"{key}: {row.source} is a surrogate; name its base, and list the surrogate under this "
            "row's own `surrogates`"
        )
    require(key, row.source, rows)
    source = rows[row.source]
    if isinstance(row, ResampledRepresentation) and isinstance(source, ResampledRepresentation):
        raise ValueError(
            f"{key}: {row.source} is resampled already; name its source {source.source} and "
            f"multiply frames_per_group ({row.frames_per_group * source.frames_per_group})"
        )
    if isinstance(row, NoisyRepresentation) and isinstance(
        source, ResampledRepresentation | NoisyRepresentation
    ):
        raise ValueError(
            f"{key}: {row.source} is {source.kind}; add noise once, to {source.source}, and "
            "resample what comes out"
        )


def check_comparison(
    compared: ComparedSection, rows: Rows, predicted: tuple[str, ...], lags: tuple[int, ...]
) -> None:
    """Refuse rows that are not predicted, ladders of other rows and controls that are no twins.

    Raises:
        ValueError: One line that names the key and the remedy.
    """
    key = "codec_comparison.compared"
    for name in compared.representations:
        require(f"{key}.representations", name, predicted)
        require("prediction.lags_frames", 1, lags)
    for ladder, steps in compared.ladders.items():
        for name in steps:
            require(f"{key}.ladders.{ladder}", name, compared.representations)
    for name, controls in compared.controls.items():
        require(f"{key}.controls", name, compared.representations)
        twins = (("permuted", "permute_blocks_s"), ("truncated", "context_s"))
        for control, field in twins:
            twin = getattr(controls, control)
            if twin is None:
                continue
            place = f"{key}.controls.{name}.{control}"
            require(place, twin, predicted)
            if not is_twin(rows, name, twin, field):
                raise ValueError(
                    f"{place}: {twin} must be {name} with another {field} and nothing else changed"
                )


def is_twin(rows: Rows, name: str, twin: str, field: str) -> bool:
    """Whether two rows differ in nothing but one control of the extraction at their root."""
    first, second = rows[name], rows[twin]
    if isinstance(first, CodecRepresentation) and isinstance(second, CodecRepresentation):
        is_controlled = getattr(first, field) is None and getattr(second, field) is not None
        same = first.model_copy(update={field: getattr(second, field)})
        return is_controlled and same.model_dump() == second.model_dump()
    if isinstance(first, DerivedRepresentation) and isinstance(second, DerivedRepresentation):
        own, other = (row.model_dump(exclude={"source"}) for row in (first, second))
        return own == other and is_twin(rows, first.source, second.source, field)
    return False
