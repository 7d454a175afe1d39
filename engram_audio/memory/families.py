"""The nets of one family: wider ones, and ever simpler ones. Loads no torch."""

from collections.abc import Iterator

from engram_audio.densities.config import AnyHead

SMALLEST_WIDTH = 8


def widened(head: AnyHead, width: int, frame_width: int | None = None) -> AnyHead:
    """Return a head with other hidden layers.

    The embedding of a frame grows along, or a wide net would look through a narrow slit.

    Args:
        head: The family.
        width: Units of a hidden layer.
        frame_width: Embedding of a frame, where it is not to grow along.
    """
    narrow = head.trunk.frame_width
    along = max(narrow, narrow * width // head.trunk.width)
    sizes = {"width": width, "frame_width": along if frame_width is None else frame_width}
    return head.model_copy(update={"trunk": head.trunk.model_copy(update=sizes)})


def shrunk(head: AnyHead) -> Iterator[AnyHead]:
    """Give a head, then ever simpler ones: fewer components, fewer layers, then no linear base."""
    skips = (True, False) if head.is_linear_skip else (False,)
    for is_linear_skip in skips:
        own = head.model_copy(update={"is_linear_skip": is_linear_skip})
        yield own
        while own.components > 1:
            own = own.model_copy(update={"num_components": own.components // 2})
            yield own
        for num_layers in range(head.trunk.num_layers - 1, 0, -1):
            trunk = own.trunk.model_copy(update={"num_layers": num_layers})
            own = own.model_copy(update={"trunk": trunk})
            yield own
