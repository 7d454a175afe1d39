"""Summarise a representation: counts, moments, self-tests, what was excluded."""

from pathlib import Path

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.latents import WAVEFORM_RMS, LatentStore
from engram_audio.latents.near_copies import Signatures
from engram_audio.latents.summary import BLOCK_FRAMES, gather_extraction, summarize
from engram_audio.steps._cli import Output, StepFiles, run


class Files(StepFiles):
    latents: list[Path]
    summary: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    store = LatentStore(files.latents)
    signatures = Signatures()
    blocks = signatures.watch(store.blocks(block_frames=BLOCK_FRAMES))
    document = {
        "metadata": store.metadata._asdict(),
        **summarize(blocks, store.energy_unit == WAVEFORM_RMS),
        "near_copies": signatures.copied().document(),
        **gather_extraction(store.manifests),
        "manifest": files.manifest(),
    }
    write_json(files.summary, document)


if __name__ == "__main__":
    run(main)
