"""Checkpoints, signals and logs of a training step: the outside of `training.loop`."""

import ctypes
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from engram_audio.artifacts.bundle import read_bundle, write_bundle
from engram_audio.errors import InputError
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, Interrupted, TrainingState
from engram_audio.training.packing import pack_state, unpack_state

ResultT = TypeVar("ResultT")
LOG = logging.getLogger(__name__)
INTERRUPTED_EXIT_CODE = 128 + signal.SIGTERM
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # glibc's malloc.h
KEPT_BYTES = 2**30


def keep_freed_memory() -> bool:
    """Let the process keep blocks that it frees, if the C library is glibc; return whether it is.

    Gradients are freed and asked for again at every step. Given back in between, each step pays for
    fresh pages: the weight gradient of a wide head is 1.5 x as slow (`bench/training.py`).
    """
    try:
        library = ctypes.CDLL(None)
        if not hasattr(library, "gnu_get_libc_version"):
            return False
        return all(
            library.mallopt(option, KEPT_BYTES) for option in (MMAP_THRESHOLD, TRIM_THRESHOLD)
        )
    except (AttributeError, OSError, TypeError):  # another operating system
        return False


class StopFlag:
    """True once SIGTERM has come (a scheduler about to take the node); the step ends soon."""

    def __init__(self) -> None:
        """Install the handler."""
        self.is_set = False
        signal.signal(signal.SIGTERM, self._set)

    def _set(self, number: int, frame: Any) -> None:
        del frame
        LOG.warning("signal %d: saving a checkpoint and stopping", number)
        self.is_set = True

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.is_set


class Checkpoint:
    """One resumable state beside the declared outputs, valid for one key only."""

    def __init__(self, path: Path, key: str) -> None:
        """Name the file; everything that decides the run must be in the key."""
        self._path, self._key = path, key

    def load(self) -> TrainingState | None:
        """Return the state to go on from, or None; another key or a damaged file is no state."""
        if not self._path.is_file():
            return None
        try:
            arrays, header = read_bundle(self._path)
        except InputError as error:
            LOG.warning("%s; starting anew", error)
            return None
        if header.get("key") != self._key:
            LOG.info("%s belongs to another configuration; starting anew", self._path)
            return None
        state = unpack_state(arrays, header)
        LOG.info("going on from step %d of %s", state.step, self._path)
        return state

    def save(self, state: TrainingState) -> None:
        """Write the state atomically."""
        arrays, header = pack_state(state)
        write_bundle(self._path, arrays, {**header, "key": self._key})

    def remove(self) -> None:
        """Remove the file; the declared output is there."""
        self._path.unlink(missing_ok=True)


def callbacks(
    checkpoint: Checkpoint,
    stop: StopFlag,
    recipe: TrainingRecipe,
    label: str,
    tensorboard: Path | None,
) -> Callbacks:
    """Wire the loop: save, log lines, TensorBoard, a bar on a terminal."""
    writer = _writer(tensorboard / label) if tensorboard and recipe.is_tensorboard_logged else None
    bar = tqdm(total=recipe.num_steps, desc=label) if sys.stderr.isatty() else None

    def log(record: dict[str, float]) -> None:
        if bar is None:
            LOG.info("%s: %s", label, ", ".join(f"{k} {v:.6g}" for k, v in record.items()))
        if writer is not None:
            for name, value in record.items():
                writer.add_scalar(name, value, int(record["step"]))
            writer.flush()

    def progress(step: int) -> None:
        if bar is not None:
            bar.update(step - bar.n)

    return Callbacks(save=checkpoint.save, log=log, should_stop=stop, progress=progress)


def run_resumable(
    checkpoint: Checkpoint,
    stop: StopFlag,
    recipe: TrainingRecipe,
    label: str,
    tensorboard: Path | None,
    run: Callable[[TrainingState | None, Callbacks], ResultT],
    state_of: Callable[[ResultT], TrainingState],
) -> ResultT:
    """Train from the checkpoint on; exit as interrupted when asked to stop, else keep the end."""
    wired = callbacks(checkpoint, stop, recipe, label, tensorboard)
    try:
        result = run(checkpoint.load(), wired)
    except Interrupted:
        sys.exit(INTERRUPTED_EXIT_CODE)
    checkpoint.save(state_of(result))
    return result


def _writer(folder: Path) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
