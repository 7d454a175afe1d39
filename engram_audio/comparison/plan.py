"""Which files the comparison of codecs asks for."""

from typing import Any

from engram_audio.codecs.plan import CodecPlan
from engram_audio.comparison.config import ComparisonSettings, is_decodable
from engram_audio.errors import InputError
from engram_audio.latents.config import SURROGATE_MARK
from engram_audio.latents.plan import LatentsPlan
from engram_audio.prediction.plan import PredictionPlan


class ComparisonPlan:
    """Compared representations, their overlap twins and their shuffled surrogates."""

    def __init__(
        self,
        settings: ComparisonSettings,
        codecs: CodecPlan,
        latents: LatentsPlan,
        prediction: PredictionPlan,
    ) -> None:
        """Keep the used part of the stage."""
        self._settings, self._codecs = settings, codecs
        self._latents, self._prediction = latents, prediction

    def compared(self) -> list[str]:
        """Representations of the table of codecs, in its order."""
        return list(self._settings.representations)

    def inputs(self) -> list[str]:
        """Compared representations, their overlap twins and their predicted shuffled surrogates."""
        names = self.compared()
        for controls in self._settings.controls.values():
            names += [twin for twin in (controls.permuted, controls.truncated) if twin]
        predicted = self._prediction.predicted()
        shuffled = [f"{name}{SURROGATE_MARK}shuffled" for name in self.compared()]
        names += [name for name in shuffled if name in predicted]
        return list(dict.fromkeys(names))

    def reconstructed(self) -> list[str]:
        """Compared representations that decode: a codec's without controls, or made of it."""
        return [name for name in self.compared() if self._is_decodable(name)]

    def _is_decodable(self, representation: str) -> bool:
        chain = self._latents.chain_of(representation)
        return is_decodable({name: self._latents.row(name) for name in chain}, chain[-1])

    def root_codec(self, wildcards: Any) -> str:
        """The codec at the root of a representation."""
        return self._latents.codec_of(self._latents.chain_of(wildcards.representation)[0])

    def root_codec_section(self, wildcards: Any) -> str:
        """The section of that codec."""
        return f"codecs.library.{self.root_codec(wildcards)}"

    def root_codec_weights(self, wildcards: Any) -> list[str]:
        """The weights of that codec."""
        return self._codecs.files(self.root_codec(wildcards))

    def link_sections(self, wildcards: Any) -> list[str]:
        """Sections of a representation and of what it is made of, the root first."""
        chain = self._latents.chain_of(wildcards.representation)
        return [f"representations.library.{name}" for name in chain]

    def noise_scale(self, wildcards: Any) -> list[str]:
        """The measured scale of the channel on the way from the root, where there is one."""
        name = self._latents.noisy_link(wildcards.representation)
        return [f"<results>/latents/{name}/noise_scale.safetensors"] if name else []

    def reconstruction_scores(self) -> list[str]:
        """Scores of every compared representation that can be decoded."""
        names = self.reconstructed()
        return [f"<results>/reconstruction/{name}/scores.parquet" for name in names]

    def structure_table(self) -> str:
        """The published keys.

        Raises:
            InputError: The study compares nothing.
        """
        if not self.compared():
            raise InputError(
                "comparison.representations: is empty, so there is no codecs.csv; name "
                "representations that are predicted"
            )
        return "<results>/tables/structure.csv"

    def scores(self) -> list[str]:
        """Lag-1 scores of heads and nulls, first training seed, of all that the table reads."""
        seed = self._prediction.seeds[0]
        return [path for name in self.inputs() for path in self._scores_of(name, seed)]

    def _scores_of(self, representation: str, seed: int) -> list[str]:
        return self._prediction.scores_of(representation, [1], seed)

    def summaries(self) -> list[str]:
        """Latent summaries of the same."""
        return self._latents.summaries(self.inputs())

    def origins(self) -> dict[str, dict[str, Any]]:
        """Where each compared representation that is no surrogate comes from.

        Without a codec the root is the family.
        """
        names = [name for name in self.inputs() if self._latents.surrogate_of(name) is None]
        return {name: self._origin(self._latents.chain_of(name)[0]) for name in names}

    def _origin(self, root: str) -> dict[str, Any]:
        """The codec of a root representation, its family, and its audio's permuted blocks."""
        row = self._latents.row(root)
        if row.kind != "codec":
            return {"codec": "", "family": root, "permuted_block_s": None}
        family = self._codecs.settings(row.codec).kind
        return {"codec": row.codec, "family": family, "permuted_block_s": row.permute_blocks_s}
