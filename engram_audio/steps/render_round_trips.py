"""Encode and decode a few eval utterances for people to listen to."""

from engram_audio.artifacts.json_document import write_json
from engram_audio.latents.round_trip import decoded_again
from engram_audio.steps._cli import run
from engram_audio.steps._players import PlayerFiles, embedded, open_examples


class Files(PlayerFiles):
    pass


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    opened = open_examples(files)
    codec = opened.codec
    examples = [
        row | embedded(codec, wave, {"decoded": decoded_again(codec, wave)}, "decoded")
        for row, wave in zip(opened.rows, opened.originals, strict=True)
    ]
    document = {
        "representation": files.representation,
        "sample_rate_hz": codec.sample_rate_hz,
        "latent_space": codec.latent_space,
        "examples": examples,
        "manifest": files.manifest(opened.seed),
    }
    write_json(files.players, document)


if __name__ == "__main__":
    run(main)
