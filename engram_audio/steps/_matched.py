"""The nets of a memory's size, as the steps that tune and that train them find them."""

from operator import attrgetter
from pathlib import Path

from engram_audio.densities.config import HeadSection
from engram_audio.densities.fit import Material, own_base
from engram_audio.memory.config import MemoryControlsSection
from engram_audio.memory.matching import Matched, match, size_on
from engram_audio.memory.names import MEASURES
from engram_audio.steps._memory import read_memory


def matched_heads(
    memory: Path,
    base_model: Path | None,
    head: HeadSection,
    controls: MemoryControlsSection,
    material: Material,
    lag: int,
    event: str,
    seed: int,
) -> dict[str, Matched]:
    """Return the heads that match a stored memory's parameters and its work.

    Args:
        memory: The memory's file.
        base_model: The head that it stands on, if it is one.
        head: The family.
        controls: The widest net.
        material: What bases are chosen on.
        lag: k.
        event: What is predicted.
        seed: Of the choice of a base's units.
    """
    stored = read_memory(memory, material.linear_nulls, lag, base_model, material.reference)
    budget = stored.models["memory"].budget()
    size = size_on(
        lambda own: own_base(own, material, lag, event, seed),
        material.window_frames,
        len(material.reference.frame_mean),
    )
    return {
        label: match(head, size, getattr(budget, measure), attrgetter(measure),
                     controls.maximum_width)
        for label, measure in MEASURES.items()
    }  # fmt: skip
