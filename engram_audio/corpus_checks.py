"""The folders of corpora: nobody writes where another reads, and which ones are written."""

import itertools
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from engram_audio.corpus.config import CorpusSection, DemoSpeechCorpus, LibriSpeechCorpus


def check_roots(corpora: Mapping[str, CorpusSection], used: Collection[str]) -> None:
    """Refuse two corpora of one folder, or of one inside the other, where the workflow writes one.

    The one that is written last would be in the folder, and the other's table would name its
    files. Corpora that are only read may share a folder. Links, `..` and the end of a path make no
    difference. A corpus that the study uses is not held against one that it only defines.

    Args:
        corpora: All corpora by name.
        used: Those that something is made of.

    Raises:
        ValueError: Names both keys, the folder and the remedy.
    """
    for (name, corpus), (other, second) in itertools.combinations(corpora.items(), 2):
        if not (_is_written(corpus) or _is_written(second)) or (name in used) != (other in used):
            continue
        one, two = _real(corpus.root), _real(second.root)
        if _is_below(one, two) or _is_below(two, one):
            writer = name if _is_written(corpus) else other
            raise ValueError(
                f"corpora.{other}.root: {second.root!r} and corpora.{name}.root {corpus.root!r} "
                f"share files, and {writer} is written by the workflow; give each a folder of its "
                "own"
            )


def synthesized_roots(corpora: Mapping[str, CorpusSection]) -> list[Path]:
    """Return the folders into which speech is synthesised, file by file."""
    return [Path(row.root) for row in corpora.values() if isinstance(row, DemoSpeechCorpus)]


def _is_written(corpus: CorpusSection) -> bool:
    is_downloaded = isinstance(corpus, LibriSpeechCorpus) and corpus.download
    return isinstance(corpus, DemoSpeechCorpus) or is_downloaded


def _real(root: str) -> Path:
    return Path(os.path.realpath(root))


def _is_below(folder: Path, top: Path) -> bool:
    """Whether a folder is another one or lies below it, also by another name of the same inode."""
    return any(place == top or _is_same(place, top) for place in (folder, *folder.parents))


def _is_same(one: Path, two: Path) -> bool:
    try:
        return one.samefile(two)
    except (OSError, ValueError):  # a folder that does not exist yet has one name
        return False
