"""Settings of the generation stage: which generators with which arms are trained on what."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from engram_audio.choices import chosen, require, require_listed
from engram_audio.comparison.config import is_decodable
from engram_audio.generation.arm_checks import (
    check_insertion,
    require_arm,
    require_guided,
    require_model,
)
from engram_audio.generation.audio_config import AudioSection
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.cost_config import ProbesSection, SizesSection, has_shares
from engram_audio.generation.factorized.config import FactorizedSection
from engram_audio.generation.model_config import (
    ARMS,
    ArmName,
    InsertionSettings,
)
from engram_audio.keys.config import KeyFamily, require_context_key
from engram_audio.latents.config import RepresentationSection
from engram_audio.prediction.config import PredictionSettings
from engram_audio.quantities import (
    Amount,
    AmountOrZero,
    AmountsOrZero,
    Count,
    Frames,
    Horizons,
    Listed,
    Name,
    Names,
    Seed,
    Seeds,
    ShareBelowOne,
    Text,
    ascending,
)
from engram_audio.section import Section
from engram_audio.training.config import TrainingRecipe, require_warmup

NEEDED = ("S", "SM", "F", "SMx")  # without these nothing is answered
JUDGED_FREE = ("SM", "F")  # arms whose free runs the word compares
Arms = Annotated[Listed[ArmName], Field(min_length=1)]
StepCounts = Annotated[tuple[Count, ...], AfterValidator(ascending)]


class GeneratorPoint(Section):
    """One point of the grid that every arm is tuned on."""

    learning_rate: Amount = Field(description="Peak learning rate.")
    dropout: ShareBelowOne = Field(description="Dropout of the backbone.")


class GeneratorSection(Section):
    """A generator: its backbone and head, and the memory that SM has."""

    recipe: Text = Field(description="Name under recipes; each point has a rate of its own.")
    arms: Arms = Field(description="Arms that are trained on representations, worlds aside.")
    model: GeneratorSettings
    insertion: InsertionSettings


class ReplaySection(Section):
    """Trainings of S and SM for a number of passes over train: does a memory memorise?"""

    passes: StepCounts = Field(description="Passes over train. []: no replay is trained.")
    is_permuted: bool = Field(
        description="Whether SM is also trained with its codes dealt to the rows anew before each "
        "pass. Needs a row for each code and no noise."
    )
    minimum_visits: StepCounts = Field(
        description="Visits in train below which a row is masked, each scored beside none masked."
    )


class GenerationProtocol(SizesSection):
    """How every arm is tuned, trained and compared."""

    seeds: Seeds = Field(min_length=1, description="Training seeds, the same for every arm.")
    points: Listed[GeneratorPoint] = Field(
        min_length=1,
        description="Points that each arm is tried with, with the first seed at full length; "
        "its best on select is kept. One point: nothing is tuned.",
    )
    shorter_steps: StepCounts = Field(
        description="Numbers of steps below the recipe's. Each arm is trained anew with each of "
        "them, and gains are published beside those of the full length."
    )
    repeated_arms: Listed[ArmName] = Field(
        description="Arms whose first seed is trained once more: the floor of reproducibility."
    )
    replay: ReplaySection

    def of_arms_alone(self) -> Self:
        """Return it for arms over z_dyn: trained once for every seed, and nothing beside."""
        nothing = self.replay.model_copy(update={"passes": ()})
        sizes = dict.fromkeys(SizesSection.model_fields)
        return self.model_copy(
            update={"shorter_steps": (), "repeated_arms": (), "replay": nothing, **sizes}
        )


class GenerationEvaluationSection(Section):
    """On what generators are scored, and how they run free."""

    batch_utterances: Count = Field(description="Utterances scored at a time.")
    num_starts: Count = Field(ge=8, description="True eval contexts that free runs start from.")
    num_samples: Count = Field(ge=2, description="Paths from each.")
    horizon_frames: Frames = Field(ge=4, description="Steps of a free run.")
    scored_horizons_frames: Horizons = Field(
        min_length=1, description="Horizons with rows of their own."
    )
    free_arms: Listed[ArmName] = Field(description="Arms that run free.")
    has_swaps: bool = Field(
        description="Whether SM is also scored, and run free, by other codes than its own: a "
        "diagnostic, never evidence."
    )
    noise_sds: AmountsOrZero = Field(
        description="SD of the noise under which keys are read, in SD of the train frames."
    )
    seed: Seed = Field(description="Seed of starts and draws.")

    @model_validator(mode="after")
    def _check_horizons(self) -> Self:
        if self.scored_horizons_frames[-1] != self.horizon_frames:
            raise ValueError(
                f"scored_horizons_frames: {list(self.scored_horizons_frames)} must end with "
                f"horizon_frames {self.horizon_frames}, at which health is judged"
            )
        return self


class GenerationBarsSection(Section):
    """What the word of the stage asks beside gains."""

    maximum_health_loss: AmountOrZero = Field(
        description="How much farther SM's free runs may lie from data than F's: excess energy "
        "distance, SD of the train frames."
    )
    maximum_excess_distance: AmountOrZero = Field(
        description="Energy distance beyond that of true stretches, at which runs still look like "
        "data; for the question of noise."
    )
    maximum_excess_off_support: AmountOrZero = Field(
        description="Share off the support beyond that of true stretches, likewise."
    )


class GenerationSettings(GenerationProtocol):
    """The stage: its generators, and which of them run on what."""

    representations: Names = Field(description="Base representations that are generated.")
    generators: Names = Field(description="Generators that are trained.")
    worlds: Names = Field(
        description="Worlds of calibration.worlds.names that are generated too: answers are known."
    )
    world_arms: dict[Name, Arms] = Field(description="Arms that are trained on a world.")
    library: dict[Name, GeneratorSection] = Field(description="Generators by name.")
    evaluation: GenerationEvaluationSection
    bars: GenerationBarsSection
    probes: ProbesSection
    audio: AudioSection
    factorized: FactorizedSection

    @property
    def protocol(self) -> GenerationProtocol:
        """The part that every step reads."""
        return GenerationProtocol(
            **{name: getattr(self, name) for name in GenerationProtocol.model_fields}
        )

    @property
    def is_asked(self) -> bool:
        """Whether anything is generated."""
        return bool(self.representations or self.worlds)

    def used(self) -> "GenerationSettings":
        """Return the stage with what runs only.

        Raises:
            ValueError: A list names what no library defines.
        """
        if not self.is_asked:
            return self.model_copy(update={"library": {}, "world_arms": {}})
        library = chosen(
            "generation.generators", self.generators, self.library, "generation.library"
        )
        worlds = chosen("generation.worlds", self.worlds, self.world_arms, "generation.world_arms")
        return self.model_copy(update={"library": library, "world_arms": worlds})

    def arms_lists(self) -> dict[str, tuple[ArmName, ...]]:
        """Return the arms by the key that lists them."""
        found = {f"generation.library.{name}.arms": row.arms for name, row in self.library.items()}
        if not self.representations:
            found = {}
        return found | {f"generation.world_arms.{n}": arms for n, arms in self.world_arms.items()}


def check_generation(
    stage: GenerationSettings,
    prediction: PredictionSettings,
    world_names: tuple[str, ...],
    keys: Mapping[str, KeyFamily],
    window_frames: int,
    recipes: Mapping[str, TrainingRecipe],
) -> None:
    """Check what is generated against the stages that it stands on.

    Args:
        stage: The stage, with what runs only.
        prediction: The prediction stage.
        world_names: Worlds that are simulated.
        keys: Key families by name.
        window_frames: W, frames of context that a key sees.
        recipes: All training recipes.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    if not stage.is_asked:
        return
    if not stage.library:
        raise ValueError("generation.generators: name at least one, or no representations")
    for name in stage.representations:
        key, listed = "generation.representations", "prediction.representations"
        require_listed(key, name, listed, prediction.representations)
    for name in stage.worlds:
        listed = "calibration.worlds.names"
        require_listed("generation.worlds", name, listed, world_names)
    require("prediction.lags_frames", 1, prediction.lags_frames)
    for name, row in stage.library.items():
        _check_generator(f"generation.library.{name}", row, stage, keys, window_frames, recipes)
    arms_lists = stage.arms_lists()
    for key, arms in arms_lists.items():
        _check_arms(key, arms, stage)
    _check_free_arms(stage.evaluation.free_arms)
    trained = tuple(dict.fromkeys(arm for arms in arms_lists.values() for arm in arms))
    for field, named in (
        ("evaluation.free_arms", stage.evaluation.free_arms),
        ("repeated_arms", stage.repeated_arms),
    ):
        for arm in named:
            require_listed(f"generation.{field}", arm, " or ".join(arms_lists), trained)


