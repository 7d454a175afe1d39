"""Settings of keys: families of features, the quantisers that cut them, and how they are fitted.

A key is called `<family>.<input>.<quantizer>`, for example `pca.raw.kmeans_256`. Structure, memory
and rollout guards name it like that.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from engram_audio.choices import require
from engram_audio.keys.features import (
    Feature,
    LastFrame,
    MeanPool,
    PluginFeature,
    Predictor,
    PrincipalComponents,
    WholeContext,
)
from engram_audio.keys.inputs import INPUTS, input_names, input_of
from engram_audio.keys.learned_kinds import (
    Bits,
    Distilled,
    FiniteScalars,
    Laws,
    ProductLaws,
    ResidualLaws,
    StraightThrough,
    TunedLaws,
)
from engram_audio.keys.quantizers import (
    Hyperplanes,
    KeySize,
    KMeans,
    PluginQuantizer,
    Product,
    QuantileBins,
)
from engram_audio.quantities import Amount, AmountOrZero, Count, Frames, Listed, Name, Names, Seed
from engram_audio.section import Section
from engram_audio.views import ContextView, Viewed

FittedQuantizer = KMeans | QuantileBins | Product | Hyperplanes | PluginQuantizer
TrainedQuantizer = (
    Laws
    | TunedLaws
    | StraightThrough
    | FiniteScalars
    | ProductLaws
    | ResidualLaws
    | Bits
    | Distilled
)
AnyQuantizer = Annotated[FittedQuantizer | TrainedQuantizer, Field(discriminator="kind")]
TargetName = Literal["position", "delta"]
BaseName = Literal["none", "linear"]


MANY = 1 << 20  # features, where only the data knows how many


class _Family(Feature):
    IS_LEARNED: ClassVar[bool] = False  # whether networks are trained for it

    inputs: Names = Field(
        min_length=1, description="What the key sees: raw, speaker_centred, increments."
    )
    quantizers: Listed[Any] = Field(min_length=1, description="At least one.")

    @model_validator(mode="after")
    def _check_inputs(self) -> Self:
        for name in self.inputs:
            if name not in INPUTS:  # to ask what is installed takes longer than all else here
                require("inputs", name, input_names())
        return self

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [name for quantizer in self.quantizers for name in quantizer.names()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"quantizers: {name} is listed twice; drop one")
        return self

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        components = getattr(self, "num_components", None)
        if components:
            list(self.sizes(components))
        return self

    def sizes(self, num_features: int) -> Iterator[tuple[AnyQuantizer, KeySize]]:
        """Yield the quantisers of the family for features of Q dimensions, as they are listed."""
        for quantizer in self.quantizers:
            for size in quantizer.sizes(num_features):
                yield quantizer, size


class _FittedFamily(_Family):
    quantizers: Listed[Annotated[FittedQuantizer, Field(discriminator="kind")]] = Field(
        min_length=1, description="At least one."
    )


class MeanPoolKeys(_FittedFamily, MeanPool):
    """Mean of the context."""

    kind: Literal["mean_pool"]


class PcaKeys(_FittedFamily, PrincipalComponents):
    """Leading principal components of the flattened context."""

    kind: Literal["pca"]


class LastFrameKeys(_FittedFamily, LastFrame):
    """The newest frame of the context."""

    kind: Literal["last_frame"]


class PredictiveKeys(_FittedFamily, Predictor):
    """Reduced-rank regression of the next step on the context, fitted at each lag."""

    kind: Literal["predictive"]


class PluginKeys(_FittedFamily, PluginFeature):
    """A feature that another package brings."""


class LearnedKeys(_Family, WholeContext):
    """Codes of a trained network: of what it predicts at one lag, readable at every lag."""

    IS_LEARNED: ClassVar[bool] = True

    kind: Literal["learned"]
    target: TargetName = Field(description="What it is trained to tell: position or delta.")
    base: BaseName = Field(description="Beside what: none, or linear (residuals of ridge).")
    lag_frames: Frames = Field(description="Lag that it is trained at, frames.")
    quantizers: Listed[Annotated[TrainedQuantizer, Field(discriminator="kind")]] = Field(
        min_length=1, description="At least one."
    )

    @model_validator(mode="after")
    def _check_raw(self) -> Self:
        if self.inputs != ("raw",):
            raise ValueError(
                f"inputs: found {list(self.inputs)}; a learned key sees the whole context, so "
                "write [raw]"
            )
        return self

    @model_validator(mode="after")
    def _check_teachers(self) -> Self:
        names = [name for quantizer in self.quantizers for name in quantizer.names()]
        for row in self.quantizers:
            if row.kind == "distilled":
                others = [name for name in names if not name.startswith("distilled")]
                require("quantizers: teacher", row.teacher, others)
        return self


KeyFamily = Annotated[
    MeanPoolKeys | PcaKeys | LastFrameKeys | PredictiveKeys | PluginKeys | LearnedKeys,
    Field(discriminator="kind"),
]


class KeysValues(Section):
    """How all keys are fitted, views aside."""

    minimum_cell_frames: Count = Field(
        description="Train frames a fitted cell needs on average; a key of more cells is not made."
    )
    speaker_pseudo_frames: AmountOrZero = Field(
        description="Frames of the train mean in the mean of a speaker's frames so far."
    )
    ridge: Amount = Field(
        description="Ridge of the predictive feature, relative to the mean variance."
    )
    block_frames: Count = Field(ge=1024, description="Frames read at a time; bounds memory.")
    fit_memory_gib: Amount = Field(description="Memory for the features that k-means fits on.")
    kmeans_restarts: Count = Field(description="k-means++ restarts on the subsample.")
    kmeans_iterations: Count = Field(description="Most Lloyd iterations.")
    seed: Seed = Field(description="Seed of k-means and of random hyperplanes.")


class KeysSection(KeysValues, ContextView, Viewed):
    """How all keys are fitted, as the step reads it."""


class KeysSettings(KeysValues):
    """Keys by family; what nothing names is not fitted."""

    library: dict[Name, KeyFamily] = Field(description="Key families by name.")

    def used(self, names: Collection[str]) -> Self:
        """Return the keys of the families that some setting names."""
        rows = {name: family for name, family in self.library.items() if name in names}
        return self.model_copy(update={"library": rows})


def key_name(family: str, key_input: str, quantizer: str) -> str:
    """Return the name of a key."""
    return f"{family}.{key_input}.{quantizer}"


def family_of(key: str) -> str:
    """Return the family of a key's name."""
    return key.split(".")[0]


