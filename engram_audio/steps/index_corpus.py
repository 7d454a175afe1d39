"""Decode every file of a corpus and write the table of utterances and the table of exclusions."""

import logging
from functools import partial

from engram_audio.artifacts.audio import probe_audio
from engram_audio.artifacts.audio_source import read_source, require_unchanged
from engram_audio.artifacts.librispeech_texts import read_sexes, read_transcripts
from engram_audio.artifacts.parallel import map_in_processes
from engram_audio.artifacts.table import write_table
from engram_audio.corpus.config import corpus_model
from engram_audio.corpus.sexes import UNKNOWN
from engram_audio.corpus.utterances import build_index, count_reasons, require_utterances
from engram_audio.steps import _cli
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "index_corpus",
        __doc__,
        inputs=["source"],
        outputs=["utterances", "exclusions"],
        wildcards=["corpus"],
        argv=argv,
    )
    section = arguments.load_section("section", corpus_model(arguments.section_text("section")))
    source = read_source(arguments.source)
    sexes, sex_notes = read_sexes(source)
    transcripts, notes = read_transcripts(source)
    names = None if source.speakers is None else source.speakers.names
    if source.speakers is not None and not source.speaker_lists():
        sexes = {name.speaker_id: UNKNOWN for name in source.speakers.names.values()}
        sexes |= source.speakers.sexes
    paths = [file.path for file in source.audio()]
    probes = map_in_processes(
        partial(probe_audio, source.root, mix_down=names is not None), paths, arguments.num_workers
    )
    facts = list(track(probes, len(paths), f"decoding {source.root}"))
    require_unchanged(arguments.source, source, {fact.path: fact.file_sha256 for fact in facts})
    index = build_index(
        source.root,
        facts,
        sexes,
        transcripts,
        section.minimum_duration_s,
        [*source.exclusions, *sex_notes, *notes],
        names,
    )
    LOG.info("%d utterances; %s", len(index.utterances), count_reasons(index.exclusions))
    require_utterances(index, f"corpora.{arguments.corpus}.root", source.root)
    manifest = arguments.manifest()
    write_table(arguments.utterances, index.utterances, manifest)
    write_table(arguments.exclusions, index.exclusions, manifest)


if __name__ == "__main__":
    _cli.run(main)
