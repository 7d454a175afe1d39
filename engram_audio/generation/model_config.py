"""Settings of a generator, of the memory in it, and what each arm of the comparison changes."""

from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, StringConstraints, model_validator

from engram_audio.generation.backbone_config import (
    OUTPUT,
    GeneratorSettings,
    place_before,
)
from engram_audio.kinds import Kind
from engram_audio.quantities import (
    Amount,
    Count,
    Frames,
    InnerShare,
    Listed,
    Orders,
    Share,
    Text,
    Width,
)

MAXIMUM_ROUTED_BITS = 20  # of the n-grams of one route: a million rows


Place = Annotated[
    str, StringConstraints(pattern=r"^(input|short|head|before_block_([2-9]|[1-9][0-9]+))$")
]


class MemoryKind(Kind):
    """What every memory in a generator has.

    Attributes:
        HAS_GATE: Whether a gate stands on what it adds, which a control can hold constant.
        READS_KEY: Whether rows are found by the key of frames, and not by bits of the state.
    """

    HAS_GATE: ClassVar[bool] = False
    READS_KEY: ClassVar[bool] = True

    key: Text = Field(
        description="Key in keys.library, for example last_frame.raw.kmeans_256. Where bits of the "
        "state find the rows, its frames are those that the control SMf reads."
    )
    ngram_orders: Orders = Field(min_length=1, description="Orders of the n-grams of codes.")
    table_learning_rate_factor: Amount = Field(
        description="Learning rate of the rows over that of the network; no weight decay."
    )
    table_moments: Literal["element", "row"] = Field(
        default="element",
        description="element: lazy Adam, two moments of each number. row: one mean of squares for "
        "each row and no first moment.",
    )

    @property
    def frames_back(self) -> int:
        """Frames before the newest key that it reads."""
        return max(self.ngram_orders) - 1

    @property
    def has_row_per_code(self) -> bool:
        """Whether each code has a row of its own, so that codes can be dealt to rows anew."""
        return False


class CodedInsertion(MemoryKind):
    """A memory whose rows are found by codes of a key."""

    MODULE: ClassVar[str] = "engram_audio.generation.row_memory"

    num_hashes: Count = Field(description="Hash heads per order, each with its own prime.")
    table_rows: Count | None = Field(
        ge=16,
        description="Rows per hash head; the next free prime above. null: a row for each code, "
        "which ngram_orders [1] with one hash head can have.",
    )

    has_signs: bool = Field(
        default=False,
        description="Whether each n-gram reads its hashed row under a fixed pattern of -1 and 1 of "
        "its own, so that those that share a row disturb each other less.",
    )

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        if self.has_signs and self.table_rows is None:
            raise ValueError(
                "has_signs: rows that each code has to itself share nothing; set it to false, or "
                "name table_rows"
            )
        if self.table_rows is None and (self.ngram_orders != (1,) or self.num_hashes != 1):
            raise ValueError(
                "table_rows: null gives each code a row; found ngram_orders "
                f"{list(self.ngram_orders)} and num_hashes {self.num_hashes}, which need table_rows"
            )
        return self

    @property
    def has_row_per_code(self) -> bool:
        """See `MemoryKind`."""
        return self.table_rows is None

    def places_in(self, settings: GeneratorSettings) -> tuple[str, ...]:
        """Return the places at which it adds: before every block."""
        return tuple(place_before(number) for number in range(settings.num_blocks))

    @property
    def own_row_width(self) -> int | None:
        """Numbers of a row; None where a row is added as it is."""
        return None

    @property
    def rows_per_frame(self) -> int:
        """Rows that a frame reads."""
        return len(self.ngram_orders) * self.num_hashes


class _PlacedInsertion(CodedInsertion):
    HAS_GATE: ClassVar[bool] = True

    places: Listed[Place] = Field(
        min_length=1,
        description="Where it is added: input, before_block_<n> (n from 2), short, head.",
    )
    row_width: Width = Field(description="Numbers of a row.")

    def places_in(self, settings: GeneratorSettings) -> tuple[str, ...]:
        """See `CodedInsertion.places_in`: its own."""
        del settings
        return self.places

    @property
    def own_row_width(self) -> int:
        """See `CodedInsertion.own_row_width`."""
        return self.row_width


