"""Encode and decode a few eval utterances for people to listen to."""

from engram_audio.artifacts.json_document import write_json
from engram_audio.latents.round_trip import decoded_again
from engram_audio.steps import _cli
from engram_audio.steps._players import embedded, open_examples


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "render_round_trips",
        __doc__,
        inputs=["utterances", "splits"],
        input_lists=["weights"],
        outputs=["players"],
        wildcards=["representation"],
        uses_device=True,
        argv=argv,
    )
    opened = open_examples(arguments)
    codec = opened.codec
    examples = [
        row | embedded(codec, wave, {"decoded": decoded_again(codec, wave)}, "decoded")
        for row, wave in zip(opened.rows, opened.originals, strict=True)
    ]
    document = {
        "representation": arguments.representation,
        "sample_rate_hz": codec.sample_rate_hz,
        "latent_space": codec.latent_space,
        "examples": examples,
        "manifest": arguments.manifest(opened.seed),
    }
    write_json(arguments.players, document)


if __name__ == "__main__":
    _cli.run(main)
