"""Write the glossary of the page as a document: `python -m engram_audio.glossary_page PATH`."""

import sys
from pathlib import Path

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.report.glossary import glossary_text


def main() -> None:
    """Write it."""
    with atomic_path(Path(sys.argv[1])) as temporary:
        temporary.write_text(glossary_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