class MinimalInsertion(_PlacedInsertion):
    """A row, projected, behind a gate that asks the hidden state."""

    kind: Literal["minimal"]


class EngramInsertion(_PlacedInsertion):
    """The Engram form: a gate that compares state and row, and a causal convolution."""

    kind: Literal["engram"]
    gate: Literal["paper", "signed_sqrt"] = Field(
        description="Logit: the paper's dot product, or the released code's signed root of it."
    )
    kernel_frames: Frames | None = Field(
        description="Taps of the causal convolution; null: there is none."
    )
    dilation_frames: Frames = Field(description="Distance of its taps.")

    @property
    def frames_back(self) -> int:
        """See `CodedInsertion.frames_back`; the convolution reads older rows too."""
        taps = 1 if self.kernel_frames is None else self.kernel_frames
        return super().frames_back + (taps - 1) * self.dilation_frames


class AdditiveInsertion(CodedInsertion):
    """A row of the hidden width times a learned scalar, added before every block."""

    kind: Literal["additive"]


class ValueInsertion(CodedInsertion):
    """A row added to the attention values of one head in every block."""

    kind: Literal["value"]


class OutputInsertion(CodedInsertion):
    """A law of the next frame by code, mixed with that of the head; the state stays as it is."""

    MODULE: ClassVar[str] = "engram_audio.generation.output_memory"

    kind: Literal["output"]
    num_components: Count = Field(
        default=256,
        ge=2,
        le=8192,
        description="Gaussians that all codes share, fitted to the train frames. A row is the "
        "logits of their weights.",
    )

    def places_in(self, settings: GeneratorSettings) -> tuple[str, ...]:
        """See `CodedInsertion.places_in`: behind the head."""
        del settings
        return (OUTPUT,)

    @property
    def own_row_width(self) -> int:
        """See `CodedInsertion.own_row_width`."""
        return self.num_components


class LatentInsertion(MemoryKind):
    """Rows found by n-grams of bits that a router reads off the hidden state itself.

    The key tells nothing that the state does not know: it can only be a cheaper function of it.
    """

    MODULE: ClassVar[str] = "engram_audio.generation.latent_ngrams"
    READS_KEY: ClassVar[bool] = False

    kind: Literal["latent_ngrams"]
    places: Listed[Place] = Field(
        min_length=1,
        description="Where it is added: input, before_block_<n> (n from 2), short, head.",
    )
    num_routes: Count = Field(le=256, description="Routes R, each with a symbol of its own.")
    num_bits: Count = Field(le=8, description="Bits M of a symbol: a route has 2 ** M of them.")
    row_width: Width = Field(description="Numbers of a row.")
    num_heads: Count = Field(le=64, description="Heads that ask for routes.")
    num_value_heads: Count = Field(
        le=64, description="Heads of keys and values, which heads that ask share."
    )
    head_width: Width = Field(description="Units of a head.")
    first_open_share: InnerShare = Field(
        description="Weight of all routes at the start; the rest is that of a sink without value."
    )
    router_sd: Amount = Field(
        default=1.0,
        description="SD of the router's weights at the start. Small planes turn fast: what tells "
        "the next frame is found sooner, and rows chase their codes for longer.",
    )
    router_share: Share = Field(
        description="Share of the training in which the router learns. Its weights then "
        "stay, but the state that it reads goes on training, so symbols still change."
    )

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        if self.num_heads % self.num_value_heads:
            raise ValueError(
                f"num_value_heads: {self.num_value_heads} do not divide num_heads {self.num_heads}"
            )
        if self.num_bits * max(self.ngram_orders) > MAXIMUM_ROUTED_BITS:
            raise ValueError(
                f"num_bits: {self.num_bits} bits and n-grams of {max(self.ngram_orders)} are "
                f"2 ** {self.num_bits * max(self.ngram_orders)} rows of each route, at most "
                f"2 ** {MAXIMUM_ROUTED_BITS} are allowed; take fewer bits"
            )
        return self

    @property
    def num_symbols(self) -> int:
        """Symbols K of a route."""
        return 2**self.num_bits

    def places_in(self, settings: GeneratorSettings) -> tuple[str, ...]:
        """Return its own places."""
        del settings
        return self.places


