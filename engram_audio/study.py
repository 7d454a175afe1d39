"""The study that a configuration describes: which artifacts exist, without touching a file.

Rules ask it for names; it holds no science and imports nothing heavy.
"""

from engram_audio.calibration.config import WORLD_PREFIX
from engram_audio.codecs.config import LyraCodecSettings, MelPcaCodecSettings, MimiCodecSettings
from engram_audio.config import WorkflowConfig
from engram_audio.corpus.config import LibriSpeechCorpus
from engram_audio.latents.config import (
    ArraysRepresentation,
    CodecRepresentation,
    StateRepresentation,
)
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
        if isinstance(row, StateRepresentation):
            return self.corpus_of(row.source)
        return row.corpus if isinstance(row, CodecRepresentation) else base

    def state_of(self, representation: str) -> StateRepresentation:
        """Source, factoriser and seed of an exported z_dyn."""
        row = self.config.representations[representation]
        if not isinstance(row, StateRepresentation):
            raise KeyError(f"{representation} is not the state of a factoriser")
        return row

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
        names = [n for n, row in rows if isinstance(row, MimiCodecSettings) and not row.is_local]
        return "|".join(names) or "(?!)"

    def fitted_codec_pattern(self) -> str:
        """Regular expression of the codecs that the workflow fits; may match nothing."""
        rows = self.config.codecs.items()
        names = [name for name, row in rows if isinstance(row, MelPcaCodecSettings)]
        return "|".join(names) or "(?!)"

    def fitted_codec(self, codec: str) -> MelPcaCodecSettings:
        """Settings of a codec that the workflow fits."""
        settings = self.config.codecs[codec]
        if not isinstance(settings, MelPcaCodecSettings):
            raise KeyError(f"{codec} is not fitted")
        return settings

    def codec_files(self, codec: str) -> list[str]:
        """Files that hold a codec's weights."""
        settings = self.config.codecs[codec]
        if isinstance(settings, LyraCodecSettings):
            names = ("soundstream_encoder.tflite", "lyragan.tflite", "quantizer.tflite")
            return [f"{settings.weights_dir}/{name}" for name in names]
        if isinstance(settings, MelPcaCodecSettings):
            return [f"<results>/codecs/{codec}/weights.safetensors"]
        folder = settings.checkpoint if settings.is_local else f"data/codecs/{codec}"
        return [f"{folder}/model.safetensors", f"{folder}/config.json"]

    def num_shards(self, representation: str) -> int:
        """How many latent shards a representation has."""
        row = self.config.representations[self.base_of(representation)]
        if isinstance(row, StateRepresentation):
            return self.num_shards(row.source)
        if isinstance(row, CodecRepresentation):
            return self.config.corpora[row.corpus].num_shards
        return row.num_shards if isinstance(row, ArraysRepresentation) else 1

    def shards(self, representation: str) -> list[str]:
        """Shard names, `000` .. ."""
        return [f"{number:03d}" for number in range(self.num_shards(representation))]

    def split_seeds(self, representation: str) -> list[int]:
        """Split seeds a representation may be analysed on.

        What was fitted on one split's train speakers (a PCA codec, a VAR surrogate, a factoriser)
        is analysed on that split only: on another its eval speakers would have been seen.
        """
        seeds = list(self.config.splits.seeds)
        row = self.config.representations[self.base_of(representation)]
        if isinstance(row, StateRepresentation):
            return self.split_seeds(row.source)[:1]
        if isinstance(row, CodecRepresentation):
            codec = self.config.codecs[row.codec]
            if isinstance(codec, MelPcaCodecSettings):
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