def key_sizes(library: Mapping[str, KeyFamily]) -> dict[str, KeySize]:
    """Return the size of every key of some families, by key name, in configuration order.

    A kind of which only the data knows K is left out: quantile bins of whole frames.
    """
    return {
        key_name(name, key_input, size.name): size
        for name, family in library.items()
        for key_input in family.inputs
        for size in _sizes_known(family)
    }


def _sizes_known(family: KeyFamily) -> list[KeySize]:
    components = getattr(family, "num_components", None)
    kinds = [row for row in family.quantizers if components or not row.needs_width]
    return [size for row in kinds for size in row.sizes(components or MANY)]


def registered_part(name: str, section: KeyFamily, keys: Collection[str]) -> KeyFamily | None:
    """Return a family cut to the inputs and quantisers that some keys have; None if none has."""
    own = [key.split(".") for key in keys if family_of(key) == name]
    inputs = tuple(one for one in section.inputs if one in {part[1] for part in own})
    cut = (row.cut({part[2] for part in own}) for row in section.quantizers)
    changes = {"inputs": inputs, "quantizers": tuple(row for row in cut if row is not None)}
    return section.model_copy(update=changes) if own else None


class NamedKey(NamedTuple):
    """What the settings say of a key.

    Attributes:
        family: Its family.
        key_input: Its input.
        quantizer: Its quantiser.
        num_codes: K.
    """

    family: KeyFamily
    key_input: str
    quantizer: AnyQuantizer
    num_codes: int

    def state_frames(self, window_frames: int) -> int:
        """Return how many frames of a context it sees."""
        rows = input_of(self.key_input).window_frames(window_frames)
        return window_frames if self.family.sees_window else 1 + window_frames - rows


def require_context_key(
    where: str, key: str, library: Mapping[str, KeyFamily], reader: str | None = None
) -> NamedKey:
    """Return a key that a batch of contexts is coded by.

    Args:
        where: The configuration key that names it.
        key: Its name.
        library: Key families.
        reader: Who reads contexts alone, for the message; None where the speaker's mean so far
            comes with them.

    Raises:
        ValueError: There is no such key, or contexts alone do not tell it.
    """
    sizes = key_sizes(library)
    require(where, key, sizes)
    family, key_input, quantizer = key.split(".")
    if reader is not None and input_of(key_input).is_centred:
        raise ValueError(
            f"{where}: {key} is centred by speaker, and {reader} reads contexts that do not know "
            "their speaker; name a key of the input raw or increments"
        )
    rows = library[family].quantizers
    (own,) = (row for row in rows if quantizer in row.names())
    return NamedKey(library[family], key_input, own, sizes[key].num_codes)
