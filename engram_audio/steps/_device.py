"""`--device auto` made concrete; torch is imported only for what needs it."""

import atexit
import logging

from engram_audio.errors import InputError

LOG = logging.getLogger(__name__)


def resolve_device(requested: str, uses_torch: bool) -> str:
    """Return `cpu` or `cuda`.

    Raises:
        InputError: `cuda` was asked for and there is none.
    """
    if not uses_torch:
        return "cpu"
    import torch

    has_cuda = torch.cuda.is_available()
    if requested == "cuda" and not has_cuda:
        raise InputError("--device cuda: this machine has no CUDA device; use --device auto")
    device = "cuda" if has_cuda and requested != "cpu" else "cpu"
    LOG.info("device: %s", device)
    if device == "cuda":
        atexit.register(_note_memory)
    return device


def _note_memory() -> None:
    """Say what the step held at most: `bench/gpu.py` reads it."""
    import torch

    LOG.info("device memory: %.0f MiB at most", torch.cuda.max_memory_allocated() / 2**20)
