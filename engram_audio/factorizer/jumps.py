"""What the gradient through a sample leaves out: a mixture's sample jumps to another component.

Shapes: B sequences, N draws of each.
"""

from torch import Tensor


def jump_gradient(losses: Tensor, log_choice: Tensor) -> Tensor:
    """Return 0, with the gradient of an expected loss by how often components are drawn.

    The mean loss of the other sequences is taken off first. It knows nothing of the draw, so it
    moves no mean, and it takes most of the noise away.

    Args:
        losses: What each draw has an effect on, parts of one sum, [B, N].
        log_choice: Log probability of what each draw chose, [B, N].
    """
    others = max(len(losses) - 1, 1)
    advantage = (losses - losses.mean(0)) * len(losses) / others if len(losses) > 1 else losses
    whole = (advantage.detach() * log_choice).sum()
    return whole - whole.detach()
