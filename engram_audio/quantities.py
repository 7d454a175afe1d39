"""Types of settings: what a share, a count, a time or a list of names may be.

A field takes its bounds from its type, so that no field is without. A field whose own bounds are
narrower says so beside it: `num_folds: Count = Field(ge=2)`.
"""

import itertools
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

ValueT = TypeVar("ValueT")
MAXIMUM_COUNT = 2**31 - 1
MAXIMUM_SEED = 2**63 - 1  # what NumPy and torch take
MAXIMUM_WIDTH = 2**16  # of a layer, in units
MAXIMUM_LAYERS = 1000
MAXIMUM_FRAMES = 4096  # of a window, a lag or a horizon: minutes of speech
MAXIMUM_AMOUNT = 1e9  # in float32 its square is still a number
MAXIMUM_DURATION_S = 86_400.0
MAXIMUM_RATE_HZ = 1_000_000
# Of frames. A frame of more than a second outlasts words, and utterances of seconds then hold fewer
# frames than a context. A frame below a millisecond is shorter than any period of a voice.
MINIMUM_FRAME_RATE_HZ, MAXIMUM_FRAME_RATE_HZ = 1.0, 1000.0


def written(value: object) -> str:
    """Return a value as YAML has it: a section as a map of its keys."""
    return repr(value.model_dump() if isinstance(value, BaseModel) else value)


def distinct(values: tuple[ValueT, ...]) -> tuple[ValueT, ...]:
    """Refuse a list that names something twice.

    Raises:
        ValueError: Says what.
    """
    seen = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{written(value)} stands there twice; list each once")
        seen.add(value)
    return values


def ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse numbers that do not ascend.

    Raises:
        ValueError: Says what was found.
    """
    for before, after in itertools.pairwise(values):
        if not before < after:
            raise ValueError(
                f"{after!r} stands after {before!r} in {list(values)}; list each once, in "
                "ascending order"
            )
    return values


def ordered(ends: tuple[float, float]) -> tuple[float, float]:
    """Refuse a range that is empty or reversed.

    Raises:
        ValueError: Says what was found.
    """
    if not ends[0] < ends[1]:
        raise ValueError(f"found {list(ends)}; write two different ends, the lower end first")
    return ends


def spoken(text: str) -> str:
    """Refuse a text of blanks, or with blanks around it.

    Raises:
        ValueError: Says which.
    """
    if not text.strip():
        raise ValueError(f"found {text!r}, which is blank; write a text, or leave the key out")
    if text != text.strip():
        raise ValueError(f"found {text!r}, with blanks around it; write {text.strip()!r}")
    return text


# Numbers. A share is a part of a whole.
Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
InnerShare = Annotated[float, Field(gt=0, lt=1)]
Amount = Annotated[float, Field(gt=0, le=MAXIMUM_AMOUNT)]
AmountOrZero = Annotated[float, Field(ge=0, le=MAXIMUM_AMOUNT)]
Duration = Annotated[float, Field(gt=0, le=MAXIMUM_DURATION_S)]  # seconds
Count = Annotated[int, Field(ge=1, le=MAXIMUM_COUNT)]
CountOrZero = Annotated[int, Field(ge=0, le=MAXIMUM_COUNT)]
Width = Annotated[int, Field(ge=1, le=MAXIMUM_WIDTH)]
NumComponents = Annotated[int, Field(ge=1, le=MAXIMUM_WIDTH)]  # of a mixture, or of a basis
NumLayers = Annotated[int, Field(ge=1, le=MAXIMUM_LAYERS)]
Frames = Annotated[int, Field(ge=1, le=MAXIMUM_FRAMES)]
FramesOrZero = Annotated[int, Field(ge=0, le=MAXIMUM_FRAMES)]
Seed = Annotated[int, Field(ge=0, le=MAXIMUM_SEED)]
NgramOrder = Annotated[int, Field(ge=1, le=63)]  # two codes already need 63 bits

# Texts.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Text = Annotated[str, AfterValidator(spoken)]

# Lists name nothing twice.
Listed = Annotated[tuple[ValueT, ...], AfterValidator(distinct)]
Names = Listed[Text]
Counts = Listed[Count]
Widths = Listed[Width]
Lags = Listed[Frames]
Orders = Listed[NgramOrder]
Seeds = Listed[Seed]
Shares = Listed[InnerShare]
PositiveShares = Listed[PositiveShare]
Amounts = Listed[Amount]
AmountsOrZero = Listed[AmountOrZero]
Horizons = Annotated[tuple[Frames, ...], AfterValidator(ascending)]

# The lower end first.
Fractions = Annotated[tuple[Share, Share], AfterValidator(ordered)]
Logarithm = Annotated[float, Field(ge=-80, le=80)]  # its exponential is a number in float32
LogRange = Annotated[tuple[Logarithm, Logarithm], AfterValidator(ordered)]
