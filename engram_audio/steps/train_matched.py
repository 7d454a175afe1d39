"""Train the parametric models that a memory has to beat: as many parameters, and as much work."""

from pathlib import Path

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.densities.storage import density_spec, pack_density
from engram_audio.steps._cli import Output, run
from engram_audio.steps._density_training import MemoryNetFiles, workshop
from engram_audio.steps._matched import matched_heads
from engram_audio.steps._tuned import frozen_setting


class Files(MemoryNetFiles):
    memory: Path
    base_model: Path | None
    tuning: Path | None
    matched: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    arrays, headers = {}, {}
    with workshop(files) as shop:
        heads = matched_heads(files, files.memory, files.base_model, shop.material)
        for label, own in heads.items():
            head, recipe = frozen_setting(files.tuning, label, own.head, files.recipe_section)
            model, base, _ = shop.train(label, head, recipe, files.event)
            spec = density_spec(head, files.section.window_frames)
            packed, header = pack_density(label, model, base, spec)
            arrays |= packed
            size = {"budget": own.budget._asdict(), "misfit": own.misfit}
            headers[label] = {**header, **size}
        write_bundle(files.matched, arrays, {**files.manifest(files.seed), "models": headers})


if __name__ == "__main__":
    run(main)
