"""References and linear nulls as named arrays and a JSON header, and back.

Shapes: D dimensions, U utterances.
"""

from typing import Any

import numpy as np

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.linear import LinearFit
from engram_audio.densities.nulls import LinearNull
from engram_audio.densities.reference import Reference
from engram_audio.densities.speakers import SpeakerMeans

Arrays = dict[str, np.ndarray]
BASE_FIELDS = tuple(name for name in BaseArrays._fields if name != "target")
REFERENCE_FIELDS = (
    "frame_mean", "frame_sd", "delta_sd", "delta_directions", "position_directions",
)  # fmt: skip


def pack_reference(reference: Reference) -> tuple[Arrays, dict[str, Any]]:
    """Return a reference's arrays and header."""
    arrays = {f"reference/{name}": getattr(reference, name) for name in REFERENCE_FIELDS}
    arrays["reference/speaker_means"] = reference.speakers.means
    header = {
        "loud": {name: own if np.isfinite(own) else None for name, own in reference.loud.items()},
        "num_targets": reference.num_targets,
        "utterance_ids": list(reference.speakers.row_of),
    }
    return arrays, header


def unpack_reference(arrays: Arrays, header: dict[str, Any]) -> Reference:
    """Return the reference of `pack_reference`."""
    row_of = {name: row for row, name in enumerate(header["utterance_ids"])}
    return Reference(
        **{name: arrays[f"reference/{name}"] for name in REFERENCE_FIELDS},
        loud={name: np.inf if own is None else own for name, own in header["loud"].items()},
        speakers=SpeakerMeans(row_of, arrays["reference/speaker_means"]),
        num_targets=header["num_targets"],
    )


def base_arrays(label: str, base: BaseArrays) -> Arrays:
    """Return a base's arrays under `label`."""
    return {f"{label}/{name}": getattr(base, name) for name in BASE_FIELDS}


def base_from(label: str, target: str, arrays: Arrays) -> BaseArrays:
    """Return the base of `base_arrays`."""
    return BaseArrays(target=target, **{name: arrays[f"{label}/{name}"] for name in BASE_FIELDS})


def pack_linear_nulls(linear_nulls: list[LinearNull]) -> tuple[Arrays, list[dict[str, Any]]]:
    """Return the linear nulls' arrays and one header entry each."""
    arrays: Arrays = {}
    entries = []
    for number, null in enumerate(linear_nulls):
        arrays |= base_arrays(f"null/{number}", null.fit.arrays)
        entries.append(
            {
                "name": null.name,
                "lag_frames": null.lag_frames,
                "event": null.event,
                "target": null.fit.arrays.target,
                "choice_nll": null.fit.choice_nll,
                "order": null.fit.order,
                "ridge": null.fit.ridge,
            }
        )
    return arrays, entries


def unpack_linear_nulls(arrays: Arrays, entries: list[dict[str, Any]]) -> list[LinearNull]:
    """Return the nulls of `pack_rungs`."""
    linear_nulls = []
    for number, entry in enumerate(entries):
        base = base_from(f"null/{number}", entry["target"], arrays)
        fit = LinearFit(base, entry["choice_nll"], entry["order"], entry["ridge"])
        linear_nulls.append(LinearNull(entry["name"], entry["lag_frames"], entry["event"], fit))
    return linear_nulls
