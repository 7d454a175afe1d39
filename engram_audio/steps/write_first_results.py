"""Write docs/first-results.md: the first experiment's numbers beside what known processes score."""

from pathlib import Path

from engram_audio.artifacts.json_document import read_text
from engram_audio.artifacts.published import write_page
from engram_audio.errors import InputError
from engram_audio.prediction.first_results_page import page
from engram_audio.prediction.published import Published
from engram_audio.steps import _cli


def main(argv: list[str] | None = None) -> None:
    """Read the published numbers, compare, write the page."""
    arguments = _cli.parse_arguments(
        # `published` is a file of this repository, written by people: no artifact with a digest.
        "write_first_results",
        __doc__,
        texts=["published"],
        outputs=["document"],
        argv=argv,
    )
    text = read_text(Path(arguments.published))
    try:
        published = Published.model_validate_json(text)
    except ValueError as error:
        raise InputError(f"{arguments.published}: {error}; mend the row it names") from error
    write_page(arguments.document, page(published))


if __name__ == "__main__":
    _cli.run(main)
