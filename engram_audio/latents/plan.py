"""Which representations, shards and splits a configuration asks for, as file names."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from engram_audio.codecs.plan import CodecPlan
from engram_audio.corpus.demands import Subject
from engram_audio.corpus.plan import CorpusPlan, pattern, splits_file
from engram_audio.latents.config import (
    SURROGATE_MARK,
    VAR_TWINS,
    ArraysRepresentation,
    RepresentationSection,
    RepresentationsSettings,
    StateRepresentation,
)


class LatentsPlan:
    """Names and dependencies of representations."""

    def __init__(
        self,
        settings: RepresentationsSettings,
        corpora: CorpusPlan,
        codecs: CodecPlan,
        split_seeds: Sequence[int],
        worlds: Sequence[str],
    ) -> None:
        """Keep what names follow from.

        Args:
            settings: Representations that are used, calibration worlds among them.
            corpora: Corpora that they are made of.
            codecs: Codecs that make them.
            split_seeds: Seeds of the study's splits, the deciding one first.
            worlds: Which of them are calibration worlds, whose answers are known.
        """
        self._settings, self._corpora, self._codecs = settings, corpora, codecs
        self._seeds, self.worlds = list(split_seeds), list(worlds)

    def row(self, representation: str) -> RepresentationSection:
        """Settings of a base representation."""
        return self._settings.library[representation]

    def bases(self) -> list[str]:
        """Base representations that the study asks about: all but the calibration worlds."""
        return list(self._settings.analysed)

    def analysed(self) -> list[str]:
        """What the study asks about, surrogates included, in configuration order."""
        return self.with_surrogates(self.bases())

    def with_surrogates(self, bases: Iterable[str]) -> list[str]:
        """Each base representation, followed by its surrogates."""
        return [
            name
            for base in bases
            for name in (base, *(f"{base}{SURROGATE_MARK}{s}" for s in self.row(base).surrogates))
        ]

    def base_of(self, representation: str) -> str:
        """The representation that a surrogate was made of; itself for a base."""
        return representation.split(SURROGATE_MARK)[0]

    def surrogate_of(self, representation: str) -> str | None:
        """The surrogate's kind, or None for a base representation."""
        parts = representation.split(SURROGATE_MARK)
        return parts[1] if len(parts) == 2 else None

    def of_kinds(self, *kinds: str) -> str:
        """Regular expression of the base representations of some kinds; may match nothing."""
        rows = self._settings.library.items()
        return pattern([name for name, row in rows if row.kind in kinds])

    def corpus_of(self, representation: str) -> str:
        """The corpus (utterance table, splits) of a representation.

        Arrays and worlds bring their own utterances and are their own corpus.
        """
        root = self.chain_of(representation)[0]
        made_by = self.row(root).made_by
        return root if made_by is None else made_by[0]

    def codec_of(self, representation: str) -> str:
        """The codec of a codec representation."""
        made_by = self.row(representation).made_by
        if made_by is None:
            raise KeyError(f"{representation} is not made by a codec")
        return made_by[1]

    def state_of(self, representation: str) -> StateRepresentation:
        """Source, factoriser and seed of an exported z_dyn."""
        row = self.row(representation)
        if row.kind != "state":
            raise KeyError(f"{representation} is not the state of a factoriser")
        return row

    def states(self) -> list[str]:
        """Representations that are the z_dyn of a factoriser."""
        rows = self._settings.library.items()
        return [name for name, row in rows if row.kind == "state"]

    def source_of(self, representation: str) -> str:
        """The representation that another is made of."""
        source = self.row(representation).made_of
        if source is None:
            raise KeyError(f"{representation} is not made of another representation")
        return source

    def chain_of(self, representation: str) -> list[str]:
        """A representation and what it is made of, the root first."""
        chain = [self.base_of(representation)]
        while (source := self.row(chain[0]).made_of) is not None:
            chain.insert(0, source)
        return chain

    def noisy_link(self, representation: str) -> str | None:
        """The channel that adds noise on a representation's way from its root, or None."""
        chain = self.chain_of(representation)
        return next((name for name in chain if self.row(name).kind == "noisy"), None)

    def is_heard(self, representation: str) -> bool:
        """Whether a codec decodes a base representation."""
        return self.row(representation).made_by is not None

    def linear_codec(self, representation: str) -> str | None:
        """The codec of a representation whose decoder to log-mel is linear, or None."""
        base = self.base_of(representation)
        codec = self.codec_of(base) if self.is_heard(base) else None
        return codec if codec and self._codecs.settings(codec).has_linear_decoder else None

    def num_shards(self, representation: str) -> int:
        """How many latent shards a representation has."""
        row = self.row(self.chain_of(representation)[0])
        if row.made_by is not None:
            return self._corpora.num_shards(row.made_by[0])
        return row.num_shards if row.kind == "arrays" else 1

    def split_seeds(self, representation: str) -> list[int]:
        """Split seeds a representation may be analysed on.

        What was fitted on one split's train speakers (a codec, a VAR surrogate, a factoriser,
        the scale of a noisy channel) is analysed on that split only: on another its eval speakers
        would have been seen.
        """
        base, seeds = self.base_of(representation), self._seeds
        row = self.row(base)
        if row.made_of is not None:
            seeds = self.split_seeds(row.made_of)
        elif row.made_by is not None:
            fitted_on = self._codecs.settings(row.made_by[1]).fitted_on
            seeds = seeds if fitted_on is None else [fitted_on[1]]
        if not row.fits_nothing:
            seeds = seeds[:1]
        if base in self.worlds or self.surrogate_of(representation) in VAR_TWINS:
            seeds = seeds[:1]
        return list(seeds)

    def is_arrays(self, name: str) -> bool:
        """Whether a name is that of arrays that a user brings."""
        return name in self._settings.library and self.row(name).kind == "arrays"

    def subjects(self) -> list[Subject]:
        """What is asked about and made of utterances that are known only when they are listed."""
        roots = {name: self.chain_of(name)[0] for name in self.bases()}
        listed = [
            name for name, root in roots.items() if self.is_heard(root) or self.is_arrays(root)
        ]
        return [self._subject(name, roots[name]) for name in listed]

    def _subject(self, name: str, root: str) -> Subject:
        chain = [self.row(one) for one in self.chain_of(name)]
        groups = [row.frames_per_group for row in chain if row.kind == "resampled"]
        rate, dims = self._frames_of(root)
        is_same = not any(row.kind in ("resampled", "state") for row in chain)
        return Subject(
            name,
            self.corpus_of(name),
            tuple(self.split_seeds(name)),
            rate,
            math.prod(groups),
            dims if is_same else None,
            has_var=any(twin in self.row(name).surrogates for twin in VAR_TWINS) and is_same,
        )

    def _frames_of(self, root: str) -> tuple[float | None, int | None]:
        """Frames per second and dimensions, as far as the settings say."""
        if self.is_heard(root):
            return self._codecs.settings(self.codec_of(root)).frames
        return self.arrays(root).frame_rate_hz, None

    # Files. Functions of wildcards are input functions of rules.

    def shard_files(self, representation: str) -> list[str]:
        """All latent shards of a representation."""
        numbers = range(self.num_shards(representation))
        return [f"<results>/latents/{representation}/shard-{n:03d}.zarr.zip" for n in numbers]

    def shards(self, wildcards: Any) -> list[str]:
        """All latent shards of a representation."""
        return self.shard_files(wildcards.representation)

    def splits(self, wildcards: Any) -> str:
        """The splits that a representation and split seed are analysed on."""
        return splits_file(self.corpus_of(wildcards.representation), wildcards.split_seed)

    def first_splits(self, wildcards: Any) -> str:
        """The first splits that a representation is analysed on."""
        name = wildcards.representation
        return splits_file(self.corpus_of(name), self.split_seeds(name)[0])

    def utterances(self, wildcards: Any) -> str:
        """The utterances of a representation's corpus."""
        return f"<results>/corpus/{self.corpus_of(wildcards.representation)}/utterances.parquet"

    def shard_table(self, wildcards: Any) -> str:
        """Which utterance of a representation's corpus is in which shard."""
        return f"<results>/corpus/{self.corpus_of(wildcards.representation)}/shards.parquet"

    def source_shard(self, wildcards: Any) -> str:
        """The shard that a shard of a derived representation is made of."""
        source = self.source_of(wildcards.representation)
        return f"<results>/latents/{source}/shard-{wildcards.shard}.zarr.zip"

    def source_shards(self, wildcards: Any) -> list[str]:
        """All shards that a derived representation is made of."""
        return self.shard_files(self.source_of(wildcards.representation))

    def array_table(self, wildcards: Any) -> str:
        """The table of a user's arrays."""
        return self.arrays(wildcards.representation).table

    def arrays(self, representation: str) -> ArraysRepresentation:
        """Settings of arrays that a user brings."""
        row = self.row(representation)
        if row.kind != "arrays":
            raise KeyError(f"{representation} is not made of arrays")
        return row

    def codec_section(self, wildcards: Any) -> str:
        """The section of a representation's codec."""
        return f"codecs.library.{self.codec_of(wildcards.representation)}"

    def codec_weights(self, wildcards: Any) -> list[str]:
        """The weights of a representation's codec."""
        return self._codecs.files(self.codec_of(wildcards.representation))

    def decoder_weights(self, wildcards: Any) -> list[str]:
        """Weights of a representation's codec where its decoder is linear, else nothing."""
        codec = self.linear_codec(wildcards.representation)
        return self._codecs.files(codec) if codec else []

    def summaries(self, representations: Iterable[str] | None = None) -> list[str]:
        """Latent summaries, by default of everything that is analysed."""
        names = self.analysed() if representations is None else representations
        return [f"<results>/latents/{name}/summary.json" for name in names]

    def corpus_tables(self, table: str) -> list[str]:
        """One table of every corpus that is analysed, arrays and worlds included."""
        return [f"<results>/corpus/{name}/{table}.parquet" for name in self.used_corpora()]

    def used_corpora(self) -> list[str]:
        """Corpora of what is analysed; arrays and worlds are their own."""
        return list(dict.fromkeys(self.corpus_of(name) for name in self.analysed()))

    def corpora_by_name(self) -> dict[str, str]:
        """The corpus of everything that is analysed."""
        return {name: self.corpus_of(name) for name in self.analysed()}

    def split_tables(self) -> list[str]:
        """Every split of every corpus that something is analysed on."""
        used = [
            splits_file(self.corpus_of(name), seed)
            for name in self.analysed()
            for seed in self.split_seeds(name)
        ]
        return list(dict.fromkeys(used))
