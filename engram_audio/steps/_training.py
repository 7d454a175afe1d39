"""The outside of `training.loop` in every training step: checkpoints, signals, logs, errors."""

import ctypes
import logging
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from tqdm import tqdm

from engram_audio.artifacts.bundle import read_bundle, write_bundle
from engram_audio.errors import InputError
from engram_audio.provenance import canonical_json, text_digest
from engram_audio.section import Section
from engram_audio.steps._cli import StepFiles
from engram_audio.steps._shared import content_digest
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
    """True once SIGTERM has come: a scheduler is about to take the node.

    A training asks after every step and saves first. Outside of one there is nothing to save, and
    the signal ends the step at once.
    """

    def __init__(self) -> None:
        """Wait for no signal yet."""
        self.is_set = False
        self._is_asked = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        """Install the handler."""
        self._previous = signal.signal(signal.SIGTERM, self._set)
        return self

    def __exit__(self, *_: object) -> None:
        """Put the handler back that was there before."""
        signal.signal(signal.SIGTERM, self._previous)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Promise that the flag is asked inside of the block, so that the signal only sets it."""
        self._is_asked = True
        try:
            yield
        finally:
            self._is_asked = False

    def _set(self, number: int, frame: Any) -> None:
        del frame
        self.is_set = True
        if not self._is_asked:
            LOG.warning("signal %d: stopping", number)
            sys.exit(INTERRUPTED_EXIT_CODE)
        LOG.warning("signal %d: saving a checkpoint and stopping", number)

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


class TrainingRun:
    """The trainings of one step: the block of a `with` trains and writes what came out.

    A checkpoint belongs to the job's frozen file and to the content of every input that the step
    declares. When the block ends well, the checkpoints are removed, because the output is there.
    When it does not, they stay. A signal ends the step with its exit code, and a training that
    diverged is one line.
    """

    def __init__(
        self,
        files: StepFiles,
        recipe: TrainingRecipe | None,
        part_of: Section | None = None,
        fields_that_judge: Collection[str] = (),
    ) -> None:
        """Prepare the run of a step.

        Args:
            files: What the step reads and writes.
            recipe: How to train, or None where nothing is trained.
            part_of: The section that holds the recipe in its field `recipe`, where it is no section
                of its own.
            fields_that_judge: Fields of that section which judge a finished training. A checkpoint
                goes on under other values of them.
        """
        self._files, self._recipe, self._part_of = files, recipe, part_of
        self._fields_that_judge = fields_that_judge
        self._stop = StopFlag()
        self._checkpoints: list[Checkpoint] = []
        self._label = files.step

    def __enter__(self) -> Self:
        """Listen to signals."""
        self._stop.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Remove the checkpoints, or say why the run ended.

        Raises:
            InputError: The training diverged.
            SystemExit: It was asked to stop.
        """
        self._stop.__exit__()
        match error:
            case None:
                for checkpoint in self._checkpoints:
                    checkpoint.remove()
            case Interrupted():
                sys.exit(INTERRUPTED_EXIT_CODE)
            case FloatingPointError():
                raise InputError(self._divergence(error)) from error

    @property
    def recipe(self) -> TrainingRecipe:
        """How to train.

        Raises:
            InputError: The job names no recipe.
        """
        if self._recipe is None:
            raise InputError(f"{self._files.frozen.name}: names no training recipe; check the rule")
        return self._recipe

    @cached_property
    def inputs(self) -> dict[str, list[str]]:
        """Digest of the content of every declared input, by name."""
        files = self._files.input_files.items()
        return {name: [content_digest(path) for path in paths] for name, paths in files}

    @cached_property
    def key(self) -> str:
        """Digest of all that decides what is trained: the job, and every declared input."""
        role = "" if self._part_of is None else self._files.role_of(self._part_of)
        job = self._files.frozen.digest_without(role, self._fields_that_judge)
        return text_digest(canonical_json([job, self.inputs]))

    def train(
        self, label: str, train: Callable[[TrainingState | None, Callbacks], ResultT]
    ) -> ResultT:
        """Train from the checkpoint of this name on, or from the start; keep the end as another.

        Args:
            label: Name of the model among those of the step.
            train: Takes the state to go on from and the loop's callbacks.

        Raises:
            Interrupted: The signal came; the state was saved first.
        """
        keep_freed_memory()
        self._label = label
        checkpoint = self._checkpoint(label)
        self._checkpoints.append(checkpoint)
        with self._stop.asked():
            return train(checkpoint.load(), self._callbacks(checkpoint, label))

    def forget(self, label: str) -> None:
        """Remove the checkpoint of a training whose result is kept elsewhere."""
        self._checkpoint(label).remove()

    def _checkpoint(self, label: str) -> Checkpoint:
        folder = next(iter(self._files.output_files.values())).parent
        path = folder / f".checkpoint-{label}.safetensors"
        return Checkpoint(path, f"{self.key}/{label}")

    def _callbacks(self, checkpoint: Checkpoint, label: str) -> Callbacks:
        """Wire the loop: save, log lines, TensorBoard, a bar on a terminal."""
        folder = self._files.log_folder
        writer = _writer(folder / label) if folder and self.recipe.is_tensorboard_logged else None
        is_terminal = sys.stderr.isatty()
        bar = tqdm(total=self.recipe.num_steps, desc=label) if is_terminal else None

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

        return Callbacks(checkpoint.save, log, self._stop, progress, checkpoint.save)

    def _divergence(self, error: FloatingPointError) -> str:
        key = "learning_rate" if self._part_of is None else "recipe.learning_rate"
        section = self._files.section_name(self._part_of or self.recipe)
        return (
            f"{section}: {self._label} diverged: {error}; lower {key} from "
            f"{self.recipe.learning_rate:g}"
        )


def _writer(folder: Path) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
