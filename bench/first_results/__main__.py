"""Set the first experiment's published numbers beside what known processes score.

    python -m bench.first_results [--document bench/first_results/README.md]

Reads published.json and writes README.md, both beside this file. Run it by hand after a
change of either: a test compares the page with what this script writes.
"""

import argparse
from pathlib import Path

from bench.first_results.page import page
from bench.first_results.published import read_published
from engram_audio.artifacts.published import write_page

PUBLISHED = Path(__file__).with_name("published.json")
DOCUMENT = Path(__file__).with_name("README.md")


def main(argv: list[str] | None = None) -> None:
    """Read the published numbers, compare, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--published", type=Path, default=PUBLISHED)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    arguments = parser.parse_args(argv)
    write_page(arguments.document, page(read_published(arguments.published)))


if __name__ == "__main__":
    main()