def _check_generator(
    where: str,
    row: GeneratorSection,
    stage: GenerationSettings,
    keys: Mapping[str, KeyFamily],
    window_frames: int,
    recipes: Mapping[str, TrainingRecipe],
) -> None:
    require(f"{where}.recipe", row.recipe, recipes)
    row.model.head.require_installed(f"{where}.model.head")
    key = require_context_key(f"{where}.insertion.key", row.insertion.key, keys, "a generator")
    check_insertion(f"{where}.insertion", row.insertion, row.model)
    reach = key.state_frames(window_frames) + row.insertion.frames_back
    if reach > row.model.chunk_frames:
        raise ValueError(
            f"{where}.insertion: its key, n-grams and convolution reach {reach} frames back, but "
            f"training sees chunk_frames {row.model.chunk_frames}; shorten them"
        )
    if row.model.key_reads == "clean" and row.model.noise.kind != "none":
        raise ValueError(
            f"{where}.model.key_reads: clean keys beside noised frames are a short context of "
            "their own, for which this stage has no control; write noised"
        )
    _check_costs(where, row, stage)
    has_rows = row.insertion.has_row_per_code and row.model.noise.kind == "none"
    if stage.replay.passes and stage.replay.is_permuted and not has_rows:
        raise ValueError(
            f"generation.replay.is_permuted: {where} has hashed rows or noise, for which codes "
            "cannot be dealt to rows anew; set it to false"
        )
    recipe = recipes[row.recipe]
    if recipe.tuning is not None:
        raise ValueError(
            f"recipes.{row.recipe}.tuning: generators are tuned on generation.points; set it to "
            "null, or name another recipe"
        )
    for steps in stage.shorter_steps:
        if steps >= recipe.num_steps:
            raise ValueError(
                f"generation.shorter_steps: {steps} is not below the num_steps "
                f"{recipe.num_steps} of recipes.{row.recipe}; name fewer steps"
            )
        shorter = recipe.model_copy(update={"num_steps": steps})
        require_warmup("generation.shorter_steps", recipe.warmup_steps, shorter)


