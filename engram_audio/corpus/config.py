"""Settings of corpora and splits."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engram_audio.quantities import Count, Duration, InnerShare, Listed, Seed, Seeds, Text
from engram_audio.section import Section

LIBRISPEECH_URL = "https://www.openslr.org/resources/12"
LIBRISPEECH_MD5 = {  # as published there, md5sum.txt
    "dev-clean": "42e2234ba48799c1f50f24a7926300a1",
    "dev-other": "c8d0bcc9cca99d4f8b62fcc847357931",
    "test-clean": "32fa31d27d2e1cad72775fee3f4849a9",
    "test-other": "fb5a50374b501bb3bac4815ee91d3135",
    "train-clean-100": "2a93770f6d5c6c964bc36631d331a522",
    "train-clean-360": "c0e676e450a7ff2f54aeade5171606fa",
    "train-other-500": "d1a0fd59409feb2c614ce4d30c387708",
}
LibriSpeechSubset = Literal[
    "dev-clean",
    "dev-other",
    "test-clean",
    "test-other",
    "train-clean-100",
    "train-clean-360",
    "train-other-500",
]


class _Corpus(Section):
    minimum_duration_s: Duration = Field(description="Shorter utterances are excluded, seconds.")
    num_shards: Count = Field(le=999, description="Shards of whole speakers, balanced by time.")

    @property
    def downloaded(self) -> tuple[str, ...]:
        """Subsets that a rule downloads."""
        return ()

    @property
    def num_voices(self) -> int | None:
        """Speakers that a rule synthesises; None where the audio is someone's own."""
        return getattr(self, "num_speakers", None)

    @property
    def is_written(self) -> bool:
        """Whether the workflow writes its folder."""
        return bool(self.downloaded) or self.num_voices is not None


class LibriSpeechCorpus(_Corpus):
    """LibriSpeech subsets, found under `root` or downloaded to it."""

    kind: Literal["librispeech"]
    root: Text = Field(description="Folder that holds SPEAKERS.TXT and the subset folders.")
    subsets: Listed[LibriSpeechSubset] = Field(min_length=1, description="Subsets to use.")
    download: bool = Field(description="Whether to download the subsets that `root` lacks.")

    @property
    def downloaded(self) -> tuple[str, ...]:
        """See `_Corpus.downloaded`."""
        return self.subsets if self.download else ()


class DirectoryCorpus(_Corpus):
    """Any folder of audio.

    LibriSpeech's layout is FLAC files of one channel. The other layouts take WAV and FLAC, and mix
    channels down.
    """

    kind: Literal["directory"]
    root: Text = Field(description="Folder that holds the audio.")
    layout: Literal["librispeech", "folders", "table"] = Field(
        default="librispeech",
        description="Who speaks. librispeech: <subset>/<speaker>/<chapter>/*.flac and SPEAKERS.TXT;"
        " folders: the folder at speaker_level; table: the rows of `table`.",
    )
    speaker_level: Count = Field(
        default=1, le=7, description="layout folders: 1 is the first folder below `root`."
    )
    table: Text | None = Field(
        default=None,
        description="layout table: CSV below `root` with `file`, `speaker_id`, optionally `sex`.",
    )

    @model_validator(mode="after")
    def _check_table(self) -> "DirectoryCorpus":
        if (self.layout == "table") != (self.table is not None):
            raise ValueError(
                f"layout is {self.layout} and table is {self.table}: `layout: table` needs `table`,"
                " and no other layout has one"
            )
        # what lies below `root` is listed again when it changes
        if self.table is not None and {"..", ""} & set(self.table.split("/")):
            raise ValueError(f"table is {self.table}: it must be a path below `root`")
        return self


class DemoSpeechCorpus(_Corpus):
    """Sentences read by espeak-ng voices: offline, deterministic, no substitute for speech."""

    kind: Literal["demo_speech"]
    root: Text = Field(description="Folder to write the LibriSpeech layout to.")
    num_speakers: Count = Field(ge=24, le=48, description="Distinct voices.")
    num_utterances_per_speaker: Count = Field(ge=2, le=200, description="Utterances per voice.")
    seed: Seed = Field(description="Seed of sentence choice and synthesis.")


CorpusSection = Annotated[
    LibriSpeechCorpus | DirectoryCorpus | DemoSpeechCorpus, Field(discriminator="kind")
]


class SplitsSection(Section):
    """Speaker-disjoint train / eval, and an utterance hold-out `val` within train speakers."""

    # Only says which splits exist: left out of the frozen section, so that one more seed splits
    # nothing again.
    seeds: Seeds = Field(
        default=(),
        min_length=1,
        exclude=True,
        description="Split seeds; the first one decides, the others show the spread.",
    )
    eval_fraction: InnerShare = Field(
        description="Share of speakers held out for eval (LibriSpeech: 51 of 251)."
    )
    val_fraction: InnerShare = Field(
        lt=0.5, description="Share of each train speaker's utterances held out as val."
    )
