"""List the files of a corpus that lies on disk, with their digests."""

import logging
from pathlib import Path

from engram_audio.artifacts.audio_folder import list_folders, list_table
from engram_audio.artifacts.audio_source import SourceFile, Speakers, write_source
from engram_audio.artifacts.librispeech_tree import Tree, digest_files, list_tree
from engram_audio.corpus.config import (
    DemoSpeechCorpus,
    DirectoryCorpus,
    LibriSpeechCorpus,
    corpus_model,
)
from engram_audio.corpus.utterances import Exclusion
from engram_audio.steps import _cli
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments("locate_corpus", __doc__, outputs=["source"], argv=argv)
    section = arguments.load_section("section", corpus_model(arguments.section_text("section")))
    root = str(Path(section.root))
    tree, speakers = _listed(Path(root), section)
    digests = digest_files(root, tree.paths, arguments.num_workers)
    found = list(track(digests, len(tree.paths), f"listing {root}"))
    files = [item for item in found if isinstance(item, SourceFile)]
    exclusions = [*tree.exclusions, *(item for item in found if isinstance(item, Exclusion))]
    LOG.info("%s: %d files, %d excluded by name or place", root, len(files), len(exclusions))
    write_source(
        arguments.source, section.kind, root, files, exclusions, arguments.manifest(), speakers
    )


def _listed(
    root: Path, section: LibriSpeechCorpus | DirectoryCorpus | DemoSpeechCorpus
) -> tuple[Tree, Speakers | None]:
    """List the files as the layout says, and who speaks where it is not LibriSpeech's."""
    if isinstance(section, DirectoryCorpus) and section.layout == "folders":
        return list_folders(root, section.speaker_level)
    if isinstance(section, DirectoryCorpus) and section.table is not None:
        return list_table(root, root / section.table)
    subsets = section.subsets if isinstance(section, LibriSpeechCorpus) else None
    return list_tree(root, subsets), None


if __name__ == "__main__":
    _cli.run(main)