def _check_costs(where: str, row: GeneratorSection, stage: GenerationSettings) -> None:
    """Refuse sizes and probes of generators that cannot have them."""
    asked = [name for name in SizesSection.model_fields if getattr(stage, name) is not None]
    asked += ["probes.names"] if stage.probes.names else []
    if asked and not row.model.head.HAS_DENSITY:
        raise ValueError(
            f"generation.{asked[0]}: is answered in nats by an exact density; found "
            f"{row.model.head.kind} in {where}.model.head; leave it null or empty"
        )
    condition = row.model.condition
    asked += ["factorized.states"] if stage.factorized.states else []
    if asked and condition is not None:
        keys = ", ".join(f"generation.{name}" for name in asked)
        raise ValueError(
            f"{keys}: tells no text and no prompt, which {where}.model.condition asks for; leave "
            "it null or empty, or set the condition to null"
        )
    if stage.worlds and condition is not None and condition.text is not None:
        raise ValueError(
            f"generation.worlds: has no transcripts, which {where}.model.condition.text asks for; "
            "leave it empty, or set the text to null"
        )
    if stage.probes.names and not row.insertion.READS_KEY:
        raise ValueError(
            f"generation.probes.names: ask for the codes of a key, which {where}.insertion of kind "
            f"{row.insertion.kind} does not read; leave it empty"
        )
    if stage.share_sweep is not None and not has_shares(row.insertion):
        raise ValueError(
            f"generation.share_sweep: {where}.insertion of kind {row.insertion.kind} has rows of "
            "one size, which no share can change; give it table_rows, or take the kind minimal"
        )


def _check_free_arms(free_arms: tuple[ArmName, ...]) -> None:
    """Refuse a study whose health nobody can judge."""
    absent = [name for name in JUDGED_FREE if name not in free_arms]
    if absent:
        raise ValueError(
            f"generation.evaluation.free_arms: lacks {' and '.join(absent)}, whose free runs are "
            "compared for the word; add them"
        )


def _check_arms(key: str, arms: tuple[ArmName, ...], stage: GenerationSettings) -> None:
    absent = [name for name in NEEDED if name not in arms]
    if absent:
        raise ValueError(
            f"{key}: lacks {', '.join(absent)}, without which no gain has a meaning; add them"
        )
    for row in stage.library.values():
        for arm in arms:
            require_arm(arm, row.insertion)
            require_model(key, arm, row.insertion, row.model)


def check_audio(stage: GenerationSettings, rows: Mapping[str, RepresentationSection]) -> None:
    """Check what is decoded against what is generated.

    Args:
        stage: The stage, with what runs only.
        rows: Used representations by name.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    key, audio = "generation.audio", stage.audio
    for name in audio.representations:
        listed = "generation.representations"
        require_listed(f"{key}.representations", name, listed, stage.representations)
        if not is_decodable(rows, name):
            raise ValueError(
                f"{key}.representations: {name} is not decoded by a codec on whole audio; take it "
                "out"
            )
    if not audio.representations:
        return
    if (audio.temperature, audio.guidance) != (1, 1) and stage.factorized.states:
        raise ValueError(
            f"{key}.temperature: arms of generation.factorized.states are drawn plainly; set "
            "temperature and guidance to 1.0, or name no states"
        )
    for arm in audio.arms:
        for name, row in stage.library.items():
            require_listed(f"{key}.arms", arm, f"generation.library.{name}.arms", row.arms)
            if audio.guidance != 1:
                require_guided(f"{key}.guidance", arm, row.insertion, row.model)
        if ARMS[arm].is_foreign:
            raise ValueError(
                f"{key}.arms: {arm} reads the keys of another utterance and cannot go on from one "
                "alone; take it out"
            )
