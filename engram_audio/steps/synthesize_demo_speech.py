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
from engram_audio.steps import _cli
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "synthesize_demo_speech",
        __doc__,
        inputs=["sentences"],
        outputs=["source"],
        argv=argv,
    )
    section = arguments.load_section("section", DemoSpeechCorpus)
    sentences = parse_sentences(read_text(arguments.sentences), str(arguments.sentences))
    plan = plan_demo_speech(
        sentences, section.num_speakers, section.num_utterances_per_speaker, section.seed
    )
    check_voices(plan, espeak_variants())
    root = str(Path(section.root))
    require_own_root(Path(root))
    written = write_speech(root, plan, arguments.num_workers)
    spoken = list(track(written, len(plan), "speaking", "utterances"))
    durations_s = [item.duration_s for item in spoken]
    texts = write_texts(root, plan, durations_s)
    LOG.info("%d utterances, %.1f min, in %s", len(plan), sum(durations_s) / 60, root)
    files = [*texts, *(item.file for item in spoken)]
    manifest = arguments.manifest(seed=section.seed)
    write_source(arguments.source, section.kind, root, files, [], manifest)


if __name__ == "__main__":
    _cli.run(main)