RowInsertion = (
    MinimalInsertion | EngramInsertion | AdditiveInsertion | ValueInsertion | OutputInsertion
)
AnyInsertion = RowInsertion | LatentInsertion
InsertionSettings = Annotated[AnyInsertion, Field(discriminator="kind")]


ArmName = Literal[
    "S",
    "SM",
    "F",
    "P",
    "SMx",
    "SM1",
    "SMm",
    "SMf",
    "SMn",
    "SMnx",
    "SMc",
    "SMa",
    "SMv",
    "SMo",
    "SMd",
    "SMl",
    "SMr",
    "SMu",
]
Source = Literal["rows", "residual_rows", "one_row", "state_network", "frame_network"]


class Arm(NamedTuple):
    """What an arm changes of the small generator with its memory.

    Attributes:
        meaning: In words.
        source: What is read at a key; None for a generator without memory.
        is_foreign: Whether it reads the codes of another utterance, which the caller gives.
        are_rows_frozen: Whether rows stay at their random start.
        is_gate_constant: Whether one trained scalar is the gate.
        is_late: Whether it reads the code of the frame before, in training too.
        is_router_fixed: Whether bits of the state are those of a random router, never trained.
        is_unigram: Whether it reads the newest code alone, and no n-gram.
        kind: The form of the insertion, where it is not that of the settings.
        matched: What of the memory's budget a wider model without memory has at least.
    """

    meaning: str
    source: Source | None = "rows"
    is_foreign: bool = False
    are_rows_frozen: bool = False
    is_gate_constant: bool = False
    is_late: bool = False
    is_router_fixed: bool = False
    is_unigram: bool = False
    kind: Literal["additive", "value", "output"] | None = None
    matched: Literal["flops_generated", "num_resident"] | None = None

    @property
    def reads_codes(self) -> bool:
        """Whether the key of each frame is searched."""
        return self.source in ("rows", "residual_rows")

    @property
    def holds_train_targets(self) -> bool:
        """Whether rows are made of all train targets: a score on these would be their own."""
        return self.source == "residual_rows"


ARMS: dict[ArmName, Arm] = {
    "S": Arm("the small generator", source=None),
    "SM": Arm("the small generator with memory"),
    "F": Arm(
        "a generator without memory that works as much per frame", source=None,
        matched="flops_generated",
    ),
    "P": Arm(
        "a generator without memory that holds as many numbers", source=None,
        matched="num_resident",
    ),
    "SMx": Arm("memory that reads the keys of another utterance", is_foreign=True),
    "SM1": Arm("memory of one row, whatever the key", source="one_row"),
    "SMm": Arm("a network of the state in place of the lookup", source="state_network"),
    "SMf": Arm("a network of the key's frames in place of the lookup", source="frame_network"),
    "SMn": Arm("memory whose rows stay random", are_rows_frozen=True),
    "SMnx": Arm(
        "memory whose rows stay random, with the keys of another utterance", is_foreign=True,
        are_rows_frozen=True,
    ),
    "SMc": Arm("memory whose gate is one number", is_gate_constant=True),
    "SMa": Arm("rows added before every block, without a gate", kind="additive"),
    "SMv": Arm("rows added to the attention values of one head", kind="value"),
    "SMo": Arm("a law of the next frame by key, mixed with the head's", kind="output"),
    "SMd": Arm(
        "memory whose rows are means of residuals of other speakers", source="residual_rows"
    ),
    "SMl": Arm("memory that reads the code of the frame before", is_late=True),
    "SMr": Arm("memory of the state's bits under a random router", is_router_fixed=True),
    "SMu": Arm("memory of the newest code alone, without n-grams", is_unigram=True),
}  # fmt: skip
