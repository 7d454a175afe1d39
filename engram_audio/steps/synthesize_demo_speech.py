"""Write the demo corpus: sentences read by espeak-ng voices, in LibriSpeech layout."""

import logging
from pathlib import Path

from engram_audio.artifacts.audio_source import write_source
from engram_audio.artifacts.demo_tree import (
    espeak_variants,
    require_own_root,
    write_speech,
    write_texts,
)
from engram_audio.artifacts.json_document import read_text
from engram_audio.corpus.config import DemoSpeechCorpus
from engram_audio.corpus.demo_speech import check_voices, parse_sentences, plan_demo_speech
from engram_audio.steps._cli import Frozen, Output, StepFiles, Workers, run
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    section: Frozen[DemoSpeechCorpus]
    sentences: Path
    source: Output
    num_workers: Workers


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    sentences = parse_sentences(read_text(files.sentences), str(files.sentences))
    plan = plan_demo_speech(
        sentences, section.num_speakers, section.num_utterances_per_speaker, section.seed
    )
    check_voices(plan, espeak_variants())
    root = str(Path(section.root))
    require_own_root(Path(root))
    written = write_speech(root, plan, files.num_workers)
    spoken = list(track(written, len(plan), "speaking", "utterances"))
    durations_s = [item.duration_s for item in spoken]
    texts = write_texts(root, plan, durations_s)
    LOG.info("%d utterances, %.1f min, in %s", len(plan), sum(durations_s) / 60, root)
    listed = [*texts, *(item.file for item in spoken)]
    manifest = files.manifest(seed=section.seed)
    write_source(files.source, section.kind, root, listed, [], manifest)


if __name__ == "__main__":
    run(main)
