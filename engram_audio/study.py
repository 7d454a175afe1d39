"""The study that a configuration describes: which artifacts exist, without touching a file.

Rules ask it for names; it holds no science and imports nothing heavy.
"""

from engram_audio.codecs.fitted_config import (
    MelPcaCodecSettings,
)
from engram_audio.config import WorkflowConfig
from engram_audio.factorizer.sweep import sweep_of as factorizer_sweep_of
from engram_audio.latents.config import (
    CodecRepresentation,
    NoisyRepresentation,
    ResampledRepresentation,
    StateRepresentation,
)
from engram_audio.memory.config import LINEAR, LookupMemory
from engram_audio.plan_size import require_plannable
from engram_audio.rollout.config import (
    LINEAR_BASE,
    BeliefMethod,
    DirectMethod,
    OneStepMethod,
    RefitMethod,
    memory_base,
)
from engram_audio.rollout.sweep import sweep_of as rollout_sweep_of
from engram_audio.study_representations import SEPARATOR, RepresentationStudy


class Study(RepresentationStudy):
    """Names and dependencies of everything a configuration asks for."""

    def __init__(self, config: WorkflowConfig) -> None:
        """Keep the validated configuration.

        Raises:
            InputError: Its plan would take minutes.
        """
        super().__init__(config)
        require_plannable(self)

    def key_families(self) -> list[str]:
        """Names of the structure stage's key families."""
        return list(self.config.structure.library)

    def calibration_families(self) -> list[str]:
        """Key families that the calibration worlds are scored with."""
        return [
            name.removeprefix("calibration.families.")
            for name in self.derived
            if name.startswith("calibration.families.")
        ]

    def predicted(self) -> list[str]:
        """Representations of the prediction stage: the chosen bases with their surrogates."""
        chosen = self.config.prediction.representations
        return [name for name in self.representations() if self.base_of(name) in chosen]

    def prediction_heads(self, representation: str) -> list[str]:
        """Heads trained on a representation: all on a base, the chosen ones on a surrogate."""
        if self.surrogate_of(representation) is None:
            return list(self.config.prediction.library)
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
            for run in self.config.factorizer.library
            for seed in stage.seeds
        ]

    def factorizer_recipe(self, factorizer: str) -> str:
        """The training recipe of a factoriser."""
        return self.config.factorizer.library[factorizer].recipe

    def sweep_of(self, factorizer: str) -> str:
        """The sweep that a factoriser is a point of, or "" for a variant."""
        stage = self.config.factorizer
        return factorizer_sweep_of(factorizer, stage.variants, stage.grids)

    def exported_states(self) -> list[str]:
        """Representations that are the z_dyn of a factoriser."""
        rows = self.config.representations.library.items()
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
            for memory, row in self.config.memory.library.items()
            for base in (stage.bases if isinstance(row, LookupMemory) else (row.head,))
            for seed in stage.seeds
        ]

    def memory_pattern(self, kind: str) -> str:
        """Regular expression of the memories of a kind; may match nothing."""
        rows = self.config.memory.library.items()
        return "|".join(name for name, row in rows if row.kind == kind) or "(?!)"

    def has_head_base(self, base: str, memory: str) -> bool:
        """Whether a memory reads a trained head: a lookup on another base than the linear one."""
        return base != LINEAR and isinstance(self.config.memory.library[memory], LookupMemory)

    def matched_head(self, base: str) -> str:
        """The family of the models matched to a memory on a base."""
        return self.config.memory.controls.head if base == LINEAR else base

    def compared(self) -> list[str]:
        """Representations of the table of codecs, in its order."""
        return list(self.config.comparison.representations)

    def comparison_inputs(self) -> list[str]:
        """Compared representations, their overlap twins and their predicted shuffled surrogates."""
        compared, names = self.config.comparison, self.compared()
        for controls in compared.controls.values():
            names += [twin for twin in (controls.permuted, controls.truncated) if twin]
        shuffled = [f"{name}{SEPARATOR}shuffled" for name in self.compared()]
        names += [name for name in shuffled if name in self.predicted()]
        return list(dict.fromkeys(names))

    def reconstructed(self) -> list[str]:
        """Compared representations that decode: a codec's without controls, or made of it."""
        return [name for name in self.compared() if self._is_decodable(name)]

    def _is_decodable(self, representation: str) -> bool:
        root, *rest = (
            self.config.representations.library[n] for n in self.chain_of(representation)
        )
        if not isinstance(root, CodecRepresentation):
            return False
        is_plain = root.context_s is None and root.permute_blocks_s is None
        can_invert = all(isinstance(r, ResampledRepresentation | NoisyRepresentation) for r in rest)
        return is_plain and can_invert

    def noisy_link(self, representation: str) -> str | None:
        """The channel that adds noise on a representation's way from its root, or None."""
        rows = self.config.representations.library
        chain = self.chain_of(representation)
        return next((n for n in chain if isinstance(rows[n], NoisyRepresentation)), None)

    def rollout_runs(self) -> list[tuple[str, str, int]]:
        """Representation, method and training seed of every rollout method."""
        stage = self.config.rollout
        return [
            (name, run, seed)
            for name in stage.representations
            for run in self.config.rollout.library
            for seed in stage.seeds
        ]

    def rollout_recipe(self, method: str) -> str | None:
        """The training recipe of a rollout method; None where nothing is trained."""
        settings = self.config.rollout.library[method]
        if isinstance(settings, RefitMethod):
            return self.rollout_recipe(settings.method)
        return None if isinstance(settings, OneStepMethod) else settings.recipe

    def rollout_base(self, method: str) -> str | None:
        """The head that takes a rollout method's steps; None for a forecaster or a linear base."""
        settings = self.config.rollout.library[method]
        if isinstance(settings, RefitMethod):
            return self.rollout_base(settings.method)
        if isinstance(settings, BeliefMethod | DirectMethod) or settings.base == LINEAR_BASE:
            return None
        found = memory_base(settings.base)
        if found is not None:
            return found[0] if self.has_head_base(*found) else None
        return settings.base

    def rollout_memory(self, method: str) -> tuple[str, str] | None:
        """Base and memory that take a rollout method's steps; None where no memory does."""
        return memory_base(getattr(self.config.rollout.library[method], "base", ""))

    def rollout_refit(self, method: str) -> RefitMethod | None:
        """What a lookup is fitted on anew; None for other methods."""
        settings = self.config.rollout.library[method]
        return settings if isinstance(settings, RefitMethod) else None

    def rollout_pattern(self, is_refit: bool) -> str:
        """Regular expression of the methods that are, or are not, refitted lookups."""
        names = [n for n in self.config.rollout.library if bool(self.rollout_refit(n)) == is_refit]
        return "|".join(names) or "(?!)"

    def rollout_players(self) -> list[str]:
        """Methods whose free runs people can listen to."""
        return list(self.config.rollout.player_methods)

    def rollout_sweep(self, method: str) -> str:
        """The sweep that a rollout method is a point of, or ""."""
        return rollout_sweep_of(method, self.config.rollout.methods, self.config.rollout.grids)

    def head_recipe(self, head: str) -> str:
        """The training recipe of a head."""
        return self.config.prediction.library[head].recipe

    def marginal_recipe(self, head: str) -> str:
        """The training recipe of a head's marginal."""
        return self.config.prediction.library[head].marginal.recipe

    def linear_codec(self, representation: str) -> str | None:
        """The codec of a representation whose decoder to log-mel is linear, or None."""
        row = self.config.representations.library[self.base_of(representation)]
        if not isinstance(row, CodecRepresentation):
            return None
        is_linear = isinstance(self.config.codecs.library[row.codec], MelPcaCodecSettings)
        return row.codec if is_linear else None

    def section_names(self) -> list[str]:
        """Names of all frozen sections, as fine as steps read them (`splits`)."""
        return list(self.sections)
