"""References, nulls and densities as named arrays and a JSON header, and back.

Shapes: D dimensions, U utterances.
"""

from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from engram_audio.prediction.base import BaseArrays
from engram_audio.prediction.config import HeadSection
from engram_audio.prediction.data import SpeakerMeans
from engram_audio.prediction.density import ConditionalDensity
from engram_audio.prediction.factory import build_conditional, build_marginal, components_of
from engram_audio.prediction.linear import LinearFit
from engram_audio.prediction.marginals import MarginalFit
from engram_audio.prediction.nulls import Rung
from engram_audio.prediction.reference import Reference
from engram_audio.prediction.trunks import InputScales

Arrays = dict[str, np.ndarray]
HEAD = TypeAdapter(HeadSection)
BASE_FIELDS = tuple(name for name in BaseArrays._fields if name != "target")
REFERENCE_FIELDS = (
    "frame_mean", "frame_sd", "delta_sd", "delta_directions", "position_directions",
)  # fmt: skip


def pack_reference(reference: Reference) -> tuple[Arrays, dict[str, Any]]:
    """Return a reference's arrays and header."""
    arrays = {f"reference/{name}": getattr(reference, name) for name in REFERENCE_FIELDS}
    arrays["reference/speaker_means"] = reference.speakers.means
    header = {
        "energy_median": reference.energy_median,
        "num_targets": reference.num_targets,
        "utterance_ids": list(reference.speakers.row_of),
    }
    return arrays, header


def unpack_reference(arrays: Arrays, header: dict[str, Any]) -> Reference:
    """Return the reference of `pack_reference`."""
    row_of = {name: row for row, name in enumerate(header["utterance_ids"])}
    return Reference(
        **{name: arrays[f"reference/{name}"] for name in REFERENCE_FIELDS},
        energy_median=header["energy_median"],
        speakers=SpeakerMeans(row_of, arrays["reference/speaker_means"]),
        num_targets=header["num_targets"],
    )


def base_arrays(label: str, base: BaseArrays) -> Arrays:
    """Return a base's arrays under `label`."""
    return {f"{label}/{name}": getattr(base, name) for name in BASE_FIELDS}


def base_from(label: str, target: str, arrays: Arrays) -> BaseArrays:
    """Return the base of `base_arrays`."""
    return BaseArrays(target=target, **{name: arrays[f"{label}/{name}"] for name in BASE_FIELDS})


def pack_rungs(rungs: list[Rung]) -> tuple[Arrays, list[dict[str, Any]]]:
    """Return the linear nulls' arrays and one header entry each."""
    arrays: Arrays = {}
    entries = []
    for number, rung in enumerate(rungs):
        arrays |= base_arrays(f"rung/{number}", rung.fit.arrays)
        entries.append(
            {
                "name": rung.name,
                "lag_frames": rung.lag_frames,
                "event": rung.event,
                "target": rung.fit.arrays.target,
                "val_nll": rung.fit.val_nll,
                "order": rung.fit.order,
                "ridge": rung.fit.ridge,
            }
        )
    return arrays, entries


def unpack_rungs(arrays: Arrays, entries: list[dict[str, Any]]) -> list[Rung]:
    """Return the nulls of `pack_rungs`."""
    rungs = []
    for number, entry in enumerate(entries):
        base = base_from(f"rung/{number}", entry["target"], arrays)
        fit = LinearFit(base, entry["val_nll"], entry["order"], entry["ridge"])
        rungs.append(Rung(entry["name"], entry["lag_frames"], entry["event"], fit))
    return rungs


def pack_density(
    label: str, model: ConditionalDensity, base: BaseArrays, spec: dict[str, Any]
) -> tuple[Arrays, dict[str, Any]]:
    """Return a density's arrays under `label` and its header: everything to build it again.

    Args:
        label: Prefix of the arrays' names.
        model: The trained density.
        base: Its base in float64.
        spec: `head` (the section as JSON), `window_frames`, `num_components`, `has_context`.
    """
    arrays = base_arrays(f"{label}/base", base)
    for part in ("trunk", "head"):
        module = getattr(model, part)
        for name, tensor in module.state_dict().items():
            arrays[f"{label}/state/{part}.{name}"] = tensor.detach().cpu().numpy()
    states = [name for name in arrays if name.startswith(f"{label}/state/")]
    return arrays, {**spec, "target": base.target, "states": sorted(states)}


def unpack_density(
    label: str, arrays: Arrays, header: dict[str, Any], scales: InputScales
) -> tuple[ConditionalDensity, BaseArrays]:
    """Return the density of `pack_density`."""
    settings = HEAD.validate_python(header["head"], strict=False)
    base = base_from(f"{label}/base", header["target"], arrays)
    noise = np.ones(len(base.frame_mean))  # a place for the stored floor, loaded below
    if header["has_context"]:
        model = build_conditional(settings, base, header["window_frames"], scales, noise, 0)
    else:
        model = build_marginal(settings, base, header["num_components"], noise, 0)
    prefix = f"{label}/state/"
    state = {
        name.removeprefix(prefix): torch.from_numpy(np.array(arrays[name]))
        for name in header["states"]
    }
    missing, unexpected = model.load_state_dict(state, strict=False)
    left = [name for name in missing if not name.startswith("base.")]
    if left or unexpected:
        raise ValueError(f"stored weights do not fit the head: {left or unexpected}")
    return model, base


def density_spec(settings: HeadSection, window_frames: int) -> dict[str, Any]:
    """Return what `pack_density` keeps of a trained head."""
    return {
        "head": settings.model_dump(mode="json"),
        "window_frames": window_frames,
        "num_components": components_of(settings),
        "has_context": True,
    }


def unpack_models(
    arrays: Arrays, headers: dict[str, Any], scales: InputScales
) -> dict[str, ConditionalDensity]:
    """Return the densities of a file by label (an event, or a space of a marginal)."""
    return {
        label: unpack_density(label, arrays, header, scales)[0] for label, header in headers.items()
    }


def pack_marginals(
    head: str, settings: HeadSection, fits: dict[str, tuple[MarginalFit, BaseArrays]]
) -> tuple[Arrays, dict[str, Any]]:
    """Return grown marginals by space, with the val score of every size tried."""
    arrays: Arrays = {}
    headers: dict[str, Any] = {}
    for space, (fit, base) in fits.items():
        spec = density_spec(settings, 0)
        spec |= {"num_components": fit.num_components, "has_context": False}
        packed, header = pack_density(space, fit.model, base, spec)
        arrays |= packed
        headers[space] = {**header, "val_nll": fit.val_nll, "growth": fit.growth, "name": head}
    return arrays, headers
