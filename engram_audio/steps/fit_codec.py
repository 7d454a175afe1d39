"""Fit the PCA of a mel_pca codec on the train utterances of its corpus."""

import logging

from engram_audio.artifacts.audio import read_indexed
from engram_audio.artifacts.table import read_table
from engram_audio.artifacts.tensors import write_tensors
from engram_audio.codecs.config import MelPcaCodecSettings
from engram_audio.codecs.mel_pca import fit_mel_pca
from engram_audio.codecs.waveform import resample
from engram_audio.corpus.utterances import AUDIO_COLUMNS, indexed_audio
from engram_audio.steps import _cli
from engram_audio.steps._progress import track

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "fit_codec",
        __doc__,
        inputs=["utterances", "splits"],
        outputs=["weights"],
        argv=argv,
    )
    settings = arguments.load_section("section", MelPcaCodecSettings)
    splits = read_table(arguments.splits, ["utterance_id", "split"])
    train = set(splits.loc[splits["split"] == "train", "utterance_id"])
    utterances = read_table(arguments.utterances, ["utterance_id", *AUDIO_COLUMNS])
    files = indexed_audio(utterances.loc[utterances["utterance_id"].isin(list(train))])
    audio = map(read_indexed, track(files, len(files), "fit", "utterances"))
    waveforms = (resample(wave, rate, settings.sample_rate_hz) for wave, rate in audio)
    pca = fit_mel_pca(waveforms, settings)
    LOG.info("%d train frames, %d components", int(pca.num_frames[0]), len(pca.components))
    write_tensors(arguments.weights, pca._asdict(), arguments.manifest())


if __name__ == "__main__":
    _cli.run(main)
