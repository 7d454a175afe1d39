"""Which corpora, codecs, representations, shards and splits a configuration asks for."""

from typing import Any

from engram_audio.calibration.config import WORLD_PREFIX
from engram_audio.codecs.config import HubCodecSettings, LyraCodecSettings, PluginCodecSettings
from engram_audio.codecs.fitted_config import (
    FittedCodecSettings,
    MelPcaCodecSettings,
    TrainedCodecSettings,
)
from engram_audio.config import WorkflowConfig
from engram_audio.corpus.config import LibriSpeechCorpus
from engram_audio.frozen_sections import configured_sections, derived_sections
from engram_audio.latents.config import (
    ArraysRepresentation,
    CodecRepresentation,
    DerivedRepresentation,
    ResampledRepresentation,
    StateRepresentation,
)

SEPARATOR = "--"  # representation--surrogate


class RepresentationStudy:
    """Names and dependencies of corpora, codecs and representations."""

    def __init__(self, config: WorkflowConfig) -> None:
        """Keep the validated configuration."""
        self.config = config
        self.sections: dict[str, Any] = configured_sections(config)
        self.derived: dict[str, Any] = derived_sections(config)
        self.document: dict[str, Any] = self.sections | self.derived

    def representations(self) -> list[str]:
        """What the study asks about, surrogates included, in configuration order."""
        return self.with_surrogates(self.study_bases())

    def study_bases(self) -> list[str]:
        """Base representations that the study asks about: all but the calibration worlds."""
        return list(self.config.representations.analysed)

    def calibration_worlds(self) -> list[str]:
        """Representations whose answers are known."""
        return [f"{WORLD_PREFIX}{name}" for name in self.config.calibration.worlds.names]

    def with_surrogates(self, bases: list[str]) -> list[str]:
        """Each base representation, followed by its surrogates."""
        names = []
        for name in bases:
            names.append(name)
            surrogates = self.config.representations.library[name].surrogates
            names.extend(f"{name}{SEPARATOR}{surrogate}" for surrogate in surrogates)
        return names

    def base_of(self, representation: str) -> str:
        """The representation that a surrogate was made of; itself for a base."""
        return representation.split(SEPARATOR)[0]

    def surrogate_of(self, representation: str) -> str | None:
        """The surrogate's kind, or None for a base representation."""
        parts = representation.split(SEPARATOR)
        return parts[1] if len(parts) == 2 else None

    def corpus_of(self, representation: str) -> str:
        """The corpus (utterance table, splits) of a representation.

        Arrays and worlds bring their own utterances and are their own corpus.
        """
        base = self.base_of(representation)
        row = self.config.representations.library[base]
        if isinstance(row, DerivedRepresentation):
            return self.corpus_of(row.source)
        return row.corpus if isinstance(row, CodecRepresentation) else base

    def state_of(self, representation: str) -> StateRepresentation:
        """Source, factoriser and seed of an exported z_dyn."""
        row = self.config.representations.library[representation]
        if not isinstance(row, StateRepresentation):
            raise KeyError(f"{representation} is not the state of a factoriser")
        return row

    def source_of(self, representation: str) -> str:
        """The representation that another is made of."""
        row = self.config.representations.library[representation]
        if not isinstance(row, DerivedRepresentation):
            raise KeyError(f"{representation} is not made of another representation")
        return row.source

    def chain_of(self, representation: str) -> list[str]:
        """A representation and what it is made of, the root first."""
        chain = [self.base_of(representation)]
        while isinstance(self.config.representations.library[chain[0]], DerivedRepresentation):
            chain.insert(0, self.source_of(chain[0]))
        return chain

    def corpus_pattern(self, *kinds: str) -> str:
        """Regular expression of the corpora of some kinds; matches nothing where there are none."""
        names = [name for name, row in self.config.corpora.items() if row.kind in kinds]
        return "|".join(names) or "(?!)"

    def subsets_to_download(self, corpus: str) -> list[str]:
        """LibriSpeech subsets that a corpus wants downloaded where its root lacks them."""
        row = self.config.corpora[corpus]
        if isinstance(row, LibriSpeechCorpus) and row.download:
            return list(row.subsets)
        return []

    def representation_pattern(self, *kinds: str) -> str:
        """Regular expression of the base representations of some kinds; may match nothing."""
        rows = self.config.representations.library.items()
        return "|".join(name for name, row in rows if row.kind in kinds) or "(?!)"

    def codec_of(self, representation: str) -> str:
        """The codec of a codec representation."""
        row = self.config.representations.library[representation]
        if not isinstance(row, CodecRepresentation):
            raise KeyError(f"{representation} is not made by a codec")
        return row.codec

    def hub_codec_pattern(self) -> str:
        """Regular expression of the codecs whose checkpoint is downloaded; may match nothing."""
        rows = self.config.codecs.library.items()
        names = [n for n, row in rows if isinstance(row, HubCodecSettings) and not row.is_local]
        return "|".join(names) or "(?!)"

    def fitted_codec_pattern(self) -> str:
        """Regular expression of the mel_pca codecs; may match nothing."""
        return self._codec_pattern(MelPcaCodecSettings)

    def trained_codec_pattern(self) -> str:
        """Regular expression of the codecs that the workflow trains; may match nothing."""
        return self._codec_pattern(TrainedCodecSettings)

    def _codec_pattern(self, model: type[FittedCodecSettings]) -> str:
        names = [name for name, row in self.config.codecs.library.items() if isinstance(row, model)]
        return "|".join(names) or "(?!)"

    def fitted_codec(self, codec: str) -> FittedCodecSettings:
        """Settings of a codec that the workflow fits or trains."""
        settings = self.config.codecs.library[codec]
        if not isinstance(settings, FittedCodecSettings):
            raise KeyError(f"{codec} is not fitted")
        return settings

    def codec_files(self, codec: str) -> list[str]:
        """Files that hold a codec's weights."""
        settings = self.config.codecs.library[codec]
        if isinstance(settings, LyraCodecSettings):
            names = ("soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite")
            return [f"{settings.weights_dir}/{name}" for name in names]
        if isinstance(settings, FittedCodecSettings):
            return [f"<results>/codecs/{codec}/weights.safetensors"]
        if isinstance(settings, PluginCodecSettings):
            return list(settings.weights)
        return settings.files(f"data/codecs/{codec}")

    def codec_files_of_user(self, codec: str) -> list[str]:
        """Those of these files that no rule makes: a path in the configuration names them."""
        settings = self.config.codecs.library[codec]
        is_made = isinstance(settings, FittedCodecSettings) or (
            isinstance(settings, HubCodecSettings) and not settings.is_local
        )
        return [] if is_made else self.codec_files(codec)

    def num_shards(self, representation: str) -> int:
        """How many latent shards a representation has."""
        row = self.config.representations.library[self.base_of(representation)]
        if isinstance(row, DerivedRepresentation):
            return self.num_shards(row.source)
        if isinstance(row, CodecRepresentation):
            return self.config.corpora[row.corpus].num_shards
        return row.num_shards if isinstance(row, ArraysRepresentation) else 1

    def shards(self, representation: str) -> list[str]:
        """Shard names, `000` .. ."""
        return [f"{number:03d}" for number in range(self.num_shards(representation))]

    def split_seeds(self, representation: str) -> list[int]:
        """Split seeds a representation may be analysed on.

        What was fitted on one split's train speakers (a codec, a VAR surrogate, a factoriser,
        the scale of a noisy channel) is analysed on that split only: on another its eval speakers
        would have been seen.
        """
        seeds = list(self.config.splits.seeds)
        row = self.config.representations.library[self.base_of(representation)]
        if isinstance(row, DerivedRepresentation):
            seeds = self.split_seeds(row.source)
            if not isinstance(row, ResampledRepresentation):
                seeds = seeds[:1]
        if isinstance(row, CodecRepresentation):
            codec = self.config.codecs.library[row.codec]
            if isinstance(codec, FittedCodecSettings):
                seeds = [codec.split_seed]
        is_world = self.base_of(representation) in self.calibration_worlds()
        if is_world or self.surrogate_of(representation) == "var":
            seeds = seeds[:1]
        return seeds

    def used_corpora(self) -> list[str]:
        """Corpora that some representation is made of; arrays and worlds are their own."""
        return list(dict.fromkeys(self.corpus_of(name) for name in self.representations()))

    def used_splits(self) -> list[tuple[str, int]]:
        """Corpus and seed of every split that some representation is analysed on."""
        used = [
            (self.corpus_of(name), seed)
            for name in self.representations()
            for seed in self.split_seeds(name)
        ]
        return list(dict.fromkeys(used))
