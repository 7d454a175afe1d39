"""Which way round a user's arrays lie: [frames, dims] is read, [dims, frames] is refused.

Shapes: T frames of an utterance, D dimensions.
"""

from collections.abc import Mapping, Sequence

from engram_audio.errors import InputError

LENGTHS = 3  # so many different second sizes are lengths, and no mistake of a few files


def require_frames_first(shapes: Mapping[tuple[int, ...], int], name: str) -> None:
    """Refuse arrays of which only the second size varies: utterances differ in length, not in D.

    Args:
        shapes: How many arrays have each shape.
        name: Of the representation, for the message.

    Raises:
        InputError: They are [D, T].
    """
    first = {shape[0] for shape in shapes if len(shape) == 2}
    second = {shape[1] for shape in shapes if len(shape) == 2}
    is_common = max(shapes.values(), default=0) * 2 > sum(shapes.values())
    if len(first) == 1 and len(second) >= LENGTHS and not is_common:
        raise InputError(
            f"representations.library.{name}: the arrays have {first.pop()} rows each, and from "
            f"{min(second)} to {max(second)} columns; frames come first: save them transposed, as "
            "[frames, dims]"
        )


def doubtful_layout(shapes: Sequence[tuple[int, int]]) -> str | None:
    """Return how arrays of one shape [T, D] were read where T is below D; None for others."""
    frames, dims = shapes[0]
    if len(set(shapes)) > 1 or len(shapes) < 2 or frames >= dims:
        return None
    return (
        f"all arrays are read as {frames} frames of {dims} dimensions; transpose them if that is "
        "the wrong way round"
    )
