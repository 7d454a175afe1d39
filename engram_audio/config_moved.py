"""Where keys of earlier configurations have gone: each is refused with its new name."""

from collections.abc import Mapping
from typing import Any

from engram_audio.errors import InputError
from engram_audio.maps import as_map, map_at

MOVED = {
    "codec_comparison.compared.representations": "comparison.representations",
    "codec_comparison.compared.ladders": "comparison.ladders",
    "codec_comparison.compared.controls": "comparison.controls",
    "codec_comparison.reconstruction": "comparison.reconstruction",
    "codec_comparison": "comparison",
    "codec_ladders": "codecs.ladders",
    "structure.kmeans_iterations": "keys.kmeans_iterations",
    "structure.kmeans_restarts": "keys.kmeans_restarts",
    "structure.ridge": "keys.ridge",
    "decision.keys": "structure.families, whose context keys are all candidates; worlds name "
    "theirs in calibration.worlds.keys",
    "decision.operative_gate.minimum_explained_fraction": "decision.operative_gate."
    "minimum_added_fraction",
    "decision.operative_gate.minimum_advantage": "decision.operative_gate.minimum_added_nats",
    "decision.operative_gate.minimum_explained_for_transfer": "decision.operative_gate."
    "maximum_transfer_loss, which is judged where a key surely adds something on known speakers",
    "decision.slices": "views.judged_slices",
    "factorizer_evaluation": "factorizer.evaluation",
    "factorizer_health": "factorizer.health",
    "factorizer_recipes": "recipes",
    "factorizer_sweeps": "factorizer.grids, and name those that run in factorizer.sweeps",
    "factorizer_variants": "factorizer.library, and name those that run in factorizer.variants",
    "latents.extraction": "representations.extraction",
    "latents.surrogates": "representations.surrogates",
    "latents": "representations.extraction and representations.surrogates",
    "memories": "memory.library, and name those that run in memory.memories",
    "memory_controls": "memory.controls",
    "memory_recipes": "recipes",
    "memory_verdict": "memory.verdict",
    "prediction.window_frames": "views.window_frames",
    "prediction_evaluation.divergence_factor": "views.divergence_factor",
    "prediction_evaluation.medial_range": "views.medial_range",
    "prediction_evaluation.principal_subspaces": "views.event_subspaces",
    "prediction_evaluation.slices": "views.slices",
    "prediction.evaluation.divergence_factor": "views.divergence_factor",
    "prediction.evaluation.medial_range": "views.medial_range",
    "prediction.evaluation.principal_subspaces": "views.event_subspaces",
    "prediction.evaluation.slices": "views.slices",
    "prediction_evaluation": "prediction.evaluation",
    "prediction_heads": "prediction.library, and name those that run in prediction.heads",
    "prediction_nulls": "prediction.nulls",
    "prediction_recipes": "recipes",
    "rollout.divergence_factor": "views.divergence_factor",
    "rollout_bars": "rollout.bars",
    "rollout_methods": "rollout.library, and name those that run in rollout.methods",
    "rollout_recipes": "recipes",
    "rollout_sweeps": "rollout.grids, and name those that run in rollout.sweeps",
    "structure.medial_range": "views.medial_range",
    "structure.principal_subspaces": "views.delta_subspaces",
    "structure.slices": "views.slices",
    "structure.window_frames": "views.window_frames",
    "structure_keys": "keys.library, and name those that are scored in structure.families",
}
# Settings of what is done no more.
GONE = {
    "statistics.bootstrap_draws": "is gone, as every interval is a t interval over speakers; "
    "remove the line",
    "statistics.seed": "is gone, as no interval is drawn; remove the line",
}
# Once these held rows by name. A row is told from a setting by its `kind`.
LIBRARIES = {
    "codecs": "codecs.library",
    "representations": "representations.library",
}
# Slices that have another name now, in whichever list they stand.
SLICES = {"high_energy": "speech, judged by the newest context frame"}
SLICE_LISTS = ("slices", "judged_slices")
LISTS = {"representations": ", and list it in representations.analysed"}
KEY_FIELDS = {"inputs", "quantizers", "num_components"}  # of a family of keys; an oracle has none


def refuse_moved(raw: Mapping[str, Any]) -> None:
    """Refuse keys that have another name now.

    Raises:
        InputError: One line for each: the old key and the new one.
    """
    lines = [
        f"{old}: moved to {new}"
        for old, new in MOVED.items()
        if _has(raw, old) and not any(_has(raw, longer) for longer in _below(old))
    ]
    lines += [f"{old}: {what}" for old, what in GONE.items() if _has(raw, old)]
    for owner, library in LIBRARIES.items():
        for name, row in map_at(raw, owner).items():
            if "kind" in as_map(row):
                lines.append(f"{owner}.{name}: moved to {library}.{name}{LISTS.get(owner, '')}")
    for key in SLICE_LISTS:
        match map_at(raw, "views").get(key):
            case [*names]:
                lines += [f"views.{key}: {old!r} moved to {SLICES[old]}" for old in SLICES
                          if old in names]  # fmt: skip
    for name, row in map_at(raw, "structure.library").items():
        if KEY_FIELDS & set(as_map(row)):
            lines.append(f"structure.library.{name}: moved to keys.library.{name}")
    for name, row in map_at(raw, "memory.library").items():
        if map_at(row, "key"):
            lines.append(
                f"memory.library.{name}.key: is the name of a key now, for example "
                "last_frame.raw.kmeans_2048; keys are defined in keys.library"
            )
    for name, row in map_at(raw, "rollout.library").items():
        guard = map_at(row, "guard")
        if guard.get("kind") == "codebook" and "num_cells" in guard:
            lines.append(
                f"rollout.library.{name}.guard.num_cells: moved to key, the name of a key, for "
                "example last_frame.raw.kmeans_256"
            )
    if lines:
        raise InputError("\n".join(lines))


def _below(key: str) -> list[str]:
    """Moved keys inside another one, which say more."""
    return [longer for longer in MOVED if longer.startswith(f"{key}.")]


def _has(raw: Mapping[str, Any], key: str) -> bool:
    owner, _, last = key.rpartition(".")
    return last in (map_at(raw, owner) if owner else raw)
