"""n-grams of codes, and the control whose keys are those of other contexts.

Shapes: B targets, n codes.
"""

from torch import Tensor

SHUFFLED_SHARE = 0.381966  # 2 less the golden ratio: far from every fraction of small numbers


def foreign_contexts(contexts: Tensor) -> Tensor:
    """Return the contexts of other targets of a batch, [B, ...]: the control with shuffled keys.

    Rolled by a share near no fraction of small numbers: half of a batch of samples by starts would
    be another sample of the same start, which has nearly the same key. A batch of one has none.
    """
    return contexts.roll(max(round(SHUFFLED_SHARE * len(contexts)), 1), 0)


def foreign_parts(context: Tensor, so_far: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the contexts of other targets with what their speakers have said so far."""
    return foreign_contexts(context), None if so_far is None else foreign_contexts(so_far)


def ngram_ids(codes: Tensor, order: int, num_codes: int) -> Tensor:
    """Return one exact number per n-gram of the newest `order` codes, shape [B], int64.

    Raises:
        ValueError: The numbers do not fit into 63 bits.
    """
    if num_codes**order >= 2**63:
        raise ValueError(
            f"{num_codes} codes in n-grams of order {order} do not fit into 63 bits; "
            "use fewer codes or a lower order"
        )
    number = codes[:, order - 1].contiguous()
    for age in range(order - 2, -1, -1):
        number = number * num_codes + codes[:, age]
    return number
