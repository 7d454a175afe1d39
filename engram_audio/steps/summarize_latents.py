"""Summarise a representation: counts, moments, self-tests, what was excluded."""

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.latents import WAVEFORM_RMS, LatentStore
from engram_audio.latents.summary import BLOCK_FRAMES, gather_extraction, summarize
from engram_audio.steps import _cli


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "summarize_latents", __doc__, input_lists=["latents"], outputs=["summary"], argv=argv
    )
    store = LatentStore(arguments.latents)
    document = {
        "metadata": store.metadata._asdict(),
        **summarize(store.blocks(block_frames=BLOCK_FRAMES), store.energy_unit == WAVEFORM_RMS),
        **gather_extraction(store.manifests),
        "manifest": arguments.manifest(),
    }
    write_json(arguments.summary, document)


if __name__ == "__main__":
    _cli.run(main)
