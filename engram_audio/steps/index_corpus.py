"""Decode every file of a corpus and write the table of utterances and the table of exclusions."""

import logging
from functools import partial
from pathlib import Path

from engram_audio.artifacts.audio import probe_audio
from engram_audio.artifacts.audio_source import read_source, require_unchanged
from engram_audio.artifacts.librispeech_texts import read_sexes, read_transcripts
from engram_audio.artifacts.parallel import map_in_processes
from engram_audio.artifacts.table import write_table
from engram_audio.corpus.config import CorpusSection
from engram_audio.corpus.sexes import UNKNOWN
from engram_audio.corpus.utterances import build_index, count_reasons, require_utterances
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, Workers, run
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    corpus: Wildcard[str]
    section: Frozen[CorpusSection]
    source: Path
    utterances: Output
    exclusions: Output
    num_workers: Workers


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    source = read_source(files.source)
    sexes, sex_notes = read_sexes(source)
    transcripts, notes = read_transcripts(source)
    names = None if source.speakers is None else source.speakers.names
    if source.speakers is not None and not source.speaker_lists():
        sexes = {name.speaker_id: UNKNOWN for name in source.speakers.names.values()}
        sexes |= source.speakers.sexes
    paths = [file.path for file in source.audio()]
    probes = map_in_processes(
        partial(probe_audio, source.root, mix_down=names is not None), paths, files.num_workers
    )
    facts = list(track(probes, len(paths), f"decoding {source.root}"))
    require_unchanged(files.source, source, {fact.path: fact.file_sha256 for fact in facts})
    index = build_index(
        source.root,
        facts,
        sexes,
        transcripts,
        files.section.minimum_duration_s,
        [*source.exclusions, *sex_notes, *notes],
        names,
    )
    LOG.info("%d utterances; %s", len(index.utterances), count_reasons(index.exclusions))
    require_utterances(index, f"corpora.{files.corpus}.root", source.root)
    manifest = files.manifest()
    write_table(files.utterances, index.utterances, manifest)
    write_table(files.exclusions, index.exclusions, manifest)


if __name__ == "__main__":
    run(main)
