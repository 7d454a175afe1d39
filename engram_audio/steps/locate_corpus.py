"""List the files of a corpus that lies on disk, with their digests."""

import logging
from pathlib import Path

from engram_audio.artifacts.audio_folder import list_folders, list_table
from engram_audio.artifacts.audio_source import SourceFile, Speakers, write_source
from engram_audio.artifacts.librispeech_tree import Tree, digest_files, list_tree
from engram_audio.corpus.config import CorpusSection
from engram_audio.corpus.utterances import Exclusion
from engram_audio.steps._cli import Frozen, Output, StepFiles, Workers, run
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    section: Frozen[CorpusSection]
    receipts: list[Path]  # of what was downloaded into the folder
    source: Output
    num_workers: Workers


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    root = str(Path(section.root))
    tree, speakers = _listed(Path(root), section)
    digests = digest_files(root, tree.paths, files.num_workers)
    found = list(track(digests, len(tree.paths), f"listing {root}"))
    listed = [item for item in found if isinstance(item, SourceFile)]
    exclusions = [*tree.exclusions, *(item for item in found if isinstance(item, Exclusion))]
    LOG.info("%s: %d files, %d excluded by name or place", root, len(listed), len(exclusions))
    write_source(files.source, section.kind, root, listed, exclusions, files.manifest(), speakers)


def _listed(root: Path, section: CorpusSection) -> tuple[Tree, Speakers | None]:
    """List the files as the layout says, and who speaks where it is not LibriSpeech's."""
    if section.kind == "directory" and section.layout == "folders":
        return list_folders(root, section.speaker_level)
    if section.kind == "directory" and section.table is not None:
        return list_table(root, root / section.table)
    return list_tree(root, section.subsets if section.kind == "librispeech" else None), None


if __name__ == "__main__":
    run(main)
