"""Write docs/first-results.md: the first experiment's numbers beside what known processes score."""

from engram_audio.artifacts.json_document import read_text
from engram_audio.artifacts.published import write_page
from engram_audio.errors import InputError
from engram_audio.prediction.first_results_page import page
from engram_audio.prediction.published import Published
from engram_audio.steps._cli import Output, Source, StepFiles, run


class Files(StepFiles):
    published: Source
    document: Output


def main(argv: list[str] | None = None) -> None:
    """Read the published numbers, compare, write the page."""
    files = Files.parse(argv)
    text = read_text(files.published)
    try:
        published = Published.model_validate_json(text)
    except ValueError as error:
        raise InputError(f"{files.published}: {error}; mend the row it names") from error
    write_page(files.document, page(published))


if __name__ == "__main__":
    run(main)
