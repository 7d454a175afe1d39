"""The study that a configuration describes: which artifacts exist, without touching a file.

Rules ask it for names; it holds no science and imports nothing heavy.
"""

from engram_audio.calibration.config import WORLD_PREFIX
from engram_audio.codecs.config import HubCodecSettings, LyraCodecSettings, PluginCodecSettings
from engram_audio.codecs.fitted_config import (
    FittedCodecSettings,
    MelPcaCodecSettings,
    TrainedCodecSettings,
)
from engram_audio.config import WorkflowConfig
from engram_audio.corpus.config import LibriSpeechCorpus
from engram_audio.latents.config import (
    ArraysRepresentation,
    CodecRepresentation,
    DerivedRepresentation,
    NoisyRepresentation,
    ResampledRepresentation,
    StateRepresentation,
)
from engram_audio.memory.config import LINEAR, LookupMemory
from engram_audio.rollout.config import LINEAR_BASE, BeliefMethod, DirectMethod, OneStepMethod
from engram_audio.rollout.sweep import sweep_of as rollout_sweep_of
from engram_audio.section import Section

SEPARATOR = "--"  # representation--surrogate


class Study:
    """Names and dependencies of everything a configuration asks for."""

    def __init__(self, config: WorkflowConfig) -> None:
        """Keep the validated configuration."""
        self.config = config

    def representations(self) -> list[str]:
        """What the study asks about, surrogates included, in configuration order."""
        return self.with_surrogates(self.study_bases())

    def study_bases(self) -> list[str]:
        """Base representations that the study asks about: all but the calibration worlds."""
        worlds = set(self.calibration_worlds())
        return [name for name in self.config.representations if name not in worlds]

    def calibration_worlds(self) -> list[str]:
        """Representations whose answers are known."""
        return [f"{WORLD_PREFIX}{name}" for name in self.config.calibration.worlds.names]

    def calibration_representations(self) -> list[str]:
        """Calibration worlds, surrogates included."""
        return self.with_surrogates(self.calibration_worlds())

    def with_surrogates(self, bases: list[str]) -> list[str]:
        """Each base representation, followed by its surrogates."""
        names = []
        for name in bases:
            names.append(name)
            surrogates = self.config.representations[name].surrogates
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
        row = self.config.representations[base]
        if isinstance(row, DerivedRepresentation):
            return self.corpus_of(row.source)
        return row.corpus if isinstance(row, CodecRepresentation) else base

    def state_of(self, representation: str) -> StateRepresentation:
        """Source, factoriser and seed of an exported z_dyn."""
        row = self.config.representations[representation]
        if not isinstance(row, StateRepresentation):
            raise KeyError(f"{representation} is not the state of a factoriser")
        return row

    def source_of(self, representation: str) -> str:
        """The representation that another is made of."""
        row = self.config.representations[representation]
        if not isinstance(row, DerivedRepresentation):
            raise KeyError(f"{representation} is not made of another representation")
        return row.source

    def chain_of(self, representation: str) -> list[str]:
        """A representation and what it is made of, the root first."""
        chain = [self.base_of(representation)]
        while isinstance(self.config.representations[chain[0]], DerivedRepresentation):
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
        rows = self.config.representations.items()
        return "|".join(name for name, row in rows if row.kind in kinds) or "(?!)"

    def codec_of(self, representation: str) -> str:
        """The codec of a codec representation."""
        row = self.config.representations[representation]
        if not isinstance(row, CodecRepresentation):
            raise KeyError(f"{representation} is not made by a codec")
        return row.codec

    def hub_codec_pattern(self) -> str:
        """Regular expression of the codecs whose checkpoint is downloaded; may match nothing."""
        rows = self.config.codecs.items()
        names = [n for n, row in rows if isinstance(row, HubCodecSettings) and not row.is_local]
        return "|".join(names) or "(?!)"

    def fitted_codec_pattern(self) -> str:
        """Regular expression of the mel_pca codecs; may match nothing."""
        return self._codec_pattern(MelPcaCodecSettings)

    def trained_codec_pattern(self) -> str:
        """Regular expression of the codecs that the workflow trains; may match nothing."""
        return self._codec_pattern(TrainedCodecSettings)

    def _codec_pattern(self, model: type[FittedCodecSettings]) -> str:
        names = [name for name, row in self.config.codecs.items() if isinstance(row, model)]
        return "|".join(names) or "(?!)"

    def fitted_codec(self, codec: str) -> FittedCodecSettings:
        """Settings of a codec that the workflow fits or trains."""
        settings = self.config.codecs[codec]
        if not isinstance(settings, FittedCodecSettings):
            raise KeyError(f"{codec} is not fitted")
        return settings

    def codec_files(self, codec: str) -> list[str]:
        """Files that hold a codec's weights."""
        settings = self.config.codecs[codec]
        if isinstance(settings, LyraCodecSettings):
            names = ("soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite")
            return [f"{settings.weights_dir}/{name}" for name in names]
        if isinstance(settings, FittedCodecSettings):
            return [f"<results>/codecs/{codec}/weights.safetensors"]
        if isinstance(settings, PluginCodecSettings):
            return list(settings.weights)
        return settings.files(f"data/codecs/{codec}")

    def num_shards(self, representation: str) -> int:
        """How many latent shards a representation has."""
        row = self.config.representations[self.base_of(representation)]
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
        row = self.config.representations[self.base_of(representation)]
        if isinstance(row, DerivedRepresentation):
            seeds = self.split_seeds(row.source)
            if not isinstance(row, ResampledRepresentation):
                seeds = seeds[:1]
        if isinstance(row, CodecRepresentation):
            codec = self.config.codecs[row.codec]
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

    def key_families(self) -> list[str]:
        """Names of the structure stage's key families."""
        return list(self.config.structure_keys)

    def calibration_families(self) -> list[str]:
        """Key families that the calibration worlds are scored with."""
        return list(self.config.calibration_keys)

    def predicted(self) -> list[str]:
        """Representations of the prediction stage: the chosen bases with their surrogates."""
        chosen = self.config.prediction.representations
        return [name for name in self.representations() if self.base_of(name) in chosen]

    def prediction_heads(self, representation: str) -> list[str]:
        """Heads trained on a representation: all on a base, the chosen ones on a surrogate."""
        if self.surrogate_of(representation) is None:
            return list(self.config.prediction_heads)
        return list(self.config.prediction.surrogate_heads)

    def prediction_runs(self) -> list[tuple[str, int, str, int]]:
        """Representation, lag, head and training seed of every trained density."""
        return [
            (name, lag, head, seed)
            for name in self.predicted()
            for lag in self.config.prediction.lags_frames
            for head in self.prediction_heads(name)
            for seed in self.config.prediction.seeds
        ]

    def factorizer_runs(self) -> list[tuple[str, str, int]]:
        """Representation, factoriser and training seed of every trained factoriser."""
        stage = self.config.factorizer
        return [
            (name, run, seed)
            for name in stage.representations
            for run in self.config.factorizer_runs
            for seed in stage.seeds
        ]

    def factorizer_recipe(self, factorizer: str) -> str:
        """The training recipe of a factoriser."""
        return self.config.factorizer_runs[factorizer].recipe

    def sweep_of(self, factorizer: str) -> str:
        """The sweep that a factoriser is a point of, or "" for a variant."""
        names = [n for n in self.config.factorizer_sweeps if factorizer.startswith(f"{n}_d")]
        is_variant = factorizer in self.config.factorizer_variants
        return "" if is_variant or not names else max(names, key=len)

    def exported_states(self) -> list[str]:
        """Representations that are the z_dyn of a factoriser."""
        rows = self.config.representations.items()
        return [name for name, row in rows if isinstance(row, StateRepresentation)]

    def memory_runs(self) -> list[tuple[str, int, str, str, int]]:
        """Representation, lag, base, memory and seed of every memory.

        A lookup stands on every base; an Engram memory on the head that it is trained with.
        """
        stage = self.config.memory
        return [
            (name, lag, base, memory, seed)
            for name in stage.representations
            for lag in stage.lags_frames
            for memory, row in self.config.memories.items()
            for base in (stage.bases if isinstance(row, LookupMemory) else (row.head,))
            for seed in stage.seeds
        ]

    def memory_pattern(self, kind: str) -> str:
        """Regular expression of the memories of a kind; may match nothing."""
        rows = self.config.memories.items()
        return "|".join(name for name, row in rows if row.kind == kind) or "(?!)"

    def has_head_base(self, base: str, memory: str) -> bool:
        """Whether a memory reads a trained head: a lookup on another base than the linear one."""
        return base != LINEAR and isinstance(self.config.memories[memory], LookupMemory)

    def matched_head(self, base: str) -> str:
        """The family of the models matched to a memory on a base."""
        return self.config.memory_controls.head if base == LINEAR else base

    def compared(self) -> list[str]:
        """Representations of the table of codecs, in its order."""
        return list(self.config.codec_comparison.compared.representations)

    def comparison_inputs(self) -> list[str]:
        """Compared representations, their overlap twins and their predicted shuffled surrogates."""
        compared, names = self.config.codec_comparison.compared, self.compared()
        for controls in compared.controls.values():
            names += [twin for twin in (controls.permuted, controls.truncated) if twin]
        shuffled = [f"{name}{SEPARATOR}shuffled" for name in self.compared()]
        names += [name for name in shuffled if name in self.predicted()]
        return list(dict.fromkeys(names))

    def reconstructed(self) -> list[str]:
        """Compared representations that decode: a codec's without controls, or made of it."""
        return [name for name in self.compared() if self._is_decodable(name)]

    def _is_decodable(self, representation: str) -> bool:
        root, *rest = (self.config.representations[n] for n in self.chain_of(representation))
        if not isinstance(root, CodecRepresentation):
            return False
        is_plain = root.context_s is None and root.permute_blocks_s is None
        can_invert = all(isinstance(r, ResampledRepresentation | NoisyRepresentation) for r in rest)
        return is_plain and can_invert

    def noisy_link(self, representation: str) -> str | None:
        """The channel that adds noise on a representation's way from its root, or None."""
        rows = self.config.representations
        chain = self.chain_of(representation)
        return next((n for n in chain if isinstance(rows[n], NoisyRepresentation)), None)

    def rollout_runs(self) -> list[tuple[str, str, int]]:
        """Representation, method and training seed of every rollout method."""
        stage = self.config.rollout
        return [
            (name, run, seed)
            for name in stage.representations
            for run in self.config.rollout_runs
            for seed in stage.seeds
        ]

    def rollout_recipe(self, method: str) -> str | None:
        """The training recipe of a rollout method; None where nothing is trained."""
        settings = self.config.rollout_runs[method]
        return None if isinstance(settings, OneStepMethod) else settings.recipe

    def rollout_base(self, method: str) -> str | None:
        """The head that takes a rollout method's steps; None for a forecaster or a linear base."""
        settings = self.config.rollout_runs[method]
        if isinstance(settings, BeliefMethod | DirectMethod) or settings.base == LINEAR_BASE:
            return None
        return settings.base

    def rollout_players(self) -> list[str]:
        """Methods whose free runs people can listen to."""
        return list(self.config.rollout.player_methods)

    def rollout_sweep(self, method: str) -> str:
        """The sweep that a rollout method is a point of, or ""."""
        return rollout_sweep_of(method, self.config.rollout_methods, self.config.rollout_sweeps)

    def head_recipe(self, head: str) -> str:
        """The training recipe of a head."""
        return self.config.prediction_heads[head].recipe

    def marginal_recipe(self, head: str) -> str:
        """The training recipe of a head's marginal."""
        return self.config.prediction_heads[head].marginal.recipe

    def linear_codec(self, representation: str) -> str | None:
        """The codec of a representation whose decoder to log-mel is linear, or None."""
        row = self.config.representations[self.base_of(representation)]
        if not isinstance(row, CodecRepresentation):
            return None
        is_linear = isinstance(self.config.codecs[row.codec], MelPcaCodecSettings)
        return row.codec if is_linear else None

    def section_names(self) -> list[str]:
        """Names of all frozen sections, as fine as steps read them (`codecs.mimi`, `splits`)."""
        names = []
        for name in type(self.config).model_fields:
            value = getattr(self.config, name)
            fields = value if isinstance(value, dict) else vars(value)
            is_group = all(isinstance(part, Section) for part in fields.values())
            if name != "pathvars":
                names += [f"{name}.{part}" for part in fields] if is_group else [name]
        return names
