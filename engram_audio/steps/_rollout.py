"""What the rollout steps read in the same way: the base that takes the steps, methods, guards."""

from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.densities.config import PredictionSection
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.reference import Reference
from engram_audio.errors import InputError
from engram_audio.memory.config import AnyMemory, MemorySection
from engram_audio.memory.names import MEMORY
from engram_audio.memory.reading import memory_of
from engram_audio.rollout.fit import build_model
from engram_audio.rollout.frame import Frame, linear_density
from engram_audio.rollout.method_config import (
    LINEAR_BASE,
    AnyMethod,
    MethodSection,
    memory_base,
    memory_label,
)
from engram_audio.rollout.storage import AnyGuard, load_weights, unpack_guard
from engram_audio.section import validated
from engram_audio.steps._cli import Frozen, StepFiles
from engram_audio.steps._frames import read_nulls
from engram_audio.steps._memory import read_memory
from engram_audio.steps._prediction import read_models

STEP_EVENT = "delta"  # at lag 1 one model scores both events


class RolloutFiles(NamedTuple):
    """Files that a method stands on.

    Attributes:
        base_model: The trained head under it, or under its memory.
        memory: The memory that takes its steps.
        tuned_model: The tuned head that a lookup was fitted on anew.
        tuned: That head's method.
    """

    base_model: Path | None
    memory: Path | None = None
    tuned_model: Path | None = None
    tuned: AnyMethod | None = None


class MethodFiles(StepFiles):
    """What every step reads that runs a trained method."""

    method_section: Frozen[MethodSection]
    tuned_section: Frozen[MethodSection | None]
    base_model: Path | None
    memory: Path | None
    tuned_model: Path | None


def bases_of(files: MethodFiles) -> RolloutFiles:
    """Return what the method of a step stands on."""
    return RolloutFiles(files.base_model, files.memory, files.tuned_model, files.tuned_section)


def open_base(
    settings: AnyMethod, files: RolloutFiles, reference: Reference, frame: Frame
) -> nn.Module | None:
    """Return the density that takes a method's steps; None for a forecaster.

    The one place where a kind of base is opened: a head, the linear null, a memory.

    Raises:
        InputError: The base needs a file, or the file holds no step of delta.
    """
    if not settings.base_name:
        return None
    if settings.base_name == LINEAR_BASE:
        return linear_density(frame.linear_nulls)
    if memory_base(settings.base_name) is not None:
        if files.memory is None:
            raise InputError(
                f"base {settings.base_name}: its file is missing; name it with --memory"
            )
        stored = read_memory(files.memory, frame.linear_nulls, 1, files.base_model, reference)
        return stored.models[memory_label(settings.base_name)]
    if files.base_model is None:
        raise InputError(
            f"base {settings.base_name}: its file is missing; name it with --base-model"
        )
    models = read_models(files.base_model, "models", reference)
    if STEP_EVENT not in models and "position" not in models:
        raise InputError(f"{files.base_model}: holds no density of a step; train the head at lag 1")
    return models.get(STEP_EVENT) or models["position"]


def knows_speaker(model: nn.Module) -> bool:
    """Whether a model reads a memory whose key is centred by speaker."""
    memory = memory_of(model)
    return memory is not None and memory.key.fitted.is_centred


def read_frame(nulls: Path, section: PredictionSection) -> tuple[Reference, Frame]:
    """Read the train statistics and linear nulls that every method's structure hangs on."""
    reference, linear_nulls = read_nulls(nulls)
    return reference, Frame(reference.input_scales, linear_nulls, section.window_frames)


def read_method(
    model: Path, settings: AnyMethod, files: RolloutFiles, reference: Reference, frame: Frame
) -> tuple[nn.Module, AnyGuard | None]:
    """Read what `train_rollout` or `refit_memory` wrote: the model and its guard."""
    arrays, header = read_bundle(model)
    try:
        if settings.refit_of is not None:
            return _read_refit(arrays, header, files, reference, frame), None
        base = open_base(settings, files, reference, frame)
        built = load_weights(build_model(settings, frame, base, 0), arrays)
        return built, unpack_guard(settings, arrays)
    except (RuntimeError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{model}: does not fit its method ({reason}); train it again") from error


def _read_refit(
    arrays: Any, header: dict[str, Any], files: RolloutFiles, reference: Reference, frame: Frame
) -> nn.Module:
    """The lookup on the tuned head that it was fitted on."""
    if files.tuned is None or files.tuned_model is None:
        raise InputError("refit: needs --tuned-model and --tuned-section; check the rule")
    model, _ = read_method(files.tuned_model, files.tuned, files, reference, frame)
    tuned = density_in(model, files.tuned_model)
    memory: AnyMemory = validated(MemorySection, header["settings"], str(files.tuned_model))
    module, own = memory.behaviour()
    return module.unpack(
        own, MEMORY, arrays, header["memory"], lambda name: tuned, reference.input_scales
    )[0]


def density_in(model: nn.Module, path: Path) -> ConditionalDensity:
    """Return a tuned head as a density.

    Raises:
        InputError: It is none.
    """
    if not isinstance(model, ConditionalDensity):
        raise InputError(f"{path}: holds no density of the next frame; train it again")
    return model
