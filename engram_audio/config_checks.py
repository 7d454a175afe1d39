"""What the configuration checks with: choices with their nearest match, and the memory stage."""

import difflib
from collections.abc import Iterable
from typing import Any

from engram_audio.memory.config import LINEAR, LookupMemory


def require(key: str, value: object, allowed: Iterable[object]) -> None:
    """Refuse a value that is not allowed.

    Raises:
        ValueError: Names the key, the value, what is allowed and the nearest of it.
    """
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(f"{key}: {value!r} is not one of {choices(value, allowed)}")


def choices(value: object, allowed: Iterable[object]) -> str:
    """Return what is allowed, in words, with the nearest match."""
    names = [str(name) for name in allowed]
    nearest = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"{', '.join(names) or '(none)'}{hint}"


def check_memories(config: Any) -> None:
    """Check what lies between the memory stage and the prediction stage.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    stage, prediction = config.memory, config.prediction
    for field in ("lags_frames", "bases", "seeds"):
        if stage.representations and not getattr(stage, field):
            raise ValueError(f"memory.{field}: name at least one, or no representations")
    for name in stage.representations:
        require("memory.representations", name, prediction.representations)
    for lag in stage.lags_frames:
        require("memory.lags_frames", lag, prediction.lags_frames)
    # a flow has no hidden layers to widen or to add to
    heads = [name for name, head in config.prediction_heads.items() if head.kind != "flow"]
    for name in stage.bases:
        require("memory.bases", name, [LINEAR, *heads])
    for seed in stage.seeds:
        require("memory.seeds", seed, prediction.seeds)
    require("memory.target", stage.target, prediction.targets)
    require("memory_controls.head", config.memory_controls.head, heads)
    require("memory_controls.recipe", config.memory_controls.recipe, config.memory_recipes)
    for name, row in config.memories.items():
        needed = row.key.window_frames + max(row.ngram_orders) - 1
        if needed > prediction.window_frames:
            raise ValueError(
                f"memories.{name}: its key and n-grams reach {needed} frames back, but the context "
                f"has prediction.window_frames {prediction.window_frames}; shorten them"
            )
        if not isinstance(row, LookupMemory):
            require(f"memories.{name}.head", row.head, heads)
            require(f"memories.{name}.recipe", row.recipe, config.memory_recipes)
