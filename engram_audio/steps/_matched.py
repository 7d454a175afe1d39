"""The nets of a memory's size, as the steps that tune and that train them find them."""

from operator import attrgetter
from pathlib import Path

from engram_audio.densities.fit import Material, own_base
from engram_audio.memory.matching import Matched, match, size_on
from engram_audio.memory.names import MEASURES
from engram_audio.steps._cli import blame
from engram_audio.steps._density_training import MemoryNetFiles
from engram_audio.steps._memory import read_memory


def matched_heads(
    files: MemoryNetFiles, memory: Path, base_model: Path | None, material: Material
) -> dict[str, Matched]:
    """Return the heads that match a stored memory's parameters and its work.

    Args:
        files: Family, widest net, lag, event and seed.
        memory: The memory's file.
        base_model: The head that it stands on, if it is one.
        material: What bases are chosen on.

    Raises:
        InputError: No net of the family is as large.
    """
    stored = read_memory(memory, material.linear_nulls, files.lag, base_model, material.reference)
    budget, controls = stored.models["memory"].budget(), files.controls_section
    size = size_on(
        lambda own: own_base(own, material, files.lag, files.event, files.seed),
        material.window_frames,
        len(material.reference.frame_mean),
    )
    with blame(files.section_name(controls)):
        return {
            label: match(files.head_section, size, getattr(budget, measure), attrgetter(measure),
                         controls.maximum_width)
            for label, measure in MEASURES.items()
        }  # fmt: skip
