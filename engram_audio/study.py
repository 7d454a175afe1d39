"""The study that a configuration describes: which artifacts exist, without touching a file.

Rules ask it for names; it holds no science and imports nothing heavy.
"""

from engram_audio.codecs.config import MelPcaCodecSettings
from engram_audio.config import WorkflowConfig
from engram_audio.latents.config import ArraysRepresentation, CodecRepresentation

SEPARATOR = "--"  # representation--surrogate


class Study:
    """Names and dependencies of everything a configuration asks for."""

    def __init__(self, config: WorkflowConfig) -> None:
        """Keep the validated configuration."""
        self.config = config

    def representations(self) -> list[str]:
        """All representations, surrogates included, in configuration order."""
        names = []
        for name, row in self.config.representations.items():
            names.append(name)
            names.extend(f"{name}{SEPARATOR}{surrogate}" for surrogate in row.surrogates)
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
        return row.corpus if isinstance(row, CodecRepresentation) else base

    def num_shards(self, representation: str) -> int:
        """How many latent shards a representation has."""
        row = self.config.representations[self.base_of(representation)]
        if isinstance(row, CodecRepresentation):
            return self.config.corpora[row.corpus].num_shards
        return row.num_shards if isinstance(row, ArraysRepresentation) else 1

    def shards(self, representation: str) -> list[str]:
        """Shard names, `000` .. ."""
        return [f"{number:03d}" for number in range(self.num_shards(representation))]

    def split_seeds(self, representation: str) -> list[int]:
        """Split seeds a representation may be analysed on.

        What was fitted on one split's train speakers (a PCA codec, a VAR surrogate) is analysed on
        that split only: on another its eval speakers would have been seen.
        """
        seeds = list(self.config.splits.seeds)
        row = self.config.representations[self.base_of(representation)]
        if isinstance(row, CodecRepresentation):
            codec = self.config.codecs[row.codec]
            if isinstance(codec, MelPcaCodecSettings):
                seeds = [codec.split_seed]
        if self.surrogate_of(representation) == "var":
            seeds = seeds[:1]
        return seeds

    def key_families(self) -> list[str]:
        """Names of the structure stage's key families."""
        return list(self.config.structure_keys)
