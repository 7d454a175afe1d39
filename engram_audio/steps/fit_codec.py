"""Fit the PCA of a mel_pca codec on the train utterances of its corpus."""

import logging
from pathlib import Path

from engram_audio.artifacts.audio import read_indexed
from engram_audio.artifacts.table import read_table
from engram_audio.artifacts.tensors import write_tensors
from engram_audio.codecs.config import MelPcaCodecSettings
from engram_audio.codecs.mel_pca import fit_mel_pca
from engram_audio.codecs.waveform import resample
from engram_audio.corpus.utterances import AUDIO_COLUMNS, indexed_audio
from engram_audio.steps._cli import Frozen, Output, StepFiles, run
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    section: Frozen[MelPcaCodecSettings]
    utterances: Path
    splits: Path
    checked: list[Path]
    weights: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    splits = read_table(files.splits, ["utterance_id", "split"])
    train = set(splits.loc[splits["split"] == "train", "utterance_id"])
    utterances = read_table(files.utterances, ["utterance_id", *AUDIO_COLUMNS])
    recordings = indexed_audio(utterances.loc[utterances["utterance_id"].isin(list(train))])
    audio = map(read_indexed, track(recordings, len(recordings), "fit", "utterances"))
    waveforms = (resample(wave, rate, files.section.sample_rate_hz) for wave, rate in audio)
    pca = fit_mel_pca(waveforms, files.section)
    LOG.info("%d train frames, %d components", int(pca.num_frames[0]), len(pca.components))
    write_tensors(files.weights, pca._asdict(), files.manifest())


if __name__ == "__main__":
    run(main)
